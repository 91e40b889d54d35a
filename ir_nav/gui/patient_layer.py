"""What is seen of the patient now, over slices of a CT that a hand moves: the live ultrasound
where it lies in the slice, points touched and swiped, and where the tips are and were."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QPainter, QPen

from devices.contract import ImageSample
from ir_nav.geometry import FloatArray, apply
from ir_nav.gui import theme
from ir_nav.gui.hand_view import Blend, draw_cross, odd_squares
from ir_nav.gui.live_frame import to_grey
from ir_nav.gui.paint import colour_image, draw_label, draw_ring
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.swipe_layer import DOT_PX, draw_dots
from ir_nav.imaging import ByteImage
from ir_nav.session.patient_points import PatientPoints
from ir_nav.session.state import UltrasoundState

# Half of an ultrasound beam's width across its plane, in its far field.
BEAM_MM = 3.0
# A touched point is drawn further off: it is one of few.
TOUCHED_NEAR_MM = 12.0
TRAIL_PX = 3.0
SIGN_PX = 6.0
# Larger than a vessel's lumen in a frame of some 500 px.
FAN_HOLE = np.ones((31, 31), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """What is drawn. ct_from_reference: (4, 4) with the CT where it was moved to. pivot_ct_mm:
    (3,). ultrasound: None without an image that has a place."""

    ct_from_reference: FloatArray
    points: PatientPoints
    ultrasound: UltrasoundState | None
    pivot_ct_mm: FloatArray


class PatientLayer:
    """shown: None draws nothing. part: of the CT, 0 to 1; blend: of CT and live image."""

    def __init__(self) -> None:
        self.shown: Patient | None = None
        self.part = 0.5
        self.blend = Blend.FADED
        # The picture's memory, kept while Qt draws from it.
        self._live: dict[SliceView, NDArray[np.uint8]] = {}
        self._kept: tuple[ImageSample, ByteImage, ByteImage] | None = None

    def paint(self, painter: QPainter, view: SliceView) -> None:
        shown = self.shown
        if shown is None or view.volume is None:
            return
        found = self._cut(shown, view)
        if found is not None:
            top, live = found
            self._live[view] = live
            painter.drawImage(0, top, colour_image(live))
        matrix, points = shown.ct_from_reference, shown.points
        draw_dots(painter, view, apply(matrix, points.swiped_mm), DOT_PX, theme.TEXT_1)
        draw_dots(painter, view, apply(matrix, points.trail_mm), TRAIL_PX, theme.NEEDLE)
        for name, point_mm in points.touched:
            _touched(painter, view, apply(matrix, point_mm), name)
        for name, point_mm in points.tips:
            at = view.to_view(apply(matrix, point_mm))
            draw_ring(painter, QPointF(at[0], at[1]), SIGN_PX, theme.colour(theme.TEXT_1))
            draw_label(painter, QPointF(at[0] + 9.0, at[1]), name, anchor=(0.0, 0.5))
        pivot = view.to_view(shown.pivot_ct_mm)
        draw_cross(painter, QPointF(pivot[0], pivot[1]))

    def _frame(self, frame: ImageSample) -> tuple[ByteImage, ByteImage]:
        """(rows, columns) of a frame's grey, and 255 where it shows anything: beside its fan it is
        black, and inside black only in small places. Worked out once a frame."""
        if self._kept is None or self._kept[0] is not frame:
            grey = to_grey(frame.pixels)
            lit = np.asarray(grey > 0, dtype=np.uint8) * np.uint8(255)
            closed = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, FAN_HOLE)
            self._kept = (frame, grey, np.asarray(closed, dtype=np.uint8))
        return self._kept[1], self._kept[2]

    def _cut(self, shown: Patient, view: SliceView) -> tuple[int, NDArray[np.uint8]] | None:
        """First row of the view, and (rows, columns, 4) premultiplied BGRA from there on, of the
        frame where it is within its beam's width of the slice; None where it is not."""
        image = shown.ultrasound
        if image is None or image.reference_from_image is None:
            return None
        ct_from_image = shown.ct_from_reference @ image.reference_from_image
        image_from_view = np.linalg.inv(ct_from_image) @ view.plane().ct_from_view
        inside = np.abs(_across_mm(image_from_view, (view.width(), view.height()))) <= BEAM_MM
        rows = np.flatnonzero(inside.any(axis=1))
        if not len(rows):
            return None
        top = int(rows[0])
        # A frame square to the slice is a band in it: the rest is not worked out.
        inside = inside[top : rows[-1] + 1]
        image_from_view[:, 3] += image_from_view[:, 1] * top
        size = inside.shape[1], inside.shape[0]
        grey, lit = self._frame(image.frame)
        inside &= _cut_of(lit, image_from_view, size) > 127
        squares = self.blend is Blend.SQUARES
        if squares:
            inside &= ~odd_squares((top + size[1], size[0]))[top:]
        cut = _cut_of(grey, image_from_view, size)
        flat = np.where(inside, _tones(1.0 if squares else 1.0 - self.part)[cut], np.uint32(0))
        return top, flat.view(np.uint8).reshape(*cut.shape, 4)


def _across_mm(image_from_view: FloatArray, size_px: tuple[int, int]) -> NDArray[np.float32]:
    """(rows, columns) of the view: how far off the frame's plane."""
    columns, rows = (np.arange(number, dtype=np.float32) for number in size_px)
    a, b, c = (np.float32(image_from_view[2, n]) for n in (0, 1, 3))
    return np.asarray((b * rows)[:, None] + (a * columns + c)[None, :])


def _cut_of(grey: ByteImage, image_from_view: FloatArray, size_px: tuple[int, int]) -> ByteImage:
    """The frame at the view's pixels, 0 beside it."""
    matrix = image_from_view[:2][:, [0, 1, 3]]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grey, matrix, size_px, flags=how), dtype=np.uint8)


def _tones(alpha: float) -> NDArray[np.uint32]:
    """(256,) premultiplied BGRA of each grey level."""
    pixels = np.repeat(np.arange(256.0)[:, None] * alpha, 4, axis=1)
    pixels[:, 3] = 255.0 * alpha
    return np.ascontiguousarray(np.rint(pixels).astype(np.uint8)).view(np.uint32)[:, 0]


def _touched(painter: QPainter, view: SliceView, point_ct_mm: FloatArray, name: str) -> None:
    """A cross where the stylus touched a fiducial: it belongs into the fiducial's ring."""
    at = view.to_view(point_ct_mm)
    if abs(float(at[2])) > TOUCHED_NEAR_MM:
        return
    x, y = float(at[0]), float(at[1])
    painter.setPen(QPen(theme.colour(theme.TEXT_1), 2.0))
    for sign in (-1.0, 1.0):
        slope = QPointF(SIGN_PX * 0.7, sign * SIGN_PX * 0.7)
        painter.drawLine(QPointF(x, y) - slope, QPointF(x, y) + slope)
    draw_label(painter, QPointF(x - 9.0, y), f"{name} touched", anchor=(1.0, 0.5))
