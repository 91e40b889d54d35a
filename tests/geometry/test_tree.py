"""Where frames are, and the words when one cannot be reached."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ir_nav.geometry import Frame, FrameError, FrameTree, Link, Transform


def link(
    parent: Frame, child: Frame, seed: int, measured_s: float = 0.0, expires: float | None = None
) -> Link:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = rng.uniform(-100, 100, 3)
    return Link(Transform(parent, child, matrix), measured_s, expires)


NEEDLE = link(Frame.TRACKER, Frame.NEEDLE, 1, 10.0, 0.25)
REFERENCE = link(Frame.TRACKER, Frame.REFERENCE, 2, 10.1, 0.25)
TIP = link(Frame.NEEDLE, Frame.TIP, 3)
CT = link(Frame.REFERENCE, Frame.CT, 4)
TREE = FrameTree([NEEDLE, REFERENCE, TIP, CT])


def test_two_branches_meet_at_the_tracker() -> None:
    """The chain of frames.md, multiplied out by numpy."""
    found = TREE.transform(Frame.CT, Frame.TIP, 10.2)
    expected = (
        np.linalg.inv(CT.transform.matrix)
        @ np.linalg.inv(REFERENCE.transform.matrix)
        @ NEEDLE.transform.matrix
        @ TIP.transform.matrix
    )
    assert (found.target, found.source) == (Frame.CT, Frame.TIP)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-9)
    back = TREE.transform(Frame.TIP, Frame.CT, 10.2)
    np.testing.assert_allclose(back.matrix, np.linalg.inv(expected), atol=1e-9)


def test_a_frame_to_itself_is_identity_even_when_nothing_is_known() -> None:
    np.testing.assert_array_equal(FrameTree().transform(Frame.CT, Frame.CT, 0.0).matrix, np.eye(4))


def test_a_stale_link_says_by_how_much() -> None:
    with pytest.raises(FrameError, match=r"^needle is stale by 0\.20 s$"):
        TREE.transform(Frame.CT, Frame.TIP, 10.45)


def test_a_link_holds_up_to_its_age_and_no_further() -> None:
    TREE.transform(Frame.TRACKER, Frame.NEEDLE, 10.25)
    with pytest.raises(FrameError, match="needle is stale"):
        TREE.transform(Frame.TRACKER, Frame.NEEDLE, 10.2501)


def test_a_stale_branch_stops_only_what_needs_it() -> None:
    TREE.transform(Frame.TRACKER, Frame.CT, 10.34)
    with pytest.raises(FrameError, match="needle is stale"):
        TREE.transform(Frame.TRACKER, Frame.TIP, 10.34)
    with pytest.raises(FrameError, match="reference is stale"):
        TREE.transform(Frame.CT, Frame.TRACKER, 11.0)


def test_a_calibration_does_not_expire() -> None:
    TREE.transform(Frame.NEEDLE, Frame.TIP, 1e9)


def test_a_missing_frame_gives_its_reason() -> None:
    tree = TREE.without(Frame.NEEDLE, "needle out of view 0.4 s")
    for pair in ((Frame.CT, Frame.TIP), (Frame.TIP, Frame.CT)):
        with pytest.raises(FrameError, match=r"^needle out of view 0\.4 s$"):
            tree.transform(*pair, 10.2)
    TREE.transform(Frame.CT, Frame.TIP, 10.2)  # the first tree is as it was


def test_without_a_reason_the_gap_is_named() -> None:
    with pytest.raises(FrameError, match="no link leads from probe to tracker"):
        TREE.transform(Frame.CT, Frame.PROBE, 10.2)


def test_a_new_link_replaces_the_old_one_and_the_reason() -> None:
    tree = TREE.without(Frame.NEEDLE, "gone").with_link(
        link(Frame.TRACKER, Frame.NEEDLE, 9, 20.0, 0.25)
    )
    with pytest.raises(FrameError, match="reference is stale"):
        tree.transform(Frame.CT, Frame.TIP, 20.0)
    found = tree.transform(Frame.TRACKER, Frame.NEEDLE, 20.0).matrix
    assert not np.allclose(found, NEEDLE.transform.matrix)
    lost = tree.without(Frame.TIP, "needle is not calibrated")
    with pytest.raises(FrameError, match="needle is not calibrated"):
        lost.transform(Frame.TRACKER, Frame.TIP, 20.0)


def test_a_circle_of_frames_is_an_error_not_an_endless_loop() -> None:
    tree = FrameTree([link(Frame.CT, Frame.PROBE, 1), link(Frame.PROBE, Frame.CT, 2)])
    with pytest.raises(FrameError, match="its own ancestor"):
        tree.transform(Frame.TRACKER, Frame.CT, 0.0)
