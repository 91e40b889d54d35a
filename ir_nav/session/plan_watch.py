"""The approved plan, held against what is known of the patient now."""

from __future__ import annotations

from ir_nav.planning import Ground, Plan, Protocol
from ir_nav.recording import EventKind
from ir_nav.session.approval import require_plan_kept
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal


class PlanWatch:
    """withdrawn: why the plan may not be followed any more, or None. It was allowed when it was
    approved; structures found since, or another protocol, may forbid it, and allow it again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._judged: tuple[Plan, Ground, Protocol] | None = None
        self.withdrawn: str | None = None

    def forget(self) -> None:
        """There is no plan, or it was approved just now."""
        self._judged, self.withdrawn = None, None

    def judge(self, plan: Plan | None, ground: Ground | None, protocol: Protocol) -> None:
        """Cheap while nothing has changed. Without distances the last judgement stands."""
        if plan is None or ground is None:
            return
        now = plan, ground, protocol
        judged = self._judged
        if judged is not None and all(a is b for a, b in zip(judged, now, strict=True)):
            return
        self._judged = now
        try:
            require_plan_kept(ground, protocol, plan)
        except SessionError as error:
            self._say(str(error))
        else:
            self._say(None)

    def _say(self, reason: str | None) -> None:
        if reason == self.withdrawn:
            return
        words = "plan allowed again" if reason is None else f"plan not allowed any more: {reason}"
        self.withdrawn = reason
        self._journal.note(EventKind.NOTE, words)
