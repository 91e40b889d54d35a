"""Which touched point is which marker: right, or refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.registration import RegistrationError
from ir_nav.registration.matching import match_points

PLATE = np.array([(0, 0, 0), (100, 0, 0), (0, 60, 0), (100, 60, 0)], dtype=float)


def skin(count: int, rng: np.random.Generator) -> np.ndarray:
    """Markers on the front of a body."""
    at = rng.normal(size=(count, 3))
    at[:, 1] = -np.abs(at[:, 1])
    return at / np.linalg.norm(at, axis=1)[:, None] * (150.0, 110.0, 200.0)


def touched(
    markers: np.ndarray, rng: np.random.Generator, strays: int = 0, noise_mm: float = 1.0
) -> np.ndarray:
    """Markers (n, 3) and then strays, as touched in a reference of their own."""
    turn = Rotation.random(random_state=int(rng.integers(1 << 30)))
    shift = rng.normal(size=3) * 300.0
    elsewhere = rng.normal(size=(strays, 3)) * 120.0
    noise = rng.normal(0.0, noise_mm, (len(markers), 3))
    return turn.inv().apply(np.vstack([markers + noise, elsewhere]) - shift)


@pytest.mark.parametrize(("count", "missing", "strays"), [(6, 0, 0), (8, 2, 1), (20, 9, 3)])
def test_points_touched_in_any_order_find_their_markers(
    count: int, missing: int, strays: int
) -> None:
    rng = np.random.default_rng(count)
    right = 0
    for _ in range(12):
        markers = skin(count, rng)
        kept = rng.permutation(count)[: count - missing]
        points = touched(markers[kept], rng, strays)
        order = rng.permutation(len(points))
        expected = {(place, int(kept[one])) for place, one in enumerate(order) if one < len(kept)}
        try:
            found = match_points(points[order], markers)
        except RegistrationError:
            continue  # a layout of chance may be symmetric; never a wrong answer
        assert set(found.pairs) <= expected
        # One that lies between two markers may be left out.
        assert found.count >= len(expected) - (2 if count == 20 else 0)
        assert found.rms_mm < 4.0
        right += 1
    assert right >= 11


def test_a_symmetric_layout_is_refused_and_names_what_could_be_exchanged() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(RegistrationError, match=r"too symmetric .* A for [BCD].*would fit as well"):
        match_points(touched(PLATE, rng), PLATE, names=tuple("ABCD"))
    off = np.vstack([PLATE, (30.0, 20.0, 45.0)])
    found = match_points(touched(off, rng), off)
    assert found.pairs == tuple((n, n) for n in range(5))


def test_a_point_between_two_near_markers_is_left_out() -> None:
    rng = np.random.default_rng(6)
    spread = np.array([(0, 0, 0), (120, 10, 0), (30, 90, 20), (90, 70, 60), (-50, 40, 30)], float)
    markers = np.vstack([spread, spread[4] + (4.0, 0.0, 0.0)])
    halfway = np.vstack([spread[:4], spread[4] + (2.0, 0.0, 0.0)])
    found = match_points(touched(halfway, rng, noise_mm=0.3), markers)
    assert found.pairs == ((0, 0), (1, 1), (2, 2), (3, 3))


def test_three_of_three_are_matched_where_the_triangle_tells() -> None:
    triangle = np.array([(0, 0, 0), (150, 0, 0), (40, 80, 0)], dtype=float)
    points = touched(triangle, np.random.default_rng(2))[[2, 0, 1]]
    assert match_points(points, triangle).pairs == ((0, 2), (1, 0), (2, 1))
    equal = np.array([(0, 0, 0), (100, 0, 0), (50, 86.6, 0)])
    with pytest.raises(RegistrationError, match="too symmetric"):
        match_points(touched(equal, np.random.default_rng(2)), equal)


def test_points_of_another_patient_are_refused() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(RegistrationError, match="touched points find a marker within 6 mm"):
        match_points(touched(skin(7, rng), rng), skin(7, rng))


def test_a_mirrored_layout_is_no_match() -> None:
    rng = np.random.default_rng(4)
    markers = skin(8, rng)
    with pytest.raises(RegistrationError, match="find a marker"):
        match_points(touched(markers * [-1.0, 1.0, 1.0], rng), markers)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((2, 3)), "2 touched points: matching takes 3 to 40"),
        (np.zeros((4, 2)), "three finite numbers each"),
        (np.full((4, 3), np.nan), "three finite numbers each"),
        (np.zeros((41, 3)), "41 touched points"),
    ],
)
def test_what_cannot_be_matched_is_refused_in_words(points: np.ndarray, words: str) -> None:
    with pytest.raises(RegistrationError, match=words):
        match_points(points, PLATE)


def test_points_on_one_line_find_nothing() -> None:
    line = np.array([(0, 0, 0), (50, 0, 0), (110, 0, 0), (190, 0, 0)], dtype=float)
    with pytest.raises(RegistrationError, match="only 0 of 4"):
        match_points(line, line)
