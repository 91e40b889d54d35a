"""A fluoro frame with the CT's projected edges over it, and the CT's shadow beside a slider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QMouseEvent, QPainter, QPen

from ir_nav.geometry import Transform
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.fluoro_shadow import Shadow, shadow_of
from ir_nav.gui.fluoro_view import FluoroView
from ir_nav.gui.paint import colour_image, grey_image
from ir_nav.gui.scene_records import Overlays
from ir_nav.registration import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.session.fluoro_views import TakenView
from ir_nav.session.state import FluoroState

# The frame goes on without its edges when the worker has been busy for longer.
AWAITED_S = 0.6
GRIP_PX = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """A frame to be shown, where the CT lies in it and by what; carm_from_ct None with a
    reason."""

    view: TakenView
    carm_from_ct: Transform | None
    attenuation: Attenuation | None
    reason: str | None

    def same(self, other: Wanted | None) -> bool:
        """Whether the other looks the same."""
        if other is None or self.view.sample is not other.view.sample:
            return False
        if self.attenuation is not other.attenuation or self.reason != other.reason:
            return False
        mine, its = self.carm_from_ct, other.carm_from_ct
        if mine is None or its is None:
            return mine is its
        return bool((mine.matrix == its.matrix).all())


class FluoroFusion(FluoroView):
    """Frame and edges always belong together: edges are worked out for a frame on the worker,
    then both are shown. strength: of the edges, 0 to 1. Dragging moves the swipe: right of it
    the CT's shadow stands in place of the frame.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__("Fluoro and CT", quiet=True)
        self._desk = desk
        self._shadow: Shadow | None = None
        self._shown: Wanted | None = None
        self._pending: Wanted | None = None
        self._asked_s = 0.0
        self._swipe = 1.0
        self._strength = 1.0
        self._why = "No fluoro image yet"
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setToolTip("Drag from the right edge: the CT's shadow in place of the frame")

    @property
    def shadow(self) -> Shadow | None:
        """What is drawn over the frame in sight, or None."""
        return self._shadow

    def set_strength(self, strength: float) -> None:
        """How strongly edges are drawn, 0 to 1."""
        self._strength = strength
        self.update()

    def set_swipe(self, part: float) -> None:
        """Where the CT's shadow begins, 0 at the frame's left to 1 at its right."""
        self._swipe = min(max(part, 0.0), 1.0)
        self.update()

    def show_nothing(self, why: str) -> None:
        """Say why there is no frame."""
        self._why, self._shown, self._shadow = why, None, None
        self.show_frame(None, Overlays())

    def follow(self, wanted: Wanted, overlays: Overlays, now_s: float) -> None:
        """Show a frame as soon as its edges are there; at `now_s`, Unix time."""
        if wanted.same(self._shown):
            self._overlay(wanted, overlays)
            return
        if wanted.carm_from_ct is None or wanted.attenuation is None:
            self._put(wanted, None, overlays)
        elif self._pending is None:
            self._pending, self._asked_s = wanted, now_s
            work, done = _edges(wanted), self._taker(wanted, overlays)
            self._desk.worker.submit("Projecting the CT", lambda _: work(), done, quiet=True)
        elif now_s - self._asked_s > AWAITED_S:
            self._put(wanted, None, overlays)

    def draw_ground(self, painter: QPainter) -> None:
        super().draw_ground(painter)
        shadow, box = self._shadow, self._fitted.box()
        if shadow is None or box.isEmpty():
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        split = box.left() + self._swipe * box.width()
        if self._swipe < 1.0:
            painter.setClipRect(QRectF(split, box.top(), box.right() - split, box.height()))
            painter.drawImage(box, grey_image(shadow.grey))
            painter.setClipping(False)
        painter.setOpacity(self._strength)
        painter.drawImage(box, colour_image(shadow.edges))
        painter.restore()
        if self._swipe < 1.0:
            painter.setPen(QPen(theme.colour(theme.TEXT_1), 1.5))
            painter.drawLine(QLineF(split, box.top(), split, box.bottom()))

    def draw(self, painter: QPainter) -> None:
        if self._state is None:
            self.say(painter, self._why)
            return
        super().draw(painter)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._swipe_to(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._swipe_to(event.position())

    def _swipe_to(self, at: QPointF) -> None:
        box = self._fitted.box()
        if box.isEmpty():
            return
        if at.x() > box.right() - GRIP_PX:
            self.set_swipe(1.0)
            return
        self.set_swipe((at.x() - box.left()) / box.width())

    def _taker(self, wanted: Wanted, overlays: Overlays) -> Callable[[Shadow | str], None]:
        def take(made: Shadow | str) -> None:
            self._pending = None
            if isinstance(made, str):
                self._put(_without(wanted, made), None, overlays)
            else:
                self._put(wanted, made, overlays)

        return take

    def _put(self, wanted: Wanted, shadow: Shadow | None, overlays: Overlays) -> None:
        self._shadow = shadow
        # What came without its edges is asked for again.
        late = shadow is None and wanted.carm_from_ct is not None and wanted.attenuation
        self._shown = None if late else wanted
        self._overlay(wanted, overlays)

    def _overlay(self, wanted: Wanted, overlays: Overlays) -> None:
        view = wanted.view
        state = FluoroState(
            view.sample,
            view.frame.view.geometry,
            wanted.carm_from_ct,
            wanted.reason,
            0.0,
            0.0,
        )
        self.show_frame(state, overlays)


def _without(wanted: Wanted, reason: str) -> Wanted:
    return Wanted(wanted.view, None, wanted.attenuation, reason)


def _edges(wanted: Wanted) -> Callable[[], Shadow | str]:
    """For the worker: the shadow, or in words why the CT cannot be projected."""
    attenuation, placed = wanted.attenuation, wanted.carm_from_ct
    assert attenuation is not None
    assert placed is not None

    def work() -> Shadow | str:
        try:
            return shadow_of(attenuation, wanted.view.frame.view.geometry, placed.matrix)
        except RegistrationError as error:
            return str(error)

    return work
