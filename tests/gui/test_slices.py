"""Slices and the timeline: where things lie, and the words beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPointF

from ir_nav.geometry import read_only, unit
from ir_nav.gui.case_look import body_box, filled
from ir_nav.gui.scene_records import CaseImages, Overlays
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.timeline import Timeline, TimelineState, short_reason
from ir_nav.imaging import LabelMap, Volume
from tests.gui.conftest import Made, centre, orange, overlays, pixels, sky_blue, slice_view

pytestmark = pytest.mark.usefixtures("app")


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


def test_slice_says_where_it_is_in_the_patients_terms(volume: Volume) -> None:
    view = slice_view(volume)
    view.look((0.0, 0.0, -7.2))
    assert view.note == "F 7 mm"
    view.look((0.0, 0.0, 7.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
    assert view.note == "L 0 mm"
    view.look((0.0, 0.0, 7.0), unit([1.0, 1.0, 0.0]), (0.0, 0.0, -1.0))
    assert view.note == ""


def test_slice_shows_the_whole_body_whatever_its_shape(volume: Volume) -> None:
    view = SliceView("CT axial")
    view.set_images(CaseImages(volume, body_ct_mm=body_box(volume)))
    for width, height in ((600, 200), (200, 600), (300, 300)):
        view.resize(width, height)
        view.fit_body((50.0, -50.0, 20.0))
        corners = view.to_view(np.array([[-60.0, -60.0, 20.0], [60.0, 60.0, 20.0]]))
        assert corners[:, :2].min() > 0.0
        assert corners[1, 0] < width
        assert corners[1, 1] < height
        assert corners[:, 2] == pytest.approx(0.0, abs=1e-6)
        # It fills the view in one direction.
        filled = (corners[1, :2] - corners[0, :2]) / (width, height)
        assert filled.max() > 0.75
    view.set_field(77.0)
    view.resize(333, 222)
    view.plane()
    assert view.field_mm == 77.0


def test_slice_along_a_path_is_not_half_air(volume: Volume) -> None:
    view = SliceView("CT axial", field_mm=100.0)
    view.set_images(CaseImages(volume, body_ct_mm=body_box(volume)))
    view.resize(300, 300)
    view.look((-55.0, 0.0, 0.0))
    assert view.to_ct(QPointF(0.0, 150.0))[0] < -100.0
    view.keep_inside()
    assert -72.0 < view.to_ct(QPointF(0.0, 150.0))[0] < -60.0


def test_timeline_names_gaps_without_their_numbers(made: Made) -> None:
    assert short_reason("breathing 2.1 mm from end-expiration") == "breathing"
    assert short_reason("breathing not watched yet") == "breathing not watched yet"
    assert short_reason("needle out of view 0.4 s") == "needle out of view"
    times = np.arange(100.0)
    gone = (times > 40) & (times < 80)
    distances = np.where(gone, np.nan, 60.0)
    line = Timeline()
    line.show_timeline(TimelineState(times, distances, ()))
    silent = pixels(line, 900, 300)
    reasons = tuple("needle out of view 0.4 s" if out else None for out in gone)
    line.show_timeline(TimelineState(times, distances, (), reasons))
    changed = np.argwhere((pixels(line, 900, 300) != silent).any(axis=2))
    assert len(changed) > 50
    assert changed[:, 1].min() > 400  # the words lie over the gap


def test_timeline_marks_where_the_needle_was_off_scale(made: Made) -> None:
    times = np.arange(100.0)
    line = Timeline()
    line.show_timeline(TimelineState(times, np.where(times < 50, 300.0, 60.0), ()))
    picture = orange(pixels(line, 900, 300))[40:60]
    assert picture[:, 90:450].sum() > 60
    assert picture[:, 500:880].sum() == 0


def test_gas_is_not_outlined_within_what_holds_it(volume: Volume) -> None:
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    numbers[:, 20:60, 20:60] = 3
    numbers[:, 32:48, 32:48] = 4
    labels = LabelMap(numbers, volume.ct_from_voxel, {3: "bowel", 4: "bowel_gas"})

    def inner(filling: tuple[tuple[int, int], ...]) -> int:
        view = SliceView("CT", field_mm=160.0)
        images = CaseImages(volume, labels, ((3, "#56b4e9"),), filled=filling)
        view.set_images(images)
        return int(sky_blue(pixels(view, 400, 400))[120:280, 120:280].sum())

    assert inner(()) > 100
    assert inner(filled(labels)) == 0
