"""The tracker's delay: the probe moved up and down over a flat bottom."""

from __future__ import annotations

from pathlib import Path

from ir_nav.gui.delay_view import DelayView
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import button
from ir_nav.gui.guided_card import GuidedCard, age_words
from ir_nav.gui.notice import Mood
from ir_nav.gui.slow_search import SlowSearch
from ir_nav.session.calibration_exchange import load_step, save_step
from ir_nav.session.delay_run import DelayRun
from ir_nav.session.delay_step import lag_words
from ir_nav.tracking.calibration.delay import DelayCalibration

WANTED_S = 10.0
HOW = "Move the probe up and down over a flat bottom, in water, for about 10 s"


class DelayCard(GuidedCard):
    """The bottom is searched for on the worker while the probe moves."""

    def __init__(self, desk: Desk) -> None:
        self._view = DelayView("delay calibration picture")
        super().__init__(desk, "delay", self._view)
        self._step = desk.session.scanner.delay
        self._search = SlowSearch(desk, self._step, lambda: self._step.run, self._concluded, self)
        self._go = button("start_delay", "Start", self.toggle, tip=HOW)
        self.build(self._go)

    def toggle(self) -> None:
        """Start watching, or finish when that is under way."""
        if self._step.run is None:
            self.desk.attempt(self._step.start)
        else:
            self.desk.attempt(self._step.finish)

    def cancel(self) -> None:
        self._step.cancel()

    def undo(self) -> None:
        self.desk.attempt(self._step.undo, "The delay is what it was before")

    def load(self, path: Path) -> None:
        session = self.session
        self.desk.attempt(
            lambda: load_step(
                path, self._step, session.connection.room, self._step.at_hand.clock()
            ),
            f"The delay is that of {path.name}",
        )

    def save(self, path: Path) -> None:
        self.desk.attempt(lambda: save_step(path, self._step), f"Saved {path.name}")

    def summary(self) -> str:
        step = self._step
        result = step.in_use.result
        if step.run is not None:
            return "running"
        if step.in_use.expired:
            return "expired"
        if step.refused is not None:
            return "refused"
        return "0 ms" if result is None else f"✓ {lag_ms(result)}"

    def show_calibration(self, now_s: float) -> None:
        step, run, found = self._step, self._step.run, self._step.in_use
        self.show_running(run is not None)
        self._go.setText("Start" if run is None else "Finish")
        self._go.setAccessibleName(f"{self._go.text()} delay calibration")
        self._go.setEnabled(run is None or not run.finished)
        self.undo_button.setEnabled(found.before is not None)
        self.save_button.setEnabled(found.result is not None and found.file is None)
        if run is not None:
            self.say_age("", expired=False)
            self._show_run(run, now_s)
            return
        left_s = found.expires_in_s(now_s)
        self.say_age(age_words(found.made_s, left_s, now_s, found.file), expired=found.expired)
        self._view.show_outcome(step.outcome)
        if step.refused is not None:
            kept = "The one before stays in use." if found.result is not None else ""
            self.say("Refused", f"Refused: {step.refused.reason}. {kept}", "bad")
        elif found.expired:
            self.say("Expired", "Measure it again, load another, or undo", "bad")
        elif found.result is not None:
            self.say(lag_ms(found.result), f"✓ Accepted: {statistics(found.result)}", "good")
        else:
            self.say("Not measured", f"Taken as 0 ms. {HOW}")

    def _show_run(self, run: DelayRun, now_s: float) -> None:
        self._view.show_running(run.signals())
        seen, unseen = run.counts
        if run.finished:
            self.say("Working it out", "The last images are being searched")
            return
        words = f"{HOW}. Bottom seen in {seen} images, not in {unseen}"
        if run.overrun:
            words += f", {run.overrun} dropped: this computer cannot keep up"
        elapsed_s = max(now_s - run.started_s, 0.0)
        self.say(f"{elapsed_s:.0f} s", words)
        self.bar.setValue(round(100 * min(elapsed_s / WANTED_S, 1.0)))

    def _concluded(self, accepted: bool) -> None:
        if accepted:
            self.desk.banner.say("The delay is measured", Mood.DONE)


def lag_ms(result: DelayCalibration) -> str:
    """The tracker's lag with its sign."""
    if result.tracker_lag_s is None:
        return "no delay"
    return f"{1e3 * result.tracker_lag_s:+.0f} ms".replace("-", "−")


def statistics(result: DelayCalibration) -> str:
    """Which way it goes and how well it is known, every figure with its name."""
    words = lag_words(result.tracker_lag_s, result.lag_error_s)
    if result.error_s is not None:
        words += (
            f". Single motions differ by {1e3 * result.error_s.mean:.1f} ms (mean), "
            f"{1e3 * result.error_s.rms:.1f} (RMS), {1e3 * result.error_s.max:.1f} (largest)"
        )
    return f"{words}. Correlation {result.correlation:.3f}, {result.used} images"
