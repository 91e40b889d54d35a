"""The registrations accepted on this CT: which is in use, going back, checking, expiring."""

from __future__ import annotations

from datetime import datetime

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.guided_card import sentence
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.notice import Mood
from ir_nav.registration.manual import difference_at
from ir_nav.session.accepted import Accepted

CHECK_WORDS = "Hold the stylus still on a fiducial: too far from its place, and all expires."

LIST_PX = 96


class CheckCard(Card):
    """One landmark touched again, and a word when the reference was moved."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Still true?")
        self._desk = desk
        self.add(label(CHECK_WORDS))
        self.add_row(
            button("check_registration", "Check a fiducial", self.check, kind="small"),
            button("reference_moved", "Reference was moved", self.moved, kind="small"),
        )

    def check(self) -> None:
        """Hold the registration against the fiducial that the stylus is on."""
        registering = self._desk.session.registering
        found: list[float] = []
        if not self._desk.attempt(lambda: found.append(registering.check())):
            return
        if registering.registration is None:
            self._desk.banner.say(f"Registration expired: {registering.expired}", Mood.ERROR)
        else:
            words = f"The fiducial lies {mm_words(found[0])} from its place: the registration holds"
            self._desk.banner.say(words, Mood.DONE)

    def moved(self) -> None:
        """The reference was moved: nothing measured before it holds."""
        self._desk.attempt(
            self._desk.session.registering.reference_moved,
            "What was registered has expired: touch the fiducials again",
        )


class RegistrationsCard(Card):
    """Every accepted registration, the newest first."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Accepted, with the error at the target")
        self._desk = desk
        self._list = QListWidget()
        self._list.setObjectName("registrations")
        self._list.setAccessibleName("Accepted registrations")
        self._list.setMinimumHeight(LIST_PX)
        self._list.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self._list.setStyleSheet(f"QListWidget {{ font-size: {theme.NOTE}px; }}")
        self._list.setWordWrap(True)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setToolTip("Double click, or Enter: use it")
        self._list.itemActivated.connect(lambda _: self.go_back())
        self._none = label("None was accepted yet.", "quiet")
        self._back = button("registration_back", "Use this one", self.go_back, kind="small")
        self._undo = button("registration_undo", "The one before", self.undo, kind="small")
        self.add(self._none)
        self.column.addWidget(self._list, 1)
        self.add_row(self._back, self._undo)

    def go_back(self) -> None:
        """Use the chosen registration again."""
        registering = self._desk.session.registering
        row = self._list.currentRow()
        if row < 0:
            self._desk.banner.say("Choose a registration in the list first", Mood.REFUSED)
            return
        index = len(registering.history) - 1 - row
        # It was accepted before, and the list says with which error.
        taken = self._desk.attempt(lambda: registering.go_back(index, confirmed=True))
        tre_mm = registering.accepted_tre_mm
        if taken and tre_mm is not None:
            words = f"In use again: {mm_words(tre_mm)} predicted at the target"
            self._desk.banner.say(words, Mood.DONE)

    def undo(self) -> None:
        """Use the registration before the one in use."""
        registering = self._desk.session.registering
        self._desk.attempt(registering.undo_registration, "The registration before is in use")

    def follow(self) -> None:
        """Draw the history."""
        registering = self._desk.session.registering
        entries, used = registering.history, registering.in_use_index
        words = [
            entry_words(entry, index == used) + self._apart_words(entry)
            for index, entry in reversed(list(enumerate(entries)))
        ]
        shown = [self._text(row) for row in range(self._list.count())]
        if words != shown:
            chosen = self._list.currentRow()
            self._list.clear()
            for text in words:
                item = QListWidgetItem(text)
                tone = theme.GOOD if text.startswith("✓") else theme.TEXT_2
                item.setForeground(theme.colour(tone))
                self._list.addItem(item)
            if len(words) == len(shown):
                self._list.setCurrentRow(chosen)
        for made in (self._back, self._undo):
            made.setEnabled(bool(entries))
        self._none.setVisible(not entries)
        self._list.setVisible(bool(entries))

    def _apart_words(self, entry: Accepted) -> str:
        """How far it lies from the one in use, at the target."""
        used, plan = self._desk.session.registering.registration, self._desk.session.planning.plan
        if used is None or plan is None or entry.registration is used:
            return ""
        off_mm, deg = difference_at(entry.registration, used, plan.target_ct_mm)
        return f"\n{off_mm:.1f} mm, {deg:.1f}° from the one in use"

    def _text(self, row: int) -> str:
        item = self._list.item(row)
        return "" if item is None else item.text()


def entry_words(entry: Accepted, in_use: bool) -> str:
    """'✓ 14:02 landmarks, 1.2 mm'; why it has expired on a line of its own."""
    at = datetime.fromtimestamp(entry.accepted_s).strftime("%H:%M")
    words = f"{at} {entry.registration.method}, {mm_words(entry.tre_mm)}"
    if in_use:
        return f"✓ {words}"
    return f"✕ {words}\n{sentence(entry.expired)}" if entry.expired else words
