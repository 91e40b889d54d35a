"""Ultrasound and fluoro: overlays, letters and marks where they belong, nothing where unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from devices.contract import ImageSample
from ir_nav.geometry import read_only, unit
from ir_nav.gui.fluoro_view import FluoroView, clip_to_front
from ir_nav.gui.live_frame import FittedFrame
from ir_nav.gui.probe_marks import depth_ticks, find_sector
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.ultrasound_view import FOOT_PX, UltrasoundView, off_plane, plane_words
from tests.gui.conftest import NOW_S, Made, centre, orange, overlays, pixels, sky_blue

pytestmark = pytest.mark.usefixtures("app")


def test_ultrasound_overlay_is_where_the_hand_computes_it(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), overlays(made, tip=False))
    picture = pixels(view, 400, 400 + FOOT_PX)
    # The target is pixel (100, 100): its middle lies at 100.5 frame pixels, drawn twice as large.
    mask = sky_blue(picture)
    mask[:, :185], mask[:, 216:] = False, False
    x, y = centre(mask)
    assert x == pytest.approx(201.0, abs=1.0)
    assert y == pytest.approx(201.0, abs=1.0)


def test_ultrasound_draws_nothing_of_the_ct_when_the_pose_is_unknown(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(known=False), overlays(made))
    picture = pixels(view, 500, 500)
    assert orange(picture).sum() == 0
    assert sky_blue(picture).sum() == 0
    assert view.pill == ("No overlay: the probe is out of view",)


def test_ultrasound_tells_in_plane_from_out_of_plane(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), overlays(made))
    near = orange(pixels(view, 500, 400)[: 400 - FOOT_PX]).sum()  # the sign has its colour
    assert view.pill == ("Needle in plane: tip 0.0 mm off",)
    view.show_frame(made.ultrasound(depth_mm=6.0), overlays(made))
    far = orange(pixels(view, 500, 400)[: 400 - FOOT_PX]).sum()
    # The image's w is the patient's z here: 6 mm behind it is toward the head.
    assert view.pill == ("Needle off plane: tip 6.0 mm toward H",)
    assert 0 < far < 0.7 * near


def test_side_of_the_plane_is_the_patients_not_the_viewers() -> None:
    turned = np.diag((2.0, 2.0, -1.0, 1.0))
    assert off_plane(np.eye(4), 1.5) == "1.5 mm toward H"
    assert off_plane(turned, 1.5) == "1.5 mm toward F"
    assert off_plane(turned, -1.5) == "1.5 mm toward H"


def test_plane_words_name_a_shaft_that_crosses() -> None:
    words = plane_words(np.eye(4), np.zeros(3), unit([0.0, 1.0, 1.0]))
    assert words == "Tip in plane, shaft crosses it at 45°"


def test_ultrasound_letters_follow_the_image_and_are_not_guessed(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), Overlays())
    assert view.letters == ("R", "L", "A", "P")
    turned = np.eye(4)
    turned[:3, :3] = [[0.0, 2.0, 0.0], [0.0, 0.0, -2.0], [-1.0, 0.0, 0.0]]
    view.show_frame(replace(made.ultrasound(), image_from_ct=turned), Overlays())
    assert view.letters == ("A", "P", "H", "F")
    view.show_frame(made.ultrasound(known=False), Overlays())
    assert view.letters is None


def test_ultrasound_words_leave_the_image_free(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), overlays(made))
    pixels(view, 500, 400)
    assert view.fitted.box().bottom() <= 400 - FOOT_PX


def test_probe_marks_start_at_the_probes_face() -> None:
    grey = np.zeros((200, 200), np.uint8)
    for row in range(20, 180):
        half = 30 + (row - 20) // 3
        grey[row, 100 - half : 100 + half] = 90
    grey[20:28, 80:120] = 0  # the curved face is deepest under its middle
    found = find_sector(grey)
    assert found is not None
    assert found.face_row == 28.0
    assert found.left == pytest.approx(70.0, abs=4.0)
    assert found.left < 80.0
    fitted = FittedFrame()
    fitted.fit(ImageSample("US", grey, np.eye(4), NOW_S, NOW_S), 400, 400)
    ticks = depth_ticks(fitted, found, 0.5)
    # Drawn twice as large: 10 mm are 20 frame px and 40 px here; row 28's middle lies at 57 px.
    assert ticks[0] == (57.0, 0)
    assert ticks[1] == (97.0, 10)
    assert find_sector(np.zeros((50, 50), np.uint8)) is None


def test_fluoro_letters_follow_the_c_arm_and_are_not_guessed(made: Made) -> None:
    view = FluoroView()
    view.show_frame(made.fluoro(), Overlays())
    assert view.letters == ("R", "L", "H", "F")
    view.show_frame(made.fluoro(known=False), Overlays())
    assert view.letters is None


def test_fluoro_overlay_is_where_the_hand_computes_it(made: Made) -> None:
    view = FluoroView()
    view.show_frame(made.fluoro(), Overlays(target_ct_mm=read_only((20.0, 0.0, 10.0))))
    picture = pixels(view, 400, 400)
    # Magnified 1000 / 500: 40 px to the right of 99.5 and 20 px above it; drawn twice as large.
    x, y = centre(sky_blue(picture))
    assert x == pytest.approx((99.5 + 40.0 + 0.5) * 2.0, abs=1.0)
    assert y == pytest.approx((99.5 - 20.0 + 0.5) * 2.0, abs=1.0)


def test_fluoro_cuts_a_needle_that_passes_behind_the_source(made: Made) -> None:
    assert clip_to_front(np.array([0.0, 0.0, -5.0]), np.array([0.0, 0.0, 5.0])) is None
    clipped = clip_to_front(np.array([0.0, 0.0, -90.0]), np.array([100.0, 0.0, 110.0]))
    assert clipped is not None
    assert clipped[0] == pytest.approx((50.0, 0.0, 10.0))
    view = FluoroView()
    tip = replace(
        made.tip(), tip_ct_mm=read_only((0.0, -450.0, 0.0)), shaft_ct=read_only((0, 1, 0))
    )
    view.show_frame(made.fluoro(), Overlays(tip=tip))
    pixels(view, 300, 300)
