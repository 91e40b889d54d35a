"""Looking down the planned path: where the tip and the hub are against it, and how deep."""

from __future__ import annotations

from dataclasses import dataclass
from math import log1p

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPen, QPolygonF

from ir_nav.geometry import FloatArray, perpendicular_basis
from ir_nav.gui import theme
from ir_nav.gui.depth_ruler import WIDTH, DepthRuler
from ir_nav.gui.paint import draw_diamond, draw_label, draw_ring
from ir_nav.gui.picture import Picture
from ir_nav.guidance import Guidance
from ir_nav.imaging import orientation_letters
from ir_nav.planning import PlannedPath

RINGS_MM = (1, 2, 5, 10, 20)
# Inside it the scale is nearly linear: the first millimetre takes a fifth of the radius.
LOG_KNEE_MM = 1.2
FARTHEST = 1.12
RING_LABELS_MM = RINGS_MM[1:]
HUB_MM = 100.0
# Points of the error's outline, counter-clockwise; the last is the first again.
_TURNS = np.linspace(0.0, 2.0 * np.pi, 49)
CIRCLE = np.column_stack([np.cos(_TURNS), np.sin(_TURNS)])
ANTERIOR = np.array([0.0, -1.0, 0.0])
HEAD = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class BullseyeState:
    """What the bull's-eye draws; guidance None blanks the needle.

    told_to_target_mm: what the numbers beneath say, so that the depth in words agrees with them.
    """

    path: PlannedPath | None = None
    guidance: Guidance | None = None
    error_mm: float | None = None
    tolerance_mm: float = 5.0
    told_to_target_mm: float | None = None


def view_basis(direction_ct: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(right, up) in `ct` for looking down a path: head up, or front up along the body."""
    along_body = abs(float(direction_ct[2])) > 0.8
    return perpendicular_basis(direction_ct, ANTERIOR if along_body else HEAD)


def ring_fraction(distance_mm: float) -> float:
    """Radius of a distance as a part of the outermost ring's, logarithmic; at most FARTHEST."""
    return min(log1p(distance_mm / LOG_KNEE_MM) / log1p(RINGS_MM[-1] / LOG_KNEE_MM), FARTHEST)


def told_depth_mm(length_mm: float, to_target_mm: float) -> float:
    """The depth that adds up with the rounded distance to the target to the rounded length."""
    return round(length_mm, 1) - round(to_target_mm, 1)


def warped(points_mm: FloatArray) -> FloatArray:
    """(n, 2) positions square to the path, mm, as parts of the outermost ring's radius."""
    distances = np.hypot(points_mm[:, 0], points_mm[:, 1])
    reach = np.log1p(distances / LOG_KNEE_MM) / log1p(RINGS_MM[-1] / LOG_KNEE_MM)
    scale = np.minimum(reach, FARTHEST) / np.maximum(distances, 1e-9)
    return np.asarray(points_mm * scale[:, None])


class Bullseye(Picture):
    """The main guiding view."""

    def __init__(self) -> None:
        super().__init__("Down the path", "log scale")
        self._state = BullseyeState()
        self._ground: QImage | None = None
        self._basis: tuple[PlannedPath, FloatArray, FloatArray] | None = None
        self._ground_key: object = None

    def show_guidance(self, state: BullseyeState) -> None:
        """Draw this from now on."""
        self._state = state
        self.update()

    def _basis_of(self, path: PlannedPath) -> tuple[FloatArray, FloatArray]:
        """Worked out once for a path: it is asked for at every paint, several times."""
        if self._basis is None or self._basis[0] is not path:
            self._basis = (path, *view_basis(path.direction_ct))
        return self._basis[1], self._basis[2]

    @property
    def told_depth_mm(self) -> float | None:
        """The depth in words, or None while it is not known."""
        path, told = self._state.path, self._state.told_to_target_mm
        if path is None or told is None or self._state.guidance is None:
            return None
        return told_depth_mm(path.length_mm, told)

    def middle(self) -> QPointF:
        """Where the planned path is seen end on."""
        bar = self._bar_room()
        return QPointF((self.width() - bar) / 2.0 + 4.0, self.height() / 2.0 + 8.0)

    def place(self, offset_ct_mm: FloatArray) -> QPointF:
        """Painter position of an offset from the planned line."""
        path = self._state.path
        if path is None:
            return self.middle()
        right, up = self._basis_of(path)
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

    def _radius(self) -> float:
        room = min(
            self.width() - self._bar_room() - (84.0 if self.width() > 450 else 66.0),
            self.height() - 116.0,
        )
        return max(room / 2.0, 20.0)

    def _bar_room(self) -> float:
        return 132.0 if self.width() > 450 else 116.0

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
        # Between the axes, toward the feet: the letters and the plan's line lie on the axes.
        slant = float(np.sqrt(0.5))
        taken: list[float] = []
        # The limit is named before the others where there is no room for all.
        for ring in sorted(RING_LABELS_MM, key=lambda one: one != self._state.tolerance_mm):
            reach = radius * ring_fraction(ring) * slant
            if any(abs(reach - other) < theme.NOTE + 3.0 for other in taken):
                continue
            taken.append(reach)
            limit = ring == self._state.tolerance_mm
            draw_label(
                painter,
                middle + QPointF(reach, reach),
                f"{ring} mm",
                px=theme.NOTE if radius > 150 else theme.LEAST,
                name=theme.PLAN if limit else theme.TEXT_2,
                plate=True,
                anchor=(0.5, 0.5),
            )

    def _draw_letters(self, painter: QPainter) -> None:
        if self._state.path is None:
            return
        right, up = self._basis_of(self._state.path)
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
        ruler = self._ruler()
        if ruler is not None:
            ruler.draw_ground(painter, self.height() > 260)

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
            self._draw_error(painter, guidance.tip_offset_ct_mm, self._state.error_mm)
        self._name_ends(painter, tip, hub)

    def _name_ends(self, painter: QPainter, tip: QPointF, hub: QPointF) -> None:
        """Away from one another, so that neither name lies on the shaft between them."""
        apart = 1.0 if tip.x() >= hub.x() else -1.0
        for at, reach, words, side in ((tip, 13.0, "tip", apart), (hub, 19.0, "hub", -apart)):
            place = at + QPointF(side * reach, 0.0)
            anchor = (0.0 if side > 0.0 else 1.0, 0.5)
            draw_label(painter, place, words, weight=theme.STRONG, name=theme.NEEDLE, anchor=anchor)

    def _draw_error(self, painter: QPainter, offset_ct_mm: FloatArray, error_mm: float) -> None:
        """The sphere's outline, each of its points taken through the logarithmic scale."""
        path = self._state.path
        if path is None:
            return
        right, up = self._basis_of(path)
        at = np.array([np.dot(offset_ct_mm, right), np.dot(offset_ct_mm, up)])
        seen = warped(at + error_mm * CIRCLE) * self._radius()
        middle = self.middle()
        x, y = middle.x() + seen[:, 0], middle.y() - seen[:, 1]
        pen = QPen(theme.colour(theme.ERROR, 0.9), 1.6)
        pen.setDashPattern([1.0, 2.2])
        painter.setPen(pen)
        painter.drawPolygon(QPolygonF(list(map(QPointF, x.tolist(), y.tolist()))))

    def _ruler(self) -> DepthRuler | None:
        path = self._state.path
        if path is None:
            return None
        box = QRectF(self.width() - 44.0, 66.0, WIDTH, max(self.height() - 66.0 - 44.0, 40.0))
        return DepthRuler(box, path.length_mm)

    def _draw_depth(self, painter: QPainter) -> None:
        ruler, guidance = self._ruler(), self._state.guidance
        if ruler is None:
            return
        depth = None if guidance is None else ruler.length_mm - guidance.to_target_mm
        ruler.draw(painter, depth, self.told_depth_mm)
