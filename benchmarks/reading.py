"""Reading: what a slice, a slab, a curve and the second series cost, beside VTK's own slab.

    .venv/bin/python benchmarks/reading.py --ct CT [--out build/reading]

Every row is timed by turns with its peers. Prints a Markdown table: the median and the 95th
percentile of wall time, which neighbours on the machine lengthen, and the median of processor time
over all threads, which they hardly touch: half of it is what two idle cores need at best.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.imaging import StandardView, Volume, plane_through, read_volume, reslice_window
from ir_nav.imaging.curved import curved_line, curved_slice
from ir_nav.imaging.slab import Projection, Slab, compile_slabs, reslice_slab, sample_depths_mm

SIZE_PX = (800, 500)
MM_PER_PX = 0.64
THICK_MM = 10.0
SLICES = 300
# As the window samples a slab that is being dragged.
MOVING_STEP_MM = 1.25
OBLIQUE = ((1.0, 0.3, 0.2), (-0.2, 1.0, 0.5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    volume = read_volume(arguments.ct)
    compile_slabs()
    size = " x ".join(str(count) for count in volume.size_ijk)
    print(
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, CT {size}, "
        f"picture {SIZE_PX[0]} x {SIZE_PX[1]} px, slab {THICK_MM:g} mm\n"
    )
    print("| plane | what | samples | wall, median (ms) | wall, p95 (ms) | processor (ms) |")
    print("|---|---|---|---|---|---|")
    views: dict[str, tuple[Any, Any]] = {
        view.value: (view.right_ct, view.down_ct) for view in StandardView
    }
    views["oblique"] = OBLIQUE
    for name, (right, down) in views.items():
        show(name, *rows(volume, right, down), rounds=arguments.rounds)
    line = curved_line(
        volume.centre_ct_mm + np.array([[-60.0, 0, 0], [0, 30.0, 10], [60.0, 0, 40]]), 0.5
    )
    show(
        "curve",
        [("straightened, 60 mm wide", 1, lambda: curved_slice(volume, line, 60.0))],
        rounds=arguments.rounds,
    )
    stalls(volume)
    return 0


def stalls(volume: Volume) -> None:
    """How long painting a slice takes while the 3D thread casts rays through the CT."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from ir_nav.gui.app import application
    from ir_nav.gui.scene_records import CaseImages
    from ir_nav.gui.scene_request import Camera, SceneRequest, VolumeLook
    from ir_nav.gui.scene_thread import SceneThread
    from ir_nav.gui.slice_mouse import BrowsableSlice

    app = application()
    view = BrowsableSlice("CT axial", field_mm=MM_PER_PX * SIZE_PX[1])
    view.set_images(CaseImages(volume))
    view.resize(*SIZE_PX)
    view.show()
    print("\n| 3D | slice painted, median (ms) | p95 (ms) | longest (ms) | 3D picture (ms) |")
    print("|---|---|---|---|---|")
    for look in (None, VolumeLook.BONE, VolumeLook.SKIN):
        thread = SceneThread()
        times = []
        for number in range(SLICES):
            if look is not None:
                camera = Camera(azimuth_deg=float(number))
                thread.ask(
                    SceneRequest(1, camera=camera, size_px=(620, 440), volume=volume, look=look)
                )
            view.step(1 if number // 40 % 2 == 0 else -1)
            start = time.perf_counter()
            view.repaint()
            times.append((time.perf_counter() - start) * 1e3)
            app.processEvents()
            time.sleep(0.012)
        picture = thread.newest()
        thread.close()
        middle, late = statistics.median(times), np.percentile(times, 95)
        spent = "" if picture is None else f"{picture.render_ms:.0f}"
        name = "none" if look is None else look.value
        print(f"| {name} | {middle:.1f} | {late:.1f} | {max(times):.1f} | {spent} |")


Row = tuple[str, int, Callable[[], object]]


def rows(volume: Volume, right: Any, down: Any) -> tuple[list[Row]]:
    """What is timed on one plane."""
    plane = plane_through(volume.centre_ct_mm, right, down, MM_PER_PX, SIZE_PX).ct_from_view
    out = np.empty((SIZE_PX[1], SIZE_PX[0]), np.uint8)
    found: list[Row] = [
        ("slice", 1, lambda: reslice_window(volume, plane, SIZE_PX, 400.0, 40.0, out))
    ]
    for projection in Projection:
        slab = Slab(THICK_MM, projection)
        count = len(sample_depths_mm(volume, plane[:3, 2], slab))
        found.append(
            (
                f"{projection} {THICK_MM:g} mm",
                count,
                lambda slab=slab: reslice_slab(volume, plane, SIZE_PX, slab, 400.0, 40.0, out),  # type: ignore[misc]
            )
        )
    moving = len(sample_depths_mm(volume, plane[:3, 2], Slab(THICK_MM), MOVING_STEP_MM))
    found.append(
        (
            f"MIP {THICK_MM:g} mm while it moves",
            moving,
            lambda: reslice_slab(
                volume,
                plane,
                SIZE_PX,
                Slab(THICK_MM),
                400.0,
                40.0,
                out,
                least_step_mm=MOVING_STEP_MM,
            ),
        )
    )
    count = len(sample_depths_mm(volume, plane[:3, 2], Slab(THICK_MM)))
    found.append(("vtkImageReslice MIP (HU, no window)", count, vtk_slab(volume, plane, count)))
    return (found,)


def vtk_slab(volume: Volume, plane: np.ndarray, count: int) -> Callable[[], object]:
    """The same slab by vtkImageReslice, which gives HU and leaves the window to another filter."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkCommonMath import vtkMatrix4x4
    from vtkmodules.vtkImagingCore import vtkImageReslice

    image = vtkImageData()
    image.SetDimensions(*volume.size_ijk)
    image.GetPointData().SetScalars(numpy_to_vtk(volume.voxels.ravel(), deep=True))
    axes = vtkMatrix4x4()
    voxel_from_mm = volume.voxel_from_ct @ plane @ np.diag([1 / MM_PER_PX, 1 / MM_PER_PX, 1.0, 1.0])
    for row in range(4):
        for column in range(4):
            axes.SetElement(row, column, float(voxel_from_mm[row, column]))
    reslice = vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceAxes(axes)
    reslice.SetOutputDimensionality(2)
    reslice.SetOutputSpacing(MM_PER_PX, MM_PER_PX, THICK_MM / max(count - 1, 1))
    reslice.SetOutputOrigin(0.0, 0.0, 0.0)
    reslice.SetOutputExtent(0, SIZE_PX[0] - 1, 0, SIZE_PX[1] - 1, 0, 0)
    reslice.SetInterpolationModeToLinear()
    reslice.SetSlabModeToMax()
    reslice.SetSlabNumberOfSlices(count)

    def run() -> None:
        reslice.Modified()
        reslice.Update()

    return run


def show(name: str, found: list[Row], *, rounds: int) -> None:
    """Time the rows by turns, so that a busy moment falls on all of them."""
    times: list[list[tuple[float, float]]] = [[] for _ in found]
    for number in range(rounds + 2):
        for kept, (_, _, act) in zip(times, found, strict=True):
            start, spent = time.perf_counter(), time.process_time()
            act()
            if number >= 2:
                ended = time.perf_counter(), time.process_time()
                kept.append(((ended[0] - start) * 1e3, (ended[1] - spent) * 1e3))
    for kept, (what, count, _) in zip(times, found, strict=True):
        wall, spent = zip(*kept, strict=True)
        median, p95, processor = (
            statistics.median(wall),
            np.percentile(wall, 95),
            statistics.median(spent),
        )
        print(f"| {name} | {what} | {count} | {median:.1f} | {p95:.1f} | {processor:.1f} |")


if __name__ == "__main__":
    raise SystemExit(main())
