"""The newest fluoro frame with the plan and the needle projected through the C-arm."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QPainter

from ir_nav.geometry import FloatArray, apply
from ir_nav.gui import theme
from ir_nav.gui.edges import Letters, draw_edge_letters, edge_letters
from ir_nav.gui.live_frame import FittedFrame
from ir_nav.gui.paint import draw_diamond, draw_needle, draw_path, draw_pill, draw_ring
from ir_nav.gui.picture import Picture
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.ultrasound_view import NOT_REGISTERED
from ir_nav.session.state import FluoroState

# Nearer to the focal spot than this a point has no useful shadow.
NEAREST_MM = 10.0


class FluoroView(Picture):
    """A projection has no depth: every line is drawn as in the plane."""

    def __init__(self, title: str = "Fluoro", *, quiet: bool = False) -> None:
        """quiet: a missing overlay is no alarm here."""
        super().__init__(title)
        self._tone = theme.TEXT_3 if quiet else theme.ALARM_MEDIUM
        self._fitted = FittedFrame()
        self._state: FluoroState | None = None
        self._overlays = Overlays()

    def show_frame(self, state: FluoroState | None, overlays: Overlays) -> None:
        """Draw this frame and these overlays from now on."""
        self._state, self._overlays = state, overlays
        self.update()

    @property
    def fitted(self) -> FittedFrame:
        return self._fitted

    @property
    def letters(self) -> Letters | None:
        """At the left, right, upper and lower edge, for the principal ray; None while the
        C-arm's place is not known."""
        state = self._state
        if state is None or state.carm_from_ct is None:
            return None
        ct_from_carm = state.carm_from_ct.matrix[:3, :3].T
        return edge_letters(ct_from_carm[:, 0], ct_from_carm[:, 1])

    def draw_ground(self, painter: QPainter) -> None:
        if self._state is None:
            super().draw_ground(painter)
            return
        self._fitted.fit(self._state.frame, self.width(), self.height())
        self._fitted.draw(painter, self.width(), self.height())

    def draw(self, painter: QPainter) -> None:
        state = self._state
        if state is None:
            self.say(painter, "No fluoro image yet")
            return
        if state.carm_from_ct is None:
            why = state.reason or "the C-arm position is not known"
            words = f"No overlay: {NOT_REGISTERED.get(why, why)}"
            middle = QPointF(self.width() / 2, self.height() - 10)
            draw_pill(painter, middle, [words], self._tone, self.width() - 20.0)
            return
        painter.setClipRect(self._fitted.box())
        self._draw_overlays(painter, state)
        painter.setClipping(False)
        letters = self.letters
        if letters is not None:
            draw_edge_letters(painter, self._fitted.box(), letters, self._title_right)

    def _draw_overlays(self, painter: QPainter, state: FluoroState) -> None:
        shown = self._overlays
        if shown.entry_ct_mm is not None and shown.target_ct_mm is not None:
            line = self._line(state, shown.entry_ct_mm, shown.target_ct_mm)
            if line is not None:
                draw_path(painter, *line, 1.0)
        for point, is_target in ((shown.target_ct_mm, True), (shown.entry_ct_mm, False)):
            at = None if point is None else self._point(state, point)
            if at is not None and is_target:
                draw_diamond(painter, at, 8.0, theme.colour(theme.PLAN))
            elif at is not None:
                draw_ring(painter, at, 5.0, theme.colour(theme.PLAN))
        if shown.tip is not None and shown.hub_ct_mm is not None:
            line = self._line(state, shown.hub_ct_mm, shown.tip.tip_ct_mm)
            if line is not None:
                draw_needle(painter, *line, 1.0, 2.5)

    def _line(
        self, state: FluoroState, first: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray] | None:
        """Shadow of a line, cut where it comes too near to the source; None when all of it is."""
        if state.carm_from_ct is None:
            return None
        start, end = apply(state.carm_from_ct.matrix, np.stack([first, second]))
        clipped = clip_to_front(start, end)
        if clipped is None:
            return None
        shadow = self._fitted.to_view(self._frame_px(state, np.stack(clipped)))
        flat = np.column_stack([shadow, np.zeros(2)])
        return flat[0], flat[1]

    def _point(self, state: FluoroState, point: FloatArray) -> QPointF | None:
        if state.carm_from_ct is None:
            return None
        placed = state.carm_from_ct.apply(point)
        if placed[2] < NEAREST_MM:
            return None
        return self._fitted.point(self._frame_px(state, placed))

    def _frame_px(self, state: FluoroState, points_carm_mm: FloatArray) -> FloatArray:
        """Pixels of the frame, which may be sent smaller than the detector reads."""
        rows, columns = state.frame.pixels.shape[:2]
        ratio = np.array([columns, rows]) / np.array(state.geometry.size_px)
        projected = state.geometry.project(points_carm_mm)
        return np.asarray((projected + 0.5) * ratio - 0.5)


def clip_to_front(
    first: FloatArray, second: FloatArray, nearest_mm: float = NEAREST_MM
) -> tuple[FloatArray, FloatArray] | None:
    """The part of a line in `carm` at least `nearest_mm` in front of the source."""
    a, b = float(first[2]), float(second[2])
    if a < nearest_mm and b < nearest_mm:
        return None
    if a >= nearest_mm and b >= nearest_mm:
        return first, second
    edge = first + (second - first) * ((nearest_mm - a) / (b - a))
    return (edge, second) if a < nearest_mm else (first, edge)
