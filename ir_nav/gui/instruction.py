"""The one thing to do next: a line across the guiding page, from one rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.header import waits_for_breath
from ir_nav.gui.paint import draw_panel, fitting, text_width, write
from ir_nav.guidance import Guidance
from ir_nav.imaging import orientation_letters
from ir_nav.session.state import NavigationState

# This part of a limit is near it.
NEAR = 0.6
ARRIVED_MM = 1.0
# A steeper tilt than this cannot be had in tissue: the needle has to be aimed anew.
STEEPEST_DEG = 15.0
HEIGHT = 56
SIZES_PX = (theme.HEADLINE, 26, 22, theme.TITLE, theme.ROW, theme.BODY)


@dataclass(frozen=True, slots=True)
class Instruction:
    """Words and the colour of their mark."""

    words: str
    tone: str


def instruction(
    state: NavigationState, lateral_limit_mm: float = 5.0, angle_limit_deg: float = 5.0
) -> Instruction:
    """What to do at one tick: wait for the breath, cure what forbids guidance, or steer."""
    if state.guidance is not None:
        return steering(state.guidance, lateral_limit_mm, angle_limit_deg)
    if waits_for_breath(state):
        return Instruction("Wait: breathe out", theme.ALARM_MEDIUM)
    cure = "" if state.refusal is None else state.refusal.cure
    return Instruction(cure[:1].upper() + cure[1:], theme.ALARM_HIGH)


def steering(
    guidance: Guidance, lateral_limit_mm: float = 5.0, angle_limit_deg: float = 5.0
) -> Instruction:
    """Past or at the target, else where to tilt the hub, else how far to advance."""
    ahead = guidance.to_target_mm
    if ahead < -ARRIVED_MM:
        return Instruction(f"Past the target: withdraw {-ahead:.0f} mm", theme.NEEDLE)
    if ahead <= ARRIVED_MM and guidance.off_path_mm <= lateral_limit_mm:
        return Instruction("At the target", theme.GOOD)
    if guidance.aim_off_mm >= NEAR * lateral_limit_mm:
        return Instruction(_aiming(guidance), theme.NEEDLE)
    if guidance.angle_deg >= NEAR * angle_limit_deg:
        side = orientation_letters(guidance.hub_tilt_ct)
        return Instruction(f"Tilt hub {guidance.angle_deg:.0f}° toward {side}", theme.NEEDLE)
    return Instruction(f"On path: advance {ahead:.0f} mm", theme.GOOD)


def _aiming(guidance: Guidance) -> str:
    """The tilt that brings the aim onto the target: the hub goes to the side the aim is off."""
    ahead = max(guidance.to_target_mm, 1e-3)
    tilt_deg = float(np.degrees(np.arctan2(guidance.aim_off_mm, ahead)))
    if tilt_deg > STEEPEST_DEG:
        side = orientation_letters(-guidance.aim_offset_ct_mm)
        return f"Draw back and aim {guidance.aim_off_mm:.0f} mm more toward {side}"
    side = orientation_letters(guidance.aim_offset_ct_mm)
    return f"Tilt hub {tilt_deg:.0f}° toward {side}"


class InstructionLine(QWidget):
    """One line of large words; repaints only when they change."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = Instruction("", theme.TEXT_3)
        self.setAccessibleName("What to do next")
        self.setFixedHeight(HEIGHT)

    @property
    def shown(self) -> Instruction:
        return self._shown

    def show_instruction(self, shown: Instruction) -> None:
        """Write this from now on."""
        if shown != self._shown:
            self._shown = shown
            self.setAccessibleDescription(shown.words)
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(600, HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_panel(painter, QRectF(self.rect()))
        words, tone = self._shown.words, self._shown.tone
        if words:
            self._write(painter, words, tone)
        painter.end()

    def _write(self, painter: QPainter, words: str, tone: str) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(tone))
        mark = QRectF(1.0, 1.0, 7.0, self.height() - 2.0)
        painter.drawRoundedRect(mark, 3.0, 3.0)
        room = self.width() - 40.0
        # What cures an alarm is a sentence; what steers is a few words.
        sizes = SIZES_PX[1:] if tone == theme.ALARM_HIGH else SIZES_PX
        fits = (px for px in sizes if text_width(words, px, theme.STRONG) <= room)
        px = next(fits, sizes[-1])
        cut = fitting(words, px, theme.STRONG, room)
        at = QPointF(24.0, self.height() / 2.0 + px * 0.36)
        write(painter, at, cut, px, theme.TEXT_1, theme.STRONG)
