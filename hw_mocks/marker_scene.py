"""Printed markers before a pinhole camera: images whose poses are known.

The truth is independent of the methods that look for it: the projection is written out here in
numpy, and OpenCV only resamples the printed texture through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

QUIET_ZONE = 0.15  # white rim round a marker, as a part of its side
_SUPERSAMPLING = 3
_GREY = 150
_CELL_PX = 24
_UNDISTORT_STEPS = 20
_UNDISTORT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class SceneCamera:
    """focal_px: fx, fy. principal_px: column, row. distortion: k1, k2, p1, p2, k3 (Brown's model,
    as OpenCV orders it). blur_px: standard deviation of the lens. noise: of the grey levels."""

    size_px: tuple[int, int]
    focal_px: tuple[float, float]
    principal_px: tuple[float, float]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    blur_px: float = 0.7
    noise: float = 2.0

    @property
    def matrix(self) -> Floats:
        """(3, 3)."""
        (fx, fy), (cx, cy) = self.focal_px, self.principal_px
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """A flat print. texture: (rows, columns). corners_mm: (4, 3), where its outer corners are in
    the body: top left, top right, bottom right, bottom left of the print."""

    texture: Picture
    corners_mm: Floats


def pose(rotation_vector: Sequence[float], translation_mm: Sequence[float]) -> Floats:
    """(4, 4) by Rodrigues' formula; rotation_vector in rad."""
    vector = np.asarray(rotation_vector, dtype=np.float64)
    angle = float(np.linalg.norm(vector))
    matrix = np.eye(4)
    if angle > 0.0:
        x, y, z = vector / angle
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        matrix[:3, :3] += np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    matrix[:3, 3] = translation_mm
    return matrix


def square_mm(side_mm: float, centre_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> Floats:
    """Corners (4, 3) of a marker whose print faces -z, x to the right and y down: seen upright by
    a camera that looks along +z with the body unturned."""
    half = side_mm / 2.0
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    return np.asarray(corners + np.asarray(centre_mm), dtype=np.float64)


def marker_plate(dictionary: str, identity: int, corners_mm: Floats) -> Plate:
    """One marker with its quiet zone. corners_mm: (4, 3) of the black square."""
    marks = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    cells = marks.markerSize + 2
    print_px = cells * _CELL_PX
    rim = round(QUIET_ZONE * print_px)
    texture = cv2.copyMakeBorder(
        cv2.aruco.generateImageMarker(marks, identity, print_px),
        *(rim, rim, rim, rim),
        cv2.BORDER_CONSTANT,
        value=255,
    )
    grow = rim / print_px
    right, down = corners_mm[1] - corners_mm[0], corners_mm[3] - corners_mm[0]
    outward = np.array([-right - down, right - down, right + down, down - right])
    return Plate(texture, corners_mm + grow * outward)


def render(
    camera: SceneCamera,
    plates: Sequence[tuple[Plate, Floats]],
    rng: np.random.Generator,
) -> Picture:
    """Grey image (rows, columns) of plates, each with its camera_from_body (4, 4), mm; nearer
    ones hide farther ones, and a plate seen from behind is not drawn."""
    fine = (camera.size_px[0] * _SUPERSAMPLING, camera.size_px[1] * _SUPERSAMPLING)
    canvas = np.full((fine[1], fine[0]), _GREY, dtype=np.uint8)
    for plate, camera_from_body in sorted(plates, key=_depth, reverse=True):
        _draw(canvas, camera, plate, camera_from_body)
    if any(camera.distortion):
        canvas = _distorted(canvas, camera)
    canvas = cv2.GaussianBlur(canvas, (0, 0), camera.blur_px * _SUPERSAMPLING)
    image = cv2.resize(canvas, camera.size_px, interpolation=cv2.INTER_AREA).astype(np.float64)
    image += rng.normal(0.0, camera.noise, image.shape)
    return np.asarray(np.clip(np.rint(image), 0, 255), dtype=np.uint8)


def project(camera: SceneCamera, camera_from_body: Floats, points_mm: Floats) -> Floats:
    """Pixels (n, 2) of body points (n, 3); the middle of the first pixel is (0, 0)."""
    seen = points_mm @ camera_from_body[:3, :3].T + camera_from_body[:3, 3]
    bent = _bend(seen[:, :2] / seen[:, 2:], camera.distortion)
    return np.asarray(bent * camera.focal_px + camera.principal_px, dtype=np.float64)


def _depth(placed: tuple[Plate, Floats]) -> float:
    plate, camera_from_body = placed
    return float((camera_from_body[:3] @ np.append(plate.corners_mm.mean(axis=0), 1.0))[2])


def _draw(canvas: Picture, camera: SceneCamera, plate: Plate, camera_from_body: Floats) -> None:
    rows, columns = plate.texture.shape
    origin = plate.corners_mm[0]
    right, down = plate.corners_mm[1] - origin, plate.corners_mm[3] - origin
    # From texture pixels, whose middles are whole numbers, to mm on the plate.
    plate_from_px = np.array(
        [[1 / columns, 0, 0.5 / columns], [0, 1 / rows, 0.5 / rows], [0, 0, 1]]
    )
    body_from_plate = np.column_stack([right, down, origin])
    turned = camera_from_body[:3, :3] @ body_from_plate
    turned[:, 2] += camera_from_body[:3, 3]
    if np.linalg.det(turned) <= 0.0:
        return
    zoom = float(_SUPERSAMPLING)
    shift = (zoom - 1.0) / 2.0
    fine_from_px = np.array([[zoom, 0.0, shift], [0.0, zoom, shift], [0.0, 0.0, 1.0]])
    homography = fine_from_px @ camera.matrix @ turned @ plate_from_px
    size = (canvas.shape[1], canvas.shape[0])
    drawn = cv2.warpPerspective(plate.texture, homography, size, flags=cv2.INTER_LINEAR)
    solid = np.full_like(plate.texture, 255)
    cover = cv2.warpPerspective(solid, homography, size, flags=cv2.INTER_NEAREST)
    np.copyto(canvas, drawn, where=cover > 0)


def _distorted(canvas: Picture, camera: SceneCamera) -> Picture:
    columns, rows = _sources(camera)
    bent = cv2.remap(canvas, columns, rows, cv2.INTER_LINEAR, borderValue=_GREY)
    return np.asarray(bent, dtype=np.uint8)


@lru_cache(maxsize=4)
def _sources(camera: SceneCamera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row in the straight fine image, of each pixel in the distorted fine image."""
    columns, rows = (size * _SUPERSAMPLING for size in camera.size_px)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    pixels = (grid + 0.5) / _SUPERSAMPLING - 0.5
    wanted = (pixels - camera.principal_px) / camera.focal_px
    straight = wanted.copy()
    for _ in range(_UNDISTORT_STEPS):
        step = wanted - _bend(straight, camera.distortion)
        straight += step
        if np.abs(step).max() < _UNDISTORT_TOLERANCE:
            break
    source = (straight * camera.focal_px + camera.principal_px + 0.5) * _SUPERSAMPLING - 0.5
    source = source.astype(np.float32)
    return np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])


def _bend(plane: Floats, distortion: Sequence[float]) -> Floats:
    """Where the lens moves points (..., 2) of the plane z = 1."""
    k1, k2, p1, p2, k3 = distortion
    x, y = plane[..., 0], plane[..., 1]
    square = x * x + y * y
    radial = 1.0 + square * (k1 + square * (k2 + square * k3))
    bent_x = x * radial + 2.0 * p1 * x * y + p2 * (square + 2.0 * x * x)
    bent_y = y * radial + p1 * (square + 2.0 * y * y) + 2.0 * p2 * x * y
    return np.asarray(np.stack([bent_x, bent_y], axis=-1), dtype=np.float64)
