"""CT to fluoro on a real CT, against frames of another projector with a known pose.

    .venv/bin/python benchmarks/registration_fluoro.py --ct CT --folder DIR --cases 60

After van de Kraats et al. 2005: starts drawn evenly over the range of their mean target
registration error (mTRE over a box of 100 mm about the field's middle), success below 2 mm. mPD
is the mean distance of a target from the ray on which the registration shows it (their mRPD), in
the patient. Frames: fluoro_truth.py. Results are kept in the folder, one line a trial, and a
later run goes on where an earlier one stopped. --table only prints what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fluoro_peers
import fluoro_truth
import numpy as np
import SimpleITK as sitk
from fluoro_truth import Case, Kind
from scipy.spatial.transform import Rotation

from ir_nav.geometry import CArmGeometry, FloatArray, Frame, Transform, apply, rigid, rigid_inverse
from ir_nav.imaging import read_volume
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.following import follow
from ir_nav.registration.fluoro.outcome import FluoroRegistration
from ir_nav.registration.fluoro.registration import (
    Spread,
    fluoro_attenuations,
    register_fluoro,
)
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels

SIZE, PITCH = fluoro_truth.SIZE_PX, fluoro_truth.PIXEL_MM
GEOMETRY = CArmGeometry(
    fluoro_truth.SID_MM, (PITCH, PITCH), (SIZE, SIZE), ((SIZE - 1) / 2, (SIZE - 1) / 2)
)
BOX = (np.indices((5, 5, 5)).reshape(3, 125).T / 4.0 - 0.5) * 100.0
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Set:
    """most_mm, most_deg: the range of the starts. regions: where. views: how many frames."""

    name: str
    views: int
    most_mm: float
    most_deg: float
    regions: tuple[str, ...] = ("thorax", "abdomen")
    kinds: tuple[Kind, ...] = (Kind.EASY, Kind.HARD)
    wrong: str = ""
    first_pose: int = 0

    @property
    def spread(self) -> Spread:
        return Spread.within(self.most_mm, self.most_deg)


Method = Callable[
    [list[FluoroFrame], tuple[Attenuation, ...], FloatArray, FloatArray, Set, int], Row
]

SETS = {
    one.name: one
    for one in (
        Set("two views", 2, 80.0, 40.0),
        Set("one view", 1, 40.0, 20.0),
        Set("following", 1, 6.0, 4.0),
        Set("following, two views", 2, 6.0, 4.0),
        # Nothing to be found: a mirrored frame, and one of another region.
        Set("mirrored", 1, 40.0, 20.0, wrong="mirrored"),
        Set("mirrored, two views", 2, 40.0, 20.0, wrong="mirrored"),
        Set("elsewhere", 1, 40.0, 20.0, wrong="elsewhere"),
        # What the factor of the stated error comes from: other poses than the sets above.
        Set("calibration", 1, 3.0, 2.0, regions=("junction", "thorax", "abdomen"), first_pose=100),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="frames and results")
    parser.add_argument("--cases", type=int, default=40, help="trials of each set and kind")
    parser.add_argument("--poses", type=int, default=16, help="poses a region")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--plastimatch", default="plastimatch")
    parser.add_argument("--peers", type=Path, help="an interpreter that has Py-BOBYQA")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    kept = options.folder / f"results-{options.seed}.jsonl"
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    if not options.table:
        options.folder.mkdir(parents=True, exist_ok=True)
        _measure(options, kept)
    _print(_read(kept))
    return 0


def _measure(options: argparse.Namespace, kept: Path) -> None:
    volume = read_volume(options.ct)
    image = sitk.GetImageFromArray(volume.voxels)
    spacing = np.array(volume.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(volume.ct_from_voxel[:3, 3].tolist())
    image.SetDirection((volume.ct_from_voxel[:3, :3] / spacing).ravel().tolist())
    attenuations = fluoro_attenuations(volume)
    done = {_key(row) for row in _read(kept)}
    methods: dict[str, Method] = {"ours": ours}
    if options.peers is None:
        print("no --peers: Py-BOBYQA is left out")
    else:
        os.environ[fluoro_peers.PYTHON] = str(options.peers)
        methods["Py-BOBYQA"] = fluoro_peers.bobyqa
    cases: dict[tuple[str, int], Case] = {}
    for wanted in (SETS[name] for name in options.sets):
        for trial, kind, region, number in _trials(wanted, options.cases, options.poses):
            for name, method in methods.items():
                key = (wanted.name, str(kind), trial, name)
                if key in done or (name != "ours" and (wanted.wrong or "follow" in wanted.name)):
                    continue
                if (region, number) not in cases:
                    cases[region, number] = fluoro_truth.cases(
                        image, options.folder, region, range(number, number + 1),
                        options.plastimatch,
                    )[0]  # fmt: skip
                row = _tried(wanted, kind, trial, options.seed, cases[region, number],
                             attenuations, method)  # fmt: skip
                row |= {"set": wanted.name, "kind": str(kind), "trial": trial, "method": name}
                with kept.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def _trials(wanted: Set, count: int, poses: int) -> Iterator[tuple[int, Kind, str, int]]:
    for trial in range(count):
        for kind in wanted.kinds:
            region = wanted.regions[trial % len(wanted.regions)]
            number = wanted.first_pose + trial // len(wanted.regions) % poses
            yield trial, kind, region, number


def _tried(
    wanted: Set, kind: Kind, trial: int, seed: int, case: Case,
    attenuations: tuple[Attenuation, ...], method: Method,
) -> Row:  # fmt: skip
    rng = np.random.default_rng([seed, trial, *wanted.name.encode()])
    world_from_ct = rigid(Rotation.random(random_state=rng).as_matrix(), rng.uniform(-300, 300, 3))
    # The first view of an even trial is the one nearer to a.p., of an odd one the lateral.
    order = (0, 1) if trial % 4 < 2 else (1, 0)
    frames = []
    for number in order[: wanted.views]:
        pixels = fluoro_truth.frame(case.views[number], kind, 1000 * seed + 10 * trial + number)
        image = pixels.astype(np.float32)
        if wanted.wrong == "mirrored":
            image = np.ascontiguousarray(image[:, ::-1])
        carm_from_world = case.views[number].carm_from_ct @ rigid_inverse(world_from_ct)
        frames.append(FluoroFrame(CArmView(GEOMETRY, carm_from_world, Pixels.INTENSITY), image))
    centre = case.centre_ct_mm
    start, start_mm = _start(rng, world_from_ct, centre, wanted)
    if wanted.wrong == "elsewhere":
        away = np.array([0.0, 0.0, 150.0 if case.region == "abdomen" else -150.0])
        start = start @ rigid(np.eye(3), away)
    row = method(frames, attenuations, start, centre, wanted, trial)
    found = np.array(row.pop("world_from_ct"))
    row |= _errors(found, world_from_ct, centre, frames[0])
    return row | {"region": case.region, "pose": case.number, "start_mm": start_mm}


def ours(
    frames: list[FluoroFrame], attenuations: tuple[Attenuation, ...], start: FloatArray,
    centre: FloatArray, wanted: Set, seed: int,
) -> Row:  # fmt: skip
    if "follow" in wanted.name:
        # What precedes following: the pose of the frame before, taken as accepted.
        before = _as_accepted(frames, attenuations, start, centre)
        work: Callable[[], FluoroRegistration] = lambda: follow(  # noqa: E731
            before, frames, attenuations, created_s=0.0
        )
    else:
        work = lambda: register_fluoro(  # noqa: E731
            frames, attenuations, start, centre, created_s=0.0, spread=wanted.spread, seed=seed
        )
    began, used = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return {
        "world_from_ct": result.world_from_ct.tolist(),
        "accepted": result.registration.accepted,
        "confidence": result.registration.confidence,
        "similarity": min(result.similarities),
        "runner_up": result.runner_up,
        "depth_95_mm": result.depth_95_mm,
        "tre_mm": result.registration.tre_mm(centre),
        "evaluations": result.registration.evaluations,
        "wall_s": wall,
        "cpu_s": cpu,
    }


def _as_accepted(
    frames: list[FluoroFrame], attenuations: tuple[Attenuation, ...], start: FloatArray,
    centre: FloatArray,
) -> FluoroRegistration:  # fmt: skip
    found = register_fluoro(
        frames, attenuations, start, centre, created_s=0.0, spread=Spread(5.0, 3.0)
    )
    place = Transform(Frame.CT, Frame.REFERENCE, rigid_inverse(start))
    moved = replace(found.registration, ct_from_reference=place, accepted=True, reason="")
    return replace(found, registration=moved)


def _start(
    rng: np.random.Generator, truth: FloatArray, centre: FloatArray, wanted: Set
) -> tuple[FloatArray, float]:
    """A start with an mTRE drawn evenly from the range; (4, 4) world_from_ct and its mTRE."""
    wished = rng.uniform(0.0, wanted.most_mm)
    while True:
        shift, axis = rng.normal(size=(2, 3))
        shift *= wanted.most_mm * rng.uniform() / np.linalg.norm(shift)
        axis *= wanted.most_deg * rng.uniform() / np.linalg.norm(axis)
        low, high = 0.0, wanted.most_deg / np.linalg.norm(axis)
        for _ in range(40):
            scale = (low + high) / 2.0
            start = truth @ _about(centre, shift * scale, axis * scale)
            error = float(np.linalg.norm(_moved(start, truth, centre), axis=1).mean())
            low, high = (scale, high) if error < wished else (low, scale)
        if abs(error - wished) < 0.01:
            return start, error


def _about(centre: FloatArray, shift: FloatArray, vector_deg: FloatArray) -> FloatArray:
    turn = Rotation.from_rotvec(vector_deg, degrees=True).as_matrix()
    return rigid(turn, centre + shift - turn @ centre)


def _moved(found: FloatArray, truth: FloatArray, centre: FloatArray) -> FloatArray:
    return apply(found, BOX + centre) - apply(truth, BOX + centre)


def _errors(found: FloatArray, truth: FloatArray, centre: FloatArray, first: FluoroFrame) -> Row:
    off = _moved(found, truth, centre)
    source = rigid_inverse(first.view.carm_from_world)[:3, 3]
    shown = apply(found, BOX + centre) - source
    shown /= np.linalg.norm(shown, axis=1)[:, None]
    true = apply(truth, BOX + centre) - source
    across = true - shown * np.sum(true * shown, axis=1)[:, None]
    ray = apply(truth, centre) - source
    at_target = apply(found, centre) - apply(truth, centre)
    return {
        "mtre_mm": float(np.linalg.norm(off, axis=1).mean()),
        "mpd_mm": float(np.linalg.norm(across, axis=1).mean()),
        "depth_mm": float(at_target @ ray / np.linalg.norm(ray)),
        "target_mm": float(np.linalg.norm(at_target)),
    }


def _read(kept: Path) -> list[Row]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def _key(row: Row) -> tuple[str, str, int, str]:
    return row["set"], row["kind"], row["trial"], row["method"]


def _print(rows: list[Row]) -> None:
    print("\n| set | frames | method | trials | success (accepted or not) | median, p95 | "
          "accepted | false accepts | depth in its 95 % | wall, CPU s (median) |\n"
          + "|---" * 10 + "|")  # fmt: skip
    for name, kind, method in sorted({(r["set"], r["kind"], r["method"]) for r in rows}):
        some = [r for r in rows if (r["set"], r["kind"], r["method"]) == (name, kind, method)]
        print(_line(SETS[name], kind, method, some))


def _line(wanted: Set, kind: str, method: str, rows: list[Row]) -> str:
    measure = "mtre_mm" if wanted.views > 1 else "mpd_mm"
    errors = np.array([row[measure] for row in rows])
    accepted = np.array([row["accepted"] for row in rows])
    good = errors < 2.0
    held = [abs(r["depth_mm"]) <= r["depth_95_mm"] for r, ok in zip(rows, accepted, strict=True)
            if ok and "depth_95_mm" in r]  # fmt: skip
    wrong = accepted & ~good
    cells = (
        wanted.name,
        kind,
        method,
        str(len(rows)),
        f"{100 * good.mean():.1f} %",
        f"{measure[:-3]} {np.median(errors):.2f}, {np.quantile(errors, 0.95):.2f} mm",
        f"{100 * accepted.mean():.1f} %",
        str(int(wrong.sum())),
        f"{100 * np.mean(held):.1f} %" if held else "-",
        ", ".join(f"{np.median([row[key] for row in rows]):.3f}" for key in ("wall_s", "cpu_s")),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
