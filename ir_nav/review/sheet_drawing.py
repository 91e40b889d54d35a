"""Pictures, legend and check boxes of a plan sheet, drawn onto the page."""

from __future__ import annotations

import io
from typing import Any

import cv2
from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable

from ir_nav.review.sheet_views import Mark, SheetView

INK = colors.HexColor("#1c2025")
QUIET = colors.HexColor("#5c6670")
PLAN = colors.HexColor("#56b4e9")
CASING = colors.HexColor("#0d0f12")
TITLE_PT = 8.0
MINUTE_PT = 7.0

# Colour, width in points, dashes: told apart without colour too.
STYLES: dict[Mark, tuple[Any, float, tuple[float, ...]]] = {
    Mark.PATH: (PLAN, 1.6, ()),
    Mark.BESIDE: (PLAN, 1.2, (3.0, 2.2)),
    Mark.OUTSIDE: (colors.white, 0.7, ()),
    Mark.NOTCH: (colors.HexColor("#f0e442"), 3.2, ()),
    Mark.LOOP: (colors.HexColor("#f0e442"), 1.2, ()),
    Mark.ZONE: (colors.HexColor("#f0e442"), 1.0, (1.2, 1.6)),
    Mark.TARGET: (colors.HexColor("#9fc2a8"), 0.8, ()),
}


class Picture(Flowable):  # type: ignore[misc]
    """One view with its title, letters, scale and marks."""

    def __init__(self, view: SheetView, width_pt: float) -> None:
        super().__init__()
        self._view = view
        rows, columns = view.image.shape
        self._scale = width_pt / columns
        self.width, self._high = width_pt, rows * self._scale
        self.height = self._high + TITLE_PT + 3.0

    def wrap(self, *_room: float) -> tuple[float, float]:
        """Its size in points: it does not yield to the room there is."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw it at the origin of the canvas."""
        canvas = self.canv
        canvas.setFont("Helvetica-Bold", TITLE_PT)
        canvas.setFillColor(INK)
        canvas.drawString(0, self._high + 3.0, self._view.title)
        png = cv2.imencode(".png", self._view.image)[1].tobytes()
        canvas.drawImage(ImageReader(io.BytesIO(png)), 0, 0, self.width, self._high)
        canvas.saveState()
        frame = canvas.beginPath()
        frame.rect(0, 0, self.width, self._high)
        canvas.clipPath(frame, stroke=0)
        for trace in self._view.traces:
            self._line(trace.points_px, trace.mark)
        self._ends()
        canvas.restoreState()
        self._letters()
        self._ruler()

    def _at(self, column: float, row: float) -> tuple[float, float]:
        # Pixel centres lie at whole numbers: the picture's edge is half a pixel out.
        return (column + 0.5) * self._scale, self._high - (row + 0.5) * self._scale

    def _line(self, points_px: Any, mark: Mark) -> None:
        canvas = self.canv
        colour, width, dashes = STYLES[mark]
        path = canvas.beginPath()
        path.moveTo(*self._at(*points_px[0]))
        for point in points_px[1:]:
            path.lineTo(*self._at(*point))
        for paint, wide in ((CASING, width + 1.0), (colour, width)):
            canvas.setStrokeColor(paint)
            canvas.setLineWidth(wide)
            canvas.setDash(*(list(dashes), 0) if dashes else ())
            canvas.drawPath(path)
        canvas.setDash()

    def _ends(self) -> None:
        canvas = self.canv
        numbered = len(self._view.targets_px) > 1
        for number, (entry, target) in enumerate(
            zip(self._view.entries_px, self._view.targets_px, strict=True), start=1
        ):
            x, y = self._at(*entry)
            draw_entry(canvas, x, y)
            if numbered:
                self._said(str(number), x + 6.0, y + 3.0)
            draw_rest(canvas, *self._at(*target))
        draw_aim(canvas, *self._at(*self._view.aim_px))

    def _letters(self) -> None:
        left, right, top, bottom = self._view.letters
        middle_y, middle_x = self._high / 2.0 - 3.0, self.width / 2.0
        self._said(left, 7.0, middle_y)
        self._said(right, self.width - 7.0, middle_y)
        self._said(top, middle_x, self._high - 10.0)
        self._said(bottom, middle_x, 4.0)

    def _ruler(self) -> None:
        canvas = self.canv
        length_pt = 50.0 / self._view.mm_per_px * self._scale
        x, y = 8.0, 8.0
        for paint, wide in ((CASING, 3.0), (colors.white, 1.4)):
            canvas.setStrokeColor(paint)
            canvas.setLineWidth(wide)
            canvas.line(x, y, x + length_pt, y)
            for end in (x, x + length_pt):
                canvas.line(end, y - 2.5, end, y + 2.5)
        self._said("50 mm", x + length_pt / 2.0, y + 4.5, MINUTE_PT)

    def _said(self, text: str, x: float, y: float, size: float = 9.0) -> None:
        """White letters with a dark edge: readable on bone and on air."""
        canvas = self.canv
        canvas.setFont("Helvetica-Bold", size)
        canvas.setFillColor(CASING)
        for dx, dy in ((-0.6, 0), (0.6, 0), (0, -0.6), (0, 0.6)):
            canvas.drawCentredString(x + dx, y + dy, text)
        canvas.setFillColor(colors.white)
        canvas.drawCentredString(x, y, text)


class Legend(Flowable):  # type: ignore[misc]
    """What the marks of the pictures mean; only those that occur."""

    def __init__(self, views: tuple[SheetView, ...], width_pt: float) -> None:
        super().__init__()
        present = {trace.mark for view in views for trace in view.traces}
        self._marks = [mark for mark in Mark if mark in present]
        self.width, self.height = width_pt, 5.0 * mm

    def wrap(self, *_room: float) -> tuple[float, float]:
        """Its size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """One dark strip, so that its colours look as they do on the CT."""
        canvas = self.canv
        canvas.setFillColor(CASING)
        canvas.rect(0, 0, self.width, self.height, stroke=0, fill=1)
        x, y = 8.0, self.height / 2.0
        for draw, words in ((draw_entry, "entry"), (draw_rest, "tip rests"), (draw_aim, "aim")):
            draw(canvas, x, y)
            x = self._word(words, x + 7.0, y)
        for mark in self._marks:
            colour, width, dashes = STYLES[mark]
            canvas.setStrokeColor(colour)
            canvas.setLineWidth(width)
            canvas.setDash(*(list(dashes), 0) if dashes else ())
            canvas.line(x, y, x + 16.0, y)
            canvas.setDash()
            x = self._word(mark.value, x + 19.0, y)

    def _word(self, text: str, x: float, y: float) -> float:
        canvas = self.canv
        canvas.setFillColor(colors.white)
        canvas.setFont("Helvetica", MINUTE_PT)
        canvas.drawString(x, y - 2.4, text)
        return float(x + canvas.stringWidth(text, "Helvetica", MINUTE_PT) + 10.0)


class CheckBox(Flowable):  # type: ignore[misc]
    """An empty box to tick with a pen."""

    def wrap(self, *_room: float) -> tuple[float, float]:
        """Its size in points."""
        return 9.0, 9.0

    def draw(self) -> None:
        """Draw it at the origin of the canvas."""
        self.canv.setStrokeColor(INK)
        self.canv.setLineWidth(0.8)
        self.canv.rect(0, 0, 9.0, 9.0)


def draw_entry(canvas: Any, x: float, y: float) -> None:
    """A ring."""
    for paint, wide in ((CASING, 2.4), (PLAN, 1.2)):
        canvas.setStrokeColor(paint)
        canvas.setLineWidth(wide)
        canvas.circle(x, y, 3.2, stroke=1, fill=0)


def draw_rest(canvas: Any, x: float, y: float) -> None:
    """A dot."""
    canvas.setStrokeColor(CASING)
    canvas.setLineWidth(0.8)
    canvas.setFillColor(PLAN)
    canvas.circle(x, y, 2.2, stroke=1, fill=1)


def draw_aim(canvas: Any, x: float, y: float) -> None:
    """A diamond."""
    path = canvas.beginPath()
    path.moveTo(x, y + 4.2)
    for dx, dy in ((4.2, 0.0), (0.0, -4.2), (-4.2, 0.0)):
        path.lineTo(x + dx, y + dy)
    path.close()
    for paint, wide in ((CASING, 2.4), (PLAN, 1.2)):
        canvas.setStrokeColor(paint)
        canvas.setLineWidth(wide)
        canvas.drawPath(path, stroke=1, fill=0)
