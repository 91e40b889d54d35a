"""Orientation letters at the edges of a view, each on a dark plate."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QPainter

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label
from ir_nav.imaging import orientation_letters

Letters = tuple[str, str, str, str]

OPPOSITE = str.maketrans("RLAPHF", "LRPAFH")
LEAST_WIDTH = 120.0
LEAST_HEIGHT = 90.0
TITLE_PX = 32.0


def edge_letters(right_ct: FloatArray, down_ct: FloatArray) -> Letters:
    """At the left, right, upper and lower edge of a picture whose right and lower edges lie in
    these directions (3,) in `ct`."""
    right, down = orientation_letters(right_ct), orientation_letters(down_ct)
    return right.translate(OPPOSITE), right, down.translate(OPPOSITE), down


def draw_edge_letters(
    painter: QPainter, box: QRectF, letters: Letters, title_right: float = 0.0
) -> None:
    """Write the letters at the box's edges; the upper one below a title that reaches it."""
    if box.width() < LEAST_WIDTH or box.height() < LEAST_HEIGHT:
        return
    middle = box.center()
    top = box.top() + 5.0
    if title_right > middle.x() - 22.0:
        top = max(top, TITLE_PX)
    places = (
        (QPointF(box.left() + 6.0, middle.y()), (0.0, 0.5)),
        (QPointF(box.right() - 6.0, middle.y()), (1.0, 0.5)),
        (QPointF(middle.x(), top), (0.5, 0.0)),
        (QPointF(middle.x(), box.bottom() - 5.0), (0.5, 1.0)),
    )
    for words, (place, anchor) in zip(letters, places, strict=True):
        draw_label(
            painter,
            place,
            words,
            px=theme.BODY,
            weight=theme.STRONG,
            plate=True,
            anchor=anchor,
        )
