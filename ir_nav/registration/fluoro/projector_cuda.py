"""The projector's inner loops on an NVIDIA GPU: the same sums as projector_kernels, a thread for
each pixel of the base plane, then for each pixel of the frame.

Imported only where a GPU is used (projector_device.py): numba.cuda takes a fifth of a second.
"""

from __future__ import annotations

import math
import threading
import warnings
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.projector_kernels import SEEN, UNSEEN, Floats, plan_poses

Float32s = NDArray[np.float32]
Plans = NDArray[np.int32]

# Threads side by side in a block.
BLOCK = 128
# Most base pixels held at once: 256 MB.
MOST_HELD = 1 << 26
# Columns of plan_poses' plans.
STATE, MAIN, SLICES, ROWS, COLUMNS, PER_SLICE, PER_ROW, BASE_ROWS, BASE_COLUMNS = range(9)

# A small frame cannot fill a GPU, of which numba warns.
warnings.filterwarnings("ignore", message="Grid size")


class DeviceGrid:
    """An attenuation's voxels in the device's memory, in both orders of reading."""

    def __init__(self, attenuation: Attenuation) -> None:
        self.levels = cuda.to_device(attenuation.levels.reshape(-1))
        self.swapped = cuda.to_device(attenuation.swapped.reshape(-1))


_grids: WeakKeyDictionary[Attenuation, DeviceGrid] = WeakKeyDictionary()
_lock = threading.Lock()


def start() -> None:
    """Start the driver on the first GPU. Raises what numba raises where that does not work."""
    cuda.current_context()


def render(
    attenuation: Attenuation, sources: Floats, rays: Floats, per_pixel: Floats, frames: Float32s
) -> NDArray[np.int32]:
    """Fill frames (n, rows, columns) as render_poses does; (n,) what planning each pose found."""
    size_px = (frames.shape[2], frames.shape[1])
    shape = attenuation.levels.shape
    plans, slices, maps = plan_poses(shape, attenuation.spacing_mm, sources, rays, size_px)
    grid, pixels = _grid(attenuation), cuda.to_device(per_pixel)
    held = plans[:, BASE_ROWS].astype(np.int64) * plans[:, BASE_COLUMNS]
    for part in _parts(held):
        _render_part(grid, plans[part], slices[part], maps[part], pixels, held[part], frames[part])
    return np.asarray(plans[:, STATE])


def _grid(attenuation: Attenuation) -> DeviceGrid:
    with _lock:
        grid = _grids.get(attenuation)
        if grid is None:
            grid = _grids[attenuation] = DeviceGrid(attenuation)
        return grid


def _parts(held: NDArray[np.int64]) -> list[slice]:
    """Poses in order, so many together that their base planes fit; at least one."""
    parts, first, total = [], 0, 0
    for n, pixels in enumerate(held.tolist()):
        if n > first and total + pixels > MOST_HELD:
            parts.append(slice(first, n))
            first, total = n, 0
        total += pixels
    return [*parts, slice(first, len(held))] if len(held) else []


def _render_part(
    grid: DeviceGrid, plans: Plans, slices: Float32s, maps: Floats, per_pixel: object,
    held: NDArray[np.int64], frames: Float32s,
) -> None:  # fmt: skip
    ends = np.cumsum(held)
    offsets = cuda.to_device(ends - held)
    on_device = cuda.to_device(plans)
    base = cuda.device_array(max(int(ends[-1]), 1), np.float32)
    if ends[-1] > 0:
        blocks = (-(-int(held.max()) // BLOCK), len(plans))
        sum_slices[blocks, BLOCK](
            grid.levels, grid.swapped, on_device, cuda.to_device(slices), offsets, base
        )
    drawn = cuda.device_array(frames.shape, np.float32)
    blocks = (-(-frames[0].size // BLOCK), len(plans))
    warp[blocks, BLOCK](base, offsets, on_device, cuda.to_device(maps), per_pixel, drawn)
    frames[...] = drawn.copy_to_host()


@cuda.jit
def sum_slices(
    levels: NDArray[np.int16],
    swapped: NDArray[np.int16],
    plans: Plans,
    slices: Float32s,
    offsets: NDArray[np.int64],
    base: Float32s,
) -> None:
    """A pixel of a pose's base plane: rows, then columns interpolated, summed over the slices.

    levels, swapped: flat, [k, j, i] and [k, i, j]. base: flat, a pose's plane from its offset on.
    """
    n = cuda.blockIdx.y
    at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    width = plans[n, BASE_COLUMNS]
    if at >= plans[n, BASE_ROWS] * width:
        return
    row, column = np.float32(at // width), np.float32(at % width)
    rows, columns = plans[n, ROWS], plans[n, COLUMNS]
    line = plans[n, PER_ROW] * columns
    # Beyond the last place that has a neighbour there is only air.
    last_y, last_x = np.float32(rows - 1.001), np.float32(columns - 1)
    voxels = swapped if plans[n, MAIN] == 0 else levels
    total = np.float32(0.0)
    for k in range(plans[n, SLICES]):
        scale = slices[n, k, 0]
        y = slices[n, k, 1] + scale * row
        x = slices[n, k, 2] + scale * column
        if scale <= 0.0 or y <= 0.0 or y >= last_y or x < 0.0 or x >= last_x:
            continue
        j, i = int(y), int(x)
        f, w = y - np.float32(j), x - np.float32(i)
        g = np.float32(1.0) - f
        o = k * plans[n, PER_SLICE] * columns + j * line + i
        a = g * np.float32(voxels[o]) + f * np.float32(voxels[o + line])
        b = g * np.float32(voxels[o + 1]) + f * np.float32(voxels[o + line + 1])
        total += a + w * (b - a)
    base[offsets[n] + at] = total


@cuda.jit
def warp(
    base: Float32s,
    offsets: NDArray[np.int64],
    plans: Plans,
    maps: Floats,
    per_pixel: Floats,
    frames: Float32s,
) -> None:
    """A pixel of a frame: its base plane bicubic (Keys 1981), times the way from slice to slice."""
    n = cuda.blockIdx.y
    at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if at >= frames.shape[1] * frames.shape[2]:
        return
    v, u = at // frames.shape[2], at % frames.shape[2]
    state = plans[n, STATE]
    if state != SEEN:
        frames[n, v, u] = np.float32(0.0) if state == UNSEEN else np.float32(math.nan)
        return
    width = plans[n, BASE_COLUMNS]
    m = maps[n]
    w = m[2, 0] * u + m[2, 1] * v + m[2, 2]
    inverse = 1.0 / w if w > 0.0 else 0.0
    x = (m[0, 0] * u + m[0, 1] * v + m[0, 2]) * inverse
    y = (m[1, 0] * u + m[1, 1] * v + m[1, 2]) * inverse
    inside = w > 0.0 and x >= 1.0 and y >= 1.0
    if not (inside and x < width - 2 and y < plans[n, BASE_ROWS] - 2):
        frames[n, v, u] = np.float32(0.0)
        return
    i, j = int(x), int(y)
    a, b, c, e = cubic(np.float32(x - i))
    p, q, r, s = cubic(np.float32(y - j))
    o = offsets[n] + (j - 1) * width + i
    total = p * across(base, o, a, b, c, e)
    total += q * across(base, o + width, a, b, c, e)
    total += r * across(base, o + 2 * width, a, b, c, e)
    total += s * across(base, o + 3 * width, a, b, c, e)
    d = per_pixel
    dx = d[0, 0] * u + d[0, 1] * v + d[0, 2]
    dy = d[1, 0] * u + d[1, 1] * v + d[1, 2]
    dz = d[2, 0] * u + d[2, 1] * v + d[2, 2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz) * inverse
    frames[n, v, u] = total * np.float32(length)


@cuda.jit(device=True, inline=True)
def cubic(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Catmull-Rom weights of the four samples round a place `t` between the middle two."""
    half, two = np.float32(0.5), np.float32(2.0)
    t2 = t * t
    t3 = t2 * t
    return (
        half * (-t + t2 + t2 - t3),
        half * (two - np.float32(5.0) * t2 + np.float32(3.0) * t3),
        half * (t + np.float32(4.0) * t2 - np.float32(3.0) * t3),
        half * (t3 - t2),
    )


@cuda.jit(device=True, inline=True)
def across(
    base: Float32s, at: int, a: np.float32, b: np.float32, c: np.float32, d: np.float32
) -> Any:
    """Four samples side by side, `at` the second, times their weights."""
    return a * base[at - 1] + b * base[at] + c * base[at + 1] + d * base[at + 2]
