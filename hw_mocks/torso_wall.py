"""Body wall of the digital torso: outline, skin, fat, muscle, ribs, spine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw_mocks.torso_shapes import Box, Canvas, Float32, Mask
from ir_nav.geometry import FloatArray

Reals = NDArray[np.floating]

SKIN_MM = 2.0
EXPONENT = 2.45
RIB_GAP_MM = 25.0
LEVELS_MM = [-150.0, -90.0, -40.0, 20.0, 90.0, 150.0]
HALF_WIDTH_MM = [151.0, 145.0, 147.0, 154.0, 156.0, 150.0]
HALF_DEPTH_MM = [101.0, 97.0, 99.0, 104.0, 106.0, 102.0]
FAT_FRONT_MM = [20.0, 18.0, 13.0, 9.0, 8.0, 8.0]
FAT_SIDE_MM = [18.0, 15.0, 11.0, 9.0, 8.0, 9.0]
WALL_MM = [13.0, 14.0, 17.0, 19.0, 19.0, 19.0]


def _profile(z: Float32, values: list[float]) -> Float32:
    """A level's value; z hardly varies within a slice, so the slice's own height decides."""
    return np.interp(z, LEVELS_MM, values).astype(np.float32)


def _at_height(heights_mm: Float32, values: list[float]) -> Float32:
    return _profile(heights_mm[:, 0, 0], values)[:, None, None]


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """Layers of the body wall on the whole grid, (k, j, i) mm."""

    depth_mm: Reals  # below the skin, along a ray from the body's axis; negative outside
    fat_mm: Reals
    inner_mm: Reals  # depth of the cavity's lining

    @property
    def cavity(self) -> Mask:
        return np.asarray(self.depth_mm > self.inner_mm)


def outline_radius_mm(azimuth: FloatArray, z_mm: FloatArray) -> FloatArray:
    """Distance of the skin from the axis; azimuth 0 = back, pi/2 = the patient's left."""
    across = np.abs(np.sin(azimuth)) / np.interp(z_mm, LEVELS_MM, HALF_WIDTH_MM)
    depth = np.interp(z_mm, LEVELS_MM, HALF_DEPTH_MM)
    along = np.abs(np.cos(azimuth)) / depth
    radius = (across**EXPONENT + along**EXPONENT) ** (-1.0 / EXPONENT)
    return np.asarray(radius)


def fat_at_mm(azimuth: FloatArray, z_mm: FloatArray) -> FloatArray:
    front = np.interp(z_mm, LEVELS_MM, FAT_FRONT_MM)
    side = np.interp(z_mm, LEVELS_MM, FAT_SIDE_MM)
    share = np.cos(azimuth) ** 2
    return np.asarray(share * front + (1.0 - share) * side)


def draw_wall(canvas: Canvas) -> Wall:
    box = canvas.whole()
    x, y, z = box.xyz
    heights = z.mean(axis=(1, 2), keepdims=True)
    u = np.abs(x) / _at_height(heights, HALF_WIDTH_MM)
    v = np.abs(y) / _at_height(heights, HALF_DEPTH_MM)
    level = (u**EXPONENT + v**EXPONENT) ** np.float32(1.0 / EXPONENT)
    level += np.where(y > 0.0, 0.045, 0.02) * np.exp(-((x / 15.0) ** 2)).astype(np.float32)
    rho = np.hypot(x, y)
    depth = (1.0 - level) / np.maximum(level, 0.02) * np.maximum(rho, 1.0)
    depth = np.clip(depth, -60.0, 120.0) * np.float32(0.96)
    share = (y / np.maximum(rho, 1.0)) ** 2
    fat = share * _at_height(heights, FAT_FRONT_MM)
    fat += (1.0 - share) * _at_height(heights, FAT_SIDE_MM)
    fat += np.float32(0.7) * canvas.wobble
    wall = Wall(depth, fat, fat + _at_height(heights, WALL_MM))
    _paint_layers(box, wall)
    return wall


def _paint_layers(box: Box, wall: Wall) -> None:
    depth = wall.depth_mm
    body = depth > 0.0
    box.paint(body, "fat", np.float32(-102.0) + 5.0 * box.mottle)
    box.paint(body & (depth < SKIN_MM), "skin", 35.0)
    strands = (np.abs(box.wobble + 0.6 * box.mottle) < 0.06) & (depth > SKIN_MM)
    box.hu[strands & (depth < wall.fat_mm)] += 45.0
    within = (depth - wall.fat_mm) / (wall.inner_mm - wall.fat_mm)
    muscle = (within > 0.0) & (within < 1.0)
    # Intermuscular fat: two patchy planes between the three layers of the wall.
    shifted = within + 0.05 * box.wobble
    plane = np.minimum(np.abs(shifted - 0.36) + 0.03 * (box.mottle > 0.4), np.abs(shifted - 0.7))
    muscle &= ~((plane < 0.04) & (box.mottle + box.wobble > -0.3))
    x, y, z = box.xyz
    muscle &= ~((np.abs(x + box.wobble) < 2.0) & (y < 0.0) & (z < 40.0) & (within < 0.6))
    box.paint(muscle, "muscle", np.float32(56.0) + 7.0 * box.mottle)


def draw_back(canvas: Canvas) -> None:
    """Paraspinal and psoas muscles, with streaks of fat."""
    streak = canvas.mottle > 1.9
    for side in (-1.0, 1.0):
        box = canvas.box((side * 36.0, 70.0, 0.0), (40.0, 34.0, 170.0))
        x, y, z = box.xyz
        bulk = ((x - side * 35.0) / 27.0) ** 2 + ((y - 74.0) / 19.0) ** 2 < 1.0
        grown = np.clip((-15.0 - z) / 100.0, 0.0, 1.0) * 15.0 + 5.0
        psoas = ((x - side * 38.0) / (grown + 2.0)) ** 2 + ((y - 46.0) / grown) ** 2 < 1.0
        psoas &= z < -5.0
        muscle = (bulk | psoas) & ~streak[box.spans] & ~box.is_any("background", "skin")
        box.paint(muscle, "muscle", np.float32(58.0) + 8.0 * box.mottle)


def spine_y_mm(z_mm: ArrayLike) -> FloatArray:
    """Front-back position of the vertebral bodies' centres: a mild lordosis."""
    return np.asarray(44.0 - 6.0 * np.cos((np.asarray(z_mm) - 40.0) / 110.0))


def draw_spine(canvas: Canvas) -> None:
    box = canvas.box((0.0, 62.0, 0.0), (30.0, 55.0, 170.0))
    x, y, z = box.xyz
    centre_y = spine_y_mm(z).astype(np.float32)
    height = np.mod(z + 12.0, 32.0)  # 0..25 body, the rest disc
    waist = 1.0 - 0.07 * np.sin(np.pi * np.clip(height / 25.0, 0.0, 1.0))
    body = np.sqrt((x / (22.0 * waist)) ** 2 + ((y - centre_y) / (16.5 * waist)) ** 2)
    dent = ((y - centre_y - 19.0) / 9.0) ** 2 + (x / 11.0) ** 2 < 1.0
    solid = (body < 1.0) & ~dent
    box.paint(solid & (height >= 25.0), "spine", np.float32(88.0) + 6.0 * box.mottle)
    bone = solid & (height < 25.0)
    box.paint(bone, "spine", np.float32(190.0) + 45.0 * box.mottle)
    rim = (body > 0.93) | (height < 1.6) | (height > 23.4)
    box.hu[bone & rim] = 560.0
    canal = (x / 10.0) ** 2 + ((y - centre_y - 24.0) / 8.5) ** 2
    lower = np.mod(z + 12.0, 32.0)
    arch = (canal > 1.0) & (canal < 1.75) & ((lower > 8.0) & (lower < 23.0) | (y > centre_y + 24.0))
    box.paint(arch & (lower > 4.0), "spine", 520.0)
    box.paint(canal <= 1.0, "spinal_cord", 22.0)
    box.paint(canal <= 0.35, "spinal_cord", 42.0)
    for bottom in np.arange(-172.0, 160.0, 32.0):
        _draw_processes(canvas, float(bottom) + 28.0)


def _draw_processes(canvas: Canvas, level_mm: float) -> None:
    y = float(spine_y_mm(level_mm))
    spinous = [(0.0, y + 34.0, level_mm - 4.0), (0.0, y + 54.0, level_mm - 18.0)]
    _bone(canvas, spinous, [4.0, 3.4], "spine")
    for side in (-1.0, 1.0):
        pedicle = [(side * 12.0, y + 12.0, level_mm), (side * 13.0, y + 26.0, level_mm)]
        _bone(canvas, pedicle, [5.0, 5.5], "spine")
        wing = [(side * 13.0, y + 26.0, level_mm), (side * 38.0, y + 31.0, level_mm + 2.0)]
        _bone(canvas, wing, [5.0, 3.6], "spine")


def _bone(
    canvas: Canvas,
    points: ArrayLike,
    radii: ArrayLike,
    name: str,
    flatten: float = 1.0,
    outward: ArrayLike | None = None,
) -> None:
    """A tube with a cortical shell of about 1.3 mm around marrow."""
    box, distance = canvas.tube(points, radii, flatten, outward)
    inside = (distance < 1.0) & (box.labels != 0)
    box.paint(inside, name, np.float32(720.0) + 60.0 * box.mottle)
    marrow = inside & (distance < 0.6)
    box.hu[marrow] = (np.float32(230.0) + 60.0 * box.mottle)[marrow]


def rib_path(
    number: int, side: float, ends: tuple[float, float] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Centre line (n, 3) mm and outward directions (n, 3) of rib 4..12; side +1 is left."""
    spine_end_mm = -24.0 + (12 - number) * RIB_GAP_MM
    last_deg = {12: 72.0, 11: 100.0, 10: 122.0, 9: 132.0, 8: 140.0, 7: 147.0}.get(number, 152.0)
    first, last = ends or (14.0, last_deg)
    azimuth = np.radians(np.linspace(first, last, 60))
    drop = 104.0 * (1.0 - np.cos(np.minimum(azimuth, 2.3) * 1.05)) / 1.75
    z = spine_end_mm - drop
    inward = fat_at_mm(azimuth, z) + 0.66 * np.interp(z, LEVELS_MM, WALL_MM)
    radius = outline_radius_mm(azimuth, z) - inward / 0.96
    out = np.stack([side * np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=1)
    # Near the spine the rib leaves the wall and turns to its vertebra.
    turn = np.clip((np.radians(30.0) - azimuth) / np.radians(16.0), 0.0, 1.0)
    radius = radius - 22.0 * turn**2
    return np.column_stack([out[:, :2] * radius[:, None], z]), out


def draw_ribs(canvas: Canvas) -> None:
    for side in (-1.0, 1.0):
        joints = []
        for number in range(1, 13):
            path, out = rib_path(number, side)
            _bone(canvas, path, np.full(len(path), 6.0), "rib", 0.55, out)
            joints.append(path[-1])
        for number in range(10, 5, -1):
            _draw_cartilage(canvas, joints[number - 1], number, side)
    box, distance = canvas.tube(
        [(0.0, -86.0, 72.0), (0.0, -90.0, 170.0)], [9.0, 13.0], 0.45, [(0.0, -1.0, 0.0)] * 2
    )
    inside = (distance < 1.0) & (box.labels != 0)
    box.paint(inside, "sternum", np.float32(210.0) + 40.0 * box.mottle)
    box.hu[inside & (distance > 0.75)] = 480.0


def _draw_cartilage(canvas: Canvas, start: FloatArray, number: int, side: float) -> None:
    """From a rib's front end up along the costal margin to the sternum."""
    last = np.pi - np.radians(7.0)
    first = np.arctan2(side * start[0], start[1])
    azimuth = np.linspace(first, last, 40)
    top_mm = 58.0 + (10 - number) * 9.0
    share = np.linspace(0.0, 1.0, 40)
    z = start[2] + (top_mm - start[2]) * share**1.3
    inward = fat_at_mm(azimuth, z) + 0.66 * np.interp(z, LEVELS_MM, WALL_MM)
    radius = outline_radius_mm(azimuth, z) - inward / 0.96
    out = np.stack([side * np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=1)
    path = np.column_stack([out[:, :2] * radius[:, None], z])
    box, distance = canvas.tube(path, 5.5, 0.65, out)
    inside = (distance < 1.0) & box.is_any("muscle", "fat")
    box.paint(inside, "costal_cartilage", np.float32(105.0) + 15.0 * box.mottle)
    speckled = inside & (distance > 0.8) & (box.mottle > 0.8)
    box.hu[speckled] = 260.0
