"""Bull's-eye, depth, instruction and numbers: sides, scales and words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QRectF

from ir_nav.geometry import unit
from ir_nav.gui import theme
from ir_nav.gui.bullseye import (
    Bullseye,
    BullseyeState,
    ring_fraction,
    told_depth_mm,
    view_basis,
    warped,
)
from ir_nav.gui.depth_ruler import PAST, DepthRuler
from ir_nav.gui.instruction import instruction, steering
from ir_nav.gui.number_strip import NumberStrip, figures
from ir_nav.gui.panels import breathing_words
from ir_nav.guidance import guide
from ir_nav.imaging import orientation_letters
from ir_nav.planning import PlannedPath
from ir_nav.session.state import BreathingState, Refusal
from tests.gui.conftest import Made, centre, orange, pixels, sky_blue

pytestmark = pytest.mark.usefixtures("app")


@pytest.mark.parametrize(
    "direction", [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (-0.7, 0.7, 0.1), (0.0, 0.1, -1.0)]
)
def test_bullseye_shows_an_offset_on_the_side_with_its_letter(
    direction: tuple[float, float, float],
) -> None:
    path = PlannedPath.between(-60.0 * unit(direction), np.zeros(3))
    view = Bullseye()
    view.resize(560, 590)
    view.show_guidance(BullseyeState(path))
    right, up = view_basis(path.direction_ct)
    middle = view.middle()
    for towards, dx, dy in ((right, 1, 0), (-right, -1, 0), (up, 0, -1), (-up, 0, 1)):
        letters = orientation_letters(towards)
        place = view.place(np.asarray(towards) * 4.0) - middle
        assert place.x() * dx + place.y() * dy > 30.0, letters
    assert orientation_letters(right) != orientation_letters(-right)


def test_bullseye_tip_offset_to_the_left_lies_on_the_side_labelled_l() -> None:
    path = PlannedPath.between((0.0, -60.0, 0.0), (0.0, 0.0, 0.0))
    view = Bullseye()
    tip = np.array([4.0, -20.0, 0.0])  # 4 mm to the patient's left
    guidance = guide(path, tip, path.direction_ct)
    view.show_guidance(BullseyeState(path, guidance))
    x, _ = centre(orange(pixels(view, 560, 590)[60:500, 60:440]))
    assert x + 60.0 > view.middle().x() + 30.0
    right, _ = view_basis(path.direction_ct)
    assert orientation_letters(right) == "L"


def test_bullseye_without_guidance_has_no_needle(made: Made) -> None:
    view = Bullseye()
    view.show_guidance(BullseyeState(made.path, None, None))
    picture = pixels(view, 560, 590)
    assert orange(picture).sum() == 0
    assert sky_blue(picture).sum() > 100


def test_bullseye_scale_is_logarithmic_and_ends() -> None:
    assert ring_fraction(20.0) == pytest.approx(1.0)
    assert ring_fraction(0.0) == 0.0
    assert ring_fraction(1.0) > 0.15
    assert ring_fraction(1e6) < 1.2


def test_bullseye_error_outline_keeps_its_millimetres_on_the_log_scale() -> None:
    points = np.array([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0], [1e5, 0.0]])
    seen = warped(points)
    assert np.hypot(*seen[0]) == pytest.approx(ring_fraction(5.0))
    assert seen[0] / np.linalg.norm(seen[0]) == pytest.approx((0.6, 0.8))
    assert seen[1] == pytest.approx((0.0, -ring_fraction(2.0)))
    assert seen[2] == pytest.approx((0.0, 0.0))
    assert seen[3] == pytest.approx((ring_fraction(1e5), 0.0))


def test_depth_ruler_puts_skin_target_and_past_in_order() -> None:
    ruler = DepthRuler(QRectF(0.0, 100.0, 20.0, 500.0), 67.0)
    assert ruler.y_of(0.0) == 100.0
    assert ruler.y_of(67.0) == pytest.approx(ruler.target_y)
    assert ruler.target_y == pytest.approx(600.0 - PAST * 500.0)
    assert ruler.y_of(33.5) == pytest.approx((100.0 + ruler.target_y) / 2.0)
    assert ruler.target_y < ruler.y_of(72.0) < ruler.y_of(1e3) == 600.0
    assert ruler.y_of(-30.0) == 100.0


def test_steering_sends_the_hub_to_the_side_that_straightens_the_shaft() -> None:
    path = PlannedPath.between((0.0, -60.0, 0.0), (0.0, 0.0, 0.0))

    def said(tip: tuple[float, float, float], shaft: tuple[float, float, float]) -> str:
        return steering(guide(path, tip, unit(shaft))).words

    # The hub stands too far to the left: the shaft points to the right of the path.
    assert said((0.0, -40.0, 0.0), (-0.1, 1.0, 0.0)) == "Tilt hub 6° toward R"
    assert said((0.0, -20.0, 0.0), (-0.1, 1.0, 0.0)) == "Tilt hub 6° toward R"
    # Beside the path and along it: 4 mm over 40 mm are 6 degrees; the tip has to go right.
    assert said((4.0, -40.0, 0.0), (0.0, 1.0, 0.0)) == "Tilt hub 6° toward L"
    assert said((4.0, -6.0, 0.0), (0.0, 1.0, 0.0)) == "Draw back and aim 4 mm more toward R"
    assert said((0.0, -20.0, 0.0), (0.02, 1.0, 0.0)) == "On path: advance 20 mm"
    assert said((0.0, 4.0, 0.0), (0.0, 1.0, 0.0)) == "Past the target: withdraw 4 mm"
    assert said((0.0, 0.0, 0.0), (0.0, 1.0, 0.0)) == "At the target"


def test_tilt_that_is_told_brings_the_aim_onto_the_target() -> None:
    path = PlannedPath.between((0.0, -60.0, 0.0), (0.0, 0.0, 0.0))
    tip = np.array([4.0, -40.0, 0.0])
    assert guide(path, tip, (0.0, 1.0, 0.0)).aim_off_mm == pytest.approx(4.0)
    turned = np.radians(6.0)
    # The hub, behind the tip, moved to the left: the shaft now points to the right.
    assert guide(path, tip, (-np.sin(turned), np.cos(turned), 0.0)).aim_off_mm < 0.3


def test_instruction_waits_cures_or_steers(made: Made) -> None:
    lost = made.state(valid=False)
    assert instruction(lost).words == "Clear the line of sight"
    assert instruction(lost).tone == theme.ALARM_HIGH
    breath = replace(
        lost,
        refusal=Refusal("breathing 4.0 mm from end-expiration", "Outside the gate: wait"),
        breathing=BreathingState(4.0, 8.0, 2.0, True, False),
    )
    assert instruction(breath).words == "Wait: breathe out"
    assert instruction(breath).tone == theme.ALARM_MEDIUM
    assert instruction(made.state()).words == "On path: advance 20 mm"


def test_numbers_become_dashes(made: Made) -> None:
    shown = figures(made.state(valid=False))
    assert all(figure.value is None and not figure.note for figure in shown)
    strip = NumberStrip()
    strip.show_figures(shown)
    assert "unknown" in strip.accessibleDescription()
    valid = figures(made.state())
    assert [figure.value for figure in valid] == ["20.0", "0.0", "0.0", "2.0"]
    assert [figure.note for figure in valid[:3]] == ["aims 0.0 mm off", "limit 5.0", "limit 5.0"]


def test_breathing_says_the_gate_alone() -> None:
    held = BreathingState(0.2, 8.0, 2.0, True, True)
    assert breathing_words(held) == ("In gate", theme.GOOD)
    outside = replace(held, phase_mm=5.0, inside=False)
    assert breathing_words(outside) == ("Outside the gate", theme.ALARM_MEDIUM)
    assert breathing_words(outside, alarming=False)[1] != theme.ALARM_MEDIUM


@pytest.mark.parametrize("to_target", [20.86, 19.84, 0.04, -1.26])
def test_depth_and_distance_told_add_up_to_the_length(to_target: float) -> None:
    length = 67.43
    depth = told_depth_mm(length, to_target)
    assert float(f"{depth:.1f}") + float(f"{to_target:.1f}") == pytest.approx(67.4, abs=1e-6)
