"""A digital torso from a seed: a contrast CT of lower chest and abdomen with its label map."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from hw_mocks import torso_organs, torso_vessels, torso_wall
from hw_mocks.anatomy import Anatomy
from hw_mocks.skin import place_fiducials, skin_mask, skin_normal
from hw_mocks.torso_shapes import LABELS, ORIGIN_MM, SPACING_MM, Canvas, new_canvas
from ir_nav.geometry import FloatArray, read_only

TORSO_VERSION = 1
NOISE_HU = 11.0
BEAD_DIAMETER_MM = 3.0
BEAD_HU = 1500.0
FIDUCIAL_COUNT = 6


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """The patient and the centres (6, 3) of the radio-opaque beads on the skin; mm LPS."""

    anatomy: Anatomy
    fiducials_ct_mm: FloatArray


@dataclass(frozen=True, slots=True)
class TorsoFiles:
    """The torso on disk, as a console would get it."""

    ct: Path
    labels: Path
    names_csv: Path
    fiducials: Path


def generate_torso(seed: int) -> Torso:
    """Draw the torso: 240 x 170 x 200 voxels of 1.5 mm, the same for the same seed.

    Shapes are analytic solids and tubes on a grid bent by smooth noise (domain warping, after
    Perlin 1985); CT numbers are blurred by half a voxel and carry correlated noise.
    """
    canvas = new_canvas(seed)
    wall = torso_wall.draw_wall(canvas)
    torso_wall.draw_back(canvas)
    torso_wall.draw_spine(canvas)
    torso_wall.draw_ribs(canvas)
    above = torso_organs.draw_chest(canvas, wall)
    torso_organs.draw_liver(canvas, wall, above)
    torso_organs.draw_spleen_and_stomach(canvas, wall, above)
    torso_organs.draw_kidneys(canvas)
    torso_organs.draw_great_vessels(canvas)
    torso_organs.draw_pancreas_and_gallbladder(canvas)
    torso_vessels.draw_liver_vessels(canvas)
    torso_vessels.draw_lung_vessels(canvas)
    torso_organs.draw_bowel(canvas)
    torso_organs.draw_mesentery(canvas)
    torso_organs.draw_targets(canvas)
    _develop(canvas)
    return _with_beads(canvas)


def _develop(canvas: Canvas) -> None:
    """Partial volume and noise, as a soft-tissue kernel leaves them."""
    sharp = ndimage.gaussian_filter(canvas.hu, 0.55, truncate=3.0)
    grain = canvas.rng.standard_normal(canvas.hu.shape, dtype=np.float32)
    grain = ndimage.gaussian_filter(grain, (0.5, 0.75, 0.75), truncate=3.0)
    grain *= np.float32(NOISE_HU / grain.std())
    canvas.hu = np.clip(sharp + grain, -1024.0, 3000.0)


def _anatomy(canvas: Canvas) -> Anatomy:
    ct_from_voxel = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    ct_from_voxel[:3, 3] = ORIGIN_MM
    names = {label: name for name, label in LABELS.items()}
    hu = np.rint(canvas.hu).astype(np.int16)
    return Anatomy(hu, canvas.labels.copy(), ct_from_voxel, names)


def _with_beads(canvas: Canvas) -> Torso:
    bare = _anatomy(canvas)
    points = place_fiducials(bare, bare.centroid_ct_mm("lesion"), FIDUCIAL_COUNT)
    mask = skin_mask(bare)
    centres = np.array([p + 0.5 * BEAD_DIAMETER_MM * skin_normal(bare, p, mask) for p in points])
    for centre in centres:
        _draw_bead(canvas, centre)
    return Torso(_anatomy(canvas), read_only(centres))


def _draw_bead(canvas: Canvas, centre_mm: FloatArray) -> None:
    index = (centre_mm - ORIGIN_MM) / SPACING_MM
    low = np.floor(index).astype(int) - 2
    share = _ball_share(index - low, 0.5 * BEAD_DIAMETER_MM / SPACING_MM)
    spans = tuple(slice(low[axis], low[axis] + 6) for axis in (2, 1, 0))
    canvas.hu[spans] += share * (BEAD_HU - canvas.hu[spans])
    canvas.labels[spans][share > 0.5] = LABELS["fiducial"]


def _ball_share(centre: FloatArray, radius: float) -> FloatArray:
    """How much of each voxel of a (6, 6, 6) block a ball fills, by 5^3 sub-samples."""
    fine = (np.arange(30) + 0.5) / 5.0 - 0.5
    square = (
        (fine[:, None, None] - centre[2]) ** 2
        + (fine[None, :, None] - centre[1]) ** 2
        + (fine[None, None, :] - centre[0]) ** 2
    )
    inside = (square < radius * radius).reshape(6, 5, 6, 5, 6, 5)
    return np.asarray(inside.mean(axis=(1, 3, 5)))


def cached_torso(cache_dir: Path, seed: int) -> TorsoFiles:
    """The torso's files below `cache_dir`, generated once per seed and version.

    ct.nrrd and labels.nrrd (uncompressed, LPS), labels.csv (id, structure), fiducials.json
    ({"fiducials_ct_mm": [[x, y, z], ...]}). A folder appears whole or not at all.
    """
    folder = cache_dir / f"torso-v{TORSO_VERSION}-seed{seed}"
    if not folder.is_dir():
        cache_dir.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".torso-", dir=cache_dir))
        try:
            _write(generate_torso(seed), scratch)
            _publish(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return _files(folder)


def _publish(scratch: Path, folder: Path) -> None:
    try:
        os.replace(scratch, folder)
    except OSError:
        if not folder.is_dir():  # else another process was quicker with the same torso
            raise


def _files(folder: Path) -> TorsoFiles:
    return TorsoFiles(
        folder / "ct.nrrd", folder / "labels.nrrd", folder / "labels.csv", folder / "fiducials.json"
    )


def _write(torso: Torso, folder: Path) -> None:
    import SimpleITK as sitk

    files = _files(folder)
    anatomy = torso.anatomy
    for array, path in ((anatomy.hu, files.ct), (anatomy.labels, files.labels)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([float(mm) for mm in anatomy.spacing_mm])
        image.SetOrigin([float(mm) for mm in anatomy.ct_from_voxel[:3, 3]])
        sitk.WriteImage(image, str(path), useCompression=False)
    with files.names_csv.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "structure"])
        writer.writerows(anatomy.names.items())
    positions = {"fiducials_ct_mm": torso.fiducials_ct_mm.round(3).tolist()}
    files.fiducials.write_text(json.dumps(positions, indent=1), encoding="utf-8")
