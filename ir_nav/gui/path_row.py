"""A proposed path as a button: names at the left, elided if need be, values at the right."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QPushButton, QSizePolicy, QStyle, QStyleOptionButton

from ir_nav.gui import theme
from ir_nav.gui.paint import fitting, text_width
from ir_nav.planning import Proposal
from ir_nav.planning.findings import room_mm

PAD = 12.0
LINE_PX = 19.0
HEIGHT = 44
WIDE_PX = 380
GAP = 10.0
Line = tuple[str, str]


class PathRow(QPushButton):
    """Two lines; the text of the button says all of both."""

    def __init__(self, number: int, choose: Callable[[], object]) -> None:
        super().__init__()
        self._lines: tuple[Line, ...] = ()
        self.setObjectName(f"proposal_{number}")
        self.setAccessibleName(f"Path {number}")
        self.setToolTip(f"Key {number}")
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setStyleSheet(f"min-height: {HEIGHT - 2}px;")
        # A long name is cut: it must not widen the column.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.clicked.connect(lambda _=False: choose())

    def show_path(self, number: int, proposal: Proposal) -> None:
        """Name this path, counted from 1."""
        self._lines = path_lines(number, proposal)
        self.setText("\n".join(f"{name} · {value}" for name, value in self._lines if value))
        self.setAccessibleName(self.text().replace("\n", ", "))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.text = ""
        painter = QPainter(self)
        style = self.style()
        if style is not None:
            style.drawControl(QStyle.ControlElement.CE_PushButton, option, painter, self)
        top = (self.height() - LINE_PX * len(self._lines)) / 2.0
        for number, (name, value) in enumerate(self._lines):
            weight, tone = (
                (theme.STRONG, theme.TEXT_1) if number == 0 else (theme.REGULAR, theme.TEXT_2)
            )
            box = QRectF(PAD, top + LINE_PX * number, self.width() - 2.0 * PAD, LINE_PX)
            value_px = theme.ROW if number == 0 and self.width() > WIDE_PX else theme.NOTE
            _write(painter, box, (name, value), (weight, tone, value_px))
        painter.end()


def path_lines(number: int, proposal: Proposal) -> tuple[Line, ...]:
    """'1  Safest · from the right, 7° to the feet', '70 mm'; 'Between right ribs 7 and 8',
    '7.4 mm to spare'."""
    merits = ", ".join(proposal.best_at).capitalize()
    way = proposal.way[:1].lower() + proposal.way[1:] if merits else proposal.way
    name = " · ".join(part for part in (merits, way) if part)
    near = proposal.limiting
    first = (f"{number}  {name}", f"{proposal.path.length_mm:.0f} mm")
    if near is None:
        return (first, (proposal.ribs or "Nothing to avoid", "over 25 mm clear"))
    rib = " rib " in near.structure
    place = proposal.ribs if proposal.ribs and rib else f"At {near.structure}"
    if proposal.ribs and not rib:
        place += f", {proposal.ribs[:1].lower()}{proposal.ribs[1:]}"
    return (first, (place, f"{room_mm(near):.1f} mm to spare"))


def _write(painter: QPainter, box: QRectF, line: Line, look: tuple[int, str, int]) -> None:
    """look: weight and tone of both, and the size of the value."""
    (name, value), (weight, tone, value_px) = line, look
    middle = Qt.AlignmentFlag.AlignVCenter
    painter.setFont(theme.font(theme.NOTE, weight))
    painter.setPen(theme.colour(tone))
    room = box.width() - text_width(value, value_px, weight) - GAP
    painter.drawText(
        box, middle | Qt.AlignmentFlag.AlignLeft, fitting(name, theme.NOTE, weight, room)
    )
    painter.setFont(theme.font(value_px, weight))
    painter.drawText(box, middle | Qt.AlignmentFlag.AlignRight, value)
