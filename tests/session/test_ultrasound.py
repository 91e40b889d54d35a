"""The ultrasound overlay belongs to the time at which the image was acquired."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import PoseStatus
from ir_nav.session.navigation import navigate
from ir_nav.session.state import Role
from tests.session.rig import (
    CT_FROM_REFERENCE,
    NOW_S,
    PROBE_FROM_IMAGE,
    TRACKER_FROM_REFERENCE,
    Rig,
    pose,
)

SPEED_MM_S = 200.0


def probe_at(time_s: float) -> np.ndarray:
    """Moving along the tracker's x, turned somehow."""
    return pose(5, (50.0 + SPEED_MM_S * (time_s - NOW_S), 30.0, 880.0))


def image_from_ct(time_s: float) -> np.ndarray:
    """By numpy alone; the third axis in mm, square to the image."""
    ct_from_probe = CT_FROM_REFERENCE @ np.linalg.inv(TRACKER_FROM_REFERENCE) @ probe_at(time_s)
    matrix = np.array(PROBE_FROM_IMAGE, dtype=float)
    matrix[:3, 2] = np.cross(matrix[:3, 0], matrix[:3, 1])
    matrix[:3, 2] /= np.linalg.norm(matrix[:3, 2])
    return np.linalg.inv(ct_from_probe @ matrix)


@pytest.fixture
def rig() -> Rig:
    """Probe and reference at 50 Hz for a second, arriving at once."""
    rig = Rig()
    for step in range(-50, 1):
        time_s = NOW_S + step / 50
        rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, time_s)
        rig.send(Role.PROBE, probe_at(time_s), time_s)
    return rig


def test_a_delayed_image_of_a_moving_probe_is_placed_where_it_was_taken(rig: Rig) -> None:
    """Taken 0.15 s ago, between two poses; the probe has moved 30 mm since."""
    taken_s = NOW_S - 0.1531
    frame = rig.frame(taken_s, NOW_S - 0.01)
    found = navigate(rig.inputs(), NOW_S).ultrasound
    assert found is not None
    assert found.frame is frame
    assert found.reason is None
    np.testing.assert_allclose(found.image_from_ct, image_from_ct(taken_s), atol=1e-4)
    now = image_from_ct(NOW_S)
    assert not np.allclose(found.image_from_ct, now, atol=10.0)
    assert found.age_s == pytest.approx(0.1531, abs=1e-6)
    assert found.mm_per_px == 0.5


def test_a_point_of_the_image_comes_back_to_its_pixel_and_height_above_it(rig: Rig) -> None:
    rig.frame(NOW_S - 0.1, NOW_S)
    found = navigate(rig.inputs(), NOW_S).ultrasound
    assert found is not None
    ct_from_probe = (
        CT_FROM_REFERENCE @ np.linalg.inv(TRACKER_FROM_REFERENCE) @ probe_at(NOW_S - 0.1)
    )
    # Pixel (100, 60) lies at x = 0, z = 30 in the probe's frame; 4 mm off the plane along y.
    above = ct_from_probe @ np.array([0.0, 10.0 - 4.0, 30.0, 1.0])
    u, v, w, _ = found.image_from_ct @ above  # type: ignore[operator]
    assert (u, v) == (pytest.approx(100.0, abs=1e-3), pytest.approx(60.0, abs=1e-3))
    assert abs(w) == pytest.approx(4.0, abs=1e-4)


@pytest.mark.parametrize("role", [Role.PROBE, Role.REFERENCE])
def test_nothing_of_the_ct_is_drawn_when_a_body_was_unseen_at_the_images_time(role: Role) -> None:
    rig = Rig()
    for step in range(-50, 1):
        time_s = NOW_S + step / 50
        hidden = role if -10 <= step <= -5 else None
        for one, matrix in (
            (Role.REFERENCE, TRACKER_FROM_REFERENCE),
            (Role.PROBE, probe_at(time_s)),
        ):
            rig.send(one, None if one is hidden else matrix, time_s)
    frame = rig.frame(NOW_S - 0.15, NOW_S)
    found = navigate(rig.inputs(), NOW_S).ultrasound
    assert found is not None
    assert found.frame is frame  # the image itself is shown
    assert found.image_from_ct is None
    assert found.reason == f"{str(role).capitalize()} was not seen at the image's time"


def test_the_newest_frame_whose_pose_is_known_is_taken(rig: Rig) -> None:
    placed = rig.frame(NOW_S - 0.08, NOW_S - 0.02, fill=1)
    rig.frame(NOW_S + 0.01, NOW_S + 0.01, fill=2)  # its pose is still on the way
    found = navigate(rig.inputs(), NOW_S + 0.02).ultrasound
    assert found is not None
    assert found.frame is placed
    np.testing.assert_allclose(found.image_from_ct, image_from_ct(NOW_S - 0.08), atol=1e-4)


def test_without_a_registration_the_image_is_bare(rig: Rig) -> None:
    rig.frame(NOW_S - 0.1, NOW_S)
    found = navigate(rig.inputs(registration=None), NOW_S).ultrasound
    assert found is not None
    assert found.image_from_ct is None
    assert "not registered" in str(found.reason)


def test_a_lost_needle_does_not_take_the_overlay_away(rig: Rig) -> None:
    rig.send(Role.NEEDLE, None, NOW_S, PoseStatus.MISSING)
    rig.frame(NOW_S - 0.1, NOW_S)
    found = navigate(rig.inputs(), NOW_S).ultrasound
    assert found is not None
    assert found.image_from_ct is not None


def test_without_a_frame_there_is_no_ultrasound(rig: Rig) -> None:
    assert navigate(rig.inputs(), NOW_S).ultrasound is None


def test_the_rate_is_that_of_the_arrivals(rig: Rig) -> None:
    for step in range(40):
        rig.frame(NOW_S - 2.0 + step / 20, NOW_S - 1.96 + step / 20)
    found = navigate(rig.inputs(), NOW_S).ultrasound
    assert found is not None
    assert found.rate_hz == pytest.approx(20.0, abs=1.0)
    later = navigate(rig.inputs(), NOW_S + 5.0).ultrasound
    assert later is not None
    assert later.rate_hz == 0.0
