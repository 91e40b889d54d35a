"""The needle in space from two frames: five numbers fitted to two tips and two lines.

Hartley & Zisserman 2004, chapters 12 and 8.6: points by least reprojection error, lines by the
planes through the focal spots. World is the frame in which both views state their poses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from ir_nav.geometry import (
    FloatArray,
    angle_between_deg,
    apply,
    perpendicular_basis,
    read_only,
    rigid_inverse,
    unit,
)
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView
from ir_nav.registration.fluoro_needle.finding import FoundNeedle

LEAST_VIEWS_DEG = 15.0
LEAST_PLANES_DEG = 8.0
# How well the two views' geometry is known against one another, px.
GEOMETRY_PX = 0.5
# Five numbers from six measured: one left, whose 99.9 % point is 10.8.
MOST_CHI_SQUARE = 10.8
ARM_MM = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class NeedleInSpace:
    """tip_mm (3,), along (3,) unit towards the tip, both in the views' world.

    covariance_mm2: (3, 3) of the tip. angle_error_deg: standard error of the direction.
    tip_gap_mm, tip_gap_px: between the two tips' rays, and of the fitted tip's reprojections.
    accepted, reason: whether both frames show one needle.
    """

    tip_mm: FloatArray
    along: FloatArray
    covariance_mm2: FloatArray
    angle_error_deg: float
    tip_gap_mm: float
    tip_gap_px: float
    accepted: bool
    reason: str = ""

    @property
    def tip_error_mm(self) -> float:
        """Standard error of the tip, rms over three axes."""
        return float(np.sqrt(np.trace(self.covariance_mm2)))


def needle_from_two_views(
    views: tuple[CArmView, CArmView],
    found: tuple[FoundNeedle, FoundNeedle],
    geometry_px: float = GEOMETRY_PX,
) -> NeedleInSpace:
    """The needle that both frames show, with its error.

    geometry_px: standard error that the views' geometry adds in each frame. Raises
    RegistrationError where the views do not determine it: too close together, or the needle in
    the plane of both focal spots. Tips that do not meet give a result that is not accepted.
    """
    sources, rays = zip(*(_ray(v, f) for v, f in zip(views, found, strict=True)), strict=True)
    apart = angle_between_deg(rays[0], rays[1])
    if min(apart, 180.0 - apart) < LEAST_VIEWS_DEG:
        raise RegistrationError(
            f"the views look at the tip {apart:.0f} degrees apart: turn the C-arm by at least "
            f"{LEAST_VIEWS_DEG:.0f}, best by 60 to 90"
        )
    first, second = (_plane_normal(v, f) for v, f in zip(views, found, strict=True))
    between = angle_between_deg(first, second)
    if min(between, 180.0 - between) < LEAST_PLANES_DEG:
        raise RegistrationError(
            "the needle lies in the plane of both focal spots, its direction is not determined: "
            "take the second view from another side"
        )
    tip, gap_mm = _between_rays(sources, rays)
    along = unit(np.cross(first, second))
    along = along * _sense(views[0], found[0], tip, along)
    spread = tuple(_spread(one, geometry_px) for one in found)
    basis = perpendicular_basis(along, (0.0, 0.0, 1.0))

    def placed(numbers: FloatArray) -> tuple[FloatArray, FloatArray]:
        turned = along + numbers[3] * basis[0] + numbers[4] * basis[1]
        return tip + numbers[:3], turned / np.linalg.norm(turned)

    def left(numbers: FloatArray) -> FloatArray:
        return np.concatenate(
            [
                _left(view, one, sigma, *placed(numbers))
                for view, one, sigma in zip(views, found, spread, strict=True)
            ]
        )

    scale = np.array([1.0, 1.0, 1.0, 0.02, 0.02])
    solved = least_squares(left, np.zeros(5), x_scale=scale, method="lm")
    tip_mm, direction = placed(solved.x)
    covariance = np.linalg.inv(solved.jac.T @ solved.jac)
    gap_px = max(
        float(np.linalg.norm(_project(v, tip_mm) - f.tip_px))
        for v, f in zip(views, found, strict=True)
    )
    reason = _doubt(views, found, tip_mm, direction, 2.0 * float(solved.cost), gap_mm)
    return NeedleInSpace(
        tip_mm=read_only(tip_mm),
        along=read_only(direction),
        covariance_mm2=read_only(covariance[:3, :3]),
        angle_error_deg=float(np.degrees(np.sqrt(covariance[3, 3] + covariance[4, 4]))),
        tip_gap_mm=gap_mm,
        tip_gap_px=gap_px,
        accepted=not reason,
        reason=reason,
    )


def _doubt(
    views: tuple[CArmView, CArmView],
    found: tuple[FoundNeedle, FoundNeedle],
    tip_mm: FloatArray,
    along: FloatArray,
    chi_square: float,
    gap_mm: float,
) -> str:
    if _sense(views[1], found[1], tip_mm, along) < 0.0:
        return "the two frames see tip and hub the other way round: one of them found the wrong end"
    if chi_square > MOST_CHI_SQUARE:
        return (
            f"the rays through the two tips pass {gap_mm:.1f} mm apart: the frames show different "
            "needles, the needle or patient moved between them, or the geometry is wrong"
        )
    return ""


def _left(
    view: CArmView,
    found: FoundNeedle,
    sigma: tuple[float, float, float],
    tip_mm: FloatArray,
    along: FloatArray,
) -> FloatArray:
    """Three residuals over their errors: tip along, tip across, angle."""
    tip_px = _project(view, tip_mm)
    back_px = _project(view, tip_mm - ARM_MM * along)
    miss = tip_px - found.tip_px
    normal = np.array([-found.along[1], found.along[0]])
    seen = tip_px - back_px
    turn = np.arctan2(float(seen @ normal), abs(float(seen @ found.along)))
    return np.array(
        [float(miss @ found.along) / sigma[0], float(miss @ normal) / sigma[1], turn / sigma[2]]
    )


def _spread(found: FoundNeedle, geometry_px: float) -> tuple[float, float, float]:
    across = max(found.across_px, 0.05)
    angle = max(np.radians(found.angle_deg), 0.05 / max(found.length_px, 1.0))
    return (
        float(np.hypot(found.tip_error_px, geometry_px)),
        float(np.hypot(across, geometry_px)),
        float(np.hypot(angle, geometry_px / max(found.length_px, 1.0))),
    )


def _project(view: CArmView, point_mm: FloatArray) -> FloatArray:
    return view.geometry.project(apply(view.carm_from_world, point_mm))


def _ray(view: CArmView, found: FoundNeedle) -> tuple[FloatArray, FloatArray]:
    """Focal spot (3,) and unit direction (3,) through the tip, in the world."""
    world_from_carm = rigid_inverse(view.carm_from_world)
    pixel = np.append(found.tip_px, 1.0)
    ray = world_from_carm[:3, :3] @ np.linalg.solve(view.geometry.camera_matrix, pixel)
    return world_from_carm[:3, 3], unit(ray)


def _plane_normal(view: CArmView, found: FoundNeedle) -> FloatArray:
    """Of the plane through focal spot and line, in the world."""
    line = np.cross(np.append(found.tip_px, 1.0), np.append(found.along, 0.0))
    carm = view.geometry.camera_matrix.T @ line
    return unit(view.carm_from_world[:3, :3].T @ carm)


def _between_rays(
    sources: tuple[FloatArray, ...], rays: tuple[FloatArray, ...]
) -> tuple[FloatArray, float]:
    """The point nearest both rays and the distance between them, mm."""
    design = np.stack([rays[0], -rays[1]], axis=1)
    lengths = np.linalg.lstsq(design, sources[1] - sources[0], rcond=None)[0]
    ends = [s + t * r for s, t, r in zip(sources, lengths, rays, strict=True)]
    return (ends[0] + ends[1]) / 2.0, float(np.linalg.norm(ends[0] - ends[1]))


def _sense(view: CArmView, found: FoundNeedle, tip_mm: FloatArray, along: FloatArray) -> float:
    """1 when `along` runs towards the tip in this view, else -1."""
    seen = _project(view, tip_mm) - _project(view, tip_mm - ARM_MM * along)
    return 1.0 if float(seen @ found.along) >= 0.0 else -1.0
