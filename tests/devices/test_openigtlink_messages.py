"""What is sent, what is refused, and why."""

from __future__ import annotations

import struct

import numpy as np
import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from devices.contract import ImageSample, PoseSample, PoseStatus, TextSample
from devices.openigtlink import (
    ByteOrder,
    MessageError,
    PatientAxes,
    Query,
    TrackedElement,
    Volume,
    decode_bytes,
    pack_image,
    pack_position,
    pack_qtdata,
    pack_query,
    pack_string,
    pack_tdata,
    pack_transform,
    pack_volume,
    seal,
)
from devices.openigtlink.header import parse_header
from tests.devices.support import POSE, only


def test_query() -> None:
    query = only(pack_query("STT_TDATA", "T", 1.0, content=b"\0\0\0\x10"))
    assert query == Query("STT_TDATA", "T", b"\0\0\0\x10", 1.0, 5.0)


def test_missing_status_and_status_missing_are_told_apart() -> None:
    silent = only(pack_transform("Needle", POSE, 1.0, None, 2))
    missing = only(pack_transform("Needle", None, 1.0, PoseStatus.MISSING, 2))
    assert isinstance(silent, PoseSample)
    assert isinstance(missing, PoseSample)
    assert (silent.status, missing.status) == (PoseStatus.UNKNOWN, PoseStatus.MISSING)
    assert silent.matrix is not None
    assert missing.matrix is None


@pytest.mark.parametrize(
    ("word", "status", "has_pose"),
    [
        ("OK", PoseStatus.OK, True),
        ("MISSING", PoseStatus.MISSING, False),
        ("OUT_OF_VIEW", PoseStatus.MISSING, False),
        ("TOOL_OUT_OF_VIEW", PoseStatus.MISSING, False),
        ("OUT_OF_VOLUME", PoseStatus.OUT_OF_VOLUME, False),
        ("INVALID", PoseStatus.INVALID, False),
        ("REQ_TIMEOUT", PoseStatus.INVALID, False),
        ("nonsense", PoseStatus.INVALID, False),
        ("UNKNOWN", PoseStatus.UNKNOWN, True),
    ],
)
def test_words_of_plus(word: str, status: PoseStatus, has_pose: bool) -> None:
    content = pack_transform("N", POSE, 1.0)[58:]
    data = seal(
        "TRANSFORM",
        "N",
        content,
        timestamp_s=1.0,
        version=2,
        metadata={"TransformStatus": word},
    )
    pose = only(data)
    assert isinstance(pose, PoseSample)
    assert pose.status is status
    assert (pose.matrix is not None) == has_pose


@pytest.mark.parametrize("status", [PoseStatus.OK, PoseStatus.UNKNOWN, None])
def test_pose_without_matrix_is_not_sent(status: PoseStatus | None) -> None:
    with pytest.raises(MessageError, match="without matrix"):
        pack_transform("N", None, 1.0, status, 2)


def test_unseen_tool_is_not_sent_where_the_wire_has_no_word_for_it() -> None:
    with pytest.raises(MessageError, match="version 2"):
        pack_transform("N", POSE, 1.0, PoseStatus.MISSING, 1)


def raw_transform(matrix: np.ndarray) -> bytes:
    return seal("TRANSFORM", "N", matrix[:3].T.astype(">f4").tobytes(), timestamp_s=1.0)


def bad_pose(row: int, column: int, value: float) -> np.ndarray:
    pose = POSE.copy()
    pose[row, column] = value
    return pose


BAD_POSES = {
    "pose not finite": bad_pose(0, 0, np.nan),
    "pose not rigid": bad_pose(2, 2, 1.01),
    "pose reflected": bad_pose(2, 2, -1.0),
}


@pytest.mark.parametrize("reason", BAD_POSES)
def test_bad_poses_are_refused_both_ways(reason: str) -> None:
    with pytest.raises(MessageError) as received:
        only(raw_transform(BAD_POSES[reason]))
    with pytest.raises(MessageError) as sent:
        pack_transform("N", BAD_POSES[reason], 1.0)
    assert received.value.reason == sent.value.reason == reason


def test_infinite_position_is_refused() -> None:
    with pytest.raises(MessageError, match="not finite"):
        only(raw_transform(bad_pose(1, 3, np.inf)))
    with pytest.raises(MessageError, match="not finite"):
        pack_transform("N", bad_pose(1, 3, 1e39), 1.0)


def test_long_names_are_refused_never_cut() -> None:
    name = "StylusTipToReference1"
    assert len(name) == 21
    for pack in (
        lambda: pack_transform(name, POSE, 1.0),
        lambda: pack_string(name, "x", 1.0),
        lambda: pack_tdata("T", [TrackedElement(name, POSE)], 1.0),
    ):
        with pytest.raises(MessageError, match="name too long"):
            pack()
    assert only(pack_string(name[:20], "x", 1.0)).name == name[:20]  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["", "Nadel über Bär", "穿刺針", "a" * 65535])
def test_any_text_travels(text: str) -> None:
    assert only(pack_string("N", text, 1.0)).text == text  # type: ignore[attr-defined]


def test_unsendable_text_is_refused() -> None:
    for text in ("a" * 65536, "\ud800"):
        with pytest.raises(MessageError):
            pack_string("N", text, 1.0)


@pytest.mark.parametrize("time_s", [-1.0, float("nan"), float("inf"), 2.0**32])
def test_impossible_times_are_refused(time_s: float) -> None:
    with pytest.raises(MessageError, match="timestamp"):
        pack_string("N", "x", time_s)


@given(st.floats(0, 2**32 - 1))
def test_times_of_this_century_survive(time_s: float) -> None:
    back = parse_header(pack_string("N", "x", time_s)[:58]).timestamp_s
    assert abs(back - time_s) < 1e-9 + 1e-15 * time_s


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">u2", ">i4", "<u4", ">f4", "<f8"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3)])
def test_images_of_every_type(dtype: str, shape: tuple[int, ...]) -> None:
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    parent_from_pixel = np.array([[0, 0.2, 0, 5.0], [0.3, 0, 0, 6], [0, 0, 1.0, 7], [0, 0, 0, 1]])
    for axes in PatientAxes:
        for version in (1, 2):
            image = only(
                pack_image("US", pixels, parent_from_pixel, 1.0, version=version, axes=axes)
            )
            assert isinstance(image, ImageSample)
            np.testing.assert_array_equal(image.pixels, pixels)
            np.testing.assert_allclose(image.parent_from_pixel, parent_from_pixel, atol=1e-5)


def test_pyigtl_places_an_image_where_we_do() -> None:
    parent_from_pixel = np.diag((0.2, 0.3, 1.0, 1.0))
    parent_from_pixel[:3, 3] = (5.0, -6.0, 7.0)
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    theirs = pyigtl.ImageMessage(
        pixels[np.newaxis], ijk_to_world_matrix=parent_from_pixel, timestamp=1.0, device_name="US"
    )
    image = only(theirs.pack())
    assert isinstance(image, ImageSample)
    np.testing.assert_array_equal(image.pixels, pixels)
    np.testing.assert_allclose(image.parent_from_pixel, parent_from_pixel, atol=1e-5)
    assert pack_image("US", pixels, parent_from_pixel, 1.0) == theirs.pack()


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2), np.int64), np.zeros(3, np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_unsendable_images_are_refused(image: np.ndarray) -> None:
    with pytest.raises(MessageError, match="bad image"):
        pack_image("US", image, np.eye(4), 1.0)


@pytest.mark.parametrize("order", list(ByteOrder))
@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 2, 4, 2)])
def test_volumes_of_both_byte_orders(order: ByteOrder, shape: tuple[int, ...]) -> None:
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 7
    place = np.diag((0.5, 0.5, 2.0, 1.0))
    place[:3, 3] = (1.0, 2.0, 3.0)
    volume = only(pack_volume("CT", voxels, place, 1.0, order=order))
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert not volume.voxels.flags.writeable
    np.testing.assert_allclose(volume.parent_from_voxel, place, atol=1e-5)


def test_a_part_of_an_image_comes_out_at_its_own_place() -> None:
    """By hand: 2 x 1 pixels at column 3, row 1 of a 6 x 4 image of 0.5 mm pixels."""
    whole = np.arange(24, dtype=np.uint8).reshape(4, 6)
    place = np.diag((0.5, 0.5, 1.0, 1.0))
    content = bytearray(pack_image("US", whole, place, 1.0)[58:])
    content[60:72] = struct.pack(">6H", 3, 1, 0, 2, 1, 1)
    part = content[:72] + whole[1:2, 3:5].tobytes()
    image = only(seal("IMAGE", "US", part, timestamp_s=1.0))
    assert isinstance(image, ImageSample)
    assert image.pixels.tolist() == [[9, 10]]
    np.testing.assert_allclose(image.parent_from_pixel @ (0, 0, 0, 1), (1.5, 0.5, 0, 1), atol=1e-6)
    content[60:72] = struct.pack(">6H", 5, 1, 0, 2, 1, 1)
    with pytest.raises(MessageError, match="bad image"):
        only(seal("IMAGE", "US", content[:72] + bytes(2), timestamp_s=1.0))


def test_metadata_of_an_image_travels() -> None:
    said = {"Depth": "150 mm", "Preset": "Leber"}
    image = only(
        pack_image("US", np.zeros((2, 2), np.uint8), np.eye(4), 1.0, version=2, metadata=said)
    )
    assert isinstance(image, ImageSample)
    assert image.metadata == said


@pytest.mark.parametrize("encoding", [3, 4, 106])
def test_strings_in_each_character_set(encoding: int) -> None:
    text = "Nadel" if encoding == 3 else "Nadelf\u00fchrung"
    found = only(pack_string("Log", text, 1.0, encoding=encoding))
    assert isinstance(found, TextSample)
    assert found.text == text
    with pytest.raises(MessageError, match="unknown character set"):
        pack_string("Log", "x", 1.0, encoding=2025)


@pytest.mark.parametrize("turn", [(0, 0, 0), (179, 0, 0), (10, -170, 30), (0, 90, 180), (5, 4, -3)])
def test_poses_as_quaternions_both_ways(turn: tuple[float, float, float]) -> None:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    pose[:3, 3] = (1.0, -2.0, 300.0)
    alone = only(pack_position("Needle", pose, 1.0))
    (first, second) = decode_bytes(
        pack_qtdata("T", [TrackedElement("A", pose), TrackedElement("B", np.eye(4))], 1.0), 0.0
    )
    for found in (alone, first):
        assert isinstance(found, PoseSample)
        assert found.matrix is not None
        np.testing.assert_allclose(found.matrix, pose, atol=1e-5)
    assert isinstance(second, PoseSample)
    assert second.name == "B"
