"""What the section in sight has found, the error it predicts at the target, and accepting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_kind, set_mood
from ir_nav.gui.guided_card import sentence
from ir_nav.gui.landmarks_card import SUSPECT, mm_words
from ir_nav.planning.protocol import RegistrationRules
from ir_nav.registration import LandmarkFit, Registration
from ir_nav.session.registering import Registering

ROW_GAP = 6


@dataclass(frozen=True, slots=True)
class Offer:
    """What a section has to accept. found: the registration at hand, or None. accept: takes it;
    told whether the user has confirmed it. words: what the method says of it. todo: what to do
    while there is none. again, keep: instead of accepting a large error, as words and as the
    name of the button."""

    found: Callable[[], Registration | None]
    accept: Callable[[bool], object]
    words: Callable[[], str]
    todo: str
    again: str
    keep: str


def landmarks_offer(registering: Registering) -> Offer:
    """What was touched."""

    def found() -> Registration | None:
        fit = registering.landmarks.candidate
        return None if fit is None else fit.registration

    def words() -> str:
        fit = registering.landmarks.candidate
        return "" if fit is None else _worst_words(fit)

    return Offer(
        found,
        lambda confirmed: registering.accept(confirmed=confirmed),
        words,
        "Touch at least three fiducials to see the fit.",
        "touch the points again",
        "Keep touching",
    )


class FitCard(Card):
    """The error in large figures beside the button that takes it; its verdict, and why."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Predicted at the target, rms")
        self.column.setSpacing(ROW_GAP)
        self._desk = desk
        self.landmarks = landmarks_offer(desk.session.registering)
        self._offer = self.landmarks
        self._asking = False
        self._tre = label("—", "big", name="predicted_tre")
        self._tre.setToolTip("Of the registration alone, the patient at rest")
        self._tre.setWordWrap(False)
        self._head = label("", "title", name="register_head")
        self._verdict = label("", "note", name="register_verdict")
        self._accept = button("accept_registration", "Accept", self.accept)
        self._confirm = button(
            "confirm_registration", "Accept anyway", self.confirm, kind="primary"
        )
        self._back = button("decline_registration", "Keep touching", self.decline)
        self.add_row(self._tre, self._accept)
        self.add_row(self._back, self._confirm)
        self.add(self._head, self._verdict)
        self._ask(False)

    @property
    def registration(self) -> Registration | None:
        """What is shown: that at hand, else the one in use."""
        found = self._offer.found()
        return self._desk.session.registering.registration if found is None else found

    def show_offer(self, offer: Offer) -> None:
        """Show and accept what another section has found."""
        if offer is self._offer:
            return
        self._offer = offer
        self._back.setText(offer.keep)
        self._back.setAccessibleName(offer.keep)
        self.decline()
        self.follow()

    def accept(self) -> None:
        """Accept, or ask once more between the good error and the most."""
        found, tre = self._offer.found(), self._predicted()
        rules = self._desk.session.registering.rules
        sound = found is not None and found.accepted
        if sound and tre is not None and rules.good_tre_mm < tre <= rules.max_tre_mm:
            self._ask(True)
            self.follow()
            return
        self._desk.attempt(lambda: self._offer.accept(False), "Registration accepted")
        self.follow()

    def confirm(self) -> None:
        """Accept a registration that wants to be confirmed."""
        self._ask(False)
        self._desk.attempt(lambda: self._offer.accept(True), "Registration accepted")
        self.follow()

    def decline(self) -> None:
        """Go on without accepting."""
        self._ask(False)
        self.follow()

    def follow(self) -> None:
        """Draw what is at hand."""
        found, tre_mm = self._offer.found(), self._predicted()
        head, mood = self._heading(found, tre_mm)
        # A small error of a place that was refused would read as praise.
        known = tre_mm is not None and (found is None or found.accepted)
        self._tre.setText(mm_words(tre_mm) if known and tre_mm is not None else "—")
        set_mood(self._tre, mood if known else "")
        self._head.setText(head)
        self._head.setVisible(bool(head))
        set_mood(self._head, mood)
        words = " ".join(part for part in self._words(found, tre_mm) if part)
        self._verdict.setText(words)
        self._verdict.setVisible(bool(words))
        set_kind(self._accept, "primary" if mood in ("good", "warn") and self._is_new else "")

    @property
    def _is_new(self) -> bool:
        """Whether there is something that is sound and not in use yet."""
        found, used = self._offer.found(), self._desk.session.registering.registration
        if found is None or not found.accepted:
            return False
        return used is None or used.ct_from_reference is not found.ct_from_reference

    def _predicted(self) -> float | None:
        """Error at the plan's target, rms mm, of what is shown."""
        found, plan = self.registration, self._desk.session.planning.plan
        return None if found is None or plan is None else found.tre_mm(plan.target_ct_mm)

    def _heading(self, found: Registration | None, tre_mm: float | None) -> tuple[str, str]:
        """The verdict in a few words, and its mood."""
        registering = self._desk.session.registering
        rules, used = registering.rules, registering.registration
        if found is not None and not found.accepted:
            return "✕ Refused", "bad"
        if used is not None and not self._is_new:
            if self._desk.session.quality.warning is not None:
                return f"! {sentence(used.method)}: drifts", "warn"
            return f"✓ Accepted, {used.method}", _mood(tre_mm, rules)
        if found is None:
            return ("! Expired", "warn") if registering.expired is not None else ("", "")
        if tre_mm is None:
            return "! No plan", "warn"
        if tre_mm > rules.max_tre_mm:
            return f"✕ Above {rules.max_tre_mm:g} mm", "bad"
        if tre_mm > rules.good_tre_mm:
            if self._asking:
                return f"! {mm_words(tre_mm)}: accept it anyway?", "warn"
            return f"! Above {rules.good_tre_mm:g} mm", "warn"
        return f"✓ Within {rules.good_tre_mm:g} mm, not accepted yet", "good"

    def _words(self, found: Registration | None, tre_mm: float | None) -> tuple[str, ...]:
        """Why, what the method says, and what guidance goes by meanwhile."""
        registering = self._desk.session.registering
        used, expired = registering.registration, registering.expired
        if found is None:
            if used is not None:
                return (self._desk.session.quality.warning or "",)
            return ("" if expired is None else f"{sentence(expired)}.", self._offer.todo)
        meanwhile = f"In use: {used.method}." if used is not None and self._is_new else ""
        if used is None and expired is not None:
            meanwhile = f"The one before expired: {expired}."
        if not found.accepted:
            if used is not None:
                meanwhile = f"In use: {used.method}."
            return f"{sentence(found.reason)}.", meanwhile
        if tre_mm is None:
            return "Approve a plan to see the error at its target.", self._offer.words()
        over = tre_mm > registering.rules.good_tre_mm and self._is_new
        cure = f"{sentence(self._offer.again)}, or confirm." if over else ""
        if tre_mm > registering.rules.max_tre_mm:
            cure = f"{sentence(self._offer.again)}."
        return cure, self._offer.words(), meanwhile

    def _ask(self, asking: bool) -> None:
        self._asking = asking
        # The question has the number in it: its row gives way to the answers.
        self._tre.setVisible(not asking)
        self._accept.setVisible(not asking)
        self._confirm.setVisible(asking)
        self._back.setVisible(asking)


def _mood(tre_mm: float | None, rules: RegistrationRules) -> str:
    if tre_mm is None:
        return ""
    if tre_mm > rules.max_tre_mm:
        return "bad"
    return "good" if tre_mm <= rules.good_tre_mm else "warn"


def _worst_words(fit: LandmarkFit) -> str:
    index = fit.worst()
    name, chance = fit.names[index], float(fit.chances[index])
    if chance < SUSPECT:
        off = mm_words(float(fit.left_out_mm[index]))
        return f"{name} disagrees with the others by {off}: touch it again or leave it out."
    words = f"Agrees least: {name}, {mm_words(float(fit.residuals_mm[index]))}"
    if fit.expected_mm is None:
        return f"{words}."
    return f"{words}, expected up to {float(fit.expected_mm[index]):.1f}."
