"""The needle finder on frames of a real chest with needles of known place.

    .venv/bin/python benchmarks/fluoro_needle.py --data ../shared/data --needles 100

The frames come from tests/registration/needle_scene.py: scipy's interpolation through the CT, exact
chords through the needle, scatter, Poisson noise, the detector's blur. Prints Markdown: misses of
tip and line in px over the frames that were accepted, false finds, refusals, processor time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ir_nav.registration import RegistrationError
from ir_nav.registration.fluoro.view import CArmView
from ir_nav.registration.fluoro_needle import (
    NeedleGuide,
    find_needle,
    guided,
    needle_from_two_views,
    needle_width_px,
)
from tests.registration.needle_scene import (
    ISOCENTRE_MM,
    Body,
    add_needle,
    exposed,
    project,
    view_at,
)

GAUGES = {"18 G": 1.27, "20 G": 0.91, "22 G": 0.72}
ANGLES = ((0, 0), (35, 0), (90, 0), (-30, 20))
LEVELS_MM = (40.0, -60.0)
KINDS = ("alone", "two others, guided", "both ends seen, guided", "no needle")
GROSS_TIP_PX, GROSS_LINE_PX = 10.0, 5.0


@dataclass
class Tally:
    tips: list[float] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)
    over: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    shown: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--needles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    body = Body(options.data / "ct" / "chest_LIDC-IDRI-0001_2mm.nii.gz")
    views, bodies = [], []
    for level in LEVELS_MM:
        for primary, secondary in ANGLES:
            isocentre = body.middle + np.array([0.0, 0.0, level])
            views.append((isocentre, view_at(isocentre, primary, secondary)))
            bodies.append(body.line_integrals(views[-1][1]))
    print(f"Load average: {os.getloadavg()[0]:.1f}; {options.needles} frames a row\n")
    print(
        "| needle | frames | tip px median / p95 | line px median / p95 | over stated error, rms "
        "| refused | wrong | processor ms |\n|---|---|---|---|---|---|---|---|"
    )
    for kind in KINDS:
        for name, diameter_mm in GAUGES.items():
            rng = np.random.default_rng(options.seed)
            tally = Tally()
            while tally.shown < options.needles:
                _one(kind, diameter_mm, views, bodies, rng, tally)
            print(_row(f"{name}, {kind}", tally), flush=True)
    _two_views(views, bodies, options.needles, options.seed)
    return 0


def _one(kind, diameter_mm, views, bodies, rng, tally) -> None:
    index = int(rng.integers(len(views)))
    isocentre, view = views[index]
    tip = isocentre + rng.uniform(-60, 60, 3)
    hub = _hub(tip, 120.0 if kind.startswith("both") else 400.0, rng)
    tip_px, hub_px = project(view, tip), project(view, hub)
    if np.linalg.norm(hub_px - tip_px) < 120 or np.any((tip_px < 10) | (tip_px > 500)):
        return
    tally.shown += 1
    total = bodies[index].copy()
    if kind != "no needle":
        add_needle(total, view, tip, hub, diameter_mm)
    if kind.startswith("two"):
        for _ in range(2):
            other = isocentre + rng.uniform(-60, 60, 3)
            add_needle(total, view, other, _hub(other, 400.0, rng), rng.uniform(0.7, 2.0))
    frame = exposed(total, view, rng)
    guide = _guide(tip_px, hub_px, rng) if "guided" in kind else None
    started = time.process_time()
    try:
        found = find_needle(frame, needle_width_px(view, diameter_mm, ISOCENTRE_MM), guide)
    except RegistrationError as error:
        tally.refused[str(error).split(":")[0].split(",")[0]] += 1
        return
    finally:
        tally.cpu_ms.append(1e3 * (time.process_time() - started))
    along = (tip_px - hub_px) / np.linalg.norm(tip_px - hub_px)
    normal = np.array([-found.along[1], found.along[0]])
    tip_miss = float(np.linalg.norm(found.tip_px - tip_px))
    line_miss = float(abs((tip_px - 40.0 * along - found.tip_px) @ normal))
    if kind == "no needle" or line_miss > GROSS_LINE_PX or tip_miss > _gross(found.tip_error_px):
        tally.wrong += 1
        return
    tally.tips.append(tip_miss)
    tally.lines.append(line_miss)
    tally.over.append(float((found.tip_px - tip_px) @ along) / found.tip_error_px)


def _gross(stated_px: float) -> float:
    """A tip is wrong when it lies further off than this: its own error is taken at its word."""
    return max(GROSS_TIP_PX, 3.0 * stated_px)


def _hub(tip: np.ndarray, length_mm: float, rng: np.random.Generator) -> np.ndarray:
    along = rng.normal(size=3)
    return tip + length_mm * along / np.linalg.norm(along)


def _guide(tip_px: np.ndarray, hub_px: np.ndarray, rng: np.random.Generator) -> NeedleGuide:
    """6 px beside the needle, turned by a few degrees, 20 px off along it."""
    along = (tip_px - hub_px) / np.linalg.norm(tip_px - hub_px)
    beside = 6.0 * rng.normal(size=2)
    back = tip_px - 150.0 * along + beside + 8.0 * rng.normal(size=2)
    return guided(tip_px + beside + 20.0 * rng.normal() * along, back, 20.0)


def _row(name: str, tally: Tally) -> str:
    def both(values: list[float]) -> str:
        if not values:
            return "-"
        return f"{np.median(values):.2f} / {np.percentile(values, 95):.2f}"

    over = f"{np.sqrt(np.mean(np.square(tally.over))):.2f}" if tally.over else "-"
    refused = "; ".join(f"{count} {words}" for words, count in tally.refused.items()) or "0"
    cpu = f"{np.median(tally.cpu_ms):.0f}"
    return (
        f"| {name} | {tally.shown} | {both(tally.tips)} | {both(tally.lines)} | {over} "
        f"| {refused} | {tally.wrong} | {cpu} |"
    )


def _two_views(
    views: list[tuple[np.ndarray, CArmView]], bodies: list[np.ndarray], count: int, seed: int
) -> None:
    """18 G in the first and third view of one level (90 degrees apart), guided."""
    rng = np.random.default_rng(seed)
    misses, square, turns, refused = [], [], [], 0
    while len(misses) + refused < count:
        tip = views[0][0] + rng.uniform(-60, 60, 3)
        hub = _hub(tip, 400.0, rng)
        pair, found = (views[0][1], views[2][1]), []
        seen = [(project(view, tip), project(view, hub)) for view in pair]
        if any(np.linalg.norm(h - t) < 120 or np.any((t < 10) | (t > 500)) for t, h in seen):
            continue
        try:
            for view, behind, (tip_px, hub_px) in zip(
                pair, (bodies[0], bodies[2]), seen, strict=True
            ):
                total = behind.copy()
                add_needle(total, view, tip, hub, GAUGES["18 G"])
                width = needle_width_px(view, GAUGES["18 G"], ISOCENTRE_MM)
                found.append(
                    find_needle(exposed(total, view, rng), width, _guide(tip_px, hub_px, rng))
                )
            space = needle_from_two_views(pair, (found[0], found[1]))
        except RegistrationError:
            refused += 1
            continue
        if not space.accepted:
            refused += 1
            continue
        miss = space.tip_mm - tip
        misses.append(float(np.linalg.norm(miss)))
        square.append(float(miss @ np.linalg.solve(space.covariance_mm2, miss)))
        true = (tip - hub) / np.linalg.norm(tip - hub)
        turns.append(float(np.degrees(np.linalg.norm(np.cross(space.along, true)))))
    print(
        f"\nTwo views, 18 G, guided: tip {np.median(misses):.2f} / {np.percentile(misses, 95):.2f} "
        f"mm (median / p95), direction {np.median(turns):.2f} / {np.percentile(turns, 95):.2f} "
        f"deg, chi-square {np.mean(square):.2f} of 3, refused {refused} of {count}"
    )


if __name__ == "__main__":
    sys.exit(main())
