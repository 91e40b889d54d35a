"""The verdict on a needle that was placed: each number against its limit, read from afar."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, QSize
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import fitting, text_width, write
from ir_nav.review import Placement, Review

LATERAL_LIMIT_MM = 5.0
DEPTH_LIMIT_MM = 5.0
ANGLE_LIMIT_DEG = 5.0
FIGURE_PX = 40
ROW_PX = 62.0
HEAD_PX = 46.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One number with its limit. note: which side, or ''."""

    name: str
    value: str
    unit: str
    limit: str
    within: bool
    note: str = ""


def judge_placement(placed: Placement) -> tuple[Judged, ...]:
    """Lateral, depth and angle against their limits."""
    side = "past" if placed.depth_mm >= 0.0 else "short"
    return (
        Judged(
            "Lateral",
            f"{placed.lateral_mm:.1f}",
            "mm",
            f"limit {LATERAL_LIMIT_MM:g} mm",
            placed.lateral_mm <= LATERAL_LIMIT_MM,
        ),
        Judged(
            "Depth",
            f"{abs(placed.depth_mm):.1f}",
            "mm",
            f"limit {DEPTH_LIMIT_MM:g} mm",
            abs(placed.depth_mm) <= DEPTH_LIMIT_MM,
            side,
        ),
        Judged(
            "Angle",
            f"{placed.angle_deg:.1f}",
            "°",
            f"limit {ANGLE_LIMIT_DEG:g}°",
            placed.angle_deg <= ANGLE_LIMIT_DEG,
        ),
    )


def verdict_words(judged: tuple[Judged, ...]) -> tuple[str, str]:
    """The headline and its colour."""
    if not judged:
        return "No needle position was marked", theme.TEXT_2
    over = [item.name.lower() for item in judged if not item.within]
    if over:
        return f"✕ Over the limit: {', '.join(over)}", theme.ALARM_HIGH
    return "✓ Within the limits", theme.GOOD


class VerdictPanel(QWidget):
    """Headline, then one large number a row with its limit."""

    def __init__(self) -> None:
        super().__init__()
        self._judged: tuple[Judged, ...] = ()
        self._open = False
        self.setAccessibleName("Achieved against planned")
        self.setFixedHeight(self.sizeHint().height())

    @property
    def headline(self) -> str:
        """What it says first."""
        return verdict_words(self._judged)[0] if self._open else "No log is open"

    def show_review(self, found: Review) -> None:
        """Draw the verdict on a log."""
        achieved = found.achieved
        self._judged = () if achieved is None else judge_placement(achieved.placement)
        self._open = True
        rows = (f"{item.name} {item.value} {item.unit}, {item.limit}" for item in self._judged)
        self.setAccessibleDescription(", ".join((self.headline, *rows)))
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, int(HEAD_PX + ROW_PX * len(self._judged)))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tone = verdict_words(self._judged)[1] if self._open else theme.TEXT_2
        px = theme.HEADLINE if self.width() > 400 else 24
        words = fitting(self.headline, px, theme.STRONG, self.width())
        painter.setFont(theme.font(px, theme.STRONG))
        painter.setPen(theme.colour(tone))
        painter.drawText(QPointF(0.0, px + 2.0), words)
        for index, item in enumerate(self._judged):
            row = QRectF(0.0, HEAD_PX + ROW_PX * index, self.width(), ROW_PX)
            painter.fillRect(QRectF(0.0, row.top(), row.width(), 1.0), theme.colour(theme.LINE))
            self._draw_row(painter, item, row)
        painter.end()

    def _draw_row(self, painter: QPainter, item: Judged, row: QRectF) -> None:
        narrow = self.width() < 400
        figure_px, left = (32, 76.0) if narrow else (FIGURE_PX, 92.0)
        small_px = theme.BODY if narrow else theme.TITLE
        limit_px = theme.NOTE if narrow else theme.ROW
        base = row.top() + ROW_PX / 2.0 + figure_px * 0.36
        tone = theme.TEXT_1 if item.within else theme.ALARM_HIGH
        write(painter, QPointF(0.0, base), item.name, theme.ROW, theme.TEXT_2)
        x = left
        x += write(painter, QPointF(x, base), item.value, figure_px, tone, theme.STRONG)
        unit = f"{item.unit} {item.note}".strip()
        degrees = item.unit == "°"
        px, gap = (figure_px, 1.0) if degrees else (small_px, 6.0)
        write(painter, QPointF(x + gap, base), unit, px, theme.TEXT_2)
        sign = "✓" if item.within else "✕"
        limit = f"{item.limit} {sign}"
        wide = text_width(limit, limit_px, theme.MEDIUM)
        tone = theme.GOOD if item.within else theme.ALARM_HIGH
        write(painter, QPointF(row.right() - wide, base), limit, limit_px, tone, theme.MEDIUM)
