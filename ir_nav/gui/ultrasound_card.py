"""The CT registered to an ultrasound sweep: swept, worked out, looked at, accepted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtWidgets import QWidget

from ir_nav.geometry import FloatArray, rotation_from_vector
from ir_nav.gui.desk import Desk
from ir_nav.gui.fit_card import Offer
from ir_nav.gui.forms import Card, button, label, set_kind, set_mood
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.live_fusion import Fused, LiveFusion
from ir_nav.gui.notice import Mood
from ir_nav.gui.slice_view import SliceView
from ir_nav.progress import Progress
from ir_nav.registration.ultrasound.bone_alignment import BoneRegistration
from ir_nav.registration.ultrasound.register_sweep import UltrasoundRegistration
from ir_nav.session.gathered_sweep import GatheredSweep
from ir_nav.session.state import UltrasoundState
from ir_nav.session.sweep_outcome import SweepBy, SweepOutcome
from ir_nav.session.sweep_registering import LEAST_FRAMES, plane_start

TURN_DEG = 15.0
# Part of the CT in the picture of both.
LOOKS = {"Both": 0.5, "Ultrasound": 0.0, "CT": 1.0}
LOCK_HOW = (
    "No registration to start from. Scroll and drag a CT slice, and turn it, until it lies on the "
    "live image in the picture of both; then lock the plane and hold the probe as it is."
)
BONE_TIP = (
    "Lay the surfaces of bone in the images on the CT's bone, where little else is in view: over "
    "ribs, spine or iliac crest"
)
SWEEP_HOW = "Sweep slowly over the organ, at rest after breathing out, from two windows or more."


class UltrasoundCard(Card):
    """Its slow work runs on the worker; guidance changes only by Accept, which is the page's
    (`offer`). view: the live image and the CT in its plane, for the page to place.

    plane(): the slice of the page that the user moved last, which a plane is locked from.
    """

    def __init__(self, desk: Desk, plane: Callable[[], SliceView]) -> None:
        super().__init__("Ultrasound sweep")
        self.view = LiveFusion()
        self.view.movable, self.view.pivot_name = False, "target"
        self.view.setToolTip("")
        self._desk, self._plane = desk, plane
        self._step = desk.session.sweeping
        self._image: UltrasoundState | None = None
        self._working = False
        self._turn_deg, self._mirrored = 0.0, False
        self._result = label("", "title", name="sweep_result")
        self._detail = label("", "note", name="sweep_detail")
        self.add(self._result, self._detail)
        self._lock = button("lock_plane", "Lock plane", self.lock)
        self._aim = self._row(
            button("turn_plane_left", "↺ 15°", lambda: self._turn(-TURN_DEG), kind="small"),
            button("turn_plane_right", "↻ 15°", lambda: self._turn(TURN_DEG), kind="small"),
            button("mirror_plane", "Mirror", self._mirror, kind="small", checkable=True),
        )
        self.add(self._lock)
        self._go = button("start_sweep", "Start sweep", self.go)
        self._register = button("register_sweep", "Register", self.register)
        self.add_row(self._go, self._register)
        self._discard = button("discard_sweep", "Discard", self.discard, kind="small")
        self._before = button(
            "sweep_before", "Before", self._show, kind="small", checkable=True,
            tip="The CT where the search started, in the picture of both",
        )  # fmt: skip
        self._look = button(
            "sweep_look", "Both", self._next_look, kind="small",
            tip="What the picture shows: both, the ultrasound or the CT",
        )  # fmt: skip
        self._bone = button(
            "sweep_bone", "Bone", self.reconsider, kind="small", checkable=True, tip=BONE_TIP
        )
        self.add_row(self._bone, self._look, self._before, self._discard)
        self.offer = Offer(
            lambda: None if self._step.outcome is None else self._step.outcome.registration,
            lambda confirmed: self._step.accept(confirmed=confirmed),
            lambda: "",
            "Sweep, register, then look at the picture of both.",
            "sweep again",
            "Look again",
        )

    def go(self) -> None:
        """Start the sweep, or stop it."""
        if self._step.sweeping:
            self._desk.attempt(self._step.stop)
        else:
            self._before.setChecked(False)
            self._desk.attempt(self._step.start)

    def register(self) -> None:
        """Work the sweep out on the worker."""
        if self._working:
            self._desk.banner.say("The sweep is being worked out already", Mood.REFUSED)
            return
        self._desk.attempt(self._submit)

    def discard(self) -> None:
        """Drop the sweep and its result; a search under way is cancelled."""
        if self._working:
            self._desk.worker.cancel()
        self._before.setChecked(False)
        self._step.discard()

    def reconsider(self) -> None:
        """Drop what was found; the same sweep can be registered the other way."""
        self._before.setChecked(False)
        self._step.reconsider()

    def lock(self) -> None:
        """Say that the live image shows the slice at hand, or take that back."""
        if self._step.locked is not None:
            self._step.unlock()
            return
        self._desk.attempt(
            lambda: self._step.lock_plane(self._image, *self._aimed()),
            "Plane locked: start to sweep",
        )

    def follow(self) -> None:
        """Draw where it stands."""
        step = self._step
        sweep, outcome = step.sweep, step.outcome
        aiming = self._needs_start() and sweep is None
        self._aim.setVisible(aiming and step.locked is None)
        self._lock.setVisible(aiming)
        self._lock.setText("Lock plane" if step.locked is None else "Unlock plane")
        self._go.setText(
            "Stop" if step.sweeping else "Start sweep" if sweep is None else "Sweep anew"
        )
        for one in (self._go, self._lock):
            one.setAccessibleName(one.text())
        self._go.setEnabled(not self._working)
        enough = sweep is not None and len(sweep.frames) >= LEAST_FRAMES
        self._register.setEnabled(not self._working and outcome is None)
        self._bone.setEnabled(not self._working)
        set_kind(self._go, "primary" if sweep is None and not aiming else "")
        set_kind(self._lock, "primary" if aiming and step.locked is None else "")
        set_kind(self._register, "primary" if enough and outcome is None else "")
        self._discard.setEnabled(sweep is not None)
        self._before.setEnabled(outcome is not None)
        self._say(sweep, outcome)
        self._show()

    def state(self) -> str:
        """Where it stands, in a word or two."""
        sweep, outcome = self._step.sweep, self._step.outcome
        if self._working:
            return "…"
        if outcome is not None:
            return "found" if outcome.registration.accepted else "refused"
        return "" if sweep is None else f"{len(sweep.frames)} fr."

    def show_image(self, image: UltrasoundState | None) -> None:
        """Take the newest image, and draw it with the CT in its plane; at each tick."""
        self._image = image
        self._show()

    def _show(self) -> None:
        image, volume = self._image, self._desk.session.case.volume
        pose = None if image is None else self._shown_pose(image)
        if image is None or volume is None or pose is None:
            if image is not None:
                self.view.why_empty = f"The image has no place: {image.reason}"
            self.view.show_fused(None)
            return
        self.view.set_title("Ultrasound and CT", self._title())
        self.view.show_fused(Fused(image, pose, volume, self._target()))

    def _next_look(self) -> None:
        """Both, then the ultrasound alone, then the CT alone."""
        names = list(LOOKS)
        name = names[(names.index(self._look.text()) + 1) % len(names)]
        self._look.setText(name)
        self._look.setAccessibleName(name)
        self.view.part = LOOKS[name]
        self.view.update()

    def _title(self) -> str:
        """What the picture of both shows."""
        if self._step.outcome is not None:
            return "before the sweep" if self._before.isChecked() else "as the sweep found it"
        if self._desk.session.registering.registration is not None:
            return "as registered"
        return "plane locked" if self._step.locked is not None else "plane not locked yet"

    def _shown_pose(self, image: UltrasoundState) -> FloatArray | None:
        outcome, used = self._step.outcome, self._desk.session.registering.registration
        if outcome is not None:
            if self._before.isChecked():
                return outcome.start
            return outcome.registration.ct_from_reference.matrix
        if used is not None:
            return used.ct_from_reference.matrix
        if self._step.locked is not None:
            return self._step.locked
        if image.reference_from_image is None:
            return None
        return plane_start(image, *self._aimed())

    def _submit(self) -> None:
        by = SweepBy.BONE if self._bone.isChecked() else SweepBy.IMAGE
        work, sweep = self._step.solution(by), self._step.sweep
        self._working = True

        def run(progress: Progress) -> SweepOutcome:
            try:
                return work(progress)
            finally:
                self._working = False

        def done(outcome: SweepOutcome) -> None:
            # Discarded while it was worked out: then it is not wanted any more.
            if self._step.sweep is sweep:
                self._step.conclude(outcome)

        self._desk.worker.submit("Registering the sweep", run, done)

    def _say(self, sweep: GatheredSweep | None, outcome: SweepOutcome | None) -> None:
        mood = ""
        if outcome is not None:
            head, words, mood = self._outcome_words(outcome)
        elif self._working:
            head, words = "Working it out", "The CT is searched for the place that fits all frames."
        elif sweep is not None:
            head = f"{len(sweep.frames)} frames, {_windows(sweep.windows)}"
            words = SWEEP_HOW if not sweep.stopped else "Register, or sweep anew."
            if sweep.left_out:
                reason, count = sweep.left_out[0]
                words += f" {count} left out, most often: {reason}."
        elif self._needs_start() and self._step.locked is None:
            head, words = "Lock a plane, or touch landmarks", LOCK_HOW
        else:
            head, words = "No sweep yet", SWEEP_HOW
        self._result.setText(head)
        set_mood(self._result, mood)
        self._detail.setText(words)

    def _outcome_words(self, outcome: SweepOutcome) -> tuple[str, str, str]:
        found, registration = outcome.found, outcome.registration
        numbers = (
            f"Target moved by {mm_words(outcome.moved_mm)}, confidence "
            f"{100.0 * registration.confidence:.0f} %, {_fit_words(found)}, "
            f"{outcome.frames} frames, {_windows(outcome.windows)}, {registration.seconds:.1f} s."
        )
        if not registration.accepted:
            return "Refused", numbers, "bad"
        return "Found: accept, or discard", numbers, ""

    def _target(self) -> FloatArray | None:
        plan = self._desk.session.planning.plan
        return None if plan is None else np.asarray(plan.target_ct_mm, dtype=np.float64)

    def _needs_start(self) -> bool:
        return self._desk.session.registering.registration is None

    def _aimed(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Middle, right and down of the slice at hand, turned and mirrored as asked."""
        view = self._plane()
        right, down, normal = view.axes_ct
        turn = rotation_from_vector(np.radians(self._turn_deg) * normal)
        right = -right if self._mirrored else right
        return view.centre_ct_mm, turn @ right, turn @ down

    def _turn(self, by_deg: float) -> None:
        self._turn_deg = (self._turn_deg + by_deg) % 360.0

    def _mirror(self) -> None:
        self._mirrored = not self._mirrored

    def _row(self, *widgets: QWidget) -> QWidget:
        """Widgets side by side that are shown and hidden together."""
        row = Card()
        row.column.setContentsMargins(0, 0, 0, 0)
        row.setObjectName("")
        row.add_row(*widgets)
        self.add(row)
        return row


def _fit_words(found: UltrasoundRegistration | BoneRegistration) -> str:
    if isinstance(found, BoneRegistration):
        return f"{found.kept} of {found.points} bone points, scatter {mm_words(found.sigma_mm)}"
    return f"similarity {found.similarity:.2f}"


def _windows(count: int) -> str:
    return f"{count} window" if count == 1 else f"{count} windows"
