"""One tool's calibration: pivot, spin where it needs one, how it was turned, what came of it."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QPushButton

from ir_nav.gui.calibration_view import CalibrationView
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import button
from ir_nav.gui.guided_card import GuidedCard, age_words, sentence
from ir_nav.session.collection import Collection, CollectionKind, ToolCalibration
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.pivot import (
    MIN_PIVOT_SPAN_DEG,
    MIN_POSES,
    MIN_SPIN_SPAN_DEG,
    turned_deg,
)

# More poses than the gate asks for: the residual settles by then.
ENOUGH_POSES = 6 * MIN_POSES
POSES_A_PICTURE = 40


class CalibrationCard(GuidedCard):
    """One tool: pivot, spin where it needs one, and what came of it."""

    def __init__(self, desk: Desk, role: Role) -> None:
        self._view = CalibrationView(f"{role} calibration picture")
        super().__init__(desk, str(role), self._view)
        self._role = role
        self._drawn = (0, 0)
        kinds = [CollectionKind.PIVOT]
        if role is Role.NEEDLE:
            kinds.append(CollectionKind.SPIN)
        self._buttons = {kind: self._button(kind) for kind in kinds}
        self.build(*self._buttons.values())

    def toggle(self, kind: CollectionKind) -> None:
        """Start gathering poses, or finish when this is under way."""
        running = self._running()
        if running is not None and running.kind is kind:
            self.desk.attempt(self.session.tools.finish)
        else:
            self.desk.attempt(lambda: self.session.tools.start(kind, self._role))

    def cancel(self) -> None:
        self.session.tools.cancel()

    def undo(self) -> None:
        done = f"The {self._role} has its calibration from before"
        self.desk.attempt(lambda: self.session.tools.undo(self._role), done)

    def load(self, path: Path) -> None:
        done = f"The {self._role} has the tip of {path.name}"
        self.desk.attempt(lambda: self.session.tools.load(self._role, path), done)

    def save(self, path: Path) -> None:
        self.desk.attempt(lambda: self.session.tools.save(self._role, path), f"Saved {path.name}")

    def summary(self) -> str:
        found = self._found()
        if self._running() is not None:
            return "running"
        if found.expired is not None:
            return "expired"
        if found.pivot is not None and found.tool_from_tip is not None:
            return f"✓ {found.pivot.rms_mm:.2f} mm"
        if _refused(found):
            return "refused"
        return "to do" if found.pivot is None else "to spin"

    def show_calibration(self, now_s: float) -> None:
        running = self._running()
        for kind, made in self._buttons.items():
            under_way = running is not None and running.kind is kind
            made.setText(f"Finish {kind}" if under_way else f"Start {kind}")
            made.setAccessibleName(made.text())
        found = self._found()
        self.show_running(running is not None)
        self.undo_button.setEnabled(found.before is not None)
        self.save_button.setEnabled(found.pivot is not None and found.file is None)
        if running is not None:
            self.say_age("", expired=False)
            self._show_running(running)
            return
        left_s = found.expires_in_s(now_s)
        words = age_words(found.made_s, left_s, now_s, found.file)
        self.say_age(words, expired=found.expired is not None)
        self._show_result(found)

    def _found(self) -> ToolCalibration:
        needle = self._role is Role.NEEDLE
        return self.session.tools.needle if needle else self.session.tools.stylus

    def _button(self, kind: CollectionKind) -> QPushButton:
        return button(
            f"{kind}_{self._role}", f"Start {kind}", lambda: self.toggle(kind), tip=_HOW[kind]
        )

    def _running(self) -> Collection | None:
        found = self.session.tools.collection
        return found if found is not None and found.role is self._role else None

    def _show_running(self, running: Collection) -> None:
        wanted = MIN_PIVOT_SPAN_DEG if running.kind is CollectionKind.PIVOT else MIN_SPIN_SPAN_DEG
        # Working the turns out costs more the more there are: anew for each few poses.
        drawn = (id(running), running.count // POSES_A_PICTURE)
        if running.count and drawn != self._drawn:
            self._drawn = drawn
            self._view.show_running(turned_deg(running.matrices()))
        self.say(
            f"{running.count} poses · {running.span_deg:.0f}°",
            f"{_HOW[running.kind]}: at least {MIN_POSES} poses over {wanted:g}°",
        )
        part = min(running.count / ENOUGH_POSES, running.span_deg / (1.5 * wanted), 1.0)
        self.bar.setValue(round(100 * part))

    def _show_result(self, found: ToolCalibration) -> None:
        self._drawn = (0, 0)
        self._view.show_pivot(found.pivot)
        words, missing = _detail(found), found.missing()
        accepted, refused = found.tool_from_tip is not None, _refused(found)
        if missing is not None and not refused:
            kind = CollectionKind.PIVOT if found.pivot is None else CollectionKind.SPIN
            missing = f"{missing}. {_HOW[kind]}." + (f"\n{words}" if words else "")
        detail = f"✓ Accepted. {words}" if accepted else sentence(missing or words)
        if found.pivot is None:
            self.say("Not calibrated", detail)
        else:
            mood = "good" if accepted else "bad" if refused else ""
            self.say(f"{found.pivot.rms_mm:.2f} mm residual", detail, mood)


_HOW = {
    CollectionKind.PIVOT: "Rest the tip in a dimple and turn the tool about it",
    CollectionKind.SPIN: "Turn the needle about its own shaft",
}


def _refused(found: ToolCalibration) -> bool:
    pivot, spin = found.pivot, found.spin
    if found.expired is not None:
        return True
    return (pivot is not None and not pivot.accepted) or (spin is not None and not spin.accepted)


def _detail(found: ToolCalibration) -> str:
    parts = []
    if found.pivot is not None:
        pivot = found.pivot
        parts.append(
            f"Tip known to {pivot.tip_error_mm:.2f} mm, {pivot.used} poses over "
            f"{pivot.span_deg:.0f}°"
        )
    if found.spin is not None:
        parts.append(f"shaft to {found.spin.rms_deg:.2f}°")
    return ", ".join(parts)
