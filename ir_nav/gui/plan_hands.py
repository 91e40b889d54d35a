"""Target and entry placed by a click and dragged, in the slices and in 3D."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PyQt6.QtCore import QObject, QPointF, Qt, QTimer
from PyQt6.QtGui import QKeySequence, QPainter, QShortcut
from PyQt6.QtWidgets import QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui.desk import Desk
from ir_nav.gui.plan_scene import HINT_PX, PLACING_WORDS, PlanScene
from ir_nav.gui.plan_views import PlanViews
from ir_nav.gui.points_card import PointsCard
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.stroke_tool import draw_hint
from ir_nav.session.drafting import Drawn

# An entry let go this near to the skin is meant to lie on it.
SNAP_MM = 15.0
# Closer than this it lies on it.
ON_SKIN_MM = 1.0
SAID_MS = 4000


class PlanHands(QObject):
    """One click places the point that is armed; a drag moves one that is there, and is one step
    to undo. placed: called when the views shall look where the points are now."""

    def __init__(
        self,
        page: QWidget,
        desk: Desk,
        tools: SliceTools,
        views: PlanViews,
        scene: PlanScene,
        points: PointsCard,
        placed: Callable[[], object],
    ) -> None:
        super().__init__(page)
        self._desk, self._tools, self._views = desk, tools, views
        self._scene, self._points, self._placed = scene, points, placed
        self._armed: Handle | None = None
        self._gesture: object | None = None
        self._taken_at: Drawn | None = None
        self._said: tuple[SliceView | None, str] = (None, "")
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(SAID_MS)
        self._quiet.timeout.connect(self._fall_silent)
        self._escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), page)
        self._escape.setEnabled(False)
        self._escape.activated.connect(self.disarm)
        tools.add_layer(self)
        tools.changed.connect(self._take_turns)
        for view in views.all:
            view.set_draggable(True)
            view.point_picked.connect(partial(self._pick, view))
            view.handle_taken.connect(partial(self._take_in_slice, view))
            view.handle_dragged.connect(self._move)
            view.handle_left.connect(partial(self._leave_in_slice, view))
        scene.entry_picked.connect(partial(self._pick, None))
        scene.handle_taken.connect(self._take)
        scene.handle_dragged.connect(self._move)
        scene.handle_left.connect(lambda _: self._leave())

    @property
    def armed(self) -> Handle | None:
        """What the next click places."""
        return self._armed

    def arm(self, handle: Handle) -> None:
        """The next click in a slice places this point; once more ends it."""
        self._tools.use(None)
        self._set_armed(None if self._armed is handle else handle)

    def disarm(self) -> None:
        """A click places nothing."""
        self._set_armed(None)

    def paint(self, painter: QPainter, view: SliceView) -> None:
        """What the next click does, or what the last one did besides."""
        words = self._said[1] if self._said[0] is view else ""
        if self._armed is not None:
            words = PLACING_WORDS[self._armed]
        if words:
            draw_hint(painter, QPointF(view.width() / 2.0, HINT_PX), words)

    def _set_armed(self, handle: Handle | None) -> None:
        self._armed = handle
        self._points.show_placing(handle)
        self._escape.setEnabled(handle is not None)
        for view in self._views.all:
            view.set_picking(handle is not None)
        self._scene.set_placing(handle)
        self._tools.repaint()

    def _take_turns(self, tool: SliceTool | None) -> None:
        """A tool and a placing do not go together: the later one holds."""
        if tool is not None and self._armed is not None:
            self.disarm()

    def _pick(self, view: SliceView | None, point_ct_mm: FloatArray) -> None:
        handle = self._armed
        if handle is None:
            return
        self.disarm()
        self._take(handle)
        self._move(handle, point_ct_mm)
        if view is not None and handle is Handle.ENTRY and self._moved:
            self._snap(view)
        self._leave()

    def _take(self, _: Handle) -> None:
        self._gesture, self._taken_at = object(), self._desk.session.planning.now

    def _take_in_slice(self, view: BrowsableSlice, handle: Handle) -> None:
        self._take(handle)
        self._views.hold(view)

    def _move(self, handle: Handle, point_ct_mm: FloatArray) -> None:
        session, gesture = self._desk.session, self._gesture
        if handle is Handle.TARGET:
            self._points.set_target(point_ct_mm, gesture)
        else:
            self._desk.attempt(lambda: session.planning.set_entry(point_ct_mm, gesture=gesture))

    def _leave_in_slice(self, view: SliceView, handle: Handle) -> None:
        self._views.hold(None)
        if self._moved and handle is Handle.ENTRY:
            self._snap(view)
        if self._moved:
            self._placed()
        self._leave()

    def _leave(self) -> None:
        self._gesture = self._taken_at = None

    @property
    def _moved(self) -> bool:
        return self._taken_at is not self._desk.session.planning.now

    def _snap(self, view: SliceView) -> None:
        """Put the entry onto the skin that it was let go by."""
        session, outline = self._desk.session, self._desk.look.outline
        entry = session.planning.draft.entry_ct_mm
        if entry is None or outline is None or outline.volume is not session.case.volume:
            return
        skin = outline.nearest_skin(entry)
        away_mm = float(np.linalg.norm(skin - entry))
        if not ON_SKIN_MM < away_mm <= SNAP_MM:
            return
        gesture = self._gesture
        if self._desk.attempt(lambda: session.planning.set_entry(skin, gesture=gesture)):
            self._said = (view, f"Entry moved {away_mm:.0f} mm onto the skin")
            self._quiet.start()
            self._tools.repaint()

    def _fall_silent(self) -> None:
        self._said = (None, "")
        self._tools.repaint()
