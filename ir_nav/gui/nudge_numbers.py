"""How the CT was moved by hand, in six numbers that can be typed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PyQt6.QtGui import QValidator
from PyQt6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QGridLayout, QSizePolicy, QWidget

from ir_nav.gui.forms import label
from ir_nav.registration.manual import Nudge

# Which way is plus: the CT goes there against the patient.
SHIFTS = ("CT to left", "CT to back", "CT to head")
TURNS = ("Turn about R–L", "Turn about A–P", "Turn about F–H")
REACH = {"mm": 100.0, "°": 90.0}
STEP = 0.5
# Half of the last digit that is shown.
SAME = 0.05
# To be hit with a glove on.
BOX_PX = 32
MINUS = "−"


class NudgeNumbers(QWidget):
    """typed is called with the number's place, 0 to 5, and its new value, mm or deg."""

    def __init__(self, typed: Callable[[int, float], None]) -> None:
        super().__init__()
        self._boxes: list[QDoubleSpinBox] = []
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        for number, caption in enumerate((*SHIFTS, *TURNS)):
            box = _box(number, caption)
            box.valueChanged.connect(partial(typed, number))
            self._boxes.append(box)
            row = 2 * (number // 3)
            grid.addWidget(label(caption), row, number % 3)
            grid.addWidget(box, row + 1, number % 3)

    def show_nudge(self, nudge: Nudge, *, movable: bool) -> None:
        """Write the numbers, but not into what is being typed."""
        for box, value in zip(self._boxes, (*nudge.shift_mm, *nudge.turn_deg), strict=True):
            box.setEnabled(movable)
            if not box.hasFocus() or not movable:
                _show(box, float(value))

    def leave(self) -> None:
        """No number is being typed any more."""
        for box in self._boxes:
            box.clearFocus()


def typed_numbers(nudge: Nudge, number: int, value: float) -> np.ndarray | None:
    """(6,) shift in mm and turn in deg with one number typed: the others keep their full
    precision; None where it is what was shown."""
    numbers = np.concatenate([nudge.shift_mm, nudge.turn_deg])
    if abs(numbers[number] - value) < SAME:
        return None
    numbers[number] = value
    return numbers


class SignedBox(QDoubleSpinBox):
    """A number with the minus sign that the rest of the screen has; keys and wheel step it."""

    def __init__(self) -> None:
        super().__init__()
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setFixedHeight(BOX_PX)

    def textFromValue(self, value: float) -> str:
        return super().textFromValue(value).replace("-", MINUS)

    def valueFromText(self, text: str | None) -> float:
        return super().valueFromText((text or "").replace(MINUS, "-"))

    def validate(self, text: str | None, at: int) -> tuple[QValidator.State, str, int]:
        state, _, place = super().validate((text or "").replace(MINUS, "-"), at)
        return state, text or "", place


def _box(number: int, caption: str) -> QDoubleSpinBox:
    suffix = "mm" if number < 3 else "°"
    box = SignedBox()
    box.setObjectName(f"nudge_{number}")
    box.setAccessibleName(f"{caption}, {suffix}")
    box.setRange(-REACH[suffix], REACH[suffix])
    box.setDecimals(1)
    box.setSingleStep(STEP)
    box.setSuffix(f" {suffix}" if number < 3 else suffix)
    box.setKeyboardTracking(False)
    box.setMinimumWidth(0)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return box


def _show(box: QDoubleSpinBox, value: float) -> None:
    if abs(box.value() - value) >= SAME:
        box.blockSignals(True)
        box.setValue(value)
        box.blockSignals(False)
