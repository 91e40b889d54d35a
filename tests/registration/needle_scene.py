"""Fluoro frames with needles of known place, sharing no code with what is under test.

The body is marched through in float64 with scipy; a needle is the exact chord of each ray in a
finite cylinder, nine rays a pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ir_nav.geometry import CArmGeometry
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels

STEEL_PER_MM = 0.45  # iron over an 80 kV spectrum hardened by a body
FINE = 3
ISOCENTRE_MM, SID_MM, PITCH_MM, SIZE_PX = 720.0, 1100.0, 0.6, 512


def view_at(
    isocentre: np.ndarray, primary_deg: float, secondary_deg: float = 0.0, size: int = SIZE_PX
) -> CArmView:
    """Isocentre in the principal ray; worked out from the axes' directions, LPS."""
    a, b = np.radians([primary_deg, secondary_deg])
    towards = np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])
    columns = -np.array([np.cos(a), np.sin(a), 0.0])
    rows = np.cross(towards, columns)
    turn = np.stack([columns, rows, towards])
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = np.array([0.0, 0.0, ISOCENTRE_MM]) - turn @ isocentre
    pitch = PITCH_MM * SIZE_PX / size
    middle = (size - 1) / 2.0
    return CArmView(
        CArmGeometry(SID_MM, (pitch, pitch), (size, size), (middle, middle)),
        pose,
        Pixels.INTENSITY,
    )


def rays(view: CArmView, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Focal spot (3,) and unit directions (..., 3) in the world."""
    g = view.geometry
    x = (u - g.principal_px[0]) * g.pixel_mm[0]
    y = (v - g.principal_px[1]) * g.pixel_mm[1]
    carm = np.stack([x, y, np.full_like(x, g.sid_mm)], axis=-1)
    carm /= np.linalg.norm(carm, axis=-1, keepdims=True)
    turn = view.carm_from_world[:3, :3]
    return -turn.T @ view.carm_from_world[:3, 3], carm @ turn


class Body:
    """Attenuation (k, j, i) 1/mm of a CT file."""

    def __init__(self, path: Path) -> None:
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
        hu = sitk.GetArrayFromImage(image)
        soft = np.maximum(1.0 + hu / 1000.0, 0.0)
        self.mu = (0.019 * (soft + 0.6 * np.maximum(hu - 150.0, 0.0) / 1000.0)).astype(np.float32)
        self.mu[hu < -850] = 0.0
        self.origin = np.array(image.GetOrigin())
        self.axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        size = np.array(image.GetSize())
        self.middle = self.origin + self.axes @ ((size - 1) / 2.0)

    def line_integrals(self, view: CArmView, every: int = 2) -> np.ndarray:
        """(rows, columns), marched every `every` pixels and interpolated between."""
        width, height = view.geometry.size_px
        u, v = np.meshgrid(np.arange(0, width + every, every), np.arange(0, height + every, every))
        focus, ray = rays(view, u.astype(float), v.astype(float))
        inverse = np.linalg.inv(self.axes)
        start = inverse @ (focus - self.origin)
        step = ray @ inverse.T
        total = np.zeros(u.shape, dtype=np.float32)
        for depth in np.arange(ISOCENTRE_MM - 260.0, ISOCENTRE_MM + 260.0, 2.0):
            ijk = (start + depth * step).reshape(-1, 3).T[::-1]
            total += 2.0 * ndimage.map_coordinates(
                self.mu, ijk.astype(np.float32), order=1, cval=0.0
            ).reshape(u.shape)
        fine = np.meshgrid(np.arange(height) / every, np.arange(width) / every, indexing="ij")
        return ndimage.map_coordinates(total, fine, order=3, mode="nearest")


def add_needle(
    total: np.ndarray,
    view: CArmView,
    tip: np.ndarray,
    hub: np.ndarray,
    diameter_mm: float,
    mu_per_mm: float = STEEL_PER_MM,
) -> None:
    """Add a solid cylinder's attenuation, the mean over each pixel of the transmission."""
    width, height = view.geometry.size_px
    ends = np.array([project(view, tip), project(view, hub)])
    low = np.clip(np.floor(ends.min(axis=0)) - 12, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(ends.max(axis=0)) + 13, 0, [width, height]).astype(int)
    if np.any(high <= low):
        return
    sub = (np.arange(FINE) + 0.5) / FINE - 0.5
    u = (np.arange(low[0], high[0])[:, None] + sub).ravel()
    v = (np.arange(low[1], high[1])[:, None] + sub).ravel()
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    uu, vv = np.meshgrid(u, v)
    near = np.abs((uu - ends[0, 0]) * -along[1] + (vv - ends[0, 1]) * along[0]) < 14.0
    chord = np.zeros(uu.shape)
    focus, ray = rays(view, uu[near], vv[near])
    chord[near] = cylinder_chord(focus, ray, tip, hub, diameter_mm / 2.0)
    shape = (len(v) // FINE, FINE, len(u) // FINE, FINE)
    through = np.exp(-mu_per_mm * chord).reshape(shape).mean(axis=(1, 3))
    total[low[1] : high[1], low[0] : high[0]] -= np.log(through)


def cylinder_chord(
    focus: np.ndarray, ray: np.ndarray, tip: np.ndarray, hub: np.ndarray, radius: float
) -> np.ndarray:
    """Length of each ray (n, 3) within a finite cylinder with flat ends, mm."""
    length = np.linalg.norm(hub - tip)
    axis = (hub - tip) / length
    offset = focus - tip
    d = ray - (ray @ axis)[:, None] * axis
    m = offset - (offset @ axis) * axis
    a = np.maximum(np.sum(d * d, axis=1), 1e-15)
    b, c = d @ m, m @ m - radius**2
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    enter, leave = (-b - root) / a, (-b + root) / a
    slope = ray @ axis
    slope = np.where(np.abs(slope) < 1e-12, 1e-12, slope)
    first, second = (-(offset @ axis)) / slope, (length - offset @ axis) / slope
    enter = np.maximum(enter, np.minimum(first, second))
    leave = np.minimum(leave, np.maximum(first, second))
    return np.maximum(leave - enter, 0.0)


def project(view: CArmView, point: np.ndarray) -> np.ndarray:
    p = view.carm_from_world[:3, :3] @ point + view.carm_from_world[:3, 3]
    g = view.geometry
    return np.array(g.principal_px) + g.sid_mm * p[:2] / p[2] / np.array(g.pixel_mm)


def exposed(
    total: np.ndarray,
    view: CArmView,
    rng: np.random.Generator,
    *,
    photons: float = 4000.0,
    scatter: float = 0.4,
    blur_px: float = 0.6,
) -> FluoroFrame:
    """Beer-Lambert, scatter, Poisson noise, the detector's blur, a saturated direct beam."""
    primary = np.exp(-total)
    veil = ndimage.gaussian_filter(primary, primary.shape[0] / 9.0)
    counts = (primary + scatter * veil) / (1.0 + scatter)
    counts = ndimage.gaussian_filter(counts, blur_px)
    body = counts[total > 0.5]
    bright = np.percentile(body if body.size else counts, 90)
    level = photons * counts / bright
    noisy = ndimage.gaussian_filter(rng.poisson(level).astype(float), 0.4)
    return FluoroFrame(view, np.minimum(noisy, 2.0 * photons).astype(np.float32))
