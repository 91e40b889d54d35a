"""The live ultrasound frame with the plan and the needle projected on it."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QPainter

from ir_nav.geometry import FloatArray, apply
from ir_nav.gui import theme
from ir_nav.gui.live_frame import FittedFrame
from ir_nav.gui.paint import (
    draw_diamond,
    draw_error,
    draw_label,
    draw_needle,
    draw_path,
    draw_pill,
    draw_ring,
    draw_scale_bar,
)
from ir_nav.gui.picture import Picture
from ir_nav.gui.scene_records import Overlays
from ir_nav.session.state import Refusal, UltrasoundState

IN_PLANE_MM = 2.0
# A shaft within this of the image plane counts as seen along its length.
ALONG_DEG = 6.0


class UltrasoundView(Picture):
    """Draws nothing of the CT while the image's pose is not known."""

    def __init__(self, title: str = "Ultrasound") -> None:
        super().__init__(title)
        self._fitted = FittedFrame()
        self._state: UltrasoundState | None = None
        self._overlays = Overlays()
        self._refusal: Refusal | None = None
        self._target_name = "Target"

    def show_frame(
        self,
        state: UltrasoundState | None,
        overlays: Overlays,
        refusal: Refusal | None,
        target_name: str = "Target",
    ) -> None:
        """Draw this frame and these overlays from now on."""
        self._state, self._overlays, self._refusal = state, overlays, refusal
        self._target_name = target_name
        self.update()

    @property
    def fitted(self) -> FittedFrame:
        return self._fitted

    @property
    def pill(self) -> tuple[str, ...]:
        """The sign at the bottom, in words."""
        return () if self._state is None else tuple(self._words(self._state)[0])

    def draw_ground(self, painter: QPainter) -> None:
        if self._state is None:
            super().draw_ground(painter)
            return
        self._fitted.fit(self._state.frame, self.width(), self.height())
        self._fitted.draw(painter, self.width(), self.height())

    def draw(self, painter: QPainter) -> None:
        state = self._state
        if state is None:
            self.say(painter, "No ultrasound image: connect a device that sends one in Set up")
            return
        if state.image_from_ct is not None:
            painter.setClipRect(self._fitted.box())
            self._draw_overlays(painter, state.image_from_ct, state.mm_per_px)
            painter.setClipping(False)
        # Above the pill, where the view is too narrow for both.
        corner = QPointF(self.width() - 14, self.height() - (12 if self.width() > 640 else 62))
        if state.mm_per_px > 0.0:
            draw_scale_bar(painter, corner, self._fitted.scale / state.mm_per_px)
        self._draw_pill(painter, state)

    def _draw_overlays(
        self, painter: QPainter, image_from_ct: FloatArray, mm_per_px: float
    ) -> None:
        shown = self._overlays
        px_per_mm = self._fitted.scale / mm_per_px
        if shown.entry_ct_mm is not None and shown.target_ct_mm is not None:
            entry, target = self._seen(image_from_ct, shown.entry_ct_mm, shown.target_ct_mm)
            draw_path(painter, entry, target, IN_PLANE_MM, 2.5)
        if shown.target_ct_mm is not None:
            self._draw_target(painter, image_from_ct, px_per_mm)
        if shown.tip is not None and shown.hub_ct_mm is not None:
            hub, tip = self._seen(image_from_ct, shown.hub_ct_mm, shown.tip.tip_ct_mm)
            draw_needle(painter, hub, tip, IN_PLANE_MM, 3.5)
            if shown.error_mm is not None:
                radius = shown.error_mm * px_per_mm
                draw_error(painter, QPointF(tip[0], tip[1]), radius, radius)

    def _draw_target(self, painter: QPainter, image_from_ct: FloatArray, px_per_mm: float) -> None:
        (seen,) = self._seen(image_from_ct, self._overlays.target_ct_mm)
        at, depth = QPointF(seen[0], seen[1]), float(seen[2])
        near = abs(depth) <= IN_PLANE_MM
        tone = theme.colour(theme.PLAN, 1.0 if near else 0.55)
        draw_diamond(painter, at, 11.0, tone)
        tolerance = self._overlays.tolerance_mm
        radius = 0.0 if tolerance is None else tolerance * px_per_mm
        if radius > 0.0 and tolerance is not None and abs(depth) < tolerance:
            draw_ring(painter, at, radius, tone, 1.6)
        name = self._target_name if near else f"{self._target_name}, {_side(depth)}"
        place = QPointF(seen[0] + max(radius, 12.0) + 8, seen[1])
        draw_label(
            painter,
            place,
            name,
            px=theme.BODY,
            weight=theme.STRONG,
            name=theme.PLAN,
            anchor=(0.0, 0.5),
        )

    def _seen(self, image_from_ct: FloatArray, *points: FloatArray | None) -> list[FloatArray]:
        placed = [apply(image_from_ct, point) for point in points if point is not None]
        return [self._fitted.to_view(point) for point in placed]

    def _draw_pill(self, painter: QPainter, state: UltrasoundState) -> None:
        lines, name = self._words(state)
        if lines:
            middle = QPointF(self.width() / 2, self.height() - 14)
            draw_pill(painter, middle, lines, name, min(self.width() - 40.0, 520.0))

    def _words(self, state: UltrasoundState) -> tuple[list[str], str]:
        if state.image_from_ct is None:
            why = state.reason or "where the image lies is not known"
            cure = "" if self._refusal is None else self._refusal.cure
            return _sentences(f"no overlay: {why}", cure), theme.ALARM_MEDIUM
        if self._refusal is not None:
            return _sentences(self._refusal.reason, self._refusal.cure), theme.ALARM_MEDIUM
        tip = self._overlays.tip
        if tip is None:
            return [], theme.NEEDLE
        words = plane_words(state.image_from_ct, tip.tip_ct_mm, tip.shaft_ct)
        return [words], theme.NEEDLE


def plane_words(image_from_ct: FloatArray, tip_ct_mm: FloatArray, shaft_ct: FloatArray) -> str:
    """Where the needle is against the image plane, for the pill."""
    depth = float(apply(image_from_ct, tip_ct_mm)[2])
    # Rows two and below carry mm: the third row turns a unit direction into mm square to the image.
    rise = float(np.clip(image_from_ct[2, :3] @ shaft_ct, -1.0, 1.0))
    tilt_deg = abs(float(np.degrees(np.arcsin(rise))))
    if abs(depth) > IN_PLANE_MM:
        return f"Needle out of plane, tip {_side(depth)}"
    if tilt_deg > ALONG_DEG:
        return f"Tip in plane, shaft crosses it at {tilt_deg:.0f}°"
    return f"Needle in plane, tip {_side(depth)}"


def _side(depth_mm: float) -> str:
    """The image's w axis points away from the viewer."""
    return f"{abs(depth_mm):.1f} mm {'behind' if depth_mm > 0.0 else 'in front'}"


def _sentences(*texts: str) -> list[str]:
    return [text[:1].upper() + text[1:] for text in texts if text]
