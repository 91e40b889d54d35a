"""Simulated probe over an N-wire phantom: truth, wire positions and images of dots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from ir_nav.geometry import read_only
from ir_nav.tracking.calibration.phantom import Phantom

SIZE_PX = (820, 616)
MM_PER_PX = np.array([0.080, 0.075])


def _wire(name: str, front: tuple[float, ...], back: tuple[float, ...]) -> dict[str, Any]:
    return {"name": name, "front_mm": list(front), "back_mm": list(back)}


def _pattern(height: float, *wires: tuple[str, float, float]) -> dict[str, Any]:
    return {
        "wires": [
            _wire(name, (front, 0.0, height), (back, 40.0, height)) for name, front, back in wires
        ]
    }


# The fCal 2.0 phantom as PLUS's spatial calibration has it.
PHANTOM: dict[str, Any] = {
    "format": 1,
    "name": "fCal 2.0",
    "patterns": [
        _pattern(20.0, ("7:G1_g1", 30.0, 30.0), ("8:L1_h1", 55.0, 35.0), ("9:M1_m1", 60.0, 60.0)),
        _pattern(10.0, ("4:G3_g3", 30.0, 30.0), ("5:H3_l3", 35.0, 55.0), ("6:M3_m3", 60.0, 60.0)),
        _pattern(0.0, ("1:H5_h5", 35.0, 35.0), ("2:L5_i5", 55.0, 40.0), ("3:M5_m5", 60.0, 60.0)),
    ],
    "reference_from_phantom": [
        [-0.0167397, -0.0153548, -0.999742, 15.6642],
        [-0.999834, 0.0075107, 0.0166258, -25.3628],
        [0.00725347, 0.999854, -0.015478, -40.7799],
        [0.0, 0.0, 0.0, 1.0],
    ],
}


@dataclass(frozen=True)
class Scene:
    """probe_from_image (4, 4): the truth. reference_from_probe (n, 4, 4), wires_px (n, 3 k, 2)."""

    probe_from_image: np.ndarray
    reference_from_probe: np.ndarray
    wires_px: np.ndarray


def upper_patterns(phantom: Phantom, count: int) -> Phantom:
    """The same phantom with its first patterns only."""
    return Phantom(
        phantom.name,
        phantom.names[: 3 * count],
        read_only(phantom.wires_mm[: 3 * count]),
        read_only(phantom.crossings_mm[:count]),
        phantom.reference_from_phantom,
    )


def matrix(rotation: Rotation, shift: np.ndarray) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation.as_matrix(), shift
    return result


def true_probe_from_image() -> np.ndarray:
    rotation = Rotation.from_euler("xyz", (5.0, -3.0, 88.0), degrees=True)
    placed = matrix(rotation, np.array([11.0, 48.0, -0.5]))
    return placed @ np.diag((*MM_PER_PX, MM_PER_PX.mean(), 1.0))


def scene(
    phantom: Phantom,
    frames: int,
    seed: int,
    *,
    travel_mm: float = 12.0,
    noise_px: float = 0.0,
    pose_noise_mm: float = 0.0,
) -> Scene:
    """Images over the wires, u against the phantom's x, v from the top layer down."""
    rng = np.random.default_rng(seed)
    probe_from_image = true_probe_from_image()
    facing = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]).T
    poses, points = [], []
    for _ in range(frames):
        tilt = Rotation.from_euler("xyz", rng.uniform(-5.0, 5.0, 3), degrees=True)
        rotation = Rotation.from_matrix(facing) * tilt
        middle = np.array([46.0, 20.0 + rng.uniform(-0.5, 0.5) * travel_mm, 10.0])
        centre = np.array([SIZE_PX[0] / 2, SIZE_PX[1] / 2]) * MM_PER_PX
        offset = middle + rng.uniform(-1.5, 1.5, 3) * (1.0, 0.0, 1.0)
        shift = offset - rotation.as_matrix()[:, :2] @ centre
        phantom_from_image = matrix(rotation, shift) @ np.diag((*MM_PER_PX, MM_PER_PX.mean(), 1.0))
        points.append(cut_px(phantom, phantom_from_image) + rng.normal(0.0, noise_px, (9, 2)))
        pose = phantom.reference_from_phantom @ phantom_from_image @ np.linalg.inv(probe_from_image)
        pose[:3, 3] += rng.normal(0.0, pose_noise_mm, 3)
        poses.append(pose)
    return Scene(probe_from_image, np.array(poses), np.array(points))


def cut_px(phantom: Phantom, phantom_from_image: np.ndarray) -> np.ndarray:
    """Where the plane of the image cuts the wires' lines, (3 k, 2)."""
    image_from_phantom = np.linalg.inv(phantom_from_image)
    ends = phantom.wires_mm @ image_from_phantom[:3, :3].T + image_from_phantom[:3, 3]
    along = ends[:, 1] - ends[:, 0]
    steps = -ends[:, 0, 2] / along[:, 2]
    return (ends[:, 0] + steps[:, None] * along)[:, :2]


def picture(
    wires_px: np.ndarray, rng: np.random.Generator, *, speckle: float = 0.0, clutter: int = 0
) -> np.ndarray:
    """8-bit image (616, 820) of dots 1 mm wide, their brightness 90 to 255, over speckle."""
    image = np.zeros(SIZE_PX[::-1], dtype=np.float32)
    if speckle:
        field = rng.normal(size=(2, *image.shape)).astype(np.float32)
        parts = [cv2.GaussianBlur(part, (0, 0), sigmaX=3.0, sigmaY=1.5) for part in field]
        envelope = np.hypot(*parts)
        image += speckle * envelope / envelope.mean()
    strange = rng.uniform((30.0, 30.0), (790.0, 590.0), (clutter, 2))
    for u, v in np.vstack((wires_px, strange)):
        left, top = int(u) - 40, int(v) - 30
        columns, rows = np.meshgrid(np.arange(left, left + 81), np.arange(top, top + 61))
        dot = rng.uniform(90.0, 255.0) * np.exp(
            -0.5 * (((columns - u) / 7.0) ** 2 + ((rows - v) / 4.0) ** 2)
        )
        inside = (columns >= 0) & (columns < SIZE_PX[0]) & (rows >= 0) & (rows < SIZE_PX[1])
        image[rows[inside], columns[inside]] += dot[inside]
    return np.clip(image, 0.0, 255.0).astype(np.uint8)
