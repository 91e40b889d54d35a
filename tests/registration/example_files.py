"""The files of the worked examples in docs/registration-*.md.

`python -m tests.registration.example_files FOLDER` makes FOLDER/landmarks, surface, ultrasound and,
where the chest CT of tests/data.py is there, fluoro.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav.geometry import FloatArray
from tests.registration.fluoro_scene import off_by, scene
from tests.registration.surfaces_made import meshed, pushed, swiped, torso
from tests.registration.test_surface_files import CT_FROM_REFERENCE, points_file, write_mesh
from tests.registration.test_ultrasound_registration import write_inputs
from tests.registration.ultrasound_scene import make_scene, start_off

CT = {
    "xiphoid": [0, -95, 40], "right rib 10": [-110, -40, -30], "left rib 10": [112, -38, -28],
    "navel": [2, -105, -120], "right flank": [-150, 10, -90],
}  # fmt: skip
TOUCHED = {
    "xiphoid": [-107.52, -84.74, -603.05], "right rib 10": [-72.6, 2.14, -708.35],
    "left rib 10": [-87.24, -213.89, -664.08], "navel": [-171.54, -112.11, -747.53],
    "right flank": [-41.82, 23.96, -789.7],
}  # fmt: skip
FLUORO_START = (35.0, -40.0, 25.0), (18.0, -14.0, 20.0)


def landmark_files(folder: Path) -> None:
    for name, points in (("ct.json", CT), ("touched.json", TOUCHED)):
        (folder / name).write_text(json.dumps(points))


def surface_files(folder: Path) -> None:
    points_ct_mm = swiped(torso, 400, seed=1)
    write_mesh(folder / "skin.ply", meshed(torso))
    points_file(folder / "swipe.csv", points_ct_mm)
    start = pushed(points_ct_mm.mean(axis=0), 25.0, 15.0, 3) @ CT_FROM_REFERENCE
    _write_start(folder / "start.json", "ct_from_reference", start)


def ultrasound_files(folder: Path) -> None:
    write_inputs(folder, make_scene(), start_off(12.0, 6.0, 5))


def fluoro_files(folder: Path) -> None:
    made = scene()
    for name, frame in zip(("ap", "lat"), made.frames, strict=True):
        image = sitk.GetImageFromArray(frame.image.astype(np.uint16))
        sitk.WriteImage(image, str(folder / f"{name}.mha"))
        pinhole = frame.view.geometry
        document = {
            "format": 1,
            "sid_mm": pinhole.sid_mm,
            "pixel_mm": pinhole.pixel_mm,
            "size_px": pinhole.size_px,
            "principal_px": pinhole.principal_px,
            "carm_from_world": frame.view.carm_from_world.tolist(),
            "pixels": str(frame.view.pixels),
        }
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2))
    _write_start(folder / "start.json", "world_from_ct", off_by(*FLUORO_START))


def _write_start(path: Path, key: str, matrix: FloatArray) -> None:
    path.write_text(json.dumps({key: np.asarray(matrix).tolist()}, indent=2))


def main(folder: Path) -> None:
    makers = {
        "landmarks": landmark_files,
        "surface": surface_files,
        "ultrasound": ultrasound_files,
        "fluoro": fluoro_files,
    }
    for name, make in makers.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        try:
            make(folder / name)
        except pytest.skip.Exception as reason:
            sys.stdout.write(f"{folder / name}: left out: {reason}\n")
        else:
            sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
