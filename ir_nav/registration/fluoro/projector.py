"""Digitally reconstructed radiographs: line integrals of attenuation, as a C-arm would see them.

Shear-warp (Lacroute and Levoy 1994, Fast volume rendering using a shear-warp factorization of the
viewing transformation): the grid's slices across the rays' main axis are summed into one plane,
each only scaled and shifted, which interpolates rows and columns one after the other; the plane
is then warped once to the detector. Along a ray this is Joseph's method (1982, An improved
algorithm for reprojecting rays through pixel images). Whole frames are drawn on an NVIDIA GPU
where there is one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import CArmGeometry, FloatArray, rigidity_fault
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.projector_device import rendered_on_device
from ir_nav.registration.fluoro.projector_kernels import (
    SEEN,
    TILE_ROWS,
    UNSEEN,
    WITHIN,
    main_axis,
    ordered,
    planned,
    render_poses,
    sum_slices,
    warp,
)
from ir_nav.registration.fluoro.ray_kernels import cast_rays
from ir_nav.threads import in_ranges

Float32Array = NDArray[np.float32]


def project(
    attenuation: Attenuation,
    geometry: CArmGeometry,
    carm_from_ct: ArrayLike,
    out: Float32Array | None = None,
) -> Float32Array:
    """(rows, columns) float32 line integrals along the ray of every pixel, without unit.

    At a sharp edge beside air a value may dip a little below zero (bicubic, and not clipped, so
    that nothing is added).

    carm_from_ct: (4, 4), mm. out: an array of the frame's size to fill. Works on every core.
    Raises RegistrationError for a pose that is not rigid, an `out` of another size, a focal spot
    within the CT, and rays too far aslant to its axes.
    """
    frame = _checked(out, _shape(geometry))
    source, rays = _rays(attenuation, geometry, np.asarray(carm_from_ct, np.float64)[None])
    per_pixel = _per_pixel(attenuation, geometry)
    states = rendered_on_device(attenuation, source, rays, per_pixel, frame[None])
    if states is not None:
        if states[0] not in (SEEN, UNSEEN):
            raise RegistrationError(_refusal(states[0]))
        return frame
    main = main_axis(rays[0], attenuation.spacing_mm, geometry.size_px)
    order, sizes, lines = ordered(main, attenuation.levels.shape)
    source, rays = source[0, order], np.ascontiguousarray(rays[0, order])
    state, base_main, corner, base_from_pixel, size = planned(source, rays, sizes, geometry.size_px)
    if state == UNSEEN:
        frame[:] = 0.0
        return frame
    if state != SEEN:
        raise RegistrationError(_refusal(state))
    levels, extents = _grid(attenuation, main)
    base = np.empty(size, np.float32)
    in_ranges(
        -(-size[0] // TILE_ROWS),
        lambda part: sum_slices(
            levels, extents, lines, sizes, source, base_main, corner, part, base
        ),
    )
    in_ranges(len(frame), lambda part: warp(base, base_from_pixel, per_pixel, part, frame))
    return frame


def project_poses(
    attenuation: Attenuation,
    geometry: CArmGeometry,
    carm_from_ct: ArrayLike,
    out: Float32Array | None = None,
) -> Float32Array:
    """(n, rows, columns) float32: one frame for each of n poses carm_from_ct (n, 4, 4).

    For a search's population: poses are spread over the cores, each planned and rendered without
    Python. The frame of a pose that `project` would refuse is NaN; otherwise as `project`.
    """
    poses = np.asarray(carm_from_ct, dtype=np.float64)
    if poses.ndim != 3:
        raise RegistrationError(f"poses are an (n, 4, 4) array, got shape {poses.shape}")
    frames = _checked(out, (len(poses), *_shape(geometry)))
    sources, rays = _rays(attenuation, geometry, poses)
    per_pixel = _per_pixel(attenuation, geometry)
    if rendered_on_device(attenuation, sources, rays, per_pixel, frames) is not None:
        return frames
    (levels, extents), (swapped, swapped_extents) = _grid(attenuation, 2), _grid(attenuation, 0)
    in_ranges(
        len(poses),
        lambda part: render_poses(
            (levels, swapped),
            (extents, swapped_extents),
            attenuation.levels.shape,
            attenuation.spacing_mm,
            sources,
            rays,
            per_pixel,
            part,
            frames,
        ),
    )
    return frames


def project_at(
    attenuation: Attenuation,
    geometry: CArmGeometry,
    carm_from_ct: ArrayLike,
    pixels_px: ArrayLike,
) -> Float32Array:
    """(n,) float32 line integrals at positions (n, 2) u, v of the detector, ray by ray (Joseph).

    For some thousand chosen places; `project` is quicker for whole frames and, with `cropped`,
    for windows of them. Raises RegistrationError as `project` does.
    """
    pixels = np.ascontiguousarray(pixels_px, dtype=np.float64)
    if pixels.ndim != 2 or pixels.shape[1] != 2:
        raise RegistrationError(f"pixels are an (n, 2) array of u, v, got shape {pixels.shape}")
    source, rays = _rays(attenuation, geometry, np.asarray(carm_from_ct, np.float64)[None])
    main = main_axis(rays[0], attenuation.spacing_mm, geometry.size_px)
    order, sizes, lines = ordered(main, attenuation.levels.shape)
    source, rays = source[0, order], np.ascontiguousarray(rays[0, order])
    levels, _ = _grid(attenuation, main)
    per_pixel = _per_pixel(attenuation, geometry)
    found = np.zeros(len(pixels), np.float32)
    in_ranges(
        len(pixels),
        lambda part: cast_rays(levels, lines, sizes, source, rays, per_pixel, pixels, part, found),
    )
    return found


def coarsened(geometry: CArmGeometry, factor: float) -> CArmGeometry:
    """The same detector with pixels `factor` times as wide; part of a pixel at the edge is lost.

    Pixel centres stand at whole numbers, so the edge of the detector, at -1/2, stays where it is.
    Raises RegistrationError for a factor that leaves no pixel.
    """
    width, height = (int(size / factor) if factor > 0.0 else 0 for size in geometry.size_px)
    if min(width, height) < 1:
        raise RegistrationError(
            f"a detector of {geometry.size_px} px cannot be made {factor:g} times coarser"
        )
    u, v = ((place + 0.5) / factor - 0.5 for place in geometry.principal_px)
    pixel_mm = (geometry.pixel_mm[0] * factor, geometry.pixel_mm[1] * factor)
    return CArmGeometry(geometry.sid_mm, pixel_mm, (width, height), (u, v))


def cropped(
    geometry: CArmGeometry, corner_px: tuple[int, int], size_px: tuple[int, int]
) -> CArmGeometry:
    """A window of the detector, first pixel and size (u, v): `project` renders only that part."""
    principal = (
        geometry.principal_px[0] - corner_px[0],
        geometry.principal_px[1] - corner_px[1],
    )
    return CArmGeometry(geometry.sid_mm, geometry.pixel_mm, size_px, principal)


def _rays(
    attenuation: Attenuation, geometry: CArmGeometry, poses: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Focal spots (n, 3) and maps (n, 3, 3) from (u, v, 1) to the ray, in voxels i, j, k."""
    for pose in poses:
        fault = rigidity_fault(pose)
        if fault is not None:
            raise RegistrationError(f"carm_from_ct: {fault}")
    voxel_from_carm = np.linalg.inv(poses @ attenuation.ct_from_voxel)
    rays = voxel_from_carm[:, :3, :3] @ np.linalg.inv(geometry.camera_matrix)
    return np.ascontiguousarray(voxel_from_carm[:, :3, 3]), rays


def _grid(attenuation: Attenuation, main: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The voxels, flat, and the extents (line, 2), in the order in which `ordered` reads them."""
    if main == 0:
        return attenuation.swapped.reshape(-1), attenuation.swapped_extents.reshape(-1, 2)
    return attenuation.levels.reshape(-1), attenuation.extents.reshape(-1, 2)


def _per_pixel(attenuation: Attenuation, geometry: CArmGeometry) -> FloatArray:
    """(3, 3): (u, v, 1) -> the ray in mm, times what one level absorbs per mm."""
    return np.asarray(np.linalg.inv(geometry.camera_matrix) * attenuation.per_mm)


def _refusal(state: int) -> str:
    if state == WITHIN:
        return "the focal spot would lie within the CT: check the geometry's distances and the pose"
    return "the rays run too far aslant through the CT: check the geometry and the pose"


def _shape(geometry: CArmGeometry) -> tuple[int, int]:
    return geometry.size_px[1], geometry.size_px[0]


def _checked(out: Float32Array | None, shape: tuple[int, ...]) -> Float32Array:
    if out is None:
        return np.empty(shape, np.float32)
    if out.shape != shape or out.dtype != np.float32:
        raise RegistrationError(
            f"the frame to fill is {out.shape} {out.dtype}, but the view needs {shape} float32"
        )
    return out
