"""A belly with a formula, as a CT and under a stylus that glides over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from ir_nav.geometry import FloatArray, Frame, Transform, apply
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration import Registration
from ir_nav.registration.surface import Tissue, ct_surface
from ir_nav.session.state import Role
from ir_nav.session.surface_swiping import PreparedSurface
from tests.registration.surfaces_made import pushed, torso
from tests.session.rig import (
    CT_FROM_REFERENCE,
    NOW_S,
    STYLUS_TIP,
    TRACKER_FROM_REFERENCE,
    Rig,
    registration,
)

RATE_HZ = 60.0
SPEED_MM_S = 80.0
NOISE_MM = 0.5
TARGET_CT = np.array([40.0, -30.0, 20.0])
SPACING_MM = 3.0


@cache
def belly() -> Volume:
    """The shape of `torso` in air, its border blurred over a voxel."""
    low = np.array([-200.0, -150.0, -160.0])
    size = (134, 100, 107)
    x, y, z = np.meshgrid(
        *(low[axis] + SPACING_MM * np.arange(size[axis]) for axis in range(3)), indexing="ij"
    )
    angle = np.arctan2(y, x)
    share = np.zeros_like(x)
    for _ in range(6):
        wide, deep = _half_axes(angle, z)
        share = np.hypot(x / wide, y / deep)
        angle = np.arctan2(y / deep, x / wide)
    depth_mm = (1.0 - share) * np.hypot(x, y) / np.maximum(share, 1e-6)
    # -300 HU, where a CT's skin is drawn, lies on the shape itself.
    part = np.clip(700.0 / 1040.0 + depth_mm / SPACING_MM, 0.0, 1.0)
    voxels = np.ascontiguousarray((-1000.0 + 1040.0 * part).astype(np.int16).T)
    ct_from_voxel = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    ct_from_voxel[:3, 3] = low
    return Volume(voxels, ct_from_voxel, "belly", VolumeInfo())


def _half_axes(angle: FloatArray, height: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the ellipse through each place, as `torso` has it."""
    around = np.mod(angle / (2.0 * np.pi), 1.0)
    wide = 150.0 + 25.0 * np.sin(height / 70.0) + 6.0 * np.cos(3.0 * angle + height / 50.0)
    deep = 105.0 + 12.0 * np.cos(height / 60.0 + 1.0)
    navel = -9.0 * np.exp(-((height + 40.0) ** 2 + (150.0 * (around - 0.72)) ** 2) / 400.0)
    return wide * (1.0 + navel / 100.0), deep * (1.0 + navel / 100.0)


@cache
def skin() -> PreparedSurface:
    """Of the belly."""
    return PreparedSurface(belly(), Tissue.SKIN, ct_surface(belly(), Tissue.SKIN))


def off_start(by_mm: float, by_deg: float, seed: int = 4) -> Registration:
    """A registration that puts the target so far from where it is, turned so much."""
    matrix = pushed(TARGET_CT, by_mm, by_deg, seed) @ CT_FROM_REFERENCE
    return replace(registration(), ct_from_reference=Transform(Frame.CT, Frame.REFERENCE, matrix))


def error_mm(found: Registration, point_ct_mm: FloatArray = TARGET_CT) -> float:
    """How far a registration puts a point of the patient from where it is in the CT."""
    reference_mm = apply(np.linalg.inv(CT_FROM_REFERENCE), point_ct_mm)
    return float(np.linalg.norm(found.ct_from_reference.apply(reference_mm) - point_ct_mm))


class Stroker:
    """A stylus over the belly, seen by the rig's tracker; its time goes on from `now_s`."""

    def __init__(self, rig: Rig, now_s: float = NOW_S, seed: int = 1) -> None:
        self.rig, self.now_s = rig, now_s
        self._rng = np.random.default_rng(seed)

    def places(self, height: float, first: float = 0.5, last: float = 1.0) -> FloatArray:
        """(n, 3) in `ct` at the stylus's rate, round the belly at a part of its height."""
        fine = torso(np.full(2000, height), np.linspace(first, last, 2000))
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
        at = np.arange(0.0, way[-1], SPEED_MM_S / RATE_HZ)
        return np.column_stack([np.interp(at, way, fine[:, axis]) for axis in range(3)])

    def stroke(self, places_ct_mm: FloatArray, each: Callable[[float], object]) -> None:
        """Glide over places (n, 3); `each` is called with the time after every fourth pose."""
        for number, place in enumerate(places_ct_mm):
            self.now_s += 1.0 / RATE_HZ
            self.put(place + self._rng.normal(0.0, NOISE_MM, 3))
            if number % 4 == 3:
                each(self.now_s)
        each(self.now_s)

    def put(self, tip_ct_mm: FloatArray) -> None:
        """The tip there, now."""
        tip = TRACKER_FROM_REFERENCE @ np.linalg.inv(CT_FROM_REFERENCE) @ [*tip_ct_mm, 1.0]
        matrix = np.eye(4)
        matrix[:3, 3] = tip[:3] - STYLUS_TIP
        self.rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, self.now_s)
        self.rig.send(Role.STYLUS, matrix, self.now_s)
