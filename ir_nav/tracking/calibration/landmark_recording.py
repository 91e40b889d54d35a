"""A phantom's place from one recording in which a pivoted stylus touches its landmarks in turn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, GeometryError, PointFit, fit_points, read_only
from ir_nav.tracking.calibration.pivot import largest_turn_deg
from ir_nav.tracking.calibration.result import CalibrationError, ErrorStatistics

# A tip in its divot stays this close to its middle through any REST_S, while the hand turns
# the stylus by MIN_TURN_DEG or more; a stylus laid down rests but does not turn.
REST_MM = 2.5
REST_S = 2.0
MIN_DWELL_S = 3.0
MIN_TURN_DEG = 20.0
# At first the stylus stands as it was set down, alike on every landmark, so that what is wrong
# with its tip shifts all points alike; later it leans by tens of degrees.
TOUCH_S = 0.5
TOUCH_MM = 0.8
SAME_PLACE_MM = 5.0
MIN_LANDMARKS = 4
MAX_MEAN_ERROR_MM = 1.0
MAX_MATCHES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Dwell:
    """One touched place. start, stop: poses [start, stop) of the recording.

    point_mm (3,): the tip as it was set down, in the reference. turned_deg: largest angle
    between two poses. scatter_mm: rms distance of the tip from its mean through the dwell.
    """

    start: int
    stop: int
    point_mm: FloatArray
    turned_deg: float
    scatter_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class PhantomRegistration:
    """Rigid `reference_from_phantom` (4, 4), mm, and what it leaves.

    landmarks, dwells (n,): which landmark was matched with which dwell, both in order.
    residuals_mm (n,): distance at each pair; error_mm: their statistics (PLUS reports the mean).
    reason: why it was refused, or None.
    """

    reference_from_phantom: FloatArray
    landmarks: tuple[int, ...]
    dwells: tuple[int, ...]
    residuals_mm: FloatArray
    error_mm: ErrorStatistics
    reason: str | None = None

    @property
    def accepted(self) -> bool:
        return self.reason is None


def find_dwells(
    times_s: ArrayLike, reference_from_stylus: ArrayLike, tip_stylus_mm: ArrayLike
) -> tuple[Dwell, ...]:
    """Stretches in which the stylus's tip rests while the stylus turns, oldest first.

    times_s (n,), rising. reference_from_stylus (n, 4, 4), mm. tip_stylus_mm (3,). Two dwells in
    a row at the same place, within 5 mm, are one.
    """
    times = np.asarray(times_s, dtype=np.float64)
    poses = np.asarray(reference_from_stylus, dtype=np.float64).reshape(-1, 4, 4)
    tips = poses[:, :3, :3] @ np.asarray(tip_stylus_mm, dtype=np.float64) + poses[:, :3, 3]
    found: list[Dwell] = []
    for start, stop in _runs(_resting(times, tips)):
        if times[stop - 1] - times[start] < MIN_DWELL_S:
            continue
        dwell = _dwell(times, poses, tips, start, stop)
        if dwell is None:
            continue
        if found and np.linalg.norm(found[-1].point_mm - dwell.point_mm) < SAME_PLACE_MM:
            continue
        found.append(dwell)
    return tuple(found)


def register_phantom(
    landmarks_phantom_mm: ArrayLike, touched_reference_mm: ArrayLike
) -> PhantomRegistration:
    """As `match_phantom`, but CalibrationError also where that is refused."""
    found = match_phantom(landmarks_phantom_mm, touched_reference_mm)
    if found.reason is not None:
        raise CalibrationError(found.reason)
    return found


def match_phantom(
    landmarks_phantom_mm: ArrayLike, touched_reference_mm: ArrayLike
) -> PhantomRegistration:
    """Match touched points (m, 3) to the phantom's landmarks (n, 3) in the order of both.

    A landmark may have been missed and a place touched besides: of all ways to leave out what
    is too many, keeping the order, the one with the least rms counts (rigid fit: `fit_points`).
    Refused, with the reason, when the mean error is above 1 mm; CalibrationError for fewer than
    four pairs, or landmarks on one line.
    """
    landmarks = np.asarray(landmarks_phantom_mm, dtype=np.float64).reshape(-1, 3)
    touched = np.asarray(touched_reference_mm, dtype=np.float64).reshape(-1, 3)
    pairs = min(len(landmarks), len(touched))
    if pairs < MIN_LANDMARKS:
        raise CalibrationError(
            f"{len(touched)} places touched of {len(landmarks)} landmarks: rest the stylus on at "
            f"least four of them and tilt it by {MIN_TURN_DEG:.0f}° on each"
        )
    if comb(len(landmarks), pairs) * comb(len(touched), pairs) > MAX_MATCHES:
        raise CalibrationError(
            f"{len(touched)} places touched for {len(landmarks)} landmarks: touch each once"
        )
    best: tuple[PointFit, tuple[int, ...], tuple[int, ...]] | None = None
    for chosen in combinations(range(len(landmarks)), pairs):
        for taken in combinations(range(len(touched)), pairs):
            try:
                fit = fit_points(landmarks[list(chosen)], touched[list(taken)])
            except GeometryError as error:
                raise CalibrationError(f"landmarks: {error}") from None
            if best is None or fit.rms_mm < best[0].rms_mm:
                best = fit, chosen, taken
    assert best is not None
    fit, chosen, taken = best
    error_mm = ErrorStatistics.of(fit.residuals_mm)
    reason = None
    if error_mm.mean > MAX_MEAN_ERROR_MM:
        reason = (
            f"touched points lie {error_mm.mean:.1f} mm off the landmarks on average, above "
            f"{MAX_MEAN_ERROR_MM:.0f} mm: touch the landmarks in the phantom's order"
        )
    return PhantomRegistration(fit.matrix, chosen, taken, fit.residuals_mm, error_mm, reason)


def _resting(times_s: FloatArray, tips_mm: FloatArray) -> NDArray[np.bool_]:
    """(n,): samples of any stretch of REST_S through which the tip stays within REST_MM."""
    resting = np.zeros(len(times_s), dtype=bool)
    stops = np.searchsorted(times_s, times_s + REST_S, side="right")
    for start, stop in enumerate(stops):
        if times_s[-1] - times_s[start] < REST_S:
            break
        window = tips_mm[start:stop]
        if np.linalg.norm(window - np.median(window, axis=0), axis=1).max() < REST_MM:
            resting[start:stop] = True
    return resting


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _dwell(
    times_s: FloatArray, poses: FloatArray, tips_mm: FloatArray, start: int, stop: int
) -> Dwell | None:
    """None when the stylus did not turn, or its tip never came to rest."""
    turned_deg = largest_turn_deg(poses[start:stop])
    if turned_deg < MIN_TURN_DEG:
        return None
    stops = np.searchsorted(times_s, times_s[start:stop] + TOUCH_S, side="right")
    for first, last in enumerate(stops, start=start):
        if last > stop:
            break
        touch = tips_mm[first:last]
        if np.linalg.norm(touch - touch.mean(axis=0), axis=1).max() < TOUCH_MM:
            around = tips_mm[start:stop] - tips_mm[start:stop].mean(axis=0)
            scatter_mm = float(np.sqrt(np.mean(np.sum(around**2, axis=1))))
            return Dwell(start, stop, read_only(touch.mean(axis=0)), turned_deg, scatter_mm)
    return None
