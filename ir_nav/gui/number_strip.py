"""The guiding numbers, readable at two metres; dashes when there are none."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_panel, fitting, text_width
from ir_nav.guidance import ErrorBudget, Guidance
from ir_nav.session.state import NavigationState

NUMERALS_PX = (theme.NUMERAL, 62, 52, 44, 40)
WIDEST = "188.8"
# Parts of the font's size: how wide a dash is, and how far the digits' middle is above their base.
DASH = 1.1
DIGIT_MIDDLE = 0.364


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. value None: not known, drawn as a dash. alarm, note_alarm: outside a limit."""

    label: str
    value: str | None
    unit: str
    note: str
    alarm: bool = False
    note_alarm: bool = False


def figures(
    state: NavigationState, lateral_limit_mm: float = 5.0, angle_limit_deg: float = 5.0
) -> tuple[Figure, ...]:
    """The strip's numbers at one tick."""
    if state.guidance is None:
        labels = (("To target", "mm"), ("Lateral", "mm"), ("Angle", "°"), ("Tip error, 95 %", "mm"))
        return tuple(Figure(label, None, unit, "") for label, unit in labels)
    return _known(state.guidance, state.budget, lateral_limit_mm, angle_limit_deg)


def _known(
    guidance: Guidance, budget: ErrorBudget | None, lateral_mm: float, angle_deg: float
) -> tuple[Figure, ...]:
    error = None if budget is None else f"{budget.radius_95_mm:.1f}"
    return (
        Figure(
            "To target",
            _signed(guidance.to_target_mm),
            "mm",
            f"aims {guidance.aim_off_mm:.1f} mm off",
            note_alarm=guidance.aim_off_mm > lateral_mm,
        ),
        Figure(
            "Lateral",
            f"{guidance.off_path_mm:.1f}",
            "mm",
            f"limit {lateral_mm:.1f}",
            guidance.off_path_mm > lateral_mm,
        ),
        Figure(
            "Angle",
            f"{guidance.angle_deg:.1f}",
            "°",
            f"limit {angle_deg:.1f}",
            guidance.angle_deg > angle_deg,
        ),
        Figure(
            "Tip error, 95 %",
            error,
            "mm",
            "not known" if budget is None else f"{budget.rms_mm:.1f} mm rms",
        ),
    )


def _signed(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


class NumberStrip(QWidget):
    """Draws figures side by side; repaints only when one has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._figures: tuple[Figure, ...] = ()
        self.setAccessibleName("Guidance numbers")
        self.setMinimumHeight(128)

    def show_figures(self, shown: tuple[Figure, ...]) -> None:
        """Draw these from now on."""
        if shown == self._figures:
            return
        self._figures = shown
        self.setAccessibleDescription(
            ", ".join(f"{f.label} {f.value or 'unknown'} {f.unit}" for f in shown)
        )
        self.update()

    @property
    def shown(self) -> tuple[Figure, ...]:
        return self._figures

    def sizeHint(self) -> QSize:
        return QSize(800, 190)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_panel(painter, QRectF(self.rect()))
        count = len(self._figures)
        if count:
            width = self.width() / count
            px = self._numeral_px(width)
            for index, figure in enumerate(self._figures):
                self._draw(painter, figure, QRectF(index * width, 0, width, self.height()), px)
                if index:
                    x = round(index * width) + 0.5
                    painter.setPen(QPen(theme.colour(theme.LINE), 1.0))
                    painter.drawLine(QLineF(x, 18.0, x, self.height() - 18.0))
        painter.end()

    def _numeral_px(self, width: float) -> int:
        """The largest size at which the widest number fits, so that none jumps in size."""
        for px in NUMERALS_PX:
            unit_px = max(px * 2 // 5, theme.BODY)
            wide = text_width(WIDEST, px, theme.STRONG) + text_width("mm", unit_px, theme.REGULAR)
            if wide + 34.0 <= width and px * 1.06 + 2.6 * theme.ROW + 8.0 <= self.height():
                return px
        return NUMERALS_PX[-1]

    def _draw(self, painter: QPainter, figure: Figure, box: QRectF, px: int) -> None:
        left = box.left() + 20.0
        small = theme.TITLE if self.height() > 160 else theme.ROW
        block = small * 1.3 + px * 1.06 + small * 1.3
        top = (self.height() - block) / 2.0
        _write(painter, QPointF(left, top + small), figure.label, small, theme.TEXT_2)
        base = top + small * 1.3 + px * 0.92
        if figure.value is None:
            end = left + DASH * px
            middle = base - DIGIT_MIDDLE * px
            dash = QRectF(left, middle - 4.0, DASH * px, 8.0)
            painter.fillRect(dash, theme.colour(theme.TEXT_3))
        else:
            tone = theme.NEEDLE if figure.alarm else theme.TEXT_1
            end = left + _write(
                painter,
                QPointF(left - px * 0.04, base),
                figure.value,
                px,
                tone,
                weight=theme.STRONG,
            )
        degrees = figure.unit == "°"
        unit_px = px * 3 // 4 if degrees else max(px * 2 // 5, theme.BODY)
        at = QPointF(end + (2.0 if degrees else 8.0), base - (px * 0.16 if degrees else 0.0))
        _write(
            painter,
            at,
            figure.unit,
            unit_px,
            theme.TEXT_3 if figure.value is None else theme.TEXT_2,
        )
        note = fitting(figure.note, small, theme.REGULAR, box.width() - 28.0)
        at = QPointF(left, base + small * 1.55)
        _write(
            painter,
            at,
            note,
            small,
            theme.NEEDLE if figure.alarm or figure.note_alarm else theme.TEXT_2,
        )


def _write(
    painter: QPainter, at: QPointF, text: str, px: int, name: str, *, weight: int = theme.REGULAR
) -> float:
    painter.setFont(theme.font(px, weight))
    painter.setPen(theme.colour(name))
    painter.drawText(at, text)
    return text_width(text, px, weight)
