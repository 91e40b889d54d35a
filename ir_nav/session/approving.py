"""Which path guidance follows: the approved draft, further needles, plans from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ir_nav.geometry import FloatArray, read_only
from ir_nav.planning import Plan, PlannedPath, load_plan, require_same_ct, save_plan
from ir_nav.planning.instruments import Instrument
from ir_nav.planning.needles import with_needle, without_needle
from ir_nav.recording import EventKind
from ir_nav.session.approval import UncheckedError, require_kept, require_plan_kept, unchecked
from ir_nav.session.case import Case, PlanDraft
from ir_nav.session.drafting import Drafting
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal


class Approving:
    """Holds what is drawn against its protocol before guidance follows it. case: that of now."""

    def __init__(self, journal: Journal, case: Callable[[], Case], planning: Drafting) -> None:
        self._journal, self._case, self._planning = journal, case, planning

    def approve(self, name: str = "", *, confirmed: bool = False) -> Plan:
        """Make the draft the plan that guidance follows.

        SessionError names each hard limit that is not kept; UncheckedError says what could not be
        checked. confirmed: the user has checked that, which the log keeps.
        """
        plan = self._plan_of(self._approved_path(confirmed), name)
        self._planning.follow(plan)
        return plan

    def add_needle(self, *, confirmed: bool = False) -> Plan:
        """Approve the draft as a further ablation needle of the plan; refuses as `approve`."""
        plan, protocol = self._require_plan(), self._planning.protocol
        if len(plan.paths) >= protocol.insertions:
            raise SessionError(f"{protocol.name} places {protocol.insertions} needles at most")
        path = self._approved_path(confirmed)
        widened = with_needle(plan, path, protocol.needle_spacing_mm)
        self._require_plan_kept(widened)
        self._planning.follow(widened)
        return widened

    def remove_needle(self, index: int) -> None:
        """Take a needle out of an ablation, counted from 0."""
        self._planning.follow(without_needle(self._require_plan(), index))

    def use_instrument(self, instrument: Instrument) -> None:
        """Plan the approved path for another instrument; SessionError when its shaft, fired or
        at its deepest, breaks a hard limit."""
        plan = self._require_plan().for_instrument(instrument)
        self._require_plan_kept(plan)
        self._planning.follow(plan)

    def save(self, path: Path) -> None:
        """Write the plan to a file; SessionError without one."""
        save_plan(self._require_plan(), path)

    def load(self, path: Path) -> None:
        """Read a plan of this CT and follow it.

        PlanError when it belongs to another CT or is malformed; SessionError when a point lies
        outside the CT, the protocol does not allow its length, or it breaks a hard limit as far
        as distances are known.
        """
        plan, case = load_plan(path), self._case()
        require_same_ct(plan, case.require_volume().identity)
        case.require_inside(plan.target_ct_mm, "target")
        case.require_inside(plan.entry_ct_mm, "entry")
        self._require_length(plan.path)
        self._require_plan_kept(plan)
        draft = PlanDraft(plan.aim_ct_mm, read_only(plan.entry_ct_mm), plan.structure)
        self._planning.follow(plan, draft)

    def _approved_path(self, confirmed: bool) -> PlannedPath:
        """The drafted path, once nothing speaks against it."""
        self._case().require_volume()
        protocol, ground = self._planning.protocol, self._planning.ground
        path, found = self._planning.draft.path, self._planning.findings
        if path is None or found is None:
            raise SessionError("place the target and the entry first")
        self._require_length(path)
        require_kept(found.limits or (), protocol)
        missed = unchecked(found, ground, protocol)
        if missed and not confirmed:
            raise UncheckedError(missed)
        if missed:
            words = f"path approved without a check of: {', '.join(missed)}"
            self._journal.note(EventKind.NOTE, words, unchecked=list(missed))
        return path

    def _plan_of(self, path: PlannedPath, name: str) -> Plan:
        structure = self._planning.draft.structure
        return Plan(
            name=name or structure or "Path",
            ct_identity=self._case().require_volume().identity,
            entry_ct_mm=_point(path.entry_ct_mm),
            target_ct_mm=_point(path.target_ct_mm),
            structure=structure,
            protocol=self._planning.protocol.name,
        )

    def _require_plan(self) -> Plan:
        if self._planning.plan is None:
            raise SessionError("approve a path first")
        return self._planning.plan

    def _require_plan_kept(self, plan: Plan) -> None:
        """As far as distances are known."""
        if self._planning.ground is not None:
            require_plan_kept(self._planning.ground, self._planning.protocol, plan)

    def _require_length(self, path: PlannedPath) -> None:
        protocol = self._planning.protocol
        low, high = protocol.min_length_mm, protocol.max_length_mm
        if not low <= path.length_mm <= high:
            raise SessionError(
                f"the path is {path.length_mm:.0f} mm long; {protocol.name} allows "
                f"{low:g} to {high:g} mm: move the entry"
            )


def _point(point_mm: FloatArray) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 3) for value in point_mm)
    return x, y, z
