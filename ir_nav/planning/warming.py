"""Compiling ahead, so that the first search does not wait for it."""

from __future__ import annotations

import numpy as np

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning.blocking import NoPathError
from ir_nav.planning.ground import prepare
from ir_nav.planning.proposals import propose
from ir_nav.planning.protocol import shipped_protocol

SIZE = 48


def compile_planning() -> None:
    """Compile every inner loop of planning, or load it from the cache: call it on a thread.

    Plans on a small block of water; some 30 s the first time on a machine, else below one.
    """
    block = np.full((SIZE, SIZE, SIZE), -1000, dtype=np.int16)
    block[4:-4, 4:-4, 4:-4] = 40
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    volume = Volume(block, affine, "", VolumeInfo())
    for kind in (np.uint8, np.uint16):
        voxels = np.zeros(block.shape, dtype=kind)
        voxels[20:28, 20:40, 20:40] = 1
        voxels[30:34, 30:34, 4:8] = 2
        labels = LabelMap(voxels, affine, {1: "liver", 2: "rib_left_7"})
        protocol = shipped_protocol()
        ground = prepare(volume, labels, protocol)
        for target in ((48.0, 48.0, 48.0), (12.0, 64.0, 64.0)):
            try:
                propose(ground, protocol, target)
            except NoPathError:
                continue
