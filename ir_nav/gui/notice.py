"""The banner: errors and refusals in words, inside the window, never in its way."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from PyQt6.QtCore import QEvent, QObject, QRect, Qt, QTimer
from PyQt6.QtGui import QFontMetrics
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from ir_nav.gui import theme
from ir_nav.gui.worker import Worker

SHOWN_MS = 9000
DONE_MS = 4000
WIDEST_PX = 620
EDGE_PX = 16


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


class Floating(QFrame):
    """Lies over another widget without moving what is under it: live views keep their size.

    Keeps to the middle of the lower edge of the part of the host that is for it, as wide as it
    needs, above the one beneath it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._beneath: QWidget | None = None
        self._within: Callable[[], QRect] | None = None

    def float_over(
        self,
        host: QWidget,
        beneath: QWidget | None = None,
        within: Callable[[], QRect] | None = None,
    ) -> None:
        """Stay within a host; above another widget that floats over it while that is seen.
        within: the part of the host to stay in, all of it by default."""
        self._beneath, self._within = beneath, within
        self.setParent(host)
        self.hide()
        host.installEventFilter(self)

    def wanted_px(self) -> int:
        """Width that the content asks for."""
        return WIDEST_PX

    def rise(self) -> None:
        """Show in front, in place."""
        host = self.parentWidget()
        if host is None:
            self.show()
            return
        area = host.rect() if self._within is None else self._within()
        width = min(self.wanted_px(), WIDEST_PX, area.width() - 40)
        height = max(self.heightForWidth(width), self.sizeHint().height())
        floor = area.bottom() + 1 - EDGE_PX
        if self._beneath is not None and not self._beneath.isHidden():
            floor = self._beneath.y() - EDGE_PX // 2
        self.setGeometry(area.center().x() - width // 2, floor - height, width, height)
        self.show()
        self.raise_()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and not self.isHidden():
            self.rise()
        return False


class Banner(Floating):
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
        self.rise()
        if mood is Mood.ERROR:
            self._timer.stop()
        else:
            self._timer.start(DONE_MS if mood is Mood.DONE else SHOWN_MS)

    def wanted_px(self) -> int:
        words = QFontMetrics(theme.font(theme.BODY)).horizontalAdvance(self._text.text())
        beside = self._close.sizeHint().width() + self._sign.sizeHint().width()
        return words + beside + 2 * theme.GAP + 48


class JobBar(Floating):
    """Progress of the slow work under way, and Cancel."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self.setObjectName("panel_jobs")
        self.setStyleSheet(
            f"QFrame#panel_jobs {{ background: {theme.PANEL}; border: 1px solid {theme.ACCENT};"
            f" border-radius: {theme.RADIUS}px; }}"
        )
        self._title = QLabel()
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        cancel = QPushButton("Cancel")
        cancel.setObjectName("cancel_job")
        cancel.setProperty("kind", "small")
        cancel.clicked.connect(worker.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 10, 8)
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
        self.rise()
