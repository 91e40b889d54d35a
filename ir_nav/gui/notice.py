"""The banner: errors and refusals in words, inside the window, never in its way."""

from __future__ import annotations

from enum import StrEnum

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from ir_nav.gui import theme
from ir_nav.gui.worker import Worker

SHOWN_MS = 9000


class Mood(StrEnum):
    """What kind of news it is; each has its sign and colour."""

    ERROR = "error"
    REFUSED = "refused"
    DONE = "done"


_LOOKS = {
    Mood.ERROR: ("✕", theme.ALARM_HIGH),
    Mood.REFUSED: ("!", theme.ALARM_MEDIUM),
    Mood.DONE: ("✓", theme.GOOD),
}


class Banner(QFrame):
    """One message; goes by itself unless it is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("banner")
        self._sign = QLabel()
        self._text = QLabel()
        self._text.setObjectName("banner_text")
        self._text.setWordWrap(True)
        self._close = QPushButton("Dismiss")
        self._close.setObjectName("dismiss_banner")
        self._close.setProperty("kind", "small")
        self._close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 10, 8)
        row.setSpacing(12)
        row.addWidget(self._sign)
        row.addWidget(self._text, 1)
        row.addWidget(self._close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.hide()

    @property
    def text(self) -> str:
        """What is shown, or was shown last."""
        return self._text.text()

    def say(self, text: str, mood: Mood = Mood.ERROR) -> None:
        """Show a message."""
        sign, tone = _LOOKS[mood]
        self._sign.setText(sign)
        self._sign.setStyleSheet(f"color: {tone}; font-size: {theme.TITLE}px; font-weight: 700;")
        self._text.setText(text)
        self.setAccessibleName(text)
        self.setStyleSheet(
            f"QFrame#banner {{ background: {theme.PANEL}; border: 1.5px solid {tone};"
            f" border-radius: {theme.RADIUS}px; }}"
        )
        self.show()
        if mood is Mood.ERROR:
            self._timer.stop()
        else:
            self._timer.start(SHOWN_MS)


class JobBar(QWidget):
    """Progress of the slow work under way, and Cancel."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._title = QLabel()
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        cancel = QPushButton("Cancel")
        cancel.setObjectName("cancel_job")
        cancel.setProperty("kind", "small")
        cancel.clicked.connect(worker.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 0, 0)
        row.setSpacing(14)
        row.addWidget(self._title)
        row.addWidget(self._bar, 1, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(cancel)
        worker.started.connect(self._start)
        worker.progressed.connect(lambda part: self._bar.setValue(round(1000 * part)))
        worker.ended.connect(self.hide)
        self.hide()

    def _start(self, title: str) -> None:
        self._title.setText(title)
        self._bar.setValue(0)
        self.setAccessibleName(title)
        self.show()
