"""The CT moved by hand until it fits what is seen of the patient: view, numbers, keys, undo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSlider, QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import REGISTRATIONS, ask_file
from ir_nav.gui.fit_card import Offer
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.hand_view import Blend
from ir_nav.gui.hand_views import HandIn, HandViews
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.nudge_numbers import NudgeNumbers, typed_numbers
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.registration.manual import UNSEEN_DEG, UNSEEN_MM
from ir_nav.session.nudging import NO_START, Nudging
from ir_nav.session.state import NavigationState

REMEMBERED = "register/manual_view"
KEYS = "Drag: move · Shift and drag: turn\nArrows 0.5 mm · with Shift 5 mm · with Alt 0.5°"
HOW = {
    HandIn.ULTRASOUND: f"{KEYS}\nPage keys: through the plane",
    HandIn.FLUORO: f"{KEYS}\nPage keys: along the beam, where little is seen",
    HandIn.SLICES: f"{KEYS}\nPage keys: through the slice",
}
VIEW_TIPS = {
    HandIn.ULTRASOUND: "Move the CT over the live ultrasound",
    HandIn.FLUORO: "Move the CT over the last fluoro image",
    HandIn.SLICES: "Move the CT in its slices under touched and swiped points, tips and ultrasound",
}
ROUGH = "Start from a file: bring the CT near, then register by fluoro or surface."
PIVOT_TIP = "Turn about the middle of the view instead of the target"
OPEN_TIP = "Begin at a result of `ir-nav register`, or at a file for its --init; it guides nothing"


class ManualCard(Card):
    """views: for the page to place. offer: for the page's foot.

    tools: of the page's slices. prepare: works out what X-rays meet in the CT at hand.
    """

    def __init__(self, desk: Desk, tools: SliceTools, prepare: Callable[[], None]) -> None:
        super().__init__()
        self._desk = desk
        self._nudging: Nudging = desk.session.nudging
        self.views = HandViews(desk, tools, prepare, self._moved, self._turned)
        self._how = label("", "note", name="manual_how")
        self._numbers = NudgeNumbers(self._typed)
        self._part = QSlider(Qt.Orientation.Horizontal)
        self._squares = button(
            "fusion_squares", "Checkerboard", self._blend, kind="small", checkable=True
        )
        self._pivot = button(
            "pivot_here", "Pivot here", self.pivot, kind="small", checkable=True, tip=PIVOT_TIP
        )
        self._undo = button("undo_nudge", "Undo", self.undo, kind="small", tip="Ctrl+Z")
        self._reset = button("reset_nudge", "Reset", self.reset, kind="small")
        self._open = button(
            "open_start", "Open saved start", self.open_start, kind="small", tip=OPEN_TIP
        )
        self._modes = {mode: self._mode_button(mode) for mode in HandIn}
        self.add_row(*self._modes.values())
        self.add(self._how, self._open, self._numbers)
        self.add_row(self._undo, self._reset, self._pivot)
        self._set_up_part()
        self.offer = self._offered()
        kept = str(desk.settings.value(REMEMBERED, HandIn.ULTRASOUND))
        self.choose(HandIn(kept) if kept in list(HandIn) else HandIn.ULTRASOUND)
        self.follow()

    def _mode_button(self, mode: HandIn) -> QPushButton:
        name, choose = f"hand_{mode.lower()}", partial(self.choose, mode)
        return button(name, mode, choose, kind="small", checkable=True, tip=VIEW_TIPS[mode])

    def _offered(self) -> Offer:
        nudging = self._nudging
        return Offer(
            lambda: nudging.found,
            lambda confirmed: nudging.accept(confirmed=confirmed),
            self._words,
            "Move the CT until it fits what is seen of the patient.",
            "move it further",
            "Keep moving",
        )

    @property
    def beside(self) -> QWidget | None:
        """The view to put beside the slices; None for the 3D view."""
        return self.views.beside

    def choose(self, mode: HandIn) -> None:
        """Work in this view from now on."""
        self.views.take(False)
        self.views.mode = mode
        self._desk.settings.setValue(REMEMBERED, str(mode))
        for one, made in self._modes.items():
            made.setChecked(one is mode)
        self.follow()

    def open_start(self) -> None:
        """Ask for a file to begin at."""
        folder = self._desk.folder("registration")
        ask_file(self, "Open saved start", folder, REGISTRATIONS, self.load_start)

    def load_start(self, path: Path) -> None:
        """Begin at the start in a file."""
        self._desk.remember_folder("registration", path)
        self._desk.attempt(lambda: self._nudging.open_start(path), f"Start from {path.name}")
        self.follow()

    def show_live(self, state: NavigationState, window_hu: float, level_hu: float) -> None:
        """Draw the newest images with the CT where it was moved to; at every tick."""
        self.views.show(state, window_hu, level_hu)

    def follow(self) -> None:
        """Write where it stands."""
        here = self._nudging.start is not None
        self._how.setText(self._how_words() if here else f"{NO_START.capitalize()}.")
        self._open.setVisible(not self._nudging.guides)
        self._numbers.show_nudge(self._nudging.nudge, movable=here)
        self._pivot.setChecked(not self._nudging.about_target)
        for one in (self._undo, self._reset, self._pivot, self._part, self._squares):
            one.setEnabled(here)

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
        """Turn about what lies in the middle of the view, or about the target again."""
        point = self.views.middle_ct_mm() if self._pivot.isChecked() else None
        self._run(partial(self._nudging.turn_about, point))

    def _how_words(self) -> str:
        words = HOW[self.views.mode]
        words = self.views.lack or words
        return words if self._nudging.guides else f"{ROUGH}\n{words}"

    def _run(self, command: Callable[[], object]) -> None:
        self._desk.attempt(command, keep_banner=True)
        self._numbers.leave()
        self.follow()
        self.views.draw()

    def _moved(self, axes: FloatArray, shift_mm: FloatArray, gesture: object) -> None:
        self._run(partial(self._nudging.shift, axes @ shift_mm, gesture))

    def _turned(self, axes: FloatArray, angle_deg: float, axis: int, gesture: object) -> None:
        self._run(partial(self._nudging.turn, angle_deg, axes[:, axis], gesture))

    def _typed(self, number: int, value: float) -> None:
        numbers = typed_numbers(self._nudging.nudge, number, value)
        if numbers is None:
            return
        self._desk.attempt(lambda: self._nudging.put(numbers[:3], numbers[3:]), keep_banner=True)
        self.follow()
        self.views.draw()

    def _set_up_part(self) -> None:
        self._part.setObjectName("fusion_part")
        self._part.setAccessibleName("How much of the CT is seen, percent")
        self._part.setRange(0, 100)
        self._part.setValue(round(100 * self.views.fusion.part))
        self._part.valueChanged.connect(lambda _: self._blend())
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        for one, stretch in (
            (label("Image"), 0),
            (self._part, 1),
            (label("CT"), 0),
            (self._squares, 1),
        ):
            row.addWidget(one, stretch)
        self.column.addLayout(row)

    def _blend(self) -> None:
        how = Blend.SQUARES if self._squares.isChecked() else Blend.FADED
        self.views.blend(self._part.value() / 100.0, how)

    def _words(self) -> str:
        nudge = self._nudging.nudge
        shift = mm_words(float(np.linalg.norm(nudge.shift_mm)))
        turn = float(np.linalg.norm(nudge.turn_deg))
        moved = f"Moved {shift}, turned {turn:.1f}°."
        if not self._nudging.guides:
            return f"{moved} The start came from a file: searches begin here, guidance does not."
        return f"{moved} Error: that before, plus {UNSEEN_MM:g} mm and {UNSEEN_DEG:g}° unseen."
