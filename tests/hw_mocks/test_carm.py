"""The simulated C-arm: where its source stands, and how it is asked to turn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hw_mocks.breath import Breath
from hw_mocks.operator import Operator, RequestError, Site
from hw_mocks.placement import Placement
from hw_mocks.site import SOURCE_TO_PATIENT_MM, carm_from_rest
from ir_nav.geometry import rigid_inverse

FOCUS_MM = np.array([12.0, -30.0, 250.0])


@pytest.mark.parametrize(
    ("orbit_deg", "towards"),
    [(0.0, (0, -1, 0)), (90.0, (1, 0, 0)), (-90.0, (-1, 0, 0)), (30.0, (0.5, -(0.75**0.5), 0))],
)
def test_the_source_goes_round_the_focus(orbit_deg: float, towards: tuple[float, ...]) -> None:
    pose = carm_from_rest(FOCUS_MM, orbit_deg)
    source = rigid_inverse(pose)[:3, 3]
    np.testing.assert_allclose(
        source - FOCUS_MM, SOURCE_TO_PATIENT_MM * np.array(towards), atol=1e-9
    )
    np.testing.assert_allclose(pose[:3, :3] @ FOCUS_MM + pose[:3, 3], (0, 0, 700), atol=1e-9)
    np.testing.assert_allclose(pose[1, :3], (0, 0, -1), atol=1e-12)  # rows to the feet


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def operator(said: list[str]) -> Operator:
    tray = Placement.at(np.zeros(3), (0.0, 0.0, 1.0))
    site = Site(tray, tray, np.zeros(3), np.zeros((0, 3)), np.zeros((0, 3)))
    return Operator(site, 1.0, 0.0, said.append)


def test_it_turns_without_x_rays_and_says_when_it_stands(
    operator: Operator, said: list[str]
) -> None:
    breath = Breath(0.0)
    operator.request(json.dumps({"do": "turn C-arm", "orbit_deg": -50}), 0.0)
    assert not operator.carm_turns
    operator.step(0.0, 0.0, breath)
    operator.step(1.0, 1.0, breath)
    assert said == ["turning C-arm"]
    assert operator.carm_turns
    assert -50.0 < operator.carm_orbit_deg < 0.0
    operator.step(3.0, 2.0, breath)
    assert said == ["turning C-arm", "done: turn C-arm"]
    assert not operator.carm_turns
    assert operator.carm_orbit_deg == pytest.approx(-50.0)


@pytest.mark.parametrize("orbit", [None, "far", 140, float("nan")])
def test_an_angle_it_cannot_reach_is_refused(operator: Operator, orbit: object) -> None:
    with pytest.raises(RequestError, match="within 100 degrees"):
        operator.request(json.dumps({"do": "turn C-arm", "orbit_deg": orbit}), 0.0)
