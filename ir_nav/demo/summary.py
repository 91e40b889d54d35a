"""What the demonstration reached, against the room's truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.geometry import FloatArray, apply, rigid_inverse, unit
from ir_nav.gui.paint_clock import PaintSummary
from ir_nav.recording import Event, EventKind, LogContents, LogCounts, read_log
from ir_nav.review import Placement, Review, placement, review

FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The room's truth. constants: first line of its file. times_s (n,), tip_tissue_mm and
    axis_ct (n, 3): needle tip against the tissue round the target, and shaft direction."""

    constants: dict[str, Any]
    times_s: FloatArray
    tip_tissue_mm: FloatArray
    axis_ct: FloatArray

    def tip_at(self, times_s: FloatArray) -> FloatArray:
        """(m, 3) at times (m,), between the two nearest instants."""
        columns = [np.interp(times_s, self.times_s, column) for column in self.tip_tissue_mm.T]
        return np.array(columns).T

    def axis_at(self, times_s: FloatArray) -> FloatArray:
        columns = [np.interp(times_s, self.times_s, column) for column in self.axis_ct.T]
        return np.array(columns).T


def read_truth(path: Path) -> Truth:
    """Read a truth file; a line cut off at the end is left out."""
    constants: dict[str, Any] = {}
    instants: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "t" in record:
            instants.append(record)
        else:
            constants = record
    return Truth(
        constants,
        np.array([item["t"] for item in instants]),
        np.array([item["tip"] for item in instants]),
        np.array([item["axis"] for item in instants]),
    )


def summarise(
    log_path: Path, truth: Truth, paint: PaintSummary, counts: LogCounts
) -> dict[str, Any]:
    """The summary as written to summary.json: mm, degrees, ms, shares of one."""
    log = read_log(log_path)
    result = review(log)
    summary: dict[str, Any] = _rounded(
        {
            "format": FORMAT,
            "registration": _registration(log, result, truth),
            "registrations": _registrations(log, result, truth),
            "pivot": _pivot(log, truth),
            "guidance": _guidance(log, result, truth),
            "achieved": _placement(result.achieved.placement if result.achieved else None),
            "achieved_true": _placement(_achieved_true(log, result, truth)),
            "sample_age_at_paint_ms": {
                "p50": paint.age_p50_ms,
                "p99": paint.age_p99_ms,
                "max": paint.age_max_ms,
            },
            "paint_rate_hz": paint.rate_hz,
            "samples": {
                "received": counts.received,
                "logged": sum(log.sample_counts.values()),
                "lost": counts.received - sum(log.sample_counts.values()),
            },
        }
    )
    return summary


def _registration(log: LogContents, result: Review, truth: Truth) -> dict[str, float | None]:
    event = next(reversed(_accepted(log)), None)
    return {
        "fre_mm": result.fre_mm,
        "tre_predicted_mm": result.tre_predicted_mm,
        "tre_true_mm": None if event is None else _tre_true_mm(event, result, truth),
    }


def _registrations(
    log: LogContents, result: Review, truth: Truth
) -> list[dict[str, float | str | None]]:
    """Every registration accepted, in order, with its error at the target."""
    return [
        {
            "method": event.data.get("method", "landmarks"),
            "tre_predicted_mm": event.data.get("tre_predicted_mm"),
            "tre_true_mm": _tre_true_mm(event, result, truth),
        }
        for event in _accepted(log)
    ]


def _accepted(log: LogContents) -> list[Event]:
    """Every registration that was put to use, oldest first."""
    return [
        event
        for event in log.events
        if event.kind is EventKind.REGISTRATION and "ct_from_reference" in event.data
    ]


def _tre_true_mm(event: Event, result: Review, truth: Truth) -> float:
    target = np.array(result.plan.target_ct_mm)
    true = np.array(truth.constants["ct_from_reference"])
    on_patient = apply(rigid_inverse(true), target)
    found = apply(np.array(event.data["ct_from_reference"]), on_patient)
    return float(np.linalg.norm(found - target))


def _pivot(log: LogContents, truth: Truth) -> dict[str, float | None]:
    event = next(
        (
            event
            for event in reversed(log.events)
            if event.kind is EventKind.CALIBRATION and event.data.get("tool") == "needle"
        ),
        None,
    )
    if event is None or "tip_mm" not in event.data:
        return {"residual_mm": None, "tip_error_true_mm": None}
    true_tip = np.array(truth.constants["needle_from_tip"])[:3, 3]
    error = float(np.linalg.norm(np.array(event.data["tip_mm"]) - true_tip))
    return {"residual_mm": event.data["rms_mm"], "tip_error_true_mm": error}


def _guidance(log: LogContents, result: Review, truth: Truth) -> dict[str, Any]:
    """Tip shown against the true tip in the tissue, over every valid tick since the registration
    that guided was accepted.

    tip_error_mm: at the instant the shown pose was measured. tip_error_at_paint_mm: at the
    instant of the tick, so that the needle's motion during the delay counts too.
    inside_shown_error_95: share of ticks with the true tip inside the 95 % radius on screen.
    """
    shown = log.shown
    since_s = max((event.time_s for event in _accepted(log)), default=0.0)
    valid = shown.valid & (shown.now_s >= since_s)
    errors: dict[str, Any] = dict.fromkeys(
        ("tip_error_mm", "tip_error_at_paint_mm", "inside_shown_error_95")
    )
    if valid.any():
        for name, times in (
            ("tip_error_mm", shown.pose_source_s[valid]),
            ("tip_error_at_paint_mm", shown.now_s[valid]),
        ):
            off = np.linalg.norm(shown.tip_ct_mm[valid] - truth.tip_at(times), axis=1)
            errors[name] = {
                "mean": float(off.mean()),
                "p95": float(np.percentile(off, 95.0)),
                "max": float(off.max()),
            }
        said = shown.error_95_mm[valid]
        off = np.linalg.norm(shown.tip_ct_mm[valid] - truth.tip_at(shown.now_s[valid]), axis=1)
        errors["inside_shown_error_95"] = float(np.mean(off <= said))
    return {**errors, "valid_share": result.valid_share}


def _achieved_true(log: LogContents, result: Review, truth: Truth) -> Placement | None:
    """The true needle over the same ticks from which the console took its figures."""
    achieved, shown = result.achieved, log.shown
    if achieved is None:
        return None
    inside = (shown.now_s >= achieved.start_s) & (shown.now_s <= achieved.end_s)
    times = shown.pose_source_s[shown.valid & inside]
    tip = truth.tip_at(times).mean(axis=0)
    axis = unit(truth.axis_at(times).mean(axis=0))
    return placement(result.plan.path, tip, axis)


def _placement(found: Placement | None) -> dict[str, float | None]:
    if found is None:
        return {"lateral_mm": None, "depth_mm": None, "angle_deg": None}
    return {
        "lateral_mm": found.lateral_mm,
        "depth_mm": found.depth_mm,
        "angle_deg": found.angle_deg,
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
