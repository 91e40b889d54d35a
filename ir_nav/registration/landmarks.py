"""CT to patient from touched landmarks, with the error to expect at the target."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f as f_distribution

from ir_nav.geometry import (
    FloatArray,
    Frame,
    GeometryError,
    PointFit,
    Transform,
    apply,
    fit_points,
    read_only,
)
from ir_nav.geometry.anisotropic_fit import checked_covariances, fit_points_anisotropic
from ir_nav.registration.registration import Method, Registration, Residual
from ir_nav.registration.tre import expected_residuals_mm, motion_covariance

# Below this every point agrees perfectly, which no touched landmark does: nothing was moved,
# or the points were copied.
MIN_FRE_MM = 1e-6
# Three points leave three residuals' worth of freedom: they fit nearly anything.
THREE_POINTS_CONFIDENCE = 0.5
# A residual above what is expected would come by chance once in so many points.
EXPECTED_CHANCE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkFit:
    """A registration by n landmarks and what speaks for and against each of them.

    names, points_ct_mm (n, 3), points_reference_mm (n, 3): the landmarks that were fitted.
    residuals_mm (n,): distance at each landmark in the fit of all.
    left_out_mm (n,): distance at each landmark of the fit without it; NaN where the others
    determine none. chances (n,): how likely a misfit as large as this is for a point that was
    measured like the others; NaN as left_out_mm.
    expected_mm (n,): what the residual of a point stays below in 99 of 100 fits, by the errors
    that were stated of the points; None where none were.
    """

    registration: Registration
    names: tuple[str, ...]
    points_ct_mm: FloatArray
    points_reference_mm: FloatArray
    residuals_mm: FloatArray
    left_out_mm: FloatArray
    chances: FloatArray
    expected_mm: FloatArray | None = None

    @property
    def fre_mm(self) -> float:
        """Root mean square of the residuals, mm."""
        return float(np.sqrt(np.mean(self.residuals_mm**2)))

    @property
    def fle_mm(self) -> float:
        """Landmark localisation error estimated from FRE, rms: FRE^2 = (1 - 2/n) FLE^2."""
        return self.fre_mm / float(np.sqrt(1.0 - 2.0 / len(self.names)))

    def worst(self) -> int:
        """Index of the landmark that agrees least with the others; with three, the largest
        residual. A far landmark pulls the fit to itself: its residual alone may look well."""
        if np.isfinite(self.chances).all():
            return int(np.argmin(self.chances))
        return int(np.argmax(self.residuals_mm))


def register_landmarks(
    names: tuple[str, ...],
    points_ct_mm: ArrayLike,
    points_reference_mm: ArrayLike,
    created_s: float,
    *,
    covariances_reference_mm2: ArrayLike | None = None,
    errors_reference_mm2: ArrayLike | None = None,
    about_ct_mm: ArrayLike | None = None,
) -> LandmarkFit:
    """Fit touched points (n, 3) in `reference` to the CT's (n, 3), mm.

    covariances_reference_mm2: (n, 3, 3) of the touched points, where they are not alike: only
    their ratios count. Their common scale is estimated from the residuals with 3n - 6 degrees of
    freedom, so that the predicted error is that of Fitzpatrick 1998 for equal isotropic errors.
    errors_reference_mm2: (n, 3, 3) in their place, where they are known in full: then the scale is
    estimated, too, but never taken below 1, as few points that happen to agree prove nothing.
    about_ct_mm: (3,) what the covariance is stated about, by default the middle of the landmarks.
    Raises GeometryError for fewer than three points, points on a line, two points of one name, a
    name too many or too few, or a fit without any residual.
    """
    began = time.perf_counter()
    points_ct, points_reference = read_only(points_ct_mm), read_only(points_reference_mm)
    if len(names) != len(points_ct):
        raise GeometryError(f"{len(names)} names for {len(points_ct)} points")
    if len(set(names)) != len(names):
        raise GeometryError("two landmarks have the same name")
    stated = errors_reference_mm2 is not None
    given = errors_reference_mm2 if stated else covariances_reference_mm2
    alike = given is None
    shapes = (
        np.broadcast_to(np.eye(3), (len(names), 3, 3))
        if given is None
        else checked_covariances(given, len(names))
    )
    fit = _fit(points_reference, points_ct, shapes, alike)
    if len(points_ct) > 3 and fit.rms_mm < MIN_FRE_MM:
        raise GeometryError("every point fits without any residual: touch the points again")
    left_out_mm, chances = _left_out(points_reference, points_ct, shapes, alike, fit)
    about = points_ct.mean(axis=0) if about_ct_mm is None else about_ct_mm
    spread = _in_ct(fit, shapes)
    variance = _misfit(fit, points_reference, points_ct, shapes) / (3 * len(names) - 6)
    if stated:
        variance = max(variance, 1.0)
    registration = Registration(
        Method.LANDMARKS,
        Transform(Frame.CT, Frame.REFERENCE, fit.matrix),
        tuple(Residual(name, float(mm)) for name, mm in zip(names, fit.residuals_mm, strict=True)),
        variance * motion_covariance(points_ct, spread, about),
        read_only(about),
        _confidence(chances),
        1,
        time.perf_counter() - began,
        created_s,
        accepted=True,
        inputs=tuple(f"landmark {name}" for name in names),
    )
    return LandmarkFit(
        registration,
        names,
        points_ct,
        points_reference,
        fit.residuals_mm,
        read_only(left_out_mm),
        read_only(chances),
        expected_residuals_mm(points_ct, spread, EXPECTED_CHANCE) if stated else None,
    )


def _fit(source: FloatArray, target: FloatArray, shapes: FloatArray, alike: bool) -> PointFit:
    return fit_points(source, target) if alike else fit_points_anisotropic(source, target, shapes)


def _in_ct(fit: PointFit, shapes: FloatArray) -> FloatArray:
    """Covariances (n, 3, 3) turned into CT axes."""
    rotation = fit.matrix[:3, :3]
    turned: FloatArray = rotation @ shapes @ rotation.T
    return turned


def _misfit(fit: PointFit, source: FloatArray, target: FloatArray, shapes: FloatArray) -> float:
    """Sum of the squared residuals over their covariances."""
    off = apply(fit.matrix, source) - target
    return float(
        np.einsum("ni,ni->", off, np.linalg.solve(_in_ct(fit, shapes), off[..., None])[..., 0])
    )


def _left_out(
    source: FloatArray, target: FloatArray, shapes: FloatArray, alike: bool, whole: PointFit
) -> tuple[FloatArray, FloatArray]:
    """What is left at each point by the fit of the others (n,), mm, and how likely that is (n,).

    The drop of the weighted misfit when a point is left out, over what the others leave, follows
    F(3, 3n - 9): the external studentised residual of regression (Cook and Weisberg 1982).
    """
    count = len(source)
    left_out, chances = np.full(count, np.nan), np.full(count, np.nan)
    if count < 4:
        return left_out, chances
    total = _misfit(whole, source, target, shapes)
    freedom = 3 * count - 9
    for index in range(count):
        kept = np.arange(count) != index
        try:
            fit = _fit(source[kept], target[kept], shapes[kept], alike)
        except GeometryError:
            continue  # the others lie on one line
        left_out[index] = float(np.linalg.norm(apply(fit.matrix, source[index]) - target[index]))
        rest = _misfit(fit, source[kept], target[kept], shapes[kept])
        ratio = max(total - rest, 0.0) / 3.0 / max(rest / freedom, 1e-12)
        chances[index] = float(f_distribution.sf(ratio, 3, freedom))
    return left_out, chances


def _confidence(chances: FloatArray) -> float:
    """How likely the worst point's misfit is by chance alone, looked for among all of them
    (Bonferroni); a half where points are too few to check one another."""
    known = chances[np.isfinite(chances)]
    if not len(known):
        return THREE_POINTS_CONFIDENCE
    return float(min(1.0, len(known) * known.min()))
