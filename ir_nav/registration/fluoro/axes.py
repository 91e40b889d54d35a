"""How a CT is moved under a view: about a centre, across and along the view's ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ir_nav.geometry import FloatArray, rigid_inverse


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """How a pose is moved: about centre_world_mm (3,), in the columns of world_from_axes (3, 3);
    the third column is the first view's ray through the centre.

    Parameters are translation (mm), then rotation vector (deg).
    """

    centre_world_mm: FloatArray
    world_from_axes: FloatArray

    def moved(self, parameters: FloatArray, world_from_ct: FloatArray) -> FloatArray:
        """(n, 4, 4) of world_from_ct after each of (n, 6) motions."""
        turns = rotations(np.radians(parameters[:, 3:]) @ self.world_from_axes.T)
        moves = np.zeros((len(parameters), 4, 4))
        moves[:, :3, :3] = turns
        moves[:, :3, 3] = self.centre_world_mm - turns @ self.centre_world_mm
        moves[:, :3, 3] += parameters[:, :3] @ self.world_from_axes.T
        moves[:, 3, 3] = 1.0
        return np.asarray(moves @ world_from_ct)


def rotations(vectors_rad: FloatArray) -> FloatArray:
    """(n, 3, 3) of rotation vectors (n, 3), radians."""
    return np.asarray(Rotation.from_rotvec(vectors_rad).as_matrix())


def axes_through(carm_from_world: FloatArray, centre_world_mm: FloatArray) -> Axes:
    """Axes about a centre for a view: across its columns, across its rows, along the ray."""
    ray = centre_world_mm - rigid_inverse(carm_from_world)[:3, 3]
    ray = ray / np.linalg.norm(ray)
    across = carm_from_world[0, :3] - ray * float(carm_from_world[0, :3] @ ray)
    across = across / np.linalg.norm(across)
    return Axes(centre_world_mm, np.stack([across, np.cross(ray, across), ray], axis=1))
