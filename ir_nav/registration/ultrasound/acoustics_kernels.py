"""Compiled loops that prepare a CT's acoustics: numba, no GIL."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]


@njit(cache=True, nogil=True)
def codes_of(
    hu: NDArray[np.int16],
    ids: NDArray[np.integer],
    table: NDArray[np.uint32],
    hu_shift: int,
    out: NDArray[np.uint32],
) -> None:
    """The packed code of every voxel (k, j, i); table (structures, CT number bins)."""
    last = table.shape[1] - 1
    for k in range(hu.shape[0]):
        for j in range(hu.shape[1]):
            for i in range(hu.shape[2]):
                at = min(max((np.int64(hu[k, j, i]) + 1024) >> hu_shift, 0), last)
                out[k, j, i] = table[ids[k, j, i], at]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def resample_codes(native: Bytes, step_ijk: Doubles, out: Bytes) -> None:
    """Trilinear onto a grid with the same first voxel and `step_ijk` (3,) native voxels a step."""
    last_k, last_j, last_i = native.shape[0] - 2, native.shape[1] - 2, native.shape[2] - 2
    for k in range(out.shape[0]):
        k0 = min(int(k * step_ijk[2]), last_k)
        fk = np.float32(k * step_ijk[2] - k0)
        for j in range(out.shape[1]):
            j0 = min(int(j * step_ijk[1]), last_j)
            fj = np.float32(j * step_ijk[1] - j0)
            a, b = native[k0, j0], native[k0, j0 + 1]
            c, d = native[k0 + 1, j0], native[k0 + 1, j0 + 1]
            wa, wb = (1 - fk) * (1 - fj), (1 - fk) * fj
            wc, wd = fk * (1 - fj), fk * fj
            for i in range(out.shape[2]):
                i0 = min(int(i * step_ijk[0]), last_i)
                fi = np.float32(i * step_ijk[0] - i0)
                for n in range(4):
                    near = wa * a[i0, n] + wb * b[i0, n] + wc * c[i0, n] + wd * d[i0, n]
                    far = (
                        wa * a[i0 + 1, n]
                        + wb * b[i0 + 1, n]
                        + wc * c[i0 + 1, n]
                        + wd * d[i0 + 1, n]
                    )
                    out[k, j, i, n] = np.uint8(near + fi * (far - near) + np.float32(0.5))
