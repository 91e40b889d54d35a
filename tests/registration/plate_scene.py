"""Frames of beads, each ray's exact chord through every sphere; nine rays a pixel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ir_nav.registration.carm_calibration import Bead, Plate
from ir_nav.registration.fluoro.view import CArmView
from tests.registration.needle_scene import FINE, project, rays

BEAD_PER_MM = 0.5


def two_planes(flat: bool = False) -> Plate:
    """Two grids 100 mm apart, turned against one another; the larger beads form no symmetry."""
    beads = []
    for level, height, turn in ((0, 0.0, 0.0), (1, 100.0, 20.0)):
        if flat and level == 1:
            continue
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        for row in range(5):
            for column in range(5):
                x, y = 22.0 * (column - 2), 22.0 * (row - 2)
                large = (level, row, column) in {(0, 0, 0), (0, 0, 3), (0, 4, 1), (0, 2, 4)}
                beads.append(
                    Bead(
                        f"{level}-{row}-{column}",
                        (c * x - s * y, s * x + c * y, height),
                        4.0 if large else 2.0,
                    )
                )
    return Plate(tuple(beads))


def grid(across: int = 19, pitch_mm: float = 15.0) -> Plate:
    """A flat grid with four larger beads about its middle."""
    half = across // 2
    large = {(0, 0), (2, 0), (0, 1), (-1, 2)}
    return Plate(
        tuple(
            Bead(
                f"{i},{j}",
                (pitch_mm * i, pitch_mm * j, 0.0),
                4.0 if (i, j) in large else 2.0,
            )
            for i in range(-half, half + 1)
            for j in range(-half, half + 1)
        )
    )


def write_plate(path: Path, plate: Plate) -> Path:
    beads = [
        {"name": b.name, "position_mm": list(b.position_mm), "diameter_mm": b.diameter_mm}
        for b in plate.beads
    ]
    path.write_text(json.dumps({"format": 1, "beads": beads}))
    return path


def bead_integrals(view: CArmView, plate: Plate) -> np.ndarray:
    """Attenuation (rows, columns) of the beads alone."""
    width, height = view.geometry.size_px
    through = np.ones((height, width))
    sub = (np.arange(FINE) + 0.5) / FINE - 0.5
    for bead in plate.beads:
        centre = np.array(bead.position_mm)
        at = np.round(project(view, centre)).astype(int)
        low, high = np.maximum(at - 12, 0), np.minimum(at + 13, [width, height])
        if np.any(high <= low):
            continue
        u = (np.arange(low[0], high[0])[:, None] + sub).ravel()
        v = (np.arange(low[1], high[1])[:, None] + sub).ravel()
        focus, ray = rays(view, *np.meshgrid(u, v))
        away = centre - focus
        along = ray @ away
        square = away @ away - along**2
        chord = 2.0 * np.sqrt(np.maximum((bead.diameter_mm / 2.0) ** 2 - square, 0.0))
        shape = (len(v) // FINE, FINE, len(u) // FINE, FINE)
        part = np.exp(-BEAD_PER_MM * chord).reshape(shape).mean(axis=(1, 3))
        through[low[1] : high[1], low[0] : high[0]] *= part
    return -np.log(through)
