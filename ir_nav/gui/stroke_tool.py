"""A round brush in the slices: strokes by the mouse, size by keys, its rim at the cursor."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter, QPen

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import PlainTool, Pointer, SliceTools
from ir_nav.gui.slice_view import SliceView

STEP = 1.25


def draw_hint(painter: QPainter, at: QPointF, words: str) -> None:
    """Words of a tool, centred beneath `at`."""
    draw_label(painter, at, words, px=theme.LEAST, name=theme.TEXT_1, plate=True, anchor=(0.5, 0.0))


class StrokeTool(PlainTool):
    """Drags a ball through the patient; with Shift it takes away, [ and ] change its size.

    sizes_mm: smallest and largest radius. shift_words: what Shift does, for the hint.
    """

    sizes_mm: tuple[float, float]
    shift_words: str

    def __init__(self, tools: SliceTools, radius_mm: float) -> None:
        self._tools = tools
        self._points: list[FloatArray] = []
        self._erase = False
        self._hover: tuple[SliceView, QPointF] | None = None
        self.radius_mm = radius_mm

    def draw(self, points_ct_mm: list[FloatArray], erase: bool) -> None:
        """A stroke through these points has ended."""
        raise NotImplementedError

    def begin(self, pointer: Pointer) -> bool:
        """Start a stroke."""
        self._points, self._erase = [pointer.point_ct_mm], pointer.shift
        self._hover = (pointer.view, pointer.at_px)
        self._tools.repaint()
        return True

    def move(self, pointer: Pointer) -> bool:
        self._hover = (pointer.view, pointer.at_px)
        drawing = bool(self._points) and pointer.held == Qt.MouseButton.LeftButton
        if drawing:
            self._points.append(pointer.point_ct_mm)
        self._tools.repaint()
        return drawing

    def release(self, pointer: Pointer) -> bool:
        if not self._points or not pointer.left:
            return False
        points, erase = self._points, self._erase
        self._points, self._erase = [], False
        self.draw(points, erase)
        self._tools.repaint()
        return True

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        steps = {Qt.Key.Key_BracketLeft: 1.0 / STEP, Qt.Key.Key_BracketRight: STEP}
        if key not in steps:
            return False
        smallest, largest = self.sizes_mm
        self.radius_mm = min(max(self.radius_mm * steps[key], smallest), largest)
        self._tools.repaint()
        return True

    def leave(self) -> None:
        self._points, self._hover = [], None

    def paint_rim(self, painter: QPainter, view: SliceView) -> None:
        """The brush at the cursor and its keys."""
        if self._hover is None or self._hover[0] is not view:
            return
        at, radius = self._hover[1], self.radius_mm / view.mm_per_px
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.colour(theme.TEXT_1), 1.4))
        painter.drawEllipse(at, radius, radius)
        beneath = QPointF(at.x(), at.y() + radius + 8.0)
        words = f"{2.0 * self.radius_mm:.0f} mm · [ ] size · Shift: {self.shift_words}"
        draw_hint(painter, beneath, words)
