"""What the top bar says, worked out from the session."""

from __future__ import annotations

from ir_nav.gui import theme
from ir_nav.gui.bars import Header
from ir_nav.planning.patient_words import side_words
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState
from ir_nav.session.steps import Step


def header_of(
    session: Session, state: NavigationState, step: Step, log_started_s: float | None
) -> Header:
    """The header at one tick."""
    volume = session.case.volume
    info = None if volume is None else volume.description
    guiding = step is Step.GUIDE
    log = "" if log_started_s is None else clock_words(state.now_s - log_started_s)
    return Header(
        patient=info.patient_name if info is not None else "",
        patient_id=info.patient_id if info is not None else "",
        opened=info is not None,
        side=side_of(session),
        procedure=_procedure(session),
        source=state.source
        or (None if session.connection.room is None else session.connection.room.source),
        log=log,
        valid=(state.guidance is not None) if guiding else None,
        waiting=waits_for_breath(state),
        reason="" if state.refusal is None else state.refusal.reason,
    )


def side_of(session: Session) -> str:
    """Laterality from the images' header, else the side of the body the target lies on."""
    volume = session.case.volume
    if volume is None:
        return ""
    plan, target = session.planning.plan, session.planning.draft.target_ct_mm
    if plan is not None:
        target = plan.path.target_ct_mm
    return side_words(volume, target)


def waits_for_breath(state: NavigationState) -> bool:
    """Whether guidance is missing only because the breath is outside its gate."""
    breathing = state.breathing
    if state.guidance is not None or state.refusal is None or breathing is None:
        return False
    return not breathing.inside and state.refusal.reason.startswith("breathing")


def alarm_of(state: NavigationState, step: Step) -> str | None:
    """Colour of the stage's frame."""
    if step is not Step.GUIDE or state.guidance is not None:
        return None
    return theme.ALARM_MEDIUM if waits_for_breath(state) else theme.ALARM_HIGH


def clock_words(seconds: float) -> str:
    """Elapsed time as 00:12:41."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _procedure(session: Session) -> str:
    """That of the approved plan; the protocol at hand may be for the next one."""
    plan, words = session.planning.plan, session.planning.protocol.name
    if session.case.volume is None:
        return ""
    return words if plan is None else f"{plan.protocol or words} · {plan.name}"
