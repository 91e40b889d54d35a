"""Writes what happens in a session to the needle log, when one is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from ir_nav.guidance import BreathingModel
from ir_nav.imaging import Volume
from ir_nav.planning import Plan, Protocol
from ir_nav.recording import Event, EventKind, NeedleLog, Shown
from ir_nav.registration import Registration
from ir_nav.session.collection import Collection, ToolCalibration
from ir_nav.session.state import NavigationState, Role
from ir_nav.session.streams import Streams

QUALITY_EVERY_S = 5.0


def default_log_path() -> Path:
    """A new file in the user's data folder, named by the time."""
    started = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return user_data_path("ir-nav") / "logs" / f"{started}.irlog"


class Journal:
    """The log of one session, or nothing while none is open. Any thread may note."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.log: NeedleLog | None = None
        self._was_valid: bool | None = None
        self._quality_s = float("-inf")

    def start(self, path: Path) -> NeedleLog:
        """Open a new log, closing the one before."""
        self.close()
        self.log = NeedleLog(path, self._clock)
        return self.log

    def close(self) -> None:
        if self.log is not None:
            self.log.close()
            self.log = None

    def note(self, kind: EventKind, text: str, **data: Any) -> None:
        if self.log is not None:
            self.log.event(Event(self._clock(), kind, text, data))

    def ct_opened(self, volume: Volume) -> None:
        self.note(EventKind.CASE, "CT opened", ct_identity=volume.identity)

    def plan(self, plan: Plan | None) -> None:
        """None: the approval was taken back."""
        if plan is None:
            self.note(EventKind.NOTE, "approval of the path taken back")
        else:
            self.note(EventKind.PLAN, plan.name, **plan.model_dump(mode="json"))

    def protocol(self, protocol: Protocol) -> None:
        self.note(EventKind.NOTE, f"protocol: {protocol.name}")

    def device_changed(self, name: str, connected: bool, words: str) -> None:
        self.note(EventKind.DEVICE, f"{name} {words}", device=name, connected=connected)

    def calibration(self, collection: Collection, calibration: ToolCalibration) -> None:
        data = _numbers(collection.role, calibration) | {"poses": collection.count}
        text = f"{collection.kind} of the {collection.role}: {calibration.missing() or 'accepted'}"
        self.note(EventKind.CALIBRATION, text, **data)

    def calibration_undone(self, role: Role, before: ToolCalibration) -> None:
        """The numbers are those of the calibration that is in use again."""
        text = f"{role} calibration undone: {before.missing() or 'the one before is in use'}"
        self.note(EventKind.CALIBRATION, text, **_numbers(role, before))

    def calibration_loaded(self, role: Role, loaded: ToolCalibration) -> None:
        text = f"pivot of the {role} loaded from {loaded.file}: {loaded.missing() or 'accepted'}"
        self.note(EventKind.CALIBRATION, text, **_numbers(role, loaded))

    def calibration_expired(self, role: Role, calibration: ToolCalibration) -> None:
        text = f"{role} {calibration.missing()}"
        self.note(EventKind.CALIBRATION, text, expired=str(role), made_s=calibration.made_s)

    def quality(self, streams: Streams, now_s: float) -> None:
        """Note how well every stream of the room comes in."""
        if self.log is None:
            return
        self._quality_s = now_s
        reports = streams.quality(now_s)
        data = {
            report.stream: asdict(report.quality)
            | {"device": report.device, "status_unknown": report.unknown}
            | {"stamps": None if report.stamps is None else asdict(report.stamps)}
            for report in reports
        }
        text = ", ".join(f"{report.name} {report.quality.rate_hz:.1f} Hz" for report in reports)
        self.note(EventKind.QUALITY, text, streams=data)

    def watch_quality(self, streams: Streams | None, now_s: float) -> None:
        """Note it when it is time again; called at each tick."""
        if streams is not None and abs(now_s - self._quality_s) >= QUALITY_EVERY_S:
            self.quality(streams, now_s)

    def breathing(self, model: BreathingModel) -> None:
        words = f"amplitude {model.amplitude_mm:.1f} mm, gate {model.gate_mm:.1f} mm"
        if not model.breathes:
            words = "the reference does not move"
        self.note(
            EventKind.BREATHING,
            words,
            amplitude_mm=model.amplitude_mm,
            gate_mm=model.gate_mm,
            observed_s=model.observed_s,
        )

    def registration(self, found: Registration, tre_mm: float, how: str = "accepted") -> None:
        self.note(
            EventKind.REGISTRATION,
            f"{how}, {tre_mm:.1f} mm predicted at the target",
            method=str(found.method),
            fre_mm=found.residual_rms_mm,
            tre_predicted_mm=tre_mm,
            residuals_mm=[one.value for one in found.residuals if one.unit == "mm"],
            names=[one.name for one in found.residuals if one.unit == "mm"],
            ct_from_reference=found.ct_from_reference.matrix.tolist(),
            covariance=found.covariance.tolist(),
            about_ct_mm=found.about_ct_mm.tolist(),
            confidence=found.confidence,
            inputs=list(found.inputs),
        )

    def no_fit(self, reason: str) -> None:
        self.note(EventKind.REGISTRATION, f"no fit: {reason}")

    def shown(self, state: NavigationState) -> None:
        """Log one state, and the change between valid and not."""
        if self.log is None:
            return
        valid = state.guidance is not None
        reason = state.refusal.reason if state.refusal else None
        if valid != self._was_valid:
            self._was_valid = valid
            self.note(EventKind.GUIDANCE, "valid" if valid else f"none: {reason}", valid=valid)
        self.log.shown(
            Shown(
                state.now_s,
                reason,
                state.tip.measured_s if state.tip else None,
                state.tip.tip_ct_mm if state.tip else None,
                state.tip.shaft_ct if state.tip else None,
                state.guidance.to_target_mm if state.guidance else None,
                state.guidance.off_path_mm if state.guidance else None,
                state.guidance.angle_deg if state.guidance else None,
                state.breathing.phase_mm if state.breathing else None,
                state.budget.radius_95_mm if state.budget else None,
            )
        )


def _numbers(role: Role, calibration: ToolCalibration) -> dict[str, Any]:
    pivot, spin = calibration.pivot, calibration.spin
    data: dict[str, Any] = {"tool": str(role)}
    if pivot is not None:
        data |= {
            "tip_mm": [float(value) for value in pivot.tip_mm],
            "rms_mm": pivot.rms_mm,
            "max_mm": pivot.max_mm,
            "span_deg": pivot.span_deg,
        }
    if spin is not None:
        data |= {"spin_rms_deg": spin.rms_deg, "shaft": [float(v) for v in spin.shaft]}
    return data
