"""Motions along which points slip on a surface, in words.

Gelfand, Ikemoto, Rusinkiewicz and Levoy 2003 (Geometrically stable sampling for the ICP
algorithm): eigenvectors of the point-to-plane Hessian with small eigenvalues. A ball lets go of
three turns, a cylinder of a turn and a slide, a plane of two slides and a turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.registration.surface.fit import SurfaceFit, jacobian

# A motion of 1 mm that lifts the points off the surface by less than this (rms) is a free one: the
# triangles' own roughness does as much.
FREE_LIFT = 0.05
# Below this share of the whole, a free motion's turning counts as none: it slides.
NO_TURN = 0.2
AXES = ("right to left", "front to back", "head to foot")
# Negative and positive of each LPS axis.
LETTERS = ("RL", "AP", "FH")
NEAR_AXIS_DEG = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Freedom:
    """A motion that the points do not determine.

    motion: (6,) about the points' centre in CT axes: translation, and rotation vector times the
    points' rms distance from their centre, so that both are mm; unit length. lift: mm of rms
    distance from the surface for 1 mm of the motion. words: "sliding from head to foot".
    """

    motion: FloatArray
    lift: float
    words: str


def freedoms(fit: SurfaceFit) -> tuple[Freedom, ...]:
    """What stays free; slides first, then turns."""
    rows, reach = _scaled(fit)
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    lifts = np.sqrt(np.maximum(values, 0.0))
    free = vectors[:, lifts < FREE_LIFT]
    if free.shape[1] == 0:
        return ()
    centre = fit.moved_ct_mm[fit.kept].mean(axis=0)
    found = [
        Freedom(motion, float(np.linalg.norm(rows @ motion) / np.sqrt(len(rows))), "")
        for motion in _untangled(free)
    ]
    turns = [one for one in found if _turns(one.motion)]
    worded = [
        Freedom(one.motion, one.lift, _words(one.motion, centre, reach, len(turns)))
        for one in found
    ]
    return tuple(sorted(worded, key=lambda one: _turns(one.motion)))


def freedom_words(found: tuple[Freedom, ...]) -> str:
    """All of them in one phrase."""
    seen = list(dict.fromkeys(one.words for one in found))
    return " and ".join((", ".join(seen[:-1]), seen[-1])) if len(seen) > 1 else "".join(seen)


def _scaled(fit: SurfaceFit) -> tuple[FloatArray, float]:
    """(k, 6) lifts by motions in mm about the kept points' centre, and their reach."""
    moved = fit.moved_ct_mm[fit.kept]
    centre = moved.mean(axis=0)
    reach = max(float(np.sqrt(np.mean(np.sum((moved - centre) ** 2, axis=1)))), 1e-6)
    rows = jacobian(fit, centre)
    rows[:, 3:] /= reach
    return rows, reach


def _untangled(free: FloatArray) -> list[FloatArray]:
    """Columns (6, k) as pure slides, as far as there are any, and turns square to them."""
    mixes = np.linalg.svd(free[3:])[2]
    return [np.asarray(free @ mix) for mix in mixes]


def _turns(motion: FloatArray) -> bool:
    return float(np.linalg.norm(motion[3:])) > NO_TURN


def _words(motion: FloatArray, centre: FloatArray, reach: float, turns: int) -> str:
    if not _turns(motion):
        return f"sliding {axis_words(motion[:3])}"
    if turns == 3:
        return "turning about any axis"
    turn = motion[3:] / reach
    # Where the axis of the turn runs: the points of it that the motion leaves in place.
    through = centre + np.cross(turn, motion[:3]) / float(turn @ turn)
    return f"turning about an axis {axis_words(turn)} through {_place_words(through)}"


def _place_words(point_ct_mm: FloatArray) -> str:
    """A point (3,) in `ct` as "R 83 · A 6 · H 7 mm"."""
    letters = [pair[int(value >= 0.0)] for pair, value in zip(LETTERS, point_ct_mm, strict=True)]
    parts = [f"{a} {abs(v):.0f}" for a, v in zip(letters, point_ct_mm, strict=True)]
    return f"{' · '.join(parts)} mm"


def axis_words(direction_ct: FloatArray) -> str:
    """A direction (3,) in `ct`, either way, as "head to foot", or between two such."""
    parts = np.abs(direction_ct) / max(float(np.linalg.norm(direction_ct)), 1e-12)
    order = np.argsort(-parts)
    if parts[order[0]] > np.cos(np.radians(NEAR_AXIS_DEG)):
        return AXES[order[0]]
    return f"oblique, between {AXES[order[0]]} and {AXES[order[1]]}"
