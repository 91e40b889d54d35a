"""Where the ultrasound lies in its image: geometry, and the fan found from frames."""

from __future__ import annotations

import numpy as np
import pytest

from devices.recordings import read_recording
from ir_nav.registration import RegistrationError
from ir_nav.registration.ultrasound.fan import (
    ConvexFan,
    Fan,
    LinearFan,
    brightest,
    check_same_scale,
    fan_mask,
    mm_per_px_of,
)
from ir_nav.registration.ultrasound.fan_finding import find_fan
from tests.data import data_path

CONVEX = ConvexFan((300.0, -90.0), (0.3, 0.35), 45.0, 190.0, 30.0)
LINEAR = LinearFan((120.0, 15.0), (0.1, 0.12), 40.0, 55.0)
SIZE_PX = (640, 560)


@pytest.mark.parametrize("fan", [CONVEX, LINEAR])
def test_beams_and_their_coordinates_agree(fan: Fan) -> None:
    start_px, step_px = fan.beams_px(17)
    for depth_mm in (0.0, 33.0):
        across, depth = fan.beam_coordinates(start_px + depth_mm * step_px)
        assert across == pytest.approx(np.linspace(0.0, 1.0, 17))
        assert depth == pytest.approx(np.full(17, depth_mm))
    places = (start_px + 33.0 * step_px) * fan.mm_per_px
    apart_mm = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert apart_mm == pytest.approx(np.full(16, float(fan.pitch_mm(33.0, 17))), rel=0.01)


def test_a_scale_that_is_not_the_fans_is_refused() -> None:
    turned = np.diag([0.3, 0.35, 0.3, 1.0])[[1, 2, 0, 3]]
    assert mm_per_px_of(turned) == pytest.approx((0.3, 0.35))
    check_same_scale(CONVEX, turned)
    with pytest.raises(RegistrationError, match=r"0\.3500 x 0\.3500 mm"):
        check_same_scale(CONVEX, np.diag([0.35, 0.35, 0.3, 1.0]))


@pytest.mark.parametrize(
    "made",
    [
        lambda: ConvexFan((0.0, 0.0), (0.3, 0.3), 50.0, 40.0, 30.0),
        lambda: ConvexFan((0.0, 0.0), (0.3, 0.3), 50.0, 90.0, 95.0),
        lambda: ConvexFan((0.0, 0.0), (0.0, 0.3), 50.0, 90.0, 30.0),
        lambda: LinearFan((0.0, 0.0), (0.3, 0.3), 0.0, 40.0),
        lambda: ConvexFan((0.0, 0.0), (0.3, 0.3), 50.0, float("nan"), 30.0),
    ],
)
def test_what_is_no_fan_is_refused(made: object) -> None:
    with pytest.raises(RegistrationError):
        made()  # type: ignore[operator]


def frames(fan: Fan, count: int = 6, dark: tuple[float, float] = (2.0, 2.0)) -> list[np.ndarray]:
    """Rayleigh noise inside the fan, black where the share across lies within `dark`."""
    rng = np.random.default_rng(3)
    inside = fan_mask(fan, SIZE_PX)
    v, u = np.mgrid[0 : SIZE_PX[1], 0 : SIZE_PX[0]]
    across, _ = fan.beam_coordinates(np.stack([u, v], axis=-1))
    inside &= ~((across > dark[0]) & (across < dark[1]))
    noise = rng.rayleigh(30.0, (count, *inside.shape)).clip(0, 255)
    return [(one * inside).astype(np.uint8) for one in noise]


def test_a_convex_fan_is_found() -> None:
    found = find_fan(frames(CONVEX), CONVEX.mm_per_px)
    assert isinstance(found, ConvexFan)
    assert found.apex_px == pytest.approx(CONVEX.apex_px, abs=1.5)
    assert found.near_mm == pytest.approx(CONVEX.near_mm, abs=0.7)
    assert found.far_mm == pytest.approx(CONVEX.far_mm, abs=0.7)
    assert found.half_angle_deg == pytest.approx(CONVEX.half_angle_deg, abs=0.2)


def test_a_linear_field_is_found() -> None:
    found = find_fan(frames(LINEAR), LINEAR.mm_per_px)
    assert isinstance(found, LinearFan)
    assert found.corner_px == pytest.approx(LINEAR.corner_px, abs=1.5)
    assert found.width_mm == pytest.approx(LINEAR.width_mm, abs=0.3)
    assert found.depth_mm == pytest.approx(LINEAR.depth_mm, abs=0.3)


def test_a_real_linear_probe() -> None:
    """Plus's spine phantom: the picture fills columns 187 to 631, rows 12 to 601, read by eye."""
    recording = read_recording(data_path("plus", "SpinePhantomFreehand.igs.mha"))
    found = find_fan([np.asarray(one.pixels) for one in recording.frames], (0.1, 0.1))
    assert isinstance(found, LinearFan)
    assert found.corner_px == pytest.approx((187.0, 12.0), abs=2.0)
    assert (found.width_mm, found.depth_mm) == pytest.approx((44.4, 58.9), abs=0.3)


def test_a_side_without_contact_and_a_picture_without_a_fan_are_refused() -> None:
    with pytest.raises(RegistrationError, match="whole face"):
        find_fan(frames(CONVEX, dark=(0.7, 1.1)), CONVEX.mm_per_px)
    with pytest.raises(RegistrationError, match="whole face"):
        find_fan([np.zeros((560, 640), np.uint8)], CONVEX.mm_per_px)
    with pytest.raises(RegistrationError, match="there is none"):
        brightest([])
    with pytest.raises(RegistrationError, match="one size"):
        brightest([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)])
