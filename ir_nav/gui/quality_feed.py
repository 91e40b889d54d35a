"""Has live frames judged against the CT, on a thread of their own, and tells of a drift once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from PyQt6.QtCore import QObject, QTimer

from ir_nav.gui.notice import Banner, Mood
from ir_nav.gui.worker import Worker
from ir_nav.progress import Progress
from ir_nav.session.live_quality import JudgedFrame, LiveQuality

POLL_MS = 60

logger = logging.getLogger(__name__)


class QualityFeed(QObject):
    """Goes on whichever page is open, and while the worker is busy with something longer."""

    def __init__(self, quality: LiveQuality, banner: Banner) -> None:
        super().__init__()
        self._quality, self._banner = quality, banner
        self._told: str | None = None
        self._worker = Worker()
        self._worker.failed.connect(self._failed)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.poll)
        self._timer.start(POLL_MS)

    def poll(self) -> None:
        """Hand on the frame that waits, if any."""
        check = self._quality.next_check()
        if check is not None:
            self._worker.submit("Checking", _without_progress(check), self._take, quiet=True)

    def close(self) -> None:
        """End the thread."""
        self._timer.stop()
        self._worker.close()

    def _take(self, judged: JudgedFrame) -> None:
        self._quality.add(judged)
        warning = self._quality.warning
        if warning is not None and self._told is None:
            self._banner.say(warning, Mood.REFUSED)
        self._told = warning

    def _failed(self, error: Exception) -> None:
        """Guidance goes on without the check, which says why it is silent."""
        logger.error("the ultrasound check failed", exc_info=error)
        self._quality.failed(f"the check failed: {error}")


def _without_progress(check: Callable[[], JudgedFrame]) -> Callable[[Progress], JudgedFrame]:
    return lambda _: check()
