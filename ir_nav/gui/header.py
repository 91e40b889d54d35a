"""What the top bar says, worked out from the session."""

from __future__ import annotations

from ir_nav.gui.bars import Header
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, ToolState
from ir_nav.session.steps import Step

SIDES = {"L": "LEFT", "R": "RIGHT", "B": "BOTH SIDES"}
# A target nearer to the middle than this has no side.
MIDDLE_MM = 15.0


def header_of(
    session: Session, state: NavigationState, step: Step, log_started_s: float | None
) -> Header:
    """The header at one tick."""
    volume = session.case.volume
    info = None if volume is None else volume.description
    guiding = step is Step.GUIDE
    log = "" if log_started_s is None else clock_words(state.now_s - log_started_s)
    return Header(
        patient=(info.patient_name or "Unnamed patient") if info is not None else "",
        patient_id=info.patient_id if info is not None else "",
        side=side_of(session),
        procedure=_procedure(session),
        source=state.source,
        log=log,
        valid=(state.guidance is not None) if guiding else None,
        reason=reason_of(state),
    )


def side_of(session: Session) -> str:
    """Laterality from the images' header, else the side of the body the target lies on."""
    volume = session.case.volume
    if volume is None:
        return ""
    stated = SIDES.get(volume.description.laterality or "")
    if stated:
        return stated
    target = session.draft.target_ct_mm
    if session.plan is not None:
        target = session.plan.path.target_ct_mm
    if target is None:
        return ""
    from_middle = float(target[0] - volume.centre_ct_mm[0])
    if abs(from_middle) < MIDDLE_MM:
        return "MIDLINE"
    return "LEFT" if from_middle > 0.0 else "RIGHT"


def reason_of(state: NavigationState) -> str:
    """The refusal's reason; with how long, where a tool was lost."""
    if state.refusal is None:
        return ""
    reason = state.refusal.reason
    for tool in state.tools:
        lost = tool.state in (ToolState.MISSING, ToolState.STALE) and tool.age_s is not None
        if lost and reason == f"{tool.name} {tool.state.value}":
            return f"{reason} {tool.age_s:.1f} s"
    return reason


def clock_words(seconds: float) -> str:
    """Elapsed time as 00:12:41."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _procedure(session: Session) -> str:
    parts = [session.protocol.name] if session.case.volume is not None else []
    if session.plan is not None:
        parts.append(session.plan.name)
    return " · ".join(parts)
