"""Codecs against the reference vectors, byte for byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from devices.contract import ImageSample, PoseSample, PoseStatus, TextSample
from devices.openigtlink import (
    Capability,
    DeviceStatus,
    MessageError,
    PatientAxes,
    TrackedElement,
    decode_bytes,
    pack_capability,
    pack_image,
    pack_status,
    pack_string,
    pack_tdata,
    pack_transform,
    seal,
)
from devices.openigtlink.envelope import unseal
from devices.openigtlink.header import checksum, pack_header, parse_header
from tests.devices.support import POSE, golden, only, vector

STAMP_S = 1234567892 / 2**32
NAME = "DeviceName"
GOLDEN_POSE = np.array(
    [
        [-0.954892, -0.196632, 0.222525, 46.0531],
        [0.196632, 0.142857, 0.970014, 19.4709],
        [-0.222525, 0.970014, -0.0977491, 46.0531],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
METADATA = {"First patient age": "22", "Second patient age": "25"}
COMPLETE = [
    "capability_message",
    "colortable_message",
    "command_message",
    "command_messageFormat2",
    "image_message",
    "imgmeta_message",
    "lbmeta_message",
    "point_message",
    "position_message",
    "position_messageFormat2",
    "sensor_message",
    "status_message",
    "string_message",
    "tdata_message",
    "tdata_messageFormat2",
    "trajectory_message",
    "trajectory_message_Format2",
    "transform_message",
    "transform_message_Format2",
    "videometa_message",
]


def metadata_of(data: bytes) -> dict[str, str]:
    return dict(unseal(parse_header(data[:58]), data[58:], 0.0).metadata)


@pytest.mark.parametrize("name", COMPLETE)
def test_header_and_checksum_of_every_reference_message(name: str) -> None:
    data = vector(name)
    header = parse_header(data[:58])
    assert header.body_size == len(data) - 58
    assert header.crc == checksum(data[58:])
    assert pack_header(header) == data[:58]


@pytest.mark.parametrize("name", COMPLETE)
def test_every_cut_of_a_reference_message_is_refused(name: str) -> None:
    data = vector(name)
    for end in {0, 1, 57, 58, 60, len(data) // 2, len(data) - 1} - {len(data)}:
        if end < len(data):
            with pytest.raises(MessageError):
                decode_bytes(data[:end], 0.0)


@pytest.mark.parametrize("name", ["transform_message", "transform_message_Format2"])
def test_transform_reads_as_documented(name: str) -> None:
    pose = only(vector(name))
    assert isinstance(pose, PoseSample)
    assert pose.matrix is not None
    np.testing.assert_allclose(pose.matrix, GOLDEN_POSE, atol=1e-5)
    assert not pose.matrix.flags.writeable
    assert (pose.name, pose.status, pose.received_s) == (NAME, PoseStatus.UNKNOWN, 5.0)
    assert pose.source_s == STAMP_S


def test_transform_packs_byte_for_byte() -> None:
    assert pack_transform(NAME, GOLDEN_POSE, STAMP_S) == vector("transform_message")


def test_transform_with_metadata_packs_byte_for_byte() -> None:
    data = vector("transform_message_Format2")
    content = vector("transform_message")[58:]
    packed = seal(
        "TRANSFORM",
        NAME,
        content,
        timestamp_s=STAMP_S,
        version=2,
        metadata=METADATA,
        message_id=1,
    )
    assert packed == data
    assert metadata_of(data) == METADATA


def test_image_reads_as_documented() -> None:
    image = only(vector("image_message"))
    assert isinstance(image, ImageSample)
    assert image.pixels.tobytes() == golden("test_image")
    assert image.pixels.shape == (50, 50)
    assert not image.pixels.flags.writeable
    # The vector is RAS, its position is the centre, pixel (24.5, 24.5, 0).
    centre = np.diag((-1.0, -1.0, 1.0, 1.0)) @ [46.0531, 19.4709, 46.0531, 1.0]
    np.testing.assert_allclose(image.parent_from_pixel @ [24.5, 24.5, 0, 1], centre, atol=1e-4)
    np.testing.assert_allclose(
        image.parent_from_pixel[:3, 0], [0.954892, -0.196632, -0.222525], atol=1e-6
    )


def test_image_packs_byte_for_byte() -> None:
    image = only(vector("image_message"))
    assert isinstance(image, ImageSample)
    packed = pack_image(NAME, image.pixels, image.parent_from_pixel, STAMP_S, axes=PatientAxes.RAS)
    assert packed == vector("image_message")


def test_string_both_ways() -> None:
    data = vector("string_message")
    text = only(data)
    assert text == TextSample(NAME, "Welcome to OpenIGTLink", STAMP_S, 5.0)
    assert pack_string(NAME, "Welcome to OpenIGTLink", STAMP_S) == data


def test_status_both_ways() -> None:
    data = vector("status_message")
    expected = (15, 10, "ACTUATOR_DISABLED", "Actuator A is disabled.")
    status = only(data)
    assert isinstance(status, DeviceStatus)
    assert (status.code, status.subcode, status.error_name, status.text) == expected
    packed = pack_status(NAME, 15, expected[3], STAMP_S, subcode=10, error_name="ACTUATOR_DISABLED")
    assert packed == data


@pytest.mark.parametrize("name", ["tdata_message", "tdata_messageFormat2"])
def test_tdata_reads_as_documented(name: str) -> None:
    poses = decode_bytes(vector(name), 5.0)
    assert [pose.name for pose in poses if isinstance(pose, PoseSample)] == [
        "Tracker0",
        "Tracker1",
        "Tracker2",
    ]
    for pose in poses:
        assert isinstance(pose, PoseSample)
        assert pose.matrix is not None
        np.testing.assert_allclose(pose.matrix, GOLDEN_POSE, atol=1e-5)


def test_tdata_packs_byte_for_byte() -> None:
    elements = [TrackedElement(f"Tracker{number}", GOLDEN_POSE) for number in range(3)]
    data = vector("tdata_message")
    assert pack_tdata(NAME, elements, STAMP_S) == data
    packed = seal(
        "TDATA",
        NAME,
        data[58:],
        timestamp_s=STAMP_S,
        version=2,
        metadata=METADATA,
        message_id=1,
    )
    assert packed == vector("tdata_messageFormat2")


def test_capability_both_ways() -> None:
    data = vector("capability_message")
    types = ("IMAGE", "GET_IMAGE", "TRANSFORM", "GET_TRANS")
    assert only(data) == Capability(NAME, types, STAMP_S, 5.0)
    assert pack_capability(NAME, types, STAMP_S) == data


@pytest.mark.parametrize("name", ["position_message", "position_messageFormat2"])
def test_position_vector_is_scaled_to_a_rotation(name: str) -> None:
    """Its quaternion (0, 0.577, 0.577, 0.333) has length 0.88; the C++ library scales it."""
    pose = only(vector(name))
    assert isinstance(pose, PoseSample)
    assert pose.matrix is not None
    expected = Rotation.from_quat([0.0, 0.5773503, 0.5773503, 0.3333333]).as_matrix()
    np.testing.assert_allclose(pose.matrix[:3, :3], expected, atol=1e-6)
    np.testing.assert_allclose(pose.matrix[:3, 3], [46.0531, 19.4709, 46.0531], atol=1e-4)


@pytest.mark.parametrize("size", [28, 24])
def test_position_with_a_unit_quaternion(size: int) -> None:
    half = 2**-0.5  # 90 degrees about z
    content = struct.pack(">7f", 10.0, -20.5, 300.25, 0.0, 0.0, half, half)[:size]
    pose = only(seal("POSITION", "Needle", content, timestamp_s=1.0))
    assert isinstance(pose, PoseSample)
    assert pose.matrix is not None
    np.testing.assert_allclose(pose.matrix, POSE, atol=1e-6)


def test_qtdata_of_two_tools_one_broken() -> None:
    good = struct.pack(">20sBB7f", b"A", 2, 0, 1, 2, 3, 0, 0, 0, 1)
    bad = struct.pack(">20sBB7f", b"B", 2, 0, 1, 2, 3, 0, 0, 0, 0.1)
    first, second = decode_bytes(seal("QTDATA", "T", good + bad, timestamp_s=1.0), 0.0)
    assert isinstance(first, PoseSample)
    assert first.name == "A"
    assert isinstance(second, MessageError)
