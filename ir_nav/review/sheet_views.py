"""The four pictures of a plan sheet: slices of the CT with what is planned drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import cv2
import numpy as np

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging import (
    ByteImage,
    LabelMap,
    Plane,
    StandardView,
    Volume,
    contours,
    orientation_letters,
    plane_through,
    reslice_labels,
    reslice_window,
)
from ir_nav.planning.ablation import zones_of
from ir_nav.planning.drainage import centreline
from ir_nav.planning.instruments import Ablation, Biopsy, Coaxial, Drainage
from ir_nav.planning.notch import sample_of
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.patient_words import along_axes, along_words
from ir_nav.planning.plan import Plan
from ir_nav.planning.target_mask import TargetMask

# What lies nearer to the slice than this is drawn as lying in it.
IN_SLICE_MM = 4.0
OUTSIDE_MM = 40.0
LEAST_FIELD_MM, MOST_FIELD_MM = 200.0, 460.0
# The axial slice shows the whole body: which side it is must be seen.
AXIAL_FIELD_MM = 380.0
STEPS = 160


class Mark(StrEnum):
    """What a line of a picture stands for."""

    PATH = "path in this slice"
    BESIDE = "path beside it"
    OUTSIDE = "needle outside"
    NOTCH = "sample"
    LOOP = "loop"
    ZONE = "zone"
    TARGET = "target structure"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A line drawn on a picture. points_px: (n, 2) column, row."""

    mark: Mark
    points_px: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SheetView:
    """One picture. image: (rows, columns) uint8. letters: left, right, top, bottom edge.
    entries_px, targets_px: (n, 2), one for each needle. aim_px: (2,)."""

    title: str
    image: ByteImage
    mm_per_px: float
    letters: tuple[str, str, str, str]
    traces: tuple[Trace, ...]
    entries_px: FloatArray
    targets_px: FloatArray
    aim_px: FloatArray


@dataclass(frozen=True, slots=True)
class Window:
    """Grey levels: CT numbers from level - width/2 to level + width/2."""

    width_hu: float = 400.0
    level_hu: float = 40.0


STANDARD = Window()


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """What every picture shows. size_px: (columns, rows)."""

    volume: Volume
    plan: Plan
    target: TargetMask | None
    size_px: tuple[int, int]
    window: Window


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A plane through what is aimed at. least_mm: narrowest width of the picture."""

    title: str
    right_ct: FloatArray
    down_ct: FloatArray
    least_mm: float = LEAST_FIELD_MM


def sheet_views(
    volume: Volume,
    plan: Plan,
    target: TargetMask | None,
    size_px: tuple[int, int],
    window: Window,
) -> tuple[SheetView, ...]:
    """Axial, along the path, coronal and sagittal. size_px: (columns, rows) of each."""
    subject = _Subject(volume, plan, target, size_px, window)
    along = _Cut("Along the path, in plane", *along_axes(plan.path.direction_ct))
    cuts = (
        _standard(plan, StandardView.AXIAL, 2, AXIAL_FIELD_MM),
        along,
        _standard(plan, StandardView.CORONAL, 1),
        _standard(plan, StandardView.SAGITTAL, 0),
    )
    return tuple(_view(subject, cut) for cut in cuts)


def _standard(plan: Plan, view: StandardView, axis: int, least_mm: float = LEAST_FIELD_MM) -> _Cut:
    place = along_words(axis, float(plan.aim_ct_mm[axis]))
    title = f"{view.value.capitalize()} at the aim, {place} mm"
    return _Cut(title, view.right_ct, view.down_ct, least_mm)


def _view(subject: _Subject, cut: _Cut) -> SheetView:
    plan, size_px, right, down = subject.plan, subject.size_px, cut.right_ct, cut.down_ct
    field_mm, middle = _field(subject, cut)
    mm_per_px = field_mm / size_px[0]
    plane = plane_through(middle, right, down, mm_per_px, size_px)
    window = subject.window
    image = reslice_window(
        subject.volume, plane.ct_from_view, size_px, window.width_hu, window.level_hu
    )
    traces = [] if subject.target is None else _outline(subject.target, plane, size_px)
    for path in plan.paths:
        traces += _path_traces(path, plane)
    traces += [Trace(mark, _px(points, plane)) for mark, points in _lines(plan)]
    traces += _zone_traces(plan, plane)
    left, right_letter, top, bottom = map(orientation_letters, (-right, right, -down, down))
    return SheetView(
        cut.title,
        image,
        mm_per_px,
        (left, right_letter, top, bottom),
        tuple(traces),
        _px(np.array([path.entry_ct_mm for path in plan.paths]), plane),
        _px(np.array([path.target_ct_mm for path in plan.paths]), plane),
        _px(plan.aim_ct_mm[None], plane)[0],
    )


def _field(subject: _Subject, cut: _Cut) -> tuple[float, FloatArray]:
    """Width of the picture in mm and its middle (3,): all needles seen, on the CT."""
    volume, plan = subject.volume, subject.plan
    shape = subject.size_px[1] / subject.size_px[0]
    ends = np.array([end for path in plan.paths for end in (path.entry_ct_mm, path.target_ct_mm)])
    target = plan.aim_ct_mm
    ends = np.vstack([ends, target])
    across = np.stack([(ends - target) @ cut.right_ct, (ends - target) @ cut.down_ct])
    low, high = across.min(axis=1), across.max(axis=1)
    span_mm = max(float(high[0] - low[0]), float(high[1] - low[1]) / shape)
    field_mm = float(np.clip(1.7 * span_mm, cut.least_mm, MOST_FIELD_MM))
    offsets = (low + high) / 2.0
    size_mm = np.diff(volume.bounds_mm, axis=0)[0]
    for index, (axis, extent_mm) in enumerate(
        ((cut.right_ct, field_mm), (cut.down_ct, field_mm * shape))
    ):
        # As far as the CT is larger than the picture, the picture lies on the CT.
        reach_mm = float(np.abs(axis) @ size_mm) / 2.0
        centre = float((volume.centre_ct_mm - target) @ axis)
        spare = max(0.0, reach_mm - extent_mm / 2.0)
        offsets[index] = np.clip(offsets[index], centre - spare, centre + spare)
    middle = target + offsets[0] * cut.right_ct + offsets[1] * cut.down_ct
    return field_mm, np.asarray(middle)


def _lines(plan: Plan) -> list[tuple[Mark, FloatArray]]:
    """What the instrument adds to the path, as lines in `ct`, mm."""
    instrument = plan.instrument
    if isinstance(instrument, Biopsy | Coaxial):
        sample = sample_of(plan.path, instrument)
        if sample is not None:
            return [(Mark.NOTCH, np.stack([sample.near_ct_mm, sample.far_ct_mm]))]
    if isinstance(instrument, Drainage):
        catheter = instrument.catheter
        turn_mm = np.pi * (catheter.loop_mm - catheter.outer_diameter_mm)
        arcs = np.linspace(0.0, turn_mm, STEPS)
        return [(Mark.LOOP, centreline(plan.path, catheter, roll, arcs)) for roll in (0.0, 90.0)]
    return []


def _zone_traces(plan: Plan, plane: Plane) -> list[Trace]:
    """The outline of each zone as seen square to the slice."""
    if not isinstance(plan.instrument, Ablation):
        return []
    traces = []
    for zone in zones_of(plan.paths, plan.instrument):
        seen = _px(zone.surface(step_mm=1.5), plane).astype(np.float32)
        hull = cv2.convexHull(seen).reshape(-1, 2).astype(np.float64)
        traces.append(Trace(Mark.ZONE, np.vstack([hull, hull[:1]])))
    return traces


def _path_traces(path: PlannedPath, plane: Plane) -> list[Trace]:
    """The path from entry to target, split where it leaves the slice, and the needle outside."""
    steps = np.linspace(0.0, 1.0, STEPS)[:, None]
    points = path.entry_ct_mm + steps * (path.target_ct_mm - path.entry_ct_mm)
    seen = apply(plane.view_from_ct, points)
    within = np.abs(seen[:, 2]) <= IN_SLICE_MM
    edges = [0, *(np.flatnonzero(np.diff(within)) + 1).tolist(), STEPS]
    traces = []
    for first, last in pairwise(edges):
        mark = Mark.PATH if within[first] else Mark.BESIDE
        traces.append(Trace(mark, seen[first : min(last + 1, STEPS), :2]))
    hub = path.entry_ct_mm - path.direction_ct * OUTSIDE_MM
    traces.append(Trace(Mark.OUTSIDE, _px(np.stack([hub, path.entry_ct_mm]), plane)))
    return traces


def _outline(target: TargetMask, plane: Plane, size_px: tuple[int, int]) -> list[Trace]:
    labels = LabelMap(target.voxels.astype(np.uint8), target.ct_from_voxel, {})
    cut = reslice_labels(labels, plane.ct_from_view, size_px)
    return [Trace(Mark.TARGET, np.vstack([line, line[:1]])) for line in contours(cut, [1])]


def _px(points_ct_mm: FloatArray, plane: Plane) -> FloatArray:
    return np.asarray(apply(plane.view_from_ct, points_ct_mm)[:, :2])
