"""The search for paths beside plain numpy and scipy, on a real CT.

    .venv/bin/python benchmarks/planning.py --ct CT --labels LABELS --names CSV

Prints a Markdown table: distance maps and the exhaustive search over all skin within the
needle's reach, first time, after a change of target and of limits, findings of one path, and
what the guarantee costs. Nothing else should run meanwhile: the load average is shown.
--peer none leaves out the slow side (about a minute).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from ir_nav.imaging import LabelMap, Volume, body_mask, read_labels, read_volume
from ir_nav.planning import (
    Ground,
    Protocol,
    compile_planning,
    findings,
    prepare,
    propose,
    search,
    shipped_protocol,
)
from ir_nav.planning.search import needed_mm
from ir_nav.planning.second_look import look_again
from ir_nav.planning.skin import reachable

REPEATS = 7
Seconds = tuple[float, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--peer", choices=("scipy", "none"), default="scipy")
    options = parser.parse_args()
    compiled_s = timed(compile_planning)[1]
    volume = read_volume(options.ct)
    labels = read_labels(options.labels, options.names, like=volume)
    body, body_s = timed(lambda: body_mask(volume))
    rules = shipped_protocol()
    target = labels.centroid_ct_mm("liver") + np.array([-15.0, 0.0, 0.0])
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {volume.size_ijk} voxels")
    print("\n| quantity | target | median | best | CPU |\n|---|---|---|---|---|")
    row("compiled or loaded from cache, once", "", [compiled_s])
    row("body mask, while the case is opened", "", [body_s])
    for sampling, limit in ((1.5, "<= 1.0 s"), (1.0, "<= 3 s")):
        first = [once(volume, labels, rules, body, sampling, target) for _ in range(REPEATS)]
        row(f"distance maps, skin and search, {sampling} mm", limit, first)
    ground = prepare(volume, labels, rules, body=body)
    ours(ground, rules, target)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    losses(ground, rules, labels)
    if options.peer == "scipy":
        peer(ground, labels, rules, target)
    return 0


def timed(work: Callable[[], object]) -> tuple[object, Seconds]:
    """What the work returns, the seconds it took, and the processor's seconds, all cores."""
    began, used = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - began, time.process_time() - used)


def row(name: str, limit: str, seconds: list[Seconds]) -> None:
    middle = 1e3 * statistics.median(wall for wall, _ in seconds)
    best = 1e3 * min(wall for wall, _ in seconds)
    used = 1e3 * statistics.median(cpu for _, cpu in seconds)
    print(f"| {name} | {limit} | {middle:.1f} ms | {best:.1f} ms | {used:.1f} ms |")


def once(
    volume: Volume,
    labels: LabelMap,
    rules: Protocol,
    body: object,
    sampling: float,
    target: np.ndarray,
) -> Seconds:
    def work() -> object:
        ground = prepare(volume, labels, rules, body=body, sampling_mm=sampling)  # type: ignore[arg-type]
        return search(ground, rules, target)

    return timed(work)[1]


def ours(ground: Ground, rules: Protocol, target: np.ndarray) -> None:
    """What happens while the user drags and turns knobs."""
    rng = np.random.default_rng(1)
    targets = [target + rng.uniform(-8.0, 8.0, 3) for _ in range(REPEATS)]
    row("search after a change of target", "<= 150 ms", [
        timed(lambda t=t: search(ground, rules, t))[1] for t in targets
    ])  # fmt: skip
    tighter = [with_margin(rules, 4.0 + 0.3 * n) for n in range(REPEATS)]
    row("search after a change of limits", "<= 150 ms", [
        timed(lambda r=r: search(ground, r, target))[1] for r in tighter
    ])  # fmt: skip
    proposals = [timed(lambda t=t: propose(ground, rules, t)) for t in targets]
    row("with five proposals and their findings", "<= 150 ms", [s for _, s in proposals])
    paths = [p.path for found, _ in proposals for p in found.paths]  # type: ignore[attr-defined]
    row("findings of a dragged path", "<= 15 ms", [
        timed(lambda p=p: findings(ground, rules, p))[1] for p in paths
    ])  # fmt: skip


def with_margin(rules: Protocol, vessel_mm: float) -> Protocol:
    structures = tuple(
        rule.model_copy(update={"margin_mm": vessel_mm}) if rule.name == "Vessel" else rule
        for rule in rules.structures
    )
    return rules.model_copy(update={"structures": structures})


def losses(ground: Ground, rules: Protocol, labels: LabelMap) -> None:
    """How many open ways the maps cannot prove: measured exactly, for ten targets."""
    rng = np.random.default_rng(2)
    liver = np.argwhere(labels.mask("liver"))[:, ::-1]
    proven = missed = 0
    for index in rng.choice(len(liver), 10, replace=False):
        target = labels.ct_from_voxel[:3, :3] @ liver[index] + labels.ct_from_voxel[:3, 3]
        found = search(ground, rules, target)
        proven += len(found.ways)
        some = look_again(ground, rules, found)
        share = max(1, -(-int(found.unsure.sum()) // 3000))
        missed += share * len(some.ways)
    print(f"\n{proven} open ways proven, about {missed} more are open but not provable at "
          f"{ground.sampling_mm} mm: {missed / max(1, proven + missed):.1%}")  # fmt: skip


def peer(ground: Ground, labels: LabelMap, rules: Protocol, target: np.ndarray) -> None:
    """The same search in plain numpy and scipy, at full resolution."""
    began = time.perf_counter()
    groups = ground.structures.groups()[ground.structures.ids]
    maps = [
        ndimage.distance_transform_edt(groups != n, sampling=labels.spacing_mm[::-1])
        for n in range(len(rules.kept))
    ]
    maps_s = time.perf_counter() - began
    began = time.perf_counter()
    skin = ground.skin
    offsets = skin.points_ct_mm - target
    lengths = np.linalg.norm(offsets, axis=1)
    cosines = np.sum(offsets * skin.normals_ct, axis=1) / lengths
    tried = (lengths >= rules.min_length_mm) & (lengths <= rules.max_length_mm)
    tried &= cosines >= np.cos(np.radians(rules.max_skin_angle_deg))
    tried &= reachable(skin.normals_ct, rules.reachable_from)
    open_ways = np.ones(int(tried.sum()), dtype=bool)
    for start in range(0, len(open_ways), 2000):
        ways = offsets[tried][start : start + 2000]
        count = int(np.linalg.norm(ways, axis=1).max() / ground.sampling_mm) + 2
        points = target + ways[:, None] * np.linspace(0.0, 1.0, count)[:, None]
        index = (points - labels.ct_from_voxel[:3, 3]) @ np.linalg.inv(
            labels.ct_from_voxel[:3, :3]
        ).T
        place = index.reshape(-1, 3).T[::-1]
        for distance, needed in zip(maps, needed_mm(rules), strict=True):
            near = ndimage.map_coordinates(distance, place, order=1, mode="nearest")
            open_ways[start : start + 2000] &= near.reshape(len(ways), -1).min(axis=1) >= needed
    search_s = time.perf_counter() - began
    found = search(ground, rules, target)
    mine = found.quality[tried] > 0.0
    print(f"\nnumpy and scipy: maps {maps_s:.1f} s, search {search_s:.1f} s, "
          f"{open_ways.sum()} of {len(open_ways)} ways open; here {mine.sum()}, "
          f"{(mine == open_ways).mean():.2%} of the verdicts alike, "
          f"{(mine & ~open_ways).sum()} open here only")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
