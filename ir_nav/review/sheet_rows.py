"""What the tables of a plan sheet say, row by row."""

from __future__ import annotations

import re

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.imaging import Volume
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.instrument_words import instrument_title
from ir_nav.planning.instruments import Ablation, Zone
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.patient_words import (
    axial_words,
    craniocaudal_words,
    gantry_words,
    place_words,
)
from ir_nav.planning.plan import Plan, content_hash

Rows = list[list[str]]
COVERAGE = ("Target covered", "Least margin (A0)")
# As plan_findings and instrument_findings mark what belongs to one of several needles.
NEEDLE = re.compile(r"(?:^Needle |, needle )(\d+)\b")


def aim_rows(plan: Plan) -> Rows:
    """What matters most, in one line under its headings."""
    path = plan.path
    return [
        ["Instrument", "Length", "In the axial plane", "Across it"],
        [
            instrument_title(plan.instrument),
            f"{path.length_mm:.0f} mm from entry to tip",
            axial_words(path.direction_ct) or "Along the body",
            craniocaudal_words(_axial_angle_deg(path)),
        ],
    ]


def needle_rows(plan: Plan) -> Rows:
    """Every needle in one line: what to set at the skin, and its zone."""
    instrument = plan.instrument
    zones = _zones(instrument) if isinstance(instrument, Ablation) else ()
    rows = [["Needle", "Length", "In the axial plane", "Across it", "Skin mark", "Zone"]]
    for number, path in enumerate(plan.paths, start=1):
        zone = zones[number - 1] if zones else None
        rows.append(
            [
                f"{number}",
                f"{path.length_mm:.0f} mm",
                axial_words(path.direction_ct) or "Along the body",
                craniocaudal_words(_axial_angle_deg(path)),
                place_words(path.entry_ct_mm),
                "" if zone is None else f"{zone.length_mm:g} x {zone.width_mm:g} mm",
            ]
        )
    return rows


def coverage_line(plan: Plan, found: tuple[PlanFinding, ...]) -> str:
    """What the zones cover, with the verdict and what their sizes were measured in; '' where that
    was not measured."""
    told = [one for one in found if one.name in COVERAGE]
    instrument = plan.instrument
    if not told or not isinstance(instrument, Ablation):
        return ""
    words = "; ".join(f"{one.name}: {value_words(one)}, {verdict(one)}" for one in told)
    sources = dict.fromkeys(zone.source for zone in _zones(instrument) if zone.source)
    return f"{words}. Sizes of the zones: {'; '.join(sources) or 'no source named'}"


def grouped(found: tuple[PlanFinding, ...]) -> list[tuple[str, tuple[PlanFinding, ...]]]:
    """Findings of the whole plan, then those of each needle; in each what is not kept first."""
    groups: dict[int, list[PlanFinding]] = {}
    for one in found:
        match = NEEDLE.search(one.name)
        groups.setdefault(int(match.group(1)) if match else 0, []).append(one)
    several = len(groups) > 1
    return [
        (
            "" if not several else (f"Needle {number}" if number else "All needles"),
            tuple(sorted(groups[number], key=lambda one: (one.passes, not one.hard))),
        )
        for number in sorted(groups)
    ]


def value_words(one: PlanFinding) -> str:
    """'7.2 mm', '35°', '92 %': no more digits than can be read off."""
    if one.unit == "°":
        return f"{one.value:.0f}°"
    if one.unit in {"", "%"}:
        return f"{one.value:.0f} {one.unit}".rstrip()
    return f"{one.value:.1f} {one.unit}"


def verdict(one: PlanFinding) -> str:
    """Whether a limit is kept, in words that stand alone."""
    if one.limit is None:
        return "for information" if one.passes else "attend to this"
    if one.passes:
        return "kept"
    return "NOT KEPT: hard limit" if one.hard else "wish not met"


def _zones(instrument: Ablation) -> tuple[Zone, ...]:
    return (instrument.zone, *(one.zone for one in instrument.further))


def _axial_angle_deg(path: PlannedPath) -> float:
    """Out of the axial plane, positive for a hub at the head."""
    return float(np.degrees(np.arcsin(np.clip(-path.direction_ct[2], -1.0, 1.0))))


def place_rows(plan: Plan, volume: Volume) -> Rows:
    """Entry and resting tip of every needle, and the aim where it is another point."""
    rows = [["Point", "In the patient", "LPS mm (x, y, z)", "CT slice, from the first"]]
    paths = plan.paths
    for number, path in enumerate(paths, start=1):
        name = f" {number}" if len(paths) > 1 else ""
        for words, point in (("Entry", path.entry_ct_mm), ("Tip rests", path.target_ct_mm)):
            rows.append(_place_row(volume, words + name, point))
    aim = plan.aim_ct_mm
    if float(np.linalg.norm(aim - paths[0].target_ct_mm)) > 0.05:
        rows.append(_place_row(volume, "Aim", aim))
    return rows


def _place_row(volume: Volume, name: str, point_ct_mm: FloatArray) -> list[str]:
    place = ", ".join(f"{value:.1f}" for value in point_ct_mm)
    return [name, place_words(point_ct_mm), place, _slice_words(volume, point_ct_mm)]


def _slice_words(volume: Volume, point_ct_mm: FloatArray) -> str:
    index = volume.voxel_from_ct @ np.append(point_ct_mm, 1.0)
    count = volume.size_ijk[2]
    number = round(float(index[2])) + 1
    if not 1 <= number <= count:
        return "outside the CT"
    return f"{number} of {count}"


def table_rows(path: PlannedPath, carm: str = "") -> Rows:
    """How to set patient, table and gantry; and the C-arm, where its views are given."""
    across, up, along = path.target_ct_mm - path.entry_ct_mm
    return [
        ["Step", "Setting"],
        ["Mark the skin", f"at {place_words(path.entry_ct_mm)}, from the CT's origin"],
        [
            "From entry to tip",
            f"{abs(across):.0f} mm to the {'left' if across > 0 else 'right'}, "
            f"{abs(up):.0f} mm to the {'back' if up > 0 else 'front'}, "
            f"{abs(along):.0f} mm to the {'head' if along > 0 else 'feet'}",
        ],
        ["Gantry", gantry_words(path.direction_ct)],
        *([["C-arm", carm]] if carm else []),
    ]


def record_rows(plan: Plan, aimed_at: str = "") -> list[tuple[str, str]]:
    """Where the plan comes from, and what proves which one it is."""
    return [
        ("Plan", plan.name),
        ("Target structure", aimed_at or plan.structure or "not named"),
        ("Protocol", plan.protocol or "not named"),
        ("Author", plan.author or "not named"),
        ("Made", plan.created.astimezone().strftime("%Y-%m-%d %H:%M %Z")),
        ("Software", plan.software),
        ("CT", plan.ct_identity),
        ("Plan's content hash", content_hash(plan)),
    ]


def two(first: str, second: str, rows: list[tuple[str, str]]) -> Rows:
    """Rows of two cells under their headings."""
    return [[first, second], *([name, value] for name, value in rows)]
