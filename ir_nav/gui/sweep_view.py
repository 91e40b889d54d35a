"""Ultrasound frames where they lie in space, one behind the other, to be turned by hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QImage, QMouseEvent, QPainter, QPen, QPolygonF, QTransform, QWheelEvent

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray, apply, rotation_from_vector
from ir_nav.gui import theme
from ir_nav.gui.live_frame import to_grey
from ir_nav.gui.paint import draw_scale_bar, grey_image
from ir_nav.gui.picture import Picture
from ir_nav.session.session import Session
from ir_nav.session.state import Source
from ir_nav.session.streams import Streams
from ir_nav.session.swept_frames import Sweep, SweptFrame

NOTE = "drag to turn"
KEPT_FRAMES = 512
DRAWN_FRAMES = 48
MIN_SHIFT_MM = 0.4
THUMBNAIL_PX = 240
DIM = 0.30
MARGIN = 0.86


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFrame:
    """A frame as a thumbnail. corners_mm (4, 3): of its outer edges, from top left clockwise.
    reference_from_image, reference_from_thumbnail (4, 4): px of each to mm."""

    sample: ImageSample
    image: QImage
    corners_mm: FloatArray
    reference_from_image: FloatArray
    reference_from_thumbnail: FloatArray


class SweepView(Picture):
    """Keeps the last frames and draws those that lie apart."""

    def __init__(self, title: str = "Frames in space") -> None:
        super().__init__(title, NOTE)
        self._name = title
        self._streams: Streams | None = None
        self._sweep: Sweep | None = None
        self._frames: deque[PlacedFrame] = deque(maxlen=KEPT_FRAMES)
        self._reason: str | None = "No ultrasound frame with a pose yet"
        self._turn = rotation_from_vector(np.radians((-62.0, 0.0, 0.0))) @ rotation_from_vector(
            np.radians((0.0, 0.0, 30.0))
        )
        self._zoom = 1.0
        self._grabbed: QPointF | None = None

    @property
    def frames(self) -> tuple[PlacedFrame, ...]:
        """What is kept, oldest first."""
        return tuple(self._frames)

    def follow(self, session: Session, now_s: float) -> None:
        """Add every frame that the room has sent since the last call; the screen need not have
        shown it."""
        room, streams = session.connection.room, session.connection.streams
        if streams is not self._streams:
            self._streams = streams
            entry = None if room is None else room.ultrasound
            self._sweep = Sweep(entry, streams) if entry is not None and streams else None
        if self._sweep is not None:
            self.add(self._sweep.gather(now_s, session.scanner.use))
            # Of a live room nothing is kept for a page that is not open.
            lost = 0 if room is None or room.source is not Source.REPLAY else self._sweep.lost
            self.set_title(self._name, f"{lost} frames not drawn" if lost else NOTE)

    def add(self, frames: tuple[SweptFrame, ...]) -> None:
        """Draw these too, where they lie; of those without a place the reason, in an empty
        view."""
        for one in frames:
            if one.reference_from_image is not None:
                self._frames.append(_place(one.frame, one.reference_from_image))
            else:
                self._reason = one.reason
        if frames:
            self.update()

    def forget(self) -> None:
        """Start with an empty space."""
        self._frames.clear()
        self.update()

    def draw(self, painter: QPainter) -> None:
        if not self._frames:
            self.say(painter, self._reason or "")
            return
        drawn = _apart(self.frames)
        corners = np.concatenate([frame.corners_mm for frame in drawn])
        centre = (corners.min(axis=0) + corners.max(axis=0)) / 2.0
        # The scene keeps its size while it is turned.
        radius = float(np.linalg.norm(corners - centre, axis=1).max())
        scale = self._zoom * MARGIN * min(self.width(), self.height()) / (2.0 * max(radius, 1.0))
        to_view = np.eye(4)
        to_view[:3, :3] = scale * self._turn
        to_view[:3, 3] = -scale * self._turn @ centre
        to_view[:2, 3] += (self.width() / 2.0, self.height() / 2.0)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for frame in sorted(drawn, key=lambda one: _depth(one, to_view), reverse=True):
            self._draw_one(painter, frame, to_view, frame is drawn[0])
        draw_scale_bar(painter, QPointF(self.width() - 14.0, self.height() - 14.0), scale)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._grabbed = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._grabbed = None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or self._grabbed is None:
            return
        moved = event.position() - self._grabbed
        self._grabbed = event.position()
        turn = np.radians((-moved.y() * 0.4, moved.x() * 0.4, 0.0))
        self._turn = rotation_from_vector(turn) @ self._turn
        self.update()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            factor = 1.15 ** (event.angleDelta().y() / 120.0)
            self._zoom = float(np.clip(self._zoom * factor, 0.3, 8.0))
            self.update()

    def _draw_one(
        self, painter: QPainter, frame: PlacedFrame, to_view: FloatArray, newest: bool
    ) -> None:
        matrix = to_view @ frame.reference_from_thumbnail
        painter.save()
        # Pixel centres are whole numbers; Qt draws a pixel from its corner.
        painter.setTransform(
            QTransform(
                matrix[0, 0], matrix[1, 0], matrix[0, 1], matrix[1, 1], matrix[0, 3], matrix[1, 3]
            ),
            True,
        )
        painter.setOpacity(1.0 if newest else DIM)
        painter.drawImage(QPointF(-0.5, -0.5), frame.image)
        painter.restore()
        outline = QPolygonF([QPointF(*point[:2]) for point in apply(to_view, frame.corners_mm)])
        painter.setPen(QPen(theme.colour(theme.ACCENT if newest else theme.LINE), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolygon(outline)


def _place(sample: ImageSample, reference_from_image: FloatArray) -> PlacedFrame:
    rows, columns = sample.pixels.shape[:2]
    shrink = min(1.0, THUMBNAIL_PX / max(rows, columns))
    size = (max(1, round(columns * shrink)), max(1, round(rows * shrink)))
    grey = np.asarray(
        cv2.resize(to_grey(sample.pixels), size, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    image_from_thumbnail = np.eye(4)
    for axis, (full, small) in enumerate(((columns, size[0]), (rows, size[1]))):
        image_from_thumbnail[axis, axis] = full / small
        image_from_thumbnail[axis, 3] = (full / small - 1.0) / 2.0
    right, bottom = columns - 0.5, rows - 0.5
    edges = np.array([(-0.5, -0.5, 0), (right, -0.5, 0), (right, bottom, 0), (-0.5, bottom, 0)])
    return PlacedFrame(
        sample,
        grey_image(np.ascontiguousarray(grey)).copy(),
        apply(reference_from_image, edges),
        reference_from_image,
        reference_from_image @ image_from_thumbnail,
    )


def _apart(frames: tuple[PlacedFrame, ...]) -> list[PlacedFrame]:
    """The newest frames that lie at different places, newest first."""
    drawn: list[PlacedFrame] = []
    for frame in reversed(frames):
        if not drawn or not _same_place(drawn[-1], frame):
            drawn.append(frame)
        if len(drawn) == DRAWN_FRAMES:
            break
    return drawn


def _same_place(first: PlacedFrame, second: PlacedFrame) -> bool:
    return float(np.abs(first.corners_mm - second.corners_mm).max()) < MIN_SHIFT_MM


def _depth(frame: PlacedFrame, to_view: FloatArray) -> float:
    """Distance of the frame's middle behind the screen."""
    return float(apply(to_view, frame.corners_mm.mean(axis=0))[2])
