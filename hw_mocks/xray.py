"""Fluoroscopy frames of the simulated patient through the C-arm's pinhole.

Digitally reconstructed radiographs: line integrals of the attenuation by ray marching with
trilinear interpolation, then Beer-Lambert, scatter and quantum noise. While the C-arm stands
still the projections are kept in layers (by depth along the beam and by how much the tissue
follows the breathing), and breathing only shifts the layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from hw_mocks.anatomy import Anatomy, NeedleShape, TissueMotion
from hw_mocks.intensifier import FLAT, Intensifier, bent
from ir_nav.geometry import CArmGeometry, FloatArray, rigid_inverse

__all__ = ["NeedleShape", "TissueMotion", "XRayRenderer", "XRaySettings", "mu_per_mm"]

Float32 = NDArray[np.float32]

MU_WATER_PER_MM = 0.0206  # 60 keV, NIST XCOM
MU_STEEL_PER_MM = 0.95  # iron at 60 keV, NIST XCOM
DENSE_HU = 150.0
DENSE_GAIN = 1.8  # photo-electric absorption of calcium above water's at the same HU
VOLUME_MM = 2.0
SLABS = 5
SHARES = 4  # layers of following the breathing: 0, 1/3, 2/3, 1
REEL = 1 << 21


@dataclass(frozen=True, slots=True)
class XRaySettings:
    """The tube and the detector.

    exposure: share of the unattenuated beam that fills the scale, None for automatic exposure
    (brighter parts saturate). gamma: value = full_scale (intensity / exposure) ** gamma, as
    detectors compress before display. photons: quanta per pixel at that exposure. scatter:
    veil over primary, locally averaged. vignette: light lost in the corners. edge: strength of
    the edge enhancement. intensifier: what it does to the picture; flat by default.
    """

    exposure: float | None = None
    gamma: float = 0.6
    full_scale: float = 65535.0
    photons: float = 2500.0
    scatter: float = 0.3
    vignette: float = 0.12
    edge: float = 0.7
    intensifier: Intensifier = FLAT


class XRayRenderer:
    """Renders one C-arm's frames; not to be shared between threads (it keeps projections)."""

    def __init__(
        self,
        anatomy: Anatomy,
        geometry: CArmGeometry,
        seed: int,
        settings: XRaySettings | None = None,
    ) -> None:
        self._geometry = geometry
        self._settings = settings or XRaySettings()
        self._volume, self._ct_from_voxel = _coarse_mu(anatomy)
        self._step_mm = float(np.linalg.norm(self._ct_from_voxel[:3, 0]))
        width, height = geometry.size_px
        self._halved = (max(1, width // 2), max(1, height // 2))
        self._pose: FloatArray | None = None
        self._slabs: Float32 = np.zeros((0, 0, 0, 0), dtype=np.float32)
        self._slab_mm: FloatArray = np.zeros(SLABS)
        self._noise = np.random.default_rng(seed).standard_normal(REEL, dtype=np.float32)
        self._shade = _vignette(geometry, self._settings.vignette)
        intensifier = self._settings.intensifier
        self._bending = intensifier.maps(geometry.size_px) if intensifier.bends else None
        self._automatic = 1.0
        self._frames = 0

    def render(
        self, carm_from_ct: FloatArray, motion: TissueMotion, needle: NeedleShape | None
    ) -> NDArray[np.uint16]:
        """One frame, uint16 (rows, columns): bright where little is absorbed.

        carm_from_ct (4, 4): rigid, mm. The patient is displaced by `motion`; the needle is
        where it says.
        """
        total = self.line_integral(carm_from_ct, motion)
        if needle is not None:
            self._add_needle(total, carm_from_ct, needle)
        return self._expose(total if self._bending is None else bent(total, self._bending))

    def line_integral(self, carm_from_ct: FloatArray, motion: TissueMotion) -> Float32:
        """Attenuation along each pixel's ray without needle, float32 (rows, columns)."""
        pose = np.asarray(carm_from_ct, dtype=np.float64)
        if self._pose is None or not np.array_equal(pose, self._pose):
            self._project(pose)
        width, height = self._geometry.size_px
        summed = np.zeros(self._slabs.shape[2:], dtype=np.float32)
        for slab in range(SLABS):
            for share in range(SHARES):
                _add_shifted(
                    summed,
                    self._slabs[slab, share],
                    self._shift(motion, slab, share / (SHARES - 1)),
                )
        return np.asarray(cv2.resize(summed, (width, height), interpolation=cv2.INTER_CUBIC))

    def _shift(self, motion: TissueMotion, slab: int, share: float) -> tuple[float, float, float]:
        """How a layer moves: columns, rows (halved px) and magnification about the axis."""
        assert self._pose is not None
        moved_ct = motion.skin_mm + share * (motion.deep_mm - motion.skin_mm)
        moved = self._pose[:3, :3] @ moved_ct
        depth = float(self._slab_mm[slab])
        geometry = self._geometry
        scale_u = geometry.sid_mm / geometry.pixel_mm[0] * self._halved[0] / geometry.size_px[0]
        scale_v = geometry.sid_mm / geometry.pixel_mm[1] * self._halved[1] / geometry.size_px[1]
        nearer = depth + float(moved[2])
        return scale_u * moved[0] / nearer, scale_v * moved[1] / nearer, depth / nearer

    def _project(self, pose: FloatArray) -> None:
        corners = _corners(self._volume.shape[:3], self._ct_from_voxel)
        depths = (pose[:3, :3] @ corners.T)[2] + pose[2, 3]
        edges = np.linspace(max(1.0, depths.min()), max(2.0, depths.max()), SLABS + 1)
        width, height = self._halved
        slabs = np.zeros((SLABS, SHARES, height, width), dtype=np.float32)
        voxel_from_carm = np.linalg.inv(self._ct_from_voxel) @ rigid_inverse(pose)
        _march(
            self._volume,
            voxel_from_carm,
            np.linalg.inv(self._geometry.camera_matrix),
            np.array(self._geometry.size_px) / np.array(self._halved),
            edges,
            self._step_mm,
            slabs,
        )
        self._pose, self._slabs = pose.copy(), slabs
        self._slab_mm = (edges[1:] + edges[:-1]) / 2.0
        self._automatic = _automatic_exposure(slabs.sum(axis=(0, 1)))

    def _add_needle(self, total: Float32, carm_from_ct: FloatArray, needle: NeedleShape) -> None:
        ends = np.stack([needle.tip_ct_mm, needle.hub_ct_mm])
        ends_carm = ends @ carm_from_ct[:3, :3].T + carm_from_ct[:3, 3]
        if np.any(ends_carm[:, 2] < 10.0):
            return
        ends_px = self._geometry.project(ends_carm)
        length_mm = float(np.linalg.norm(ends[1] - ends[0]))
        magnification = self._geometry.sid_mm / ends_carm[:, 2] / self._geometry.pixel_mm[0]
        radius_px = 0.5 * needle.diameter_mm * float(magnification.mean())
        across_mm = float(np.linalg.norm(ends_carm[1, :2] - ends_carm[0, :2]))
        # A shaft seen end-on is longer along the ray; bounded by its own length.
        slant = min(length_mm / max(across_mm, 1e-3), length_mm / needle.diameter_mm)
        peak = MU_STEEL_PER_MM * needle.diameter_mm * slant
        _draw_shaft(total, ends_px[0], ends_px[1], radius_px, peak)

    def _expose(self, total: Float32) -> NDArray[np.uint16]:
        settings = self._settings
        primary = cv2.exp(-total)
        height, width = primary.shape
        small = cv2.resize(
            primary, (max(1, width // 16), max(1, height // 16)), interpolation=cv2.INTER_AREA
        )
        veil = cv2.GaussianBlur(small, (0, 0), max(1.0, small.shape[1] / 9.0))
        veil = cv2.resize(veil, (width, height), interpolation=cv2.INTER_LINEAR)
        counts = (primary + settings.scatter * veil) / (1.0 + settings.scatter)
        counts *= np.float32(1.0 / (settings.exposure or self._automatic))
        self._frames += 1
        start = (self._frames * 104729) % (REEL - total.size)
        noise = self._noise[start : start + total.size].reshape(total.shape)
        # Poisson by its normal limit: deviation sqrt(n) of n quanta.
        counts += noise * np.sqrt(counts) * np.float32(1.0 / np.sqrt(settings.photons))
        counts *= self._shade
        np.clip(counts, 0.0, 1.0, out=counts)
        if settings.gamma != 1.0:
            counts = cv2.pow(counts, settings.gamma)
        if settings.edge > 0.0:
            counts = _enhanced(counts, settings.edge)
        return np.asarray((counts * np.float32(settings.full_scale)).astype(np.uint16))


def _enhanced(image: Float32, strength: float) -> Float32:
    """Unsharp mask over about 3 % of the image; saturated parts stay so."""
    height, width = image.shape
    small = cv2.resize(image, (max(1, width // 4), max(1, height // 4)))
    small = cv2.GaussianBlur(small, (0, 0), max(1.0, small.shape[1] / 32.0))
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(image + strength * (image - smooth), 0.0, 1.0))


def mu_per_mm(hu: NDArray[np.generic]) -> Float32:
    """Linear attenuation in 1/mm: the definition of HU, bone raised for a 70-80 kV beam."""
    values = np.asarray(hu, dtype=np.float32)
    dense = np.maximum(values - DENSE_HU, 0.0) * (DENSE_GAIN - 1.0)
    return np.asarray(np.maximum(1.0 + (values + dense) / 1000.0, 0.0) * MU_WATER_PER_MM)


def _coarse_mu(anatomy: Anatomy) -> tuple[Float32, FloatArray]:
    """Attenuation and how far the tissue follows the deep motion, on an isotropic grid.

    (k, j, i, 2) float32: mu in 1/mm, weight 0..1; and ct_from_voxel of that grid.
    """
    spacing = anatomy.spacing_mm
    zoom = spacing / VOLUME_MM
    mu = mu_per_mm(anatomy.hu)
    blur = np.maximum(0.0, 0.35 * (1.0 / zoom - 0.8))
    mu = ndimage.gaussian_filter(mu, tuple(blur[::-1]))
    size = np.maximum(1, np.floor((np.array(mu.shape[::-1]) - 1) * zoom).astype(int) + 1)
    mu = ndimage.affine_transform(
        mu, 1.0 / zoom[::-1], output_shape=tuple(size[::-1]), order=1, mode="nearest"
    )
    ct_from_voxel = anatomy.ct_from_voxel @ np.diag([*(1.0 / zoom), 1.0])
    k, j, i = np.indices(mu.shape).reshape(3, -1)
    points = np.stack([i, j, k], axis=1) @ ct_from_voxel[:3, :3].T + ct_from_voxel[:3, 3]
    weight = anatomy.depth_weight.sample(points).reshape(mu.shape)
    return np.stack([mu, weight], axis=-1).astype(np.float32), ct_from_voxel


def _automatic_exposure(total: Float32) -> float:
    """Intensity that fills the scale: a little above the brightest part of the body."""
    body = total[total > 0.8]
    return float(1.15 * np.exp(-np.percentile(body, 8.0))) if body.size else 1.0


def _corners(shape: tuple[int, ...], ct_from_voxel: FloatArray) -> FloatArray:
    ends = [(-0.5, size - 0.5) for size in shape[::-1]]
    ijk = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T
    return np.asarray(ijk @ ct_from_voxel[:3, :3].T + ct_from_voxel[:3, 3])


def _vignette(geometry: CArmGeometry, depth: float) -> Float32:
    width, height = geometry.size_px
    v, u = np.mgrid[0:height, 0:width]
    square = ((u - (width - 1) / 2.0) / width) ** 2 + ((v - (height - 1) / 2.0) / height) ** 2
    return np.asarray(1.0 - depth * square / 0.5, dtype=np.float32)


def _add_shifted(total: Float32, layer: Float32, shift: tuple[float, float, float]) -> None:
    if not layer.any():
        return
    du, dv, scale = shift
    height, width = layer.shape
    if du == 0.0 and dv == 0.0 and scale == 1.0:
        total += layer
        return
    centre_u, centre_v = (width - 1) / 2.0, (height - 1) / 2.0
    matrix = np.array(
        [
            [scale, 0.0, du + (1.0 - scale) * centre_u],
            [0.0, scale, dv + (1.0 - scale) * centre_v],
        ]
    )
    total += cv2.warpAffine(
        layer, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


@njit(cache=True, nogil=True, fastmath=True)
def _march(
    volume: Float32,
    voxel_from_carm: FloatArray,
    ray_from_px: FloatArray,
    px_per_ray: FloatArray,
    edges: FloatArray,
    step_mm: float,
    slabs: Float32,
) -> None:
    """Line integrals per slab of depth and share of motion; slabs (.., .., rows, columns)."""
    size_k, size_j, size_i = volume.shape[:3]
    n_shares = slabs.shape[1]
    m = voxel_from_carm
    thinnest = np.float32(2e-4)
    for row in range(slabs.shape[2]):
        for column in range(slabs.shape[3]):
            u = (column + 0.5) * px_per_ray[0] - 0.5
            v = (row + 0.5) * px_per_ray[1] - 0.5
            rx = ray_from_px[0, 0] * u + ray_from_px[0, 2]
            ry = ray_from_px[1, 1] * v + ray_from_px[1, 2]
            slant = np.sqrt(rx * rx + ry * ry + 1.0)
            di = m[0, 0] * rx + m[0, 1] * ry + m[0, 2]
            dj = m[1, 0] * rx + m[1, 1] * ry + m[1, 2]
            dk = m[2, 0] * rx + m[2, 1] * ry + m[2, 2]
            near, far = edges[0], edges[-1]
            near, far = _clip(m[0, 3], di, size_i - 1.0, near, far)
            near, far = _clip(m[1, 3], dj, size_j - 1.0, near, far)
            near, far = _clip(m[2, 3], dk, size_k - 1.0, near, far)
            if far <= near:
                continue
            count = int((far - near) * slant / step_mm) + 1
            dz = (far - near) / count
            weight = np.float32(dz * slant)
            slab = 0
            for n in range(count):
                z = near + (n + 0.5) * dz
                while z > edges[slab + 1]:
                    slab += 1
                i = m[0, 3] + z * di
                j = m[1, 3] + z * dj
                k = m[2, 3] + z * dk
                i0 = min(max(int(i), 0), size_i - 2)
                j0 = min(max(int(j), 0), size_j - 2)
                k0 = min(max(int(k), 0), size_k - 2)
                fi, fj, fk = np.float32(i - i0), np.float32(j - j0), np.float32(k - k0)
                gi, gj, gk = np.float32(1.0) - fi, np.float32(1.0) - fj, np.float32(1.0) - fk
                r00, r01 = volume[k0, j0], volume[k0, j0 + 1]
                r10, r11 = volume[k0 + 1, j0], volume[k0 + 1, j0 + 1]
                c00, c01, c10, c11 = gk * gj, gk * fj, fk * gj, fk * fj
                mu = c00 * (gi * r00[i0, 0] + fi * r00[i0 + 1, 0])
                mu += c01 * (gi * r01[i0, 0] + fi * r01[i0 + 1, 0])
                mu += c10 * (gi * r10[i0, 0] + fi * r10[i0 + 1, 0])
                mu += c11 * (gi * r11[i0, 0] + fi * r11[i0 + 1, 0])
                if mu < thinnest:
                    continue
                # The weight is smooth: one plane of it is enough.
                share = c00 * r00[i0, 1] + c01 * r01[i0, 1] + c10 * r10[i0, 1] + c11 * r11[i0, 1]
                share *= n_shares - 1
                first = min(int(share), n_shares - 2)
                upper = weight * mu * (share - first)
                slabs[slab, first, row, column] += weight * mu - upper
                slabs[slab, first + 1, row, column] += upper


@njit(cache=True, nogil=True, fastmath=True)
def _clip(start: float, slope: float, top: float, near: float, far: float) -> tuple[float, float]:
    if abs(slope) < 1e-12:
        return (near, far) if 0.0 <= start <= top else (near, near - 1.0)
    first = -start / slope
    second = (top - start) / slope
    return max(near, min(first, second)), min(far, max(first, second))


@njit(cache=True, nogil=True, fastmath=True)
def _draw_shaft(
    total: Float32, tip: FloatArray, hub: FloatArray, radius_px: float, peak: float
) -> None:
    """Add a cylinder's chord to every pixel near the segment; half a pixel of blur at its edge."""
    rows, columns = total.shape
    du, dv = hub[0] - tip[0], hub[1] - tip[1]
    length = max(np.sqrt(du * du + dv * dv), 1e-9)
    du, dv = du / length, dv / length
    reach = radius_px + 1.5
    low_u = max(0, int(min(tip[0], hub[0]) - reach))
    high_u = min(columns, int(max(tip[0], hub[0]) + reach) + 2)
    low_v = max(0, int(min(tip[1], hub[1]) - reach))
    high_v = min(rows, int(max(tip[1], hub[1]) + reach) + 2)
    for v in range(low_v, high_v):
        for u in range(low_u, high_u):
            along = (u - tip[0]) * du + (v - tip[1]) * dv
            across = abs((v - tip[1]) * du - (u - tip[0]) * dv)
            if across > reach or along < -1.0 or along > length + 1.0:
                continue
            chord = 0.0
            for n in range(4):
                offset = (across + (n - 1.5) * 0.25) / radius_px
                chord += 0.25 * np.sqrt(max(0.0, 1.0 - offset * offset))
            ends = min(max(along + 0.5, 0.0), 1.0) * min(max(length - along + 0.5, 0.0), 1.0)
            total[v, u] += peak * chord * ends
