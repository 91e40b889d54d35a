from __future__ import annotations

import pytest

from ir_nav.geometry import GeometryError
from ir_nav.imaging import StandardView, orientation_letters


@pytest.mark.parametrize(
    ("direction", "letters"),
    [
        ((1, 0, 0), "L"),
        ((-3, 0, 0), "R"),
        ((0, 1, 0), "P"),
        ((0, -1, 0), "A"),
        ((0, 0, 2), "H"),
        ((0, 0, -1), "F"),
        ((0.9, -0.4, 0.1), "LA"),
        ((0.5, 0.4, 0.8), "HLP"),
        ((-0.4, -0.8, -0.5), "AFR"),
        ((0.97, 0.29, 0.0), "L"),
        ((1, 1, 1), "LPH"),
    ],
)
def test_letters(direction: tuple[float, float, float], letters: str) -> None:
    assert orientation_letters(direction) == letters


def test_no_direction() -> None:
    with pytest.raises(GeometryError):
        orientation_letters((0, 0, 0))


@pytest.mark.parametrize(
    ("view", "right", "down"),
    [
        (StandardView.AXIAL, "L", "P"),
        (StandardView.CORONAL, "L", "F"),
        (StandardView.SAGITTAL, "P", "F"),
    ],
)
def test_edges_of_the_standard_views(view: StandardView, right: str, down: str) -> None:
    assert orientation_letters(view.right_ct) == right
    assert orientation_letters(view.down_ct) == down
