"""A back with vertebrae and ribs under muscle, swept with the room's B-mode simulator, which
shares no code with the registration. Where it lies is that of `ultrasound_scene`."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hw_mocks.anatomy import Anatomy, TissueMotion
from hw_mocks.bmode import BModeRenderer
from ir_nav.geometry import FloatArray, rigid, rigid_inverse, rotation_from_vector
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration.ultrasound.sweep import TrackedSweep
from tests.registration.ultrasound_scene import CT_FROM_REFERENCE, GEOMETRY, SPACING_MM, Scene

SIZE = (100, 65, 100)  # i, j, k
NAMES = {0: "background", 1: "muscle", 2: "vertebrae", 3: "rib"}
HU = np.array([-1000, 55, 600, 650])
SKIN_MM, LEVELS_MM = 60.0, (-62.0, -31.0, 2.0, 30.0, 63.0)


def make_bone_scene(seed: int = 5, frames: int = 8) -> Scene:
    """`frames` along the spine from straight behind, and as many from each side."""
    anatomy = _anatomy(seed)
    renderer = BModeRenderer(anatomy, GEOMETRY, seed)
    poses = [
        _face(turn_deg, along_mm) @ GEOMETRY.image_mm_from_px
        for turn_deg in (0.0, 28.0, -28.0)
        for along_mm in np.linspace(-38.0, 38.0, frames)
    ]
    images = np.stack([renderer.render(pose, TissueMotion.rest(), None) for pose in poses])
    in_reference = np.stack([rigid_inverse(CT_FROM_REFERENCE) @ pose for pose in poses])
    volume = Volume(
        np.array(anatomy.hu), np.array(anatomy.ct_from_voxel), "blake2b:back", VolumeInfo()
    )
    return Scene(volume, np.array(anatomy.labels), TrackedSweep(images, in_reference))


def _face(turn_deg: float, along_mm: float) -> FloatArray:
    """The probe's face on the back, its beam to the front: lateral to the left, turned about the
    body's long axis and shifted along it."""
    # y of the face runs into the body, which is to the front here.
    into = rotation_from_vector([0.0, 0.0, np.pi + np.radians(turn_deg)])
    out = np.array([np.sin(np.radians(turn_deg)), -np.cos(np.radians(turn_deg)), 0.0])
    tilt = rotation_from_vector([np.radians(0.1 * along_mm), 0.0, 0.0])
    return rigid(into @ tilt, np.array([0.0, 10.0, along_mm]) - (SKIN_MM - 12.0) * out)


def _anatomy(seed: int) -> Anatomy:
    """Muscle with a row of vertebrae, no two alike, and a pair of ribs from each."""
    rng = np.random.default_rng(seed)
    i, j, k = np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij")
    x, y, z = ((axis - (n - 1) / 2.0) * SPACING_MM for axis, n in zip((i, j, k), SIZE, strict=True))
    labels = np.zeros(SIZE, dtype=np.uint8)
    labels[(x / 96.0) ** 2 + (y / 58.0) ** 2 < 1.0] = 1
    for level_mm in LEVELS_MM:
        lean, wide, high = rng.uniform(-0.3, 0.3), rng.uniform(22.0, 34.0), rng.uniform(9.0, 16.0)
        up = z - level_mm
        body = (x**2 + (y - 2.0) ** 2 < 17.0**2) & (np.abs(up) < 11.0)
        arch = (np.abs(x) < 14.0) & (np.abs(y - 24.0 + 0.5 * np.abs(x)) < 4.0)
        spine = (np.abs(x - 0.15 * up) < 3.5) & (y > 22.0) & (y < 41.0)
        across = (np.abs(x) < wide) & ((y - 18.0) ** 2 + (up - 4.0 - lean * x) ** 2 < 5.0**2)
        labels[body | (arch & (np.abs(up) < high)) | across] = 2
        labels[spine & (np.abs(up + 0.4 * (y - 22.0)) < 0.5 * high)] = 2
        bow = np.hypot(x / 1.35, y + 6.0)
        rib = (np.abs(bow - 40.0) < 3.5) & (np.abs(up + 0.35 * (np.abs(x) - 25.0) - lean * x) < 5.0)
        labels[rib & (np.abs(x) > 26.0) & (y > -10.0)] = 3
    labels = np.ascontiguousarray(labels.transpose(2, 1, 0))
    hu = ndimage.gaussian_filter(HU[labels].astype(float), 0.6)
    hu += rng.normal(0.0, 10.0, hu.shape)
    ct_from_voxel = np.diag([SPACING_MM] * 3 + [1.0])
    ct_from_voxel[:3, 3] = -(np.array(SIZE) - 1) / 2.0 * SPACING_MM
    return Anatomy(np.rint(hu).astype(np.int16), labels, ct_from_voxel, NAMES)
