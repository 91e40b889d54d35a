"""The pose buffer: the newest, what came since, and the pose at an image's time."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from devices.contract import PoseSample
from ir_nav.geometry import FrameError
from ir_nav.tracking import PoseBuffer, scatter_mm
from tests.tracking.poses import pose, seen, unseen


def filled(*samples: PoseSample, capacity: int = 4096) -> PoseBuffer:
    buffer = PoseBuffer("Needle", capacity)
    for sample in samples:
        buffer.push(sample)
    return buffer


def along_x(source_s: float, **more: float) -> PoseSample:
    """At x = 100 mm/s, turning about z by 60 deg/s."""
    return seen(source_s, pose((0, 0, 60.0 * source_s), (100.0 * source_s, 0, 0)), **more)


def assert_along_x(matrix: np.ndarray, source_s: float) -> None:
    np.testing.assert_allclose(matrix, along_x(source_s).matrix, atol=1e-9)


def test_an_empty_buffer_has_nothing() -> None:
    buffer = filled()
    assert buffer.latest() is None
    assert buffer.since(0.0) == ()
    with pytest.raises(FrameError, match="Needle has no pose around the image's time"):
        buffer.at(1.0)


def test_a_pose_between_two_is_interpolated_in_place_and_turn() -> None:
    buffer = filled(*[along_x(t) for t in (0.0, 0.1, 0.2, 0.3)])
    for time_s in (0.0, 0.025, 0.1, 0.15, 0.2999, 0.3):
        assert_along_x(buffer.at(time_s, 0.11), time_s)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=30, unique=True), st.integers(0, 2000))
def test_a_pose_is_given_exactly_where_close_neighbours_enclose_the_time(
    ticks: list[int], asked: int
) -> None:
    times = np.sort(ticks) / 100.0
    buffer = filled(*[along_x(t) for t in times])
    time_s = asked / 1000.0
    after = int(np.searchsorted(times, time_s))
    exact = after < len(times) and times[after] == time_s
    enclosed = 0 < after < len(times) and times[after] - times[after - 1] <= 0.1
    if exact or enclosed:
        assert_along_x(buffer.at(time_s), time_s)
    else:
        with pytest.raises(FrameError, match=r"Needle has (a gap|no pose)"):
            buffer.at(time_s)


@pytest.mark.parametrize("time_s", [0.999, 1.101])
def test_nothing_is_extrapolated(time_s: float) -> None:
    with pytest.raises(FrameError, match="no pose around"):
        filled(along_x(1.0), along_x(1.1)).at(time_s)


def test_a_gap_is_refused_and_its_length_told() -> None:
    buffer = filled(along_x(1.0), along_x(1.25))
    with pytest.raises(FrameError, match=r"Needle has a gap of 0\.25 s"):
        buffer.at(1.1)
    assert_along_x(buffer.at(1.1, max_gap_s=0.3), 1.1)


@pytest.mark.parametrize("time_s", [1.02, 1.08])
def test_an_unseen_neighbour_is_never_bridged(time_s: float) -> None:
    buffer = filled(along_x(1.0), unseen(1.05), along_x(1.1))
    with pytest.raises(FrameError, match="Needle was not seen at the image's time"):
        buffer.at(time_s)
    with pytest.raises(FrameError, match="was not seen"):
        buffer.at(1.05)
    assert_along_x(buffer.at(1.1), 1.1)


def test_the_time_of_the_source_counts_not_that_of_arrival() -> None:
    buffer = filled(along_x(1.0, delay_s=0.5), along_x(1.1, delay_s=0.41))
    assert_along_x(buffer.at(1.05, 0.11), 1.05)


def test_samples_that_arrive_out_of_order_are_still_neighbours_by_time() -> None:
    order = (0.0, 0.05, 0.15, 0.1, 0.1, 0.2, 0.3, 0.25, 0.25, 0.35, 0.05)
    buffer = filled(*[along_x(t) for t in order])
    for time_s in (0.0, 0.02, 0.06, 0.1, 0.12, 0.17, 0.22, 0.27, 0.33, 0.35):
        assert_along_x(buffer.at(time_s), time_s)


def test_the_newest_is_the_last_that_arrived_even_when_unseen() -> None:
    last = unseen(1.1)
    assert filled(along_x(1.0), last).latest() is last


def test_since_gives_what_arrived_later_oldest_first() -> None:
    samples = [along_x(t / 10.0) for t in range(10)]
    buffer = filled(*samples)
    assert buffer.since(samples[6].received_s) == tuple(samples[7:])
    assert buffer.since(0.0) == tuple(samples)
    assert buffer.since(samples[-1].received_s) == ()


def test_the_oldest_go_when_the_buffer_is_full() -> None:
    samples = [along_x(t / 10.0) for t in range(10)]
    assert filled(*samples, capacity=4).since(0.0) == tuple(samples[6:])


def test_reading_while_another_thread_writes_never_shows_a_torn_state() -> None:
    buffer = PoseBuffer("Needle", 300)
    done = threading.Event()
    faults: list[str] = []

    def read() -> None:
        while not done.is_set():
            newest = buffer.latest()
            track = buffer.since(0.0)
            if any(b.source_s <= a.source_s for a, b in pairwise(track)):
                faults.append("out of order")
            if newest is not None and track and track[-1].source_s < newest.source_s:
                faults.append("went back")
            if newest is not None and newest.source_s > 0.05:
                try:
                    found = buffer.at(newest.source_s - 0.015)
                except FrameError:  # the writer was hundreds of poses further on
                    continue
                if abs(found[0, 3] - 100.0 * (newest.source_s - 0.015)) > 1e-6:
                    faults.append("wrong pose")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for count in range(3000):
        buffer.push(seen(count / 100.0, pose(place=(float(count), 0, 0))))
    done.set()
    for reader in readers:
        reader.join()
    assert not faults
    assert len(buffer.since(0.0)) == 300


@pytest.mark.parametrize("sigma_mm", [0.05, 0.4])
@pytest.mark.parametrize("speed_mm_s", [0.0, 20.0])
def test_scatter_is_the_noise_even_of_a_body_in_steady_motion(
    sigma_mm: float, speed_mm_s: float
) -> None:
    """rms over three axes: sigma * sqrt(3)."""
    rng = np.random.default_rng(4)
    drift = np.array([speed_mm_s / 60.0, 0.0, 0.0])
    positions = np.arange(4000)[:, None] * drift + rng.normal(0, sigma_mm, (4000, 3))
    assert scatter_mm(positions) == pytest.approx(sigma_mm * np.sqrt(3.0), rel=0.05)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_scatter_of_too_few_or_of_a_body_at_rest_is_nothing(count: int) -> None:
    assert scatter_mm(np.tile((1.0, 2.0, 3.0), (count, 1))) == 0.0


def test_interpolation_agrees_with_slerp_for_any_turn() -> None:
    first, second = Rotation.random(2, random_state=3)
    buffer = filled(
        seen(0.0, pose(tuple(np.degrees(first.as_rotvec())))),
        seen(0.1, pose(tuple(np.degrees(second.as_rotvec())))),
    )
    turn = (first.inv() * second).as_rotvec() * 0.3
    expected = (first * Rotation.from_rotvec(turn)).as_matrix()
    np.testing.assert_allclose(buffer.at(0.03)[:3, :3], expected, atol=1e-9)
