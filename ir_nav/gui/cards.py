"""Cards over the window: the label to acknowledge at start, and the list of keys."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from ir_nav import RESEARCH_LABEL, __version__
from ir_nav.gui import theme
from ir_nav.gui.forms import button, label

KEYS = (
    ("Ctrl+1 … Ctrl+6", "Steps Patient to Review"),
    ("M", "Mark this moment in the log"),
    ("Space", "Capture the touched fiducial, or landmark of the phantom; held: swipe the surface"),
    ("F", "Freeze the live images, or let them run"),
    ("L", "Other views at the right of Guide"),
    ("T, E", "Place target, place entry"),
    ("1 … 5", "Take a proposed path"),
    ("F6", "Plan, Register: next section at the right; with Shift the one before"),
    ("Ctrl+O", "Open a CT; in Set up a room, in Review a log"),
    ("Ctrl+Shift+O", "Fetch a CT from the archive"),
    ("Ctrl+S", "Save the plan; in Review the report"),
    ("Ctrl+Z", "Undo the last point, or change of a structure; Ctrl+Shift+Z: again"),
    ("[ ], Enter, Esc", "Plan: brush size or vessel threshold; keep or drop what has grown"),
    ("↑ ↓, Page ↑ ↓", "Through the slices, by 1 or 10"),
    ("Ctrl + wheel, + −", "Zoom a slice; also a drag with the middle button"),
    ("W, Alt+1 … Alt+6", "Plan: next window, abdomen to brain; Alt+0: automatic"),
    ("S", "Plan: next slab; with Shift the one before"),
    ("X", "Plan: linked planes, Shift: a drag turns them; Register: leave out"),
    ("I", "Plan: lines where the slices meet"),
    ("D, A, O, P, V", "Plan: distance, angle, ellipse, area, ball"),
    ("H, N, G", "Plan: point, note, curve"),
    ("Del, Esc", "Delete the chosen measurement; put a tool away"),
    ("C, comma, full stop", "Plan: cine; slower, faster"),
    ("B, Y", "Plan: second series, list of measurements"),
    ("R", "Plan: views as at first"),
    ("Foot pedal", "Register: capture; hold to undo. Else mark; hold to freeze"),
    ("F1", "This list"),
)


class Cover(QWidget):
    """Dims the window and holds one card in its middle."""

    closed = pyqtSignal()

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.card = QFrame()
        self.card.setObjectName("panel")
        self.card.setMaximumWidth(640)
        self.column = QVBoxLayout(self.card)
        self.column.setContentsMargins(32, 28, 32, 28)
        self.column.setSpacing(16)
        around = QVBoxLayout(self)
        around.addWidget(self.card, 0, Qt.AlignmentFlag.AlignCenter)
        self.hide()

    def open(self) -> None:
        """Cover the whole window."""
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.show()
        self.raise_()
        self.setFocus()

    def shut(self) -> None:
        """Go away."""
        self.hide()
        self.closed.emit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.BAR, 0.78))
        painter.end()


class StartCover(Cover):
    """The research label, to be acknowledged before anything else."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "start_cover")
        self.column.addWidget(label(f"IR Nav {__version__}", "big"))
        self.column.addWidget(label(RESEARCH_LABEL, "title", name="research_label"))
        self.column.addWidget(
            label(
                "It has not been tested or approved for use on patients. Needle positions on "
                "screen may be wrong. Use it on phantoms, simulations and recordings only."
            )
        )
        self.acknowledge = button("acknowledge", "I understand", self.shut, kind="primary")
        self.column.addWidget(self.acknowledge)

    def open(self) -> None:
        super().open()
        self.acknowledge.setFocus()


class KeysCover(Cover):
    """Every key; any key or click closes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "keys_cover")
        self.column.addWidget(label("Keys", "title"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(28)
        grid.setVerticalSpacing(10)
        self.card.setMaximumWidth(1240)
        each = (len(KEYS) + 1) // 2
        for index, (keys, words) in enumerate(KEYS):
            column, row = index // each * 2, index % each
            cap = label(keys, "value")
            cap.setWordWrap(False)
            text = label(words, "note")
            text.setMinimumWidth(300)
            grid.addWidget(cap, row, column)
            grid.addWidget(text, row, column + 1)
        self.column.addLayout(grid)
        self.column.addWidget(button("close_keys", "Close", self.shut))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        self.shut()

    def mousePressEvent(self, event: object) -> None:
        self.shut()
