"""What an image intensifier does to the picture, and the grid of beads that it is measured with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ir_nav.geometry import CArmGeometry, FloatArray

ROUNDS = 20
PITCH_MM = 15.0
SMALL_MM, LARGE_MM = 2.0, 4.0
# Laid so that no turn and no mirror image of the grid looks the same.
LARGE = {(0, 0), (2, 0), (0, 1), (-1, 2)}
BEAD_PER_MM = 0.5
GRID_PHOTONS = 4000.0


@dataclass(frozen=True, slots=True)
class Intensifier:
    """pincushion: share by which the picture has grown at half the detector's width from its
    middle. s_turn: by how much it is turned there, rad: the earth's field. Both grow with the
    square of the distance."""

    pincushion: float = 0.0
    s_turn: float = 0.0

    @property
    def bends(self) -> bool:
        return self.pincushion != 0.0 or self.s_turn != 0.0

    def seen_px(self, true_px: FloatArray, size_px: tuple[int, int]) -> FloatArray:
        """Where places (n, 2) of the undistorted picture are seen."""
        half, middle = max(size_px) / 2.0, (np.array(size_px) - 1.0) / 2.0
        x, y = (true_px - middle).T / half
        square = x**2 + y**2
        grown, turn = 1.0 + self.pincushion * square, self.s_turn * square
        seen = np.stack([grown * (x - turn * y), grown * (y + turn * x)], axis=1)
        return np.asarray(seen * half + middle)

    def maps(self, size_px: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where in the undistorted picture each pixel looks: columns and rows (rows, columns)."""
        width, height = size_px
        v, u = np.mgrid[0:height, 0:width]
        here = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
        true = here.copy()
        for _ in range(ROUNDS):
            true += here - self.seen_px(true, size_px)
        columns, rows = true.T.reshape(2, height, width).astype(np.float32)
        return np.ascontiguousarray(columns), np.ascontiguousarray(rows)


FLAT = Intensifier()


def bent(
    image: NDArray[np.float32], maps: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The picture as the intensifier shows it."""
    return np.asarray(cv2.remap(image, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def write_grid(
    folder: Path, geometry: CArmGeometry, intensifier: Intensifier, seed: int
) -> tuple[Path, Path]:
    """A frame of the bead grid that lies on the detector, and the grid's description, as a
    technician would have them: detector-grid.mha and detector-grid.json."""
    width, height = geometry.size_px
    beads = _beads(geometry)
    total = np.full((height, width), 0.4, np.float32)
    for (x, y), diameter_mm in beads:
        _add_bead(total, geometry, (x, y), diameter_mm / 2.0)
    primary = np.exp(-bent(total, intensifier.maps(geometry.size_px)))
    noise = np.random.default_rng(seed).standard_normal(primary.shape)
    counts = primary + noise * np.sqrt(primary / GRID_PHOTONS)
    frame, description = folder / "detector-grid.mha", folder / "detector-grid.json"
    sitk.WriteImage(
        sitk.GetImageFromArray(np.clip(counts * 60000.0, 0, 65535).astype(np.uint16)), str(frame)
    )
    listed = [
        {"name": f"B{number}", "position_mm": [x, y, 0.0], "diameter_mm": diameter_mm}
        for number, ((x, y), diameter_mm) in enumerate(beads, start=1)
    ]
    description.write_text(json.dumps({"format": 1, "beads": listed}), encoding="utf-8")
    return frame, description


def _beads(geometry: CArmGeometry) -> list[tuple[tuple[float, float], float]]:
    """Place on the detector (mm from its middle) and diameter, over the whole picture."""
    half = [
        int((size / 2.0 * pitch - LARGE_MM) // PITCH_MM)
        for size, pitch in zip(geometry.size_px, geometry.pixel_mm, strict=True)
    ]
    return [
        ((PITCH_MM * i, PITCH_MM * j), LARGE_MM if (i, j) in LARGE else SMALL_MM)
        for i in range(-half[0], half[0] + 1)
        for j in range(-half[1], half[1] + 1)
    ]


def _add_bead(
    total: NDArray[np.float32],
    geometry: CArmGeometry,
    place_mm: tuple[float, float],
    radius_mm: float,
) -> None:
    """The chord through a sphere, rays taken as parallel: it lies on the detector."""
    height, width = total.shape
    (pu, pv), (u0, v0) = geometry.pixel_mm, ((width - 1) / 2.0, (height - 1) / 2.0)
    u, v = u0 + place_mm[0] / pu, v0 + place_mm[1] / pv
    reach = int(np.ceil(radius_mm / min(pu, pv))) + 2
    left, top = max(round(u) - reach, 0), max(round(v) - reach, 0)
    columns = np.arange(left, min(round(u) + reach + 1, width))
    rows = np.arange(top, min(round(v) + reach + 1, height))
    square = ((columns[None] - u) * pu) ** 2 + ((rows[:, None] - v) * pv) ** 2
    chord = 2.0 * np.sqrt(np.maximum(radius_mm**2 - square, 0.0))
    total[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += BEAD_PER_MM * chord
