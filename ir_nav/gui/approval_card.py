"""The foot of the Plan page: open and save a plan, approve a path, and confirm what was not
checked."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QHBoxLayout

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import PLANS, ask_file, ask_save
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.notice import Mood
from ir_nav.gui.plan_ground import GroundWatch
from ir_nav.planning.instruments import Ablation
from ir_nav.session.approval import UncheckedError
from ir_nav.session.drafting import Drawn


class ApprovalCard(Card):
    """One primary button; it is taken up by a question while something was not checked."""

    def __init__(self, desk: Desk, ground: GroundWatch) -> None:
        super().__init__()
        self._desk = desk
        self._ground = ground
        self._adding = False
        self._asked_of: Drawn | None = None
        self._withdrawn: str | None = None
        self._question = label("", "note", name="approval_question")
        self._approve = button("approve_plan", "Approve path", self.approve, kind="primary")
        self._add = button("add_needle", "Add needle", self.add_needle)
        self._confirm = button("confirm_approval", "I have checked it", self.confirm)
        self._back = button("decline_approval", "Not yet", self.decline)
        self.add(self._question)
        self._files = (
            button("load_plan", "Open", self.ask_open, tip="Open a plan of this CT: Ctrl+O"),
            button("save_plan", "Save", self.ask_save, tip="Save the approved plan: Ctrl+S"),
        )
        for made, words in zip(self._files, ("Open plan", "Save plan"), strict=True):
            made.setAccessibleName(words)
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self._approve, 2)
        for made in self._files:
            row.addWidget(made, 1)
        self.add(self._add)
        self.column.addLayout(row)
        self.add_row(self._confirm, self._back)
        self._show_question("")
        self.follow()

    def follow(self) -> None:
        """Offer the next needle of an ablation; a question about another path is dropped."""
        session = self._desk.session
        self._say_withdrawn(session.plan_watch.withdrawn)
        if self._asked_of is not None and self._asked_of is not session.planning.now:
            self._show_question("")
        plan, most = session.plan, session.protocol.insertions
        count = 0 if plan is None else len(plan.paths)
        more = plan is not None and isinstance(plan.instrument, Ablation) and count < most
        self._add.setVisible(more and self._asked_of is None)
        words = f"Add as needle {count + 1}"
        if self._add.text() != words:
            self._add.setText(words)
            self._add.setAccessibleName(words)

    def approve(self) -> None:
        """Make this path the plan."""
        self._begin(adding=False)

    def add_needle(self) -> None:
        """Make this path one more needle of the plan."""
        self._begin(adding=True)

    def confirm(self) -> None:
        """The user has checked what could not be measured."""
        self._show_question("")
        self._take(confirmed=True)

    def decline(self) -> None:
        """Leave the path unapproved."""
        self._show_question("")

    def ask_open(self) -> None:
        """Ask for a plan of this CT."""
        ask_file(self, "Open plan", self._desk.folder("plan"), PLANS, self.load)

    def ask_save(self) -> None:
        """Ask where to save the approved plan."""
        if self._desk.session.plan is None:
            self._desk.banner.say("Approve a path first", Mood.REFUSED)
            return
        name = str(Path(self._desk.folder("plan")) / "plan.json")
        ask_save(self, "Save plan", name, PLANS, self.save_to)

    def load(self, path: Path) -> None:
        self._desk.remember_folder("plan", path)
        self._desk.attempt(lambda: self._desk.session.load_plan(path), f"Opened {path.name}")

    def save_to(self, path: Path) -> None:
        self._desk.remember_folder("plan", path)
        self._desk.attempt(lambda: self._desk.session.save_plan(path), f"Saved {path.name}")

    def _begin(self, adding: bool) -> None:
        self._adding = adding
        self._show_question("")
        session = self._desk.session
        if session.ground is None and session.draft.path is not None:
            self._ground.measure_then(lambda: self._take(confirmed=False))
        else:
            self._take(confirmed=False)

    def _take(self, confirmed: bool) -> None:
        session = self._desk.session
        command = session.add_needle if self._adding else session.approve_plan
        try:
            command(confirmed=confirmed)
        except UncheckedError as error:
            self._show_question(f"Not checked: {', '.join(error.unchecked)}")
            self._desk.report(error)
        except Exception as error:  # noqa: BLE001 - the GUI's command boundary
            self._desk.report(error)
        else:
            done = f"{len(session.plan.paths)} needles now" if self._adding and session.plan else ""
            self._desk.banner.say(done or "This path is the plan now", Mood.DONE)
        self.follow()

    def _say_withdrawn(self, reason: str | None) -> None:
        if reason == self._withdrawn:
            return
        self._withdrawn = reason
        if reason is not None:
            self._desk.banner.say(
                f"The approved path is not followed any more. {reason}", Mood.REFUSED
            )

    def _show_question(self, words: str) -> None:
        asking = bool(words)
        self._asked_of = self._desk.session.planning.now if asking else None
        self._question.setText(words)
        self._question.setVisible(asking)
        for made in (self._approve, *self._files):
            made.setVisible(not asking)
        self._confirm.setVisible(asking)
        self._back.setVisible(asking)
