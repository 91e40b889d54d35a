"""A block of liver with known things in it, and a convex probe on it."""

from __future__ import annotations

import numpy as np

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.registration.ultrasound.acoustics import Acoustics, prepare_acoustics
from ir_nav.registration.ultrasound.fan import ConvexFan, Fan

NAMES = {1: "liver", 2: "rib_left_7", 3: "hepatic_vein", 4: "lung_right", 5: "fat"}
HU = np.array([-1000, 70, 700, 170, -850, -100], dtype=np.int16)
SURFACE_MM = -80.0  # y of the skin, in front
SPACING_MM = 2.0
SIZE_PX = (512, 512)
MM = 0.36
FAN = ConvexFan((255.5, -112.0), (MM, MM), 50.0, 200.0, 31.0)

Box = tuple[int, tuple[float, float, float], tuple[float, float, float]]


def volumes(*boxes: Box) -> tuple[Volume, LabelMap]:
    """Liver filling x, z in +-110 and y in -80..90 mm; boxes (label, centre, half size)."""
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = (-115.0, -99.0, -115.0)
    k, j, i = np.indices((116, 101, 116))
    xyz = np.stack([i, j, k], axis=-1) * SPACING_MM + affine[:3, 3]
    labels = np.zeros(k.shape, dtype=np.uint8)
    inside = (np.abs(xyz[..., 0]) < 110) & (np.abs(xyz[..., 2]) < 110)
    labels[inside & (xyz[..., 1] > SURFACE_MM) & (xyz[..., 1] < 90.0)] = 1
    for label, centre, half in boxes:
        labels[np.all(np.abs(xyz - centre) <= half, axis=-1)] = label
    return Volume(HU[labels], affine, "block", VolumeInfo()), LabelMap(labels, affine, NAMES)


def block(*boxes: Box) -> Acoustics:
    return prepare_acoustics(*volumes(*boxes))


def pose(
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), press_mm: float = 3.0, fan: Fan = FAN
) -> np.ndarray:
    """ct_from_image of a probe in front, looking back (+y); image u along +x, plane z = 0."""
    matrix = np.eye(4)
    matrix[:3, 0] = (MM, 0.0, 0.0)
    matrix[:3, 1] = (0.0, MM, 0.0)
    matrix[:3, 2] = (0.0, 0.0, MM)
    starts, _ = fan.beams_px(3)
    face = matrix[:3, :3] @ (*starts[1], 0.0)
    matrix[:3, 3] = np.array([0.0, SURFACE_MM + press_mm, 0.0]) + offset_mm - face
    return matrix


def grey_at(image: np.ndarray, place: np.ndarray, point_ct_mm: object, half: int = 8) -> float:
    """Mean grey of a square round a point (3,) of the patient; place: ct_from_image."""
    point = np.linalg.solve(place, np.append(np.asarray(point_ct_mm, dtype=float), 1.0))
    u, v = np.rint(point[:2]).astype(int)
    return float(image[v - half : v + half + 1, u - half : u + half + 1].mean())
