"""Starting the console."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from threading import Thread
from types import TracebackType

from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from ir_nav import __version__
from ir_nav.gui import theme
from ir_nav.gui.main_window import MainWindow
from ir_nav.planning import compile_planning
from ir_nav.session.session import Session

SWITCH_S = 0.001

logger = logging.getLogger(__name__)


def application() -> QApplication:
    """The one QApplication of the process, with fonts and theme."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    made = QApplication(["ir-nav"])
    made.setApplicationName("IR Nav")
    made.setApplicationVersion(__version__)
    made.setStyle("Fusion")
    theme.load_fonts()
    made.setFont(theme.font(theme.BODY))
    made.setPalette(theme.palette())
    made.setStyleSheet(theme.STYLE)
    return made


def run_console(
    session: Session,
    *,
    acknowledged: bool,
    on_ready: Callable[[MainWindow], None] | None = None,
) -> int:
    """Show the console until its window is closed; the exit code.

    on_ready: called with the window once it is on screen.
    """
    app = application()
    # Reader and log threads would hold the interpreter for 5 ms at a time while a paint waits.
    sys.setswitchinterval(SWITCH_S)
    # Compiled on a thread of its own before the first target is placed: the worker stays free.
    Thread(target=compile_planning, name="compile planning", daemon=True).start()
    window = MainWindow(session, acknowledged=acknowledged)
    before = sys.excepthook
    sys.excepthook = _keep_running(window)
    try:
        if QGuiApplication.platformName() == "offscreen":
            window.resize(1920, 1080)
            window.show()
        else:
            window.showMaximized()
        if on_ready is not None:
            on_ready(window)
        return app.exec()
    finally:
        sys.excepthook = before
        window.close()
        window.desk.close()


def _keep_running(
    window: MainWindow,
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """PyQt ends the process at an error in a slot; a console in use says it and goes on."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.error("unexpected error", exc_info=(kind, error, trace))
        window.desk.banner.say(f"Unexpected error, {kind.__name__}: {error}")

    return hook
