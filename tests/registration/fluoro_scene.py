"""Frames of a real chest that share no code with the projector, and starts beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ir_nav.geometry import (
    CArmGeometry,
    apply,
    rigid,
    rigid_inverse,
    rotation_from_vector,
)
from ir_nav.imaging import Volume, read_volume
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.registration import fluoro_attenuations
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels
from tests.data import data_path
from tests.registration.siddon import exact_integrals

Floats = NDArray[np.float64]

SIZE, PITCH_MM = 84, 3.6
GEOMETRY = CArmGeometry(
    1020.0, (PITCH_MM, PITCH_MM), (SIZE, SIZE), ((SIZE - 1) / 2, (SIZE - 1) / 2)
)
CENTRE_CT_MM = np.array([5.0, 0.0, -205.0])
WORLD_FROM_CT = rigid(rotation_from_vector(np.array([0.3, -0.8, 0.4])), [90.0, -40.0, 210.0])
BOX = (np.indices((3, 3, 3)).reshape(3, 27).T / 2.0 - 0.5) * 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """attenuations: of the CT. frames: two views, 85 degrees apart, with known world poses."""

    volume: Volume
    attenuations: tuple[Attenuation, ...]
    frames: tuple[FluoroFrame, FluoroFrame]


@cache
def scene() -> Scene:
    volume = read_volume(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"))
    frames = frame(volume, 12.0, 1), frame(volume, -73.0, 2)
    return Scene(volume, fluoro_attenuations(volume), frames)


def carm_from_ct(turn_deg: float) -> Floats:
    """The source behind the patient, turned about the body's axis and tilted by a few degrees."""
    upright = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
    turned = rotation_from_vector(np.radians([3.0, -2.0, turn_deg]))
    rotation = upright @ turned
    return rigid(rotation, np.array([0.0, 0.0, 700.0]) - rotation @ CENTRE_CT_MM)


def frame(volume: Volume, turn_deg: float, seed: int) -> FluoroFrame:
    """Harder bone, scatter, noise, a needle, blades and saturation over exact line integrals."""
    rng = np.random.default_rng(seed)
    hu = volume.voxels.astype(np.float32)
    per_mm = np.where(hu < -950, 0.0, 0.0195 * (1.0 + hu / 1000.0 + np.maximum(hu - 100, 0) / 2500))
    pose = carm_from_ct(turn_deg)
    v, u = np.indices((SIZE, SIZE)).reshape(2, -1)
    sums = exact_integrals(
        per_mm.astype(np.float32), volume.ct_from_voxel, GEOMETRY, pose, np.stack([u, v], axis=1)
    )
    passed = np.exp(-sums.reshape(SIZE, SIZE))
    passed += 0.2 * ndimage.gaussian_filter(passed, 11.0)
    passed[30:33, 20:60] *= 0.2
    passed[:8] *= 0.02
    passed[:, -9:] *= 0.02
    counts = rng.poisson(passed * 5e5)
    top = np.percentile(counts, 97.0)
    image = np.clip(counts / top * 3000.0, 0.0, 3000.0).astype(np.float32)
    carm_from_world = pose @ rigid_inverse(WORLD_FROM_CT)
    return FluoroFrame(CArmView(GEOMETRY, carm_from_world, Pixels.INTENSITY), image)


def off_by(shift_mm: tuple[float, float, float], turn_deg: tuple[float, float, float]) -> Floats:
    """world_from_ct, moved and turned about the middle of the field."""
    turn = rotation_from_vector(np.radians(turn_deg))
    about = rigid(turn, CENTRE_CT_MM + shift_mm - turn @ CENTRE_CT_MM)
    return np.asarray(WORLD_FROM_CT @ about)


def mtre_mm(world_from_ct: Floats) -> float:
    """Mean error over a box of 100 mm about the middle of the field."""
    points = BOX + CENTRE_CT_MM
    return float(
        np.linalg.norm(apply(world_from_ct, points) - apply(WORLD_FROM_CT, points), axis=1).mean()
    )


def mpd_mm(world_from_ct: Floats, view: CArmView) -> float:
    """Mean distance of the true points from the rays on which they are shown."""
    points, source = BOX + CENTRE_CT_MM, rigid_inverse(view.carm_from_world)[:3, 3]
    shown = apply(world_from_ct, points) - source
    shown /= np.linalg.norm(shown, axis=1)[:, None]
    true = apply(WORLD_FROM_CT, points) - source
    across = true - shown * np.sum(true * shown, axis=1)[:, None]
    return float(np.linalg.norm(across, axis=1).mean())


def along_ray_mm(world_from_ct: Floats, view: CArmView) -> float:
    """Signed error of the field's middle along the first view's ray."""
    source = rigid_inverse(view.carm_from_world)[:3, 3]
    true = apply(WORLD_FROM_CT, CENTRE_CT_MM)
    ray = (true - source) / np.linalg.norm(true - source)
    return float((apply(world_from_ct, CENTRE_CT_MM) - true) @ ray)
