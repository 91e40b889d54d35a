"""Each view: paints at any size, shows and hides what it must, puts overlays where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPointF
from PyQt6.QtWidgets import QApplication, QWidget

from ir_nav.geometry import read_only, unit
from ir_nav.gui.bullseye import Bullseye, BullseyeState, advice, ring_fraction, view_basis
from ir_nav.gui.fluoro_view import FluoroView, clip_to_front
from ir_nav.gui.number_strip import NumberStrip, figures
from ir_nav.gui.panels import BreathingPanel, BudgetPanel, LogPanel, breathing_words
from ir_nav.gui.scene_records import CaseImages, Overlays
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.timeline import Timeline, TimelineState
from ir_nav.gui.ultrasound_view import UltrasoundView, plane_words
from ir_nav.guidance import guide
from ir_nav.imaging import LabelMap, Volume, orientation_letters
from ir_nav.planning import PlannedPath
from ir_nav.session.state import BreathingState
from tests.gui.conftest import NOW_S, REFUSAL, Made, centre, orange, pixels, sky_blue

SIZES = ((1, 1), (12, 9), (60, 40), (430, 235), (900, 700))
pytestmark = pytest.mark.usefixtures("app")


def overlays(made: Made, *, tip: bool = True, error_mm: float | None = None) -> Overlays:
    return Overlays(
        target_ct_mm=made.path.target_ct_mm,
        entry_ct_mm=made.path.entry_ct_mm,
        tip=made.tip() if tip else None,
        error_mm=error_mm,
        tolerance_mm=5.0,
    )


def slice_view(volume: Volume, labels: LabelMap | None = None) -> SliceView:
    view = SliceView("CT axial", field_mm=160.0)
    outlined = ((5, "#9fc2a8"),) if labels is not None else ()
    view.set_images(CaseImages(volume, labels, outlined))
    return view


def views(made: Made, volume: Volume, labels: LabelMap) -> list[QWidget]:
    """Every view, filled."""
    shown = overlays(made, error_mm=3.0)
    state = made.state()
    ct, ultrasound, fluoro, target = (
        slice_view(volume, labels),
        UltrasoundView(),
        FluoroView(),
        Bullseye(),
    )
    ct.show_overlays(shown)
    ultrasound.show_frame(made.ultrasound(), shown, None)
    fluoro.show_frame(made.fluoro(), shown)
    target.show_guidance(BullseyeState(made.path, state.guidance, 2.0))
    strip, breathing, budget = NumberStrip(), BreathingPanel(), BudgetPanel()
    strip.show_figures(figures(state))
    for step in range(5):
        breathing.show_breathing(state.breathing, NOW_S + step)
    budget.show_budget(state.budget)
    log = LogPanel((("Mark", "M"),))
    line = Timeline()
    times = np.arange(50.0)
    distances = np.where(times % 10 < 8, 60.0 - times, np.nan)
    line.show_timeline(TimelineState(times, distances, ((12.0, "Mark"),)))
    return [ct, ultrasound, fluoro, target, strip, breathing, budget, log, line]


def test_every_view_paints_at_every_size(made: Made, volume: Volume, labels: LabelMap) -> None:
    for view in views(made, volume, labels):
        view.setMinimumSize(1, 1)
        for width, height in SIZES:
            assert pixels(view, width, height).shape == (height, width, 3), type(view).__name__


def test_views_without_anything_say_so(volume: Volume) -> None:
    for view in (SliceView("CT"), UltrasoundView(), FluoroView(), Bullseye(), Timeline()):
        picture = pixels(view, 400, 300)
        middle = picture[60:240, 40:360]
        assert (middle.max(axis=2) > 80).any(), type(view).__name__


def test_slice_draws_the_needle_only_when_it_is_known(made: Made, volume: Volume) -> None:
    view = slice_view(volume)
    view.show_overlays(overlays(made))
    assert orange(pixels(view, 400, 400)).sum() > 100
    view.show_overlays(overlays(made, tip=False))
    assert orange(pixels(view, 400, 400)).sum() == 0


def test_slice_puts_points_where_the_hand_computes_them(made: Made, volume: Volume) -> None:
    view = slice_view(volume)
    tip = replace(made.tip(), tip_ct_mm=read_only((-20.0, 10.0, 0.0)))
    view.show_overlays(Overlays(tip=tip))
    view.resize(401, 401)
    # 160 mm over 401 px, the origin in the middle of the middle pixel.
    by_hand = 200.5 + np.array([-20.0, 10.0]) / (160.0 / 401.0)
    assert view.to_view((-20.0, 10.0, 0.0))[:2] == pytest.approx(by_hand, abs=1e-6)
    mask = orange(pixels(view, 401, 401))
    mask[:, : int(by_hand[0]) - 5] = False
    x, y = centre(mask)
    assert x == pytest.approx(by_hand[0], abs=1.0)
    assert y == pytest.approx(by_hand[1], abs=1.0)


def test_slice_and_ct_agree_on_where_a_point_is(volume: Volume) -> None:
    view = slice_view(volume)
    view.resize(300, 200)
    view.look((5.0, -8.0, 3.0), unit([1.0, 0.4, 0.2]), unit([-0.2, 0.1, -1.0]))
    point = np.array([12.0, -3.0, 9.0])
    seen = view.to_view(point)
    assert view.to_ct(QPointF(seen[0], seen[1]), seen[2]) == pytest.approx(point, abs=1e-9)


def test_slice_draws_a_needle_out_of_the_plane_thinner(made: Made, volume: Volume) -> None:
    view = slice_view(volume)
    view.show_overlays(overlays(made))
    near = orange(pixels(view, 400, 400)).sum()
    view.look((0.0, 0.0, 30.0))
    far = orange(pixels(view, 400, 400)).sum()
    assert 0 < far < 0.5 * near


def test_slice_letters_follow_an_oblique_plane(volume: Volume) -> None:
    view = slice_view(volume)
    right = unit([1.0, 1.0, 0.0])
    view.look((0.0, 0.0, 0.0), right, (0.0, 0.0, -1.0))
    assert view.letters == ("RA", "LP", "H", "F")


def test_ultrasound_overlay_is_where_the_hand_computes_it(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), overlays(made, tip=False), None)
    picture = pixels(view, 400, 400)
    # The target is pixel (100, 100): its middle lies at 100.5 frame pixels, drawn twice as large.
    mask = sky_blue(picture)
    mask[:, :185], mask[:, 216:] = False, False
    x, y = centre(mask)
    assert x == pytest.approx(201.0, abs=1.0)
    assert y == pytest.approx(201.0, abs=1.0)


def test_ultrasound_draws_nothing_of_the_ct_when_the_pose_is_unknown(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(known=False), overlays(made), None)
    picture = pixels(view, 500, 500)
    assert orange(picture).sum() == 0
    assert sky_blue(picture).sum() == 0
    assert view.pill == ("No overlay: the probe is out of view",)


def test_ultrasound_says_why_there_is_no_guidance(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), overlays(made, tip=False), REFUSAL)
    assert view.pill == ("Needle out of view", "Clear the line of sight")
    assert orange(pixels(view, 500, 500)).sum() == 0


def test_ultrasound_tells_in_plane_from_out_of_plane(made: Made) -> None:
    view = UltrasoundView()
    view.show_frame(made.ultrasound(), overlays(made), None)
    near = orange(pixels(view, 500, 400)[:330]).sum()  # the pill at the bottom has its colour
    assert view.pill == ("Needle in plane, tip 0.0 mm in front",)
    view.show_frame(made.ultrasound(depth_mm=6.0), overlays(made), None)
    far = orange(pixels(view, 500, 400)[:330]).sum()
    assert view.pill == ("Needle out of plane, tip 6.0 mm behind",)
    assert 0 < far < 0.7 * near


def test_plane_words_name_a_shaft_that_crosses() -> None:
    words = plane_words(np.eye(4), np.zeros(3), unit([0.0, 1.0, 1.0]))
    assert words == "Tip in plane, shaft crosses it at 45°"


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
    view.show_guidance(BullseyeState(made.path, None, None, refusal=REFUSAL))
    picture = pixels(view, 560, 590)
    assert orange(picture).sum() == 0
    assert sky_blue(picture).sum() > 100


def test_bullseye_scale_is_logarithmic_and_ends() -> None:
    assert ring_fraction(20.0) == pytest.approx(1.0)
    assert ring_fraction(0.0) == 0.0
    assert ring_fraction(1.0) > 0.15
    assert ring_fraction(1e6) < 1.2


def test_advice_sends_the_hub_to_the_side_that_straightens_the_shaft() -> None:
    path = PlannedPath.between((0.0, -60.0, 0.0), (0.0, 0.0, 0.0))
    # The hub stands too far to the left: the shaft points to the right of the path.
    guidance = guide(path, (0.0, -20.0, 0.0), unit([-0.1, 1.0, 0.0]))
    assert advice(guidance) == "Tilt hub 6° toward R"
    assert advice(guide(path, (0.0, 4.0, 0.0), (0.0, 1.0, 0.0))).startswith("Past the target")
    assert advice(guide(path, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))) == "At the target"
    assert advice(guide(path, (0.0, -20.0, 0.0), (0.0, 1.0, 0.0))) == "On course: advance 20 mm"


def test_numbers_become_dashes_with_the_reason(made: Made) -> None:
    shown = figures(made.state(valid=False))
    assert all(figure.value is None for figure in shown)
    assert shown[0].note == REFUSAL.reason
    strip = NumberStrip()
    strip.show_figures(shown)
    assert "unknown" in strip.accessibleDescription()
    valid = figures(made.state())
    assert [figure.value for figure in valid] == ["20.0", "0.0", "0.0", "2.0"]


def test_breathing_never_invites_to_advance_without_guidance() -> None:
    held = BreathingState(0.2, 8.0, 2.0, True, True)
    assert breathing_words(held, True)[0] == "Breath-hold matches, advance"
    assert breathing_words(held, False)[0] == "Breath-hold matches"
    outside = replace(held, phase_mm=5.0, inside=False)
    assert breathing_words(outside, True)[0] == "Outside the gate: wait"


def test_repainting_twice_gives_the_same_picture(
    app: QApplication, made: Made, volume: Volume, labels: LabelMap
) -> None:
    for view in views(made, volume, labels):
        first = pixels(view, 420, 300)
        assert np.array_equal(first, pixels(view, 420, 300)), type(view).__name__
