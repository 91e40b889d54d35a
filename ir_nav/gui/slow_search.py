"""Feeds the worker with the frames of a running calibration, and works it out at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from PyQt6.QtCore import QObject, QTimer

from ir_nav.gui.desk import Desk
from ir_nav.progress import Progress

POLL_MS = 30


class Run(Protocol):
    """What is being measured: a sweep, or a delay's motion."""

    @property
    def ready(self) -> bool: ...

    def add(self, found: Any, /) -> None: ...


class Searching(Protocol):
    """A calibration whose frames are searched on the worker."""

    @property
    def running(self) -> bool: ...

    def next_search(self) -> Callable[[], Any] | None: ...

    def solution(self) -> Callable[[], Any]: ...

    def conclude(self, outcome: Any, /) -> bool: ...


class SlowSearch(QObject):
    """Goes on whichever page is open. run(): what is under way, or None."""

    def __init__(
        self,
        desk: Desk,
        step: Searching,
        run: Callable[[], Run | None],
        concluded: Callable[[bool], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._desk = desk
        self._step = step
        self._run = run
        self._concluded = concluded
        self._solved: Run | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._timer.start(POLL_MS)

    def _poll(self) -> None:
        if self._run() is not None:
            self._desk.attempt(self._feed, keep_banner=True)

    def _feed(self) -> None:
        run = self._run()
        search = self._step.next_search()
        if run is None:
            return
        if search is not None:
            work = search
            self._desk.worker.submit("Searching", lambda _: work(), run.add, quiet=True)
        elif run.ready and run is not self._solved:
            self._solved = run
            solve = self._step.solution()
            self._desk.worker.submit("Calibrating", _quietly(solve), self._take(run), quiet=True)

    def _take(self, run: Run) -> Callable[[Any], None]:
        def take(outcome: Any) -> None:
            # Cancelled while it was worked out: then it is not wanted any more.
            if self._run() is run:
                self._concluded(self._step.conclude(outcome))

        return take


def _quietly(work: Callable[[], Any]) -> Callable[[Progress], Any]:
    return lambda _: work()
