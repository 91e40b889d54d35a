"""From buffers and settings to what the screen shows. No side effects; time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from devices.contract import ImageSample, PoseSample
from ir_nav.geometry import (
    FloatArray,
    Frame,
    FrameError,
    FrameTree,
    Link,
    Transform,
    read_only,
    rigid_inverse,
    unit,
)
from ir_nav.guidance import BreathingModel, ErrorBudget, Guidance, guide
from ir_nav.planning import Plan
from ir_nav.registration import Registration
from ir_nav.session.collection import ToolCalibration
from ir_nav.session.room import FluoroEntry, Room, UltrasoundEntry
from ir_nav.session.scanner_use import ScannerUse
from ir_nav.session.state import (
    BreathingState,
    DeviceStatus,
    FluoroState,
    NavigationState,
    Refusal,
    Role,
    TipState,
    ToolState,
    ToolStatus,
    UltrasoundState,
)
from ir_nav.session.streams import STALE_AFTER_S, Streams
from ir_nav.tracking import scatter_mm

AS_IN_ROOM = ScannerUse()
PHASE_POSES = 6
SCATTER_S = 0.6
# The liver travels up to about three times as far as a reference on the skin.
DEEP_OVER_SKIN = 3.0

Newest = Mapping[Role, PoseSample | None]

_FRAMES = {
    Role.NEEDLE: Frame.NEEDLE,
    Role.STYLUS: Frame.STYLUS,
    Role.REFERENCE: Frame.REFERENCE,
    Role.PROBE: Frame.PROBE,
    Role.CARM: Frame.CARM,
}

_CURES = {
    ToolState.MISSING: "{name} not seen by the tracker: clear the line of sight",
    ToolState.OUT_OF_VOLUME: "Move the tracker so that the {name} lies in its volume",
    ToolState.INVALID: "The tracker rejects the {name}: check its markers",
    ToolState.STALE: "The tracker sends nothing: check its connection",
    ToolState.NEVER: "Bring the {name} into the tracker's view",
}


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Everything but the live data that a tick depends on."""

    room: Room | None
    streams: Streams | None
    devices: tuple[DeviceStatus, ...]
    plan: Plan | None
    plan_withdrawn: str | None
    needle: ToolCalibration
    stylus: ToolCalibration
    registration: Registration | None
    breathing: BreathingModel | None
    scanner: ScannerUse = AS_IN_ROOM
    # Why guidance goes by no registration any more.
    expired: str | None = None


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
    forbidden = _refusal(inputs, tools, breathing)
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
        budget=_budget(inputs, streams, tip, breathing, now_s),
        breathing=breathing,
        ultrasound=_ultrasound(room, inputs.scanner, streams, tree, now_s),
        fluoro=_fluoro(room, streams, tree, now_s),
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
            tree = tree.without(frame, absence(status))
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


def absence(status: ToolStatus) -> str:
    """A tool's state in words: "needle out of view 0.4 s"."""
    words = f"{status.name.lower()} {status.state.value}"
    if status.age_s is not None and status.state is not ToolState.NEVER:
        words += f" {status.age_s:.1f} s"
    return words


def _refusal(
    inputs: Inputs, tools: tuple[ToolStatus, ...], breathing: BreathingState | None
) -> Refusal | None:
    """The first thing that forbids guidance, gravest first."""
    by_role = {tool.role: tool for tool in tools}
    for role in (Role.NEEDLE, Role.REFERENCE):
        tool = by_role.get(role)
        if tool is None:
            return Refusal(f"no {role} in this room", f"Name the {role} in the room file")
        if not tool.usable:
            return Refusal(absence(tool), _CURES[tool.state].format(name=tool.name.lower()))
    if inputs.plan is None:
        return Refusal("no plan", "Approve a path in Plan")
    if inputs.plan_withdrawn is not None:
        return Refusal("plan not allowed any more", f"In Plan: {inputs.plan_withdrawn}")
    missing = inputs.needle.missing()
    if missing is not None:
        return Refusal("needle not calibrated", f"In Set up: {missing}")
    if inputs.registration is None:
        words = "not registered" if inputs.expired is None else f"not registered: {inputs.expired}"
        return Refusal(words, "Touch the fiducials in Register")
    if breathing is None:
        return Refusal("breathing not watched yet", "Wait while the reference is watched")
    if not breathing.inside:
        return Refusal(
            f"breathing {abs(breathing.phase_mm):.1f} mm from end-expiration",
            "Outside the gate: wait, or ask for a breath-hold after breathing out",
        )
    return None


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


def _budget(
    inputs: Inputs,
    streams: Streams,
    tip: TipState | None,
    breathing: BreathingState | None,
    now_s: float,
) -> ErrorBudget | None:
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


def _ultrasound(
    room: Room, scanner: ScannerUse, streams: Streams, tree: FrameTree, now_s: float
) -> UltrasoundState | None:
    """The newest frame whose pose is known; the newest of all, without one, when none is."""
    entry = room.ultrasound
    frames = streams.ultrasound.newest_first()
    if entry is None or not frames:
        return None
    probe = probe_from_image(entry, scanner)
    mm_per_px = float(np.linalg.norm(probe[:3, 0]))
    rate_hz = streams.ultrasound.rate_hz(now_s)
    ct_from_reference, unregistered = _registered(tree, now_s)
    if scanner.reason is not None:
        ct_from_reference, unregistered = None, scanner.reason
    elif scanner.probe_from_image is None and not entry.calibrated:
        ct_from_reference, unregistered = None, "the probe is not calibrated"
    unseen: str | None = None
    for frame in frames:
        try:
            time_s = frame.source_s + scanner.tracker_lag_s
            reference_from_image = reference_from_probe(streams, time_s) @ probe
        except FrameError as error:
            unseen = unseen or str(error)
            continue
        image_from_ct = None
        if ct_from_reference is not None:
            image_from_ct = read_only(np.linalg.inv(ct_from_reference @ reference_from_image))
        return UltrasoundState(
            frame,
            image_from_ct,
            read_only(reference_from_image),
            mm_per_px,
            unregistered,
            now_s - frame.source_s,
            rate_hz,
        )
    newest = frames[0]
    age_s = now_s - newest.source_s
    return UltrasoundState(newest, None, None, mm_per_px, unseen, age_s, rate_hz)


def _registered(tree: FrameTree, now_s: float) -> tuple[FloatArray | None, str | None]:
    """ct_from_reference (4, 4), or why there is none."""
    try:
        return tree.transform(Frame.CT, Frame.REFERENCE, now_s).matrix, None
    except FrameError as error:
        return None, str(error)


def probe_from_image(entry: UltrasoundEntry, scanner: ScannerUse = AS_IN_ROOM) -> FloatArray:
    """(4, 4): from (u px, v px, w, 1) to mm at the probe's sensor, w in mm square to the image,
    whatever scale the file gives its third column. What was measured goes before the room's."""
    measured = scanner.probe_from_image
    matrix = np.array(entry.matrix if measured is None else measured)
    matrix[:3, 2] = unit(np.cross(matrix[:3, 0], matrix[:3, 1]))
    return matrix


def reference_from_probe(streams: Streams, time_s: float) -> FloatArray:
    """(4, 4) at a time of the tracker's; the tracker stands in where the room has no reference.
    FrameError where the pose is not known."""
    if Role.PROBE not in streams.poses:
        raise FrameError("no probe in this room")
    tracker_from_probe = streams.poses[Role.PROBE].at(time_s)
    if Role.REFERENCE not in streams.poses:
        return tracker_from_probe
    tracker_from_reference = streams.poses[Role.REFERENCE].at(time_s)
    return np.asarray(rigid_inverse(tracker_from_reference) @ tracker_from_probe)


def _fluoro(room: Room, streams: Streams, tree: FrameTree, now_s: float) -> FluoroState | None:
    entry = room.fluoro
    frames = streams.fluoro.newest_first()
    if entry is None or not frames:
        return None
    reason: str | None = None
    rate_hz = streams.fluoro.rate_hz(now_s)
    for frame in frames:
        try:
            carm_from_ct = _carm_from_ct(entry, streams, tree, frame, now_s)
        except FrameError as error:
            reason = reason or str(error)
            continue
        age_s = now_s - frame.source_s
        return FluoroState(frame, entry.geometry, carm_from_ct, None, age_s, rate_hz)
    newest = frames[0]
    return FluoroState(newest, entry.geometry, None, reason, now_s - newest.source_s, rate_hz)


def _carm_from_ct(
    entry: FluoroEntry, streams: Streams, tree: FrameTree, frame: ImageSample, now_s: float
) -> Transform:
    ct_from_reference = tree.transform(Frame.CT, Frame.REFERENCE, now_s)
    tracker_from_reference = Transform(
        Frame.TRACKER, Frame.REFERENCE, streams.poses[Role.REFERENCE].at(frame.source_s)
    )
    carm_from_tracker = carm_pose(entry, streams, frame.source_s).inverse()
    return carm_from_tracker @ tracker_from_reference @ ct_from_reference.inverse()


def carm_pose(entry: FluoroEntry, streams: Streams, time_s: float) -> Transform:
    """tracker_from_carm at a time: as the C-arm reports it, else as the room file states it.

    FrameError while a C-arm that reports its pose has not.
    """
    if Role.CARM in streams.poses:
        matrix = streams.poses[Role.CARM].at(time_s)
    else:
        matrix = np.array(entry.tracker_from_carm, dtype=np.float64)
    return Transform(Frame.TRACKER, Frame.CARM, matrix)
