"""A whole plan against its protocol: what only the fired needle reaches is found too."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import Plan, prepare, shipped_protocol
from ir_nav.planning.findings import CLEARANCE
from ir_nav.planning.ground import Ground
from ir_nav.planning.instruments import Ablation, Biopsy, FurtherNeedle, Needle, SideNotch, Zone
from ir_nav.planning.plan_findings import plan_findings

NOTCH = SideNotch(throw_mm=22.0, notch_mm=19.0, tip_mm=3.0)
ZONE = Zone(length_mm=30.0, width_mm=20.0, ahead_mm=5.0)


@pytest.fixture(scope="module")
def ground() -> Ground:
    """A block of water, 100 mm wide; the portal vein is a wall at y = 20 to 24 mm."""
    axis = np.arange(-79.0, 80.0, 2.0)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    body = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z)) < 50.0
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -79.0
    volume = Volume(np.where(body, 40, -1000).astype(np.int16), affine, "ct", VolumeInfo())
    vein = body & (y > 20.0) & (y < 24.0)
    labels = LabelMap(vein.astype(np.uint8), affine, {1: "portal_vein_and_splenic_vein"})
    return prepare(volume, labels, shipped_protocol())


def straight(**changes: object) -> Plan:
    values = {
        "name": "P",
        "ct_identity": "ct",
        "entry_ct_mm": (0.0, -50.0, 0.0),
        "target_ct_mm": (0.0, 10.0, 0.0),
    }
    return Plan.model_validate(values | changes)


def test_the_clearance_is_that_of_the_fired_needle(ground: Ground) -> None:
    protocol = shipped_protocol()
    bare = {one.name: one for one in plan_findings(ground, protocol, straight(), None)}
    # From the shaft's end to the wall: 10 mm less the radius of the protocol's needle.
    assert bare[CLEARANCE].value == pytest.approx(10.0 - protocol.needle.radius_mm, abs=0.05)
    assert bare[CLEARANCE].passes
    biopsy = straight().for_instrument(Biopsy(needle=Needle(), notch=NOTCH, stand_off_mm=9.5))
    fired = {one.name: one for one in plan_findings(ground, protocol, biopsy, None)}
    # Fired it comes 12.5 mm past the aim: 2.5 mm into the wall.
    assert fired[CLEARANCE].value < 0.0
    assert fired[CLEARANCE].hard
    assert not fired[CLEARANCE].passes
    assert fired["Length"].value == pytest.approx(60.0 - 9.5)


def test_every_needle_is_named(ground: Ground) -> None:
    needle = Needle(gauge=17, length_mm=150.0)
    further = FurtherNeedle(
        entry_ct_mm=(20.0, -50.0, 0.0), target_ct_mm=(20.0, 16.0, 0.0), needle=needle, zone=ZONE
    )
    instrument = Ablation(needle=needle, zone=ZONE, further=(further,))
    found = plan_findings(ground, shipped_protocol(), straight(instrument=instrument), None)
    values = {one.name: one for one in found}
    first, second = values[f"{CLEARANCE}, needle 1"], values[f"{CLEARANCE}, needle 2"]
    assert (first.passes, second.passes) == (True, False)
    # The thicker of the plan's and the protocol's needle counts.
    radius_mm = max(shipped_protocol().needle.radius_mm, needle.outer_diameter_mm / 2.0)
    assert second.value == pytest.approx(4.0 - radius_mm, abs=0.05)
    assert {"Needle 1 left outside", "Needle 2 left outside"} <= set(values)
