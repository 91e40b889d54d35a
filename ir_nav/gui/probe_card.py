"""The probe: a calibration sweep over the phantom, a validation sweep, and what came of them."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtGui import QDoubleValidator
from PyQt6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import button, label
from ir_nav.gui.guided_card import GuidedCard, age_words, sentence
from ir_nav.gui.notice import Mood
from ir_nav.gui.probe_view import ProbeView
from ir_nav.gui.slow_search import SlowSearch
from ir_nav.session.calibration_exchange import load_step, save_step
from ir_nav.session.probe_sweep import ProbeSweep, SweepStage
from ir_nav.session.session import Session
from ir_nav.tracking.calibration.nwire import MIN_FRAMES, MIN_TRAVEL_MM
from ir_nav.tracking.calibration.probe_result import MAX_MEAN_MM, ProbeCalibration

# More than the gates ask for: the error settles by then.
ENOUGH_FRAMES = 10 * MIN_FRAMES
ENOUGH_TRAVEL_MM = 2.0 * MIN_TRAVEL_MM
SCALE_PX = 96
LEAST_PX = 480
HOW = {
    SweepStage.CALIBRATION: "Calibration sweep: slide and tilt the probe over the wires",
    SweepStage.VALIDATION: "Validation sweep: the same again, as differently as you can",
}


class ProbeCard(GuidedCard):
    """Frames are searched on the worker while the probe is swept."""

    def __init__(self, desk: Desk) -> None:
        self._view = ProbeView("probe calibration picture")
        super().__init__(desk, "probe", self._view)
        scanner = desk.session.scanner
        self._step, self._phantom = scanner.probe, scanner.phantom
        self._search = SlowSearch(desk, self._step, lambda: self._step.sweep, self._concluded, self)
        self._scale = QLineEdit()
        self._scale.setObjectName("probe_scale")
        self._scale.setAccessibleName("Scale of the image, mm per pixel")
        self._scale.setToolTip(
            "Nominal, within 15 %; empty: as the phantom's file or the room says"
        )
        self._scale.setValidator(QDoubleValidator(0.005, 2.0, 5, self))
        self._scale.setFixedWidth(SCALE_PX)
        self._scale.editingFinished.connect(lambda: self._typed())
        self._go = button("start_probe", "Start sweep", self.go_on)
        above = QWidget()
        row = QHBoxLayout(above)
        row.setContentsMargins(0, 0, 0, 0)
        self._wanted = label("", name="probe_wanted")
        row.addWidget(self._wanted, 1)
        row.addWidget(label("mm per px"), 0)
        row.addWidget(self._scale, 0)
        self._above = above
        self.build(self._go, above=above)

    def go_on(self) -> None:
        """The next of: start the sweep, begin the validation, finish."""
        sweep = self._step.sweep
        if sweep is None:
            if self._typed():
                self.desk.attempt(self._step.start)
        elif sweep.stage is SweepStage.CALIBRATION:
            self.desk.attempt(self._step.validate)
        else:
            self.desk.attempt(self._step.finish)

    def cancel(self) -> None:
        self._step.cancel()

    def undo(self) -> None:
        self.desk.attempt(self._step.undo, "The probe has its calibration from before")

    def load(self, path: Path) -> None:
        session = self.session
        self.desk.attempt(
            lambda: load_step(
                path, self._step, session.connection.room, self._step.at_hand.clock()
            ),
            f"The probe has the calibration of {path.name}",
        )

    def save(self, path: Path) -> None:
        self.desk.attempt(lambda: save_step(path, self._step), f"Saved {path.name}")

    def summary(self) -> str:
        step, sweep = self._step, self._step.sweep
        if sweep is not None:
            return "sweeping" if sweep.stage is SweepStage.CALIBRATION else "validating"
        if step.in_use.expired:
            return "expired"
        if step.refused is not None:
            return "refused"
        if step.in_use.result is not None:
            return f"✓ {shown_error_mm(step.in_use.result):.2f} mm"
        room = self.session.connection.room
        known = room is not None and room.ultrasound is not None and room.ultrasound.calibrated
        return "room file" if known else "to do"

    def show_calibration(self, now_s: float) -> None:
        step, sweep, found = self._step, self._step.sweep, self._step.in_use
        self.show_running(sweep is not None)
        # What came of it goes before its picture and what it was made with, where room is short.
        measured = step.refused is not None or found.result is not None
        cramped = sweep is None and measured and self.height() < LEAST_PX
        self._above.setVisible(sweep is None and not cramped)
        self.picture.setVisible(not cramped)
        self._go.setText(_next_words(sweep))
        self._go.setAccessibleName(self._go.text())
        self._go.setEnabled(sweep is None or not sweep.finished)
        self.undo_button.setEnabled(found.before is not None)
        self.save_button.setEnabled(found.result is not None and found.file is None)
        if sweep is not None:
            self.say_age("", expired=False)
            self._show_sweep(sweep)
            return
        self._show_wanted()
        left_s = found.expires_in_s(now_s)
        self.say_age(age_words(found.made_s, left_s, now_s, found.file), expired=found.expired)
        self._view.show_outcome(step.outcome)
        if step.refused is not None:
            kept = "The one before stays in use." if found.result is not None else ""
            words = f"Refused: {step.refused.reason}. {kept}"
            self.say("Refused", words, "bad")
        elif found.expired:
            self.say("Expired", "Sweep again, load another, or undo", "bad")
        elif found.result is not None:
            words = f"✓ Accepted. {statistics(found.result)}"
            head = f"{shown_error_mm(found.result):.2f} mm"
            self.say(f"{head} {shown_error_name(found.result)}", words, "good")
        else:
            self.say(*self._unmeasured())

    def _unmeasured(self) -> tuple[str, str]:
        missing = self._phantom.missing()
        todo = HOW[SweepStage.CALIBRATION] if missing is None else f"{sentence(missing)} first"
        room = self.session.connection.room
        known = room is not None and room.ultrasound is not None and room.ultrasound.calibrated
        return ("As in the room file" if known else "Not calibrated"), todo

    def _show_wanted(self) -> None:
        phantom = self._phantom.placed
        self._wanted.setText("No phantom yet" if phantom is None else f"Phantom {phantom.name}")
        scale = self._step.mm_per_px
        self._scale.setPlaceholderText("" if scale is None else f"{scale:.4f}")

    def _show_sweep(self, sweep: ProbeSweep) -> None:
        found, refused = sweep.counts(sweep.stage)
        coverage = sweep.coverage()
        self._view.show_coverage(coverage, _frame_size(self.session))
        words = [f"Wires in {found} frames, refused {refused}"]
        reasons = sweep.refusals(sweep.stage)
        if reasons:
            words[0] += f", most often: {reasons[0][0]} ({reasons[0][1]})"
        if sweep.overrun:
            words.append(f"{sweep.overrun} frames dropped: this computer cannot keep up")
        if sweep.finished:
            self.say("Working it out", f"{sweep.left} frames are still being searched")
        else:
            self.say(f"{found} frames", f"{HOW[sweep.stage]}. {'. '.join(words)}")
        part = min(found / ENOUGH_FRAMES, coverage.travel_mm / ENOUGH_TRAVEL_MM, 1.0)
        self.bar.setValue(round(100 * part))

    def _concluded(self, accepted: bool) -> None:
        if accepted:
            self.desk.banner.say("The probe is calibrated", Mood.DONE)

    def _typed(self) -> bool:
        """Take the scale that is typed in; whether it can be one."""
        text = self._scale.text()
        return self.desk.attempt(lambda: self._step.state_scale(text), keep_banner=True)


def shown_error_mm(result: ProbeCalibration) -> float:
    """The figure that is shown large: of the validation, where there is one."""
    error = result.validation_error or result.calibration_error
    return float("nan") if error is None else error.mean_best_95


def shown_error_name(result: ProbeCalibration) -> str:
    """What that figure is."""
    return "validation" if result.validation_error is not None else "calibration"


def statistics(result: ProbeCalibration) -> str:
    """Every statistic by its name, validation first."""
    parts = []
    for name, error in (
        ("Validation", result.validation_error),
        ("Calibration", result.calibration_error),
    ):
        if error is not None:
            parts.append(
                f"{name}: best 95 % mean {error.mean_best_95:.2f}, all mean {error.mean:.2f}, "
                f"RMS {error.rms:.2f}, largest {error.max:.2f} mm"
            )
    parts.append(f"{result.used} frames, limit {MAX_MEAN_MM:g} mm")
    return "\n".join(parts)


def _next_words(sweep: ProbeSweep | None) -> str:
    if sweep is None:
        return "Start sweep"
    return "Validate" if sweep.stage is SweepStage.CALIBRATION else "Finish"


def _frame_size(session: Session) -> tuple[int, int]:
    """(columns, rows) of the newest image; (1, 1) before the first."""
    frames = (
        ()
        if session.connection.streams is None
        else session.connection.streams.ultrasound.newest_first()
    )
    if not frames:
        return 1, 1
    rows, columns = frames[0].pixels.shape[:2]
    return columns, rows
