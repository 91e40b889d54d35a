"""What the console opens when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.patient import PatientPage
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.session.case import Case, read_case, read_room_case
from ir_nav.session.errors import SessionError
from ir_nav.session.publish_address import PublishAddress
from ir_nav.session.room import read_room
from ir_nav.session.steps import Step


@dataclass(frozen=True, slots=True)
class Opening:
    """Files named on the command line. publish: where to publish over OpenIGTLink."""

    room: Path | None = None
    ct: Path | None = None
    labels: Path | None = None
    plan: Path | None = None
    publish: PublishAddress | None = None

    def require_files(self) -> None:
        """Raise before any window opens: SessionError for a missing file, RoomError for a room
        file that cannot be read."""
        for path in (self.room, self.ct, self.labels, self.plan):
            if path is not None and not path.exists():
                raise SessionError(f"{path}: there is no such file")
        if self.room is not None:
            read_room(self.room)


def open_at_start(window: MainWindow, opening: Opening) -> None:
    """Open room, CT and plan, in this order; the CT is read on the worker. Publish when asked."""
    set_up = window.pages[Step.SET_UP]
    plan_page = window.pages[Step.PLAN]
    assert isinstance(set_up, SetUpPage)
    assert isinstance(plan_page, PlanPage)

    def take(case: Case) -> None:
        if case.volume is not None:
            window.session.load_case(case.volume, case.labels, case.fiducials)
        if opening.plan is not None:
            plan_page.load(opening.plan)

    patient_page = window.pages[Step.PATIENT]
    assert isinstance(patient_page, PatientPage)
    if opening.ct is not None and opening.labels is None and opening.plan is None:
        patient_page.load(opening.ct)
    elif opening.ct is not None:
        ct, labels = opening.ct, opening.labels
        window.desk.worker.submit(
            f"Reading {ct.name}", lambda progress: read_case(ct, labels, progress=progress), take
        )
    if opening.room is not None:
        room = read_room(opening.room)
        path = opening.room
        window.desk.attempt(lambda: window.session.open_room(path))
        if opening.ct is None and room.case is not None:
            window.desk.worker.submit(
                "Reading the room's CT", lambda progress: read_room_case(room, path, progress), take
            )
    elif opening.ct is None and opening.plan is not None:
        window.desk.banner.say("Open the CT that the plan was made on, then the plan", Mood.REFUSED)
    if opening.publish is not None:
        # Last: what a taken port makes it say must stay in sight.
        port, host = opening.publish.port, opening.publish.host
        window.desk.attempt(lambda: window.session.publisher.start(port, host), keep_banner=True)
