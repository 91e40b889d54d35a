"""Convex B-mode frames of the simulated patient at the probe's pose.

A scan-line model in the manner of Burger et al. 2013 ("Real-time GPU-based ultrasound
simulation using deformable mesh models"): scatterers fixed in the tissue, convolved with the
beam's point spread function, attenuated along each line, log compressed, scan converted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from hw_mocks import bmode_kernels as kernels
from hw_mocks.anatomy import Anatomy, NeedleShape, TissueMotion
from hw_mocks.tissue import (
    ATTENUATION_STEP,
    SCATTER_FLOOR_DB,
    SCATTER_STEP_DB,
    acoustic_volume,
)
from ir_nav.geometry import FloatArray, apply, unit

__all__ = ["BModeRenderer", "ConvexGeometry", "NeedleShape", "TissueMotion"]

Float32 = NDArray[np.float32]

LINES = 208
SAMPLES = 480
TGC_DB_PER_MM = 0.325
GEL_MM = 9.0
SPECULAR = 46.0
LIVER_GREY = 124.0
RANGE_DB = 66.0
NEEDLE_SIGMA_MM = 1.2
NEEDLE_STEP_MM = 0.2
NOISE_REEL = 1 << 19


@dataclass(frozen=True, slots=True)
class ConvexGeometry:
    """Where a convex transducer's fan lies in the image.

    size_px: (width, height). The transducer's face is an arc of `radius_mm` around the apex;
    the middle of the fan is the middle column, the corners of the face touch the top edge
    `margin_mm` below it.
    """

    size_px: tuple[int, int] = (640, 512)
    mm_per_px: float = 0.325
    radius_mm: float = 50.0
    fov_deg: float = 62.0
    depth_mm: float = 150.0
    margin_mm: float = 3.0

    @property
    def apex_px(self) -> FloatArray:
        """Centre (2,) of the arcs; above the image."""
        corner_mm = self.radius_mm * np.cos(np.radians(self.fov_deg) / 2.0)
        return np.array(
            [(self.size_px[0] - 1) / 2.0, (self.margin_mm - corner_mm) / self.mm_per_px]
        )

    @property
    def face_px(self) -> FloatArray:
        """Middle (2,) of the transducer's face, where the central beam starts."""
        return np.asarray(self.apex_px + np.array([0.0, self.radius_mm / self.mm_per_px]))

    @property
    def image_mm_from_px(self) -> FloatArray:
        """(4, 4): pixel (u, v, 0, 1) to mm in the image plane, origin at `face_px`."""
        matrix = np.diag([self.mm_per_px, self.mm_per_px, self.mm_per_px, 1.0])
        matrix[:2, 3] = -self.mm_per_px * self.face_px
        return matrix

    def polar(self, points_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Depth below the face in mm and angle from the central beam in degrees, (...,) each."""
        offset = (np.asarray(points_px, dtype=np.float64) - self.apex_px) * self.mm_per_px
        depth_mm = np.hypot(offset[..., 0], offset[..., 1]) - self.radius_mm
        return depth_mm, np.degrees(np.arctan2(offset[..., 0], offset[..., 1]))

    def pixel(self, depth_mm: ArrayLike, angle_deg: ArrayLike) -> FloatArray:
        """Pixel (..., 2) at a depth below the face and an angle from the central beam."""
        r = (np.asarray(depth_mm, dtype=np.float64) + self.radius_mm) / self.mm_per_px
        angle = np.radians(np.asarray(angle_deg, dtype=np.float64))
        return np.asarray(self.apex_px + np.stack([r * np.sin(angle), r * np.cos(angle)], axis=-1))


class BModeRenderer:
    """Renders one probe's frames; not to be shared between threads (scratch buffers)."""

    def __init__(self, anatomy: Anatomy, geometry: ConvexGeometry, seed: int) -> None:
        self._geometry = geometry
        self._weight = anatomy.depth_weight
        self._volume = acoustic_volume(anatomy)
        self._voxel_from_ct = anatomy.voxel_from_ct
        self._step_mm = geometry.depth_mm / (SAMPLES - 1)
        rng = np.random.default_rng(seed)
        self._texture = _texture(rng)
        self._mottle = _mottle(rng)
        self._scatter_lut, self._loss_lut = _tables(self._step_mm)
        self._gain = _gain(rng, geometry.depth_mm)
        self._near_field = _near_field(rng, self._step_mm)
        self._noise = rng.standard_normal(NOISE_REEL, dtype=np.float32)
        self._noise_level = _noise_level()
        self._beam = _beam_taps(geometry)
        self._aperture = _aperture_taps(geometry)
        self._pulse = _gaussian_taps(5, 0.42 / self._step_mm).astype(np.float32)
        self._pixels, self._corners, self._shares = _fan_lookup(geometry)
        self._buffers = [np.zeros((LINES, SAMPLES), dtype=np.float32) for _ in range(8)]
        self._grey = np.zeros((LINES, SAMPLES), dtype=np.uint8)
        self._shift = np.zeros((*kernels.NODES, 3), dtype=np.float32)
        self._frames = 0

    def render(
        self, ct_from_image: FloatArray, motion: TissueMotion, needle: NeedleShape | None
    ) -> NDArray[np.uint8]:
        """One frame, uint8 (height, width), black outside the fan.

        ct_from_image (4, 4): px (u, v, 0, 1) to CT mm in the moved patient. The tissue's echoes
        are the same whenever pose and motion are; only electronic noise differs.
        """
        lines_ct = self._lines_ct(np.asarray(ct_from_image, dtype=np.float64))
        in_phase, quadrature, through, haze, *blurred = self._buffers
        kernels.rest_shift(
            lines_ct,
            self._geometry.depth_mm,
            self._weight.values,
            self._weight.voxel_from_ct,
            motion.skin_mm,
            motion.deep_mm,
            self._shift,
        )
        kernels.acquire(
            self._volume,
            self._voxel_from_ct,
            lines_ct,
            self._step_mm,
            self._shift,
            self._texture,
            self._mottle,
            self._scatter_lut,
            self._loss_lut,
            GEL_MM,
            SPECULAR,
            in_phase,
            quadrature,
            through,
            haze,
        )
        if needle is not None:
            self._add_needle(in_phase, np.asarray(ct_from_image), needle)
        kernels.spread_lines(in_phase, self._beam, blurred[0])
        kernels.spread_lines(quadrature, self._beam, blurred[1])
        kernels.spread_lines(through, self._aperture, blurred[2])
        kernels.spread_lines(haze, self._beam, blurred[3])
        return self._image(blurred)

    def _image(self, blurred: list[Float32]) -> NDArray[np.uint8]:
        self._frames += 1
        start = (self._frames * 40503) % (NOISE_REEL - 2 * LINES * SAMPLES)
        kernels.detect(
            *blurred,
            self._pulse,
            self._gain,
            self._near_field,
            self._noise,
            self._noise_level,
            start,
            LIVER_GREY,
            255.0 / RANGE_DB * 10.0 / np.log(10.0),
            self._grey,
        )
        width, height = self._geometry.size_px
        image = np.zeros((height, width), dtype=np.uint8)
        kernels.scan_convert(self._grey, self._pixels, self._corners, self._shares, image)
        return image

    def _lines_ct(self, ct_from_image: FloatArray) -> FloatArray:
        """(LINES, 6): where each scan line starts and its direction per mm of depth, in CT."""
        geometry = self._geometry
        half = geometry.fov_deg / 2.0
        angles_deg = np.linspace(-half, half, LINES)
        near = _in_ct(ct_from_image, geometry.pixel(0.0, angles_deg))
        far = _in_ct(ct_from_image, geometry.pixel(geometry.depth_mm, angles_deg))
        return np.hstack([near, (far - near) / geometry.depth_mm])

    def _add_needle(
        self, in_phase: Float32, ct_from_image: FloatArray, needle: NeedleShape
    ) -> None:
        geometry = self._geometry
        points = _needle_points(geometry, ct_from_image, needle)
        if len(points) == 0:
            return
        half = np.radians(geometry.fov_deg) / 2.0
        kernels.add_needle(
            in_phase, points, (LINES - 1) / (2.0 * half), half, geometry.radius_mm, self._step_mm
        )


def _in_ct(ct_from_image: FloatArray, points_px: FloatArray) -> FloatArray:
    return apply(ct_from_image, np.column_stack([points_px, np.zeros(len(points_px))]))


def _needle_points(
    geometry: ConvexGeometry, ct_from_image: FloatArray, needle: NeedleShape
) -> Float32:
    """(n, 4) float32: lateral, depth from the apex in mm, echo, comet tail; visible part only."""
    shaft = needle.tip_ct_mm - needle.hub_ct_mm
    back_mm = np.arange(0.0, float(np.linalg.norm(shaft)), NEEDLE_STEP_MM)
    points_ct = needle.tip_ct_mm - back_mm[:, None] * unit(shaft)
    normal = unit(np.cross(ct_from_image[:3, 0], ct_from_image[:3, 1]))
    elevation_mm = (points_ct - ct_from_image[:3, 3]) @ normal
    flat = np.column_stack([ct_from_image[:3, 0], ct_from_image[:3, 1], normal])
    inside = np.linalg.solve(flat, (points_ct - ct_from_image[:3, 3]).T).T
    from_apex = (inside[:, :2] - geometry.apex_px) * geometry.mm_per_px
    depth_mm = np.linalg.norm(from_apex, axis=1)
    seen = (np.abs(elevation_mm) < 4.0 * NEEDLE_SIGMA_MM) & (depth_mm > geometry.radius_mm)
    along = np.array([np.dot(shaft, ct_from_image[:3, axis]) for axis in (0, 1)])
    along /= np.linalg.norm(shaft) * geometry.mm_per_px
    cosine = (from_apex @ along) / np.maximum(depth_mm, 1e-6)
    facing = np.clip(1.0 - cosine**2, 0.0, 1.0) ** 2  # sine^4: a mirror seen by a finite aperture
    slice_share = np.exp(-0.5 * (elevation_mm / NEEDLE_SIGMA_MM) ** 2)
    echo = (5.0 + 20.0 * facing) * np.sqrt(needle.diameter_mm / 1.3) * slice_share
    tip = back_mm < 0.9
    echo[tip] = np.maximum(2.2 * echo[tip], 24.0 * slice_share[tip])
    comet = 0.07 * echo * facing
    return np.asarray(np.column_stack([from_apex, echo, comet])[seen], dtype=np.float32)


def _texture(rng: np.random.Generator) -> NDArray[np.int8]:
    """Scatterers: complex noise (TILE, TILE, TILE, 2), deviation 32."""
    shape = (kernels.TILE, kernels.TILE, kernels.TILE, 2)
    white = rng.standard_normal(shape, dtype=np.float32)
    # A little wider than a cell: a small step of the probe changes the speckle a little.
    soft = ndimage.gaussian_filter(white, (0.6, 0.6, 0.6, 0.0), mode="wrap")
    return np.asarray(np.clip(soft / soft.std() * 32.0, -127.0, 127.0), dtype=np.int8)


def _mottle(rng: np.random.Generator) -> NDArray[np.int8]:
    white = rng.standard_normal((kernels.MOTTLE_TILE,) * 3, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, 1.4, mode="wrap")
    return np.asarray(np.clip(smooth / smooth.std() * 32.0, -127.0, 127.0), dtype=np.int8)


def _tables(step_mm: float) -> tuple[Float32, Float32]:
    """Amplitude of a scatter byte (per texture unit) and amplitude kept per sample by its loss."""
    level_db = SCATTER_FLOOR_DB + SCATTER_STEP_DB * np.arange(256)
    loss_db = ATTENUATION_STEP * step_mm * np.arange(256)
    scatter = 10.0 ** (level_db / 20.0) / 32.0 * 0.5
    return scatter.astype(np.float32), (10.0 ** (-loss_db / 20.0)).astype(np.float32)


def _gain(rng: np.random.Generator, depth_mm: float) -> Float32:
    """Time gain compensation, slow lateral unevenness, weaker aperture at the fan's sides."""
    depth = np.linspace(0.0, depth_mm, SAMPLES)
    tgc_db = TGC_DB_PER_MM * depth - 2.0 * np.exp(-depth / 18.0)
    uneven_db = ndimage.gaussian_filter1d(rng.standard_normal(LINES), 9.0) * 5.0
    side = np.abs(np.linspace(-1.0, 1.0, LINES))
    edge_db = -7.0 * np.clip((side - 0.75) / 0.25, 0.0, 1.0) ** 2
    total_db = tgc_db[None, :] + (uneven_db + edge_db)[:, None]
    return np.asarray(10.0 ** (total_db / 20.0), dtype=np.float32)


def _near_field(rng: np.random.Generator, step_mm: float) -> Float32:
    """Ring-down of the transducer: short bright streaks along its face."""
    depth = np.arange(SAMPLES) * step_mm
    streaks = ndimage.gaussian_filter(rng.standard_normal((LINES, SAMPLES)), (5.0, 0.9))
    streaks /= streaks.std()
    bands = 0.6 + 0.4 * np.cos(depth * 3.1)
    decay = 2.6 * np.exp(-depth / 2.2) + 0.4 * np.exp(-depth / 7.0)
    return np.asarray(streaks * bands * decay, dtype=np.float32)


def _noise_level() -> Float32:
    share = np.linspace(0.0, 1.0, SAMPLES)
    return (10.0 ** ((-62.0 + 41.0 * share**0.8) / 20.0)).astype(np.float32)


def _gaussian_taps(count: int, sigma: float | FloatArray) -> FloatArray:
    offset = np.arange(count) - count // 2
    shape = (count, *([1] * np.ndim(sigma)))
    taps = np.exp(-0.5 * (offset.reshape(shape) / sigma) ** 2)
    return np.asarray(taps / np.sqrt((taps**2).sum(axis=0)))


def _pitch_mm(geometry: ConvexGeometry) -> tuple[FloatArray, FloatArray]:
    depth = np.linspace(0.0, geometry.depth_mm, SAMPLES)
    return depth, (geometry.radius_mm + depth) * np.radians(geometry.fov_deg) / (LINES - 1)


def _beam_taps(geometry: ConvexGeometry) -> Float32:
    """Lateral point spread: narrowest at the focus, growing with depth."""
    depth, pitch = _pitch_mm(geometry)
    sigma_mm = 0.75 + 0.006 * np.abs(depth - 60.0) + 0.003 * depth
    return _gaussian_taps(9, sigma_mm / pitch).astype(np.float32)


def _aperture_taps(geometry: ConvexGeometry) -> Float32:
    """Shadows have soft edges: part of a wide aperture still sees past the obstacle."""
    depth, pitch = _pitch_mm(geometry)
    taps = _gaussian_taps(13, (0.8 + 0.008 * depth) / pitch)
    return np.asarray(taps / taps.sum(axis=0), dtype=np.float32)


def _fan_lookup(
    geometry: ConvexGeometry,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    width, height = geometry.size_px
    v, u = np.mgrid[0:height, 0:width]
    depth_mm, angle_deg = geometry.polar(np.stack([u, v], axis=-1))
    line = (angle_deg / geometry.fov_deg + 0.5) * (LINES - 1)
    sample = depth_mm / geometry.depth_mm * (SAMPLES - 1)
    inside = (line >= 0) & (line <= LINES - 1) & (sample >= 0) & (sample <= SAMPLES - 1)
    line, sample = line[inside], sample[inside]
    l0 = np.minimum(line.astype(np.int64), LINES - 2)
    s0 = np.minimum(sample.astype(np.int64), SAMPLES - 2)
    shares = np.rint(np.stack([line - l0, sample - s0], axis=1) * 128.0).astype(np.uint8)
    corners = (l0 * SAMPLES + s0).astype(np.int32)
    return np.flatnonzero(inside).astype(np.int32), corners, shares
