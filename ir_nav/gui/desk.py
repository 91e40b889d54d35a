"""What every page is given: the session, the worker, the 3D thread, and a way to speak."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QSettings

from ir_nav.gui.case_look import CaseLook
from ir_nav.gui.notice import Banner, Mood
from ir_nav.gui.quality_feed import QualityFeed
from ir_nav.gui.scene_thread import SceneThread
from ir_nav.gui.slice_view import DEFAULT_LEVEL_HU, DEFAULT_WINDOW_HU
from ir_nav.gui.worker import Worker
from ir_nav.imaging import ImagingError
from ir_nav.planning import PlanError
from ir_nav.recording import LogError
from ir_nav.registration import RegistrationError
from ir_nav.session.errors import SessionError
from ir_nav.session.room import RoomError
from ir_nav.session.session import Session
from ir_nav.tracking.calibration.result import CalibrationError

logger = logging.getLogger(__name__)

# Errors whose text is written for the user and shown as it stands.
SPOKEN = (
    SessionError,
    PlanError,
    RoomError,
    ImagingError,
    LogError,
    RegistrationError,
    CalibrationError,
)


class Desk:
    """Shared by the pages of one window."""

    def __init__(self, session: Session, settings: QSettings) -> None:
        self.session = session
        self.settings = settings
        self.worker = Worker()
        self.scene = SceneThread()
        self.banner = Banner()
        self.quality_feed = QualityFeed(session.quality, self.banner)
        self.look = CaseLook(self.worker)
        # Whatever plays a demonstration lives as long as the window.
        self.player: object | None = None
        self.worker.failed.connect(self.report)

    def attempt(
        self, command: Callable[[], object], done: str = "", *, keep_banner: bool = False
    ) -> bool:
        """Run a user's command; its refusal or error goes to the banner. Whether it worked.

        keep_banner: success must not take away the message that is being read.
        """
        try:
            command()
        except Exception as error:  # noqa: BLE001 - the GUI's command boundary
            self.report(error)
            return False
        if done:
            self.banner.say(done, Mood.DONE)
        elif not keep_banner and not self.banner.isHidden():
            self.banner.hide()
        return True

    def report(self, error: Exception) -> None:
        """Say an error: in its own words, or as unexpected."""
        if isinstance(error, SPOKEN):
            mood = Mood.REFUSED if isinstance(error, SessionError) else Mood.ERROR
            text = str(error)
            self.banner.say(as_sentence(text), mood)
            return
        logger.error("unexpected error", exc_info=error)
        self.banner.say(f"Unexpected error, {type(error).__name__}: {error}")

    def folder(self, kind: str) -> str:
        """Where a file of this kind was last opened or saved."""
        return str(self.settings.value(f"folder/{kind}", str(Path.home())))

    def remember_folder(self, kind: str, path: Path) -> None:
        """Start there the next time."""
        self.settings.setValue(f"folder/{kind}", str(path if path.is_dir() else path.parent))

    def window_level_hu(self) -> tuple[float, float]:
        """Window and level used last."""
        window = self.settings.value("window_hu", DEFAULT_WINDOW_HU)
        level = self.settings.value("level_hu", DEFAULT_LEVEL_HU)
        try:
            return float(window), float(level)
        except (TypeError, ValueError):
            return DEFAULT_WINDOW_HU, DEFAULT_LEVEL_HU

    def remember_window(self, window_hu: float, level_hu: float) -> None:
        """Use these for views opened later."""
        self.settings.setValue("window_hu", window_hu)
        self.settings.setValue("level_hu", level_hu)

    def close(self) -> None:
        """End the threads."""
        self.scene.close()
        self.quality_feed.close()
        self.worker.close()


def as_sentence(text: str) -> str:
    """With a capital, unless it starts with a file's name."""
    first = text.split(" ", 1)[0]
    return text if "." in first or "/" in first else f"{text[:1].upper()}{text[1:]}"
