"""The inner loop of the sweep's similarity: every beam walked through the CT at a pose."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# What lies ahead along the beam: the same, denser, thinner. Bins of HU are kept for each.
EDGES = 3
SKIN_HU = -300.0
GAS_HU = -300.0
BONE_HU, DENSE_HU = 200.0, 400.0
SHADOW_MM = 2.0
# Below every CT number: a sample outside the CT.
NOWHERE_HU = -1e6


@njit(nogil=True, fastmath=True, cache=True, error_model="numpy")
def explained(
    voxels: NDArray[np.int16],
    voxel_from_reference: Float64,
    starts: Float64,
    steps: Float64,
    step_mm: float,
    values: Float32,
    weights: Float32,
    values_on: Float32,
    weights_on: Float32,
    low_hu: float,
    bins_per_hu: float,
    bins: int,
    edge_hu: float,
    out: Float64,
) -> None:
    """Weighted variance of the echoes that the CT explains, for every pose; into `out` (m,).

    voxel_from_reference (m, 3, 4). starts, steps (frames, beams, 3): first sample and the way to
    the next, reference mm. values (frames, beams, samples): echo times weight, of mean zero.
    values_on, weights_on: sums from a sample to its beam's end, for what lies in a shadow.
    A beam is in shadow behind SHADOW_MM of bone or gas. Samples outside the CT explain nothing.
    """
    top_k, top_j, top_i = voxels.shape[0] - 1, voxels.shape[1] - 1, voxels.shape[2] - 1
    samples = values.shape[2]
    behind_bone = EDGES * bins
    mass = np.empty(EDGES * bins + 2)
    moment = np.empty(EDGES * bins + 2)
    for c in range(voxel_from_reference.shape[0]):
        m = voxel_from_reference[c]
        mass[:] = 0.0
        moment[:] = 0.0
        for f in range(starts.shape[0]):
            for b in range(starts.shape[1]):
                p, d = starts[f, b], steps[f, b]
                x = m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]
                y = m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]
                z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
                dx = m[0, 0] * d[0] + m[0, 1] * d[1] + m[0, 2] * d[2]
                dy = m[1, 0] * d[0] + m[1, 1] * d[1] + m[1, 2] * d[2]
                dz = m[2, 0] * d[0] + m[2, 1] * d[1] + m[2, 2] * d[2]
                entered = False
                bone_mm = gas_mm = np.float32(0.0)
                before = np.float32(NOWHERE_HU)
                here = np.float32(NOWHERE_HU)
                for s in range(samples + 1):
                    ahead = np.float32(NOWHERE_HU)
                    if 0.0 <= x < top_i and 0.0 <= y < top_j and 0.0 <= z < top_k:
                        i, j, k = np.uint32(x), np.uint32(y), np.uint32(z)
                        one = np.uint32(1)
                        fi, fj, fk = np.float32(x - i), np.float32(y - j), np.float32(z - k)
                        near, far = voxels[k, j], voxels[k, j + one]
                        a = near[i] + fi * np.float32(near[i + one] - near[i])
                        a += fj * (far[i] + fi * np.float32(far[i + one] - far[i]) - a)
                        near, far = voxels[k + one, j], voxels[k + one, j + one]
                        h = near[i] + fi * np.float32(near[i + one] - near[i])
                        h += fj * (far[i] + fi * np.float32(far[i + one] - far[i]) - h)
                        ahead = a + fk * (h - a)
                    x += dx
                    y += dy
                    z += dz
                    if s > 0 and here > NOWHERE_HU:
                        n = s - 1
                        if bone_mm > SHADOW_MM or gas_mm > SHADOW_MM:
                            side = behind_bone if bone_mm > SHADOW_MM else behind_bone + 1
                            mass[side] += weights_on[f, b, n]
                            moment[side] += values_on[f, b, n]
                            break
                        rise = np.float32(0.0)
                        if before > NOWHERE_HU and ahead > NOWHERE_HU:
                            rise = ahead - before
                        at = (float(here) - low_hu) * bins_per_hu
                        at = min(max(at, 0.0), bins - 1.001)
                        low = int(at)
                        share = at - low
                        if rise > edge_hu:
                            low += bins
                        elif rise < -edge_hu:
                            low += 2 * bins
                        w, v = weights[f, b, n], values[f, b, n]
                        mass[low] += (1.0 - share) * w
                        mass[low + 1] += share * w
                        moment[low] += (1.0 - share) * v
                        moment[low + 1] += share * v
                        if here > SKIN_HU:
                            entered = True
                        if entered:
                            if here > BONE_HU:
                                part = (here - BONE_HU) / (DENSE_HU - BONE_HU)
                                bone_mm += step_mm * min(part, np.float32(1.0))
                            elif here < GAS_HU:
                                gas_mm += step_mm
                    before = here
                    here = ahead
        total = 0.0
        for n in range(EDGES * bins + 2):
            if mass[n] > 1e-6:
                total += moment[n] * moment[n] / mass[n]
        out[c] = total
