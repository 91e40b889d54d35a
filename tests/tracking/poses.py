"""Pose samples and tool motions with a known truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from devices.contract import PoseSample, PoseStatus


def pose(
    turn_deg: tuple[float, ...] = (0.0, 0.0, 0.0), place: ArrayLike = (0.0, 0.0, 0.0)
) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(turn_deg)).as_matrix()
    matrix[:3, 3] = place
    return matrix


def seen(source_s: float, matrix: np.ndarray, delay_s: float = 0.05) -> PoseSample:
    return PoseSample("NeedleToTracker", matrix, PoseStatus.OK, source_s, source_s + delay_s)


def unseen(source_s: float, delay_s: float = 0.05) -> PoseSample:
    return PoseSample("NeedleToTracker", None, PoseStatus.MISSING, source_s, source_s + delay_s)


def pivoting(
    tip_mm: np.ndarray,
    pivot_mm: np.ndarray,
    count: int = 100,
    tilt_deg: float = 60.0,
    seed: int = 1,
) -> np.ndarray:
    """(n, 4, 4): a tool held by its resting tip, tilted within a cone and twisted a little."""
    rng = np.random.default_rng(seed)
    bearings, tilts = rng.uniform(0, 2 * np.pi, count), np.radians(tilt_deg) * rng.random(count)
    across = np.column_stack([np.zeros(count), np.cos(bearings), np.sin(bearings)])
    turns = Rotation.from_rotvec(across * tilts[:, None])
    twists = Rotation.from_rotvec(
        np.radians(rng.uniform(-20, 20, (count, 1))) * np.array([1.0, 0.0, 0.0])
    )
    start = Rotation.from_euler("xyz", (20, 130, -40), degrees=True)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = (start * turns * twists).as_matrix()
    poses[:, :3, 3] = np.asarray(pivot_mm) - poses[:, :3, :3] @ np.asarray(tip_mm)
    return poses


def spinning(
    shaft: np.ndarray,
    wobble_deg: float,
    count: int = 200,
    turn_deg: float = 120.0,
    seed: int = 2,
) -> np.ndarray:
    """(n, 4, 4): a needle turned about its shaft, whose direction wobbles by so much rms."""
    rng = np.random.default_rng(seed)
    axis = np.asarray(shaft) / np.linalg.norm(shaft)
    turns = Rotation.from_rotvec(np.radians(np.linspace(0, turn_deg, count))[:, None] * axis)
    across = np.linalg.svd(axis[None])[2][1:]
    wobbles = Rotation.from_rotvec(
        np.radians(rng.normal(0, wobble_deg / np.sqrt(2), (count, 2))) @ across
    )
    start = Rotation.from_euler("xyz", (70, -20, 10), degrees=True)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = (start * wobbles * turns).as_matrix()
    poses[:, :3, 3] = (100.0, -50.0, 900.0)
    return poses
