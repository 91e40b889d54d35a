"""The needles of an ablation: their list, and what their zones cover together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter, QPen
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk, as_sentence
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.gui.slice_view import SliceView
from ir_nav.planning import Plan
from ir_nav.planning.ablation import Coverage
from ir_nav.planning.aim import Aim, aim_of
from ir_nav.planning.instruments import Ablation
from ir_nav.planning.needle_pairs import needle_pairs
from ir_nav.planning.needles import coverage_of
from ir_nav.progress import Progress

NEAR_MM = 4.0


class NeedlesCard(Card):
    """Shown for a protocol with several insertions, and for a plan that has several needles."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Needles")
        self._desk = desk
        self._shown: tuple[object, ...] = ()
        self._hint = label("", "quiet", name="needles_hint")
        self._apart = label("", "note", name="needles_apart")
        self._coverage = label("", "note", name="needles_coverage")
        self._rows = QVBoxLayout()
        self._rows.setSpacing(4)
        self._lines: list[QWidget] = []
        self.add(self._hint)
        self.column.addLayout(self._rows)
        self.add(self._apart, self._coverage)

    def follow(self) -> None:
        """Show the needles of the plan as it is now."""
        session = self._desk.session
        labels, drawn = session.case.labels, session.planning.now
        plan, protocol = drawn.plan, drawn.protocol
        now = (plan, protocol, labels)
        if len(self._shown) == 3 and all(a is b for a, b in zip(now, self._shown, strict=True)):
            return
        self._shown = now
        count = 0 if plan is None else len(plan.paths)
        self.setVisible(protocol.insertions > 1 or count > 1)
        self._hint.setText(_hint(plan, protocol.insertions))
        self._fill(plan)
        pairs = () if plan is None else needle_pairs(plan)
        self._apart.setText("\n".join(pair.words() for pair in pairs))
        self._apart.setVisible(bool(pairs))
        self._coverage.setText("")
        if plan is not None and isinstance(plan.instrument, Ablation):
            self._measure(plan)

    def _fill(self, plan: Plan | None) -> None:
        for line in self._lines:
            self._rows.removeWidget(line)
            line.hide()
            line.setParent(None)
            line.deleteLater()
        self._lines = []
        paths = () if plan is None else plan.paths
        for number, path in enumerate(paths):
            words = f"{number + 1}   {path.length_mm:.0f} mm"
            remove = button(
                f"remove_needle_{number + 1}",
                "Remove",
                lambda n=number: self._remove(n),  # type: ignore[misc]
                kind="small",
            )
            remove.setEnabled(len(paths) > 1)
            remove.setAccessibleName(f"Remove needle {number + 1}")
            self._lines.append(_line(words, remove))
            self._rows.addWidget(self._lines[-1])

    def _remove(self, index: int) -> None:
        approving = self._desk.session.approving
        self._desk.attempt(lambda: approving.remove_needle(index), f"Needle {index + 1} removed")
        self.follow()

    def _measure(self, plan: Plan) -> None:
        labels, protocol = self._desk.session.case.labels, self._desk.session.planning.protocol

        def work(_: Progress) -> _Measured:
            aim = aim_of(plan, labels, protocol)
            covered = None if aim.target is None else coverage_of(plan, aim.target)
            return _Measured(plan, aim, covered)

        self._desk.worker.submit("Covering the target", work, self._take, quiet=True)

    def _take(self, found: _Measured) -> None:
        coverage = found.coverage
        if found.plan is self._desk.session.planning.plan:
            self._coverage.setText(coverage_words(coverage, found.aim))
            mood = "" if coverage is None else ("good" if coverage.complete else "warn")
            set_mood(self._coverage, mood)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was covered, of which plan."""

    plan: Plan
    aim: Aim
    coverage: Coverage | None


class NeedlesLayer:
    """Every further needle of the plan as a dashed line in the slices."""

    def __init__(self, plan: Callable[[], Plan | None]) -> None:
        self._plan = plan

    def paint(self, painter: QPainter, view: SliceView) -> None:
        plan = self._plan()
        paths = () if plan is None else plan.paths
        if len(paths) < 2:
            return
        pen = QPen(theme.colour(theme.PLAN, 0.7), 1.6, Qt.PenStyle.DashLine)
        for path in paths:
            entry, tip = view.to_view(path.entry_ct_mm), view.to_view(path.target_ct_mm)
            ends = np.array([entry, tip])
            if ends[:, 2].min() > NEAR_MM or ends[:, 2].max() < -NEAR_MM:
                continue
            painter.setPen(pen)
            painter.drawLine(QPointF(entry[0], entry[1]), QPointF(tip[0], tip[1]))
            painter.setBrush(theme.colour(theme.PLAN, 0.7))
            painter.drawEllipse(QPointF(tip[0], tip[1]), 3.0, 3.0)


def coverage_words(coverage: Coverage | None, aim: Aim) -> str:
    """'97 % of the target covered; least margin −1.3 mm, at least 5 mm wanted'."""
    if coverage is None:
        return f"{as_sentence(aim.words)}: outline a target to see what the zones cover of it"
    least = f"{coverage.least_margin_mm:.1f}".replace("-", "−")
    covered = np.floor(100.0 * coverage.covered)
    return (
        f"{covered:.0f} % of the target covered; least margin {least} mm, "
        f"at least {coverage.wanted_margin_mm:g} mm wanted"
    )


def _hint(plan: Plan | None, insertions: int) -> str:
    if plan is None:
        return f"Approve the first of up to {insertions} paths"
    if not isinstance(plan.instrument, Ablation):
        return "Choose an ablation device above: then further needles can be added"
    if len(plan.paths) < insertions:
        return "Place the next needle's target, propose, then add it at the foot"
    return ""


def _line(words: str, remove: QPushButton) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    text = QLabel(words)
    text.setProperty("kind", "value")
    row.addWidget(text, 1)
    row.addWidget(remove)
    return line
