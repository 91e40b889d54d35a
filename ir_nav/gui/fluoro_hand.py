"""A fluoro frame with the CT's shadow and edges over it, and a CT that a hand can move."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QPainter

from ir_nav.geometry import CArmGeometry, FloatArray, apply, rigid_inverse, unit
from ir_nav.gui import theme
from ir_nav.gui.edges import draw_edge_letters, edge_letters
from ir_nav.gui.fluoro_shadow import Shadow, shadow_of
from ir_nav.gui.fluoro_view import NEAREST_MM
from ir_nav.gui.hand_view import DOWN, RIGHT, HandView, blended
from ir_nav.gui.paint import colour_image, draw_pill, grey_image
from ir_nav.imaging import ByteImage
from ir_nav.registration import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.session.fluoro_views import TakenView


@dataclass(frozen=True, slots=True, eq=False)
class Shone:
    """What is drawn: a frame, and where it sees the CT at hand. carm_from_ct: (4, 4).
    attenuation: None while the CT is not prepared yet. pivot_ct_mm: (3,)."""

    view: TakenView
    carm_from_ct: FloatArray
    attenuation: Attenuation | None
    pivot_ct_mm: FloatArray

    @property
    def geometry(self) -> CArmGeometry:
        return self.view.frame.view.geometry

    @property
    def pivot_carm_mm(self) -> FloatArray:
        """(3,)"""
        return apply(self.carm_from_ct, self.pivot_ct_mm)

    @property
    def mm_per_px(self) -> tuple[float, float]:
        """Of the frame, along its columns and rows, at the pivot's distance from the focal
        spot."""
        share = float(self.pivot_carm_mm[2]) / self.geometry.sid_mm
        return self.geometry.pixel_mm[0] * share, self.geometry.pixel_mm[1] * share

    @property
    def carm_from_axes(self) -> FloatArray:
        """(3, 3) as columns, each of length 1: along the frame's columns, along its rows, and
        along the ray through the pivot, so that what goes along it stays under the pointer."""
        return np.column_stack([np.eye(3)[RIGHT], np.eye(3)[DOWN], unit(self.pivot_carm_mm)])


class FluoroHand(HandView):
    """The CT is projected anew at every paint that needs it: some 10 ms on one core."""

    def __init__(self) -> None:
        super().__init__("Fluoro and CT")
        self._why = "No fluoro image yet"
        self._shone: Shone | None = None
        self._shadow: Shadow | None = None
        self._refused = ""
        self._projected: Shone | None = None
        self._ct: ByteImage | None = None

    def show_shone(self, shone: Shone | None, why: str = "") -> None:
        """Draw this from now on; None with the reason in words."""
        if shone is None and (self._shone is None and why == self._why):
            return
        self._shone, self._why = shone, why
        self.update()

    @property
    def shone(self) -> Shone | None:
        return self._shone

    @property
    def shadow(self) -> Shadow | None:
        """What is drawn over the frame, or None."""
        return self._shadow if self._shone is not None else None

    def dragged_mm(self, moved: QPointF) -> FloatArray:
        if self._shone is None:
            return np.zeros(3)
        across, down = self._shone.mm_per_px
        return np.array([moved.x() * across, moved.y() * down, 0.0]) / self._scale

    @property
    def middle_ct_mm(self) -> FloatArray | None:
        """(3,) what lies in the view's middle, as deep as the pivot."""
        shone = self._shone
        if shone is None:
            return None
        at_px = (np.array(self.middle_px) + 0.5) / self._scale - 0.5
        ray = np.linalg.solve(shone.geometry.camera_matrix, np.array([*at_px, 1.0]))
        return apply(rigid_inverse(shone.carm_from_ct), ray * shone.pivot_carm_mm[2])

    def draw(self, painter: QPainter) -> None:
        shone = self._shone
        if shone is None:
            self.say(painter, self._why)
            return
        sample, frame = shone.view.sample, shone.view.frame
        grey = self._fitted(sample, frame.image)
        self._project(shone)
        if self._shadow is None:
            self._both = grey
            painter.drawImage(self._box.topLeft(), grey_image(grey))
            words = self._refused or "Preparing the CT's shadow"
            middle = QPointF(self.width() / 2, self.height() - 10)
            draw_pill(painter, middle, [words], theme.TEXT_3, self.width() - 20.0)
        else:
            self._draw_shadow(painter, grey, self._shadow)
        ct_from_carm = shone.carm_from_ct[:3, :3].T
        letters = edge_letters(ct_from_carm[:, RIGHT], ct_from_carm[:, DOWN])
        draw_edge_letters(painter, QRectF(self.rect()), letters, self._title_right)
        self._draw_cross(painter, self.pivot_name)

    def _draw_shadow(self, painter: QPainter, grey: ByteImage, shadow: Shadow) -> None:
        size = grey.shape[1], grey.shape[0]
        ct = cv2.resize(shadow.grey, size, dst=self._ct, interpolation=cv2.INTER_LINEAR)
        self._ct = np.asarray(ct, dtype=np.uint8)
        self._both = blended(grey, self._ct, self.part, self.blend)
        painter.drawImage(self._box.topLeft(), grey_image(self._both))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        # Whole from the slider's middle on; with the CT faded out they go, too.
        painter.setOpacity(min(2.0 * self.part, 1.0))
        painter.drawImage(self._box, colour_image(shadow.edges))
        painter.restore()

    def _project(self, shone: Shone) -> None:
        """The shadow of the CT where it is now; kept until it, or the detector, is elsewhere."""
        if shone.attenuation is None:
            self._shadow, self._refused, self._projected = None, "", None
            return
        before = self._projected
        if (
            before is not None
            and before.attenuation is shone.attenuation
            and before.geometry == shone.geometry
            and np.array_equal(before.carm_from_ct, shone.carm_from_ct)
        ):
            return
        self._projected = shone
        try:
            self._shadow = shadow_of(shone.attenuation, shone.geometry, shone.carm_from_ct)
            self._refused = ""
        except RegistrationError as error:
            self._shadow, self._refused = None, f"No overlay: {error}"

    def _pivot_at(self) -> QPointF | None:
        shone = self._shone
        if shone is None or shone.pivot_carm_mm[2] < NEAREST_MM:
            return None
        at_px = shone.geometry.project(shone.pivot_carm_mm)
        x, y = ((float(one) + 0.5) * self._scale for one in at_px)
        return QPointF(self._box.left() + x, self._box.top() + y)
