"""The part of a CT's bone that a sweep can have seen: what faces the probe, nothing in front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ir_nav.geometry import FloatArray, apply
from ir_nav.imaging import ImagingError, Mesh, Volume, bone_surface
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.surface.nearest_kernels import RIM, Floats32
from ir_nav.registration.surface.sampled import SampledSurface, sample_surface
from ir_nav.registration.ultrasound.bone_echoes import BoneEchoes

# Round the points where the start puts them: the start's own error, and some.
REACH_MM = 35.0
# A thin rib's cortex is blurred to less than the usual 200 HU, and still throws back the sound.
BONE_HU = 150.0
TRIANGLES = 90_000
# Cosine between a surface's normal and the way back to the probe.
LEAST_FACING = 0.15
# On that way, so far out of the surface and no further than this, no bone may lie.
CLEAR_FROM_MM, CLEAR_TO_MM, CLEAR_STEP_MM = 2.5, 30.0, 1.5
LEAST_TRIANGLES = 200
# Along the normal, where the surface is looked for; how far it may lie from the triangles.
PROFILE_MM, PROFILE_STEP_MM, MOST_SHIFT_MM = 3.5, 0.5, 2.0
SOFT_HU = (-100.0, 100.0)
NAME = "the bone that the sweep can see"


def bone_round(volume: Volume, echoes: BoneEchoes, ct_from_reference: FloatArray) -> Mesh:
    """The bone of a CT (150 HU) near the echoes where a start (4, 4) puts them. Seconds.

    RegistrationError where the CT shows none.
    """
    try:
        return bone_surface(_round(volume, apply(ct_from_reference, echoes.points_mm)), TRIANGLES)
    except ImagingError as error:
        raise RegistrationError(f"{_NO_BONE} ({error})") from None


def facing_bone(
    mesh: Mesh, volume: Volume, echoes: BoneEchoes, ct_from_reference: FloatArray
) -> SampledSurface:
    """What of a bone's mesh faces the beams of the echoes at a pose (4, 4), with nothing before
    it: neither the far side of a rib nor its marrow may draw the echoes.

    RegistrationError where that is nothing.
    """
    points = apply(ct_from_reference, echoes.points_mm)
    along = echoes.along @ ct_from_reference[:3, :3].T
    corners = mesh.points_ct_mm.astype(np.float64)[mesh.triangles]
    middles = corners.mean(axis=1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    away_mm, nearest = cKDTree(points).query(middles, workers=-1)
    back = -along[nearest]
    facing = (away_mm < REACH_MM) & ((normals * back).sum(axis=1) > LEAST_FACING)
    places = np.flatnonzero(facing)
    chosen = mesh.triangles[places[_clear(volume, middles[places], back[places])]]
    if len(chosen) < LEAST_TRIANGLES:
        raise RegistrationError(_NO_BONE)
    surface = sample_surface(Mesh(mesh.points_ct_mm.copy(), chosen), NAME)
    samples = surface.samples.copy()
    samples[:, :3] += _to_half_height(volume, samples)[:, None] * samples[:, 3:6]
    # Between two ribs a point is drawn to the nearer one, not let go of at its rim.
    samples[:, RIM] = 0.0
    return replace(surface, samples=samples)


_NO_BONE = (
    "the CT shows no bone where the search would start: register by landmarks first, lock one "
    "plane, or register by the image"
)


def _round(volume: Volume, points_ct_mm: FloatArray) -> Volume:
    """The part of a CT round points (n, 3)."""
    ijk = apply(volume.voxel_from_ct, points_ct_mm)
    margin = REACH_MM / np.array(volume.spacing_mm)
    last = np.array(volume.size_ijk)
    low = np.clip(np.floor(ijk.min(axis=0) - margin), 0, last - 2).astype(int)
    high = np.clip(np.ceil(ijk.max(axis=0) + margin) + 1, low + 2, last).astype(int)
    i, j, k = (slice(a, b) for a, b in zip(low, high, strict=True))
    affine = np.array(volume.ct_from_voxel)
    affine[:3, 3] = apply(affine, low.astype(np.float64))
    return Volume(volume.voxels[k, j, i], affine, volume.identity, volume.description)


def _clear(volume: Volume, places: FloatArray, back: FloatArray) -> NDArray[np.bool_]:
    """(n,) whether no bone lies before places (n, 3) on the way back (n, 3) to the probe."""
    out_mm = np.arange(CLEAR_FROM_MM, CLEAR_TO_MM, CLEAR_STEP_MM)
    ways = places[:, None] + out_mm[:, None] * back[:, None]
    return np.asarray(_hu_at(volume, ways).max(axis=1) < BONE_HU)


def _to_half_height(volume: Volume, samples: Floats32) -> FloatArray:
    """(n,) mm along the normals of samples (n, 7) to where the CT falls half-way from the bone's
    peak to what lies outside: there a blurred edge is where it was, whatever the bone's density.
    """
    out_mm = np.arange(-PROFILE_MM, PROFILE_MM + 0.1, PROFILE_STEP_MM)
    places, normals = samples[:, :3].astype(np.float64), samples[:, 3:6].astype(np.float64)
    hu = _hu_at(volume, places[:, None] + out_mm[:, None] * normals[:, None])
    middle = len(out_mm) // 2
    peak = np.argmax(hu[:, : middle + 1], axis=1)
    n = np.arange(len(hu))
    half = (hu[n, peak] + np.clip(hu[:, -1], *SOFT_HU)) / 2.0
    below = (hu < half[:, None]) & (np.arange(len(out_mm)) > peak[:, None])
    last = np.where(below.any(axis=1), below.argmax(axis=1), middle + 1)
    before, after = hu[n, last - 1], hu[n, last]
    share = np.clip((before - half) / np.maximum(before - after, 1.0), 0.0, 1.0)
    found = out_mm[last] + (share - 1.0) * PROFILE_STEP_MM
    return np.asarray(np.where(np.abs(found) <= MOST_SHIFT_MM, found, 0.0))


def _hu_at(volume: Volume, places: FloatArray) -> FloatArray:
    """(n, m) CT numbers at places (n, m, 3), air outside."""
    ijk = apply(volume.voxel_from_ct, places.reshape(-1, 3))
    hu = ndimage.map_coordinates(volume.voxels, ijk.T[::-1], np.float32, order=1, cval=-1000.0)
    return np.asarray(hu.reshape(places.shape[:2]), dtype=np.float64)
