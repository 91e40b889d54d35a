"""Where the sample is taken, worked out on a path down the y axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_nav.planning import PlannedPath
from ir_nav.planning.instruments import Biopsy, Coaxial, Needle, SideNotch
from ir_nav.planning.notch import centred_stand_off_mm, sample_of, share_inside, take_sample
from tests.planning.masks import ball

PATH = PlannedPath.between((0.0, -80.0, 0.0), (0.0, 0.0, 0.0))
NOTCH = SideNotch(throw_mm=22.0, notch_mm=17.0, tip_mm=4.0)


def test_fired_from_the_target_the_sample_lies_beyond_it() -> None:
    sample = take_sample(PATH, NOTCH, 0.0)
    np.testing.assert_allclose(sample.near_ct_mm, (0.0, 1.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(sample.far_ct_mm, (0.0, 18.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(sample.deepest.target_ct_mm, (0.0, 22.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(sample.resting.target_ct_mm, PATH.target_ct_mm, atol=1e-12)
    assert (sample.offset_mm, sample.overshoot_mm) == (9.5, 22.0)


@given(st.floats(1.0, 30.0), st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.floats(-200.0, 200.0))
def test_centred_the_middle_of_the_notch_is_the_target(
    notch_mm: float, tip_mm: float, spare_mm: float, x_mm: float
) -> None:
    notch = SideNotch(throw_mm=notch_mm + tip_mm + spare_mm, notch_mm=notch_mm, tip_mm=tip_mm)
    path = PlannedPath.between((x_mm, -90.0, 30.0), (10.0, 20.0, 5.0))
    sample = take_sample(path, notch, centred_stand_off_mm(notch))
    middle = (sample.near_ct_mm + sample.far_ct_mm) / 2.0
    np.testing.assert_allclose(middle, path.target_ct_mm, atol=1e-9)
    assert sample.offset_mm == pytest.approx(0.0, abs=1e-9)
    reach_mm = sample.deepest.length_mm - path.length_mm
    assert sample.overshoot_mm == pytest.approx(reach_mm, abs=1e-9)
    # What is fired comes out of the tip that rests.
    thrown_mm = sample.deepest.length_mm - sample.resting.length_mm
    assert thrown_mm == pytest.approx(notch.throw_mm, abs=1e-9)


def test_the_plan_ends_where_the_tip_rests() -> None:
    rested = PlannedPath.between((0.0, -80.0, 0.0), (0.0, -9.5, 0.0))
    sample = sample_of(rested, Biopsy(needle=Needle(), notch=NOTCH, stand_off_mm=9.5))
    assert sample is not None
    assert sample.offset_mm == 0.0
    np.testing.assert_allclose(sample.resting.target_ct_mm, rested.target_ct_mm, atol=1e-12)
    np.testing.assert_allclose((sample.near_ct_mm + sample.far_ct_mm) / 2.0, 0.0, atol=1e-12)


def test_through_an_introducer_the_sampler_starts_ahead_of_it() -> None:
    alone = Biopsy(needle=Needle(), notch=NOTCH, stand_off_mm=9.0)
    through = Coaxial(
        needle=Needle(gauge=17, length_mm=100.0),
        sampler=Needle(gauge=18, length_mm=150.0),
        ahead_mm=2.0,
        notch=NOTCH,
        stand_off_mm=11.0,
    )
    back = PlannedPath.between((0.0, -80.0, 0.0), (0.0, -2.0, 0.0))
    first, second = sample_of(PATH, alone), sample_of(back, through)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.far_ct_mm, second.far_ct_mm, atol=1e-12)
    assert sample_of(PATH, through.model_copy(update={"notch": None})) is None


def test_the_share_inside_the_target_is_counted_along_the_notch() -> None:
    # From 1 to 18 mm: of a ball of 10 mm about the target 9.5 of 17 mm (to the next voxel's face).
    sample = take_sample(PATH, NOTCH, 0.0)
    assert share_inside(sample, ball(10.0)) == pytest.approx(9.5 / 17.0, abs=0.02)
    centred = take_sample(PATH, NOTCH, centred_stand_off_mm(NOTCH))
    assert share_inside(centred, ball(10.0)) == 1.0
    assert share_inside(centred, ball(2.0, (0.0, 0.0, 20.0))) == 0.0
