"""Cameras, bodies and views that the optical tests share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from devices.optical.bodies import Bodies, Body
from devices.optical.charuco import BoardView, CharucoBoard, find_board
from devices.optical.detection import MarkerFinder
from devices.optical.intrinsics import Intrinsics
from hw_mocks.marker_scene import (
    Plate,
    SceneCamera,
    marker_plate,
    pose,
    project,
    render,
    square_mm,
)

Floats = NDArray[np.float64]

DICTIONARY = "ARUCO_MIP_36h12"
DISTORTION = (-0.11, 0.04, 0.0008, -0.0005, 0.0)
CAMERA = SceneCamera((480, 360), (600.0, 603.0), (243.0, 176.5), blur_px=0.8, noise=4.0)
BENT_CAMERA = SceneCamera(
    (480, 360), (600.0, 603.0), (243.0, 176.5), DISTORTION, blur_px=0.8, noise=3.0
)
BOARD = CharucoBoard((8, 6), 20.0, 15.0, "DICT_5X5_50")


def intrinsics_of(camera: SceneCamera, corner_sd_px: float = 0.05) -> Intrinsics:
    return Intrinsics(
        camera.size_px,
        camera.focal_px,
        camera.principal_px,
        camera.distortion,
        corner_sd_px * np.sqrt(2.0),
    )


def single(side_mm: float) -> Body:
    return Body("NeedleToTracker", {7: square_mm(side_mm)})


def wedge() -> Body:
    """Three markers like a roof."""
    turns = {1: (0.6, (-32.0, 0.0, 10.0)), 2: (0.0, (0.0, 0.0, 0.0)), 3: (-0.6, (32.0, 0.0, 10.0))}
    return Body(
        "ProbeToTracker",
        {
            marker: square_mm(22.0) @ pose([0.0, angle, 0.0], middle)[:3, :3].T + middle
            for marker, (angle, middle) in turns.items()
        },
    )


def bodies(*members: Body) -> Bodies:
    return Bodies(DICTIONARY, members)


def photograph(
    camera: SceneCamera,
    placed: Sequence[tuple[Body, Floats]],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Bodies with their camera_from_body."""
    plates = [
        (marker_plate(f"DICT_{DICTIONARY}", marker, corners), camera_from_body)
        for body, camera_from_body in placed
        for marker, corners in body.corners_mm.items()
    ]
    return render(camera, plates, rng)


def found(
    body: Body, camera: SceneCamera, camera_from_body: Floats, rng: np.random.Generator
) -> dict[int, Floats]:
    image = photograph(camera, [(body, camera_from_body)], rng)
    return MarkerFinder(bodies(body), intrinsics_of(camera)).find(image).corners_px


def drawn_corners(
    body: Body,
    camera: SceneCamera,
    camera_from_body: Floats,
    sd_px: float,
    rng: np.random.Generator,
) -> dict[int, Floats]:
    """Corners with noise of a known size, without an image."""
    return {
        marker: project(camera, camera_from_body, corners) + rng.normal(0.0, sd_px, (4, 2))
        for marker, corners in body.corners_mm.items()
    }


def deviation(measured: Floats, truth: Floats) -> Floats:
    """(6,): small rotation (rad) about camera axes, then position (mm)."""
    turn = measured[:3, :3] @ truth[:3, :3].T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return np.concatenate([axis / 2.0, measured[:3, 3] - truth[:3, 3]])


def board_plate() -> Plate:
    width, height = (squares * BOARD.square_mm for squares in BOARD.squares)
    corners = np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]], float)
    return Plate(BOARD.picture(48), corners)


def board_pose(turn: Sequence[float], middle_mm: Sequence[float]) -> Floats:
    """camera_from_board with the board's middle at a place."""
    matrix = pose(turn, (0.0, 0.0, 0.0))
    half = np.array(BOARD.squares) * BOARD.square_mm / 2.0
    matrix[:3, 3] = middle_mm - matrix[:3, :2] @ half
    return matrix


def photographed_boards(
    camera: SceneCamera, poses: Sequence[Floats], rng: np.random.Generator
) -> list[BoardView]:
    plate = board_plate()
    return [
        find_board(BOARD, f"view {index}", render(camera, [(plate, matrix)], rng))
        for index, matrix in enumerate(poses)
    ]


def drawn_board(
    name: str, camera: SceneCamera, matrix: Floats, sd_px: float, rng: np.random.Generator
) -> BoardView:
    """All inner corners with noise of a known size, without an image."""
    columns, rows = BOARD.squares
    grid = np.mgrid[1:columns, 1:rows].T.reshape(-1, 2) * BOARD.square_mm
    points = np.column_stack([grid, np.zeros(len(grid))])
    pixels = project(camera, matrix, points) + rng.normal(0.0, sd_px, (len(points), 2))
    return BoardView(name, points, pixels)


def tilted_poses(count: int, rng: np.random.Generator, tilt: float = 0.35) -> list[Floats]:
    """Boards near the middle, tilted at random (rad)."""
    found = []
    for _ in range(count):
        turn = rng.uniform(-1.0, 1.0, 3) * (1.5 * tilt, 1.5 * tilt, 0.4)
        place = rng.uniform(-1.0, 1.0, 3) * (40.0, 30.0, 60.0) + (0.0, 0.0, 300.0)
        found.append(board_pose(turn, place))
    return found
