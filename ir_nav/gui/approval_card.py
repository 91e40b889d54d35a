"""The foot of the Plan page: open and save a plan, approve a path, and the questions that come
before that."""

from __future__ import annotations

from enum import StrEnum
from operator import is_
from pathlib import Path

from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import PLANS, ask_file, ask_save
from ir_nav.gui.forms import Card, button, label, set_kind
from ir_nav.gui.notice import Mood
from ir_nav.gui.plan_ground import GroundWatch
from ir_nav.planning import Plan
from ir_nav.planning.instruments import Ablation
from ir_nav.session.approval import UncheckedError
from ir_nav.session.drafting import Drawn


class _Asked(StrEnum):
    """What the foot asks about."""

    UNCHECKED = "unchecked"
    REPLACE = "replace"


class ApprovalCard(Card):
    """One primary button: the path becomes the plan, or one more needle of it. It is taken up by
    a question while something was not checked, or while needles would be lost."""

    def __init__(self, desk: Desk, ground: GroundWatch) -> None:
        super().__init__()
        self._desk = desk
        self._ground = ground
        self._adding = False
        self._asked: _Asked | None = None
        self._asked_of: Drawn | None = None
        self._withdrawn: str | None = None
        self._shown: tuple[object, ...] = ()
        self._build()
        self._ask(None)
        self.follow()

    def _build(self) -> None:
        self._question = label("", "note", name="approval_question")
        self._differs = label("", "note", name="draft_differs")
        self._approve = button("approve_plan", "Approve path", self.approve, kind="primary")
        self._add = button("add_needle", "Add needle", self.add_needle, kind="primary")
        self._files = (
            button("load_plan", "Open", self.ask_open, tip="Open a plan of this CT: Ctrl+O"),
            button("save_plan", "Save", self.ask_save, tip="Save the approved plan: Ctrl+S"),
        )
        for made, words in zip(self._files, ("Open plan", "Save plan"), strict=True):
            made.setAccessibleName(words)
        back = button("back_to_plan", "Back to the plan", self.back_to_plan, kind="small")
        self._answers = {
            _Asked.UNCHECKED: _row(
                (button("confirm_approval", "I have checked it", self.confirm), 1),
                (button("decline_approval", "Not yet", self.decline), 1),
            ),
            _Asked.REPLACE: _row(
                (button("confirm_replacing", "Replace", self.replace), 1),
                (button("keep_plan", "Keep", self.decline, kind="primary"), 1),
            ),
        }
        self._difference = _row((self._differs, 1), (back, 0))
        self._commands = _row((self._approve, 2), *((made, 1) for made in self._files))
        self.add(self._question, self._difference, self._add, self._commands)
        self.add(*self._answers.values())

    def follow(self) -> None:
        """Offer what the draft can become; a question about another path is dropped."""
        session = self._desk.session
        self._say_withdrawn(session.plan_watch.withdrawn)
        now = session.planning.now
        if self._asked_of is not None and self._asked_of is not now:
            self._ask(None)
        shown = (now, self._withdrawn, self._asked)
        if len(self._shown) == len(shown) and all(map(is_, shown, self._shown)):
            return
        self._shown = shown
        self._offer(now)

    def _offer(self, now: Drawn) -> None:
        count, most = _needles(now.plan), now.protocol.insertions
        approved = now.is_approved and self._withdrawn is None
        ablating = now.plan is not None and isinstance(now.plan.instrument, Ablation)
        more = ablating and count < most
        self._add.setVisible(more and self._asked is None)
        self._add.setEnabled(not now.is_needle)
        _name(self._add, f"Add as needle {count + 1}")
        replacing = ablating and not approved
        _name(
            self._approve,
            "Approved ✓" if approved else "Replace plan" if replacing else "Approve path",
        )
        self._approve.setEnabled(not approved)
        set_kind(self._approve, "" if ablating else "primary")
        differs = now.plan is not None and not now.is_approved
        self._differs.setText(difference_words(now))
        self._difference.setVisible(differs and self._asked is None)

    def approve(self) -> None:
        """Make this path the plan; needles that would be lost are asked about."""
        plan = self._desk.session.planning.plan
        if plan is not None and isinstance(plan.instrument, Ablation):
            many = f"{_needles(plan)} needles" if _needles(plan) > 1 else "1 needle"
            self._ask(_Asked.REPLACE, f"Replace the plan of {many}?")
            self.follow()
        else:
            self._begin(adding=False)

    def replace(self) -> None:
        """The needles of the plan may go."""
        self._begin(adding=False)

    def add_needle(self) -> None:
        """Make this path one more needle of the plan."""
        self._begin(adding=True)

    def back_to_plan(self) -> None:
        """Draft the approved path again."""
        self._desk.attempt(self._desk.session.planning.back_to_plan)
        self.follow()

    def confirm(self) -> None:
        """The user has checked what could not be measured."""
        self._ask(None)
        self._take(confirmed=True)

    def decline(self) -> None:
        """Leave the plan as it is."""
        self._ask(None)
        self.follow()

    def ask_open(self) -> None:
        """Ask for a plan of this CT."""
        ask_file(self, "Open plan", self._desk.folder("plan"), PLANS, self.load)

    def ask_save(self) -> None:
        """Ask where to save the approved plan."""
        if self._desk.session.planning.plan is None:
            self._desk.banner.say("Approve a path first", Mood.REFUSED)
            return
        name = str(Path(self._desk.folder("plan")) / "plan.json")
        ask_save(self, "Save plan", name, PLANS, self.save_to)

    def load(self, path: Path) -> None:
        self._desk.remember_folder("plan", path)
        self._desk.attempt(lambda: self._desk.session.approving.load(path), f"Opened {path.name}")

    def save_to(self, path: Path) -> None:
        self._desk.remember_folder("plan", path)
        self._desk.attempt(lambda: self._desk.session.approving.save(path), f"Saved {path.name}")

    def _begin(self, adding: bool) -> None:
        self._adding = adding
        self._ask(None)
        session = self._desk.session
        if session.planning.ground is None and session.planning.draft.path is not None:
            self._ground.measure_then(lambda: self._take(confirmed=False))
        else:
            self._take(confirmed=False)

    def _take(self, confirmed: bool) -> None:
        session, before = self._desk.session, self._desk.session.planning.plan
        command = session.approving.add_needle if self._adding else session.approving.approve
        try:
            plan = command(confirmed=confirmed)
        except UncheckedError as error:
            self._ask(_Asked.UNCHECKED, f"Not checked: {', '.join(error.unchecked)}")
            self._desk.report(error)
        except Exception as error:  # noqa: BLE001 - the GUI's command boundary
            self._desk.report(error)
        else:
            self._desk.banner.say(_done_words(plan, before), Mood.DONE)
        self.follow()

    def _say_withdrawn(self, reason: str | None) -> None:
        if reason == self._withdrawn:
            return
        self._withdrawn = reason
        if reason is not None:
            self._desk.banner.say(
                f"The approved path is not followed any more. {reason}", Mood.REFUSED
            )

    def _ask(self, asked: _Asked | None, words: str = "") -> None:
        self._asked = asked
        self._asked_of = None if asked is None else self._desk.session.planning.now
        self._question.setText(words)
        self._question.setVisible(asked is not None)
        self._commands.setVisible(asked is None)
        for known, row in self._answers.items():
            row.setVisible(known is asked)


def difference_words(now: Drawn) -> str:
    """'Draft differs from the approved plan (82 mm)', or how else it does; '' without a plan."""
    plan, protocol = now.plan, now.plan_protocol
    if plan is None or protocol is None:
        return ""
    if now.is_needle:
        return f"The plan was approved under {protocol.name}"
    many = _needles(plan)
    what = f"{many} needles" if many > 1 else f"{plan.path.length_mm:.0f} mm"
    return f"Draft differs from the approved plan ({what})"


def back_words(plan: Plan | None) -> str:
    """What an undo has brought back: the plan that was followed before, or none."""
    if plan is None:
        return "The approval is taken back: no path is approved"
    many = f", {_needles(plan)} needles" if _needles(plan) > 1 else ""
    return f"The plan before is followed again: {plan.path.length_mm:.0f} mm{many}"


def _needles(plan: Plan | None) -> int:
    return 0 if plan is None else len(plan.paths)


def _done_words(plan: Plan, before: Plan | None) -> str:
    if _needles(plan) > 1:
        return f"{_needles(plan)} needles now"
    lost = before is not None and before.instrument.device and not plan.instrument.device
    return "This path is the plan now" + (", for no instrument yet" if lost else "")


def _name(made: QPushButton, words: str) -> None:
    if made.text() != words:
        made.setText(words)
        made.setAccessibleName(words.removesuffix(" ✓"))


def _row(*widgets: tuple[QWidget, int]) -> QWidget:
    """Side by side, each with its share of the width."""
    made = QWidget()
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(theme.GAP)
    for widget, share in widgets:
        row.addWidget(widget, share)
    return made
