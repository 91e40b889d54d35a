"""How far the tracker's timestamps lag behind the images', from a motion that both have seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray
from ir_nav.tracking.calibration.result import CalibrationError, ErrorStatistics, Rejection

BoolArray = NDArray[np.bool_]

MAX_LAG_S = 0.5
COARSE_STEP_S = 0.005
FINE_STEP_S = 0.001
FINE_REACH_S = 0.02
# What PLUS asks for: less motion drowns in the noise of one of the two.
MIN_MOTION_MM = 8.0
MIN_MOTION_PX = 30.0
MIN_PERIODS = 3.0
MIN_CORRELATION = 0.9
# A second lag that fits nearly as well: the motion repeats itself within the search.
MAX_RIVAL_SHARE = 0.97
MIN_IMAGES = 30
MAX_GAP_S = 0.5
MIN_SEGMENT_IMAGES = 10
MAX_SEGMENTS = 12
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class DelayCalibration:
    """tracker_lag_s: timestamp of the tracker minus that of the image for the same instant, as
    PLUS counts: negative when the tracker leads; None when it was refused.

    error_s: how far the lags of single stretches, each a period or more of the motion, lie from
    it. lag_error_s: standard error of the lag itself, from leaving out one stretch after the
    other (jackknife, Tukey 1958). correlation: of the two motions at that lag, 0 to 1.
    motion_mm, motion_px: what each moved, 5th to 95th percentile. periods: up-and-down motions
    seen. used: images. rejected: images left out.
    """

    tracker_lag_s: float | None
    error_s: ErrorStatistics | None
    lag_error_s: float | None
    correlation: float
    motion_mm: float
    motion_px: float
    periods: float
    used: int
    rejected: tuple[Rejection, ...]
    reason: str | None

    @property
    def accepted(self) -> bool:
        return self.reason is None


def calibrate_delay(
    image_times_s: ArrayLike,
    heights_px: ArrayLike,
    tracker_times_s: ArrayLike,
    tracker_positions_mm: ArrayLike,
    max_lag_s: float = MAX_LAG_S,
) -> DelayCalibration:
    """From a line's height (n,) in images at (n,) s and a probe's places (m, 3) at (m,) s.

    NaN heights are images without a line. The probe's place along the principal axis of its
    motion is compared with the height: both with mean 0 and standard deviation 1, the lag with
    the largest correlation, refined by a parabola through the correlations within 20 ms of it.
    Raises CalibrationError for lists of the wrong lengths, or times that do not rise.
    """
    times, heights = _rising(image_times_s, heights_px, "images")
    tracker_times, places = _rising(tracker_times_s, tracker_positions_mm, "poses")
    _, _, axes = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
    along_mm = (places - places.mean(axis=0)) @ axes[0]
    used, rejected = _usable(times, heights, tracker_times, max_lag_s)
    images, signal_px = times[used], heights[used]
    motion_mm, motion_px, periods = _spread(along_mm), _spread(signal_px), _periods(signal_px)
    reason = _too_few(len(used), rejected) or _motion_fault(motion_mm, motion_px, periods)
    if reason is not None:
        return DelayCalibration(
            None, None, None, 0.0, motion_mm, motion_px, periods, len(images), rejected, reason
        )

    everything = np.ones(len(images), dtype=bool)

    def correlate(lags_s: FloatArray, part: BoolArray = everything) -> FloatArray:
        moved = np.interp(images[part] + lags_s[:, None], tracker_times, along_mm)
        return _correlations(moved, signal_px[part])

    lag_s, strength, reason = _best_lag(correlate, max_lag_s)
    parts = _stretches(len(images), periods)
    alone = [_refined(correlate, lag_s, part) - lag_s for part in parts]
    without = np.array([_refined(correlate, lag_s, ~part) for part in parts])
    scale = (len(parts) - 1.0) / len(parts)
    return DelayCalibration(
        tracker_lag_s=lag_s if reason is None else None,
        error_s=ErrorStatistics.of(alone),
        lag_error_s=float(np.sqrt(scale * np.sum((without - without.mean()) ** 2))),
        correlation=strength,
        motion_mm=motion_mm,
        motion_px=motion_px,
        periods=periods,
        used=len(images),
        rejected=rejected,
        reason=reason,
    )


def delay_json(delay: DelayCalibration) -> dict[str, Any]:
    """Plain numbers for json.dumps; null where nothing could be said."""
    return {
        "format": FORMAT,
        "tracker_lag_s": delay.tracker_lag_s,
        "error_s": None if delay.error_s is None else delay.error_s.as_json(),
        "lag_error_s": delay.lag_error_s,
        "correlation": delay.correlation,
        "motion_mm": delay.motion_mm,
        "motion_px": delay.motion_px,
        "periods": delay.periods,
        "used": delay.used,
        "rejected": [{"index": one.index, "reason": one.reason} for one in delay.rejected],
        "accepted": delay.accepted,
        "reason": delay.reason,
    }


def _rising(times_s: ArrayLike, values: ArrayLike, what: str) -> tuple[FloatArray, FloatArray]:
    times = np.asarray(times_s, dtype=np.float64).reshape(-1)
    array = np.asarray(values, dtype=np.float64)
    if len(times) != len(array) or len(times) < 2:
        raise CalibrationError(f"{len(array)} {what} at {len(times)} times: record both anew")
    if not (np.diff(times) > 0.0).all():
        raise CalibrationError(f"the {what}' times do not rise: record them anew")
    return times, array


def _usable(
    times_s: FloatArray, heights_px: FloatArray, tracker_times_s: FloatArray, max_lag_s: float
) -> tuple[NDArray[np.int64], tuple[Rejection, ...]]:
    """Indices of images that have a line and poses all around within the search."""
    begin, end = tracker_times_s[0] + max_lag_s, tracker_times_s[-1] - max_lag_s
    after = np.clip(np.searchsorted(tracker_times_s, times_s), 1, len(tracker_times_s) - 1)
    gaps = tracker_times_s[after] - tracker_times_s[after - 1]
    rejected, used = [], []
    for index, time_s in enumerate(times_s):
        if not np.isfinite(heights_px[index]):
            rejected.append(Rejection(index, "no line in the image"))
        elif not begin <= time_s <= end:
            rejected.append(Rejection(index, f"no poses within {max_lag_s:g} s around the image"))
        elif gaps[index] > MAX_GAP_S:
            rejected.append(Rejection(index, f"the tracker has a gap of {gaps[index]:.1f} s"))
        else:
            used.append(index)
    return np.array(used, dtype=np.int64), tuple(rejected)


def _too_few(used: int, rejected: tuple[Rejection, ...]) -> str | None:
    if used >= MIN_IMAGES:
        return None
    reasons = [one.reason for one in rejected]
    why = max(set(reasons), key=reasons.count) if reasons else "the recording is short"
    return (
        f"only {used} images can be used, {MIN_IMAGES} are needed ({why}): record both at the "
        "same time, the line in sight"
    )


def _spread(values: FloatArray) -> float:
    if not len(values):
        return 0.0
    low, high = np.percentile(values, (5.0, 95.0))
    return float(high - low)


def _periods(signal: FloatArray) -> float:
    """Half the number of times the motion passes its middle, a tenth of its spread past it."""
    if not len(signal):
        return 0.0
    middle = signal - (signal.max() + signal.min()) / 2.0
    sides = np.sign(middle[np.abs(middle) > 0.1 * _spread(signal)])
    return float(np.count_nonzero(np.diff(sides))) / 2.0


def _motion_fault(motion_mm: float, motion_px: float, periods: float) -> str | None:
    if motion_mm < MIN_MOTION_MM:
        return f"the probe moved only {motion_mm:.1f} mm: move it by {MIN_MOTION_MM:.0f} mm or more"
    if motion_px < MIN_MOTION_PX:
        return f"the line moved only {motion_px:.0f} px: move by {MIN_MOTION_PX:.0f} px or more"
    if periods < MIN_PERIODS:
        return f"only {periods:g} up-and-down motions: make {MIN_PERIODS:.0f} or more"
    return None


def _correlations(moved: FloatArray, signal: FloatArray) -> FloatArray:
    """Pearson's, of each row of moved (l, n) with signal (n,)."""
    a = moved - moved.mean(axis=1, keepdims=True)
    b = signal - signal.mean()
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b)
    return np.asarray((a @ b) / np.maximum(norms, 1e-12))


def _best_lag(
    correlate: Callable[[FloatArray], FloatArray], max_lag_s: float
) -> tuple[float, float, str | None]:
    """Lag, correlation there, and why it cannot be relied on."""
    lags = np.arange(-max_lag_s, max_lag_s + COARSE_STEP_S / 2.0, COARSE_STEP_S)
    # Which way the probe's axis points is not known: the sign says nothing.
    strengths = np.abs(correlate(lags))
    best = int(np.argmax(strengths))
    if best in (0, len(lags) - 1):
        words = f"the best delay lies at the edge of the search, {lags[best]:+.2f} s"
        return float(lags[best]), float(strengths[best]), f"{words}: record both at the same time"
    lag_s = _refined(correlate, float(lags[best]))
    strength = float(np.abs(correlate(np.array([lag_s])))[0])
    if strength < MIN_CORRELATION:
        words = f"image and tracker agree with {strength:.2f} only, below {MIN_CORRELATION}"
        return lag_s, strength, f"{words}: move straight up and down over the flat bottom"
    inner = strengths[1:-1]
    peaks = (inner >= strengths[:-2]) & (inner >= strengths[2:])
    peaks[best - 1] = False
    if peaks.any() and inner[peaks].max() > MAX_RIVAL_SHARE * strength:
        rival = lags[1:-1][peaks][int(np.argmax(inner[peaks]))]
        return lag_s, strength, f"{rival:+.2f} s fits as well as {lag_s:+.2f} s: move more slowly"
    return lag_s, strength, None


def _refined(
    correlate: Callable[..., FloatArray], around_s: float, part: BoolArray | None = None
) -> float:
    """Top of the parabola through the correlations within FINE_REACH_S, of a part or of all."""
    offsets = np.arange(-FINE_REACH_S, FINE_REACH_S + FINE_STEP_S / 2.0, FINE_STEP_S)
    lags_s = around_s + offsets
    strengths = np.abs(correlate(lags_s) if part is None else correlate(lags_s, part))
    square, linear, _ = np.polyfit(offsets, strengths, 2)
    if square >= 0.0:
        return float(lags_s[int(np.argmax(strengths))])
    reach = 5.0 * FINE_REACH_S
    return around_s + float(np.clip(-linear / (2.0 * square), -reach, reach))


def _stretches(count: int, periods: float) -> list[BoolArray]:
    """Which images (n,) each of the equal stretches holds: a whole up-and-down motion or more."""
    pieces = max(2, min(int(periods), count // MIN_SEGMENT_IMAGES, MAX_SEGMENTS))
    which = np.arange(count) * pieces // count
    return [which == piece for piece in range(pieces)]
