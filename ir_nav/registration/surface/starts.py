"""Where searches begin: round a known start, or anywhere."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray, rigid, rotation_from_vector
from ir_nav.registration.surface.sampled import SampledSurface

CAPTURE_MM, CAPTURE_DEG = 60.0, 45.0
AROUND = 240
ROTATIONS, PLACES = 160, 14
# One place more than this many times is thinned before places are chosen.
MOST_LOOKED_AT = 5000


def starts_around(ct_from_reference: FloatArray, centre_reference_mm: FloatArray) -> FloatArray:
    """(m, 4, 4) starts within 60 mm and 45 degrees of one, which comes first.

    Translations and rotation vectors spread evenly over two balls (Halton 1960); turned about the
    points' centre (3,).
    """
    centre_ct = ct_from_reference[:3, :3] @ centre_reference_mm + ct_from_reference[:3, 3]
    found = [ct_from_reference]
    number = 0
    while len(found) < AROUND:
        number += 1
        place = 2.0 * np.array([_halton(number, base) for base in (2, 3, 5, 7, 11, 13)]) - 1.0
        shift, turn = place[:3], place[3:]
        if max(float(shift @ shift), float(turn @ turn)) > 1.0:
            continue
        rotation = rotation_from_vector(np.radians(CAPTURE_DEG) * turn)
        motion = rigid(rotation, centre_ct - rotation @ centre_ct + CAPTURE_MM * shift)
        found.append(motion @ ct_from_reference)
    return np.stack(found)


def starts_anywhere(surface: SampledSurface, centre_reference_mm: FloatArray) -> FloatArray:
    """(m, 4, 4) starts in every direction, the points' centre (3,) on places spread over the
    surface."""
    places = _spread_places(surface.points_ct_mm, PLACES)
    found = []
    for rotation in _rotations(ROTATIONS):
        found += [rigid(rotation, place - rotation @ centre_reference_mm) for place in places]
    return np.stack(found)


def _halton(number: int, base: int) -> float:
    """The radical inverse of a whole number."""
    value, part = 0.0, 1.0
    while number:
        part /= base
        number, digit = divmod(number, base)
        value += digit * part
    return value


def _rotations(count: int) -> FloatArray:
    """(count, 3, 3) rotations spread evenly: super-Fibonacci spirals (Alexa 2022)."""
    at = np.arange(count) + 0.5
    first = 2.0 * np.pi * at / np.sqrt(2.0)
    second = 2.0 * np.pi * at / 1.533751168755204288118041
    inner, outer = np.sqrt(at / count), np.sqrt(1.0 - at / count)
    x, y = inner * np.sin(first), inner * np.cos(first)
    z, w = outer * np.sin(second), outer * np.cos(second)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _spread_places(points: FloatArray, count: int) -> FloatArray:
    """(count, 3) of the points, each as far as can be from those before (Gonzalez 1985)."""
    few = points[:: max(1, len(points) // MOST_LOOKED_AT)]
    chosen = [few[int(np.argmax(np.linalg.norm(few - few.mean(axis=0), axis=1)))]]
    away = np.full(len(few), np.inf)
    for _ in range(count - 1):
        away = np.minimum(away, np.linalg.norm(few - chosen[-1], axis=1))
        chosen.append(few[int(np.argmax(away))])
    return np.array(chosen)
