"""The phantom: its file, and its landmarks touched one after the other."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QTableWidget,
    QWidget,
)

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import PHANTOMS, ask_file
from ir_nav.gui.forms import button, label, set_cell, set_up_landmarks
from ir_nav.gui.guided_card import GuidedCard, age_words, sentence
from ir_nav.session.calibration_exchange import load_step, save_step
from ir_nav.session.phantom_touching import PhantomTouching

ROW_PX = 28
HEADER_PX = 36
HOW = (
    "Rest the stylus on each landmark in turn: it is taken when held still, or pivoted there for "
    "3 s"
)


class PhantomCard(GuidedCard):
    """Touching begins once a file is chosen and the stylus is calibrated."""

    def __init__(self, desk: Desk) -> None:
        self._table = QTableWidget(0, 3)
        super().__init__(desk, "phantom", self._table)
        self._step = desk.session.scanner.phantom
        self._file = label("No phantom's file is chosen", name="phantom_file")
        self._choose = button("choose_phantom", "Choose file…", self.ask_phantom, kind="small")
        self._start = button("start_phantom", "Start touching", self.toggle, tip=HOW)
        self._again = button(
            "redo_landmark",
            "Touch again",
            self.redo,
            kind="small",
            tip="The chosen landmark, or the last one",
        )
        self._capture = button(
            "capture_landmark",
            "Capture",
            self.capture,
            kind="small",
            tip="Space: take the tip at rest",
        )
        self._set_up_table()
        above = QWidget()
        row = QHBoxLayout(above)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._file, 1)
        row.addWidget(self._choose, 0)
        self._below = QWidget()
        beneath = QHBoxLayout(self._below)
        beneath.setContentsMargins(0, 0, 0, 0)
        beneath.addWidget(self._again, 1)
        beneath.addWidget(self._capture, 1)
        self.build(self._start, above=above, below=self._below)

    def ask_phantom(self) -> None:
        """Ask for the phantom's file."""
        folder = self.desk.folder("phantom")
        ask_file(self, "Choose the phantom's file", folder, PHANTOMS, self.choose_phantom)

    def choose_phantom(self, path: Path) -> None:
        """Read the phantom; errors go to the banner."""
        self.desk.remember_folder("phantom", path)
        self.desk.attempt(lambda: self._step.choose(path), f"Read {path.name}")

    def toggle(self) -> None:
        """Start touching, or finish when that is under way."""
        if self._step.touching is None:
            self.desk.attempt(self._step.start)
        else:
            self.desk.attempt(self._step.finish)

    def capture(self) -> None:
        """Take the stylus tip, at rest, as the next landmark."""
        self.desk.attempt(self._step.capture)

    def redo(self) -> None:
        """Touch the chosen landmark again, or the last one."""
        row = self._table.currentRow()
        self.desk.attempt(lambda: self._step.redo(row if row >= 0 else None))
        self._table.setCurrentCell(-1, -1)

    def cancel(self) -> None:
        self._step.cancel()

    def undo(self) -> None:
        self.desk.attempt(self._step.undo, "The phantom lies where it lay before")

    def load(self, path: Path) -> None:
        session = self.session
        self.desk.attempt(
            lambda: load_step(
                path, self._step, session.connection.room, self._step.at_hand.clock()
            ),
            f"The phantom lies as {path.name} says",
        )

    def save(self, path: Path) -> None:
        self.desk.attempt(lambda: save_step(path, self._step), f"Saved {path.name}")

    def summary(self) -> str:
        found = self._step.in_use
        if self._step.touching is not None:
            return f"{self._step.touching.count} touched"
        if found.expired:
            return "expired"
        if found.result is not None:
            return f"✓ {found.result.error_mm.mean:.2f} mm"
        return "✓ from file" if self._step.placed is not None else "to do"

    def show_calibration(self, now_s: float) -> None:
        step, touching, found = self._step, self._step.touching, self._step.in_use
        definition = step.definition
        self._file.setText(
            "No phantom's file is chosen"
            if definition is None
            else f"{definition.name}, {len(definition.landmark_names)} landmarks"
        )
        self._choose.setEnabled(touching is None)
        self._start.setText("Start touching" if touching is None else "Finish")
        self._start.setAccessibleName(self._start.text())
        self._below.setVisible(touching is not None)
        self.show_running(touching is not None)
        self.undo_button.setEnabled(found.before is not None)
        self.save_button.setEnabled(found.result is not None and found.file is None)
        self._show_table(touching)
        if touching is not None:
            self.say_age("", expired=False)
            self._show_touching(touching)
            return
        left_s = found.expires_in_s(now_s)
        self.say_age(age_words(found.made_s, left_s, now_s, found.file), expired=found.expired)
        missing = step.missing()
        if found.result is None and missing is None:
            self.say("As in its file", "Touch its landmarks where it has moved since")
        elif found.result is None:
            self.say("Not registered", sentence(missing or ""))
        elif found.expired:
            self.say("Expired", sentence(missing or ""), "bad")
        else:
            words = f"✓ Accepted: {step.words(found.result)}"
            self.say(f"{found.result.error_mm.mean:.2f} mm mean error", words, "good")

    def _show_touching(self, touching: PhantomTouching) -> None:
        count = len(touching.names)
        self.bar.setValue(round(100 * touching.count / count))
        index = touching.next_index
        next_words = "All are touched" if index is None else f"Touch {touching.names[index]}"
        found = touching.found
        if touching.doubt is not None:
            self.say(next_words, f"{touching.doubt}: {next_words}, or take it with Space")
        elif touching.fault is not None:
            self.say(next_words, sentence(touching.fault), "bad")
        elif found is None:
            self.say(next_words, f"{HOW}. {touching.count} of {count} touched.")
        else:
            worst = touching.worst()
            named = "" if worst is None else f" {touching.names[worst]} fits worst."
            words = f"{found.error_mm.mean:.2f} mm mean error so far, limit 1 mm.{named}"
            self.say(next_words, found.reason or words, "" if found.accepted else "bad")

    def _set_up_table(self) -> None:
        table = self._table
        table.setObjectName("landmarks")
        table.setAccessibleName("Landmarks of the phantom")
        set_up_landmarks(table, ["Landmark", "State", "Residual"], HEADER_PX, ROW_PX)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)
        table.setMinimumHeight(3 * ROW_PX)

    def _show_table(self, touching: PhantomTouching | None) -> None:
        names = () if self._step.definition is None else self._step.definition.landmark_names
        if self._table.rowCount() != len(names):
            self._table.setRowCount(len(names))
        residuals = self._residuals(touching, len(names))
        worst = None if touching is None else touching.worst()
        for row, name in enumerate(names):
            state, tone = self._state(touching, row)
            state = "✓ fits worst" if row == worst else state
            value = residuals[row]
            words = "—" if value is None else f"{value:.2f} mm"
            for column, text in enumerate((name, state, words)):
                set_cell(self._table, row, column, text, tone if column == 1 else theme.TEXT_1)

    def _residuals(self, touching: PhantomTouching | None, count: int) -> tuple[float | None, ...]:
        found = self._step.in_use
        if touching is not None:
            return touching.residuals_mm()
        if found.result is None or found.file is not None:
            return (None,) * count
        pairs = zip(found.result.landmarks, found.result.residuals_mm, strict=True)
        known = {index: float(value) for index, value in pairs}
        return tuple(known.get(index) for index in range(count))

    def _state(self, touching: PhantomTouching | None, row: int) -> tuple[str, str]:
        if touching is None:
            found = self._step.in_use
            landmarks = () if found.result is None or found.file else found.result.landmarks
            return ("✓ touched", theme.GOOD) if row in landmarks else ("to touch", theme.TEXT_3)
        if row == touching.next_index:
            return "▸ touch now", theme.PLAN
        return ("✓ touched", theme.GOOD) if touching.touches[row] else ("to touch", theme.TEXT_3)
