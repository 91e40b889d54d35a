"""Works out a patient's distances ahead of the first question, and again after each change."""

from __future__ import annotations

from collections.abc import Callable

from ir_nav.gui.desk import Desk
from ir_nav.imaging import ImagingError
from ir_nav.planning import Ground, PlanError, Protocol
from ir_nav.progress import Progress
from ir_nav.session.case import Case, ground_of


class GroundWatch:
    """Keeps the session's ground up with its case and protocol, on the worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: tuple[Case, Protocol] | None = None

    def follow(self) -> None:
        """Begin where it is missing; the body comes from opening the CT."""
        session, outline = self._desk.session, self._desk.look.outline
        case, protocol = session.case, session.planning.protocol
        if session.planning.ground is not None or case.volume is None or self._desk.worker.busy:
            return
        if outline is None or outline.volume is not case.volume:
            return
        asked = self._asked
        if asked is not None and asked[0] is case and asked[1] is protocol:
            return
        self._asked = (case, protocol)
        self._desk.worker.submit(
            "Measuring distances",
            lambda _: (case, protocol, ground_of(case, protocol, outline)),
            self._take,
            quiet=True,
        )

    def measure_then(self, act: Callable[[], object]) -> None:
        """Call `act()` once distances are known, or cannot be."""
        session, outline = self._desk.session, self._desk.look.outline
        case, protocol = session.case, session.planning.protocol

        def work(_: Progress) -> tuple[Case, Protocol, Ground | None]:
            try:
                return case, protocol, ground_of(case, protocol, outline)
            except (PlanError, ImagingError):
                return case, protocol, None

        def done(found: tuple[Case, Protocol, Ground | None]) -> None:
            self._take(found)
            act()

        self._desk.worker.submit("Measuring the path", work, done)

    def _take(self, found: tuple[Case, Protocol, Ground | None]) -> None:
        case, protocol, ground = found
        session = self._desk.session
        if ground is not None and session.case is case and session.planning.protocol is protocol:
            session.planning.take_ground(ground)
