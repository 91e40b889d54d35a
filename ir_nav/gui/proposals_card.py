"""The proposed paths, to choose one, and what is found of the path at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import is_

import numpy as np
from PyQt6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.gui.worker import Progress
from ir_nav.planning import Ground, NoPathError, PlanFinding, Proposal, Proposals
from ir_nav.session.case import Case, Findings, plan_path
from ir_nav.session.drafting import Drawn

ROWS = 5
ROW_STYLE = f"text-align: left; padding-left: 12px; font-size: {theme.NOTE}px; min-height: 40px;"
MOST_FINDINGS = 24


class ProposalsCard(Card):
    """Three to five paths with what limits each; keys 1 to 5. Once paths were proposed for a
    patient, they follow the target wherever it is dragged."""

    def __init__(self, desk: Desk, choose: Callable[[int], object]) -> None:
        super().__init__()
        self.column.setSpacing(5)
        self._desk = desk
        self._rows = [
            button(
                f"proposal_{n + 1}",
                f"Path {n + 1}",
                lambda n=n: choose(n),  # type: ignore[misc]
                tip=f"Key {n + 1}",
                checkable=True,
            )
            for n in range(ROWS)
        ]
        for row in self._rows:
            row.setStyleSheet(ROW_STYLE)
            # A long name is cut: it must not widen the column.
            row.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._reason = label("", "note", name="proposals_reason")
        self._shown: Proposals | None = None
        self._asked: tuple[object, ...] = ()
        self._refusal = ""
        self._following = False
        self.add(self._reason, *self._rows)
        self._fill(None)

    def show_paths(self) -> Proposals | None:
        """Show the session's proposals, and have them follow the target; what is shown."""
        session = self._desk.session
        proposals = session.proposals
        if proposals is not self._shown:
            self._fill(proposals)
        if proposals is None:
            self._follow()
        draft = session.draft
        for n, row in enumerate(self._rows):
            paths = () if proposals is None else proposals.paths
            row.setChecked(n < len(paths) and _enters(paths[n], draft.entry_ct_mm))
        return proposals

    def _fill(self, proposals: Proposals | None) -> None:
        self._shown = proposals
        paths = () if proposals is None else proposals.paths
        for n, row in enumerate(self._rows):
            row.setVisible(n < len(paths))
            if n < len(paths):
                row.setText(path_words(n, paths[n]))
                row.setAccessibleName(row.text().replace("\n", ", "))
        if proposals is not None:
            tried = int(proposals.skin.tried.sum())
            self._reason.setText(f"{len(paths)} of {proposals.open} safe ways in, {tried} tried")
        else:
            self._reason.setText(self._refusal or "None yet: place a target and propose")

    def _follow(self) -> None:
        """Search again, quietly, when the target has moved since."""
        session = self._desk.session
        drawn, ground, case = session.planning.now, session.ground, session.case
        target, protocol = drawn.draft.target_ct_mm, drawn.protocol
        if ground is None or target is None or not session.planning.proposed_before:
            return
        # Compared one by one: an array has no truth of its own.
        asked = (target, protocol, drawn.keep_out, ground)
        same = len(self._asked) == len(asked) and all(map(is_, asked, self._asked))
        if same or self._following or self._desk.worker.busy:
            return
        self._asked, self._following = asked, True

        def search(progress: Progress) -> _Followed:
            try:
                found = plan_path(case, protocol, target, ground, progress, keep_out=drawn.keep_out)
            except NoPathError as refusal:
                return _Followed(case, drawn, ground, str(refusal))
            return _Followed(case, drawn, ground, found[1])

        self._desk.worker.submit("Following the target", search, self._take, quiet=True)

    def _take(self, followed: _Followed) -> None:
        self._following = False
        session, found = self._desk.session, followed.found
        self._refusal = found if isinstance(found, str) else ""
        if isinstance(found, Proposals) and session.case is followed.case:
            session.keep_proposals(followed.ground, found, followed.drawn)
        else:
            self._fill(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """What a quiet search was for, and what it found, or why nothing."""

    case: Case
    drawn: Drawn
    ground: Ground
    found: Proposals | str


def path_words(number: int, proposal: Proposal) -> str:
    """Two lines: '1  Safest · 70 mm' and '9.2 mm to Right rib 9 (at least 2 mm)'."""
    merits = ", ".join(proposal.best_at).capitalize() or "Another way"
    near = proposal.limiting
    limit = "nothing to avoid within 25 mm"
    if near is not None:
        limit = f"{near.value:.1f} mm to {near.structure} ({near.limit_words})"
    return f"{number + 1}  {merits} · {proposal.path.length_mm:.0f} mm\n{limit}"


def _enters(proposal: Proposal, entry_ct_mm: FloatArray | None) -> bool:
    return entry_ct_mm is not None and bool(np.allclose(proposal.path.entry_ct_mm, entry_ct_mm))


class LimitList(QWidget):
    """Every limit of the path at hand: name, value, limit, and in words whether it is kept."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(0, 1)
        self._cells = [tuple(label("", "note") for _ in range(4)) for _ in range(MOST_FINDINGS)]
        for row, cells in enumerate(self._cells):
            for column, cell in enumerate(cells):
                cell.setWordWrap(column == 0)
                grid.addWidget(cell, row, column)
        self._shown: tuple[PlanFinding, ...] | None = ()
        self.show_findings(None)

    def show_findings(self, found: Findings | None) -> None:
        """Show the limits of a path, broken hard ones first."""
        limits = None if found is None else found.limits
        if limits == self._shown:
            return
        self._shown = limits
        ordered = sorted(limits or (), key=lambda item: (item.passes, not item.hard))
        for row, cells in enumerate(self._cells):
            item = ordered[row] if row < len(ordered) else None
            _show_row(cells, item)
        self.setVisible(bool(ordered))


def _show_row(cells: tuple[QLabel, ...], item: PlanFinding | None) -> None:
    for cell in cells:
        cell.setVisible(item is not None)
    if item is None:
        return
    name, value, limit, verdict = cells
    name.setText(item.structure or item.name)
    value.setText(value_words(item))
    limit.setText(item.limit_words)
    verdict.setText(verdict_words(item))
    set_mood(verdict, "good" if item.passes else ("bad" if item.hard else "warn"))


def value_words(item: PlanFinding) -> str:
    """'7.2 mm': the value with its unit."""
    unit = item.unit if item.unit in {"°", "%", ""} else f" {item.unit}"
    digits = 1 if item.unit == "mm" else 0
    return f"{item.value:.{digits}f}{unit}".replace("-", "−")


def verdict_words(item: PlanFinding) -> str:
    """Whether a limit is kept, in a word."""
    if item.limit is None:
        return ""
    if item.passes:
        return "kept"
    return "NOT KEPT" if item.hard else "not reached"
