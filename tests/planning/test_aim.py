"""A point in an organ is no target, and no share of it is given."""

from __future__ import annotations

import numpy as np

from ir_nav.imaging import LabelMap
from ir_nav.planning import Plan, shipped_protocol
from ir_nav.planning.aim import aim_of

NAMES = {1: "liver", 2: "lesion_2", 3: "kidney_right"}


def labels() -> LabelMap:
    voxels = np.ones((10, 10, 10), np.uint8)
    voxels[4:6, 4:6, 4:6] = 2
    voxels[8, 8, 8] = 3
    return LabelMap(voxels, np.eye(4), NAMES)


def plan(structure: str) -> Plan:
    return Plan(
        name="P",
        ct_identity="ct",
        entry_ct_mm=(5.0, -40.0, 5.0),
        target_ct_mm=(5.0, 5.0, 5.0),
        structure=structure,
    )


def test_only_an_outlined_target_is_one() -> None:
    protocol = shipped_protocol()
    lesion = aim_of(plan("Lesion 2"), labels(), protocol)
    assert lesion.words == "Lesion 2"
    assert lesion.target is not None
    assert lesion.target.voxels.sum() == 8
    bare = aim_of(plan("Liver"), labels(), protocol)
    assert (bare.target, bare.words) == (None, "point in Liver, no lesion outlined")
    kidney = aim_of(plan("Right kidney"), labels(), shipped_protocol("abscess_drainage"))
    assert kidney.target is None
    assert kidney.words.startswith("point in Right kidney, no ")
    assert aim_of(plan(""), labels(), protocol).words == "point, no structure named"
    assert aim_of(plan("Lesion 9"), labels(), protocol) == aim_of(plan("Lesion 9"), None, protocol)
