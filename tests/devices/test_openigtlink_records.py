"""The types beside poses, images and text, against the reference messages, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from devices.contract import ImageSample, PoseSample
from devices.openigtlink import (
    ColourTable,
    Command,
    ImageDescription,
    LabelDescription,
    MessageError,
    NamedPoint,
    NumberArray,
    SensorReading,
    Surface,
    SurfaceAttribute,
    Table,
    Trajectory,
    TrajectoryKind,
    decode_bytes,
    pack_array,
    pack_bundle,
    pack_colours,
    pack_command,
    pack_image,
    pack_image_list,
    pack_label_list,
    pack_points,
    pack_sensor,
    pack_surface,
    pack_trajectories,
    pack_transform,
    seal,
)
from devices.openigtlink.envelope import unseal
from devices.openigtlink.header import parse_header
from tests.devices.support import assembled, only, vector

STAMP_S = 1234567892 / 2**32
NAME = "DeviceName"


def table(data: bytes, kind: str) -> Table:
    found = only(data)
    assert isinstance(found, Table)
    assert (found.type, found.name, found.received_s) == (kind, NAME, 5.0)
    assert len(found.records) == 3
    return found


def test_points() -> None:
    data = vector("point_message")
    found = table(data, "POINT")
    assert found.records[0] == NamedPoint(
        "POINT_DESCRIPTION_0", (10.0, 15.0, 20.0), "Landmark", (255, 0, 0, 255), 5.0, "IMAGE_0"
    )
    points = [record for record in found.records if isinstance(record, NamedPoint)]
    assert pack_points(NAME, points, STAMP_S) == data


@pytest.mark.parametrize("name", ["trajectory_message", "trajectory_message_Format2"])
def test_trajectories(name: str) -> None:
    found = table(vector(name), "TRAJ")
    first = found.records[0]
    assert isinstance(first, Trajectory)
    assert first.name == "TRAJECTORY_DESCRIPTION_0"
    assert first.kind is TrajectoryKind.BOTH
    assert (first.entry_mm, first.target_mm) == ((10.0, 15.0, 20.0), (25.0, 30.0, 35.0))
    trajectories = [record for record in found.records if isinstance(record, Trajectory)]
    packed = pack_trajectories(NAME, trajectories, found.source_s)
    assert packed[58:] == vector("trajectory_message")[58:]


def test_image_and_label_lists() -> None:
    images = table(vector("imgmeta_message"), "IMGMETA").records
    first = images[0]
    assert isinstance(first, ImageDescription)
    assert (first.name, first.device, first.modality) == ("IMAGE_DESCRIPTION_0", "IMAGE_0", "CT")
    assert (first.patient_name, first.patient_id) == ("PATIENT_0", "PATIENT_ID_0")
    assert (first.size, first.scalar) == ((512, 512, 64), 5)
    listed = [record for record in images if isinstance(record, ImageDescription)]
    assert pack_image_list(NAME, listed, STAMP_S) == vector("imgmeta_message")
    labels = table(vector("lbmeta_message"), "LBMETA").records
    label = labels[0]
    assert isinstance(label, LabelDescription)
    assert (label.name, label.label, label.size) == ("LABEL_DESCRIPTION_0", 1, (256, 128, 32))
    assert (label.rgba, label.owner) == ((255, 0, 0, 255), "IMAGE_0")
    named = [record for record in labels if isinstance(record, LabelDescription)]
    assert pack_label_list(NAME, named, STAMP_S) == vector("lbmeta_message")


def test_sensor() -> None:
    data = vector("sensor_message")
    found = only(data)
    assert isinstance(found, SensorReading)
    assert len(found.values) == 6
    assert found.values[0] == pytest.approx(123456.78)
    assert pack_sensor(NAME, found.values, STAMP_S, unit=found.unit) == data


def test_array() -> None:
    data = assembled("ndarray")
    found = only(data)
    assert isinstance(found, NumberArray)
    np.testing.assert_array_equal(found.values, np.arange(60.0).reshape(5, 4, 3))
    assert not found.values.flags.writeable
    assert pack_array(NAME, found.values, found.source_s)[58:] == data[58:]


@pytest.mark.parametrize("dtype", ["i1", "u2", ">i4", "<f4", "c16"])
def test_arrays_of_other_types(dtype: str) -> None:
    values = np.arange(6).reshape(1, 2, 3).astype(dtype)
    found = only(pack_array("A", values, 1.0))
    assert isinstance(found, NumberArray)
    np.testing.assert_array_equal(found.values, values)


def test_surface() -> None:
    """The cube of the reference: eight points, six squares, a number at each point."""
    data = assembled("polydata")
    found = only(data)
    assert isinstance(found, Surface)
    assert found.points_mm[6].tolist() == [1.0, 1.0, 1.0]
    assert [cell.tolist() for cell in found.polygons][:2] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(found.polygons) == 6
    assert not found.lines + found.strips + found.vertices
    (attribute,) = found.attributes
    assert attribute.name == "attr"
    assert attribute.values.ravel().tolist() == list(range(8))
    assert pack_surface(found, found.source_s)[58:] == data[58:]


def test_surfaces_that_cannot_be_are_refused_both_ways() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], np.float32)
    broken = Surface("S", square, polygons=(np.array([0, 1, 3], np.uint32),))
    with pytest.raises(MessageError, match="names a point that is not there"):
        pack_surface(broken, 1.0)
    good = pack_surface(replace(broken, polygons=(np.array([0, 1, 2], np.uint32),)), 1.0)
    body = bytearray(good[58:])
    body[-1] = 9
    with pytest.raises(MessageError, match="names a point that is not there"):
        only(seal("POLYDATA", "S", body, timestamp_s=1.0))
    attribute = SurfaceAttribute("a", 0, np.zeros(3, np.float32))
    with pytest.raises(MessageError, match="bad surface"):
        pack_surface(replace(broken, polygons=(), attributes=(attribute,)), 1.0)


def test_colour_table() -> None:
    data = vector("colortable_message")
    found = only(data)
    assert isinstance(found, ColourTable)
    np.testing.assert_array_equal(found.colours, np.arange(256))
    assert pack_colours(NAME, found.colours, STAMP_S) == data
    rgb = np.arange(768, dtype=np.uint16).astype(np.uint8).reshape(256, 3)
    back = only(pack_colours("C", rgb, 1.0))
    assert isinstance(back, ColourTable)
    np.testing.assert_array_equal(back.colours, rgb)
    with pytest.raises(MessageError, match="bad colour table"):
        pack_colours("C", rgb[:100], 1.0)


@pytest.mark.parametrize("name", ["command_message", "command_messageFormat2"])
def test_command(name: str) -> None:
    data = vector(name)
    found = only(data)
    assert isinstance(found, Command)
    assert (found.number, found.command) == (5, "This is a test command")
    assert found.text == "Start the tracking machine"
    content = unseal(parse_header(data[:58]), data[58:], 0.0).content
    packed = pack_command(found.name, found.number, found.command, found.text, found.source_s)
    assert packed[58:] == bytes(content)


def test_bundle() -> None:
    data = assembled("bind")
    pose, image, sensor = decode_bytes(data, 5.0)
    assert isinstance(pose, PoseSample)
    assert isinstance(image, ImageSample)
    assert isinstance(sensor, SensorReading)
    assert (pose.name, image.name, sensor.name) == ("ChildTrans", "ChildImage", "ChildSensor")
    assert image.pixels.shape == (50, 50)
    whole = unseal(parse_header(data[:58]), data[58:], 0.0)
    children = [
        vector("transform_message")[58:],
        vector("image_message")[58:],
        vector("sensor_message")[58:],
    ]
    packed = pack_bundle(
        NAME,
        [
            seal(kind, name, body, timestamp_s=1.0)
            for kind, name, body in zip(
                ("TRANSFORM", "IMAGE", "SENSOR"),
                ("ChildTrans", "ChildImage", "ChildSensor"),
                children,
                strict=True,
            )
        ],
        whole.header.timestamp_s,
    )
    assert packed == data


def test_bundles_do_not_nest_and_a_bad_child_spoils_no_other() -> None:
    pose = pack_transform("A", np.eye(4), 1.0)
    odd = seal("NOSUCH", "B", b"abc", timestamp_s=1.0)
    image = pack_image("C", np.zeros((3, 3), np.uint8), np.eye(4), 1.0)
    bundle = pack_bundle("All", [pose, odd, image], 1.0)
    first, refused, last = decode_bytes(bundle, 0.0)
    assert isinstance(first, PoseSample)
    assert isinstance(refused, MessageError)
    assert refused.reason == "unknown type NOSUCH"
    assert isinstance(last, ImageSample)
    with pytest.raises(MessageError, match="bad bundle"):
        pack_bundle("All", [bundle], 1.0)
    nested = bytearray(bundle[58:])
    nested[2:14] = b"BIND".ljust(12, b"\0")
    with pytest.raises(MessageError, match="bad bundle"):
        decode_bytes(seal("BIND", "All", nested, timestamp_s=1.0), 0.0)


def test_positions_that_are_not_finite_are_refused_both_ways() -> None:
    bad = NamedPoint("P", (float("nan"), 0.0, 0.0))
    with pytest.raises(MessageError, match="position not finite"):
        pack_points("P", [bad], 1.0)
    content = bytearray(pack_points("P", [NamedPoint("P", (0.0, 0.0, 0.0))], 1.0)[58:])
    content[100:104] = b"\x7f\xc0\0\0"
    with pytest.raises(MessageError, match="position not finite"):
        only(seal("POINT", "P", content, timestamp_s=1.0))
    with pytest.raises(MessageError, match="name too long"):
        pack_points("P", [NamedPoint("x" * 65, (0.0, 0.0, 0.0))], 1.0)
