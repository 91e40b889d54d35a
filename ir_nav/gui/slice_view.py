"""A slice of the CT at any angle, with the plan, the needle and its error over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PyQt6.QtCore import QLineF, QPointF, QRectF, QTimer
from PyQt6.QtGui import QPainter, QPen, QResizeEvent

from ir_nav.geometry import FloatArray, apply, read_only
from ir_nav.gui import theme
from ir_nav.gui.edges import Letters, draw_edge_letters, edge_letters
from ir_nav.gui.paint import draw_label, draw_scale_bar
from ir_nav.gui.patient_terms import slice_words
from ir_nav.gui.picture import Picture
from ir_nav.gui.scene_records import CaseImages, Overlays
from ir_nav.gui.slice_image import SliceImage
from ir_nav.gui.slice_overlays import draw_overlays
from ir_nav.gui.slice_second import SecondImage, SecondLook, SecondMode
from ir_nav.imaging import Plane, StandardView, Volume, plane_through
from ir_nav.imaging.slab import Slab

DEFAULT_WINDOW_HU = 400.0
DEFAULT_LEVEL_HU = 40.0
# Air left round a body that is shown whole.
MARGIN = 1.05
LETTER_PX = 34.0
WINDOW_SHOWN_PX = 260
# CT numbers are within +-4000; MR and PET use all that 16 bits hold.
WIDEST_HU = 65535.0
LAST_LEVEL_HU = 32767.0
SETTLED_MS = 150
# What the file says of the part of the body that it shows.
SIDES = {"L": "left side", "R": "right side", "B": "both sides"}


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
        self._letters: Letters | None = None
        self._clamped = False
        self._field_mm = field_mm
        self._slab_mm = slab_mm
        self._window_hu = DEFAULT_WINDOW_HU
        self._level_hu = DEFAULT_LEVEL_HU
        self._slab = Slab()
        self._second: SecondLook | None = None
        self._second_image = SecondImage()
        self._settling = QTimer(self)
        self._settling.setSingleShot(True)
        self._settling.setInterval(SETTLED_MS)
        self._settling.timeout.connect(self.update)
        self._body: tuple[FloatArray, FloatArray] | None = None
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
            self._letters = None
        self._plane = None
        self._clamped = False
        self._changed()

    def keep_inside(self) -> None:
        """Shift the view within its plane until the body fills it, until it looks elsewhere."""
        self._clamped = True
        self._plane = None
        self.update()

    def fit_body(self, point_ct_mm: ArrayLike) -> None:
        """Look at the plane through a point, and show all of the body in it, whatever the
        view's size, until the user zooms."""
        body = self._images.body_ct_mm
        if body is None:
            self.look(point_ct_mm)
            return
        point = np.asarray(point_ct_mm, dtype=np.float64)
        off = (body[0] + body[1]) / 2.0 - point
        # Within the plane to the body's middle; the plane stays where the point is.
        right, down = self._right, self._down
        self._body = body
        self.look(point + float(off @ right) * right + float(off @ down) * down)

    def show_overlays(self, overlays: Overlays) -> None:
        """Draw these over the slice from now on."""
        self._overlays = overlays
        self.update()

    def set_window(self, window_hu: float, level_hu: float) -> None:
        """CT numbers from level - window/2 to level + window/2 become black to white."""
        self._window_hu = min(max(window_hu, 1.0), WIDEST_HU)
        self._level_hu = min(max(level_hu, -LAST_LEVEL_HU), LAST_LEVEL_HU)
        self._changed()

    def _changed(self) -> None:
        """Repaint; a slab is drawn coarsely until nothing has changed for a moment."""
        if self._slab.thickness_mm > 0.0:
            self._settling.start()
        self.update()

    def set_slab(self, slab: Slab) -> None:
        """Show what lies within this slab in place of the plane alone."""
        self._slab = slab
        self.update()

    def show_second(self, second: SecondLook | None) -> None:
        """Show a second series over the CT; None takes it away."""
        self._second = second
        self.update()

    def set_field(self, field_mm: float) -> None:
        """Height of the view, mm."""
        self._body = None
        self._field_mm = min(max(field_mm, 10.0), 1000.0)
        self._plane = None
        self.update()

    @property
    def note(self) -> str:
        """What the view shows, and where a slice square to a body axis lies."""
        if self._images.volume is None:
            return super().note
        where = slice_words(self._centre, self._right, self._down)
        return " · ".join(words for words in (super().note, where) if words)

    @property
    def field_mm(self) -> float:
        return self._field_mm

    @property
    def window_level_hu(self) -> tuple[float, float]:
        return self._window_hu, self._level_hu

    @property
    def slab(self) -> Slab:
        return self._slab

    @property
    def second(self) -> SecondLook | None:
        return self._second

    @property
    def volume(self) -> Volume | None:
        return self._images.volume

    @property
    def axes_ct(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(3,) unit directions to the right, down and away from the viewer."""
        return self._right, self._down, np.cross(self._right, self._down)

    @property
    def centre_ct_mm(self) -> FloatArray:
        return self._centre

    @property
    def letters(self) -> Letters:
        """At the left, right, upper and lower edge."""
        if self._letters is None:
            self._letters = edge_letters(self._right, self._down)
        return self._letters

    @property
    def mm_per_px(self) -> float:
        return self._field_mm / max(self.height(), 1)

    def plane(self) -> Plane:
        """Where the widget's pixels are in the patient."""
        if self._plane is None:
            self._view_from_ct = None
            self._field_mm = self._fitting_field_mm()
            if self._clamped:
                self._centre = self._clamped_centre()
            size = (max(self.width(), 1), max(self.height(), 1))
            self._plane = plane_through(self._centre, self._right, self._down, self.mm_per_px, size)
        return self._plane

    def _fitting_field_mm(self) -> float:
        """The view's height at which the body's box fits, or the height at hand."""
        if self._body is None:
            return self._field_mm
        size_mm = self._body[1] - self._body[0]
        wide, tall = (float(np.abs(axis) @ size_mm) for axis in (self._right, self._down))
        # The letters at the sides stay beside the body.
        beside = 2.0 * min(LETTER_PX, 0.09 * self.width())
        return MARGIN * max(tall, wide * self.height() / max(self.width() - beside, 1.0))

    def _clamped_centre(self) -> FloatArray:
        """The middle at which no more air than the margin is seen beside the body."""
        body = self._images.body_ct_mm
        if body is None:
            return self._centre
        middle, size_mm = (body[0] + body[1]) / 2.0, (body[1] - body[0]) * MARGIN
        centre = np.array(self._centre)
        seen_mm = (self.width() * self.mm_per_px, self._field_mm)
        for axis, seen in zip((self._right, self._down), seen_mm, strict=True):
            room = max(float(np.abs(axis) @ size_mm) - seen, 0.0) / 2.0
            off = float(np.dot(centre - middle, axis))
            centre += axis * (min(max(off, -room), room) - off)
        return read_only(centre)

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
        look = (self._window_hu, self._level_hu, self._slab)
        moving = self._settling.isActive()
        pictures = self._image.update(self.plane(), size, *look, moving=moving)
        if pictures is None:
            super().draw_ground(painter)
            return
        grey, outline = pictures
        painter.drawImage(0, 0, grey)
        if self._second is not None:
            over = self._second_image.update(self._second, self.plane(), size)
            painter.drawImage(0, 0, over)
        if outline is not None:
            painter.drawImage(0, 0, outline)

    def draw(self, painter: QPainter) -> None:
        if self._images.volume is None:
            self.say(painter, "No CT is open")
            return
        reach_mm = max(self._slab_mm, self._slab.thickness_mm / 2.0)
        draw_overlays(painter, self, self._overlays, reach_mm)
        self._draw_divider(painter)
        self.draw_layers(painter)
        draw_edge_letters(painter, QRectF(self.rect()), self.letters, self._title_right)
        self._draw_window(painter)
        corner = QPointF(self.width() - 14, self.height() - 12)
        draw_scale_bar(painter, corner, 1.0 / self.mm_per_px)

    def draw_layers(self, painter: QPainter) -> None:
        """What tools draw over the slice, beneath its letters."""

    def _draw_divider(self, painter: QPainter) -> None:
        """Between the two series: which is on which side."""
        second = self._second
        if second is None or second.mode is not SecondMode.SWIPE:
            return
        x = round(second.swipe * self.width()) + 0.5
        painter.setPen(QPen(theme.colour(theme.TEXT_1, 0.8), 1.2))
        painter.drawLine(QLineF(x, 0.0, x, self.height()))
        y = self.height() - 34.0
        draw_label(painter, QPointF(x - 5.0, y), "CT", px=theme.LEAST, anchor=(1.0, 0.5))
        draw_label(painter, QPointF(x + 5.0, y), "Second", px=theme.LEAST, anchor=(0.0, 0.5))

    def _draw_window(self, painter: QPainter) -> None:
        if self.width() < WINDOW_SHOWN_PX or self.height() < WINDOW_SHOWN_PX / 2:
            return
        words = f"W {self._window_hu:.0f} L {self._level_hu:.0f}"
        if self._slab.thickness_mm > 0.0:
            words += f" · {self._slab.projection} {self._slab.thickness_mm:g} mm"
        volume = self._images.volume
        side = None if volume is None else volume.description.laterality
        if side in SIDES:
            words += f" · {SIDES[side]}"
        at = QPointF(6.0, self.height() - 5.0)
        draw_label(
            painter, at, words, px=theme.LEAST, name=theme.TEXT_2, plate=True, anchor=(0.0, 1.0)
        )
