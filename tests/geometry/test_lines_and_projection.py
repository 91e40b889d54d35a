"""Directions, lines and the C-arm's pinhole, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ir_nav.geometry import (
    CArmGeometry,
    GeometryError,
    angle_between_deg,
    perpendicular_basis,
    rotation_along,
    split_offset,
    unit,
)

NUMBERS = st.floats(-10.0, 10.0)
VECTORS = st.tuples(NUMBERS, NUMBERS, NUMBERS).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(VECTORS, VECTORS)
def test_rotation_along_is_right_handed_with_z_on_the_direction(
    direction: tuple[float, ...], up: tuple[float, ...]
) -> None:
    rotation = rotation_along(direction, up)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation[:, 2], np.array(direction) / np.linalg.norm(direction))


@given(VECTORS, VECTORS)
def test_up_is_kept_as_well_as_it_can(direction: tuple[float, ...], up: tuple[float, ...]) -> None:
    assume(10.0 < angle_between_deg(direction, up) < 170.0)
    right, kept = perpendicular_basis(direction, up)
    assert abs(np.dot(kept, direction)) < 1e-9
    assert np.dot(kept, up) > 0.0
    assert abs(np.dot(np.cross(direction, up), kept)) < 1e-6  # in the plane of both
    np.testing.assert_allclose(np.cross(right, kept), -unit(direction), atol=1e-9)


def test_looking_head_first_with_up_to_the_front_right_is_on_the_right() -> None:
    """Along +y (to the back), up = head: the viewer's right is the patient's left... +x x."""
    right, up = perpendicular_basis((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    np.testing.assert_allclose(right, (1.0, 0.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(up, (0.0, 0.0, 1.0), atol=1e-12)


def test_up_along_the_direction_still_gives_a_basis() -> None:
    rotation = rotation_along((0.0, 0.0, -3.0), (0.0, 0.0, 1.0))
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("zero", [(0.0, 0.0, 0.0), (1e-12, 0.0, 0.0), (np.nan, 0.0, 1.0)])
def test_a_vector_without_a_direction_is_refused(zero: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="two different points"):
        unit(zero)


@pytest.mark.parametrize("angle_deg", [0.0, 1e-7, 1e-3, 45.0, 90.0, 179.999, 180.0])
def test_angles_are_exact_where_arccos_is_not(angle_deg: float) -> None:
    radians = np.radians(angle_deg)
    found = angle_between_deg((3.0, 0.0, 0.0), (7 * np.cos(radians), 7 * np.sin(radians), 0.0))
    assert found == pytest.approx(angle_deg, rel=1e-6, abs=1e-12)


def test_split_offset_by_hand() -> None:
    along, offset = split_offset((13.0, 4.0, 5.0), (10.0, 0.0, 0.0), (2.0, 0.0, 0.0))
    assert along == pytest.approx(3.0)
    np.testing.assert_allclose(offset, (0.0, 4.0, 5.0))
    behind, _ = split_offset((8.0, 0.0, 0.0), (10.0, 0.0, 0.0), (2.0, 0.0, 0.0))
    assert behind == pytest.approx(-2.0)


CARM = CArmGeometry(1000.0, (0.5, 0.25), (512, 512), (255.5, 250.0))


def test_projection_by_hand() -> None:
    """At 800 of 1000 mm the magnification is 1.25: 8 mm become 10 mm, 20 or 40 pixels."""
    np.testing.assert_allclose(CARM.project((8.0, 0.0, 800.0)), (275.5, 250.0))
    np.testing.assert_allclose(
        CARM.project([(0.0, 8.0, 800.0), (0.0, 0.0, 1.0)]), [(255.5, 290.0), (255.5, 250.0)]
    )


def test_camera_matrix_is_the_one_of_frames_md() -> None:
    point = np.array([3.0, -4.0, 500.0])
    np.testing.assert_allclose((CARM.camera_matrix @ point / 500.0)[:2], CARM.project(point))
    np.testing.assert_allclose(CARM.camera_matrix, [[2000, 0, 255.5], [0, 4000, 250], [0, 0, 1]])


@pytest.mark.parametrize("depth_mm", [0.0, -1.0, -800.0])
def test_points_at_or_behind_the_source_are_refused(depth_mm: float) -> None:
    for points in ((1.0, 2.0, depth_mm), [(0.0, 0.0, 500.0), (1.0, 2.0, depth_mm)]):
        with pytest.raises(GeometryError, match="behind the X-ray source"):
            CARM.project(points)
