"""How far the shown needle tip may be off, from what is known now."""

from __future__ import annotations

import numpy as np

from devices.contract import PoseSample
from ir_nav.geometry import FloatArray
from ir_nav.guidance import ErrorBudget
from ir_nav.session.inputs import Inputs
from ir_nav.session.state import BreathingState, Role, TipState
from ir_nav.session.streams import Streams
from ir_nav.tracking import scatter_mm

SCATTER_S = 0.6
# The liver travels up to about three times as far as a reference on the skin.
DEEP_OVER_SKIN = 3.0


def error_budget(
    inputs: Inputs,
    streams: Streams,
    tip: TipState | None,
    breathing: BreathingState | None,
    now_s: float,
) -> ErrorBudget | None:
    """How far the tip may lie from where it is drawn; None without tip, registration or pivot."""
    registration, pivot = inputs.registration, inputs.needle.pivot
    if tip is None or registration is None or pivot is None:
        return None
    needle = streams.poses[Role.NEEDLE].since(now_s - SCATTER_S)
    reference = streams.poses[Role.REFERENCE].since(now_s - SCATTER_S)
    needle_from_tip = inputs.needle.tool_from_tip
    tips = _tips_reference(
        needle, reference, pivot.tip_mm if needle_from_tip is None else needle_from_tip[:3, 3]
    )
    held = breathing is None or not breathing.breathes
    return ErrorBudget(
        registration_mm=registration.tre_mm(tip.tip_ct_mm),
        calibration_mm=pivot.tip_error_mm,
        tracker_mm=scatter_mm(tips),
        delay_mm=_speed_mm_s(needle) * max(0.0, now_s - tip.measured_s),
        breathing_mm=0.0 if held or breathing is None else DEEP_OVER_SKIN * abs(breathing.phase_mm),
    )


def _tips_reference(
    needle: tuple[PoseSample, ...], reference: tuple[PoseSample, ...], tip_needle_mm: FloatArray
) -> FloatArray:
    """Tip (n, 3) in `reference`, mm, at the instants at which both bodies were measured."""
    bodies = {sample.source_s: sample.matrix for sample in reference if sample.matrix is not None}
    pairs = [
        (sample.matrix, bodies[sample.source_s])
        for sample in needle
        if sample.matrix is not None and sample.source_s in bodies
    ]
    if not pairs:
        return np.zeros((0, 3))
    needles = np.array([pair[0] for pair in pairs])
    references = np.array([pair[1] for pair in pairs])
    tips = needles[:, :3, :3] @ tip_needle_mm + needles[:, :3, 3] - references[:, :3, 3]
    return np.asarray(np.einsum("nji,nj->ni", references[:, :3, :3], tips))


def _speed_mm_s(samples: tuple[PoseSample, ...]) -> float:
    """Speed between the means of the older and the newer half of the samples."""
    seen = [(s.source_s, s.matrix[:3, 3]) for s in samples if s.matrix is not None]
    half = len(seen) // 2
    if half < 3:
        return 0.0
    older_s = float(np.mean([time_s for time_s, _ in seen[:half]]))
    newer_s = float(np.mean([time_s for time_s, _ in seen[half:]]))
    older = np.mean([position for _, position in seen[:half]], axis=0)
    newer = np.mean([position for _, position in seen[half:]], axis=0)
    return float(np.linalg.norm(newer - older) / max(newer_s - older_s, 1e-3))
