"""The plan under way and the one that was approved: points, protocol, skin kept free, with undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.planning import Ground, Plan, Proposals, Protocol, shipped_protocol
from ir_nav.planning.needles import aimed_paths
from ir_nav.planning.path import PlannedPath
from ir_nav.session.case import Case, Findings, PlanDraft, judge
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal
from ir_nav.session.keep_out import MOST_DABS, Dabs, kept_out

# A plan keeps whole micrometres; nobody draws finer than this.
SAME_MM = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One state of planning, as undo brings it back. plan: what guidance follows, None until a
    path is approved; plan_protocol: what it was held against then."""

    draft: PlanDraft
    protocol: Protocol
    keep_out: Dabs = ()
    plan: Plan | None = None
    plan_protocol: Protocol | None = None

    @property
    def is_needle(self) -> bool:
        """Whether the draft is one of the plan's needles."""
        path, plan = self.draft.path, self.plan
        if path is None or plan is None:
            return False
        return any(_same(path, needle) for needle in aimed_paths(plan))

    @property
    def is_approved(self) -> bool:
        """Whether it is, and was held against the protocol at hand."""
        return self.is_needle and self.plan_protocol == self.protocol


class Drafting:
    """What is planned on one CT. case: that of now. plan_changed: called when guidance follows
    another plan, or none any more."""

    def __init__(
        self, journal: Journal, case: Callable[[], Case], plan_changed: Callable[[], None]
    ) -> None:
        self._journal, self._case, self._plan_changed = journal, case, plan_changed
        self.now = Drawn(PlanDraft(), shipped_protocol())
        # How many CTs were opened: the same one may be opened again.
        self.opened = 0
        self._before: list[Drawn] = []
        self._gesture: tuple[object, Drawn] | None = None
        self._ground: Ground | None = None
        self._proposals: tuple[Proposals, Drawn] | None = None

    def begin(self) -> None:
        """Another CT: nothing is drawn, the protocol stays."""
        self.now = Drawn(PlanDraft(), self.now.protocol)
        self._before, self._gesture = [], None
        self._ground, self._proposals = None, None
        self.opened += 1

    @property
    def plan(self) -> Plan | None:
        """What guidance follows, None until a path is approved."""
        return self.now.plan

    @property
    def draft(self) -> PlanDraft:
        """The path under way."""
        return self.now.draft

    @property
    def protocol(self) -> Protocol:
        """What the path is held against."""
        return self.now.protocol

    @property
    def ground(self) -> Ground | None:
        """The patient as the protocol at hand sorts him, None until that is worked out."""
        ground = self._ground
        return ground if ground is not None and ground.serves(self.now.protocol) else None

    def forget_ground(self) -> None:
        """The structures have changed: distances are to be worked out again."""
        self._ground = None

    def take_ground(self, ground: Ground) -> None:
        self._ground = ground

    def set_target(
        self, point_ct_mm: ArrayLike, structure: str = "", *, gesture: object | None = None
    ) -> None:
        """Place the target (3,) in `ct`, mm; SessionError outside the CT.

        gesture: whatever stands for one drag; changes of the same one are one step to undo.
        """
        point = self._case().require_inside(point_ct_mm, "target")
        self._redraft(PlanDraft(point, self.draft.entry_ct_mm, structure), gesture)

    def set_entry(self, point_ct_mm: ArrayLike, *, gesture: object | None = None) -> None:
        """Place the entry (3,) in `ct`, mm; as `set_target`."""
        point, now = self._case().require_inside(point_ct_mm, "entry"), self.draft
        self._redraft(PlanDraft(now.target_ct_mm, point, now.structure), gesture)

    def set_path(self, path: PlannedPath, structure: str = "") -> None:
        """Place both ends at once, one step to undo."""
        target = self._case().require_inside(path.target_ct_mm, "target")
        entry = self._case().require_inside(path.entry_ct_mm, "entry")
        self._redraft(PlanDraft(target, entry, structure))

    def follow(self, plan: Plan, draft: PlanDraft | None = None) -> None:
        """Guide along a plan that nothing speaks against. draft: that of the plan, where it is not
        the one at hand."""
        protocol, new = self.now.protocol, self.now.draft if draft is None else draft
        self._change(replace(self.now, draft=new, plan=plan, plan_protocol=protocol))
        self._plan_changed()

    def back_to_plan(self) -> None:
        """Draft the plan's first needle, under the protocol that it was held against; SessionError
        without a plan."""
        plan, protocol = self.now.plan, self.now.plan_protocol
        if plan is None or protocol is None:
            raise SessionError("approve a path first")
        first = aimed_paths(plan)[0]
        draft, before = PlanDraft(first.target_ct_mm, first.entry_ct_mm, plan.structure), self.now
        self._change(replace(self.now, draft=draft, protocol=protocol))
        self._note_protocol(before)

    def use_protocol(self, protocol: Protocol) -> None:
        """Plan by another protocol; undo brings the one before back."""
        self._change(replace(self.now, protocol=protocol))
        self._journal.protocol(protocol)

    def paint(self, dabs: Dabs) -> None:
        """Keep more skin free, or less; SessionError when there is too much to keep."""
        whole = (*self.now.keep_out, *dabs)
        if len(whole) > MOST_DABS:
            raise SessionError("too much is painted on the skin: clear it and use a larger brush")
        self._change(replace(self.now, keep_out=whole))

    def clear_paint(self) -> None:
        if not self.now.keep_out:
            raise SessionError("no skin is kept free")
        self._change(replace(self.now, keep_out=()))

    def restore_paint(self, dabs: Dabs) -> None:
        """Take what was painted on this CT before; no change to undo."""
        self._before = [replace(one, keep_out=dabs) for one in self._before]
        self.now = replace(self.now, keep_out=dabs)

    def undo(self) -> None:
        """Take back the last change of points, protocol, skin kept free or the approved plan."""
        if not self._before:
            raise SessionError("nothing to undo")
        before, self.now = self.now, self._before.pop()
        self._note_protocol(before)
        if self.plan is not before.plan:
            self._plan_changed()

    @property
    def proposed_before(self) -> bool:
        """Whether paths were proposed for this CT: from then on they follow."""
        return self._proposals is not None

    def keep_proposals(
        self, ground: Ground, proposals: Proposals, asked: Drawn | None = None
    ) -> None:
        """Keep what was proposed; the draft stays as it is. asked: what the search was for, when
        it may have changed since."""
        self._ground, self._proposals = ground, (proposals, asked or self.now)

    @property
    def proposals(self) -> Proposals | None:
        """What was proposed; None once target, protocol or skin kept free are others."""
        target = self.now.draft.target_ct_mm
        if self._proposals is None or self.ground is None or target is None:
            return None
        proposals, asked = self._proposals
        same = asked.protocol is self.now.protocol and asked.keep_out is self.now.keep_out
        return proposals if same and np.allclose(proposals.skin.target_ct_mm, target) else None

    def choose_proposal(self, index: int) -> None:
        """Take the entry of a proposed path, counted from 0."""
        proposals = self.proposals
        if proposals is None or not 0 <= index < len(proposals.paths):
            raise SessionError(f"there is no proposed path {index + 1}: propose paths first")
        self.set_entry(proposals.paths[index].path.entry_ct_mm)

    def take_proposals(
        self, ground: Ground, proposals: Proposals, asked: Drawn | None = None
    ) -> None:
        """Keep what was proposed and take the entry of the best."""
        self.keep_proposals(ground, proposals, asked)
        self.choose_proposal(0)

    @property
    def findings(self) -> Findings | None:
        """The drafted path judged, or None until it has both ends."""
        path, ground = self.now.draft.path, self.ground
        if path is None:
            return None
        mask = None if ground is None else kept_out(self.now.keep_out, ground.skin)
        return judge(path, ground, self.now.protocol, mask)

    def _redraft(self, draft: PlanDraft, gesture: object | None = None) -> None:
        self._change(replace(self.now, draft=draft), gesture)

    def _note_protocol(self, before: Drawn) -> None:
        if self.protocol is not before.protocol:
            self._journal.protocol(self.protocol)

    def _change(self, drawn: Drawn, gesture: object | None = None) -> None:
        # Not after an undo within the drag: then it is a new step.
        if gesture is None or self._gesture != (gesture, self.now):
            self._before.append(self.now)
        self._gesture = None if gesture is None else (gesture, drawn)
        self.now = drawn


def _same(first: PlannedPath, second: PlannedPath) -> bool:
    ends = (first.entry_ct_mm, second.entry_ct_mm), (first.target_ct_mm, second.target_ct_mm)
    return all(float(np.linalg.norm(a - b)) < SAME_MM for a, b in ends)
