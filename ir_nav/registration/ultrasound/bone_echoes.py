"""Where a sweep shows the surface of bone: a bright line along a beam, dark behind.

Foroughi et al. 2007 (Ultrasound bone segmentation using dynamic programming): brightness times
the shadow behind it, and from beam to beam the line that is best as a whole. Kept apart from gas
by its shadow, which is clean, and from what a probe off the skin draws by the tissue before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.registration.ultrasound.fan import Fan
from ir_nav.registration.ultrasound.sweep import Float32, TrackedSweep

BEAMS = 128
STEP_MM = 0.6
# Nearer lies the probe's own ring-down; deeper a bone leaves no room for its shadow.
NEAR_MM, ROOM_MM = 6.0, 20.0
SMOOTH_ALONG_MM, SMOOTH_ACROSS_MM = 0.7, 1.4
# Behind the surface, where its echo has faded, and before it.
SHADOW_MM, BEFORE_MM = (5.0, 20.0), (2.0, 8.0)
# Parts of the tissue's own grey: a shadow is darker than the one, tissue before brighter.
DARK, TISSUE = 0.55, 0.6
# Of the brightest hundredth of a frame: a surface square to the beam.
BRIGHT_PART = 0.99
# What a beam with bone must be worth, what it costs to begin or end, and per step to jump.
LEAST_SCORE, BEGIN_COST, JUMP_COST = 0.3, 0.5, 0.04
MOST_JUMP = 4
# A line over fewer beams than this is no bone.
LEAST_BEAMS = 5

Depths = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class BoneEchoes:
    """points_mm (n, 3), along (n, 3): places in `reference`, unit directions of their beams.
    frame (n,): of the sweep."""

    points_mm: FloatArray
    along: FloatArray
    frame: NDArray[np.intp]


def find_bone(sweep: TrackedSweep, fan: Fan) -> BoneEchoes:
    """The surfaces of bone that face the probe, at most one point a beam."""
    depth_mm = np.arange(0.0, fan.depth_mm - 0.5, STEP_MM)
    starts_px, steps_px = fan.beams_px(BEAMS)
    places = starts_px[:, None] + depth_mm[:, None] * steps_px[:, None]
    points, along, frames = [], [], []
    pitch_mm = float(fan.pitch_mm(0.35 * fan.depth_mm, BEAMS))
    for number, image in enumerate(sweep.images):
        bright, score = bone_score(_along_beams(image, places), pitch_mm)
        line = best_line(score)
        beams = np.flatnonzero(line >= 0)
        exact_mm = (line[beams] + _peak_offset(bright[beams], line[beams])) * STEP_MM
        pose = sweep.reference_from_image[number]
        here = starts_px[beams] + exact_mm[:, None] * steps_px[beams]
        points.append(here @ pose[:3, :2].T + pose[:3, 3])
        along.append(steps_px[beams] @ pose[:3, :2].T)
        frames.append(np.full(len(beams), number))
    return BoneEchoes(
        read_only(np.concatenate(points)),
        read_only(np.concatenate(along)),
        np.concatenate(frames).astype(np.intp),
    )


def bone_score(grey: Float32, pitch_mm: float) -> tuple[Float32, Float32]:
    """Smoothed grey and the score (beams, depths) of bone: 0, no bone, to about 1."""
    sigma = (SMOOTH_ALONG_MM / STEP_MM, SMOOTH_ACROSS_MM / pitch_mm)
    bright = cv2.GaussianBlur(grey, (0, 0), sigma[0], sigmaY=sigma[1])
    white = max(float(np.quantile(bright, BRIGHT_PART)), 1.0)
    lit = bright[bright > 0.15 * white]
    tissue = float(np.median(lit)) if lit.size else white
    shadow = np.clip(1.0 - _mean_between(grey, *SHADOW_MM) / (DARK * tissue), 0.0, 1.0)
    before = np.clip(_mean_between(grey, -BEFORE_MM[1], -BEFORE_MM[0]) / (TISSUE * tissue), 0, 1)
    over = np.clip((bright - tissue) / max(white - tissue, 1.0), 0.0, 1.0)
    score = over * shadow * before
    score[:, : int(NEAR_MM / STEP_MM)] = 0.0
    score[:, -int(ROOM_MM / STEP_MM) :] = 0.0
    return bright, score.astype(np.float32)


def best_line(score: Float32) -> Depths:
    """(beams,) depth of the line on each beam, -1 where there is none.

    Dynamic programming (Viterbi) from beam to beam: sum of the scores above LEAST_SCORE, less
    what jumps, beginnings and ends cost; none costs nothing.
    """
    beams, depths = score.shape
    gain = score - LEAST_SCORE
    came = np.empty((beams, depths + 1), dtype=np.int32)
    total = np.full(depths + 1, -BEGIN_COST)
    total[:depths] += gain[0]
    total[depths] = 0.0
    for beam in range(beams):
        best = np.full(depths, total[depths] - BEGIN_COST)
        way = np.full(depths, depths, dtype=np.int32)
        for jump in range(-MOST_JUMP, MOST_JUMP + 1):
            to = slice(max(jump, 0), depths + min(jump, 0))
            by = slice(max(-jump, 0), depths + min(-jump, 0))
            value = total[:depths][by] - JUMP_COST * abs(jump)
            better = value > best[to]
            best[to] = np.where(better, value, best[to])
            way[to] = np.where(better, np.arange(depths, dtype=np.int32)[by], way[to])
        ended = int(np.argmax(total[:depths]))
        none = max(total[depths], total[ended] - BEGIN_COST)
        came[beam, depths] = depths if total[depths] >= none else ended
        came[beam, :depths] = way
        total = np.append(best + gain[beam], none)
    return _traced(came, int(np.argmax(total)), depths)


def _traced(came: NDArray[np.int32], state: int, depths: int) -> Depths:
    line = np.full(len(came), -1, dtype=np.intp)
    for beam in range(len(came) - 1, -1, -1):
        line[beam] = state if state < depths else -1
        state = int(came[beam, state])
    return _without_short(line)


def _without_short(line: Depths) -> Depths:
    """Lines over a few beams only are dropped; a jump divides two lines."""
    joined = (line[1:] >= 0) & (line[:-1] >= 0) & (np.abs(np.diff(line)) <= MOST_JUMP)
    piece = np.concatenate([[0], np.cumsum(~joined)])
    return np.where(np.bincount(piece)[piece] >= LEAST_BEAMS, line, -1)


def _along_beams(image: NDArray[np.uint8], places: FloatArray) -> Float32:
    u, v = np.moveaxis(places.astype(np.float32), -1, 0)
    found = cv2.remap(
        image.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, dtype=np.float32)


def _mean_between(grey: Float32, first_mm: float, last_mm: float) -> Float32:
    """(beams, depths) mean of the samples so far behind each, as far as there are any."""
    first, last = round(first_mm / STEP_MM), round(last_mm / STEP_MM)
    depths = grey.shape[1]
    sums = np.concatenate([np.zeros((len(grey), 1)), np.cumsum(grey, axis=1)], axis=1)
    at = np.arange(depths)
    low, high = np.clip(at + first, 0, depths), np.clip(at + last + 1, 0, depths)
    return np.asarray((sums[:, high] - sums[:, low]) / np.maximum(high - low, 1), np.float32)


def _peak_offset(bright: Float32, line: Depths) -> FloatArray:
    """(n,) where between the samples the parabola through three is highest; -0.5 to 0.5."""
    n = np.arange(len(line))
    inner = np.clip(line, 1, bright.shape[1] - 2)
    before, here, after = (bright[n, inner + step] for step in (-1, 0, 1))
    bend = before - 2.0 * here + after
    offset = np.where(bend < -1e-3, 0.5 * (before - after) / np.minimum(bend, -1e-3), 0.0)
    return np.asarray(np.clip(offset, -0.5, 0.5), dtype=np.float64)
