"""Lesions, vessels, brush and history on phantoms with a known answer."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir_nav.imaging import ImagingError
from ir_nav.imaging.segmentation import (
    Ending,
    History,
    brushed,
    grow_lesion,
    smoothed,
    vessels,
)
from tests.imaging.segmentation_phantoms import (
    SIZE_IJK,
    SPACING_MM,
    ball,
    dice,
    full,
    grid,
    segment,
    segmentation,
    volume_of,
    whole,
)

SHAPE = SIZE_IJK[::-1]


@pytest.mark.parametrize(
    ("radius_mm", "inside_hu", "noise_hu", "beside_hu", "least"),
    [
        (8.0, 40.0, 15.0, None, 0.92),
        (15.0, 40.0, 15.0, None, 0.93),
        (15.0, 60.0, 25.0, None, 0.92),
        (25.0, 140.0, 20.0, None, 0.93),
        (15.0, 40.0, 15.0, 450.0, 0.91),
        (15.0, 40.0, 20.0, -850.0, 0.91),
    ],
    ids=["small", "plain", "noisy", "bright", "touching bone", "touching lung"],
)
def test_a_lesion_in_noise_is_found_from_off_its_middle(
    radius_mm: float, inside_hu: float, noise_hu: float, beside_hu: float | None, least: float
) -> None:
    volume, truth = ball(radius_mm, inside_hu, noise_hu, beside_hu=beside_hu)
    seed_ct_mm = np.array([0.2, -0.1, 0.15]) * radius_mm
    grown = grow_lesion(volume, seed_ct_mm, 1.15 * radius_mm)
    assert dice(whole(grown.corner_kji, grown.part, truth.shape), truth) > least
    assert grown.mean_hu == pytest.approx(inside_hu, abs=12.0)


def test_a_lesion_never_leaves_the_drag() -> None:
    """The whole image is one even tissue: there is no edge to stop at."""
    affine, x, y, z = grid()
    volume = volume_of(np.full(x.shape, 60.0), affine)
    grown = grow_lesion(volume, (0.0, 0.0, 0.0), 12.0)
    mask = whole(grown.corner_kji, grown.part, SHAPE)
    away_mm = np.sqrt(x**2 + y**2 + z**2)
    assert away_mm[mask].max() < 1.15 * 12.0 + 1.0
    assert mask.sum() * np.prod(SPACING_MM) == pytest.approx(4.19 * 12.0**3, rel=0.25)


def test_a_larger_drag_finds_the_same_edge_again() -> None:
    volume, truth = ball(12.0, 40.0, 15.0)
    sizes = []
    for radius_mm in (13.0, 15.0, 18.0):
        grown = grow_lesion(volume, (0.0, 0.0, 0.0), radius_mm)
        sizes.append(np.count_nonzero(grown.part) / np.count_nonzero(truth))
    assert sizes == pytest.approx([1.0, 1.0, 1.0], abs=0.12)


def test_a_lesion_grows_as_fast_as_the_mouse_moves() -> None:
    volume, _ = ball(25.0, 40.0, 15.0)
    grow_lesion(volume, (0.0, 0.0, 0.0), 5.0)
    times_s = []
    for radius_mm in np.linspace(4.0, 30.0, 12):
        start_s = time.perf_counter()
        grow_lesion(volume, (0.0, 0.0, 0.0), float(radius_mm))
        times_s.append(time.perf_counter() - start_s)
    # 15 ms on an idle machine; machines that run tests are not idle.
    assert np.median(times_s) < 0.04


def test_a_lesion_at_the_images_face_and_bad_clicks() -> None:
    volume, _ = ball(10.0, 40.0, 10.0)
    corner = volume.bounds_mm[0]
    grown = grow_lesion(volume, corner, 8.0)
    assert grown.part.any()
    assert min(grown.corner_kji) >= 0
    with pytest.raises(ImagingError, match="outside"):
        grow_lesion(volume, corner - 30.0, 8.0)
    with pytest.raises(ImagingError, match="2 and 60"):
        grow_lesion(volume, (0.0, 0.0, 0.0), 1.0)


def _tree(noise_hu: float = 12.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A vessel of 6 mm along z with a branch along x, 260 HU in 90 HU."""
    affine, x, y, z = grid()
    trunk = x**2 + y**2 <= 9.0
    branch = (y**2 + (z - 5.0) ** 2 <= 9.0) & (x > 0.0) & (x < 35.0)
    hu = np.where(trunk | branch, 260.0, 90.0)
    hu += np.random.default_rng(3).normal(0.0, noise_hu, hu.shape)
    return affine, hu, trunk | branch


def test_vessels_follow_their_branches_and_leave_touching_bone() -> None:
    affine, hu, truth = _tree()
    _, x, y, _ = grid()
    bone = (y > 3.0) & (y < 15.0) & (abs(x) < 12.0)
    hu[bone & ~truth] = 900.0
    found = vessels(volume_of(hu, affine), (0.0, 0.0, 0.0))
    mask = whole(found.corner_kji, found.part, SHAPE)
    assert found.ending is Ending.COMPLETE
    assert dice(mask, truth) > 0.95
    assert not mask[bone & ~truth].any()


def test_a_second_vessel_that_is_not_joined_stays_out() -> None:
    affine, hu, truth = _tree()
    _, x, y, _ = grid()
    other = (x + 20.0) ** 2 + y**2 <= 9.0
    hu[other] = 260.0
    mask_of = vessels(volume_of(hu, affine), (0.0, 0.0, 0.0))
    mask = whole(mask_of.corner_kji, mask_of.part, SHAPE)
    assert not mask[other].any()
    assert mask[truth].mean() > 0.95


def test_a_leak_is_stopped_and_said() -> None:
    """The vessel opens into a chamber of its own density; the chamber is larger than the limit."""
    affine, hu, _ = _tree(5.0)
    _, x, _, _ = grid()
    hu[x < -2.0] = 260.0
    found = vessels(volume_of(hu, affine), (10.0, 0.0, 5.0), largest_ml=5.0)
    assert found.ending is Ending.TOO_LARGE
    assert found.part.sum() * np.prod(SPACING_MM) / 1000.0 == pytest.approx(5.0, abs=0.1)


def test_a_click_beside_the_vessel_is_refused() -> None:
    affine, hu, _ = _tree(5.0)
    volume = volume_of(hu, affine)
    with pytest.raises(ImagingError, match="click on a vessel"):
        vessels(volume, (-30.0, -30.0, 0.0))
    with pytest.raises(ImagingError, match="below the threshold"):
        vessels(volume, (-30.0, -30.0, 0.0), 200.0)
    with pytest.raises(ImagingError, match="outside"):
        vessels(volume, (500.0, 0.0, 0.0))


@pytest.mark.parametrize("end", [0, 1])
def test_a_click_on_the_images_very_face_is_taken(end: int) -> None:
    """Half a voxel beyond the outermost centres is still the image."""
    affine, x, *_ = grid()
    volume = volume_of(np.where(abs(x) < 40.0, 90.0, 260.0), affine)
    corner = volume.bounds_mm[end] + (end - 0.5) * np.array(SPACING_MM)
    found = vessels(volume, corner, 200.0)
    assert whole(found.corner_kji, found.part, SHAPE).any()
    grown = grow_lesion(volume, corner, 4.0)
    assert whole(grown.corner_kji, grown.part, SHAPE).any()


def test_a_stroke_is_a_tube_of_the_brushs_width() -> None:
    affine, x, y, z = grid()
    empty = segment(1, "lesion", np.zeros(SHAPE, np.bool_))
    here = segmentation(affine, empty, shape=SHAPE)
    drawn = brushed(here, empty, [(-10.0, 0.0, 0.0), (10.0, 0.0, 0.0)], 6.0)
    tube = np.clip(abs(x) - 10.0, 0.0, None) ** 2 + y**2 + z**2 <= 36.0
    assert np.array_equal(full(drawn, SHAPE), tube)
    taken = brushed(here, drawn, [(0.0, 0.0, 0.0)], 4.0, erase=True)
    hole = x**2 + y**2 + z**2 <= 16.0
    assert np.array_equal(full(taken, SHAPE), tube & ~hole)


def test_a_flat_brush_paints_one_layer_in_its_plane() -> None:
    affine, x, y, z = grid()
    empty = segment(1, "lesion", np.zeros(SHAPE, np.bool_))
    here = segmentation(affine, empty, shape=SHAPE)
    plane_mm = float(z[20, 0, 0])
    drawn = full(
        brushed(here, empty, [(0.0, 0.0, plane_mm)], 6.0, disc_normal_ct=(0.0, 0.0, 1.0)), SHAPE
    )
    assert drawn[20].sum() == (x[20] ** 2 + y[20] ** 2 <= 36.0).sum()
    assert drawn.sum() == drawn[20].sum()


def test_a_stroke_outside_the_image_changes_nothing() -> None:
    affine, *_ = grid()
    empty = segment(1, "lesion", np.zeros(SHAPE, np.bool_))
    here = segmentation(affine, empty, shape=SHAPE)
    assert brushed(here, empty, [(900.0, 0.0, 0.0)], 6.0) is empty
    with pytest.raises(ImagingError, match="brush"):
        brushed(here, empty, [(0.0, 0.0, 0.0)], 500.0)


def test_smoothing_keeps_the_volume_and_rounds_the_surface() -> None:
    affine, x, y, z = grid()
    rng = np.random.default_rng(2)
    sphere = x**2 + y**2 + z**2 <= 15.0**2
    rim = abs(np.sqrt(x**2 + y**2 + z**2) - 15.0) < 2.0
    rough = segment(1, "lesion", sphere ^ (rim & (rng.random(SHAPE) < 0.25)))
    here = segmentation(affine, rough, shape=SHAPE)
    smooth = smoothed(here, rough, 1.5)
    assert smooth.structure.voxel_count == pytest.approx(rough.structure.voxel_count, rel=0.01)
    assert dice(full(smooth, SHAPE), sphere) > dice(full(rough, SHAPE), sphere) + 0.02
    assert dice(full(smooth, SHAPE), sphere) > 0.96


SMALL = (6, 7, 8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2**31), st.booleans()), max_size=8))
def test_every_step_can_be_taken_back_and_done_again(
    actions: list[tuple[int, int, bool]],
) -> None:
    states = [History(segmentation(np.eye(4), shape=SMALL))]
    for number, seed, remove in actions:
        now = states[-1]
        if remove and now.now.numbered(number) is not None:
            states.append(now.remove("Delete", number))
            continue
        mask = np.random.default_rng(seed).random(SMALL) < 0.2
        mask[0, 0, 0] ^= bool(seed & 1)
        after = now.put("Draw", segment(number, f"s{number}", mask))
        if after is not now:
            states.append(after)
    history = states[-1]
    for before in reversed(states[:-1]):
        history = history.undo()
        assert _same(history, before)
    for after in states[1:]:
        history = history.redo()
        assert _same(history, after)
    assert not history.future


def _same(first: History, second: History) -> bool:
    ours, theirs = first.now.segments, second.now.segments
    return [item.number for item in ours] == [item.number for item in theirs] and all(
        np.array_equal(full(a, SMALL), full(b, SMALL)) for a, b in zip(ours, theirs, strict=True)
    )


def test_a_step_keeps_only_what_it_changed() -> None:
    shape = (100, 300, 300)
    mask = np.zeros(shape, np.bool_)
    mask[10:90, 20:280, 20:280] = True
    start = History(segmentation(np.eye(4), segment(1, "liver", mask), shape=shape))
    mask[40:44, 140:160, 140:160] = False
    stepped = start.put("Take from", segment(1, "liver", mask))
    (change,) = stepped.past[0].changes
    assert len(change.bits) < 400
    assert change.shape_kji == (4, 20, 20)
    with pytest.raises(ImagingError, match="nothing to redo"):
        stepped.redo()
    with pytest.raises(ImagingError, match="nothing to undo"):
        start.undo()


def test_names_differ_and_the_smaller_structure_shows() -> None:
    big, small = np.zeros(SMALL, np.bool_), np.zeros(SMALL, np.bool_)
    big[1:5, 1:6, 1:7] = True
    small[2:4, 2:4, 2:4] = True
    skin = np.ones(SMALL, np.bool_)
    both = segmentation(
        np.eye(4),
        segment(1, "lesion", small),
        segment(2, "liver", big),
        segment(3, "skin", skin),
        shape=SMALL,
    )
    labels = both.label_map()
    assert np.array_equal(labels.mask("lesion"), small)
    assert np.array_equal(labels.mask("liver"), big & ~small)
    assert labels.ids_named("skin") == ()
    assert both.free_name("Liver") == "Liver_2"
    with pytest.raises(ImagingError, match="two structures"):
        segmentation(np.eye(4), segment(1, "Liver", big), segment(2, "liver", big), shape=SMALL)
