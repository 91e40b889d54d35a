"""One fit of swiped points to a surface, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging import BoolArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.surface.align_kernels import MEDIAN_TO_SIGMA, TUKEY, align
from ir_nav.registration.surface.sampled import SampledSurface, surface_distances

LEAST_POINTS = 12
STILL_MM = 2e-3
MOST_STEPS = 60
MANY_POINTS, NEAR_MM = 800, 0.1
# No swipe is finer: keeps the weights of a phantom's exact points finite.
LEAST_SIGMA_MM = 0.02
# Points of one patch share what the surface has wrong: it errs over a few of its own cells, a
# patient who lies otherwise than in the CT over more. Chance alone does not reach this many sigmas.
PATCHES_MM = (15.0, 30.0, 60.0)
CHANCE_SIGMAS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceFit:
    """Points laid on a surface.

    ct_from_reference: (4, 4). moved_ct_mm, normals_ct: (n, 3), the points and the surface's
    normals beside them. signed_mm: (n,) distance from the surface, positive outside, infinite
    beside its rim. kept: (n,) whether a point counts. sigma_mm: scatter of those, robust.
    steps: of the fit.
    """

    ct_from_reference: FloatArray
    moved_ct_mm: FloatArray
    normals_ct: FloatArray
    signed_mm: FloatArray
    kept: BoolArray
    sigma_mm: float
    steps: int

    @property
    def kept_share(self) -> float:
        return float(self.kept.mean())

    @property
    def rms_mm(self) -> float:
        """Of the points that count."""
        return float(np.sqrt(np.mean(self.signed_mm[self.kept] ** 2)))


def fit_surface(
    points_reference_mm: FloatArray, surface: SampledSurface, ct_from_reference: FloatArray
) -> SurfaceFit:
    """Lay points (n, 3) on the surface from one start (4, 4): its own basin only.

    Raises RegistrationError for fewer than 12 points, or where most of them lie beside the
    surface.
    """
    points = np.ascontiguousarray(points_reference_mm, dtype=np.float64)
    if len(points) < LEAST_POINTS:
        raise RegistrationError(
            f"{len(points)} points are too few for {surface.name}: swipe at least {LEAST_POINTS}"
        )
    matrix = np.array(ct_from_reference, dtype=np.float64)
    steps = 0
    if len(points) >= MANY_POINTS:
        # The way there needs no more than every fourth point; a failure here shows again below.
        few = np.ascontiguousarray(points[::4])
        steps = max(align(few, matrix, *surface.search, LEAST_SIGMA_MM, NEAR_MM, MOST_STEPS), 0)
    last = align(points, matrix, *surface.search, LEAST_SIGMA_MM, STILL_MM, MOST_STEPS)
    if last < 0:
        raise RegistrationError(
            f"most points lie beside {surface.name}: start nearer, or swipe what the CT shows"
        )
    matrix[:3, :3] = _orthonormal(matrix[:3, :3])
    here = surface_distances(surface, points, matrix)
    sizes = np.abs(here.signed_mm)
    sigma = max(MEDIAN_TO_SIGMA * float(np.median(sizes[np.isfinite(sizes)])), LEAST_SIGMA_MM)
    kept = sizes < TUKEY * sigma
    return SurfaceFit(
        read_only(matrix),
        read_only(here.moved_ct_mm),
        read_only(here.normals_ct),
        read_only(here.signed_mm),
        kept,
        sigma,
        steps + last,
    )


def jacobian(fit: SurfaceFit, about_ct_mm: FloatArray) -> FloatArray:
    """(k, 6) of the kept points' distances by a motion in CT axes about a point (3,): translation
    mm, then rotation vector in rad."""
    normals = fit.normals_ct[fit.kept]
    arms = fit.moved_ct_mm[fit.kept] - about_ct_mm
    return np.hstack([normals, np.cross(arms, normals)])


def covariance(fit: SurfaceFit, about_ct_mm: FloatArray) -> FloatArray:
    """(6, 6) of the error motion about a point (3,): translation mm, then rotation vector deg.

    For Tukey's estimator (Huber 1981, ch. 7) times the design effect (Kish 1965) of patches:
    neighbours that lie on one side of the surface together are no independent witnesses.
    Directions that the points do not determine come out large, never infinite.
    """
    rows = jacobian(fit, about_ct_mm)
    signed = fit.signed_mm[fit.kept]
    ratio = signed / (TUKEY * fit.sigma_mm)
    weights = (1.0 - ratio**2) ** 2
    influence = weights * signed
    slope = (1.0 - ratio**2) * (1.0 - 5.0 * ratio**2)
    count = len(rows)
    variance = (influence @ influence) / max(count - 6, 1) / max(float(slope.mean()), 0.1) ** 2
    variance *= design_effect(fit.moved_ct_mm[fit.kept], influence)
    reach = _reach_mm(fit)
    scale = np.array([1.0, 1.0, 1.0, reach, reach, reach])
    hessian = (rows / scale).T @ (rows / scale)
    hessian[np.diag_indices(6)] += 1e-9 * np.trace(hessian)
    turned = np.diag(np.where(np.arange(6) < 3, 1.0, np.degrees(1.0)) / scale)
    return np.asarray(turned @ (variance * np.linalg.inv(hessian)) @ turned)


def design_effect(points_ct_mm: FloatArray, influence: FloatArray) -> float:
    """How many times more the sum over a patch varies than independent points' would.

    The most of patches of 15, 30 and 60 mm; 1 where chance explains it.
    """
    most = 1.0
    for size_mm in PATCHES_MM:
        cells = np.floor(points_ct_mm / size_mm).astype(np.int64)
        _, patch = np.unique(cells, axis=0, return_inverse=True)
        sums = np.bincount(patch.reshape(-1), weights=influence)
        effect = float((sums @ sums) / max(float(influence @ influence), 1e-12))
        if effect > 1.0 + CHANCE_SIGMAS * np.sqrt(2.0 / len(sums)):
            most = max(most, effect)
    return most


def _reach_mm(fit: SurfaceFit) -> float:
    """Rms distance of the points from their centre."""
    centred = fit.moved_ct_mm - fit.moved_ct_mm.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(centred**2, axis=1))))


def _orthonormal(rotation: FloatArray) -> FloatArray:
    """The nearest rotation: many small steps leave rounding behind."""
    u, _, vt = np.linalg.svd(rotation)
    return np.asarray(u @ vt)
