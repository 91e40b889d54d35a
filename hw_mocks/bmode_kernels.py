"""The inner loops of the B-mode renderer; one thread, without the interpreter's lock."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bytes = NDArray[np.uint8]

TILE = 64
TILE_BITS = 6
TEXTURE_PER_MM = 2.2
MOTTLE_TILE = 64
MOTTLE_PER_MM = 0.9
COARSE = 2  # echo samples per tissue sample: a voxel spans five echo samples
NODES = (14, 21)  # lines, samples at which breathing is evaluated


@njit(cache=True, nogil=True, fastmath=True)
def rest_shift(
    lines_ct: Float64,
    depth_mm: float,
    weight: Float32,
    voxel_from_ct: Float64,
    skin: Float64,
    deep: Float64,
    shift: Float32,
) -> None:
    """Displacement at a coarse grid over the fan, by fixed-point iteration.

    lines_ct (n, 6): start and direction of every scan line. shift (NODES.., 3): to subtract.
    """
    n_lines = lines_ct.shape[0]
    for a in range(shift.shape[0]):
        line = lines_ct[int(a * (n_lines - 1) / (shift.shape[0] - 1))]
        for b in range(shift.shape[1]):
            r = depth_mm * b / (shift.shape[1] - 1)
            dx = dy = dz = 0.0
            for _ in range(8):
                x = line[0] + r * line[3] - dx
                y = line[1] + r * line[4] - dy
                z = line[2] + r * line[5] - dz
                w = _weight_at(weight, voxel_from_ct, x, y, z)
                dx = skin[0] + w * (deep[0] - skin[0])
                dy = skin[1] + w * (deep[1] - skin[1])
                dz = skin[2] + w * (deep[2] - skin[2])
            shift[a, b, 0] = dx
            shift[a, b, 1] = dy
            shift[a, b, 2] = dz


@njit(cache=True, nogil=True, fastmath=True)
def _weight_at(weight: Float32, m: Float64, x: float, y: float, z: float) -> float:
    top_k, top_j, top_i = weight.shape[0] - 1.001, weight.shape[1] - 1.001, weight.shape[2] - 1.001
    i = min(max(m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3], 0.0), top_i)
    j = min(max(m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3], 0.0), top_j)
    k = min(max(m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3], 0.0), top_k)
    i0, j0, k0 = int(i), int(j), int(k)
    fi, fj, fk = i - i0, j - j0, k - k0
    total = 0.0
    for c in range(2):
        for b in range(2):
            share = (fk if c else 1.0 - fk) * (fj if b else 1.0 - fj)
            row = weight[k0 + c, j0 + b]
            total += share * ((1.0 - fi) * row[i0] + fi * row[i0 + 1])
    return total


@njit(cache=True, nogil=True, fastmath=True)
def acquire(
    volume: Bytes,
    voxel_from_ct: Float64,
    lines_ct: Float64,
    step_mm: float,
    shift: Float32,
    texture: NDArray[np.int8],
    mottle: NDArray[np.int8],
    scatter_lut: Float32,
    loss_lut: Float32,
    gel_mm: float,
    specular: float,
    in_phase: Float32,
    quadrature: Float32,
    through: Float32,
    haze: Float32,
) -> None:
    """March every scan line: echoes before attenuation, what came through, haze behind gas.

    Outputs are (lines, samples). Tissue is sampled by trilinear interpolation at its resting
    position, so speckle and structures move together.
    """
    n_lines, n_samples = in_phase.shape
    size_k, size_j, size_i = volume.shape[0] - 1, volume.shape[1] - 1, volume.shape[2] - 1
    m = voxel_from_ct
    per_node_l = (shift.shape[0] - 1) / (n_lines - 1)
    per_node_s = (shift.shape[1] - 1) / (n_samples - 1)
    byte = np.empty(4, dtype=np.float32)
    for line in range(n_lines):
        at = line * per_node_l
        a0 = min(int(at), shift.shape[0] - 2)
        fa = at - a0
        in_body = False
        dead = False
        gap = 0.0
        passed = 1.0
        last_impedance = 165.0
        behind_gas = -1
        gas_echo = 0.0
        bx = by = bz = 0.0
        for s in range(0, n_samples, COARSE):
            node = s * per_node_s
            b0 = min(int(node), shift.shape[1] - 2)
            fb = node - b0
            w00 = (1.0 - fa) * (1.0 - fb)
            w01 = (1.0 - fa) * fb
            w10 = fa * (1.0 - fb)
            w11 = fa * fb
            s00, s01 = shift[a0, b0], shift[a0, b0 + 1]
            s10, s11 = shift[a0 + 1, b0], shift[a0 + 1, b0 + 1]
            r = s * step_mm
            x = lines_ct[line, 0] + r * lines_ct[line, 3]
            y = lines_ct[line, 1] + r * lines_ct[line, 4]
            z = lines_ct[line, 2] + r * lines_ct[line, 5]
            x -= w00 * s00[0] + w01 * s01[0] + w10 * s10[0] + w11 * s11[0]
            y -= w00 * s00[1] + w01 * s01[1] + w10 * s10[1] + w11 * s11[1]
            z -= w00 * s00[2] + w01 * s01[2] + w10 * s10[2] + w11 * s11[2]
            i = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
            j = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
            k = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
            if i >= 0.0 and j >= 0.0 and k >= 0.0 and i < size_i and j < size_j and k < size_k:
                i0, j0, k0 = int(i), int(j), int(k)
                fi, fj, fk = np.float32(i - i0), np.float32(j - j0), np.float32(k - k0)
                gi, gj, gk = np.float32(1.0) - fi, np.float32(1.0) - fj, np.float32(1.0) - fk
                p00, p01 = volume[k0, j0], volume[k0, j0 + 1]
                p10, p11 = volume[k0 + 1, j0], volume[k0 + 1, j0 + 1]
                c00, c01, c10, c11 = gk * gj, gk * fj, fk * gj, fk * fj
                for c in range(4):
                    byte[c] = (
                        c00 * (gi * p00[i0, c] + fi * p00[i0 + 1, c])
                        + c01 * (gi * p01[i0, c] + fi * p01[i0 + 1, c])
                        + c10 * (gi * p10[i0, c] + fi * p10[i0 + 1, c])
                        + c11 * (gi * p11[i0, c] + fi * p11[i0 + 1, c])
                    )
            else:
                byte[0] = 0.0
                byte[1] = 140.0
                byte[2] = 165.0
                byte[3] = 255.0 if not in_body else 0.0
            echo = 0.0
            if not in_body:
                if byte[3] < 127.0:
                    in_body = True
                    last_impedance = byte[2]
                else:
                    gap += COARSE * step_mm
                    dead = dead or gap > gel_mm
                    byte[0] = 138.0
                    byte[1] = 0.0
            if dead:
                for n in range(s, min(s + COARSE, n_samples)):
                    in_phase[line, n] = 0.0
                    quadrature[line, n] = 0.0
                    through[line, n] = 0.0
                    haze[line, n] = 0.0
                continue
            tissue_mottle = mottle[
                int(z * MOTTLE_PER_MM + 8192.0) & (MOTTLE_TILE - 1),
                int(y * MOTTLE_PER_MM + 8192.0) & (MOTTLE_TILE - 1),
                int(x * MOTTLE_PER_MM + 8192.0) & (MOTTLE_TILE - 1),
            ]
            if in_body:
                change = abs(byte[2] - last_impedance) / (byte[2] + last_impedance)
                # Weak interfaces scatter rather than mirror, and no surface is evenly smooth.
                echo = specular * change * change / (change + 0.012)
                echo *= max(0.15, 1.0 + 0.025 * tissue_mottle)
                last_impedance = byte[2]
                if behind_gas < 0 and byte[3] > 127.0:
                    behind_gas = s
                    # Out of the body again near the probe: nothing behind to ring.
                    grain = texture[
                        int(z * TEXTURE_PER_MM + 65536.0) & (TILE - 1),
                        int(y * TEXTURE_PER_MM + 65536.0) & (TILE - 1),
                        int(x * TEXTURE_PER_MM + 65536.0) & (TILE - 1),
                        0,
                    ]
                    streak = max(0.08, 0.35 + 0.022 * grain + 0.006 * tissue_mottle)
                    gas_echo = passed * streak if r > 12.0 else 0.0
            uneven = 0.13 if byte[2] > 150.0 else 0.3
            level = int(byte[0] + uneven * tissue_mottle)
            amplitude = scatter_lut[min(max(level, 0), 255)]
            loss = loss_lut[int(byte[1])]
            if s == 0:
                bx, by, bz = x, y, z
            for n in range(COARSE):
                if s + n >= n_samples:
                    break
                f = (n + 1.0) / COARSE
                ti = int((bx + f * (x - bx)) * TEXTURE_PER_MM + 65536.0)
                tj = int((by + f * (y - by)) * TEXTURE_PER_MM + 65536.0)
                tk = int((bz + f * (z - bz)) * TEXTURE_PER_MM + 65536.0)
                # Neighbouring tiles are offset, so that no lattice shows.
                ti += 37 * (tj >> TILE_BITS) + 71 * (tk >> TILE_BITS)
                tj += 53 * (tk >> TILE_BITS)
                cell = texture[tk & (TILE - 1), tj & (TILE - 1), ti & (TILE - 1)]
                in_phase[line, s + n] = amplitude * cell[0] + echo
                quadrature[line, s + n] = amplitude * cell[1]
                through[line, s + n] = passed
                passed *= loss
                haze[line, s + n] = 0.0
                if behind_gas >= 0:
                    below = (s + n - behind_gas) * step_mm
                    ring = 0.8 + 0.2 * np.cos(below * 2.4)
                    haze[line, s + n] = gas_echo * ring * np.exp(-below * 0.105)
            bx, by, bz = x, y, z


@njit(cache=True, nogil=True, fastmath=True)
def add_needle(
    in_phase: Float32,
    points: Float32,
    line_per_rad: float,
    half_fov_rad: float,
    radius_mm: float,
    step_mm: float,
) -> None:
    """Write the strongest needle echo over the tissue's.

    points (n, 4): lateral and depth from the apex in mm, amplitude, comet amplitude.
    """
    n_lines, n_samples = in_phase.shape
    comet = max(1, int(1.9 / step_mm))
    for n in range(points.shape[0]):
        lateral, depth, amplitude, tail = points[n]
        line = (np.arctan2(lateral, depth) + half_fov_rad) * line_per_rad
        sample = (np.sqrt(lateral * lateral + depth * depth) - radius_mm) / step_mm
        for repeat in range(4):
            strength = amplitude if repeat == 0 else tail * 0.4 ** (repeat - 1)
            s0 = int(np.floor(sample)) + repeat * comet
            l0 = int(np.floor(line))
            for dl in range(2):
                for ds in range(2):
                    a, b = l0 + dl, s0 + ds
                    if a < 0 or b < 0 or a >= n_lines or b >= n_samples:
                        continue
                    near_l = 1.0 - abs(line - a)
                    near_s = 1.0 - abs(sample + repeat * comet - b)
                    value = strength * near_l * near_s
                    if value > in_phase[a, b]:
                        in_phase[a, b] = value


@njit(cache=True, nogil=True, fastmath=True)
def spread_lines(source: Float32, taps: Float32, target: Float32) -> None:
    """Blur across scan lines; taps (n, samples) widen with depth. Arrays (lines, samples)."""
    n_lines, n_samples = source.shape
    half = taps.shape[0] // 2
    for line in range(n_lines):
        out = target[line]
        for s in range(n_samples):
            out[s] = 0.0
        for n in range(taps.shape[0]):
            row = source[min(max(line + n - half, 0), n_lines - 1)]
            weights = taps[n]
            for s in range(n_samples):
                out[s] += weights[s] * row[s]


@njit(cache=True, nogil=True, fastmath=True)
def detect(
    in_phase: Float32,
    quadrature: Float32,
    through: Float32,
    haze: Float32,
    pulse: Float32,
    gain: Float32,
    near_field: Float32,
    noise: Float32,
    noise_level: Float32,
    start: int,
    white: float,
    per_neper: float,
    grey: Bytes,
) -> None:
    """Pulse along the line, attenuation and gain, noise, envelope and log compression.

    gain (lines, samples): TGC and the uneven aperture. noise: a long reel, read from `start`.
    """
    n_lines, n_samples = in_phase.shape
    half = pulse.shape[0] // 2
    echo_i = np.empty(n_samples, dtype=np.float32)
    echo_q = np.empty(n_samples, dtype=np.float32)
    for line in range(n_lines):
        for s in range(n_samples):
            seen = through[line, s]
            echo_i[s] = in_phase[line, s] * seen
            echo_q[s] = quadrature[line, s] * seen
        reel = start + line * n_samples * 2
        for s in range(n_samples):
            total_i = np.float32(0.0)
            total_q = np.float32(0.0)
            for n in range(pulse.shape[0]):
                at = min(max(s + n - half, 0), n_samples - 1)
                total_i += pulse[n] * echo_i[at]
                total_q += pulse[n] * echo_q[at]
            g = gain[line, s]
            first = noise[reel + 2 * s]
            second = noise[reel + 2 * s + 1]
            floor = noise_level[s]
            foggy = haze[line, s] * g
            total_i = total_i * g + near_field[line, s] + first * floor + foggy
            total_q = total_q * g + second * floor + 0.4 * foggy * second
            power = total_i * total_i + total_q * total_q
            value = white + per_neper * np.log(power + np.float32(1e-9))
            grey[line, s] = np.uint8(min(max(value, 0.0), 255.0))


@njit(cache=True, nogil=True, fastmath=True)
def scan_convert(
    grey: Bytes, pixels: NDArray[np.int32], corners: NDArray[np.int32], shares: Bytes, image: Bytes
) -> None:
    """Bilinear lookup of the fan's pixels; pixels, corners (n,), shares (n, 2) in 1/128."""
    flat = grey.ravel()
    target = image.ravel()
    n_samples = grey.shape[1]
    for n in range(pixels.shape[0]):
        c = corners[n]
        fl = np.int32(shares[n, 0])
        fs = np.int32(shares[n, 1])
        first = (128 - fs) * np.int32(flat[c]) + fs * np.int32(flat[c + 1])
        second = (128 - fs) * np.int32(flat[c + n_samples]) + fs * np.int32(flat[c + n_samples + 1])
        target[pixels[n]] = np.uint8(((128 - fl) * first + fl * second + 8192) >> 14)
