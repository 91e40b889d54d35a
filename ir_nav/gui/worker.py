"""One thread for slow work; results come back on the GUI thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from PyQt6.QtCore import QObject, pyqtSignal

from ir_nav.progress import Progress

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class WorkCancelledError(Exception):
    """The user cancelled; raised inside the work by its progress callback."""


class Worker(QObject):
    """Runs jobs one after another.

    started: title of a job that shows its progress. progressed: 0..1. ended: it is over.
    failed: the error of any job.
    """

    started = pyqtSignal(str)
    progressed = pyqtSignal(float)
    ended = pyqtSignal()
    failed = pyqtSignal(object)
    _returned = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._cancelled = Event()
        self._waiting = 0
        self._closed = False
        self._returned.connect(_call)

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._waiting > 0

    def submit(
        self,
        title: str,
        work: Callable[[Progress], Result],
        done: Callable[[Result], None],
        *,
        quiet: bool = False,
    ) -> None:
        """Run `work(progress)`, then `done(result)` on the GUI thread.

        quiet: shows no progress and cannot be cancelled. `progress` raises when cancelled.
        """
        self._waiting += 1
        # Quiet jobs come many a second: they must not take back what the user has just cancelled.
        if not quiet:
            self._cancelled.clear()
        self._pool.submit(self._run, title, work, done, quiet)

    def cancel(self) -> None:
        """Stop the job that shows its progress at its next progress report."""
        self._cancelled.set()

    def close(self) -> None:
        """Drop what waits; a running job ends at its next progress report."""
        self._closed = True
        self._cancelled.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(
        self,
        title: str,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        quiet: bool,
    ) -> None:
        def progress(fraction: float) -> None:
            if self._cancelled.is_set() and not quiet:
                raise WorkCancelledError
            if not quiet:
                self.progressed.emit(fraction)

        if not quiet:
            self.started.emit(title)
        try:
            result = work(progress)
        except WorkCancelledError:
            self._returned.emit(self._finish)
        except Exception as error:  # noqa: BLE001 - the GUI's command boundary
            failure = error
            self._returned.emit(lambda: self._fail(failure))
        else:
            self._returned.emit(lambda: self._succeed(done, result))

    def _finish(self) -> None:
        self._waiting -= 1
        # What a job was for may be gone with the window by the time that its result is told.
        if not self._closed:
            self.ended.emit()

    def _fail(self, error: Exception) -> None:
        self._finish()
        if not self._closed:
            self.failed.emit(error)

    def _succeed(self, done: Callable[[Any], None], result: object) -> None:
        self._finish()
        if self._closed:
            return
        try:
            done(result)
        except Exception as error:  # noqa: BLE001 - the GUI's command boundary
            self.failed.emit(error)


def _call(action: Callable[[], None]) -> None:
    action()
