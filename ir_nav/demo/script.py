"""The demonstration's script: what a user does at the console, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ir_nav.demo.room_process import DemoError
from ir_nav.geometry import GeometryError
from ir_nav.gui.pages.review import ReviewPage
from ir_nav.gui.remote import Remote, RemoteError
from ir_nav.recording import EventKind
from ir_nav.registration import Registration
from ir_nav.session.errors import SessionError
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, Role
from ir_nav.session.steps import Step

POLL_S = 0.05
TARGET_STRUCTURE = "Lesion"


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on when `until` holds; after timeout_s the script fails, naming `what`."""

    what: str
    until: Callable[[], bool]
    timeout_s: float = 30.0


Script = Iterator[Wait]


def procedure(
    remote: Remote, folder: Path, room_file: Path, target: str | None, *, by_images: bool
) -> Script:
    """One biopsy from the CT to the report. folder: where pictures, plan and report go.

    target: "X,Y,Z" in LPS mm, or None for the room's lesion. by_images: the registration by
    landmarks is followed by one with an ultrasound sweep and one with two fluoro views.
    """
    window, session = remote.window, remote.window.session
    screens = folder / "screens"

    def picture(name: str) -> None:
        window.grab_to(screens / f"{name}.png")

    yield _pause(0.6)
    remote.press("acknowledge")
    remote.open_room(room_file)
    yield Wait("the CT is read", lambda: session.case.volume is not None, 60.0)
    yield Wait("the 3D view is built", lambda: bool(window.desk.look.surfaces), 60.0)
    yield _pause(1.0)
    picture("1-patient")
    yield from _plan(remote, session, target)
    remote.save_plan(folder / "plan.json")
    yield _pause(0.8)
    picture("2-plan")
    yield from _set_up(remote, session, lambda: picture("3-set-up"))
    yield from _register(remote, session, lambda: picture("4-register"))
    if by_images:
        yield from _by_ultrasound(remote, session, lambda: picture("4-register-ultrasound"))
        yield from _by_fluoro(remote, session, lambda: picture("4-register-fluoro"))
    yield from _guide(remote, session, picture)
    remote.go(Step.REVIEW)
    yield Wait("the log is worked out", lambda: not window.desk.worker.busy, 30.0)
    review_page = window.pages[Step.REVIEW]
    assert isinstance(review_page, ReviewPage)
    yield Wait("the review's 3D view is drawn", lambda: review_page.scene.shows, 30.0)
    yield _pause(0.5)
    picture("6-review")
    remote.save_report(folder / "report.pdf")
    yield Wait("the report is written", (folder / "report.pdf").exists, 30.0)
    yield Wait("the worker rests", lambda: not window.desk.worker.busy, 30.0)


def _plan(remote: Remote, session: Session, target: str | None) -> Script:
    remote.go(Step.PLAN)
    remote.press("section_path")
    if target is None:
        remote.choose("target_structure", TARGET_STRUCTURE)
    else:
        remote.enter("target_lps", target)
    yield Wait("a target is placed", lambda: session.planning.draft.target_ct_mm is not None)
    remote.press("propose_path")
    yield Wait("a path is proposed", _found(remote, session), 60.0)
    yield _pause(0.8)
    remote.press("approve_plan")
    yield Wait("the plan is approved", _approved(remote, session))


def _approved(remote: Remote, session: Session) -> Callable[[], bool]:
    """The rooms' label maps name everything the protocol asks for, or the demonstration stops."""

    def approved() -> bool:
        if session.planning.plan is None and not remote.window.desk.worker.busy:
            raise DemoError(f"the path was not approved: {remote.banner}")
        return session.planning.plan is not None

    return approved


def _found(remote: Remote, session: Session) -> Callable[[], bool]:
    def found() -> bool:
        if session.planning.draft.path is None and not remote.window.desk.worker.busy:
            raise DemoError(f"no path was proposed: {remote.banner}")
        return session.planning.draft.path is not None

    return found


def _set_up(remote: Remote, session: Session, picture: Callable[[], None]) -> Script:
    remote.go(Step.SET_UP)
    remote.press("connect")
    yield Wait("the needle is seen", lambda: _sees(remote, Role.NEEDLE))
    yield Wait("the operator listens", lambda: _listens(session))
    for tool, kind in (("needle", "pivot"), ("needle", "spin"), ("stylus", "pivot")):
        remote.press(f"show_{tool}")
        _ask(session, f"{kind} {tool}")
        yield _heard(session, f"{kind}ning {tool}" if kind == "spin" else f"{kind}ing {tool}")
        remote.press(f"{kind}_{tool}")
        yield _pause(2.5)
        if kind == "pivot" and tool == "stylus":
            picture()
        yield _heard(session, f"done: {kind} {tool}", 60.0)
        remote.press(f"{kind}_{tool}")
        yield _pause(0.3)
    for tool, calibration in (("needle", session.tools.needle), ("stylus", session.tools.stylus)):
        missing = calibration.missing()
        if missing is not None:
            raise DemoError(f"the {tool} is not calibrated: {missing}")
    yield Wait("breathing is known", lambda: session.breath.model is not None, 60.0)


def _register(remote: Remote, session: Session, picture: Callable[[], None]) -> Script:
    remote.go(Step.REGISTER)
    remote.press("section_landmarks")
    # The operator lays the stylus back on its tray: a rest there is no fiducial.
    yield Wait("the stylus lies still", lambda: session.registering.stylus_rests, 20.0)
    remote.press("start_touching")
    _ask(session, "touch fiducials")
    yield Wait("every fiducial is touched", _touched(session), 120.0)
    yield _pause(0.6)
    picture()
    remote.press("accept_registration")
    yield Wait(
        "the registration is accepted", lambda: session.registering.registration is not None, 5.0
    )


def _by_ultrasound(remote: Remote, session: Session, picture: Callable[[], None]) -> Script:
    """A sweep from two windows, the CT laid on it."""
    remote.press("section_ultrasound")
    remote.press("start_sweep")
    for window in (1, 2):
        _ask(session, "sweep")
        yield _heard(session, "done: sweep", 60.0)
        if window == 1:
            _ask(session, "move probe")
            yield _heard(session, "done: move probe", 30.0)
            yield _pause(0.5)
    remote.press("start_sweep")
    yield _pause(0.5)
    before = session.registering.registration
    remote.press("register_sweep")
    yield Wait("the sweep is worked out", lambda: session.sweeping.outcome is not None, 120.0)
    yield _pause(1.0)
    picture()
    yield from _take(remote, session, before)


def _by_fluoro(remote: Remote, session: Session, picture: Callable[[], None]) -> Script:
    """Two views 60 degrees apart, each while the breath is held; the CT laid on both."""
    remote.press("section_fluoro")
    for orbit_deg in (0.0, -60.0):
        _ask(session, "turn C-arm", orbit_deg=orbit_deg)
        yield _heard(session, "done: turn C-arm", 30.0)
        _ask(session, "hold breath")
        yield _heard(session, "breath held", 30.0)
        yield from _viewed(remote, session, len(session.fluoro.views) + 1)
        yield _heard(session, "done: hold breath", 30.0)
    before = session.registering.registration
    remote.press("register_fluoro")
    yield Wait("the views are worked out", lambda: session.fluoro.found is not None, 120.0)
    yield _pause(1.0)
    picture()
    yield from _take(remote, session, before)
    session.connection.ask_operator("turn C-arm", orbit_deg=0.0)


def _viewed(remote: Remote, session: Session, count: int) -> Script:
    """Press until a frame at rest, inside the breathing gate, is taken."""

    def taken() -> bool:
        if len(session.fluoro.views) < count and remote.can_press("take_view"):
            remote.press("take_view")
        return len(session.fluoro.views) >= count

    yield _pause(1.0)
    yield Wait(f"view {count} is taken", taken, 30.0)
    yield Wait("the view can be worked with", lambda: remote.can_press("register_fluoro"), 30.0)


def _take(remote: Remote, session: Session, before: Registration | None) -> Script:
    """Accept what was found. What is refused leaves the registration before it in use."""
    remote.press("accept_registration")
    yield _pause(0.5)
    if session.registering.registration is before:
        session.journal.note(EventKind.NOTE, f"not accepted: {remote.banner}")


def _touched(session: Session) -> Callable[[], bool]:
    ended_s: float | None = None

    def touched() -> bool:
        nonlocal ended_s
        landmarks, operator = session.registering.landmarks, session.connection.operator
        if landmarks.next_index is None:
            return True
        if operator is not None and "done: touch fiducials" in operator.said:
            ended_s = ended_s or time.monotonic()
        if ended_s is not None and time.monotonic() - ended_s > 3.0:
            raise DemoError(f"a fiducial was missed: {landmarks.doubt or 'it was not seen'}")
        return False

    return touched


def _guide(remote: Remote, session: Session, picture: Callable[[str], None]) -> Script:
    remote.go(Step.GUIDE)
    _ask(session, "sweep")
    yield _heard(session, "done: sweep", 60.0)
    _ask(session, "insert")
    yield _heard(session, "off course", 120.0)
    session.connection.ask_operator("cover needle", seconds=1.2)
    yield Wait("the needle is lost", lambda: _state(remote).guidance is None, 10.0)
    yield _pause(0.5)
    picture("5-guide-no-guidance")
    yield Wait("the needle is near", lambda: _near(remote, 20.0), 60.0)
    picture("5-guide")
    yield _heard(session, "target reached", 120.0)
    yield Wait("guidance is valid", lambda: _state(remote).guidance is not None, 20.0)
    session.mark("target reached")
    yield _pause(0.8)
    _ask(session, "withdraw")
    yield _heard(session, "done: withdraw", 60.0)


def _ask(session: Session, do: str, **details: object) -> None:
    if session.connection.operator is not None:
        session.connection.operator.forget()
    session.connection.ask_operator(do, **details)


def _heard(session: Session, text: str, timeout_s: float = 30.0) -> Wait:
    def heard() -> bool:
        return session.connection.operator is not None and text in session.connection.operator.said

    return Wait(f"the operator says '{text}'", heard, timeout_s)


def _listens(session: Session) -> bool:
    try:
        session.connection.ask_operator("rest")
    except SessionError:
        return False
    return True


def _state(remote: Remote) -> NavigationState:
    state = remote.window.state
    if state is None:
        raise DemoError("the console shows nothing")
    return state


def _sees(remote: Remote, role: Role) -> bool:
    tool = _state(remote).tool(role)
    return tool is not None and tool.usable


def _near(remote: Remote, distance_mm: float) -> bool:
    guidance = _state(remote).guidance
    return guidance is not None and 4.0 < guidance.to_target_mm < distance_mm


def _pause(seconds: float) -> Wait:
    until_s = time.monotonic() + seconds
    return Wait("a moment", lambda: time.monotonic() >= until_s, seconds + 30.0)


class Player:
    """Plays a script on the window's own thread until it ends, fails, or is taken over."""

    def __init__(self, script: Script, remote: Remote, ended: Callable[[str | None], None]) -> None:
        self._script = script
        self._ended = ended
        self._remote = remote
        self._wait: Wait | None = None
        self._deadline_s = 0.0
        self._timer = remote.every(POLL_S, self._poll)

    def stop(self, why: str | None) -> None:
        """End it; why: what went wrong, None when all is well."""
        if self._timer.isActive():
            self._timer.stop()
            self._ended(why)

    def _in_vain(self, wait: Wait) -> str:
        said = f"; the console says: {self._remote.banner}" if self._remote.banner else ""
        return f"waited {wait.timeout_s:.0f} s in vain until {wait.what}{said}"

    def _poll(self) -> None:
        try:
            if self._wait is not None and not self._wait.until():
                if time.monotonic() > self._deadline_s:
                    self.stop(
                        f"waited {self._wait.timeout_s:.0f} s in vain until {self._wait.what}"
                    )
                return
            self._wait = next(self._script)
            self._deadline_s = time.monotonic() + self._wait.timeout_s
        except StopIteration:
            self.stop(None)
        except (DemoError, RemoteError, SessionError, GeometryError) as error:
            self.stop(str(error))
        except Exception as error:
            self.stop(f"unexpected error, {type(error).__name__}: {error}")
            raise
