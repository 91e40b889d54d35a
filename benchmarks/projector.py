"""Our projector beside plastimatch, ITK, RTK and DiffDRR, on a real CT, in one run.

    .venv/bin/python benchmarks/projector.py --ct CT [--peers PYTHON] [--plastimatch PROGRAM]
        [--repeats N] [--without itk rtk diffdrr]

View: source-detector 1020 mm, source-isocentre 700 mm, the tube at the patient's back, a
detector of 400 mm at 128, 256 and 512 pixels. --peers names an interpreter with itk-rtk,
itk-twoprojectionregistration and diffdrr (benchmarks/projector_peers.py says which call of
each); without it, or without plastimatch, those rows are left out. Every projector gets the same
attenuation, without the table. Errors are against plastimatch `exact` (Siddon, every voxel of the
full CT): mean absolute over the image's maximum. Ours runs on the processor, and on an NVIDIA GPU
as well where there is one. Prints Markdown. Nothing else should run
meanwhile: the load average is shown, and the processor's time of all threads stands beside the
wall's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ir_nav.geometry import CArmGeometry
from ir_nav.imaging import body_mask, read_volume
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation, prepare_attenuation
from ir_nav.registration.fluoro.carm_angles import CArmAngles, carm_from_ct
from ir_nav.registration.fluoro.projector import project, project_poses
from ir_nav.registration.fluoro.projector_device import VARIABLE

SID_MM, SOURCE_MM, FIELD_MM = 1020.0, 700.0, 400.0
SIZES = (128, 256, 512)
LIMITS_MS = {128: 2.0, 256: 8.0, 512: 30.0}
OURS_REPEATS = 31
OTHER_ANGLES = ((0.0, 0.0), (45.0, 0.0), (90.0, 0.0), (30.0, 30.0), (-20.0, -15.0))
PEERS = {
    "itk": "ITK Siddon-Jacobs",
    "rtk": "RTK Joseph",
    "diffdrr": "DiffDRR trilinear, 250 points a ray",
}
Seconds = tuple[float, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--peers", type=Path, help="interpreter that has the peers")
    parser.add_argument("--plastimatch", default="plastimatch")
    parser.add_argument("--repeats", type=int, default=5, help="of the peers")
    parser.add_argument("--without", nargs="*", choices=tuple(PEERS), default=())
    options = parser.parse_args()
    volume = read_volume(options.ct)
    body = body_mask(volume)
    grids = {step: prepare_attenuation(volume, step, body) for step in (None, 2.0, 4.0)}
    prepared = [timed(lambda: prepare_attenuation(volume, 2.0, body)) for _ in range(5)]
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {volume.size_ijk} voxels")
    print(f"prepared at 2 mm, mask given: {1e3 * statistics.median(s for s, _ in prepared):.0f} ms")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        written(grids[None], folder)
        # Coarser grids end a part of a voxel later: all look at the middle of the finest.
        isocentre = grids[None].centre_ct_mm
        exact = {}
        rows: list[tuple[str, int, list[Seconds], np.ndarray]] = []
        if shutil.which(options.plastimatch) is None:
            print("plastimatch is not installed: no exact reference, no errors")
        else:
            for size in SIZES:
                seconds, frame = plastimatch(
                    options.plastimatch, folder, size, (0.0, 0.0), options.repeats
                )
                exact[size] = frame
                rows.append(("plastimatch exact", size, seconds, frame))
        rows += peers(options.peers, folder, options.repeats, options.without)
        for place in places(grids[4.0], isocentre):
            os.environ[VARIABLE] = place
            for step, grid in grids.items():
                name = "the CT's own voxels" if step is None else f"{step:.0f} mm voxels"
                name = f"here, {name}" if place == "cpu" else f"here, {name}, GPU"
                rows += [(name, size, *ours(grid, isocentre, size)) for size in SIZES]
        os.environ[VARIABLE] = "cpu"
        table(rows, exact)
        population(grids[4.0], isocentre)
        if exact:
            aslant(options.plastimatch, folder, grids)
    return 0


def timed(work: Callable[[], object]) -> Seconds:
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def view(size: int) -> CArmGeometry:
    pitch, middle = FIELD_MM / size, (size - 1) / 2.0
    return CArmGeometry(SID_MM, (pitch, pitch), (size, size), (middle, middle))


def written(native: Attenuation, folder: Path) -> None:
    """The attenuation at full resolution, about the isocentre, for the others."""
    per_mm = native.levels.astype(np.float32) * np.float32(native.per_mm)
    np.save(folder / "volume.npy", per_mm)
    image = sitk.GetImageFromArray(per_mm)
    spacing = np.array(native.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((-(np.array(image.GetSize()) - 1) / 2.0 * spacing).tolist())
    sitk.WriteImage(image, str(folder / "volume.mha"))
    facts = {
        "spacing_mm": native.spacing_mm,
        "source_mm": SOURCE_MM,
        "sid_mm": SID_MM,
        "field_mm": FIELD_MM,
        "sizes": SIZES,
    }
    (folder / "view.json").write_text(json.dumps(facts))


def plastimatch(
    program: str, folder: Path, size: int, angles: tuple[float, float], repeats: int = 1
) -> tuple[list[Seconds], np.ndarray]:
    """Its own account of its time, less reading and writing (the processor's holds both)."""
    rotation = carm_from_ct(CArmAngles(*angles), np.zeros(3), SOURCE_MM)[:3, :3]
    command = [
        program, "drr", "-i", "exact", "-P", "none", "-t", "pfm", "-r", f"{size} {size}",
        "-n", words(-rotation[2]), "--vup", words(-rotation[1]), "-o", "0 0 0",
        "--sad", str(SOURCE_MM), "--sid", str(SID_MM), "-z", f"{FIELD_MM} {FIELD_MM}",
        "-O", str(folder / "exact"), str(folder / "volume.mha"),
    ]  # fmt: skip
    seconds = []
    for _ in range(repeats):
        used = children_s()
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        io, total = (float(re.search(rf"{name} time: ([0-9.e-]+)", said)[1])  # type: ignore[index]
                     for name in ("I/O", "Total"))  # fmt: skip
        seconds.append((total - io, children_s() - used))
    data = (folder / "exact0000.pfm").read_bytes().split(b"\n", 3)[3]
    frame = np.frombuffer(data, "<f4").reshape(size, size) * 10.0
    return seconds, frame


def children_s() -> float:
    """Processor seconds of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def words(vector: np.ndarray) -> str:
    return " ".join(f"{value:.12f}" for value in vector)


def peers(
    interpreter: Path | None, folder: Path, repeats: int, without: Sequence[str]
) -> list[tuple[str, int, list[Seconds], np.ndarray]]:
    rows = []
    script = Path(__file__).with_name("projector_peers.py")
    for name, title in PEERS.items():
        if interpreter is None:
            print(f"{title}: left out, no interpreter given with --peers")
            continue
        if name in without:
            print(f"{title}: left out, as asked for")
            continue
        done = subprocess.run(
            [interpreter, script, name, folder, str(repeats)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(f"{title}: left out: {done.stderr.strip().splitlines()[-1:]}")
            continue
        times = json.loads((folder / f"{name}.json").read_text())
        rows += [
            (title, size, times[str(size)], np.load(folder / f"{name}-{size}.npy"))
            for size in SIZES
        ]
    return rows


def places(grid: Attenuation, isocentre: np.ndarray) -> list[str]:
    """Where our projector can draw on this machine."""
    os.environ[VARIABLE] = "cuda"
    try:
        project(grid, view(64), carm_from_ct(CArmAngles(0.0, 0.0), isocentre, SOURCE_MM))
    except RegistrationError as error:
        print(f"GPU: left out: {error}")
        return ["cpu"]
    return ["cpu", "cuda"]


def ours(grid: Attenuation, isocentre: np.ndarray, size: int) -> tuple[list[Seconds], np.ndarray]:
    pose = carm_from_ct(CArmAngles(0.0, 0.0), isocentre, SOURCE_MM)
    geometry = view(size)
    frame = project(grid, geometry, pose)
    return [timed(lambda: project(grid, geometry, pose, frame)) for _ in range(OURS_REPEATS)], frame


def table(
    rows: list[tuple[str, int, list[Seconds], np.ndarray]], exact: dict[int, np.ndarray]
) -> None:
    best = {
        size: statistics.median(s for s, _ in seconds)
        for name, size, seconds, _ in rows
        if name == "here, 2 mm voxels"
    }
    print("\n| projector | px | median ms | best ms | processor ms | times as long | error % |")
    print("|---|---|---|---|---|---|---|")
    for name, size, seconds, frame in rows:
        wall = [s for s, _ in seconds]
        used = statistics.median(cpu for _, cpu in seconds)
        error = 100.0 * off(frame, exact[size]) if size in exact else float("nan")
        print(
            f"| {name} | {size} | {1e3 * statistics.median(wall):.1f} | {1e3 * min(wall):.1f} | "
            f"{1e3 * used:.1f} | "
            f"{statistics.median(wall) / best[size]:.1f} | {error:.2f} |"
        )
    print("\nlimits: " + ", ".join(f"{size} px {ms:g} ms" for size, ms in LIMITS_MS.items()))


def off(frame: np.ndarray, exact: np.ndarray) -> float:
    """Mean absolute difference over the maximum."""
    return float(np.abs(frame - exact).mean() / exact.max())


def population(grid: Attenuation, isocentre: np.ndarray) -> None:
    geometry = view(64)
    rng = np.random.default_rng(1)
    poses = np.array([
        carm_from_ct(CArmAngles(*rng.uniform(-30.0, 30.0, 2)), isocentre, SOURCE_MM)
        for _ in range(200)
    ])  # fmt: skip
    frames = project_poses(grid, geometry, poses)
    seconds = [timed(lambda: project_poses(grid, geometry, poses, frames)) for _ in range(9)]
    wall = statistics.median(s for s, _ in seconds)
    used = statistics.median(cpu for _, cpu in seconds)
    print(
        f"\n200 poses at 64 px, 4 mm voxels, in one call: {1e3 * wall:.0f} ms, {200 / wall:.0f} "
        f"frames a second; processor {1e3 * used / 200:.2f} ms a frame"
    )


def aslant(program: str, folder: Path, grids: dict[float | None, Attenuation]) -> None:
    print("\n| view (256 px) | own voxels % | 2 mm % | 4 mm % |\n|---|---|---|---|")
    for angles in OTHER_ANGLES:
        exact = plastimatch(program, folder, 256, angles)[1]
        pose = carm_from_ct(CArmAngles(*angles), grids[None].centre_ct_mm, SOURCE_MM)
        errors = [off(project(grid, view(256), pose), exact) for grid in grids.values()]
        print(f"| {CArmAngles(*angles)} | " + " | ".join(f"{100 * e:.2f}" for e in errors) + " |")


if __name__ == "__main__":
    raise SystemExit(main())
