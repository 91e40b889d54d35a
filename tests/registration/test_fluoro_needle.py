"""Needles of known place in frames of a real chest, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from ir_nav.registration import RegistrationError
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels
from ir_nav.registration.fluoro_needle import (
    FoundNeedle,
    find_needle,
    guide_after,
    guided,
    needle_from_two_views,
    needle_width_px,
)
from tests.data import data_path
from tests.registration.needle_scene import (
    ISOCENTRE_MM,
    Body,
    add_needle,
    exposed,
    project,
    view_at,
)

GAUGE_18, GAUGE_22 = 1.27, 0.72


@dataclass(frozen=True)
class Scene:
    """Two views of a chest and the body's line integrals in each."""

    isocentre: np.ndarray
    views: tuple[CArmView, ...]
    bodies: tuple[np.ndarray, ...]

    def frame(
        self, index: int, needles: list[tuple[np.ndarray, np.ndarray, float]], seed: int = 0
    ) -> FluoroFrame:
        total = self.bodies[index].copy()
        for tip, hub, diameter_mm in needles:
            add_needle(total, self.views[index], tip, hub, diameter_mm)
        return exposed(total, self.views[index], np.random.default_rng(1000 + seed))

    def place(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Tip and a hub outside both frames, the needle well seen in both."""
        rng = np.random.default_rng(seed)
        while True:
            tip = self.isocentre + rng.uniform(-50, 50, 3)
            along = rng.normal(size=3)
            hub = tip + 400.0 * along / np.linalg.norm(along)
            seen = [(project(v, tip), project(v, hub)) for v in self.views]
            if all(
                np.linalg.norm(b - a) > 250 and np.all((a > 30) & (a < 480)) for a, b in seen
            ) and any(np.any((b < 0) | (b > 511)) for _, b in seen):
                return tip, hub


@pytest.fixture(scope="module")
def scene() -> Scene:
    body = Body(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz"))
    isocentre = body.middle + np.array([0.0, 0.0, 40.0])
    views = (view_at(isocentre, 0.0), view_at(isocentre, 65.0, 10.0))
    return Scene(isocentre, views, tuple(body.line_integrals(view) for view in views))


def _width(view: CArmView, diameter_mm: float) -> float:
    return needle_width_px(view, diameter_mm, ISOCENTRE_MM)


def _misses(found: FoundNeedle, view: CArmView, tip: np.ndarray, hub: np.ndarray) -> tuple:
    """Px: of the tip, and of the line 40 px behind it."""
    tip_px, hub_px = project(view, tip), project(view, hub)
    along = (tip_px - hub_px) / np.linalg.norm(tip_px - hub_px)
    behind = tip_px - 40.0 * along
    normal = np.array([-found.along[1], found.along[0]])
    return np.linalg.norm(found.tip_px - tip_px), abs((behind - found.tip_px) @ normal)


@pytest.mark.parametrize("diameter_mm", [GAUGE_18, GAUGE_22])
def test_line_and_tip_over_a_chest(scene: Scene, diameter_mm: float) -> None:
    tips, lines, over = [], [], []
    for seed in range(6):
        tip, hub = scene.place(seed)
        for index, view in enumerate(scene.views):
            frame = scene.frame(index, [(tip, hub, diameter_mm)], seed)
            try:
                found = find_needle(frame, _width(view, diameter_mm))
            except RegistrationError:
                continue
            assert found.length_px > 60.0
            tip_miss, line_miss = _misses(found, view, tip, hub)
            tips.append(tip_miss)
            lines.append(line_miss)
            over.append(tip_miss / found.tip_error_px)
    assert len(tips) >= 9
    assert np.median(lines) < 0.1
    assert np.max(lines) < 0.5
    assert np.median(tips) < 0.6
    assert np.percentile(tips, 90) < 2.5
    assert np.median(over) < 1.5


@pytest.mark.parametrize("diameter_mm", [GAUGE_18, GAUGE_22])
def test_a_chest_without_needle_has_none(scene: Scene, diameter_mm: float) -> None:
    for index, view in enumerate(scene.views):
        for seed in range(2):
            with pytest.raises(RegistrationError, match=r"no needle stands out|both ends"):
                find_needle(scene.frame(index, [], seed), _width(view, diameter_mm))


def test_two_needles_are_refused_and_the_plan_tells_them_apart(scene: Scene) -> None:
    first, second = scene.place(1), scene.place(4)
    frame = scene.frame(0, [(*first, GAUGE_18), (*second, GAUGE_18)])
    width = _width(scene.views[0], GAUGE_18)
    with pytest.raises(RegistrationError, match="two lines look equally"):
        find_needle(frame, width)
    for tip, hub in (first, second):
        tip_px, hub_px = project(scene.views[0], tip), project(scene.views[0], hub)
        guide = guided(tip_px + np.array([5.0, -4.0]), tip_px + 0.3 * (hub_px - tip_px), 20.0)
        assert _misses(find_needle(frame, width, guide), scene.views[0], tip, hub)[0] < 2.0


def test_the_next_frame_is_searched_about_the_last(scene: Scene) -> None:
    tip, hub = scene.place(1)
    other = scene.place(4)
    view, width = scene.views[0], _width(scene.views[0], GAUGE_18)
    before = find_needle(scene.frame(0, [(tip, hub, GAUGE_18)]), width)
    pushed = 6.0 * (tip - hub) / np.linalg.norm(tip - hub)
    frame = scene.frame(0, [(tip + pushed, hub + pushed, GAUGE_18), (*other, GAUGE_18)], 2)
    found = find_needle(frame, width, guide_after(before))
    assert _misses(found, view, tip + pushed, hub + pushed)[0] < 1.5


def test_a_needle_with_both_ends_in_the_frame_needs_a_guide(scene: Scene) -> None:
    tip = scene.isocentre + np.array([-30.0, 10.0, 20.0])
    hub = tip + np.array([70.0, -40.0, 20.0])
    view, width = scene.views[0], _width(scene.views[0], GAUGE_18)
    frame = scene.frame(0, [(tip, hub, GAUGE_18)])
    with pytest.raises(RegistrationError, match="both ends"):
        find_needle(frame, width)
    for one, other in ((tip, hub), (hub, tip)):
        guide = guided(project(view, one), project(view, other), 15.0)
        assert _misses(find_needle(frame, width, guide), view, one, other)[0] < 2.5


def test_a_line_across_the_whole_frame_has_no_tip(scene: Scene) -> None:
    along = np.array([300.0, 20.0, 100.0])
    frame = scene.frame(0, [(scene.isocentre - along, scene.isocentre + along, GAUGE_18)])
    with pytest.raises(RegistrationError, match=r"crosses the whole frame"):
        find_needle(frame, _width(scene.views[0], GAUGE_18))


def test_a_curved_wire_is_no_needle(scene: Scene) -> None:
    """A catheter on a circle of 60 mm radius, in short straight pieces."""
    total = scene.bodies[0].copy()
    angles = np.radians(np.arange(0, 200, 4))
    circle = scene.isocentre + 60.0 * np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=1)
    for start, end in pairwise(circle):
        add_needle(total, scene.views[0], start, end, GAUGE_18)
    frame = exposed(total, scene.views[0], np.random.default_rng(3))
    with pytest.raises(RegistrationError):
        find_needle(frame, _width(scene.views[0], GAUGE_18))


def test_attenuation_frames_work_as_well(scene: Scene) -> None:
    tip, hub = scene.place(2)
    frame = scene.frame(0, [(tip, hub, GAUGE_18)])
    view = replace(scene.views[0], pixels=Pixels.ATTENUATION)
    turned = FluoroFrame(view, -np.log(np.maximum(frame.image, 1.0)))
    assert _misses(find_needle(turned, _width(view, GAUGE_18)), view, tip, hub)[0] < 2.0


def test_a_needle_of_impossible_size_is_refused(scene: Scene) -> None:
    with pytest.raises(RegistrationError, match="a needle is"):
        needle_width_px(scene.views[0], 12.7, ISOCENTRE_MM)
    with pytest.raises(RegistrationError, match="between focal spot and detector"):
        needle_width_px(scene.views[0], 1.27, 2000.0)


# Two views ------------------------------------------------------------------


def test_two_views_place_the_needle_within_their_stated_error(scene: Scene) -> None:
    misses, over, turns = [], [], []
    for seed in range(6):
        tip, hub = scene.place(seed)
        try:
            found = [
                find_needle(
                    scene.frame(index, [(tip, hub, GAUGE_18)], seed), _width(view, GAUGE_18)
                )
                for index, view in enumerate(scene.views)
            ]
            space = needle_from_two_views(scene.views, (found[0], found[1]))
        except RegistrationError:
            continue
        assert space.accepted, space.reason
        miss = space.tip_mm - tip
        misses.append(np.linalg.norm(miss))
        over.append(miss @ np.linalg.solve(space.covariance_mm2, miss))
        true = (tip - hub) / np.linalg.norm(tip - hub)
        turns.append(np.degrees(np.arccos(np.clip(space.along @ true, -1, 1))))
    assert len(misses) >= 4
    assert np.median(misses) < 0.4
    assert np.max(misses) < 2.0
    assert np.max(turns) < 1.0
    # Chi-square of three: mean 3; the geometry here is exact, so below.
    assert np.mean(over) < 6.0


def _found(view: CArmView, tip: np.ndarray, hub: np.ndarray, noise: np.ndarray) -> FoundNeedle:
    """A needle seen with given errors (along, across px and angle rad)."""
    tip_px, hub_px = project(view, tip), project(view, hub)
    along = (tip_px - hub_px) / np.linalg.norm(tip_px - hub_px)
    normal = np.array([-along[1], along[0]])
    turned = along + noise[2] * normal
    return FoundNeedle(
        tip_px + noise[0] * along + noise[1] * normal,
        hub_px,
        turned / np.linalg.norm(turned),
        across_px=0.3,
        angle_deg=float(np.degrees(0.004)),
        tip_error_px=1.0,
        rms_px=0.1,
        contrast_z=8.0,
        width_px=3.0,
        confidence=0.9,
    )


def _pair() -> tuple[CArmView, CArmView]:
    return view_at(np.zeros(3), 0.0), view_at(np.zeros(3), 70.0)


def test_the_covariance_is_that_of_many_draws() -> None:
    views = _pair()
    tip, hub = np.array([10.0, -5.0, 15.0]), np.array([60.0, -70.0, 55.0])
    rng = np.random.default_rng(2)
    misses, turns, refused = [], [], 0
    for _ in range(300):
        noise = rng.normal(size=(2, 3)) * [1.0, 0.3, 0.004]
        found = tuple(_found(v, tip, hub, n) for v, n in zip(views, noise, strict=True))
        space = needle_from_two_views(views, (found[0], found[1]), geometry_px=0.0)
        misses.append(space.tip_mm - tip)
        true = (tip - hub) / np.linalg.norm(tip - hub)
        turns.append(np.degrees(np.linalg.norm(np.cross(space.along, true))))
        refused += not space.accepted
    drawn = np.cov(np.array(misses).T)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(drawn), np.linalg.eigvalsh(space.covariance_mm2), rtol=0.3
    )
    assert np.sqrt(np.mean(np.square(turns))) == pytest.approx(space.angle_error_deg, rel=0.2)
    assert refused <= 3


def test_tips_of_different_needles_are_refused() -> None:
    views = _pair()
    tip, hub = np.array([10.0, -5.0, 15.0]), np.array([60.0, -70.0, 55.0])
    aside = np.array([0.0, 0.0, 4.0])
    none = np.zeros(3)
    space = needle_from_two_views(
        views, (_found(views[0], tip, hub, none), _found(views[1], tip + aside, hub + aside, none))
    )
    assert not space.accepted
    assert "different needles" in space.reason
    assert space.tip_gap_mm == pytest.approx(4.0, rel=0.1)


def test_tip_and_hub_taken_for_one_another_are_refused() -> None:
    views = _pair()
    tip, hub = np.array([10.0, -5.0, 15.0]), np.array([60.0, -70.0, 55.0])
    none = np.zeros(3)
    right = _found(views[1], tip, hub, none)
    wrong = replace(right, along=-right.along)
    space = needle_from_two_views(views, (_found(views[0], tip, hub, none), wrong))
    assert not space.accepted
    assert "the other way round" in space.reason


def test_views_close_together_are_refused() -> None:
    views = view_at(np.zeros(3), 0.0), view_at(np.zeros(3), 8.0)
    tip, hub = np.array([10.0, -5.0, 15.0]), np.array([60.0, -70.0, 55.0])
    found = tuple(_found(view, tip, hub, np.zeros(3)) for view in views)
    with pytest.raises(RegistrationError, match="turn the C-arm"):
        needle_from_two_views(views, (found[0], found[1]))


def test_a_needle_in_the_plane_of_the_focal_spots_is_refused() -> None:
    views = _pair()
    tip, hub = np.array([10.0, -5.0, 0.0]), np.array([60.0, -70.0, 0.0])
    found = tuple(_found(view, tip, hub, np.zeros(3)) for view in views)
    with pytest.raises(RegistrationError, match="plane of both focal spots"):
        needle_from_two_views(views, (found[0], found[1]))
