"""The middle of what C-arm frames see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ir_nav.geometry import FloatArray, apply, rigid_inverse
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.view import FluoroFrame


def field_middle(
    frames: Sequence[FluoroFrame], attenuation: Attenuation, world_from_ct: FloatArray
) -> FloatArray:
    """(3,) in world: the point of the first frame's middle ray nearest to the other frames'
    middle rays, or for one frame to the CT's middle.
    """
    source, ray = _middle_ray(frames[0])
    if len(frames) == 1:
        at = apply(world_from_ct, attenuation.centre_ct_mm)
        return np.asarray(source + ray * float(ray @ (at - source)))
    rays = [_middle_ray(frame) for frame in frames]
    across = [np.eye(3) - np.outer(direction, direction) for _, direction in rays]
    # Nearly parallel rays meet nowhere: the CT's middle decides what is left open.
    weak = 1e-3 * np.eye(3)
    at = apply(world_from_ct, attenuation.centre_ct_mm)
    right = sum((a @ origin for a, (origin, _) in zip(across, rays, strict=True)), weak @ at)
    return np.asarray(np.linalg.solve(sum(across, weak), right))


def _middle_ray(frame: FluoroFrame) -> tuple[FloatArray, FloatArray]:
    """The focal spot and the direction of the frame's middle pixel, in world."""
    geometry, world_from_carm = frame.view.geometry, rigid_inverse(frame.view.carm_from_world)
    width, height = geometry.size_px
    middle = np.array([(width - 1) / 2.0, (height - 1) / 2.0, 1.0])
    ray = world_from_carm[:3, :3] @ np.linalg.solve(geometry.camera_matrix, middle)
    return world_from_carm[:3, 3], ray / np.linalg.norm(ray)
