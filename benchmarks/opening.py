"""Opening a CT series: this console beside SimpleITK and a plain pydicom loop.

    .venv/bin/python benchmarks/opening.py SERIES.zip --runs 5

SERIES.zip holds one DICOM CT series. Every run is a process of its own, libraries imported and
files in the page cache; contenders take turns. Time: from the call to the whole volume in HU with
its geometry, and for this console on to the first slice drawn; beside it the processor time, which
other programs on the machine hardly change. Memory: the process's peak.
SimpleITK reads no zip: it is unpacked first, in its time. Compressed: the same series in JPEG 2000
lossless and JPEG-LS lossless.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

READERS = ("console", "console: first slice", "SimpleITK, scan", "SimpleITK, sorted", "pydicom")

SOURCES = ("zip", "folder", "JPEG 2000", "JPEG-LS")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path, help="zip of one DICOM CT series")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sources", nargs="+", default=SOURCES, choices=SOURCES)
    parser.add_argument("--one", nargs=2, metavar=("READER", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.one[0], Path(options.one[1]))))
        return 0
    with tempfile.TemporaryDirectory() as made:
        sources = prepare(options.series, Path(made))
        print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        print("| source | reader | median (s) | runs (s) | × console | processor (s) | peak (MB) |")
        print("|---|---|---|---|---|---|---|")
        for source in options.sources:
            show(source, sources[source], options.series, options.runs)
        print(f"\nload average {os.getloadavg()[0]:.1f}")
    return 0


def prepare(series: Path, folder: Path) -> dict[str, Path]:
    """The series as a zip, a folder and compressed folders."""
    import pydicom
    from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

    plain = folder / "plain"
    with zipfile.ZipFile(series) as archive:
        archive.extractall(plain)
    found = {"zip": series, "folder": plain}
    for name, syntax in (("JPEG 2000", JPEG2000Lossless), ("JPEG-LS", JPEGLSLossless)):
        packed = folder / name.replace(" ", "")
        packed.mkdir()
        for number, path in enumerate(files(plain)):
            data = pydicom.dcmread(path)
            data.compress(syntax, generate_instance_uid=False)
            data.save_as(packed / f"IM{number:04d}.dcm")
        found[name] = packed
    return found


def show(source: str, path: Path, series: Path, runs: int) -> None:
    times: dict[str, list[float]] = {reader: [] for reader in READERS}
    busy: dict[str, list[float]] = {reader: [] for reader in READERS}
    peaks: dict[str, list[float]] = {reader: [] for reader in READERS}
    totals: set[int] = set()
    for run in range(runs + 1):
        for reader in READERS:
            command = [sys.executable, __file__, str(series), "--one", reader, str(path)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds, busy_s, peak_mb, total = json.loads(said.splitlines()[-1])
            totals.add(total)
            # The first round fills the page cache.
            if run:
                times[reader].append(seconds)
                busy[reader].append(busy_s)
                peaks[reader].append(peak_mb)
    if len(totals) != 1:
        raise SystemExit(f"{source}: the readers disagree on the voxels: {totals}")
    console = statistics.median(times["console"])
    for reader in READERS:
        median = statistics.median(times[reader])
        listed = ", ".join(f"{value:.2f}" for value in times[reader])
        peak = statistics.median(peaks[reader])
        ratio = f"{median / console:.2f}"
        worked = f"{statistics.median(busy[reader]):.2f}"
        print(
            f"| {source} | {reader} | {median:.2f} | {listed} | {ratio} | {worked} | {peak:.0f} |"
        )


def measure(reader: str, path: Path) -> tuple[float, float, float, int]:
    """Seconds, processor seconds, peak MB and a sum of voxels of one reading in this process."""
    work = {
        "console": console,
        "console: first slice": first_slice,
        "SimpleITK, scan": simpleitk_scan,
        "SimpleITK, sorted": simpleitk_sorted,
        "pydicom": pydicom_loop,
    }[reader]
    run = work(path)
    began, began_busy = time.perf_counter(), time.process_time()
    total = run()
    seconds, busy_s = time.perf_counter() - began, time.process_time() - began_busy
    return seconds, busy_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0, total


def summed(voxels: np.ndarray) -> int:
    """By which all readers are held to one result; padding below air is theirs to keep."""
    return int(np.maximum(voxels[::7, ::7, ::7].astype(int), -1024).sum())


def console(path: Path) -> Callable[[], int]:
    from ir_nav.imaging import read_volume

    return lambda: summed(read_volume(path).voxels)


def first_slice(path: Path) -> Callable[[], int]:
    from ir_nav.imaging import compile_kernels, plane_through, read_volume, reslice_window

    compile_kernels()
    right, down = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)

    def run() -> int:
        volume = read_volume(path)
        plane = plane_through(volume.centre_ct_mm, right, down, 0.7, (800, 500))
        reslice_window(volume, plane.ct_from_view, (800, 500), 400.0, 40.0)
        return summed(volume.voxels)

    return run


def simpleitk_scan(path: Path) -> Callable[[], int]:
    return lambda: simpleitk(path, scan=True)


def simpleitk_sorted(path: Path) -> Callable[[], int]:
    return lambda: simpleitk(path, scan=False)


def simpleitk(path: Path, *, scan: bool) -> int:
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as made:
        folder = unpacked(path, Path(made))
        reader = sitk.ImageSeriesReader()
        if scan:
            inside = files(folder)[0].parent
            uids = reader.GetGDCMSeriesIDs(str(inside))
            names = reader.GetGDCMSeriesFileNames(str(inside), uids[0])
        else:
            names = [str(name) for name in by_position(files(folder))]
        reader.SetFileNames(names)
        image = reader.Execute()
        return summed(sitk.GetArrayViewFromImage(image))


def by_position(paths: list[Path]) -> list[Path]:
    """As a program does that knows its series: z from each header alone."""
    import pydicom

    def z(path: Path) -> float:
        head = pydicom.dcmread(
            path, specific_tags=["ImagePositionPatient"], stop_before_pixels=True
        )
        return float(head.ImagePositionPatient[2])

    return sorted(paths, key=z)


def pydicom_loop(path: Path) -> Callable[[], int]:
    import pydicom

    def run() -> int:
        with tempfile.TemporaryDirectory() as made:
            slices = [pydicom.dcmread(name) for name in files(unpacked(path, Path(made)))]
            slices.sort(key=lambda data: float(data.ImagePositionPatient[2]))
            hu = [data.pixel_array * data.RescaleSlope + data.RescaleIntercept for data in slices]
            return summed(np.stack(hu).astype(np.int16))

    return run


def unpacked(path: Path, into: Path) -> Path:
    if path.is_dir():
        return path
    with zipfile.ZipFile(path) as archive:
        archive.extractall(into)
    return into


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
