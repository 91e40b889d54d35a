"""The nearest view in reach of a patient on the side, who is no mirror image of himself."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.geometry import angle_between_deg
from ir_nav.registration.fluoro.carm_angles import (
    CArmAngles,
    CArmReach,
    PatientPosition,
    direction_of,
    entry_view,
    view_along,
)

REACH = CArmReach(rao_deg=40.0, lao_deg=80.0, caudal_deg=20.0, cranial_deg=30.0)
# Where the detector stands for a lying patient when it is up: away from the side he lies on.
UP = {
    PatientPosition.HEAD_FIRST_SUPINE: (0.0, -1.0, 0.0),
    PatientPosition.HEAD_FIRST_LEFT_DOWN: (-1.0, 0.0, 0.0),
    PatientPosition.HEAD_FIRST_RIGHT_DOWN: (1.0, 0.0, 0.0),
    PatientPosition.FEET_FIRST_LEFT_DOWN: (-1.0, 0.0, 0.0),
}


@pytest.mark.parametrize("position", UP)
def test_the_nearest_view_is_as_far_off_as_stated(position: PatientPosition) -> None:
    straight = view_along(UP[position], REACH, position)
    assert straight.reachable
    below = view_along(-np.array(UP[position]), REACH, position)
    assert not below.reachable
    apart = angle_between_deg(direction_of(below.nearest), -np.array(UP[position]))
    assert apart == pytest.approx(below.off_deg)
    # What is called the nearest can be set.
    assert view_along(direction_of(below.nearest), REACH, position).reachable


@pytest.mark.parametrize(
    ("angles", "head_first", "feet_first"),
    [
        (CArmAngles(60.0, 0.0), True, False),
        (CArmAngles(-60.0, 0.0), False, True),
        (CArmAngles(0.0, 25.0), True, False),
        (CArmAngles(0.0, -25.0), False, True),
    ],
)
def test_feet_first_both_sides_and_both_ends_change_places(
    angles: CArmAngles, head_first: bool, feet_first: bool
) -> None:
    beam = direction_of(angles)
    for position, reachable in (
        (PatientPosition.HEAD_FIRST_SUPINE, head_first),
        (PatientPosition.FEET_FIRST_SUPINE, feet_first),
    ):
        assert view_along(beam, REACH, position).reachable is reachable


@pytest.mark.parametrize("position", UP)
def test_of_two_entry_views_in_reach_the_tube_is_below(position: PatientPosition) -> None:
    anywhere = CArmReach(180.0, 180.0, 90.0, 90.0)
    up = np.array(UP[position])
    for entry_ct_mm in (80.0 * up, -80.0 * up):
        view = entry_view(entry_ct_mm, np.zeros(3), anywhere, position)
        np.testing.assert_allclose(direction_of(view.wanted), up, atol=1e-9)
