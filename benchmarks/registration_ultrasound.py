"""CT to a tracked ultrasound sweep beside peers, on sweeps with a known pose.

    .venv/bin/python benchmarks/registration_ultrasound.py --data ../shared/data --out FOLDER \\
        --cases 100 --seed 1 --peer-cases 5 --bone-cases 8

Resumable: every case is one line of FOLDER/cases.jsonl, and those that are there are not run
again. Prints Markdown. Patients in turn: the real CT and three torsos; half the cases breathed
8 mm; starts drawn evenly from 0 to 20 mm at the target and 0 to 10 degrees. `far` cases start
40 to 60 mm off and `other` cases have another patient's CT: they must be refused. Bone cases, so
many of each patient, sweep over ribs and spine in turn; bone and image start from the same place.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ultrasound_bone import SITES, bone_sweep, solid
from ultrasound_peers import lc2, mutual_information
from ultrasound_truth import Patient, TruthSweep, real_anatomy, start_off, torso_anatomy

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration import RegistrationError
from ir_nav.registration.ultrasound.bone_alignment import register_bone
from ir_nav.registration.ultrasound.fan import Fan, mm_per_px_of
from ir_nav.registration.ultrasound.fan_finding import find_fan
from ir_nav.registration.ultrasound.register_sweep import register_ultrasound
from ir_nav.registration.ultrasound.similarity import SweepCt, prepare_ct
from ir_nav.registration.ultrasound.sweep import TrackedSweep

TORSOS = (1, 2, 3)
BREATHING_MM = 8.0
MOST_START_MM = 20.0
KINDS = ("rest", "breathed", "rest", "breathed", "rest", "far", "rest", "breathed", "rest", "other")

BONE_KINDS = tuple(f"{site} by {by}" for site in SITES for by in ("bone", "image"))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    patient: Patient
    volume: Volume
    ct: SweepCt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=Path("../shared/data"))
    add("--cache", type=Path, default=Path.home() / ".cache" / "ir-nav")
    add("--out", type=Path, required=True)
    add("--cases", type=int, default=40)
    add("--seed", type=int, default=1)
    add("--peer-cases", type=int, default=0, help="of the cases at rest, how many peers also do")
    add("--bone-cases", type=int, default=0, help="of each patient")
    add("--patients", default="real,torso1,torso2,torso3")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "cases.jsonl"
    done = _read(path)
    names = options.patients.split(",")
    # Patient by patient: each is large.
    for name in names:
        numbers = [n for n in range(options.cases) if names[n % len(names)] == name]
        keys = {n: f"{options.seed}-{n}-{name}" for n in numbers}
        if all(key in done for key in keys.values()):
            continue
        prepared = _prepared(name, options)
        other = None
        for n in numbers:
            if keys[n] in done:
                continue
            kind = KINDS[(n // len(names)) % len(KINDS)]
            if kind == "other" and other is None:
                other = _prepared("torso1" if name == "real" else "torso5", options)
            try:
                row = _case(prepared, kind, options.seed * 1000 + n, other)
            except RegistrationError as error:  # a start that shows nothing of the CT
                print(f"{keys[n]}: refused before the search: {error}", file=sys.stderr)
                continue
            if kind == "rest" and n // len(names) < options.peer_cases:
                row["peers"] = _peers(prepared, options.seed * 1000 + n)
            done[keys[n]] = {"key": keys[n], "patient": name, "kind": kind, **row}
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(done[keys[n]]) + "\n")
            print(json.dumps(done[keys[n]]), file=sys.stderr, flush=True)
    for name in names:
        for row in _bone_rows(name, options, done):
            done[row["key"]] = row
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            print(json.dumps(row), file=sys.stderr, flush=True)
    _table(done.values())
    return 0


def _bone_rows(
    name: str, options: argparse.Namespace, done: dict[str, dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Of one patient, those that are not done: bone, then image, of each sweep."""
    keys = [f"{options.seed}-bone{n}-{name}" for n in range(options.bone_cases)]
    if all(f"{key}-image" in done for key in keys):
        return
    prepared = _prepared(name, options)
    patient = Patient(solid(prepared.patient.anatomy))
    for n, key in enumerate(keys):
        if f"{key}-image" in done:
            continue
        site, seed = SITES[n % len(SITES)], options.seed * 1000 + n
        truth = bone_sweep(patient, site, seed)
        start = start_off(truth, np.random.default_rng(seed), MOST_START_MM)
        for by in ("bone", "image"):
            row = {"key": f"{key}-{by}", "patient": name, "kind": f"{site} by {by}"}
            yield {**row, **_bone_case(prepared, truth, start, by)}


def _bone_case(prepared: Prepared, truth: TruthSweep, start: FloatArray, by: str) -> dict[str, Any]:
    sweep = TrackedSweep(truth.images, truth.reference_from_image, np.zeros(len(truth.images)))
    fan = _fan(truth)
    cpu_s = time.process_time()
    target = truth.target_ct_mm
    try:
        if by == "bone":
            one = register_bone(
                sweep, prepared.volume, fan, start, 0.0, target_ct_mm=target
            ).registration
        else:
            one = register_ultrasound(
                sweep, prepared.ct, fan, start, 0.0, target_ct_mm=target
            ).registration
    except RegistrationError as error:
        return _not_tried(truth, start, str(error))
    matrix = one.ct_from_reference.matrix
    return {
        "start_mm": truth.error_mm(start),
        "error_mm": truth.error_mm(matrix),
        "predicted_mm": one.tre_mm(target),
        "confidence": one.confidence,
        "accepted": one.accepted,
        "reason": one.reason,
        "seconds": one.seconds,
        "cpu_s": time.process_time() - cpu_s,
        "load": os.getloadavg()[0],
    }


def _not_tried(truth: TruthSweep, start: FloatArray, reason: str) -> dict[str, Any]:
    off_mm = truth.error_mm(start)
    return {
        "start_mm": off_mm, "error_mm": off_mm, "predicted_mm": 0.0, "confidence": 0.0,
        "accepted": False, "reason": reason, "seconds": 0.0, "cpu_s": 0.0,
        "load": os.getloadavg()[0],
    }  # fmt: skip


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["key"]: row for row in rows}


def _prepared(name: str, options: argparse.Namespace) -> Prepared:
    if name == "real":
        anatomy = real_anatomy(options.data)
    else:
        anatomy = torso_anatomy(options.cache, int(name.removeprefix("torso")))
    volume = Volume(
        np.array(anatomy.hu), np.array(anatomy.ct_from_voxel), f"bench:{name}", VolumeInfo()
    )
    return Prepared(Patient(anatomy), volume, prepare_ct(volume))


def _case(prepared: Prepared, kind: str, seed: int, other: Prepared | None) -> dict[str, Any]:
    truth, start = _truth_and_start(prepared, kind, seed)
    # At rest the breath is known to be that of the CT; a breathed sweep says nothing of it.
    level = None if kind == "breathed" else np.zeros(len(truth.images))
    sweep = TrackedSweep(truth.images, truth.reference_from_image, level)
    ct = other.ct if kind == "other" and other is not None else prepared.ct
    cpu_s = time.process_time()
    fan = _fan(truth)
    found = register_ultrasound(sweep, ct, fan, start, 0.0, target_ct_mm=truth.target_ct_mm)
    one = found.registration
    matrix = one.ct_from_reference.matrix
    off = apply(matrix, truth.target_reference_mm) - truth.target_ct_mm
    return {
        "start_mm": truth.error_mm(start),
        "error_mm": truth.error_mm(matrix),
        "whole_mm": truth.error_mm(found.whole_ct_from_reference),
        "liver_mm": truth.liver_error_mm(matrix),
        "off_mm": off.tolist(),
        "predicted_mm": one.tre_mm(truth.target_ct_mm),
        "chi2": float(off @ np.linalg.solve(one.covariance[:3, :3], off)),
        "similarity": found.similarity,
        "rival": found.rival,
        "shift_mm": found.local_shift_mm,
        "confidence": one.confidence,
        "accepted": one.accepted,
        "reason": one.reason,
        "seconds": one.seconds,
        "cpu_s": time.process_time() - cpu_s,
        "evaluations": one.evaluations,
        "load": os.getloadavg()[0],
    }


def _truth_and_start(prepared: Prepared, kind: str, seed: int) -> tuple[TruthSweep, FloatArray]:
    breathing_mm = BREATHING_MM if kind == "breathed" else 0.0
    truth = prepared.patient.sweep(seed, breathing_mm=breathing_mm)
    rng = np.random.default_rng(seed)
    start = start_off(truth, rng, MOST_START_MM)
    if kind == "far":
        away = rng.normal(size=3)
        start = start.copy()
        start[:3, 3] += away / np.linalg.norm(away) * rng.uniform(40.0, 60.0)
    return truth, start


def _fan(truth: TruthSweep) -> Fan:
    return find_fan(list(truth.images), mm_per_px_of(truth.reference_from_image[0]))


def _peers(prepared: Prepared, seed: int) -> dict[str, Any]:
    truth, start = _truth_and_start(prepared, "rest", seed)
    found = {}
    for name, peer in (("LC2", lc2), ("SimpleITK MI", mutual_information)):
        began_s, cpu_s = time.perf_counter(), time.process_time()
        matrix = peer(prepared.volume, truth, _fan(truth), start)
        found[name] = {
            "error_mm": truth.error_mm(matrix),
            "seconds": time.perf_counter() - began_s,
            "cpu_s": time.process_time() - cpu_s,
        }
    return found


def _table(rows: Iterable[dict[str, Any]]) -> None:
    everything = list(rows)
    print("| sweeps | n | median TRE mm | p95 | < 3 mm | accepted | accepted > 5 mm off "
          "| predicted / made rms | wall s | processor s | load |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for patient in ("real", "torso"):
        for kind in (*dict.fromkeys(KINDS), *BONE_KINDS):
            part = [
                row
                for row in everything
                if row["kind"] == kind and row["patient"].startswith(patient)
            ]
            if part:
                _row(f"{patient}, {kind}", part)
    for peer in ("LC2", "SimpleITK MI"):
        part = [row["peers"][peer] for row in everything if "peers" in row]
        if part:
            error = [row["error_mm"] for row in part]
            print(
                f"| {peer} (peer, rest) | {len(part)} | {statistics.median(error):.2f} "
                f"| {np.percentile(error, 95):.2f} | {100 * np.mean(np.less(error, 3.0)):.0f} % "
                f"| | | | {statistics.median(row['seconds'] for row in part):.1f} "
                f"| {statistics.median(row['cpu_s'] for row in part):.1f} | |"
            )


def _row(name: str, part: list[dict[str, Any]]) -> None:
    error = np.array([row["error_mm"] for row in part])
    accepted = np.array([row["accepted"] for row in part])
    ratio = ""
    if accepted.any():
        made = np.sqrt(np.mean(error[accepted] ** 2))
        predicted = np.array([row["predicted_mm"] for row in part])[accepted]
        ratio = f"{np.sqrt(np.mean(predicted**2)) / made:.2f}"
    print(
        f"| {name} | {len(part)} | {np.median(error):.2f} | {np.percentile(error, 95):.2f} "
        f"| {100 * np.mean(error < 3.0):.0f} % | {100 * accepted.mean():.0f} % "
        f"| {int(np.sum(accepted & (error > 5.0)))} | {ratio} "
        f"| {statistics.median(row['seconds'] for row in part):.2f} "
        f"| {statistics.median(row['cpu_s'] for row in part):.2f} "
        f"| {statistics.median(row['load'] for row in part):.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
