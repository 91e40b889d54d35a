"""The CT moved by hand until it fits the live image: numbers, keys, undo."""

from __future__ import annotations

from functools import partial

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDoubleSpinBox, QGridLayout, QSizePolicy, QSlider, QWidget

from ir_nav.geometry import FloatArray, unit
from ir_nav.gui.desk import Desk
from ir_nav.gui.fit_card import Offer
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.live_fusion import Blend, Fused, LiveFusion
from ir_nav.registration.manual import UNSEEN_DEG, UNSEEN_MM
from ir_nav.session.nudging import NO_START, Nudging
from ir_nav.session.state import NavigationState, UltrasoundState

SHIFTS = ("R − L +", "A − P +", "F − H +")
TURNS = ("about R–L", "about A–P", "about F–H")
REACH = {"mm": 100.0, "°": 90.0}
STEP = 0.5
HOW = (
    "In the live image: drag the CT, with Shift turn it. Arrows 0.5 mm, with Shift 5 mm, with Alt "
    "0.5°; Page keys through the plane."
)
PIVOT_TIP = "Turn about the middle of the live image instead of the target"
# What arrows mean while no image lies anywhere: as in an axial slice.
AXIAL = np.eye(3)


class ManualCard(Card):
    """fusion: the view to put beside it. offer: for the page's foot."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Moved by hand")
        self._desk = desk
        self._nudging: Nudging = desk.session.nudging
        self.fusion = LiveFusion()
        self.fusion.moved.connect(self._moved)
        self.fusion.turned.connect(self._turned)
        self._live: UltrasoundState | None = None
        self._how = label(HOW, "quiet", name="manual_how")
        self._boxes: list[QDoubleSpinBox] = []
        self._part = QSlider(Qt.Orientation.Horizontal)
        self._squares = button(
            "fusion_squares", "Checkerboard", self._blend, kind="small", checkable=True
        )
        self._pivot = button(
            "pivot_here", "Pivot here", self.pivot, kind="small", checkable=True, tip=PIVOT_TIP
        )
        self.add(self._how, self._numbers())
        self.add_row(
            button("undo_nudge", "Undo", self.undo, kind="small", tip="Ctrl+Z"),
            button("reset_nudge", "Reset", self.reset, kind="small"),
            self._pivot,
        )
        self.add_row(self._part, self._squares)
        self._set_up_part()
        self.offer = self._offered()
        self.follow()

    def _offered(self) -> Offer:
        nudging = self._nudging
        return Offer(
            lambda: nudging.found,
            lambda confirmed: nudging.accept(confirmed=confirmed),
            self._words,
            "Move the CT until it fits the live image.",
            "move it further",
            "Keep moving",
        )

    def show_live(self, state: NavigationState, window_hu: float, level_hu: float) -> None:
        """Draw the newest image with the CT where it was moved to; at every tick."""
        self._live = state.ultrasound
        self.fusion.look = (window_hu, level_hu)
        self._fuse()

    def follow(self) -> None:
        """Write the numbers, but not into what is being typed."""
        nudge = self._nudging.nudge
        here = self._nudging.start is not None
        self._how.setText(HOW if here else f"{NO_START.capitalize()}.")
        for box, value in zip(self._boxes, (*nudge.shift_mm, *nudge.turn_deg), strict=True):
            box.setEnabled(here)
            if not box.hasFocus() or not box.isEnabled():
                _show(box, float(value))
        self._pivot.setChecked(not self._nudging.about_target)

    def state(self) -> str:
        """How far it was moved."""
        nudge = self._nudging.nudge
        shift = float(np.linalg.norm(nudge.shift_mm))
        # The section's button has room for no more.
        words = f"{shift:.1f} mm" if shift < 9.95 else f"{shift:.0f} mm"
        return words if nudge.moved else ""

    def undo(self) -> None:
        """Take back the last move."""
        self._run(self._nudging.undo)

    def reset(self) -> None:
        """Back to where the CT was registered."""
        self._run(self._nudging.reset)

    def pivot(self) -> None:
        """Turn about what lies in the middle of the live image, or about the target again."""
        ct_from_view = self.fusion.ct_from_view
        point = None
        if self._pivot.isChecked() and ct_from_view is not None:
            middle = self.fusion.middle_px
            point = np.asarray((ct_from_view @ np.array([*middle, 0.0, 1.0]))[:3])
        self._run(partial(self._nudging.turn_about, point))

    def _run(self, command: object) -> None:
        assert callable(command)
        self._desk.attempt(command, keep_banner=True)
        for box in self._boxes:
            box.clearFocus()
        self.follow()
        self._fuse()

    def _moved(self, shift_mm: FloatArray, gesture: object) -> None:
        shift = self._axes() @ shift_mm
        self._run(partial(self._nudging.shift, shift, gesture))

    def _turned(self, angle_deg: float, axis: int, gesture: object) -> None:
        about = self._axes()[:, axis]
        self._run(partial(self._nudging.turn, angle_deg, about, gesture))

    def _axes(self) -> FloatArray:
        """(3, 3) the view's right, down and through it as columns, in the axes of the CT as it
        was registered."""
        start, live = self._nudging.start, self._live
        if start is None or live is None or live.reference_from_image is None:
            return AXIAL
        ct_from_image = start.ct_from_reference.matrix @ live.reference_from_image
        right, down = unit(ct_from_image[:3, 0]), ct_from_image[:3, 1]
        down = unit(down - right * float(right @ down))
        return np.column_stack([right, down, np.cross(right, down)])

    def _fuse(self) -> None:
        volume, matrix = self._desk.session.case.volume, self._nudging.ct_from_reference
        live = self._live
        self.fusion.movable = matrix is not None
        if live is None or volume is None or matrix is None:
            self.fusion.show_fused(None)
            return
        pivot = self._nudging.nudge.pivot_ct_mm
        self.fusion.show_fused(Fused(live, matrix, volume, pivot))

    def _typed(self, number: int, value: float) -> None:
        """One number typed: the others keep their full precision."""
        nudge = self._nudging.nudge
        numbers = np.concatenate([nudge.shift_mm, nudge.turn_deg])
        if abs(numbers[number] - value) < 0.05:
            return
        numbers[number] = value
        self._desk.attempt(lambda: self._nudging.put(numbers[:3], numbers[3:]), keep_banner=True)
        self.follow()
        self._fuse()

    def _numbers(self) -> QWidget:
        made = QWidget()
        grid = QGridLayout(made)
        grid.setContentsMargins(0, 0, 0, 0)
        for number, caption in enumerate((*SHIFTS, *TURNS)):
            suffix = "mm" if number < 3 else "°"
            box = QDoubleSpinBox()
            box.setObjectName(f"nudge_{number}")
            box.setAccessibleName(f"CT {'moved' if number < 3 else 'turned'} {caption}")
            box.setRange(-REACH[suffix], REACH[suffix])
            box.setDecimals(1)
            box.setSingleStep(STEP)
            box.setSuffix(f" {suffix}" if number < 3 else suffix)
            box.setKeyboardTracking(False)
            box.setMinimumWidth(0)
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.valueChanged.connect(partial(self._typed, number))
            self._boxes.append(box)
            row = 2 * (number // 3)
            grid.addWidget(label(caption), row, number % 3)
            grid.addWidget(box, row + 1, number % 3)
        return made

    def _set_up_part(self) -> None:
        self._part.setObjectName("fusion_part")
        self._part.setAccessibleName("How much of the CT is seen, percent")
        self._part.setRange(0, 100)
        self._part.setValue(round(100 * self.fusion.part))
        self._part.valueChanged.connect(lambda _: self._blend())

    def _blend(self) -> None:
        self.fusion.part = self._part.value() / 100.0
        self.fusion.blend = Blend.SQUARES if self._squares.isChecked() else Blend.FADED
        self.fusion.update()

    def _words(self) -> str:
        nudge = self._nudging.nudge
        shift = mm_words(float(np.linalg.norm(nudge.shift_mm)))
        turn = float(np.linalg.norm(nudge.turn_deg))
        return (
            f"Moved {shift}, turned {turn:.1f}°. The error is the one before and what an eye "
            f"misses: {UNSEEN_MM:g} mm, {UNSEEN_DEG:g}°."
        )


def _show(box: QDoubleSpinBox, value: float) -> None:
    if abs(box.value() - value) >= 0.05:
        box.blockSignals(True)
        box.setValue(value)
        box.blockSignals(False)
