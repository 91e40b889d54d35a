"""What the section in sight has found, the error it predicts at the target, and accepting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.gui.landmarks_card import SUSPECT, mm_words
from ir_nav.gui.notice import Mood
from ir_nav.planning.protocol import RegistrationRules
from ir_nav.registration import LandmarkFit, Registration
from ir_nav.session.registering import Registering


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
    """The error in large figures, its verdict, and the button that takes it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Predicted at the target")
        self._desk = desk
        self.landmarks = landmarks_offer(desk.session.registering)
        self._offer = self.landmarks
        self._tre = label("—", "big", name="predicted_tre")
        self._verdict = label("", "note", name="register_verdict")
        self.add(self._tre, self._verdict)
        self._accept = button("accept_registration", "Accept", self.accept, kind="primary")
        self._confirm = button(
            "confirm_registration", "Accept all the same", self.confirm, kind="primary"
        )
        self._back = button("decline_registration", "Keep touching", self.decline)
        self.add(self._accept)
        self.add_row(self._back, self._confirm)
        self.decline()

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
            self._desk.banner.say(
                f"{tre:.1f} mm predicted at the target is more than {rules.good_tre_mm:g} mm. "
                f"Accept all the same, or {self._offer.again}?",
                Mood.REFUSED,
            )
            return
        self._desk.attempt(lambda: self._offer.accept(False), "Registration accepted")

    def confirm(self) -> None:
        """Accept a registration that wants to be confirmed."""
        self.decline()
        self._desk.attempt(lambda: self._offer.accept(True), "Registration accepted")

    def decline(self) -> None:
        """Go on without accepting."""
        self._ask(False)

    def follow(self) -> None:
        """Draw what is at hand."""
        registering = self._desk.session.registering
        tre, found = self._predicted(), self._offer.found()
        refused = found is not None and not found.accepted
        self._tre.setText("—" if tre is None else mm_words(tre))
        set_mood(self._tre, "bad" if refused else _mood(tre, registering.rules))
        words = self._words(tre, found, registering.rules)
        used = registering.registration
        if used is not None:
            same = found is None or found.ct_from_reference is used.ct_from_reference
            held = f"✓ Accepted, {used.method}." if same else f"In use: {used.method}."
            words = f"{held} {words}"
        elif registering.expired is not None:
            words = f"Registration expired: {registering.expired}. {words}"
        self._verdict.setText(words)

    def _predicted(self) -> float | None:
        """Error at the plan's target, rms mm, of what is shown."""
        found, plan = self.registration, self._desk.session.plan
        return None if found is None or plan is None else found.tre_mm(plan.target_ct_mm)

    def _words(
        self, tre_mm: float | None, found: Registration | None, rules: RegistrationRules
    ) -> str:
        if found is None:
            return "" if tre_mm is not None else self._offer.todo
        tail = self._offer.words()
        if not found.accepted:
            return f"Refused: {found.reason}. {tail}"
        if tre_mm is None:
            return f"Approve a plan to see the error at its target. {tail}"
        if tre_mm > rules.max_tre_mm:
            return f"Above {rules.max_tre_mm:g} mm: refused, {self._offer.again}. {tail}"
        if tre_mm > rules.good_tre_mm:
            return f"More than {rules.good_tre_mm:g} mm: asks for a confirmation. {tail}"
        return f"Rms error of the registration alone, patient at rest. {tail}"

    def _ask(self, asking: bool) -> None:
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
    return f"Agrees least: {name}, residual {mm_words(float(fit.residuals_mm[index]))}."
