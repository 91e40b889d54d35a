"""Roles from the protocol, and structures that no label names."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.imaging import LabelMap
from ir_nav.planning import PlanError, Role, prepare, search
from ir_nav.planning.structures import find_structures
from tests.planning.phantoms import BONE, LUNG, VESSEL, Block, kept, protocol


def roles(block: Block, names: dict[int, str], **more: object) -> dict[str, tuple[str, float]]:
    rules = protocol(**more)
    found = find_structures(block.volume(), block.label_map(names), block.body, rules)
    return {known.name: (str(known.role), known.margin_mm) for known in found.known}


def test_each_label_gets_the_role_of_the_first_rule_that_matches() -> None:
    block = Block()
    for number in range(1, 6):
        block.labels[40 + number, 45, 45] = number
    names = {1: "rib_left_7", 2: "portal_vein", 3: "liver", 4: "lesion", 5: "muscle"}
    target = {"name": "Lesion", "role": "target", "patterns": ("lesion*",), "source": "test"}
    gate = kept("Portal", "portal*", 0.0, role="forbidden")
    found = roles(block, names, structures=(target, gate, VESSEL, BONE), organ=("liver",))
    assert found == {
        "Left rib 7": ("avoid", 2.0),
        "Portal vein": ("forbidden", 0.0),
        "Liver": ("traversable", 0.0),
        "Lesion": ("target", 0.0),
        "Muscle": ("traversable", 0.0),
    }


def test_density_stands_in_only_for_what_no_label_names() -> None:
    """Dense voxels without a label, in muscle, in the organ, and bone that is labelled."""
    block = Block()
    block.labels[40, 40, 40:44] = 1
    block.labels[42, 40, 40:44] = 2
    block.labels[44, 40, 40:44] = 3
    volume = block.volume()
    voxels = volume.voxels.copy()
    voxels[40:47:2, 40, 40:44] = 600
    dense = type(volume)(voxels, volume.ct_from_voxel, "dense", volume.description)
    names = {1: "liver", 2: "muscle", 3: "rib_left_7"}
    rules = protocol(structures=(BONE, LUNG), organ=("liver",))
    with_rib = find_structures(dense, block.label_map(names), block.body, rules)
    assert "Bone" not in {known.name for known in with_rib.known}
    without = find_structures(dense, block.label_map({1: "liver", 2: "muscle"}), block.body, rules)
    number = 1 + [known.name for known in without.known].index("Bone")
    rows = [k for k in (40, 42, 44, 46) if (without.ids[k, 40, 40:44] == number).all()]
    assert rows == [42, 44, 46]


def test_gas_is_found_inside_the_body_only() -> None:
    block = Block()
    volume = block.volume()
    voxels = volume.voxels.copy()
    voxels[40:50, 40:50, 40:50] = -900
    gassy = type(volume)(voxels, volume.ct_from_voxel, "gas", volume.description)
    found = find_structures(gassy, None, block.body, protocol(structures=(LUNG,)))
    assert [(known.name, known.pleura) for known in found.known] == [("Lung", False)]
    assert int((found.ids > 0).sum()) == 1000


def test_forbidden_may_not_even_be_touched() -> None:
    block = Block()
    block.wall(2, -30.0)
    block.hole(0.0, 0.0, 9.0)
    rules = protocol(structures=(kept("Gate", "*vein*", 0.0, role="forbidden"),))
    ground = block.ground(rules)
    found = search(ground, rules, (0.0, 0.0, 0.0))
    ways = ground.skin.points_ct_mm[found.ways.at]
    # At the wall's back face, 28 of 50 mm deep, the shaft must pass inside the hole.
    across = np.linalg.norm(ways[:, [0, 2]], axis=1) * 32.0 / 50.0
    assert 4.0 < across.max() < 9.0


def test_many_kinds_of_labels_fit_and_too_many_are_refused() -> None:
    block = Block()
    numbers = np.arange(block.labels.size).reshape(block.labels.shape) % 400
    wide = LabelMap(
        numbers.astype(np.uint16), block.ct_from_voxel, {n: f"thing_{n}" for n in range(1, 400)}
    )
    rules = protocol(structures=(kept("Some", "thing_39?", 1.0),))
    found = find_structures(block.volume(), wide, block.body, rules)
    assert sum(known.role is Role.AVOID for known in found.known) == 10
    assert len(found.known) == 254
    with pytest.raises(PlanError, match="more than 255 labels"):
        find_structures(
            block.volume(), wide, block.body, protocol(structures=(kept("All", "thing*", 1.0),))
        )


def test_labels_of_another_grid_are_refused() -> None:
    block, other = Block(), Block((3.0, 3.0, 3.0))
    with pytest.raises(PlanError, match="not on the CT's grid"):
        prepare(block.volume(), other.label_map(), protocol(), body=block.body)
