"""Named rigid transforms against scipy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from ir_nav.geometry import (
    Frame,
    FrameError,
    GeometryError,
    Transform,
    interpolate,
    rigid,
    rigid_inverse,
    rigidity_fault,
    rotation_between_deg,
    rotation_from_vector,
    vector_from_rotation,
)

COORDINATES = st.floats(-500.0, 500.0)
POINTS = st.tuples(COORDINATES, COORDINATES, COORDINATES)
TURNS = st.tuples(*[st.floats(-1.8, 1.8)] * 3)  # at most 3.12 rad: short of half a turn
HALF_TURN_AXES = [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.6, 0.0, -0.8), (0.1, 0.2, 0.97)]


def pose(turn: tuple[float, ...], place: tuple[float, ...]) -> np.ndarray:
    """By scipy, so that nothing here rests on the code under test."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = place
    return matrix


def test_inner_names_cancel_in_a_product() -> None:
    first = pose((0.3, -0.2, 0.9), (1.0, 2.0, 3.0))
    second = pose((-1.0, 0.4, 0.1), (-7.0, 50.0, 0.5))
    product = Transform(Frame.CT, Frame.REFERENCE, first) @ Transform(
        Frame.REFERENCE, Frame.TRACKER, second
    )
    assert (product.target, product.source) == (Frame.CT, Frame.TRACKER)
    np.testing.assert_allclose(product.matrix, first @ second, atol=1e-12)


@pytest.mark.parametrize("wrong", [Frame.TRACKER, Frame.CT, Frame.TIP])
def test_names_that_do_not_cancel_raise_and_are_named(wrong: Frame) -> None:
    left = Transform(Frame.CT, Frame.REFERENCE, np.eye(4))
    with pytest.raises(FrameError, match=f"'reference' and '{wrong}' do not cancel"):
        left @ Transform(wrong, Frame.NEEDLE, np.eye(4))


@given(TURNS, POINTS, POINTS)
def test_inverse_undoes_a_transform_and_swaps_its_names(
    turn: tuple[float, ...], place: tuple[float, ...], point: tuple[float, ...]
) -> None:
    there = Transform(Frame.TRACKER, Frame.NEEDLE, pose(turn, place))
    back = there.inverse()
    assert (back.target, back.source) == (Frame.NEEDLE, Frame.TRACKER)
    np.testing.assert_allclose(back.matrix, np.linalg.inv(there.matrix), atol=1e-9)
    np.testing.assert_allclose(back.apply(there.apply(point)), point, atol=1e-9)


def test_points_are_turned_and_shifted_directions_only_turned() -> None:
    quarter = rigid(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), (10.0, 20.0, 30.0))
    transform = Transform(Frame.TRACKER, Frame.NEEDLE, quarter)
    np.testing.assert_allclose(transform.apply((1.0, 2.0, 3.0)), (8.0, 21.0, 33.0))
    np.testing.assert_allclose(
        transform.apply([(1.0, 0, 0), (0, 0, 0)]), [(10, 21, 30), (10, 20, 30)]
    )
    np.testing.assert_allclose(transform.rotate((1.0, 2.0, 3.0)), (-2.0, 1.0, 3.0))


def test_a_transform_cannot_be_changed_nor_through_the_array_it_came_from() -> None:
    source = np.eye(4)
    transform = Transform(Frame.CT, Frame.REFERENCE, source)
    source[0, 3] = 99.0
    assert transform.matrix[0, 3] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        transform.matrix[0, 3] = 1.0


@given(TURNS)
def test_rotation_vectors_agree_with_scipy_both_ways(turn: tuple[float, ...]) -> None:
    expected = Rotation.from_rotvec(turn).as_matrix()
    np.testing.assert_allclose(rotation_from_vector(turn), expected, atol=1e-12)
    np.testing.assert_allclose(vector_from_rotation(expected), turn, atol=1e-8)


@pytest.mark.parametrize("axis", HALF_TURN_AXES)
@pytest.mark.parametrize("turn_deg", [180.0, 179.9999, 179.0])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_half_a_turn_keeps_its_axis(
    axis: tuple[float, ...], turn_deg: float, kind: type[np.floating]
) -> None:
    """float32 as on the wire: its rounding must not be taken for the axis."""
    unit = np.array(axis) / np.linalg.norm(axis)
    rotation = Rotation.from_rotvec(np.radians(turn_deg) * unit).as_matrix()
    found = vector_from_rotation(rotation.astype(kind).astype(np.float64))
    assert np.degrees(np.linalg.norm(found)) == pytest.approx(turn_deg, abs=1e-4)
    again = rotation_from_vector(found)
    np.testing.assert_allclose(again, rotation, atol=1e-6)


@pytest.mark.parametrize("tiny", [0.0, 1e-13, 1e-9, 1e-6])
def test_tiny_turns_are_not_lost(tiny: float) -> None:
    rotation = Rotation.from_rotvec((0.0, tiny, 0.0)).as_matrix()
    np.testing.assert_allclose(vector_from_rotation(rotation), (0.0, tiny, 0.0), atol=2e-9)


@given(TURNS, TURNS, POINTS, POINTS, st.floats(0.0, 1.0))
def test_interpolation_is_slerp_and_a_straight_line(
    first: tuple[float, ...],
    second: tuple[float, ...],
    start: tuple[float, ...],
    end: tuple[float, ...],
    fraction: float,
) -> None:
    rotations = Rotation.from_rotvec([first, second])
    if (rotations[0].inv() * rotations[1]).magnitude() > 3.1:
        return  # either way round is right
    found = interpolate(pose(first, start), pose(second, end), fraction)
    expected = Slerp([0.0, 1.0], rotations)(fraction).as_matrix()
    np.testing.assert_allclose(found[:3, :3], expected, atol=1e-8)
    line = np.array(start) + fraction * (np.array(end) - np.array(start))
    np.testing.assert_allclose(found[:3, 3], line, atol=1e-9)


def test_half_way_between_a_quarter_turn_is_an_eighth() -> None:
    half = interpolate(pose((0, 0, 0), (0, 0, 0)), pose((0, 0, np.pi / 2), (4, 0, 0)), 0.5)
    c = np.sqrt(0.5)
    expected = [[c, -c, 0, 2], [c, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(half, expected, atol=1e-12)


@pytest.mark.parametrize("angle_deg", [0.0, 1e-4, 37.0, 90.0, 179.0, 180.0])
def test_angle_between_rotations(angle_deg: float) -> None:
    base = pose((0.4, 1.0, -0.3), (1, 2, 3))
    turned = base @ pose((0.0, np.radians(angle_deg), 0.0), (9, 9, 9))
    assert rotation_between_deg(base, turned) == pytest.approx(angle_deg, abs=1e-6)


def broken(**changes: float) -> np.ndarray:
    matrix = pose((0.2, 0.3, 0.4), (5.0, 6.0, 7.0))
    for place, value in changes.items():
        matrix[int(place[1]), int(place[2])] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (broken(m03=np.nan), "not finite"),
        (broken(m11=np.inf), "not finite"),
        (pose((0.1, 0, 0), (0, 0, 0)) @ np.diag([1.01, 1.01, 1.01, 1.0]), "not orthonormal"),
        (np.diag([1.002, 1.0, 1.0, 1.0]), "not orthonormal"),
        (broken(m01=0.1), "not orthonormal"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "reflection"),
        (broken(m30=0.5), "last row"),
        (np.eye(3), "4x4"),
        (np.zeros((4, 4)), "last row"),
    ],
)
def test_what_is_not_rigid_is_refused_by_name(matrix: np.ndarray, words: str) -> None:
    assert words in str(rigidity_fault(matrix))
    with pytest.raises(GeometryError, match=f"tracker_from_needle: .*{words}"):
        Transform(Frame.TRACKER, Frame.NEEDLE, matrix)


@given(TURNS, POINTS)
def test_poses_as_float32_from_the_wire_are_rigid(
    turn: tuple[float, ...], place: tuple[float, ...]
) -> None:
    rounded = pose(turn, place).astype(np.float32).astype(np.float64)
    assert rigidity_fault(rounded) is None
    np.testing.assert_allclose(rigid_inverse(rounded) @ rounded, np.eye(4), atol=1e-3)
