"""The live ultrasound frame with the plan and the needle projected on it."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QPainter

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.gui import theme
from ir_nav.gui.edges import Letters, draw_edge_letters, edge_letters
from ir_nav.gui.live_frame import FittedFrame, to_grey
from ir_nav.gui.paint import (
    draw_diamond,
    draw_error,
    draw_label,
    draw_needle,
    draw_path,
    draw_pill,
    draw_ring,
    fitting,
    text_width,
)
from ir_nav.gui.picture import Picture
from ir_nav.gui.probe_marks import Sector, depth_ticks, draw_depth_scale, draw_marker, find_sector
from ir_nav.gui.scene_records import Overlays
from ir_nav.imaging import orientation_letters
from ir_nav.session.state import UltrasoundState

IN_PLANE_MM = 2.0
# A shaft within this of the image plane counts as seen along its length.
ALONG_DEG = 6.0
FOOT_PX = 38
LEAST_HEIGHT_PX = 200
SCALE_PX = 44.0
# Said short where it is said over an image.
NOT_REGISTERED = {"the CT is not registered to the patient": "not registered"}


class UltrasoundView(Picture):
    """Draws nothing of the CT while the image's pose is not known."""

    def __init__(self, title: str = "Ultrasound", *, quiet: bool = False) -> None:
        """quiet: a missing overlay is no alarm here."""
        super().__init__(title)
        self._fitted = FittedFrame()
        self._state: UltrasoundState | None = None
        self._overlays = Overlays()
        self._target_name = "Target"
        self._quiet_tone = theme.TEXT_3 if quiet else ""
        self._sector: Sector | None = None
        self._sector_shape: tuple[int, ...] = ()

    def show_frame(
        self,
        state: UltrasoundState | None,
        overlays: Overlays,
        target_name: str = "Target",
    ) -> None:
        """Draw this frame and these overlays from now on."""
        self._state, self._overlays = state, overlays
        self._target_name = target_name
        self.update()

    @property
    def fitted(self) -> FittedFrame:
        return self._fitted

    @property
    def pill(self) -> tuple[str, ...]:
        """The sign at the bottom, in words."""
        return () if self._state is None else tuple(self._words(self._state)[0])

    @property
    def letters(self) -> Letters | None:
        """At the left, right, upper and lower edge; None while the image's place is not known."""
        state = self._state
        if state is None or state.image_from_ct is None:
            return None
        ct_from_image = read_only(np.linalg.inv(state.image_from_ct))
        return edge_letters(ct_from_image[:3, 0], ct_from_image[:3, 1])

    @property
    def foot_px(self) -> int:
        """Rows beneath the image that hold the sign and the lower letter."""
        return FOOT_PX if self.height() >= LEAST_HEIGHT_PX else 0

    def draw_ground(self, painter: QPainter) -> None:
        state = self._state
        if state is None:
            super().draw_ground(painter)
            return
        self._fitted.fit(state.frame, self.width(), self.height(), self.foot_px)
        self._fitted.draw(painter, self.width(), self.height())
        shape = state.frame.pixels.shape[:2]
        if self._sector is None or shape != self._sector_shape:
            self._sector = find_sector(to_grey(state.frame.pixels))
            self._sector_shape = shape

    def draw(self, painter: QPainter) -> None:
        state = self._state
        if state is None:
            self.say(painter, "No ultrasound image: connect a device that sends one in Set up")
            return
        if state.image_from_ct is not None:
            painter.setClipRect(self._fitted.box())
            self._draw_overlays(painter, state.image_from_ct, state.mm_per_px)
            painter.setClipping(False)
        if self._sector is not None and self.width() >= LEAST_HEIGHT_PX:
            draw_marker(painter, self._fitted, self._sector, self._title_right)
            if state.mm_per_px > 0.0:
                ticks = depth_ticks(self._fitted, self._sector, state.mm_per_px)
                draw_depth_scale(painter, self._fitted.box(), ticks)
        letters = self.letters
        if letters is not None:
            # The depth scale stands at the right edge.
            inner = QRectF(self.rect()).adjusted(0.0, 0.0, -SCALE_PX, 0.0)
            inner.moveLeft(SCALE_PX / 2.0)
            draw_edge_letters(painter, inner, letters, self._title_right)
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
        name = self._target_name
        if not near:
            name = f"{name}, {off_plane(image_from_ct, depth)}"
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
        if not lines:
            return
        if state.image_from_ct is None or self.foot_px == 0:
            middle = QPointF(self.width() / 2, self.height() - 8)
            draw_pill(painter, middle, lines, name, min(self.width() - 40.0, 520.0))
            return
        # Left of the lower letter: the image's deepest rows stay free.
        room = self.width() / 2.0 - 34.0
        short = lines[0].removeprefix("Needle ").replace(" toward ", " to ")
        short = short[:1].upper() + short[1:]
        sizes = (theme.BODY, theme.NOTE, theme.LEAST)
        tries = [(text, px) for text in (lines[0], short) for px in sizes]
        fits = (one for one in tries if text_width(one[0], one[1], theme.STRONG) + 14.0 <= room)
        words, px = next(fits, tries[-1])
        words = fitting(words, px, theme.STRONG, room - 14.0)
        at = QPointF(8.0, self.height() - self.foot_px / 2.0)
        draw_label(
            painter, at, words, px=px, weight=theme.STRONG, name=name, plate=True, anchor=(0.0, 0.5)
        )

    def _words(self, state: UltrasoundState) -> tuple[list[str], str]:
        if state.image_from_ct is None:
            why = state.reason or "where the image lies is not known"
            why = NOT_REGISTERED.get(why, why)
            return [f"No overlay: {why}"], self._quiet_tone or theme.ALARM_MEDIUM
        tip = self._overlays.tip
        if tip is None:
            return [], theme.NEEDLE
        words = plane_words(state.image_from_ct, tip.tip_ct_mm, tip.shaft_ct)
        return [words], theme.NEEDLE


def plane_words(image_from_ct: FloatArray, tip_ct_mm: FloatArray, shaft_ct: FloatArray) -> str:
    """Where the needle is against the image plane, for the sign beneath the image."""
    depth = float(apply(image_from_ct, tip_ct_mm)[2])
    # Rows two and below carry mm: the third row turns a unit direction into mm square to the image.
    rise = float(np.clip(image_from_ct[2, :3] @ shaft_ct, -1.0, 1.0))
    tilt_deg = abs(float(np.degrees(np.arcsin(rise))))
    if abs(depth) > IN_PLANE_MM:
        return f"Needle off plane: tip {off_plane(image_from_ct, depth)}"
    if tilt_deg > ALONG_DEG:
        return f"Tip in plane, shaft crosses it at {tilt_deg:.0f}°"
    return f"Needle in plane: tip {off_plane(image_from_ct, depth)}"


def off_plane(image_from_ct: FloatArray, depth_mm: float) -> str:
    """A distance from the image plane and the side it is on, by letter: "0.5 mm toward H"."""
    distance = f"{abs(depth_mm):.1f}"
    if distance == "0.0":
        return "0.0 mm off"
    away_ct = np.linalg.inv(image_from_ct)[:3, 2]
    return f"{distance} mm toward {orientation_letters(away_ct * np.sign(depth_mm))}"
