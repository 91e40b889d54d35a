"""What was achieved against what was planned, from a needle log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray, angle_between_deg, read_only, split_offset, unit
from ir_nav.planning import Plan, PlannedPath
from ir_nav.recording import EventKind, LogContents, LogError, ShownTrack

# The needle rests while a sample is taken: this much of it, round the mark, is averaged.
MARK_WINDOW_S = 1.0
MIN_VALID = 5


@dataclass(frozen=True, slots=True)
class Placement:
    """A needle against its plan. lateral_mm: tip to planned line. depth_mm: along the line,
    positive past the target. angle_deg: shaft to planned line."""

    lateral_mm: float
    depth_mm: float
    angle_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class Achieved:
    """The needle where it was marked: mean over the valid ticks round at_s (Unix time).

    tip_ct_mm, shaft_ct (3,). start_s, end_s: the window. ticks: how many were averaged.
    marked: False where nothing was marked and the window nearest the target was taken.
    """

    placement: Placement
    tip_ct_mm: FloatArray
    shaft_ct: FloatArray
    start_s: float
    end_s: float
    ticks: int
    marked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Review:
    """A procedure in numbers. Times are Unix seconds, durations seconds.

    valid_share: ticks with guidance since the registration was accepted. achieved: None where
    no valid tick lies round the mark. entry_error_mm: where the needle's line meets the skin
    plane of the planned entry, from that entry.
    """

    plan: Plan
    achieved: Achieved | None
    entry_error_mm: float | None
    guided_s: float
    valid_share: float
    tre_predicted_mm: float | None
    fre_mm: float | None
    pivot_rms_mm: float | None


def review(log: LogContents) -> Review:
    """Work a log out. Raises LogError when it holds no plan."""
    planned = log.last(EventKind.PLAN)
    if planned is None:
        raise LogError(
            f"{log.path}: no plan was approved in this log, so there is nothing to judge"
        )
    plan = Plan.model_validate(dict(planned.data))
    achieved = _achieved(log, plan.path)
    registered = _last_with(log, EventKind.REGISTRATION, "tre_predicted_mm")
    pivoted = next(
        (
            event
            for event in reversed(log.events)
            if event.kind is EventKind.CALIBRATION and event.data.get("tool") == "needle"
        ),
        None,
    )
    since_s = registered[0] if registered else log.started_s
    after = log.shown.now_s >= since_s
    return Review(
        plan=plan,
        achieved=achieved,
        entry_error_mm=None if achieved is None else _entry_error(plan.path, achieved),
        guided_s=float(np.ptp(log.shown.now_s[after])) if after.any() else 0.0,
        valid_share=float(log.shown.valid[after].mean()) if after.any() else 0.0,
        tre_predicted_mm=registered[1]["tre_predicted_mm"] if registered else None,
        fre_mm=registered[1]["fre_mm"] if registered else None,
        pivot_rms_mm=pivoted.data.get("rms_mm") if pivoted else None,
    )


def placement(path: PlannedPath, tip_ct_mm: FloatArray, shaft_ct: FloatArray) -> Placement:
    """A tip (3,) mm and shaft (3,) against the plan."""
    depth, offset = split_offset(tip_ct_mm, path.target_ct_mm, path.direction_ct)
    angle = angle_between_deg(shaft_ct, path.direction_ct)
    return Placement(float(np.linalg.norm(offset)), depth, angle)


def _last_with(
    log: LogContents, kind: EventKind, key: str
) -> tuple[float, dict[str, float]] | None:
    for event in reversed(log.events):
        if event.kind is kind and key in event.data:
            return event.time_s, dict(event.data)
    return None


def _achieved(log: LogContents, path: PlannedPath) -> Achieved | None:
    shown = log.shown
    if not shown.valid.any():
        return None
    mark = log.last(EventKind.MARK)
    centre_s = _nearest_s(shown, path) if mark is None else mark.time_s
    start_s, end_s = centre_s - MARK_WINDOW_S, centre_s + MARK_WINDOW_S / 2
    chosen = shown.valid & (shown.now_s >= start_s) & (shown.now_s <= end_s)
    if chosen.sum() < MIN_VALID:
        return None
    tip = shown.tip_ct_mm[chosen].mean(axis=0)
    shaft = unit(shown.shaft_ct[chosen].mean(axis=0))
    return Achieved(
        placement(path, tip, shaft),
        read_only(tip),
        read_only(shaft),
        start_s,
        end_s,
        int(chosen.sum()),
        mark is not None,
    )


def _nearest_s(shown: ShownTrack, path: PlannedPath) -> float:
    """Time of the valid tick in whose window the tip was nearest the target on average, so that a
    needle on its way through does not pass for one at rest."""
    times = shown.now_s[shown.valid]
    distances = np.linalg.norm(shown.tip_ct_mm[shown.valid] - path.target_ct_mm, axis=1)
    first = np.searchsorted(times, times - MARK_WINDOW_S, "left")
    after = np.searchsorted(times, times + MARK_WINDOW_S / 2, "right")
    sums = np.concatenate([[0.0], np.cumsum(distances)])
    means = (sums[after] - sums[first]) / (after - first)
    return float(times[int(np.argmin(np.where(after - first >= MIN_VALID, means, np.inf)))])


def _entry_error(path: PlannedPath, achieved: Achieved) -> float:
    """Where the straight needle crosses the plane square to the path through the entry."""
    advance = float(np.dot(achieved.shaft_ct, path.direction_ct))
    back, _ = split_offset(achieved.tip_ct_mm, path.entry_ct_mm, path.direction_ct)
    crossing = achieved.tip_ct_mm - achieved.shaft_ct * (back / max(advance, 0.2))
    return float(np.linalg.norm(crossing - path.entry_ct_mm))
