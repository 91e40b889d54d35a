"""One tool's calibration: pivot, spin where it needs one, how it was turned, what came of it."""

from __future__ import annotations

from PyQt6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton

from ir_nav.gui.calibration_view import CalibrationView
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_kind, set_mood
from ir_nav.session.collection import Collection, CollectionKind, ToolCalibration
from ir_nav.session.session import Session
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


class CalibrationCard(Card):
    """One tool: pivot, spin where it needs one, and what came of it."""

    def __init__(self, desk: Desk, role: Role) -> None:
        super().__init__(role.value.capitalize())
        self._desk = desk
        self._session: Session = desk.session
        self._role = role
        self._result = label("Not calibrated", "big", name=f"{role}_result")
        self._detail = label("", "body", name=f"{role}_detail")
        self._picture = CalibrationView(f"{role} calibration picture")
        self._drawn = (0, 0)
        self._progress = QProgressBar()
        self._progress.setRange(0, 100)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(f"{role} calibration progress")
        kinds = [CollectionKind.PIVOT]
        if role is Role.NEEDLE:
            kinds.append(CollectionKind.SPIN)
        self._buttons = {kind: self._button(kind) for kind in kinds}
        self._cancel = button(f"cancel_{role}", "Cancel", self._session.cancel_collection)
        self._undo = button(
            f"undo_{role}_calibration",
            "Undo",
            self.undo,
            kind="small",
            tip="Back to the calibration before",
        )
        self._undo.setAccessibleName(f"Undo {role} calibration")
        self._age = label("", "note", name=f"{role}_age")
        self.add(self._result, self._detail, self._progress)
        row = QHBoxLayout()
        row.addWidget(self._age, 1)
        row.addWidget(self._undo, 0)
        self.column.addLayout(row)
        self.column.addWidget(self._picture, 1)
        self.add_row(*self._buttons.values(), self._cancel)

    def toggle(self, kind: CollectionKind) -> None:
        """Start gathering poses, or finish when this is under way."""
        running = self._running()
        if running is not None and running.kind is kind:
            self._desk.attempt(self._session.finish_collection)
        else:
            self._desk.attempt(lambda: self._session.start_collection(kind, self._role))

    def undo(self) -> None:
        """Back to the calibration before."""
        done = f"The {self._role} has its calibration from before"
        self._desk.attempt(lambda: self._session.undo_calibration(self._role), done)

    def set_small(self, small: bool) -> None:
        """Fit a small screen: what came of it in smaller type."""
        set_kind(self._result, "title" if small else "big")

    def show_calibration(self, now_s: float) -> None:
        """Draw where it stands at `now_s` (Unix time)."""
        running = self._running()
        for kind, made in self._buttons.items():
            under_way = running is not None and running.kind is kind
            made.setText(f"Finish {kind}" if under_way else f"Start {kind}")
            made.setAccessibleName(made.text())
        self._cancel.setVisible(running is not None)
        self._progress.setVisible(running is not None)
        needle = self._role is Role.NEEDLE
        found = self._session.needle if needle else self._session.stylus
        self._undo.setVisible(running is None)
        self._undo.setEnabled(found.before is not None)
        self._age.setVisible(running is None)
        if running is not None:
            self._show_running(running)
            return
        self._age.setText(age_words(found, now_s))
        set_mood(self._age, "bad" if found.expired else "quiet")
        self._show_result(found)

    def _button(self, kind: CollectionKind) -> QPushButton:
        return button(
            f"{kind}_{self._role}", f"Start {kind}", lambda: self.toggle(kind), tip=_HOW[kind]
        )

    def _running(self) -> Collection | None:
        found = self._session.collection
        return found if found is not None and found.role is self._role else None

    def _show_running(self, running: Collection) -> None:
        wanted = MIN_PIVOT_SPAN_DEG if running.kind is CollectionKind.PIVOT else MIN_SPIN_SPAN_DEG
        self._result.setText(f"{running.count} poses · {running.span_deg:.0f}°")
        set_mood(self._result, "")
        # Working the turns out costs more the more there are: anew for each few poses.
        drawn = (id(running), running.count // POSES_A_PICTURE)
        if running.count and drawn != self._drawn:
            self._drawn = drawn
            self._picture.show_running(turned_deg(running.matrices()))
        self._detail.setText(f"{_HOW[running.kind]}: at least {MIN_POSES} poses over {wanted:g}°")
        part = min(running.count / ENOUGH_POSES, running.span_deg / (1.5 * wanted), 1.0)
        self._progress.setValue(round(100 * part))

    def _show_result(self, found: ToolCalibration) -> None:
        self._drawn = (0, 0)
        self._picture.show_pivot(found.pivot)
        if found.pivot is None:
            self._result.setText("Not calibrated")
            set_mood(self._result, "")
        else:
            self._result.setText(f"{found.pivot.rms_mm:.2f} mm residual")
        missing = found.missing()
        accepted = found.tool_from_tip is not None
        if found.pivot is not None:
            set_mood(self._result, "good" if accepted else "bad" if _refused(found) else "")
        words = _detail(found)
        if missing is not None and not _refused(found):
            kind = CollectionKind.PIVOT if found.pivot is None else CollectionKind.SPIN
            missing = f"{missing}. {_HOW[kind]}." + (f"\n{words}" if words else "")
        self._detail.setText(f"✓ Accepted. {words}" if accepted else _upper(missing or words))
        set_mood(self._detail, "bad" if _refused(found) else "")


def age_words(found: ToolCalibration, now_s: float) -> str:
    """When it was made and how long it holds; '' where that is not known."""
    left_s = found.expires_in_s(now_s)
    if found.made_s is None or left_s is None:
        return ""
    age_s = now_s - found.made_s
    made = f"Made {_span(age_s)} ago" if age_s >= 60.0 else "Made just now"
    return f"{made}, expires in {_span(left_s)}" if left_s > 0.0 else f"{made}, expired"


def _span(seconds: float) -> str:
    minutes = int(max(seconds, 0.0) // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"


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


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
