"""The simulated ultrasound frame and the live check: time, the plain peer, and how often right.

    .venv/bin/python benchmarks/ultrasound_simulator.py --data ../shared/data --runs 200

Prints Markdown tables. The peer is the same model in plain numpy and scipy (there is no CPU
package); frames for the live check come from the room's simulator, which shares no code with it.
Processor time is of all threads; nothing else should run meanwhile, the load average is shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ultrasound_plain import simulate_plain

from hw_mocks.anatomy import Anatomy, TissueMotion, load_anatomy
from hw_mocks.bmode import BModeRenderer, ConvexGeometry
from hw_mocks.torso import cached_torso
from ir_nav.geometry import FloatArray, rotation_from_vector
from ir_nav.imaging import read_labels, read_volume
from ir_nav.registration.ultrasound.acoustics import Acoustics, prepare_acoustics
from ir_nav.registration.ultrasound.fan import ConvexFan, Fan, LinearFan
from ir_nav.registration.ultrasound.live_check import FrameCheck
from ir_nav.registration.ultrasound.marching import expected
from ir_nav.registration.ultrasound.quality_trace import Fit, QualityTrace
from ir_nav.registration.ultrasound.simulator import simulate

SIZE_PX = (512, 512)
MM = 0.36
CONVEX = ConvexFan((255.5, -112.0), (MM, MM), 50.0, 200.0, 31.0)
LINEAR = LinearFan((117.0, 8.0), (MM, MM), 100.0, 90.0)
OUTWARD = ((-0.9, -0.35, 0.0), (-0.3, -0.9, -0.3), (0.0, -1.0, -0.2), (-0.6, -0.75, -0.2))
DRIFTS_MM = (0.0, 3.0, 5.0, 8.0)
FRAMES = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ir-nav")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--sweeps", type=int, default=25, help="a patient, for the live check")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    print(f"Load average before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
    _time_frames(options.data / "ct", options.runs, options.seed)
    torso = cached_torso(options.cache, 2)
    ct = options.data / "ct"
    patients = {
        "LIDC-IDRI-0001, 2 mm": (
            ct / "chest_LIDC-IDRI-0001_2mm.nii.gz",
            ct / "chest_LIDC-IDRI-0001_2mm_labels.nii.gz",
            ct / "chest_LIDC-IDRI-0001_labels.csv",
        ),
        "torso, seed 2": (torso.ct, torso.labels, torso.names_csv),
    }
    print("\n| patient | drift mm | warned | held | waiting | median similarity | median lead |")
    print("|---|---|---|---|---|---|---|")
    spans: list[float] = []
    for name, files in patients.items():
        spans += _live_check(name, *files, options.sweeps, options.seed)
    print(f"\nLive check, one frame: {_spans(spans)}")
    print(f"Load average after: {os.getloadavg()[0]:.1f}")
    return 0


def _time_frames(folder: Path, runs: int, seed: int) -> None:
    ct = read_volume(folder / "chest_LIDC-IDRI-0001_dicom.zip")
    names = folder / "chest_LIDC-IDRI-0001_labels.csv"
    labels = read_labels(folder / "chest_LIDC-IDRI-0001_labels.nii.gz", names, like=ct)
    prepare_acoustics(ct, labels)
    begun, used = time.perf_counter(), time.process_time()
    acoustics = prepare_acoustics(ct, labels)
    print(
        f"Preparing the CT: {time.perf_counter() - begun:.2f} s, "
        f"{time.process_time() - used:.2f} s of processor time, "
        f"{acoustics.codes.nbytes / 1e6:.0f} MB\n"
    )
    anatomy = load_anatomy(folder / "chest_LIDC-IDRI-0001_dicom.zip", *_labels(folder))
    liver = anatomy.centroid_ct_mm("liver")
    print("| 512 x 512 | method | wall ms: median, p95; processor ms: median | grey difference |")
    print("|---|---|---|---|")
    for name, fan in (("convex", CONVEX), ("linear", LINEAR)):
        places = _places(anatomy, liver, fan, seed)
        ours = [simulate(acoustics, fan, place, SIZE_PX) for place in places]
        peers = [simulate_plain(acoustics, fan, place, SIZE_PX) for place in places]
        apart = np.mean(
            [np.abs(a.astype(int) - b).mean() for a, b in zip(ours, peers, strict=True)]
        )
        for method, work, count in (
            ("console", simulate, runs),
            ("numpy and scipy, the same model", simulate_plain, max(runs // 20, 4)),
            ("console, channels for a similarity", expected, runs),
        ):
            spans = _timed(work, acoustics, fan, places, count)
            difference = f"{apart:.2f}" if work is simulate_plain else ""
            print(f"| {name} | {method} | {_spans(spans)} | {difference} |")


def _labels(folder: Path) -> tuple[Path, Path]:
    return (
        folder / "chest_LIDC-IDRI-0001_labels.nii.gz",
        folder / "chest_LIDC-IDRI-0001_labels.csv",
    )


def _timed(
    work: Callable[..., object], acoustics: Acoustics, fan: Fan, places: list[FloatArray], runs: int
) -> list[float]:
    """Wall and processor seconds of each run, one after the other in one list."""
    spans = []
    for n in range(runs):
        begun, used = time.perf_counter(), time.process_time()
        work(acoustics, fan, places[n % len(places)], SIZE_PX)
        spans += [time.perf_counter() - begun, time.process_time() - used]
    return spans


def _spans(spans: list[float]) -> str:
    wall, used = spans[::2], spans[1::2]
    return (
        f"{statistics.median(wall) * 1e3:.1f}, {np.percentile(wall, 95) * 1e3:.1f}; "
        f"{statistics.median(used) * 1e3:.1f}"
    )


def _places(anatomy: Anatomy, target_mm: FloatArray, fan: Fan, seed: int) -> list[FloatArray]:
    """ct_from_image of a few probes on the skin over the target."""
    rng = np.random.default_rng(seed)
    starts, _ = fan.beams_px(3)
    mm_from_px = np.diag([*fan.mm_per_px, fan.mm_per_px[0], 1.0])
    mm_from_px[:2, 3] = -starts[1] * fan.mm_per_px
    return [
        _on_skin(anatomy, target_mm, np.array(outward), rng.standard_normal(3)) @ mm_from_px
        for outward in OUTWARD
    ]


def _on_skin(
    anatomy: Anatomy, target_mm: FloatArray, outward: FloatArray, across: FloatArray
) -> FloatArray:
    """ct from mm in the image plane, origin in the middle of the face, 3 mm into the skin."""
    out = outward / np.linalg.norm(outward)
    along_mm = np.arange(0.0, 260.0, 0.5)
    inside = along_mm[anatomy.sample_hu(target_mm + along_mm[:, None] * out) > -300]
    right = across - (across @ out) * out
    right /= np.linalg.norm(right)
    place = np.eye(4)
    place[:3, 0], place[:3, 1], place[:3, 2] = right, -out, np.cross(right, -out)
    place[:3, 3] = target_mm + (inside.max() - 3.0) * out
    return place


def _live_check(
    name: str, ct: Path, labels: Path, names: Path, sweeps: int, seed: int
) -> list[float]:
    anatomy, volume = load_anatomy(ct, labels, names), read_volume(ct)
    acoustics = prepare_acoustics(volume, read_labels(labels, names, like=volume))
    geometry = ConvexGeometry()
    fan = ConvexFan(
        (float(geometry.apex_px[0]), float(geometry.apex_px[1])),
        (geometry.mm_per_px, geometry.mm_per_px),
        geometry.radius_mm,
        geometry.radius_mm + geometry.depth_mm,
        geometry.fov_deg / 2.0,
    )
    check, renderer = FrameCheck(acoustics, fan), BModeRenderer(anatomy, geometry, 5)
    rng, spans = np.random.default_rng(seed), []
    verdicts: dict[float, list[tuple[Fit, float, float]]] = {mm: [] for mm in DRIFTS_MM}
    liver = anatomy.centroid_ct_mm("liver")
    for n in range(sweeps):
        outward = np.array(OUTWARD[n % len(OUTWARD)]) + rng.normal(0.0, 0.08, 3)
        place = _on_skin(anatomy, liver + rng.normal(0.0, 12.0, 3), outward, rng.standard_normal(3))
        poses = [_tilted(place, angle) @ geometry.image_mm_from_px for angle in _angles_deg(rng)]
        frames = [renderer.render(pose, TissueMotion.rest(), None) for pose in poses]
        for pose in poses:
            pose[:3, 3] += rng.normal(0.0, 0.12, 3)
        # What is right in the first half is the trace's baseline; then the patient slips.
        begun = QualityTrace()
        for m, (frame, pose) in enumerate(zip(frames[:FRAMES], poses[:FRAMES], strict=True)):
            begun = begun.with_frame(0.2 * m, check.judge(frame, pose))
        for mm in DRIFTS_MM:
            slip = rng.standard_normal(3)
            slip *= mm / np.linalg.norm(slip)
            trace = begun
            for m, (frame, pose) in enumerate(zip(frames[FRAMES:], poses[FRAMES:], strict=True)):
                moved = np.array(pose)
                moved[:3, 3] += slip
                wall, used = time.perf_counter(), time.process_time()
                quality = check.judge(frame, moved)
                spans += [time.perf_counter() - wall, time.process_time() - used]
                trace = trace.with_frame(10.0 + 0.2 * m, quality)
            found = trace.verdict(10.0 + 0.2 * FRAMES)
            verdicts[mm].append((found.fit, found.similarity or np.nan, found.lead or np.nan))
    for mm, found in verdicts.items():
        fits = [one[0] for one in found]
        warned = fits.count(Fit.DRIFTED) + fits.count(Fit.LOST)
        print(
            f"| {name} | {mm:g} | {warned} of {len(fits)} | {fits.count(Fit.HOLDS)} | "
            f"{fits.count(Fit.WAITING)} | {np.nanmedian([one[1] for one in found]):.2f} | "
            f"{np.nanmedian([one[2] for one in found]):.2f} |"
        )
    return spans


def _angles_deg(rng: np.random.Generator) -> FloatArray:
    return np.asarray(np.linspace(-9.0, 9.0, 2 * FRAMES) + rng.normal(0.0, 0.1, 2 * FRAMES))


def _tilted(place: FloatArray, angle_deg: float) -> FloatArray:
    """Tilted about the face's long axis."""
    turn = np.eye(4)
    turn[:3, :3] = rotation_from_vector(place[:3, 0] * np.radians(angle_deg))
    turn[:3, 3] = place[:3, 3] - turn[:3, :3] @ place[:3, 3]
    return np.asarray(turn @ place)


if __name__ == "__main__":
    sys.exit(main())
