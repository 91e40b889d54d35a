"""Simulated fluoro of a real CT with a known pose, sharing no code with ir_nav's projector.

Line integrals of soft tissue and of bone come from `plastimatch drr` (exact Siddon), then a
spectrum, scatter, instruments, a collimator, quantum noise, the detector's blur and its
saturation are laid over them. They are kept in a folder, since rendering takes a second a view.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

SID_MM, SOD_MM = 1020.0, 700.0
SIZE_PX, PIXEL_MM = 512, 0.6
# Hubbell and Seltzer 2004 (NIST XCOM): water and cortical bone, cm2/g at 50, 60, 80 keV.
WATER = np.array([0.2269, 0.2059, 0.1837])
BONE = np.array([0.4242, 0.3148, 0.2229])
WATER_70, BONE_70 = 0.193, 0.26
SPECTRUM = np.array([0.35, 0.40, 0.25])
BONE_FROM_HU = 130.0
# Offsets of a region's middle from the CT's, mm (LPS): the field stays within the CT.
REGIONS = {
    "thorax": (0.0, -10.0, 45.0),
    "abdomen": (-25.0, -10.0, -42.0),
    "junction": (20.0, -10.0, 0.0),
}


class Kind(StrEnum):
    EASY = "easy"
    HARD = "hard"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """carm_from_ct: (4, 4), mm. soft, bone: (rows, columns) g/cm2 along each ray."""

    carm_from_ct: NDArray[np.float64]
    soft: NDArray[np.float32]
    bone: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Two views of one region, 75 to 100 degrees apart; centre_ct_mm (3,) is the region's."""

    region: str
    number: int
    centre_ct_mm: NDArray[np.float64]
    views: tuple[View, View]


def cases(
    ct: sitk.Image, folder: Path, region: str, numbers: range, program: str = "plastimatch"
) -> list[Case]:
    """The cases of a region, rendered when the folder does not hold them yet."""
    if shutil.which(program) is None:
        raise SystemExit(f"{program} is not installed: it renders the truth")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        materials = _materials(ct, Path(scratch))
        return [_case(ct, materials, folder, region, number, program) for number in numbers]


def _case(
    ct: sitk.Image, materials: list[Path], folder: Path, region: str, number: int, program: str
) -> Case:
    rng = np.random.default_rng([number, *region.encode()])
    middle = np.array(ct.TransformContinuousIndexToPhysicalPoint(
        [(size - 1) / 2.0 for size in ct.GetSize()]
    ))  # fmt: skip
    centre = middle + REGIONS[region] + rng.uniform(-12.0, 12.0, 3) * (1.0, 1.0, 0.4)
    turn = rng.uniform(-40.0, 40.0)
    turns = (turn, turn + (1 if turn < 0 else -1) * rng.uniform(75.0, 100.0))
    poses = [_pose(centre, angle, rng) for angle in turns]
    kept = folder / f"{region}-{number}.npz"
    if not kept.exists():
        drawn = [[_rendered(pose, path, program) for path in materials] for pose in poses]
        np.savez_compressed(kept, drawn=np.array(drawn, dtype=np.float32), poses=np.array(poses))
    stored = np.load(kept)
    if not np.allclose(stored["poses"], poses):
        raise SystemExit(f"{kept} holds other poses: empty the folder")
    views = [View(pose, *both) for pose, both in zip(poses, stored["drawn"], strict=True)]
    return Case(region, number, centre, (views[0], views[1]))


def _pose(
    centre: NDArray[np.float64], turn_deg: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """carm_from_ct: source behind the patient, turned about the body's axis, tilted a little."""
    upright = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
    turned = Rotation.from_rotvec([0.0, 0.0, turn_deg], degrees=True).as_matrix()
    tilt = Rotation.from_rotvec(rng.uniform(-8.0, 8.0, 3), degrees=True).as_matrix()
    pose = np.eye(4)
    pose[:3, :3] = tilt @ upright @ turned
    pose[:3, 3] = np.array([0.0, 0.0, SOD_MM + rng.uniform(-30.0, 30.0)]) - pose[:3, :3] @ centre
    return pose


def _materials(ct: sitk.Image, scratch: Path) -> list[Path]:
    """Densities in g/cm3 of soft tissue and of bone (cortical equivalent), as files."""
    hu = sitk.GetArrayFromImage(ct).astype(np.float32)
    over = np.clip(hu - BONE_FROM_HU, 0.0, None)
    parts = {
        "soft": np.clip(np.minimum(hu, BONE_FROM_HU) / 1000.0 + 1.0, 0.0, None),
        "bone": over / 1000.0 * WATER_70 / BONE_70,
    }
    parts["soft"][hu < -950.0] = 0.0
    paths = []
    for name, density in parts.items():
        image = sitk.GetImageFromArray(density.astype(np.float32))
        image.CopyInformation(ct)
        paths.append(scratch / f"{name}.mha")
        sitk.WriteImage(image, str(paths[-1]))
    return paths


def _rendered(pose: NDArray[np.float64], volume: Path, program: str) -> NDArray[np.float32]:
    """(rows, columns): plastimatch's line integral, value times cm."""
    rotation, source_ct = pose[:3, :3], -pose[:3, :3].T @ pose[:3, 3]
    isocentre = source_ct + rotation[2] * SOD_MM
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [
                program, "drr", "-i", "exact", "-P", "none", "-t", "pfm",
                "-n", _words(-rotation[2]), "--vup", _words(-rotation[1]),
                "-o", _words(isocentre), "--sad", str(SOD_MM), "--sid", str(SID_MM),
                "-r", f"{SIZE_PX} {SIZE_PX}",
                "-z", f"{SIZE_PX * PIXEL_MM} {SIZE_PX * PIXEL_MM}",
                "-O", f"{out}/drr", str(volume),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        data = next(Path(out).glob("*.pfm")).read_bytes().split(b"\n", 3)[3]
    return np.frombuffer(data, "<f4").reshape(SIZE_PX, SIZE_PX)


def _words(vector: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.9f}" for value in vector)


def frame(view: View, kind: Kind, seed: int) -> NDArray[np.uint16]:
    """(rows, columns) uint16, bright where little is absorbed."""
    rng = np.random.default_rng(seed)
    hard = kind is Kind.HARD
    passed = _spectral(view) if hard else np.exp(-(WATER_70 * view.soft + BONE_70 * view.bone))
    if hard:
        passed *= _instruments(rng)
    scatter = rng.uniform(0.1, 0.4) if hard else 0.1
    passed += scatter * ndimage.gaussian_filter(passed, 40.0 / PIXEL_MM)
    if hard:
        passed *= _collimator(rng)
    photons = rng.poisson(passed * (60_000.0 if hard else 200_000.0)).astype(np.float32)
    blurred = cv2.GaussianBlur(photons, (0, 0), 0.7)
    # The gain suits the tissue: what gets more light than that is cut off.
    top = np.percentile(blurred, 97.0 if hard else 99.95) * (0.9 if hard else 1.0)
    return np.clip(blurred / top * 4000.0, 0.0, 4095.0 if not hard else 4000.0).astype(np.uint16)


def _spectral(view: View) -> NDArray[np.float64]:
    """Three energies, bone absorbing 1.7 times what the CT's numbers say."""
    mu = (
        WATER[:, None, None] * view.soft + 1.7 * BONE_70 / BONE[1] * BONE[:, None, None] * view.bone
    )
    return np.asarray(np.einsum("e,erc->rc", SPECTRUM, np.exp(-mu)))


def _instruments(rng: np.random.Generator) -> NDArray[np.float32]:
    """The part that three needles or wires let through."""
    drawn = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for _ in range(3):
        middle, angle = rng.uniform(0.25, 0.75, 2) * SIZE_PX, rng.uniform(0.0, np.pi)
        half = rng.uniform(0.12, 0.3) * SIZE_PX * np.array([np.cos(angle), np.sin(angle)])
        ends = [tuple(int(v) for v in middle + sign * half) for sign in (-1, 1)]
        cv2.line(drawn, *ends, 1.0, int(rng.integers(2, 5)), cv2.LINE_AA)
    return np.exp(-2.5 * drawn)


def _collimator(rng: np.random.Generator) -> NDArray[np.float32]:
    """The part that two pairs of blades, a little turned, let through."""
    rows, columns = np.indices((SIZE_PX, SIZE_PX)) / SIZE_PX - 0.5
    angle = rng.uniform(-0.1, 0.1)
    across = columns * np.cos(angle) + rows * np.sin(angle)
    along = rows * np.cos(angle) - columns * np.sin(angle)
    left, right, top, bottom = rng.uniform(0.36, 0.5, 4)
    inside = (across > -left) & (across < right) & (along > -top) & (along < bottom)
    return np.asarray(np.where(inside, 1.0, 0.01), dtype=np.float32)
