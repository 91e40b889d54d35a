"""Painting skin that must not be an entry: a brush in the slices, and what it has painted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter, QPen, QPolygonF

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import Pointer, SliceTools
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.stroke_tool import StrokeTool
from ir_nav.imaging import BoolArray, Volume
from ir_nav.session.errors import SessionError
from ir_nav.session.keep_out import (
    LARGEST_MM,
    SMALLEST_MM,
    Dabs,
    keep_out_file,
    kept_out,
    load_keep_out,
    save_keep_out,
    stroke,
)

DOT_PX = 5.0
ENDS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class KeepOutTool(StrokeTool):
    """Drag over the skin to keep it free, with Shift to open it again; [ and ] change the size."""

    name = "Keep skin free"
    sizes_mm = (SMALLEST_MM, LARGEST_MM)
    shift_words = "free to enter"

    def __init__(self, desk: Desk, tools: SliceTools) -> None:
        super().__init__(tools, radius_mm=15.0)
        self._desk = desk

    def press(self, pointer: Pointer) -> bool:
        if not pointer.left or self._desk.session.case.volume is None:
            return False
        return self.begin(pointer)

    def draw(self, points_ct_mm: list[FloatArray], erase: bool) -> None:
        dabs = stroke(points_ct_mm, self.radius_mm, erase=erase)
        self._desk.attempt(lambda: self._desk.session.planning.paint(dabs), keep_banner=True)

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        if key in ENDS:
            self._tools.use(None)
            return True
        return super().key(view, key, modifiers)

    def paint(self, painter: QPainter, view: SliceView) -> None:
        radius = self.radius_mm / view.mm_per_px
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.TEXT_1 if self._erase else theme.DANGER_ZONE, 0.35))
        for point in self._points:
            at = view.to_view(point)
            if abs(float(at[2])) < self.radius_mm:
                painter.drawEllipse(QPointF(at[0], at[1]), radius, radius)
        self.paint_rim(painter, view)


class KeepOutLayer:
    """Skin kept free as thick marks in the slices; saved with its CT at every change."""

    def __init__(self, desk: Desk, tools: SliceTools, folder: Path | None = None) -> None:
        self._desk = desk
        self._tools = tools
        self._folder = folder
        self._volume: Volume | None = None
        self._opened = 0
        self._saved: Dabs = ()
        self._painted: FloatArray = np.zeros((0, 3))
        self._known: tuple[object, object] = (None, None)
        self.mask: BoolArray | None = None
        tools.add_layer(self)

    def follow(self) -> None:
        """Keep up with the session: another CT, a stroke, an undo."""
        session = self._desk.session
        volume = session.case.volume
        if session.planning.opened != self._opened:
            self._opened, self._volume, self._saved = session.planning.opened, volume, ()
            if volume is not None:
                self._desk.attempt(self._restore, keep_banner=True)
        dabs, ground = session.planning.now.keep_out, session.planning.ground
        if dabs is not self._saved and volume is not None:
            self._saved = dabs
            self._desk.attempt(self._save, keep_banner=True)
        outline = self._desk.look.outline
        skin = ground.skin if ground is not None else None
        if skin is None and outline is not None and outline.volume is volume:
            skin = outline.skin
        if self._known[0] is dabs and self._known[1] is skin:
            return
        self._known = (dabs, skin)
        self.mask = None if skin is None else kept_out(dabs, skin)
        known = skin is not None and self.mask is not None
        self._painted = skin.points_ct_mm[self.mask] if known and skin else np.zeros((0, 3))
        self._tools.repaint()

    def paint(self, painter: QPainter, view: SliceView) -> None:
        if not len(self._painted) or self._volume is None:
            return
        seen = view.to_view(self._painted)
        thick_mm = max(self._volume.spacing_mm) / 2.0
        near = seen[np.abs(seen[:, 2]) <= thick_mm]
        pen = QPen(theme.colour(theme.DANGER_ZONE, 0.9), DOT_PX)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawPoints(QPolygonF([QPointF(x, y) for x, y in near[:, :2].tolist()]))

    def _restore(self) -> None:
        session, volume = self._desk.session, self._volume
        if volume is None or session.planning.now.keep_out:
            return
        path = keep_out_file(volume.identity, self._folder)
        try:
            dabs = load_keep_out(path, volume.identity)
        except SessionError:
            # Kept beside the one that is written from now on.
            path.replace(path.with_name(f"{path.name}.damaged"))
            raise
        if dabs:
            session.planning.restore_paint(dabs)
            self._saved = session.planning.now.keep_out

    def _save(self) -> None:
        if self._volume is not None:
            identity = self._volume.identity
            save_keep_out(self._saved, identity, keep_out_file(identity, self._folder))
