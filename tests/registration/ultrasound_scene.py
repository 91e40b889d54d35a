"""A liver with vessels, ribs and lung round it, swept with the room's B-mode simulator, which
shares no code with the registration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hw_mocks.anatomy import Anatomy, TissueMotion
from hw_mocks.bmode import BModeRenderer, ConvexGeometry
from ir_nav.geometry import FloatArray, apply, rigid, rigid_inverse, rotation_from_vector
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration.ultrasound.fan import ConvexFan
from ir_nav.registration.ultrasound.sweep import TrackedSweep

SPACING_MM = 2.0
SIZE = (110, 100, 110)  # i, j, k
NAMES = {0: "background", 1: "fat", 2: "liver", 3: "hepatic_vein", 4: "rib", 5: "lung_right"}
HU = np.array([-1000, -90, 100, 150, 700, -850])
GEOMETRY = ConvexGeometry(size_px=(480, 400), mm_per_px=0.42)
TARGET_CT_MM = np.array([-5.0, 10.0, 4.0])
CT_FROM_REFERENCE = rigid(rotation_from_vector([0.5, -0.7, 0.3]), [150.0, -80.0, 60.0])
FAN = ConvexFan(
    (float(GEOMETRY.apex_px[0]), float(GEOMETRY.apex_px[1])),
    (GEOMETRY.mm_per_px, GEOMETRY.mm_per_px),
    GEOMETRY.radius_mm,
    GEOMETRY.radius_mm + GEOMETRY.depth_mm,
    GEOMETRY.fov_deg / 2.0,
)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    ct: Volume
    labels: np.ndarray
    sweep: TrackedSweep

    def error_mm(self, ct_from_reference: FloatArray) -> float:
        """TRE at the target."""
        reference_mm = apply(rigid_inverse(CT_FROM_REFERENCE), TARGET_CT_MM)
        return float(np.linalg.norm(apply(ct_from_reference, reference_mm) - TARGET_CT_MM))


def make_scene(seed: int = 3, frames: int = 5) -> Scene:
    """`frames` from each of two windows, in front and from the right side."""
    anatomy = _anatomy(seed)
    renderer = BModeRenderer(anatomy, GEOMETRY, seed)
    poses = [*_fan_of_poses((0.0, -82.0, 0.0), 0.0, frames)]
    poses += [*_fan_of_poses((-88.0, 0.0, 0.0), -90.0, frames)]
    images = np.stack([renderer.render(pose, TissueMotion.rest(), None) for pose in poses])
    in_reference = np.stack([rigid_inverse(CT_FROM_REFERENCE) @ pose for pose in poses])
    volume = Volume(
        np.array(anatomy.hu), np.array(anatomy.ct_from_voxel), "blake2b:scene", VolumeInfo()
    )
    return Scene(volume, np.array(anatomy.labels), TrackedSweep(images, in_reference))


def start_off(by_mm: float, by_deg: float, seed: int) -> FloatArray:
    """The truth, pushed by so much at the target."""
    rng = np.random.default_rng(seed)
    way, axis = rng.normal(size=(2, 3))
    turn = rotation_from_vector(axis / np.linalg.norm(axis) * np.radians(by_deg))
    shift = TARGET_CT_MM - turn @ TARGET_CT_MM + way / np.linalg.norm(way) * by_mm
    return rigid(turn, shift) @ CT_FROM_REFERENCE


def _fan_of_poses(
    face_mm: tuple[float, float, float], turn_deg: float, count: int
) -> Iterator[FloatArray]:
    """ct_from_image, looking to the middle: lateral along x in front, y at the side."""
    about = rotation_from_vector([0.0, 0.0, np.radians(turn_deg)])
    for tilt_deg in np.linspace(-18.0, 18.0, count):
        tilt = rotation_from_vector([np.radians(tilt_deg), 0.0, np.radians(0.3 * tilt_deg)])
        yield rigid(about @ tilt, np.array(face_mm)) @ GEOMETRY.image_mm_from_px


def _anatomy(seed: int) -> Anatomy:
    rng = np.random.default_rng(seed)
    i, j, k = np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij")
    x, y, z = ((axis - (n - 1) / 2.0) * SPACING_MM for axis, n in zip((i, j, k), SIZE, strict=True))
    labels = np.zeros(SIZE, dtype=np.uint8)
    body = (x / 94.0) ** 2 + (y / 86.0) ** 2 < 1.0
    labels[body] = 1
    labels[(x / 78.0) ** 2 + (y / 66.0) ** 2 + ((z + 10.0) / 85.0) ** 2 < 1.0] = 2
    for _ in range(14):
        start, end = rng.uniform(-60.0, 60.0, (2, 3))
        points = np.linspace(start, end + rng.normal(0.0, 10.0, 3), 60)
        tube = np.zeros(SIZE, dtype=bool)
        at = np.rint(points / SPACING_MM + (np.array(SIZE) - 1) / 2.0).astype(int)
        tube[tuple(np.clip(at, 0, np.array(SIZE) - 1).T)] = True
        wide = ndimage.distance_transform_edt(~tube) * SPACING_MM < rng.uniform(2.5, 6.0)
        labels[wide & (labels == 2)] = 3
    shell = ((x / 84.0) ** 2 + (y / 76.0) ** 2 - 1.0) ** 2 < 0.004
    for height in (-52.0, -26.0, 30.0, 56.0):
        labels[shell & (np.abs(z - height - 0.15 * x) < 5.0)] = 4
    labels[body & (z > 62.0 - 0.006 * (x + 10.0) ** 2 - 0.006 * y**2) & (labels != 4)] = 5
    labels = np.ascontiguousarray(labels.transpose(2, 1, 0))
    hu = ndimage.gaussian_filter(HU[labels].astype(float), 0.6)
    hu += rng.normal(0.0, 10.0, hu.shape)
    ct_from_voxel = np.diag([SPACING_MM] * 3 + [1.0])
    ct_from_voxel[:3, 3] = -(np.array(SIZE) - 1) / 2.0 * SPACING_MM
    return Anatomy(np.rint(hu).astype(np.int16), labels, ct_from_voxel, NAMES)
