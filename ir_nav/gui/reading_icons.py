"""The signs on the reading bar's buttons, drawn: no picture files, sharp at any scale."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

from ir_nav.gui import theme

SIDE = 22
SCALE = 3

# Lines as points on a 22 x 22 grid; 'o' draws an ellipse in a box instead.
Stroke = tuple[tuple[float, float], ...]
_LINES: dict[str, tuple[Stroke, ...]] = {
    "cross": (
        ((3, 3), (19, 3), (19, 19), (3, 19), (3, 3)),
        ((8, 3), (8, 19)),
        ((3, 13), (19, 13)),
    ),
    "probe": (((11, 3), (11, 8)), ((11, 14), (11, 19)), ((3, 11), (8, 11)), ((14, 11), (19, 11))),
    "distance": (((4, 18), (18, 4)), ((2, 16), (6, 20)), ((16, 2), (20, 6))),
    "angle": (((18, 4), (4, 18), (20, 18)),),
    "ellipse": (),
    "polygon": (((4, 8), (12, 3), (19, 9), (16, 19), (6, 17), (4, 8)),),
    "ball": (),
    "arrow": (((19, 3), (5, 17)), ((5, 9), (5, 17), (13, 17))),
    "curve": (),
    "play": (((7, 4), (18, 11), (7, 18), (7, 4)),),
    "stop": (((6, 6), (16, 6), (16, 16), (6, 16), (6, 6)),),
    "reset": (((4, 4), (4, 9), (9, 9)),),
    "second": (((8, 3), (19, 3), (19, 14), (8, 14), (8, 3)), ((3, 8), (3, 19), (14, 19))),
    "list": (((3, 6), (19, 6)), ((3, 11), (19, 11)), ((3, 16), (19, 16))),
}
_ROUND = {
    "ellipse": QRectF(2, 5, 18, 12),
    "ball": QRectF(3, 3, 16, 16),
    "probe": QRectF(10, 10, 2, 2),
}


def icon(name: str) -> QIcon:
    """The sign of a tool, in the text's colour; blue while its button is down."""
    made = QIcon()
    made.addPixmap(_drawn(name, theme.TEXT_1), QIcon.Mode.Normal, QIcon.State.Off)
    made.addPixmap(_drawn(name, theme.ACCENT_HOVER), QIcon.Mode.Normal, QIcon.State.On)
    made.addPixmap(_drawn(name, theme.TEXT_3), QIcon.Mode.Disabled, QIcon.State.Off)
    return made


def _drawn(name: str, tone: str) -> QPixmap:
    pixmap = QPixmap(SIDE * SCALE, SIDE * SCALE)
    pixmap.fill(Qt.GlobalColor.transparent)
    pixmap.setDevicePixelRatio(SCALE)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(theme.colour(tone), 1.8)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    for stroke in _LINES[name]:
        painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in stroke]))
    if name in _ROUND:
        painter.drawEllipse(_ROUND[name])
    if name == "ball":
        painter.drawArc(QRectF(3, 8, 16, 6), 180 * 16, 180 * 16)
    if name == "reset":
        painter.drawArc(QRectF(3, 3, 16, 16), -160 * 16, 310 * 16)
    if name == "curve":
        path = QPainterPath(QPointF(3, 18))
        path.cubicTo(QPointF(6, -2), QPointF(14, 26), QPointF(19, 4))
        painter.drawPath(path)
    painter.end()
    return pixmap
