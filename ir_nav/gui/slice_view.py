"""A slice of the CT at any angle, with the plan, the needle and its error over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QPainter, QResizeEvent

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.gui import theme
from ir_nav.gui.paint import (
    FAINT,
    draw_diamond,
    draw_error,
    draw_label,
    draw_needle,
    draw_path,
    draw_ring,
    draw_scale_bar,
)
from ir_nav.gui.picture import Picture
from ir_nav.gui.scene_records import CaseImages, Mark, MarkState, Overlays
from ir_nav.gui.slice_image import SliceImage
from ir_nav.imaging import Plane, StandardView, orientation_letters, plane_through

DEFAULT_WINDOW_HU = 400.0
DEFAULT_LEVEL_HU = 40.0
MARKER_PX = 8.0


class SliceView(Picture):
    """Draws one plane; where it looks is set by the page, zoom and window by the user."""

    def __init__(
        self,
        title: str,
        note: str = "",
        *,
        view: StandardView = StandardView.AXIAL,
        field_mm: float = 220.0,
        slab_mm: float = 3.0,
    ) -> None:
        super().__init__(title, note)
        self._image = SliceImage()
        self._images = CaseImages()
        self._overlays = Overlays()
        self._centre = read_only(np.zeros(3))
        self._right = read_only(view.right_ct)
        self._down = read_only(view.down_ct)
        self._letters = _letters(self._right, self._down)
        self._field_mm = field_mm
        self._slab_mm = slab_mm
        self._window_hu = DEFAULT_WINDOW_HU
        self._level_hu = DEFAULT_LEVEL_HU
        self._plane: Plane | None = None
        self._view_from_ct: FloatArray | None = None

    def set_images(self, images: CaseImages) -> None:
        """Show another CT; looks at its middle."""
        moved = images.volume is not self._images.volume
        self._images = images
        self._image.set_images(images)
        if moved and images.volume is not None:
            self.look(images.volume.centre_ct_mm)
        self.update()

    def look(
        self,
        centre_ct_mm: ArrayLike,
        right_ct: ArrayLike | None = None,
        down_ct: ArrayLike | None = None,
    ) -> None:
        """Put a point in the middle, and turn the plane when directions are given."""
        self._centre = read_only(centre_ct_mm)
        if right_ct is not None and down_ct is not None:
            self._right, self._down = read_only(right_ct), read_only(down_ct)
            self._letters = _letters(self._right, self._down)
        self._plane = None
        self.update()

    def show_overlays(self, overlays: Overlays) -> None:
        """Draw these over the slice from now on."""
        self._overlays = overlays
        self.update()

    def set_window(self, window_hu: float, level_hu: float) -> None:
        """CT numbers from level - window/2 to level + window/2 become black to white."""
        self._window_hu = min(max(window_hu, 1.0), 4000.0)
        self._level_hu = min(max(level_hu, -1500.0), 3000.0)
        self.update()

    def set_field(self, field_mm: float) -> None:
        """Height of the view, mm."""
        self._field_mm = min(max(field_mm, 10.0), 1000.0)
        self._plane = None
        self.update()

    @property
    def field_mm(self) -> float:
        return self._field_mm

    @property
    def window_level_hu(self) -> tuple[float, float]:
        return self._window_hu, self._level_hu

    @property
    def centre_ct_mm(self) -> FloatArray:
        return self._centre

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """At the left, right, upper and lower edge."""
        return self._letters

    @property
    def mm_per_px(self) -> float:
        return self._field_mm / max(self.height(), 1)

    def plane(self) -> Plane:
        """Where the widget's pixels are in the patient."""
        if self._plane is None:
            self._view_from_ct = None
            size = (max(self.width(), 1), max(self.height(), 1))
            self._plane = plane_through(self._centre, self._right, self._down, self.mm_per_px, size)
        return self._plane

    def to_view(self, point_ct_mm: ArrayLike) -> FloatArray:
        """(3,) painter position in px and depth in mm of a point in `ct`."""
        plane = self.plane()
        if self._view_from_ct is None:
            self._view_from_ct = plane.view_from_ct
        seen = apply(self._view_from_ct, point_ct_mm)
        seen[..., :2] += 0.5
        return seen

    def to_ct(self, at: QPointF, depth_mm: float = 0.0) -> FloatArray:
        """(3,) point in `ct` under a painter position."""
        return apply(self.plane().ct_from_view, (at.x() - 0.5, at.y() - 0.5, depth_mm))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._plane = None
        super().resizeEvent(event)

    def draw_ground(self, painter: QPainter) -> None:
        size = (self.width(), self.height())
        pictures = self._image.update(self.plane(), size, self._window_hu, self._level_hu)
        if pictures is None:
            super().draw_ground(painter)
            return
        grey, outline = pictures
        painter.drawImage(0, 0, grey)
        if outline is not None:
            painter.drawImage(0, 0, outline)

    def draw(self, painter: QPainter) -> None:
        if self._images.volume is None:
            self.say(painter, "No CT is open")
            return
        self._draw_overlays(painter)
        self._draw_letters(painter)
        corner = QPointF(self.width() - 14, self.height() - 12)
        draw_scale_bar(painter, corner, 1.0 / self.mm_per_px)

    def _draw_overlays(self, painter: QPainter) -> None:
        shown = self._overlays
        for mark in shown.marks:
            self._draw_mark(painter, mark)
        if shown.entry_ct_mm is not None and shown.target_ct_mm is not None:
            entry, target = self.to_view(shown.entry_ct_mm), self.to_view(shown.target_ct_mm)
            draw_path(painter, entry, target, self._slab_mm)
        if shown.achieved is not None:
            first = self.to_view(shown.achieved.entry_ct_mm)
            draw_needle(painter, first, self.to_view(shown.achieved.target_ct_mm), self._slab_mm)
        self._draw_plan_points(painter)
        hub = shown.hub_ct_mm
        if shown.tip is not None and hub is not None:
            tip = self.to_view(shown.tip.tip_ct_mm)
            draw_needle(painter, self.to_view(hub), tip, self._slab_mm)
            if shown.error_mm is not None:
                radius = shown.error_mm / self.mm_per_px
                draw_error(painter, QPointF(tip[0], tip[1]), radius, radius)
        if shown.stylus_ct_mm is not None:
            at = self.to_view(shown.stylus_ct_mm)
            draw_ring(painter, QPointF(at[0], at[1]), 6.0, theme.colour(theme.TEXT_1))
            draw_label(painter, QPointF(at[0] + 9, at[1]), "Stylus", anchor=(0.0, 0.5))

    def _draw_plan_points(self, painter: QPainter) -> None:
        shown = self._overlays
        if shown.entry_ct_mm is not None:
            at = self.to_view(shown.entry_ct_mm)
            draw_ring(painter, QPointF(at[0], at[1]), 5.0, self._tone(float(at[2])))
        if shown.target_ct_mm is not None:
            at = self.to_view(shown.target_ct_mm)
            middle = QPointF(at[0], at[1])
            draw_diamond(painter, middle, MARKER_PX, self._tone(float(at[2])))
            if shown.tolerance_mm is not None:
                radius = float(np.sqrt(max(shown.tolerance_mm**2 - at[2] ** 2, 0.0)))
                draw_ring(
                    painter, middle, radius / self.mm_per_px, theme.colour(theme.PLAN, 0.6), 1.4
                )

    def _draw_mark(self, painter: QPainter, mark: Mark) -> None:
        at = self.to_view(mark.point_ct_mm)
        current = mark.state is MarkState.CURRENT
        if abs(float(at[2])) > 4.0 * self._slab_mm and not current:
            return
        middle = QPointF(at[0], at[1])
        tone = theme.colour(
            {MarkState.DONE: theme.GOOD, MarkState.CURRENT: theme.PLAN}.get(
                mark.state, theme.TEXT_2
            )
        )
        draw_ring(painter, middle, 9.0 if current else 6.0, tone)
        if mark.state is MarkState.DONE:
            painter.drawEllipse(middle, 1.5, 1.5)
        place = QPointF(at[0] + 12, at[1])
        draw_label(painter, place, mark.name, name=tone.name(), anchor=(0.0, 0.5))

    def _tone(self, depth_mm: float) -> QColor:
        far = abs(depth_mm) > self._slab_mm
        return theme.colour(theme.PLAN, FAINT + 0.15 if far else 1.0)

    def _draw_letters(self, painter: QPainter) -> None:
        width, height = self.width(), self.height()
        if width < 120 or height < 90:
            return
        places = (
            ((8, height / 2), (0.0, 0.5)),
            ((width - 8, height / 2), (1.0, 0.5)),
            # Below the title where it reaches the middle.
            ((width / 2, 5 if self._title_right < width / 2 - 22 else 32), (0.5, 0.0)),
            ((width / 2, height - 5), (0.5, 1.0)),
        )
        for letters, (place, anchor) in zip(self._letters, places, strict=True):
            draw_label(
                painter,
                QPointF(*place),
                letters,
                px=theme.BODY,
                weight=theme.STRONG,
                anchor=anchor,
            )


def _letters(right: FloatArray, down: FloatArray) -> tuple[str, str, str, str]:
    return (
        orientation_letters(-right),
        orientation_letters(right),
        orientation_letters(-down),
        orientation_letters(down),
    )
