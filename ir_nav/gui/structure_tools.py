"""Tools of the mouse that make structures: lesion, brush, vessel; and what they draw."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, Qt, QTimer
from PyQt6.QtGui import QPainter, QPainterPath, QPen

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.notice import Mood
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import PlainTool, Pointer, SliceTools
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.stroke_tool import StrokeTool, draw_hint
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.gui.structure_outline import OutlineCache, stroke_outline
from ir_nav.imaging import ImagingError, Volume
from ir_nav.imaging.segmentation import Ending, Grown, Vessels, brushed, grow_lesion, vessels
from ir_nav.imaging.segmentation.brush import LARGEST_MM, SMALLEST_MM
from ir_nav.progress import Progress

ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
LEAST_RADIUS_MM = 2.0
MOST_RADIUS_MM = 60.0
CLICK_RADIUS_MM = 10.0
# Words stand where the click was, in slices that hold it.
NEAR_MM = 3.0
THRESHOLD_STEPS = {Qt.Key.Key_BracketLeft: -10.0, Qt.Key.Key_BracketRight: 10.0}
VESSEL_COLOUR = "#b56f6f"
KEEP_WORDS = "Enter: keep · Esc: drop"


class LesionTool(PlainTool):
    """Press in the lesion, drag to its rim; Enter keeps what has grown, Escape drops it."""

    name = "Lesion"
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, desk: Desk, structures: StructureDesk, tools: SliceTools) -> None:
        self._desk = desk
        self._structures = structures
        self._tools = tools
        self._seed: FloatArray | None = None
        self._radius_mm = CLICK_RADIUS_MM
        self._grown: Grown | None = None
        self._outline = OutlineCache()
        self._due = QTimer()
        self._due.setSingleShot(True)
        self._due.timeout.connect(self._grow)

    @property
    def grown(self) -> Grown | None:
        """What would be kept now."""
        return self._grown

    def press(self, pointer: Pointer) -> bool:
        if not pointer.left or self._structures.volume is None:
            return False
        self._seed, self._radius_mm = pointer.point_ct_mm, CLICK_RADIUS_MM
        self._grow()
        return True

    def move(self, pointer: Pointer) -> bool:
        if self._seed is None or pointer.held != Qt.MouseButton.LeftButton:
            return False
        away_mm = float(np.linalg.norm(pointer.point_ct_mm - self._seed))
        if away_mm >= LEAST_RADIUS_MM:
            self._radius_mm = min(away_mm, MOST_RADIUS_MM)
            # Once for all moves that have come in: the newest radius wins.
            self._due.start(0)
        return True

    def release(self, pointer: Pointer) -> bool:
        if self._seed is None or not pointer.left:
            return False
        if self._due.isActive():
            self._due.stop()
            self._grow()
        return True

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        if self._grown is None:
            return False
        if key in ENTER:
            grown = self._grown
            self.leave()
            self._structures.add("lesion", theme.PLAN, grown.corner_kji, grown.part)
            return True
        if key == Qt.Key.Key_Escape:
            self.leave()
            return True
        return False

    def leave(self) -> None:
        self._due.stop()
        self._seed, self._grown = None, None
        self._tools.repaint()

    def paint(self, painter: QPainter, view: SliceView) -> None:
        volume = self._structures.volume
        if self._seed is None or volume is None:
            return
        at = view.to_view(self._seed)
        if abs(float(at[2])) >= self._radius_mm:
            return
        middle = QPointF(at[0], at[1])
        radius = float(np.sqrt(max(self._radius_mm**2 - at[2] ** 2, 0.0))) / view.mm_per_px
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.colour(theme.TEXT_1, 0.6), 1.2, Qt.PenStyle.DotLine))
        painter.drawEllipse(middle, radius, radius)
        if self._grown is None:
            return
        path = self._outline.path(view, volume, self._grown.corner_kji, self._grown.part)
        stroke_outline(painter, path, theme.PLAN)
        voxel_ml = float(np.prod(volume.spacing_mm)) / 1000.0
        size = f"{np.count_nonzero(self._grown.part) * voxel_ml:.1f} ml"
        words = f"{self._radius_mm:.0f} mm · {size} · {KEEP_WORDS}"
        draw_hint(painter, QPointF(middle.x(), middle.y() + radius + 8.0), words)

    def _grow(self) -> None:
        volume = self._structures.volume
        if volume is None or self._seed is None:
            return
        try:
            self._grown = grow_lesion(volume, self._seed, self._radius_mm)
        except ImagingError as error:
            self._seed = self._grown = None
            self._desk.report(error)
        self._tools.repaint()


class BrushTool(StrokeTool):
    """Paints into the chosen structure, takes away with Shift; [ and ] change its size."""

    name = "Brush"
    sizes_mm = (SMALLEST_MM, LARGEST_MM)
    shift_words = "take away"

    def __init__(self, desk: Desk, structures: StructureDesk, tools: SliceTools) -> None:
        super().__init__(tools, radius_mm=6.0)
        self._desk = desk
        self._structures = structures

    def press(self, pointer: Pointer) -> bool:
        if not pointer.left or self._structures.history is None:
            return False
        if pointer.shift and self._structures.selected_segment is None:
            self._desk.banner.say("Choose the structure to take away from", Mood.REFUSED)
            return True
        return self.begin(pointer)

    def draw(self, points_ct_mm: list[FloatArray], erase: bool) -> None:
        points = np.array(points_ct_mm)
        self._desk.attempt(lambda: self._brush(points, erase), keep_banner=True)

    def paint(self, painter: QPainter, view: SliceView) -> None:
        if self._points:
            seen = [view.to_view(point) for point in self._points]
            if max(abs(float(at[2])) for at in seen) < self.radius_mm:
                path = QPainterPath(QPointF(seen[0][0], seen[0][1]))
                for at in seen:
                    path.lineTo(QPointF(at[0] + 0.01, at[1]))
                tone = theme.TEXT_1 if self._erase else self._colour()
                pen = QPen(theme.colour(tone, 0.4), 2.0 * self.radius_mm / view.mm_per_px)
                pen.setCapStyle(Qt.PenCapStyle.RoundCap)
                pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
                painter.strokePath(path, pen)
        self.paint_rim(painter, view)

    def _colour(self) -> str:
        segment = self._structures.selected_segment
        return theme.PLAN if segment is None else segment.colour

    def _brush(self, points: FloatArray, erase: bool) -> None:
        structures = self._structures
        if structures.history is None:
            return
        if structures.selected_segment is None:
            empty = np.zeros((1, 1, 1), np.bool_)
            structures.add("lesion", theme.PLAN, (0, 0, 0), empty)
        segment = structures.selected_segment
        assert segment is not None
        new = brushed(structures.history.now, segment, points, self.radius_mm, erase=erase)
        what = "Take from" if erase else "Add to"
        structures.change(f"{what} {segment.display_name}", new)


class VesselTool(PlainTool):
    """A click on a vessel; [ and ] change the threshold, Enter keeps what is joined to it, Escape
    drops it."""

    name = "Vessel"
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, desk: Desk, structures: StructureDesk, tools: SliceTools) -> None:
        self._desk = desk
        self._structures = structures
        self._tools = tools
        self._found: Vessels | None = None
        self._seed: FloatArray | None = None
        self._outline = OutlineCache()

    @property
    def found(self) -> Vessels | None:
        """What would be kept now."""
        return self._found

    def press(self, pointer: Pointer) -> bool:
        volume = self._structures.volume
        if not pointer.left or volume is None:
            return False
        self._found, self._seed = None, pointer.point_ct_mm
        self._follow(volume, pointer.point_ct_mm, None)
        return True

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        found = self._found
        if found is None:
            return False
        volume, seed = self._structures.volume, self._seed
        if key in THRESHOLD_STEPS and volume is not None and seed is not None:
            self._follow(volume, seed, found.low_hu + THRESHOLD_STEPS[key])
            return True
        if key in ENTER:
            self.leave()
            self._structures.add("vessel", VESSEL_COLOUR, found.corner_kji, found.part)
            return True
        if key == Qt.Key.Key_Escape:
            self.leave()
            return True
        return False

    def leave(self) -> None:
        self._found, self._seed = None, None
        self._tools.repaint()

    def paint(self, painter: QPainter, view: SliceView) -> None:
        volume = self._structures.volume
        if self._found is None or self._seed is None or volume is None:
            return
        path = self._outline.path(view, volume, self._found.corner_kji, self._found.part)
        stroke_outline(painter, path, VESSEL_COLOUR)
        at = view.to_view(self._seed)
        if abs(float(at[2])) > NEAR_MM:
            return
        limits = f"{self._found.low_hu:.0f} to {self._found.high_hu:.0f} HU"
        words = f"{limits} · [ ] threshold · {KEEP_WORDS}"
        draw_hint(painter, QPointF(at[0], at[1] + 16.0), words)

    def _follow(self, volume: Volume, seed: FloatArray, threshold_hu: float | None) -> None:
        def work(_: Progress) -> tuple[FloatArray, Vessels]:
            return seed, vessels(volume, seed, threshold_hu)

        self._desk.worker.submit("Following the vessel", work, self._take)

    def _take(self, found: tuple[FloatArray, Vessels]) -> None:
        seed, grown = found
        if seed is not self._seed:
            return
        self._found = grown
        if grown.ending is Ending.TOO_LARGE:
            self._desk.banner.say(
                "It has run into what touches the vessel and was stopped at 200 ml: ] raises the "
                "threshold, Escape drops it",
                Mood.REFUSED,
            )
        self._tools.repaint()
