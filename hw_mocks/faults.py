"""Faults of a tracker and its network, as functions of a seed and the time alone.

t_s is the time within the replay; the same seed, stream and time always give the same fault.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import FloatArray

# A line of sight that is lost stays lost for about so long.
DROPOUT_S = 0.5
# Metal bends an electromagnetic field over about so much.
FIELD_WAVE_MM = 400.0


@dataclass(frozen=True, slots=True)
class Faults:
    """delay_s: of every message. jitter_s: each comes later by up to so much, evenly spread.
    loss: share of messages that never come. dropout: share of time a tool is MISSING.
    drift_mm_min: speed at which all poses wander off in one direction. distortion_mm: largest
    error by place. skew_ppm: how much faster the sender's clock runs."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    dropout: float = 0.0
    drift_mm_min: float = 0.0
    distortion_mm: float = 0.0
    skew_ppm: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        values = (self.delay_s, self.jitter_s, self.drift_mm_min, self.distortion_mm)
        if not np.isfinite((*values, self.skew_ppm)).all() or min(values) < 0.0:
            raise ValueError("delay, jitter, drift and distortion must be 0 or more")
        if not (0.0 <= self.loss <= 1.0 and 0.0 <= self.dropout <= 1.0):
            raise ValueError("loss and dropout are shares from 0 to 1")
        if self.seed < 0:
            raise ValueError("a seed is 0 or more")


def lateness_s(faults: Faults, stream: str, t_s: float) -> float:
    """How much later than meant a message arrives, s."""
    if faults.jitter_s == 0.0:
        return faults.delay_s
    return faults.delay_s + faults.jitter_s * _chance(faults.seed, "jitter", stream, t_s)


def is_lost(faults: Faults, stream: str, t_s: float) -> bool:
    """Whether a message never arrives."""
    return faults.loss > 0.0 and _chance(faults.seed, "loss", stream, t_s) < faults.loss


def is_dropped_out(faults: Faults, stream: str, t_s: float) -> bool:
    """Whether the tool is out of sight, for whole stretches of DROPOUT_S."""
    if faults.dropout == 0.0:
        return False
    stretch_s = float(np.floor(t_s / DROPOUT_S)) * DROPOUT_S
    return _chance(faults.seed, "dropout", stream, stretch_s) < faults.dropout


def drift_mm(faults: Faults, t_s: float) -> FloatArray:
    """Offset of every pose (3,), mm, in the tracker's frame; 0 at the start."""
    direction = np.random.default_rng([faults.seed, 1]).normal(size=3)
    length = faults.drift_mm_min * t_s / 60.0
    return np.asarray(direction / np.linalg.norm(direction) * length)


def distortion_mm(faults: Faults, place_mm: FloatArray) -> FloatArray:
    """Error (3,), mm, of a tool at `place_mm` (3,) in the tracker's frame: smooth, never longer
    than `distortion_mm`."""
    rng = np.random.default_rng([faults.seed, 2])
    waves = rng.normal(size=(3, 3))
    waves *= 2.0 * np.pi / FIELD_WAVE_MM / np.linalg.norm(waves, axis=1, keepdims=True)
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)
    return np.asarray(np.sin(waves @ place_mm + phases) * faults.distortion_mm / np.sqrt(3.0))


def faulty_pose(faults: Faults, matrix: FloatArray, t_s: float) -> FloatArray:
    """The pose (4, 4) as a drifting tracker in a distorted field gives it; its rotation is kept."""
    if faults.drift_mm_min == 0.0 and faults.distortion_mm == 0.0:
        return matrix
    moved = np.array(matrix)
    moved[:3, 3] += drift_mm(faults, t_s) + distortion_mm(faults, np.asarray(matrix)[:3, 3])
    return moved


def skewed_s(faults: Faults, stamp_s: float, start_s: float) -> float:
    """What the sender's clock, right at `start_s`, says at `stamp_s` (Unix time)."""
    return start_s + (stamp_s - start_s) * (1.0 + faults.skew_ppm * 1e-6)


def _chance(seed: int, what: str, stream: str, t_s: float) -> float:
    """Evenly spread in [0, 1)."""
    key = f"{seed}/{what}/{stream}/{round(t_s * 1e6)}".encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) >> 11
    return number / 2.0**53
