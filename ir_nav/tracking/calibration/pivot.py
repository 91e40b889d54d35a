"""Where the tip is in the frame of the tool's sensor, and where the shaft points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from ir_nav.geometry import FloatArray, read_only, rigid, rotation_along, unit
from ir_nav.tracking.calibration.pivot_fit import fit_pivot, tip_standard_error_mm
from ir_nav.tracking.calibration.result import CalibrationError, ErrorStatistics, Rejection

MIN_POSES = 50
MIN_PIVOT_SPAN_DEG = 20.0
# Turned about one axis alone, a tool does not tell where along that axis its tip is.
MIN_TILT_RMS_DEG = 2.0
MIN_SPIN_SPAN_DEG = 60.0
MAX_PIVOT_RMS_MM = 0.8
# Poses arrive as float32: a real residual never falls under their rounding.
MIN_PIVOT_RMS_MM = 1e-7
MAX_SPIN_RMS_DEG = 1.0
# Above this share of outliers nobody can say which of the poses hold.
MIN_KEPT_SHARE = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class PivotCalibration:
    """Result of turning a tool about its resting tip.

    tip_mm (3,): tip in the tool's frame. pivot_mm (3,): where it rested in `tracker`.
    rms_mm, max_mm: distance of the tip from the pivot over the poses used. span_deg: largest
    angle between two poses. tip_error_mm: standard error of the tip, rms over three axes.
    used, rejected: numbers of poses. turned_deg (n, 2): see `turned_deg`. offsets_mm (n, 3): tip
    minus pivot in `tracker` at every pose; kept (n,): False where a pose was left out as an
    outlier. reason: why it was refused, or None.
    """

    tip_mm: FloatArray
    pivot_mm: FloatArray
    rms_mm: float
    max_mm: float
    span_deg: float
    tip_error_mm: float
    used: int
    rejected: int
    turned_deg: FloatArray
    offsets_mm: FloatArray
    kept: NDArray[np.bool_]
    reason: str | None

    @property
    def accepted(self) -> bool:
        return self.reason is None

    @property
    def distances_mm(self) -> FloatArray:
        """(n,): distance of the tip from the pivot at every pose, outliers too."""
        return np.asarray(np.linalg.norm(self.offsets_mm, axis=1))

    def error_mm(self) -> ErrorStatistics:
        """Of the distances over the poses used; CalibrationError when nothing was solved."""
        if not len(self.kept):
            raise CalibrationError(self.reason or "no poses: pivot the tool")
        return ErrorStatistics.of(self.distances_mm[self.kept])

    def rejections(self) -> tuple[Rejection, ...]:
        """Each pose that was left out, by its place among those given."""
        distances = self.distances_mm
        return tuple(
            Rejection(int(index), f"tip {distances[index]:.1f} mm off the pivot")
            for index in np.flatnonzero(~self.kept)
        )


@dataclass(frozen=True, slots=True, eq=False)
class SpinCalibration:
    """Result of turning a needle about its own shaft.

    shaft (3,): unit vector in the tool's frame; its sign is fixed by `oriented`. rms_deg: scatter
    of the shaft's direction in `tracker`. span_deg: how far it was turned.
    """

    shaft: FloatArray
    rms_deg: float
    span_deg: float
    used: int
    reason: str | None

    @property
    def accepted(self) -> bool:
        return self.reason is None


def calibrate_pivot(poses: ArrayLike) -> PivotCalibration:
    """Least-squares tip from poses (n, 4, 4), tracker_from_tool, mm; outliers left out.

    The fit and how outliers are told: see `fit_pivot`. Refused, with the reason, after too
    little motion, too few poses, a residual above 0.8 mm or none at all, or when more than 30 %
    of the poses are outliers.
    """
    matrices = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)
    span_deg = largest_turn_deg(matrices)
    if len(matrices) < MIN_POSES:
        return _refused(matrices, span_deg, f"only {len(matrices)} poses: keep pivoting")
    fit = fit_pivot(matrices, MIN_POSES // 2)
    kept = np.linalg.norm(fit.offsets_mm[fit.kept], axis=1)
    rms = float(np.sqrt(np.mean(kept**2)))
    used = matrices[fit.kept]
    # An outlier by turn must not pass for motion.
    span_deg = largest_turn_deg(used)
    return PivotCalibration(
        tip_mm=read_only(fit.tip_mm),
        pivot_mm=read_only(fit.pivot_mm),
        rms_mm=rms,
        max_mm=float(kept.max()),
        span_deg=span_deg,
        tip_error_mm=tip_standard_error_mm(used, rms),
        used=len(used),
        rejected=len(matrices) - len(used),
        turned_deg=read_only(turned_deg(matrices)),
        offsets_mm=read_only(fit.offsets_mm),
        kept=fit.kept,
        reason=_pivot_fault(span_deg, _least_tilt_deg(used), rms, fit.kept),
    )


def calibrate_spin(poses: ArrayLike) -> SpinCalibration:
    """Shaft direction from poses (n, 4, 4), tracker_from_tool, of a needle spun about itself.

    R_i shaft is the same direction for every pose: the shaft is the right singular vector of
    the mean rotation with the largest singular value.
    """
    matrices = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)
    rotations = matrices[:, :3, :3]
    span_deg = largest_turn_deg(matrices)
    if len(matrices) < MIN_POSES:
        reason = f"only {len(matrices)} poses: keep spinning"
        return SpinCalibration(read_only((0.0, 0.0, 1.0)), 0.0, span_deg, len(matrices), reason)
    _, _, vt = np.linalg.svd(rotations.mean(axis=0))
    shaft = vt[0]
    directions = rotations @ shaft
    mean = unit(directions.mean(axis=0))
    angles = np.degrees(
        np.arctan2(np.linalg.norm(np.cross(directions, mean), axis=1), directions @ mean)
    )
    rms = float(np.sqrt(np.mean(angles**2)))
    return SpinCalibration(
        read_only(shaft), rms, span_deg, len(matrices), _spin_fault(span_deg, rms)
    )


# Asked for at every tick; calibrations compare by identity.
@lru_cache(maxsize=16)
def tool_from_tip(pivot: PivotCalibration, spin: SpinCalibration | None) -> FloatArray:
    """Matrix (4, 4) of the `tip` frame in the tool's: origin at the tip, +z hub to tip.

    Without a spin calibration the sensor is taken to sit on the shaft.
    """
    shaft = pivot.tip_mm if spin is None else spin.shaft
    axis = unit(shaft)
    if float(np.dot(axis, pivot.tip_mm)) < 0.0:
        axis = -axis
    return read_only(rigid(rotation_along(axis, (0.0, 1.0, 0.0)), pivot.tip_mm))


def largest_turn_deg(poses: FloatArray) -> float:
    """Largest angle between any pose's rotation and the first, then between extremes, degrees."""
    if len(poses) < 2:
        return 0.0
    first = _turns_deg(poses, poses[0])
    return float(_turns_deg(poses, poses[int(np.argmax(first))]).max())


def turned_deg(poses: ArrayLike) -> FloatArray:
    """How a tool was turned, for a picture: rotation vectors (n, 2) from the first pose,
    degrees, along the two axes about which it was turned most."""
    matrices = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)
    if len(matrices) < 2:
        return np.zeros((len(matrices), 2))
    turns = Rotation.from_matrix(matrices[0, :3, :3].T @ matrices[:, :3, :3]).as_rotvec(True)
    middle = turns - turns.mean(axis=0)
    axes = np.linalg.eigh(middle.T @ middle)[1][:, :0:-1]
    return np.asarray(middle @ axes)


def _turns_deg(poses: FloatArray, base: FloatArray) -> FloatArray:
    traces = np.einsum("nij,ij->n", poses[:, :3, :3], base[:3, :3])
    return np.asarray(np.degrees(np.arccos(np.clip((traces - 1.0) / 2.0, -1.0, 1.0))))


def _least_tilt_deg(poses: FloatArray) -> float:
    """Rms angle by which the direction that moved least was tilted; 0 for turns about one axis."""
    mean = poses[:, :3, :3].mean(axis=0)
    least = float(np.linalg.eigvalsh(np.eye(3) - mean.T @ mean)[0])
    return float(np.degrees(np.arcsin(np.sqrt(np.clip(least, 0.0, 1.0)))))


def _pivot_fault(span_deg: float, tilt_deg: float, rms_mm: float, kept: np.ndarray) -> str | None:
    if span_deg < MIN_PIVOT_SPAN_DEG:
        return f"turned only {span_deg:.0f}°: tilt the tool by {MIN_PIVOT_SPAN_DEG:.0f}° or more"
    if tilt_deg < MIN_TILT_RMS_DEG:
        return "turned about one axis only: tilt the tool to all sides"
    if rms_mm < MIN_PIVOT_RMS_MM:
        return "no residual at all: the tracker is not measuring"
    if rms_mm > MAX_PIVOT_RMS_MM:
        return f"residual {rms_mm:.2f} mm is above {MAX_PIVOT_RMS_MM} mm: keep the tip in its divot"
    if kept.mean() < MIN_KEPT_SHARE:
        return f"{int((~kept).sum())} of {len(kept)} poses are outliers: keep the tip in its divot"
    return None


def _spin_fault(span_deg: float, rms_deg: float) -> str | None:
    if span_deg < MIN_SPIN_SPAN_DEG:
        return f"turned only {span_deg:.0f}°: spin the needle by {MIN_SPIN_SPAN_DEG:.0f}° or more"
    if rms_deg > MAX_SPIN_RMS_DEG:
        return f"shaft wobbles by {rms_deg:.1f}°, above {MAX_SPIN_RMS_DEG}°: hold it still"
    return None


def _refused(poses: FloatArray, span_deg: float, reason: str) -> PivotCalibration:
    nowhere = read_only(np.zeros(3))
    return PivotCalibration(
        tip_mm=nowhere,
        pivot_mm=nowhere,
        rms_mm=0.0,
        max_mm=0.0,
        span_deg=span_deg,
        tip_error_mm=0.0,
        used=len(poses),
        rejected=0,
        turned_deg=read_only(turned_deg(poses)),
        offsets_mm=read_only(np.zeros((0, 3))),
        kept=np.zeros(0, dtype=bool),
        reason=reason,
    )
