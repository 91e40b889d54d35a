"""A tiny CT drawn by the GPU's code in numba's simulator and by the processor: a program of its
own, because NUMBA_ENABLE_CUDASIM is read when numba is imported. Prints JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys

import numpy as np

from ir_nav.geometry import CArmGeometry, rotation_from_vector
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation, prepare_attenuation
from ir_nav.registration.fluoro.carm_angles import CArmAngles, carm_from_ct
from ir_nav.registration.fluoro.projector import project, project_poses
from ir_nav.registration.fluoro.projector_device import VARIABLE

# Along each axis of the grid, aslant, and from the other side.
ANGLES = ((0.0, 0.0), (90.0, 0.0), (10.0, 80.0), (-155.0, 25.0))
GEOMETRY = CArmGeometry(1000.0, (9.0, 8.0), (8, 7), (3.0, 3.5))


def main() -> None:
    attenuation = tiny()
    centre = attenuation.centre_ct_mm
    poses = [carm_from_ct(CArmAngles(*angles), centre, 650.0) for angles in ANGLES]
    inside = carm_from_ct(CArmAngles(0.0, 0.0), centre, 0.5)
    poses += [inside, carm_from_ct(CArmAngles(0.0, 0.0), centre + 4000.0, 650.0)]
    os.environ[VARIABLE] = "cpu"
    expected = project_poses(attenuation, GEOMETRY, np.array(poses))
    os.environ[VARIABLE] = "cuda"
    from ir_nav.registration.fluoro import projector_cuda

    projector_cuda.MOST_HELD = 400  # several launches
    found = project_poses(attenuation, GEOMETRY, np.array(poses))
    alone = project(attenuation, GEOMETRY, poses[1])
    try:
        project(attenuation, GEOMETRY, inside)
        refusal = ""
    except RegistrationError as error:
        refusal = str(error)
    held = len(projector_cuda._grids)
    del attenuation
    gc.collect()
    sys.stdout.write(
        json.dumps(
            {
                "highest": expected[:4].max(axis=(1, 2)).tolist(),
                "off": np.abs(found[:4] - expected[:4]).max(axis=(1, 2)).tolist(),
                "off_alone": float(np.abs(alone - expected[1]).max()),
                "refused": bool(np.isnan(found[4]).all() and np.isnan(expected[4]).all()),
                "refusal": refusal,
                "unseen": float(np.abs(found[5]).max()),
                "held": held,
                "held_after": len(projector_cuda._grids),
            }
        )
    )


def tiny() -> Attenuation:
    voxels = np.random.default_rng(0).integers(-800, 1500, (6, 7, 8)).astype(np.int16)
    ct_from_voxel = np.eye(4)
    turn = rotation_from_vector(np.array([0.2, -0.4, 0.3]))
    ct_from_voxel[:3, :3] = turn * [13.0, 12.0, 15.0]
    ct_from_voxel[:3, 3] = [5.0, -7.0, 30.0]
    volume = Volume(voxels, ct_from_voxel, "made", VolumeInfo())
    return prepare_attenuation(volume, None, np.ones(voxels.shape, np.bool_))


if __name__ == "__main__":
    main()
