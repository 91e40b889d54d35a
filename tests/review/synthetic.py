"""A needle log of a procedure whose outcome is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ir_nav.planning import Plan
from ir_nav.recording import Event, EventKind, LogContents, NeedleLog, Shown, read_log

# Down the y axis: 100 mm from the entry to the target.
PLAN = Plan(
    name="Segment <VI & VII>",
    ct_identity="ct",
    entry_ct_mm=(5.0, -100.0, 7.0),
    target_ct_mm=(5.0, 0.0, 7.0),
)
START_S = 1.7e9
REST_S = START_S + 30.0  # when the needle has come to rest


def write(
    path: Path,
    tip_mm: tuple[float, float, float],
    shaft: tuple[float, float, float] = (0.0, 1.0, 0.0),
    *,
    plan: Plan | None = PLAN,
    marked_s: float | None = REST_S + 3.0,
    blank: tuple[float, float] = (0.0, 0.0),
    noise_mm: float = 0.2,
    withdraw: bool = False,
) -> LogContents:
    """60 s at 20 Hz, registered at 5 s: 25 s of approach from 80 mm up, then rest at tip_mm (for
    10 s when it is withdrawn again). blank: seconds from the start between which nothing was
    valid. Noise sums to nothing over each second."""
    rng = np.random.default_rng(2)
    direction = np.array(shaft) / np.linalg.norm(shaft)
    with NeedleLog(path, lambda: START_S) as log:
        if plan is not None:
            log.event(Event(START_S, EventKind.PLAN, plan.name, plan.model_dump(mode="json")))
        calibrations = [("needle", 0.31), ("stylus", 0.99)]
        for tool, rms_mm in calibrations:
            data = {"tool": tool, "rms_mm": rms_mm}
            log.event(Event(START_S + 1, EventKind.CALIBRATION, f"pivot of the {tool}", data))
        accepted = {"fre_mm": 0.9, "tre_predicted_mm": 1.4}
        log.event(Event(START_S + 5, EventKind.REGISTRATION, "accepted", accepted))
        log.event(Event(START_S + 6, EventKind.REGISTRATION, "no fit: one line"))
        for tick in range(1200):
            since_s = tick / 20.0
            now_s = START_S + since_s
            if since_s < 5.0:
                log.shown(Shown(now_s, "not registered"))
                continue
            if blank[0] <= since_s < blank[1]:
                log.shown(Shown(now_s, "needle out of view 0.4 s"))
                continue
            way = 80.0 * max(0.0, (30.0 - since_s) / 25.0)
            if withdraw and since_s > 40.0:
                way = 4.0 * (since_s - 40.0)
            shake = rng.normal(0, noise_mm, 3) if tick % 2 == 0 else -shake  # noqa: F821
            tip = np.array(tip_mm) - way * direction + shake
            to_target = -float(tip[1])
            off = float(np.hypot(tip[0] - 5.0, tip[2] - 7.0))
            log.shown(Shown(now_s, None, now_s - 0.03, tip, direction, to_target, off, 0.0, 0.1))
        if marked_s is not None:
            log.event(Event(marked_s, EventKind.MARK, "at the target"))
    return read_log(path)
