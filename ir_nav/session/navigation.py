"""From buffers and settings to what the screen shows. No side effects; time is an argument."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from devices.contract import PoseSample
from ir_nav.geometry import (
    FloatArray,
    Frame,
    FrameError,
    FrameTree,
    Link,
    Transform,
    read_only,
    unit,
)
from ir_nav.guidance import BreathingModel, Guidance, guide
from ir_nav.planning import Plan
from ir_nav.session.error_budget import error_budget
from ir_nav.session.guidance_refusal import guidance_refusal
from ir_nav.session.inputs import Inputs
from ir_nav.session.live_images import fluoro_state, ultrasound_state
from ir_nav.session.state import (
    BreathingState,
    NavigationState,
    Refusal,
    Role,
    TipState,
    ToolStatus,
)
from ir_nav.session.streams import STALE_AFTER_S, Streams

PHASE_POSES = 6

Newest = Mapping[Role, PoseSample | None]

_FRAMES = {
    Role.NEEDLE: Frame.NEEDLE,
    Role.STYLUS: Frame.STYLUS,
    Role.REFERENCE: Frame.REFERENCE,
    Role.PROBE: Frame.PROBE,
    Role.CARM: Frame.CARM,
}


def navigate(inputs: Inputs, now_s: float) -> NavigationState:
    """The state at `now_s` (Unix time)."""
    room, streams = inputs.room, inputs.streams
    if room is None or streams is None:
        refusal = Refusal("no devices", "Open a room file in Set up")
        return NavigationState(
            now_s, None, (), (), None, None, refusal, None, None, None, None, None
        )
    # One look at each buffer: what is judged, drawn and timed is the same sample.
    newest = {role: buffer.latest() for role, buffer in streams.poses.items()}
    tools = tuple(streams.tool_status(role, sample, now_s) for role, sample in newest.items())
    tree = _frame_tree(inputs, newest, tools)
    breathing = _breathing(inputs.breathing, streams, now_s)
    forbidden = guidance_refusal(inputs, tools, breathing)
    tip: TipState | None = None
    guidance: Guidance | None = None
    if forbidden is None:
        try:
            tip = _tip(tree, newest[Role.NEEDLE], now_s)
            guidance = guide(_plan(inputs).path, tip.tip_ct_mm, tip.shaft_ct)
        except FrameError as error:
            tip, forbidden = None, Refusal(str(error), "Check the tracker")
    return NavigationState(
        now_s=now_s,
        source=room.source,
        devices=inputs.devices,
        tools=tools,
        tip=tip,
        guidance=guidance,
        refusal=forbidden,
        budget=error_budget(inputs, streams, tip, breathing, now_s),
        breathing=breathing,
        ultrasound=ultrasound_state(room, inputs.scanner, streams, tree, now_s),
        fluoro=fluoro_state(room, streams, tree, now_s),
        stylus_tip_ct_mm=_stylus_tip(tree, now_s),
    )


def _plan(inputs: Inputs) -> Plan:
    assert inputs.plan is not None
    return inputs.plan


def _frame_tree(inputs: Inputs, poses: Newest, tools: tuple[ToolStatus, ...]) -> FrameTree:
    """Frames that are known now; the others carry the reason for their absence."""
    tree = FrameTree()
    for status in tools:
        frame = _FRAMES[status.role]
        newest = poses[status.role]
        if newest is None or newest.matrix is None or not status.usable:
            tree = tree.without(frame, status.absence)
            continue
        pose = Transform(Frame.TRACKER, frame, newest.matrix)
        tree = tree.with_link(Link(pose, newest.received_s, STALE_AFTER_S))
    for calibration, tool, tip in (
        (inputs.needle, Frame.NEEDLE, Frame.TIP),
        (inputs.stylus, Frame.STYLUS, Frame.STYLUS_TIP),
    ):
        matrix = calibration.tool_from_tip
        if matrix is None:
            tree = tree.without(tip, f"{tool} is not calibrated")
        else:
            tree = tree.with_link(Link(Transform(tool, tip, matrix), 0.0))
    if inputs.registration is None:
        return tree.without(Frame.CT, "the CT is not registered to the patient")
    reference_from_ct = inputs.registration.ct_from_reference.inverse()
    return tree.with_link(Link(reference_from_ct, inputs.registration.created_s))


def _tip(tree: FrameTree, newest: PoseSample | None, now_s: float) -> TipState:
    ct_from_tip = tree.transform(Frame.CT, Frame.TIP, now_s)
    assert newest is not None
    return TipState(
        read_only(ct_from_tip.matrix[:3, 3]),
        read_only(unit(ct_from_tip.matrix[:3, 2])),
        newest.source_s,
        newest.received_s,
    )


def _stylus_tip(tree: FrameTree, now_s: float) -> FloatArray | None:
    try:
        ct_from_tip = tree.transform(Frame.CT, Frame.STYLUS_TIP, now_s)
    except FrameError:
        return None
    return read_only(ct_from_tip.matrix[:3, 3])


def _breathing(
    model: BreathingModel | None, streams: Streams, now_s: float
) -> BreathingState | None:
    """Phase from the mean of the last tenth of a second; None where the reference is not seen."""
    buffer = streams.poses.get(Role.REFERENCE)
    newest = buffer.latest() if buffer else None
    if model is None or buffer is None or newest is None:
        return None
    if now_s - newest.received_s > STALE_AFTER_S:
        return None
    recent = buffer.since(newest.received_s - 0.12)[-PHASE_POSES:]
    positions = [sample.matrix[:3, 3] for sample in recent if sample.matrix is not None]
    if not positions:
        return None
    phase = model.phase_mm(np.mean(positions, axis=0))
    return BreathingState(
        phase, model.amplitude_mm, model.gate_mm, model.breathes, model.inside(phase)
    )
