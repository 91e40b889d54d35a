"""The live ultrasound with the CT cut in its plane over it, and a CT that a hand can move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QPainter

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.gui.edges import draw_edge_letters, edge_letters
from ir_nav.gui.hand_view import HandView, blended
from ir_nav.gui.paint import grey_image
from ir_nav.imaging import ByteImage, Volume, reslice_window
from ir_nav.session.state import UltrasoundState


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What is drawn. ct_from_reference: (4, 4) at hand. pivot_ct_mm: (3,) marked, or None."""

    ultrasound: UltrasoundState
    ct_from_reference: FloatArray
    volume: Volume
    pivot_ct_mm: FloatArray | None = None


class LiveFusion(HandView):
    """Fused newest frame; draws the CT wherever the registration at hand puts it. look: window
    and level, HU."""

    def __init__(self, title: str = "Ultrasound and CT") -> None:
        super().__init__(title)
        self.look = (400.0, 40.0)
        self.why_empty = "No ultrasound image: connect a device that sends one in Set up"
        self._fused: Fused | None = None
        self._ct: ByteImage | None = None

    def show_fused(self, fused: Fused | None) -> None:
        """Draw this from now on; None where there is nothing to fuse."""
        self._fused = fused
        self.update()

    @property
    def fused(self) -> Fused | None:
        return self._fused

    @property
    def mm_per_px(self) -> float:
        """Of the view."""
        return 1.0 if self._fused is None else self._fused.ultrasound.mm_per_px / self._scale

    def dragged_mm(self, moved: QPointF) -> FloatArray:
        return np.array([moved.x(), moved.y(), 0.0]) * self.mm_per_px

    def draw(self, painter: QPainter) -> None:
        fused = self._fused
        if fused is None or fused.ultrasound.reference_from_image is None:
            reason = None if fused is None else fused.ultrasound.reason
            self.say(painter, self.why_empty if reason is None else f"No fusion: {reason}")
            return
        frame = fused.ultrasound.frame
        grey = self._fitted(frame, frame.pixels)
        ct_from_view = self.ct_from_view
        assert ct_from_view is not None
        rows, columns = grey.shape
        if self._ct is None or self._ct.shape != grey.shape:
            self._ct = np.empty_like(grey)
        reslice_window(fused.volume, ct_from_view, (columns, rows), *self.look, out=self._ct)
        self._both = blended(grey, self._ct, self.part, self.blend)
        painter.drawImage(self._box.topLeft(), grey_image(self._both))
        letters = edge_letters(ct_from_view[:3, 0], ct_from_view[:3, 1])
        draw_edge_letters(painter, QRectF(self.rect()), letters, self._title_right)
        if fused.pivot_ct_mm is not None:
            off = apply(read_only(np.linalg.inv(ct_from_view)), fused.pivot_ct_mm)[2]
            self._draw_cross(painter, f"{self.pivot_name}, {abs(float(off)):.0f} mm off the plane")

    @property
    def ct_from_view(self) -> FloatArray | None:
        """(4, 4): px of the fitted frame, from its upper left, to `ct` mm; None without a pose."""
        fused = self._fused
        if fused is None or fused.ultrasound.reference_from_image is None:
            return None
        image_from_view = np.diag([1.0 / self._scale, 1.0 / self._scale, 1.0, 1.0])
        image_from_view[:2, 3] = 0.5 / self._scale - 0.5
        return np.asarray(
            fused.ct_from_reference @ fused.ultrasound.reference_from_image @ image_from_view
        )

    def _pivot_at(self) -> QPointF | None:
        fused, ct_from_view = self._fused, self.ct_from_view
        if fused is None or fused.pivot_ct_mm is None or ct_from_view is None:
            return None
        seen = apply(read_only(np.linalg.inv(ct_from_view)), fused.pivot_ct_mm)
        return QPointF(self._box.left() + seen[0] + 0.5, self._box.top() + seen[1] + 0.5)
