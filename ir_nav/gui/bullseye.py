"""Looking down the planned path: where the tip and the hub are against it, and how deep."""

from __future__ import annotations

from dataclasses import dataclass
from math import log1p

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPen

from ir_nav.geometry import FloatArray, perpendicular_basis
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_diamond, draw_error, draw_label, draw_ring, fitting
from ir_nav.gui.picture import Picture
from ir_nav.guidance import Guidance
from ir_nav.imaging import orientation_letters
from ir_nav.planning import PlannedPath
from ir_nav.session.state import Refusal

RINGS_MM = (1, 2, 5, 10, 20)
# Inside it the scale is nearly linear: the first millimetre takes a fifth of the radius.
LOG_KNEE_MM = 1.2
HUB_MM = 100.0
ON_COURSE_DEG = 1.0
ARRIVED_MM = 1.0
ANTERIOR = np.array([0.0, -1.0, 0.0])
HEAD = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class BullseyeState:
    """What the bull's-eye draws; guidance None blanks the needle."""

    path: PlannedPath | None = None
    guidance: Guidance | None = None
    error_mm: float | None = None
    tolerance_mm: float = 5.0
    refusal: Refusal | None = None


def view_basis(direction_ct: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(right, up) in `ct` for looking down a path: head up, or front up along the body."""
    along_body = abs(float(direction_ct[2])) > 0.8
    return perpendicular_basis(direction_ct, ANTERIOR if along_body else HEAD)


def ring_fraction(distance_mm: float) -> float:
    """Radius of a distance as a part of the outermost ring's, logarithmic; at most 1.12."""
    return min(log1p(distance_mm / LOG_KNEE_MM) / log1p(RINGS_MM[-1] / LOG_KNEE_MM), 1.12)


class Bullseye(Picture):
    """The main guiding view."""

    def __init__(self) -> None:
        super().__init__("Down the path", "log scale")
        self._state = BullseyeState()
        self._ground: QImage | None = None
        self._ground_key: object = None

    def show_guidance(self, state: BullseyeState) -> None:
        """Draw this from now on."""
        self._state = state
        self.update()

    def middle(self) -> QPointF:
        """Where the planned path is seen end on."""
        bar = self._bar_room()
        return QPointF((self.width() - bar) / 2.0, self.height() / 2.0 + 2.0)

    def place(self, offset_ct_mm: FloatArray) -> QPointF:
        """Painter position of an offset from the planned line."""
        path = self._state.path
        if path is None:
            return self.middle()
        right, up = view_basis(path.direction_ct)
        x, y = float(np.dot(offset_ct_mm, right)), float(np.dot(offset_ct_mm, up))
        distance = float(np.hypot(x, y))
        if distance < 1e-9:
            return self.middle()
        reach = self._radius() * ring_fraction(distance) / distance
        return self.middle() + QPointF(x * reach, -y * reach)

    def draw_ground(self, painter: QPainter) -> None:
        """Rings and letters stand still: they are drawn once and kept."""
        ratio = self.devicePixelRatioF()
        path = self._state.path
        ends = None if path is None else (*path.entry_ct_mm, *path.target_ct_mm)
        key = (self.width(), self.height(), ratio, ends, self._state.tolerance_mm)
        if self._ground is None or key != self._ground_key:
            self._ground, self._ground_key = self._paint_ground(ratio), key
        painter.drawImage(0, 0, self._ground)

    def _paint_ground(self, ratio: float) -> QImage:
        size = QSize(round(self.width() * ratio), round(self.height() * ratio))
        ground = QImage(size, QImage.Format.Format_RGB32)
        ground.setDevicePixelRatio(ratio)
        ground.fill(theme.colour(theme.BAR))
        if self._state.path is not None:
            painter = QPainter(ground)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw_rings(painter)
            self._draw_letters(painter)
            painter.end()
        return ground

    def draw(self, painter: QPainter) -> None:
        if self._state.path is None:
            self.say(painter, "No plan is approved")
            return
        draw_diamond(painter, self.middle(), 11.0, theme.colour(theme.PLAN))
        if self._state.guidance is not None:
            self._draw_needle(painter, self._state.guidance)
        self._draw_depth(painter)
        self._draw_advice(painter)

    def _radius(self) -> float:
        room = min(self.width() - self._bar_room() - 96.0, self.height() - 128.0)
        return max(room / 2.0, 20.0)

    def _bar_room(self) -> float:
        return 92.0 if self.width() > 330 else 56.0

    def _draw_rings(self, painter: QPainter) -> None:
        middle, radius = self.middle(), self._radius()
        painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
        reach = radius * 1.06
        painter.drawLine(QLineF(middle.x() - reach, middle.y(), middle.x() + reach, middle.y()))
        painter.drawLine(QLineF(middle.x(), middle.y() - reach, middle.x(), middle.y() + reach))
        for ring in RINGS_MM:
            draw_ring(
                painter, middle, radius * ring_fraction(ring), theme.colour(theme.TEXT_3, 0.6), 1.0
            )
        tolerance = radius * ring_fraction(self._state.tolerance_mm)
        draw_ring(painter, middle, tolerance, theme.colour(theme.PLAN), 2.0)
        shown = RINGS_MM if radius > 130 else RINGS_MM[2:]
        for ring in shown:
            at = middle + QPointF(5.0, -radius * ring_fraction(ring) - 2.0)
            draw_label(
                painter,
                at,
                f"{ring} mm",
                px=theme.NOTE if radius > 150 else theme.LEAST,
                name=theme.TEXT_2,
                anchor=(0.0, 1.0),
            )

    def _draw_letters(self, painter: QPainter) -> None:
        if self._state.path is None:
            return
        right, up = view_basis(self._state.path.direction_ct)
        middle, reach = self.middle(), self._radius() * 1.06 + 6.0
        for direction, dx, dy, anchor in (
            (right, 1, 0, (0.0, 0.5)),
            (-right, -1, 0, (1.0, 0.5)),
            (up, 0, -1, (0.5, 1.0)),
            (-up, 0, 1, (0.5, 0.0)),
        ):
            at = middle + QPointF(dx * reach, dy * reach)
            letters = orientation_letters(direction)
            draw_label(painter, at, letters, px=theme.ROW, weight=theme.STRONG, anchor=anchor)

    def _draw_needle(self, painter: QPainter, guidance: Guidance) -> None:
        tip = self.place(guidance.tip_offset_ct_mm)
        hub = self.place(guidance.tip_offset_ct_mm - guidance.hub_tilt_ct * HUB_MM)
        painter.setPen(QPen(theme.colour(theme.NEEDLE), 2.5))
        painter.drawLine(QLineF(tip, hub))
        painter.setBrush(theme.colour(theme.BAR))
        painter.setPen(QPen(theme.colour(theme.NEEDLE), 3.5))
        painter.drawEllipse(hub, 14.0, 14.0)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.NEEDLE))
        painter.drawEllipse(tip, 9.0, 9.0)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._state.error_mm is not None:
            self._draw_error(painter, guidance, tip)

    def _draw_error(self, painter: QPainter, guidance: Guidance, tip: QPointF) -> None:
        """A circle in mm is an oval on a logarithmic scale: its local stretch along and across."""
        error = self._state.error_mm or 0.0
        distance = max(guidance.off_path_mm, 1e-6)
        outer = ring_fraction(distance + error)
        inner = ring_fraction(abs(distance - error)) * (1 if distance >= error else -1)
        along = (outer - inner) / 2.0 * self._radius()
        across = ring_fraction(distance) / distance * error * self._radius()
        across = min(across, ring_fraction(error) * self._radius())
        out = tip - self.middle()
        painter.save()
        painter.translate(tip)
        painter.rotate(float(np.degrees(np.arctan2(out.y(), out.x()))))
        draw_error(painter, QPointF(0.0, 0.0), max(along, 10.0), max(across, 10.0))
        painter.restore()

    def _draw_depth(self, painter: QPainter) -> None:
        path = self._state.path
        if path is None:
            return
        bar = QRectF(self.width() - 40.0, 84.0, 14.0, self.height() - 84.0 - 84.0)
        past = 0.12
        target_y = bar.top() + bar.height() * (1.0 - past)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LINE))
        painter.drawRoundedRect(bar, 7.0, 7.0)
        top = QPointF(self.width() - 33.0, bar.top() - 6.0)
        draw_label(painter, top, "Skin", name=theme.TEXT_2, anchor=(0.5, 1.0))
        guidance = self._state.guidance
        if guidance is not None:
            self._draw_depth_fill(painter, bar, target_y, path.length_mm - guidance.to_target_mm)
        painter.setPen(QPen(theme.colour(theme.PLAN), 3.0))
        painter.drawLine(QLineF(bar.left() - 9, target_y, bar.right() + 9, target_y))
        below = QPointF(self.width() - 33.0, bar.bottom() + 6.0)
        draw_label(painter, below, "Target", name=theme.PLAN, anchor=(0.5, 0.0))

    def _draw_depth_fill(
        self, painter: QPainter, bar: QRectF, target_y: float, depth_mm: float
    ) -> None:
        path = self._state.path
        length = 1.0 if path is None else path.length_mm
        px_per_mm = (target_y - bar.top()) / length
        filled = min(max(depth_mm * px_per_mm, 0.0), bar.height())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.NEEDLE))
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), 14.0, filled), 7.0, 7.0)
        at = QPointF(bar.left() - 8.0, bar.top() + filled)
        words = f"{depth_mm:.0f}" if depth_mm >= 0.0 else "outside"
        draw_label(
            painter,
            at,
            words,
            px=theme.ROW if depth_mm >= 0.0 else theme.NOTE,
            weight=theme.STRONG,
            name=theme.NEEDLE,
            anchor=(1.0, 0.5),
        )

    def _draw_advice(self, painter: QPainter) -> None:
        guidance = self._state.guidance
        words = "" if guidance is None else advice(guidance, self._state.tolerance_mm)
        if self._state.refusal is not None:
            words = f"No guidance: {self._state.refusal.reason}"
        tone = theme.TEXT_2 if guidance is None else theme.NEEDLE
        px = theme.TITLE if self.width() > 420 else theme.BODY
        words = fitting(words, px, theme.STRONG, self.width() - 28.0)
        draw_label(
            painter,
            QPointF(14.0, self.height() - 14.0),
            words,
            px=px,
            weight=theme.STRONG,
            name=tone,
            anchor=(0.0, 1.0),
        )


def advice(guidance: Guidance, tolerance_mm: float = 5.0) -> str:
    """What to do next, in a few words."""
    if guidance.to_target_mm < -ARRIVED_MM:
        return f"Past the target: withdraw {-guidance.to_target_mm:.0f} mm"
    if guidance.to_target_mm <= ARRIVED_MM and guidance.off_path_mm <= tolerance_mm:
        return "At the target"
    if guidance.angle_deg >= ON_COURSE_DEG:
        side = " · ".join(orientation_letters(guidance.hub_tilt_ct))
        return f"Tilt hub {guidance.angle_deg:.0f}° toward {side}"
    if guidance.aim_off_mm > tolerance_mm:
        side = " · ".join(orientation_letters(-guidance.aim_offset_ct_mm))
        return f"Shift {guidance.aim_off_mm:.0f} mm toward {side}"
    return f"On course: advance {guidance.to_target_mm:.0f} mm"
