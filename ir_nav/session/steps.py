"""The workflow: what each step needs before it can be opened, and what it gave, in words."""

from __future__ import annotations

from enum import IntEnum

from ir_nav.session.session import Session
from ir_nav.session.state import Refusal


class Step(IntEnum):
    """Steps of a procedure, in order."""

    PATIENT = 1
    PLAN = 2
    SET_UP = 3
    REGISTER = 4
    GUIDE = 5
    REVIEW = 6

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


def refusal(step: Step, session: Session) -> Refusal | None:
    """Why a step cannot be opened yet, or None."""
    if step is Step.PLAN:
        return _plan_refusal(session)
    if step is Step.REGISTER:
        if session.case.volume is None:
            return Refusal("no CT is open", "Open a CT in Patient")
        if session.connection.streams is None:
            # What is not calibrated hinders only the ways of registering that need it.
            return Refusal("no device is connected", "Open a room file and connect in Set up")
    if step is Step.GUIDE:
        return _guide_refusal(session)
    return None


def _plan_refusal(session: Session) -> Refusal | None:
    volume = session.case.volume
    if volume is None:
        return Refusal("no CT is open", "Open a CT in Patient")
    if volume.description.unit != "HU":
        # Bone, gas and skin are found by HU, which other images do not have.
        return Refusal(
            f"the open image is {volume.description.modality}, not CT", "Open a CT in Patient"
        )
    return None


def _guide_refusal(session: Session) -> Refusal | None:
    if session.planning.plan is None:
        return Refusal("no path is approved", "Approve a path in Plan")
    if session.plan_watch.withdrawn is not None:
        return Refusal(
            "the approved path is not allowed any more", f"In Plan: {session.plan_watch.withdrawn}"
        )
    if session.connection.streams is None:
        return Refusal("no device is connected", "Open a room file and connect in Set up")
    missing = session.tools.needle.missing()
    if missing is not None:
        return Refusal("the needle is not calibrated", f"In Set up: {missing}")
    if session.registering.registration is None:
        return Refusal("the CT is not registered", "Register it in Register and accept")
    return None


def done(step: Step, session: Session) -> bool:
    """Whether a step has given what the next ones need."""
    return {
        Step.PATIENT: session.case.volume is not None,
        Step.PLAN: session.planning.plan is not None and session.plan_watch.withdrawn is None,
        Step.SET_UP: session.tools.needle.tool_from_tip is not None and _finds_patient(session),
        Step.REGISTER: session.registering.registration is not None,
        Step.GUIDE: session.marked,
        Step.REVIEW: False,
    }[step]


def _finds_patient(session: Session) -> bool:
    """Whether something that registers the CT is known: stylus, probe or C-arm."""
    room, scanner = session.connection.room, session.scanner.use
    if session.tools.stylus.tool_from_tip is not None:
        return True
    if room is None or session.connection.streams is None:
        return False
    entry = room.ultrasound
    calibrated = scanner.probe_from_image is not None or (entry is not None and entry.calibrated)
    probe = entry is not None and calibrated and scanner.reason is None
    # A room file states where its C-arm is, or which tool reports it.
    return probe or room.fluoro is not None


def summary(step: Step, session: Session) -> str:
    """In a few words, what a step gave; empty while it gave nothing."""
    volume, plan = session.case.volume, session.planning.plan
    if step is Step.PATIENT and volume is not None:
        return volume.description.study_date or "CT open"
    if step is Step.PLAN and plan is not None:
        if session.plan_watch.withdrawn is not None:
            return "Path not allowed any more"
        return f"{plan.path.length_mm:.0f} mm path"
    if step is Step.SET_UP:
        if session.tools.collection is not None:
            return f"{session.tools.collection.kind}: {session.tools.collection.role}"
        running = next((one.kind for one in session.scanner if one.running), None)
        if running is not None:
            return f"{running} …"
        if done(step, session) and session.tools.needle.pivot is not None:
            return f"Needle tip {session.tools.needle.pivot.rms_mm:.1f} mm"
        return "Connected" if session.connection.streams is not None else ""
    if step is Step.REGISTER:
        tre = session.registering.accepted_tre_mm
        if tre is not None:
            return f"{tre:.1f} mm at target"
        if session.registering.landmarks.active:
            touching = session.registering.landmarks
            return f"{touching.count} of {len(touching.fiducials)} touched"
    if step is Step.GUIDE and session.marked:
        return "Marked in the log"
    return ""
