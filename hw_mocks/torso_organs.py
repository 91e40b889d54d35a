"""Organs of the digital torso, drawn from behind to front: later ones cover earlier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw_mocks.torso_shapes import SPACING_MM, Box, Canvas, Float32, Mask
from hw_mocks.torso_wall import Wall
from ir_nav.geometry import FloatArray, unit

LESION_MM = (-80.0, -6.0, 2.0)
ABSCESS_MM = (-82.0, -24.0, -108.0)
LESION_DIAMETER_MM = 15.0
ABSCESS_DIAMETER_MM = 45.0
SOFT = ("fat", "muscle")


def diaphragm_height_mm(x: ArrayLike, y: ArrayLike) -> Float32:
    """Height of the diaphragm over (x, y): two domes, low at the back and sides."""
    xs, ys = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
    right = 82.0 - ((xs + 68.0) / 74.0) ** 2 * 62.0 - ((ys + 4.0) / 84.0) ** 2 * 74.0
    left = 66.0 - ((xs - 72.0) / 74.0) ** 2 * 62.0 - ((ys + 2.0) / 84.0) ** 2 * 72.0
    centre = 50.0 - (xs / 110.0) ** 2 * 40.0 - (ys / 84.0) ** 2 * 52.0
    sharp = np.float32(0.12)
    total = np.exp(right * sharp) + np.exp(left * sharp) + np.exp(centre * sharp)
    return np.asarray(np.maximum(np.log(total) / sharp, -52.0), dtype=np.float32)


def draw_chest(canvas: Canvas, wall: Wall) -> Float32:
    """Lungs, heart and great vessels; returns height above the diaphragm (k, j, i) in mm."""
    box = canvas.whole()
    x, y, z = box.xyz
    above = z - diaphragm_height_mm(x, y) + 1.5 * box.wobble
    lining = wall.cavity & ~box.is_any("spine", "rib", "spinal_cord", "sternum")
    narrow = 9.0 + 10.0 * np.clip(above / 60.0, 0.0, 1.0)
    mediastinum = np.abs(x - 6.0 + 2.0 * box.wobble) < narrow
    mediastinum |= ((x / 32.0) ** 2 + ((y - 42.0) / 27.0) ** 2) < 1.0
    lung = lining & (above > 0.0) & ~mediastinum & ~box.is_any("muscle")
    gradient = np.float32(-850.0) + 0.35 * (y + 60.0) + 14.0 * box.mottle
    box.paint(lung & (x < 0.0), "lung_right", gradient)
    box.paint(lung & (x >= 0.0), "lung_left", gradient)
    box.paint(lining & (np.abs(above + 1.6) < 1.6) & ~mediastinum, "diaphragm", 58.0)
    _draw_heart(canvas)
    return above


def _draw_heart(canvas: Canvas) -> None:
    centre = (24.0, -30.0, 108.0)
    box = canvas.box(centre, (66.0, 52.0, 62.0))
    x, y, z = box.xyz
    turned_x = 0.8 * (x - centre[0]) + 0.6 * (y - centre[1])
    turned_y = -0.6 * (x - centre[0]) + 0.8 * (y - centre[1])
    q = np.sqrt((turned_x / 58.0) ** 2 + (turned_y / 42.0) ** 2 + ((z - centre[2]) / 54.0) ** 2)
    q += 0.025 * box.wobble
    over = z > diaphragm_height_mm(x, y) + 2.0
    free = over & box.is_any("fat", "lung_left", "lung_right", "diaphragm")
    box.paint(free & (q < 1.04), "fat", -85.0)
    box.paint(free & (q < 0.97), "heart", np.float32(98.0) + 5.0 * box.mottle)
    left = ((turned_x - 16.0) / 30.0) ** 2 + ((turned_y - 6.0) / 19.0) ** 2
    left += ((z - 104.0) / 36.0) ** 2 + 0.12 * box.wobble
    right = ((turned_x + 22.0) / 27.0) ** 2 + ((turned_y + 8.0) / 27.0) ** 2
    right += ((z - 112.0) / 38.0) ** 2 + 0.12 * box.wobble
    right[left < 1.5] = 9.0
    inside = free & (q < 0.9)
    box.paint(inside & (left < 1.0), "heart", 182.0)
    box.paint(inside & (right < 1.0), "heart", 160.0)


def draw_great_vessels(canvas: Canvas) -> None:
    aorta = [(20.0, 34.0, 170.0), (18.0, 24.0, 80.0), (13.0, 14.0, 10.0), (9.0, 8.0, -170.0)]
    _fill_tube(canvas, aorta, [12.0, 11.5, 10.5, 9.0], "aorta", 172.0)
    cava = [(-18.0, -6.0, 92.0), (-21.0, 6.0, 60.0), (-20.0, 10.0, 10.0), (-17.0, 12.0, -170.0)]
    _fill_tube(canvas, cava, [12.5, 12.5, 11.5, 10.5], "inferior_vena_cava", 138.0)
    gullet = [(6.0, 22.0, 170.0), (8.0, 6.0, 70.0), (26.0, -8.0, 40.0)]
    _fill_tube(canvas, gullet, [7.0, 7.0, 8.0], "esophagus", 48.0)
    for side, start in ((1.0, (16.0, 8.0, -42.0)), (-1.0, (2.0, 8.0, -46.0))):
        _fill_tube(canvas, [start, (side * 44.0, 32.0, -52.0)], [3.6, 3.0], "aorta", 165.0)
        vein = [(-14.0, 6.0, -50.0), (side * 42.0, 26.0, -58.0)]
        _fill_tube(canvas, vein, [4.5, 4.0], "inferior_vena_cava", 140.0)


def _fill_tube(canvas: Canvas, points: ArrayLike, radii: ArrayLike, name: str, hu: float) -> None:
    box, distance = canvas.tube(points, radii)
    free = (distance + 0.03 * box.wobble < 1.0) & ~box.is_any(
        "background", "spine", "spinal_cord", "heart", "rib"
    )
    box.paint(free, name, hu + 2.0 * box.mottle)


def draw_liver(canvas: Canvas, wall: Wall, above: Float32) -> None:
    box = canvas.box((-42.0, -4.0, 8.0), (118.0, 100.0, 112.0))
    x, y, z = box.xyz
    right = box.solid((-72.0, 6.0, 4.0), (76.0, 88.0, 88.0))
    left = box.solid((8.0, -46.0, 26.0), (74.0, 40.0, 34.0))
    joined = -np.log(np.exp(-9.0 * right) + np.exp(-9.0 * left)) / 9.0 + 0.012 * box.wobble
    # The visceral surface rises from the right flank to the left lobe.
    floor = -76.0 + 0.62 * (x + 118.0) + 0.16 * np.maximum(y, -40.0) + 2.0 * box.wobble
    spared = ((x - 4.0) / 32.0) ** 2 + ((y - 38.0) / 40.0) ** 2 + 0.05 * box.wobble < 1.0
    kidney = box.solid((-60.0, 44.0, -62.0), (38.0, 34.0, 60.0)) < 1.0
    fissure = np.abs(x - 4.0 - 0.2 * (y + 40.0) + 1.8 * box.wobble) < 1.4
    fissure &= (y < -16.0) & (z < 24.0)
    # An abdomen lined by fat, not by liver: the peritoneum keeps it 1 mm off the wall.
    inside = wall.depth_mm[box.spans] > wall.inner_mm[box.spans] + 1.0
    mask = (joined < 1.0) & (z > floor) & inside & (above[box.spans] < -3.2)
    mask &= ~spared & ~kidney & ~fissure & box.is_any(*SOFT, "diaphragm")
    box.paint(mask, "liver", np.float32(98.0) + 3.5 * box.mottle + 1.5 * box.wobble)


def draw_spleen_and_stomach(canvas: Canvas, wall: Wall, above: Float32) -> None:
    box = canvas.box((96.0, 40.0, 12.0), (46.0, 50.0, 62.0))
    x, y, _ = box.xyz
    spleen = box.solid((100.0, 40.0, 12.0), (38.0, 46.0, 54.0)) + 0.02 * box.wobble
    hilum = ((x - 66.0) / 24.0) ** 2 + ((y - 16.0) / 30.0) ** 2 < 1.0
    inside = wall.depth_mm[box.spans] > wall.inner_mm[box.spans] + 1.0
    free = inside & (above[box.spans] < -3.2) & box.is_any(*SOFT)
    box.paint(free & (spleen < 1.0) & ~hilum, "spleen", np.float32(118.0) + 3.0 * box.mottle)
    box = canvas.box((56.0, -26.0, 8.0), (48.0, 46.0, 60.0))
    x, y, z = box.xyz
    bent = (x - 58.0 + 0.004 * (z - 10.0) ** 2) / 36.0
    folds = 0.05 * np.sin(x / 4.5 + box.wobble) * np.sin(z / 5.0) + 0.03 * box.wobble
    stomach = np.sqrt(bent**2 + ((y + 26.0) / 36.0) ** 2 + ((z - 8.0) / 52.0) ** 2) + folds
    inside = wall.depth_mm[box.spans] > wall.inner_mm[box.spans] + 2.0
    free = inside & (above[box.spans] < -4.0) & box.is_any(*SOFT)
    box.paint(free & (stomach < 1.0), "stomach", 62.0)
    lumen = free & (stomach < 0.87)
    box.paint(lumen, "stomach", np.float32(24.0) + 14.0 * np.clip(box.mottle, -1.0, 2.0))
    box.paint(lumen & (y < -44.0), "bowel_gas", -985.0)


def draw_kidneys(canvas: Canvas) -> None:
    for name, side, centre in (
        ("kidney_right", -1.0, (-60.0, 42.0, -64.0)),
        ("kidney_left", 1.0, (62.0, 42.0, -44.0)),
    ):
        box = canvas.box(centre, (38.0, 36.0, 62.0))
        x, y, z = box.xyz
        # The upper pole leans to the spine and back.
        dx = side * (x - centre[0]) + 0.22 * (z - centre[2])
        dy = y - centre[1] - 0.12 * (z - centre[2])
        dz = z - centre[2]
        q = np.sqrt((dx / 28.0) ** 2 + (dy / 25.0) ** 2 + (dz / 54.0) ** 2) + 0.02 * box.wobble
        sinus = np.sqrt(((dx + 17.0) / 21.0) ** 2 + (dy / 9.0) ** 2 + (dz / 28.0) ** 2)
        sinus += 0.1 * box.wobble
        free = ~box.is_any("background", "spine", "spinal_cord", "rib", "aorta")
        box.paint(free & (q < 1.35) & box.is_any("muscle"), "fat", -100.0)
        medulla = 1.0 / (1.0 + np.exp(-6.0 * (box.wobble - 0.1)))
        cortex = np.where(q > 0.8, 188.0, 188.0 - 48.0 * medulla).astype(np.float32)
        box.paint(free & (q < 1.0) & (sinus > 1.0), name, cortex)
        box.paint(free & (q < 1.0) & (sinus < 0.45), name, 12.0)
        box.paint(free & (q < 1.0) & (sinus > 0.45) & (sinus <= 1.0), "fat", -70.0)


def draw_pancreas_and_gallbladder(canvas: Canvas) -> None:
    path = [(-28.0, -18.0, -52.0), (-4.0, -24.0, -40.0), (32.0, -4.0, -26.0), (74.0, 18.0, -6.0)]
    box, distance = canvas.tube(path, [12.0, 9.0, 9.0, 7.0])
    lobes = distance + 0.1 * box.mottle + 0.08 * box.wobble < 1.0
    box.paint(lobes & box.is_any(*SOFT), "pancreas", np.float32(96.0) + 14.0 * box.mottle)
    path = [(-34.0, -16.0, -22.0), (-42.0, -40.0, -34.0), (-50.0, -58.0, -52.0)]
    box, distance = canvas.tube(path, [6.0, 13.0, 13.0])
    distance = distance + 0.02 * box.wobble
    free = box.is_any(*SOFT, "liver", "portal_vein", "hepatic_vein")
    box.paint(free & (distance < 1.0), "gallbladder", 42.0)
    box.paint(free & (distance < 0.86), "gallbladder", 9.0)


def draw_bowel(canvas: Canvas) -> None:
    """Colon with haustra and stool, then loops of small bowel between mesenteric fat."""
    right = [(-96.0, 22.0, -175.0), (-92.0, 34.0, -120.0), (-88.0, 14.0, -88.0)]
    across = [(-84.0, -40.0, -84.0), (-40.0, -62.0, -104.0), (20.0, -66.0, -112.0)]
    left = [(74.0, -46.0, -70.0), (98.0, 18.0, -28.0), (100.0, 34.0, -80.0), (98.0, 30.0, -175.0)]
    _draw_loop(canvas, _smooth(np.array(right)), 17.0, stool=True)
    _draw_loop(canvas, _smooth(np.array([right[-1], *across, left[0]])), 16.0, stool=True)
    _draw_loop(canvas, _smooth(np.array([left[0], *left[1:]])), 14.0, stool=True)
    duodenum = [
        (-30.0, -30.0, -18.0),
        (-46.0, -4.0, -30.0),
        (-44.0, 6.0, -74.0),
        (8.0, -6.0, -84.0),
    ]
    _draw_loop(canvas, _smooth(np.array(duodenum)), 10.0, stool=False)
    for loop in range(11):
        nodes = canvas.rng.uniform((-62.0, -62.0, 0.0), (80.0, 12.0, 1.0), (6, 3))
        nodes[:, 2] = -160.0 + 9.0 * loop + canvas.rng.normal(0.0, 9.0, 6)
        nodes[:, 0] += 1.6 * loop
        _draw_loop(canvas, _smooth(nodes), float(canvas.rng.uniform(10.0, 13.0)), stool=False)


def _smooth(nodes: FloatArray) -> FloatArray:
    """Catmull-Rom spline (n, 3) through nodes."""
    padded = np.vstack([2 * nodes[0] - nodes[1], nodes, 2 * nodes[-1] - nodes[-2]])
    t = np.linspace(0.0, 1.0, 16, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        cubic = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
        parts.append(0.5 * (cubic + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*parts, nodes[-1:]])


def _draw_loop(canvas: Canvas, path: FloatArray, radius_mm: float, *, stool: bool) -> None:
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    pinch = np.abs(np.sin(along / (12.0 if stool else 19.0) + canvas.rng.uniform(0.0, 6.0)))
    box, distance = canvas.tube(path, radius_mm * (0.72 + 0.32 * pinch**0.7))
    distance = distance + 0.05 * box.wobble
    free = box.is_any(*SOFT) & (distance < 1.0)
    box.paint(free, "bowel", 72.0)
    lumen = free & (distance < 1.0 - 2.4 / radius_mm)
    x, y, z = box.xyz
    if stool:
        matter = 20.0 + 45.0 * box.mottle
        matter[box.mottle > 1.3] = -420.0
        box.paint(lumen, "bowel", matter.astype(np.float32))
        level = 7.0 * np.sin((x + z) / 37.0) - 5.0
    else:
        box.paint(lumen, "bowel", np.float32(26.0) + 9.0 * box.mottle)
        level = 9.0 * np.sin((x - z) / 23.0) - 13.0
    # Gas lies to the front of a loop, level across its lumen.
    centre_y = np.interp(np.arange(box.labels.shape[0]), *_front_line(path, box))
    gas = lumen & (y < centre_y[:, None, None] + level) & (distance < 0.95)
    box.paint(gas, "bowel_gas", -975.0)


def _front_line(path: FloatArray, box: Box) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(path[:, 2])
    start = box.spans[0].start
    slices = (path[order, 2] + 149.25) / SPACING_MM - start
    return slices, path[order, 1]


def draw_mesentery(canvas: Canvas) -> None:
    for _ in range(70):
        start = canvas.rng.uniform((-70.0, -50.0, -150.0), (75.0, 20.0, -60.0))
        heading = unit(canvas.rng.standard_normal(3) * (1.0, 1.0, 0.6))
        path = start + np.outer((0.0, 14.0, 26.0), heading) + canvas.rng.normal(0, 3.0, (3, 3))
        box, distance = canvas.tube(path, float(canvas.rng.uniform(1.0, 2.2)))
        free = (distance < 1.0) & box.is_any("fat")
        box.hu[free] = 115.0


def draw_targets(canvas: Canvas) -> None:
    """The lesion in the liver and the abscess beside the colon, of exactly known volume."""
    for name, centre, diameter, rough in (
        ("abscess", ABSCESS_MM, ABSCESS_DIAMETER_MM, 1.3),
        ("lesion", LESION_MM, LESION_DIAMETER_MM, 0.45),
    ):
        real = canvas.unwarp([centre])[0]
        box = canvas.box(real, np.full(3, 0.75 * diameter))
        distance = _true_distance(box, real) + rough * box.wobble + 0.2 * rough * box.mottle
        mask, edge = _ball(distance, diameter)
        if name == "lesion":
            box.paint(mask, name, np.float32(36.0) + 4.0 * box.mottle)
            continue
        _clear_around(box, distance, edge)
        box.paint(mask, name, np.float32(15.0) + 4.0 * box.mottle)
        box.hu[mask & (distance > edge - 3.5)] = 72.0


def _clear_around(box: Box, distance: Float32, edge: float) -> None:
    """Stranded fat around the abscess instead of bowel running through it."""
    halo = (distance < edge + 4.0) & box.is_any("bowel", "bowel_gas", "liver")
    box.paint(halo, "fat", -70.0)
    strands = (distance < edge + 9.0) & box.is_any("fat")
    box.hu[strands] += (28.0 + 22.0 * box.mottle)[strands]


def _true_distance(box: Box, centre_mm: FloatArray) -> Float32:
    spans = box.spans
    k, j, i = (
        np.arange(span.start, span.stop) * SPACING_MM + origin - middle
        for span, origin, middle in zip(
            spans, (-149.25, -126.75, -179.25), centre_mm[::-1], strict=True
        )
    )
    total = k[:, None, None] ** 2 + j[None, :, None] ** 2 + i[None, None, :] ** 2
    return np.asarray(np.sqrt(total), dtype=np.float32)


def _ball(distance: Float32, diameter_mm: float) -> tuple[Mask, float]:
    """The voxels nearest by `distance` whose volume is that of a ball."""
    count = round(np.pi / 6.0 * diameter_mm**3 / SPACING_MM**3)
    order: NDArray[np.float32] = np.sort(distance, axis=None)
    edge = float(order[count])
    return np.asarray(distance < edge), edge
