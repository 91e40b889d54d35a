"""The whole main job, several times with different seeds: latency, paint rate, accuracy.

    .venv/bin/python benchmarks/main_job.py --runs 3 --out build/main_job

Starts the room and the console (headless, six views at 1920 x 1080) on this machine and prints a
Markdown table. Nothing else should run meanwhile; the load average before each run is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROWS = (
    ("sample age at paint, p50 (ms)", ("sample_age_at_paint_ms", "p50"), "<= 25"),
    ("sample age at paint, p99 (ms)", ("sample_age_at_paint_ms", "p99"), "<= 60"),
    ("sample age at paint, max (ms)", ("sample_age_at_paint_ms", "max"), ""),
    ("repaints per second", ("paint_rate_hz",), ">= 30"),
    ("tip error while valid, mean (mm)", ("guidance", "tip_error_mm", "mean"), "<= 1.5"),
    ("tip error while valid, p95 (mm)", ("guidance", "tip_error_mm", "p95"), ""),
    ("true tip inside the 95 % radius shown", ("guidance", "inside_shown_error_95"), ""),
    ("achieved lateral (mm)", ("achieved", "lateral_mm"), ""),
    ("achieved lateral, true (mm)", ("achieved_true", "lateral_mm"), "within 1"),
    ("achieved depth (mm)", ("achieved", "depth_mm"), ""),
    ("achieved depth, true (mm)", ("achieved_true", "depth_mm"), "within 1"),
    ("achieved angle (deg)", ("achieved", "angle_deg"), ""),
    ("achieved angle, true (deg)", ("achieved_true", "angle_deg"), "within 1"),
    ("samples lost", ("samples", "lost"), "0"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/main_job"))
    parser.add_argument("options", nargs="*", help="more options of `ir-nav demo`, after --")
    options = parser.parse_args()
    found = []
    for run in range(options.runs):
        folder = options.out / str(run + 1)
        load = os.getloadavg()[0]
        command = [sys.executable, "-m", "ir_nav.cli", "demo", "--headless"]
        command += ["--out", str(folder), "--seed", str(run + 1), *options.options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append((load, json.loads((folder / "summary.json").read_text())))
    print(table(found))
    return 0


def table(found: list[tuple[float, dict[str, object]]]) -> str:
    runs = " | ".join(f"run {number}" for number in range(1, len(found) + 1))
    lines = [f"| quantity | target | median | {runs} |", "|---|---|---|" + "---|" * len(found)]
    loads = " | ".join(f"{load:.1f}" for load, _ in found)
    lines.append(f"| load average before | | | {loads} |")
    for words, path, target in ROWS:
        values = [value_at(summary, path) for _, summary in found]
        cells = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {words} | {target} | {statistics.median(values):.2f} | {cells} |")
    return "\n".join(lines)


def value_at(summary: object, path: tuple[str, ...]) -> float:
    for key in path:
        assert isinstance(summary, dict)
        summary = summary[key]
    assert isinstance(summary, int | float)
    return float(summary)


if __name__ == "__main__":
    sys.exit(main())
