"""The CT registered to fluoro views: taken, worked out, followed."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QSlider

from ir_nav.gui.desk import Desk
from ir_nav.gui.fit_card import Offer
from ir_nav.gui.fluoro_fusion import FluoroFusion, Wanted
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.notice import Mood
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.view_strip import ViewStrip
from ir_nav.imaging import Volume
from ir_nav.progress import Progress
from ir_nav.registration import Registration
from ir_nav.registration.fluoro.outcome import FluoroRegistration
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_following import Drift
from ir_nav.session.fluoro_registering import MOST_VIEWS, FluoroOutcome

STEPS = 20


class FluoroCard(Card):
    """Its slow work runs on the worker; what it finds is accepted at the page's foot."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self._fluoro = desk, desk.session.fluoro
        self.fusion = FluoroFusion(desk)
        self._working = self._looking = False
        self._prepared_for: Volume | None = None
        self._result = label("", "title", name="fluoro_result")
        self._detail = label("", "note", name="fluoro_detail")
        self._strip = ViewStrip()
        self._take = button("take_view", "Take view", self.take, kind="small", tip="Space")
        self._remove = button("remove_view", "Remove", self.remove, kind="small")
        self._register = button("register_fluoro", "Register", self.register, kind="small")
        self._discard = button("discard_fluoro", "Discard", self.discard, kind="small")
        self._follow = button(
            "follow_fluoro", "Follow", self.toggle_follow, kind="small", checkable=True,
            tip="Hold each new frame against the registration in use; guidance stays as it is",
        )  # fmt: skip
        self._strength = QSlider(Qt.Orientation.Horizontal)
        self._build()

    def _build(self) -> None:
        self.add(self._result, self._detail, self._strip)
        self.add_row(self._take, self._remove)
        self.add_row(self._register, self._discard, self._follow)
        self._strength.setObjectName("edge_strength")
        self._strength.setAccessibleName("Strength of the CT's edges")
        self._strength.setRange(0, STEPS)
        self._strength.setValue(STEPS)
        self._strength.valueChanged.connect(lambda at: self.fusion.set_strength(at / STEPS))
        self.add_named("Edges of the CT", self._strength)

    @property
    def offer(self) -> Offer:
        """What there is to accept."""

        def found() -> Registration | None:
            return None if self._fluoro.found is None else self._fluoro.found.registration

        def words() -> str:
            return "" if self._fluoro.found is None else depth_words(self._fluoro.found)

        return Offer(
            found,
            lambda confirmed: self._fluoro.accept(confirmed=confirmed),
            words,
            "Take a view and register to see the error.",
            "take another view",
            "Keep looking",
        )

    def take(self) -> None:
        """Keep the newest frame as a view."""
        self._desk.attempt(self._fluoro.take_view)

    def remove(self) -> None:
        """Drop the chosen view, or the newest."""
        chosen, newest = self._strip.chosen_index, len(self._fluoro.views) - 1
        self._desk.attempt(lambda: self._fluoro.remove(newest if chosen is None else chosen))

    def register(self) -> None:
        """Register by the views on the worker; while that runs, cancel it."""
        if self._working:
            self._desk.worker.cancel()
        else:
            self._desk.attempt(self._submit)

    def discard(self) -> None:
        """Drop the result; the views stay."""
        self._fluoro.discard()

    def toggle_follow(self) -> None:
        """Follow each new frame, or no longer."""
        wanted = self._follow.isChecked()
        if not self._desk.attempt(lambda: self._fluoro.following.turn(wanted)):
            self._follow.setChecked(False)

    def summary(self) -> str:
        """Where it stands: "busy", "found", "✕" for refused, or how many views are taken."""
        if self._working:
            return "busy"
        if self._fluoro.found is not None:
            return "found" if self._fluoro.found.registration.accepted else "✕"
        return str(len(self._fluoro.views) or "")

    def follow(self, now_s: float) -> None:
        """Draw where it stands, and feed the worker; at `now_s`, Unix time."""
        self.prepare()
        self._look_on()
        hindrance = self._fluoro.hindrance()
        self._say(hindrance)
        self._strip.follow(self._fluoro.views)
        self._take.setToolTip("Space" if hindrance is None else f"Not now: {hindrance}")
        self._take.setEnabled(hindrance is None and len(self._fluoro.views) < MOST_VIEWS)
        self._remove.setEnabled(bool(self._fluoro.views))
        words = "Cancel" if self._working else "Register"
        self._register.setText(words)
        self._register.setAccessibleName(f"{words} by the fluoro views")
        self._register.setEnabled(self._working or bool(self._fluoro.views))
        found = self._fluoro.found
        self._discard.setEnabled(found is not None)
        self._follow.setChecked(self._fluoro.following.on)
        self._show_frame(now_s)

    def _submit(self) -> None:
        work = self._fluoro.solution()
        self._working = True

        def run(progress: Progress) -> FluoroOutcome:
            try:
                return work(progress)
            finally:
                self._working = False

        self._desk.worker.submit("Registering the fluoro views", run, self._concluded)

    def _concluded(self, outcome: FluoroOutcome) -> None:
        if not self._fluoro.conclude(outcome):
            self._desk.banner.say(
                "A view was dropped while it was registered: register again", Mood.REFUSED
            )

    def prepare(self) -> None:
        """Work out once for a CT what X-rays meet."""
        volume = self._desk.session.case.volume
        prepare = None if volume is self._prepared_for else self._fluoro.preparation()
        if prepare is None:
            return
        # Once, also where it fails: the banner has said why.
        self._prepared_for = volume

        self._desk.worker.submit(
            "Preparing the CT", lambda _: prepare(), self._fluoro.keep, quiet=True
        )

    def _look_on(self) -> None:
        """Follow the newest frame when the last one is done with."""
        look = None if self._looking else self._fluoro.next_follow()
        if look is None:
            return
        self._looking = True

        def run(_: Progress) -> Drift:
            try:
                return look()
            finally:
                self._looking = False

        self._desk.worker.submit("Following", run, self._fluoro.following.take, quiet=True)

    def _say(self, hindrance: str | None) -> None:
        found, mood = self._fluoro.found, ""
        if self._working:
            head, words = "Working it out", "The CT is searched for the place that fits all views."
        elif found is not None:
            head, words, mood = outcome_words(found, self._fluoro.advice)
        elif self._fluoro.following.on:
            good_mm = self._desk.session.registering.rules.good_tre_mm
            head, words, mood = drift_words(self._fluoro.following.drift, good_mm)
        else:
            head = self._fluoro.advice
            words = "Ready for a view." if hindrance is None else f"Not now: {hindrance}."
        self._result.setText(head)
        set_mood(self._result, mood)
        self._detail.setText(words)

    def _show_frame(self, now_s: float) -> None:
        view, index = self._strip.chosen, self._strip.chosen_index
        if view is None:
            try:
                view = self._fluoro.live_view()
            except SessionError as error:
                self.fusion.show_nothing(str(error))
                return
        placed, prepared = self._fluoro.carm_from_ct(view), self._fluoro.prepared
        by = "live" if index is None else f"view {index + 1}"
        used = self._desk.session.registering.registration is not None
        how = "as found" if self._fluoro.found is not None else "as in use" if used else "as begun"
        self.fusion.set_title("Fluoro and CT", by if placed is None else f"{by}, CT {how}")
        reason = None if placed is not None else "the CT is not registered to the patient"
        attenuation = None if prepared is None else prepared.attenuations[-1]
        self.fusion.follow(Wanted(view, placed, attenuation, reason), self._planned(), now_s)

    def _planned(self) -> Overlays:
        """The path at hand; its projection has no depth, so nothing of it is left out."""
        plan = self._desk.session.planning.plan
        if plan is None:
            return Overlays()
        return Overlays(target_ct_mm=plan.path.target_ct_mm, entry_ct_mm=plan.path.entry_ct_mm)


def depth_words(found: FluoroRegistration) -> str:
    """How well it knows the place along the first view's beam, and how sure it is."""
    return (
        f"Depth ±{found.depth_95_mm:.1f} mm (95 %), confidence "
        f"{100.0 * found.registration.confidence:.0f} %."
    )


def outcome_words(found: FluoroRegistration, advice: str) -> tuple[str, str, str]:
    """Heading, details and mood of a result."""
    one = found.registration
    numbers = (
        f"{depth_words(found)} Similarity {min(found.similarities):.2f}, "
        f"{one.evaluations} evaluations, {one.seconds:.1f} s."
    )
    if not one.accepted:
        return "Refused", f"{one.reason[:1].upper()}{one.reason[1:]}. {numbers}", "bad"
    if found.second_view_wanted or len(found.similarities) == 1:
        return "Found, depth uncertain", f"{advice}. {numbers}", "warn"
    return "Found", f"{advice}. {numbers}", "good"


def drift_words(drift: Drift | None, good_mm: float) -> tuple[str, str, str]:
    """Heading, details and mood of what following saw; a drift above good_mm warns."""
    if drift is None:
        return "Following", "Waiting for a frame in the gate.", ""
    if drift.reason:
        return "Not followed", f"{drift.reason[:1].upper()}{drift.reason[1:]}.", "bad"
    return (
        f"Target drifted {mm_words(drift.across_mm)}",
        f"Across the beam of the newest frame; along it {drift.along_mm:+.1f} mm, known to "
        f"±{drift.depth_95_mm:.1f} mm. Guidance goes by the registration in use.",
        "warn" if drift.across_mm > good_mm else "good",
    )
