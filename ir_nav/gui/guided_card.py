"""What all calibration cards share: result, instruction, progress, age, picture, buttons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from ir_nav.gui.desk import Desk
from ir_nav.gui.files import CALIBRATIONS, ask_file, ask_save
from ir_nav.gui.forms import Card, button, label, set_kind, set_mood

FOLDER = "calibration"


class GuidedCard(Card):
    """One calibration. name: of the tool or quantity; it begins the names of its widgets."""

    def __init__(self, desk: Desk, name: str, picture: QWidget) -> None:
        super().__init__(name.capitalize())
        self.desk = desk
        self.session = desk.session
        self.name = name
        self.picture = picture
        self.result = label("Not calibrated", "big", name=f"{name}_result")
        self.detail = label("", "body", name=f"{name}_detail")
        self.age = label("", "note", name=f"{name}_age")
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(f"{name} calibration progress")
        self.cancel_button = button(f"cancel_{name}", "Cancel", self.cancel)
        self.cancel_button.setAccessibleName(f"Cancel {name} calibration")
        self.undo_button = self._small("undo", "Undo", self.undo, "Back to the one before")
        self.undo_button.setObjectName(f"undo_{name}_calibration")
        self.load_button = self._small("load", "Load…", self.ask_load, "A file of `calibrate`")
        self.save_button = self._small("save", "Save…", self.ask_save, "As `calibrate` writes it")

    def cancel(self) -> None:
        """Stop measuring; nothing changes."""
        raise NotImplementedError

    def undo(self) -> None:
        """Back to the calibration before."""
        raise NotImplementedError

    def load(self, path: Path) -> None:
        """Put a calibration out of a file into use; errors go to the banner."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Write what was measured; errors go to the banner."""
        raise NotImplementedError

    def show_calibration(self, now_s: float) -> None:
        """Draw where it stands at `now_s` (Unix time)."""
        raise NotImplementedError

    def summary(self) -> str:
        """Where it stands, in a word or a number."""
        raise NotImplementedError

    def build(
        self, *actions: QWidget, above: QWidget | None = None, below: QWidget | None = None
    ) -> None:
        """Put everything in its place. above: what has to be chosen first; below: what is done
        with the picture."""
        self.add(self.result, self.detail, self.bar)
        if above is not None:
            self.add(above)
        self.column.addWidget(self.picture, 1)
        if below is not None:
            self.add(below)
        self.add(self.age)
        self.add_row(*actions, self.cancel_button)
        row = QHBoxLayout()
        for one in (self.undo_button, self.load_button, self.save_button):
            row.addWidget(one, 1)
        self.column.addLayout(row)

    def set_small(self, small: bool) -> None:
        """Fit a small screen: what came of it in smaller type."""
        set_kind(self.result, "title" if small else "big")

    def ask_load(self) -> None:
        """Ask for a calibration's file."""
        title = f"Load {self.name} calibration"
        ask_file(self, title, self.desk.folder(FOLDER), CALIBRATIONS, self._loaded)

    def ask_save(self) -> None:
        """Ask where to write the calibration to."""
        proposal = str(Path(self.desk.folder(FOLDER)) / f"{self.name}.json")
        title = f"Save {self.name} calibration"
        ask_save(self, title, proposal, CALIBRATIONS, self._saved)

    def say(self, result: str, detail: str, mood: str = "") -> None:
        """Write what came of it and what to do; mood colours the result."""
        self.result.setText(result)
        set_mood(self.result, mood)
        self.detail.setText(detail)
        set_mood(self.detail, "bad" if mood == "bad" else "")

    def say_age(self, words: str, expired: bool) -> None:
        """Write how old it is; nothing takes no room."""
        self.age.setText(words)
        self.age.setVisible(bool(words))
        set_mood(self.age, "bad" if expired else "quiet")

    def show_running(self, running: bool) -> None:
        """Progress and Cancel while it is measured, undo and files while it is not."""
        self.bar.setVisible(running)
        self.cancel_button.setVisible(running)
        for one in (self.undo_button, self.load_button, self.save_button):
            one.setVisible(not running)

    def _small(self, verb: str, text: str, action: Callable[[], object], tip: str) -> QPushButton:
        made = button(f"{verb}_{self.name}", text, action, kind="small", tip=tip)
        made.setAccessibleName(f"{verb.capitalize()} {self.name} calibration")
        return made

    def _loaded(self, path: Path) -> None:
        self.desk.remember_folder(FOLDER, path)
        self.load(path)

    def _saved(self, path: Path) -> None:
        self.desk.remember_folder(FOLDER, path)
        self.save(path if path.suffix else path.with_suffix(".json"))


def age_words(made_s: float | None, left_s: float | None, now_s: float, file: str | None) -> str:
    """When it was made, how long it holds and where it is from; '' where that is not known."""
    if made_s is None or left_s is None:
        return ""
    age_s = now_s - made_s
    made = f"Made {span_words(age_s)} ago" if age_s >= 60.0 else "Made just now"
    ends = f"expires in {span_words(left_s)}" if left_s > 0.0 else "expired"
    return f"{made}, {ends}" + ("" if file is None else f"; from {file}")


def span_words(seconds: float) -> str:
    """A stretch of time in minutes, or hours and minutes."""
    minutes = int(max(seconds, 0.0) // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"


def sentence(text: str) -> str:
    """With a capital."""
    return text[:1].upper() + text[1:]
