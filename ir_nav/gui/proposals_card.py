"""The proposed paths, to choose one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import is_

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.gui.desk import Desk, as_sentence
from ir_nav.gui.forms import Card, label
from ir_nav.gui.path_row import PathRow
from ir_nav.planning import Ground, NoPathError, Proposal, Proposals
from ir_nav.progress import Progress
from ir_nav.session.case import Case, plan_path
from ir_nav.session.drafting import Drawn

ROWS = 5


class ProposalsCard(Card):
    """Three to five paths with what limits each; keys 1 to 5. Once paths were proposed for a
    patient, they follow the target wherever it is dragged."""

    def __init__(self, desk: Desk, choose: Callable[[int], object]) -> None:
        super().__init__()
        self.column.setSpacing(5)
        self._desk = desk
        self._rows = [PathRow(n + 1, partial(choose, n)) for n in range(ROWS)]
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
        proposals = session.planning.proposals
        if proposals is not self._shown:
            self._fill(proposals)
        if proposals is None:
            self._follow()
        draft = session.planning.draft
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
                row.show_path(n + 1, paths[n])
        if proposals is not None:
            tried = int(proposals.skin.tried.sum())
            self._reason.setText(
                f"{len(paths)} of {proposals.open:,} ways that keep every hard limit"
            )
            self._reason.setToolTip(f"{tried:,} ways were tried")
        else:
            self._reason.setText(self._refusal or "None yet: place a target and propose")

    def _follow(self) -> None:
        """Search again, quietly, when the target has moved since."""
        session = self._desk.session
        drawn, ground, case = session.planning.now, session.planning.ground, session.case
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
        self._refusal = as_sentence(found) if isinstance(found, str) else ""
        if isinstance(found, Proposals) and session.case is followed.case:
            session.planning.keep_proposals(followed.ground, found, followed.drawn)
        else:
            self._fill(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """What a quiet search was for, and what it found, or why nothing."""

    case: Case
    drawn: Drawn
    ground: Ground
    found: Proposals | str


def _enters(proposal: Proposal, entry_ct_mm: FloatArray | None) -> bool:
    return entry_ct_mm is not None and bool(np.allclose(proposal.path.entry_ct_mm, entry_ct_mm))
