"""Debian's C++ programs as independent peers: what they send, as server and as client, we read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from devices.contract import ImageSample, PoseSample, TextSample
from devices.openigtlink import (
    Capability,
    DeviceStatus,
    ImageDescription,
    LabelDescription,
    Message,
    NamedPoint,
    OpenIGTLinkClient,
    OpenIGTLinkServer,
    Surface,
    Table,
    Trajectory,
    TrajectoryKind,
    pack_query,
    pack_string,
)
from tests.devices.igtl_peers import IMAGES, Peer, Peers, their_pose
from tests.devices.support import wait_for

RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
STRINGS = ("OpenIGTLink", "Network", "Communication", "Protocol", "Image Guided Therapy")
TYPES = ("TRANSFORM", "GET_IMAGE", "GET_LBMETA")
POINTS = (
    NamedPoint("POINT_0", (10.0, 20.0, 30.0), "GROUP_0", RED, 15.0, "IMAGE_0"),
    NamedPoint("POINT_1", (40.0, 50.0, 60.0), "GROUP_0", GREEN, 45.0, "IMAGE_0"),
    NamedPoint("POINT_2", (70.0, 80.0, 90.0), "GROUP_0", BLUE, 75.0, "IMAGE_0"),
)
POSES = [their_pose(0.2 * k, 0.1 * k) for k in range(5)]


def trajectories(targets: list[tuple[float, float, float]]) -> tuple[Trajectory, ...]:
    """Their library says "target only" where the program does not say what is given."""
    return tuple(
        Trajectory(
            f"TRAJECTORY_{k}",
            (10.0 + 30 * k, 20.0 + 30 * k, 30.0 + 30 * k),
            target,
            "GROUP_0",
            TrajectoryKind.TARGET_ONLY,
            colour,
            15.0 + 30 * k,
            "IMAGE_0",
        )
        for k, (target, colour) in enumerate(zip(targets, (RED, GREEN, BLUE), strict=True))
    )


def check_poses(samples: list[Message], poses: list[np.ndarray], name: str = "Tracker") -> None:
    assert len(samples) >= len(poses)
    for sample, pose in zip(samples, poses, strict=False):
        assert isinstance(sample, PoseSample)
        assert sample.name == name
        np.testing.assert_allclose(sample.matrix, pose, atol=2e-5)


def check_images(samples: list[Message]) -> None:
    """By hand: axes and place in RAS diag(1, -1, 1), 1 x 1 x 5 mm, its centre at the origin."""
    place = [[-1.0, 0, 0, 127.5], [0, 1.0, 0, -127.5], [0, 0, 5.0, 0], [0, 0, 0, 1]]
    for number, sample in enumerate(samples[:5], start=1):
        raw = np.fromfile(IMAGES / f"igtlTestImage{number}.raw", np.uint8)
        assert isinstance(sample, ImageSample)
        assert sample.name == "ImagerClient"
        np.testing.assert_array_equal(sample.pixels, raw.reshape(256, 256))
        np.testing.assert_allclose(sample.parent_from_pixel, place)


def check_status(status: object) -> None:
    assert isinstance(status, DeviceStatus)
    found = (status.name, status.code, status.subcode, status.error_name, status.text)
    assert found == ("Device", 1, 128, "OK!", "This is a test to send status message.")


def noticed(client: OpenIGTLinkClient, kind: str) -> object:
    wait_for(lambda: kind in client.notices(), kind)
    return client.notices()[kind]


@pytest.mark.parametrize("program", ["Tracker/TrackerServer", "Tracker/TrackerServer2"])
def test_their_server_of_poses(peers: Peers, program: str) -> None:
    """TRANSFORM and POSITION."""
    with peers.served(program, 200) as (_, sink):
        check_poses(list(sink.wait(5)), POSES)


@pytest.mark.parametrize("kind", ["TDATA", "QTDATA"])
def test_their_server_of_tracking_data(peers: Peers, kind: str) -> None:
    name = {"TDATA": "TrackingData", "QTDATA": "QuaternionTrackingData"}[kind]
    with peers.served(f"{name}/{name}Server", tracking=kind) as (_, sink):
        samples = list(sink.wait(9))
    steps = [(0.1, 0.2), (0.2, 0.1), (0.3, 0.05)]
    for channel, (phi, theta) in enumerate(steps):
        poses = [their_pose(k * phi, k * theta) for k in range(3)]
        check_poses(samples[channel::3], poses, f"Channel {channel}")


def test_their_server_of_images(peers: Peers) -> None:
    with peers.served("Imager/ImagerServer", 100, IMAGES) as (_, sink):
        check_images(list(sink.wait(5)))


def test_their_servers_of_strings(peers: Peers) -> None:
    with peers.served("String/StringServer", 200) as (_, sink):
        texts = [sample.text for sample in sink.wait(6) if isinstance(sample, TextSample)]
    assert tuple(texts[:5]) == STRINGS
    with peers.served("String/StringEchoServer") as (client, sink):
        client.send(pack_string("Log", "Nadelführung", 1.0))
        (echo,) = sink.wait(1)
    assert isinstance(echo, TextSample)
    assert (echo.name, echo.text) == ("StringEchoServer", "Nadelführung")


def test_their_servers_of_status_and_capability(peers: Peers) -> None:
    with peers.served("Status/StatusServer") as (client, _):
        check_status(noticed(client, "STATUS"))
    with peers.served("Capability/CapabilityServer") as (client, _):
        capability = noticed(client, "CAPABILITY")
    assert isinstance(capability, Capability)
    assert (capability.name, capability.types) == ("Device", TYPES)


def test_their_servers_of_points_and_trajectories(peers: Peers) -> None:
    with peers.served("Point/PointServer") as (client, _):
        points = noticed(client, "POINT")
    with peers.served("Trajectory/TrajectoryServer") as (client, _):
        paths = noticed(client, "TRAJ")
    assert isinstance(points, Table)
    assert isinstance(paths, Table)
    assert (points.name, points.records) == ("PointSender", POINTS)
    targets = [(20.0, 20.0, 40.0), (20.0, 30.0, 10.0), (10.0, 40.0, 20.0)]
    assert (paths.name, paths.records) == ("TrajectorySender", trajectories(targets))


def test_their_server_of_surfaces(peers: Peers) -> None:
    with peers.served("PolyData/PolyDataServer") as (client, _):
        client.send(pack_query("GET_POLYDATA", "Cube", 1.0))
        cube = noticed(client, "POLYDATA")
    assert isinstance(cube, Surface)
    assert cube.name == "Cube"
    corners = [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert cube.points_mm.tolist() == [[*xy, z] for z in (0, 1) for xy in corners]
    faces = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
    assert [cell.tolist() for cell in cube.polygons] == faces
    (attribute,) = cube.attributes
    assert (attribute.name, attribute.kind) == ("attr", 0)
    assert attribute.values.ravel().tolist() == list(range(8))


SIZES = [(512, 512, 64), (256, 128, 32), (256, 256, 32)]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("ImageMeta/ImageMetaServer", ()), ("ImageDatabaseServer/ImageDatabaseServer", (IMAGES,))],
)
def test_their_server_of_image_lists(
    peers: Peers, program: str, arguments: tuple[object, ...]
) -> None:
    with peers.served(program, *arguments) as (client, _):
        client.send(pack_query("GET_IMGMETA", "MetaServer", 1.0))
        images = noticed(client, "IMGMETA")
    assert isinstance(images, Table)
    records = [record for record in images.records if isinstance(record, ImageDescription)]
    assert [record.name for record in records] == [f"IMAGE_DESCRIPTION_{k}" for k in range(3)]
    assert [record.device for record in records] == ["IMAGE_0", "IMAGE_1", "IMAGE_2"]
    assert [record.modality for record in records] == ["CT", "MRI", "PET"]
    assert records[1].patient_name == "PATIENT_1"
    assert records[1].patient_id == "PATIENT_ID_1"
    if program.startswith("ImageMeta"):
        assert [record.size for record in records] == SIZES
        assert {record.scalar for record in records} == {5}
        np.testing.assert_allclose([record.time_s for record in records], [1.2345, 2.3456, 3.4567])


def test_their_server_of_label_lists(peers: Peers) -> None:
    with peers.served("ImageMeta/LabelMetaServer") as (client, _):
        client.send(pack_query("GET_LBMETA", "x", 1.0))
        labels = noticed(client, "LBMETA")
    assert isinstance(labels, Table)
    assert labels.records == tuple(
        LabelDescription(
            f"LABEL_DESCRIPTION_{k}", f"LABEL_{k}", k + 1, colour, SIZES[k], f"IMAGE_{k}"
        )
        for k, colour in enumerate((RED, GREEN, BLUE))
    )


@contextmanager
def heard_from(
    peers: Peers, program: str, *arguments: object, count: int = 1
) -> Iterator[tuple[list[Message], Peer]]:
    """What our server hears of their client; at least `count` messages."""
    heard: list[Message] = []
    with (
        OpenIGTLinkServer("room", on_message=heard.append) as room,
        peers.started(program, "127.0.0.1", room.port, *arguments) as peer,
    ):
        wait_for(lambda: len(heard) >= count, f"{count} messages of {program}")
        assert room.fault() is None
        yield heard, peer


@pytest.mark.parametrize("program", ["Tracker/TrackerClient", "Tracker/TrackerClient2"])
def test_their_client_of_poses(peers: Peers, program: str) -> None:
    with heard_from(peers, program, 200, count=5) as (heard, _):
        check_poses(heard, POSES)


def test_their_client_of_several_trackers(peers: Peers) -> None:
    names = ["NeedleToTracker", "ProbeToTracker"]
    with heard_from(peers, "Tracker/TrackerClient3", 200, *names, count=6) as (heard, _):
        assert {sample.name for sample in heard if isinstance(sample, PoseSample)} == set(names)


def test_their_client_of_bundles(peers: Peers) -> None:
    with heard_from(peers, "Bind/BindClient", 200, count=10) as (heard, _):
        texts = [message for message in heard if isinstance(message, TextSample)]
        assert {(sample.name, sample.text) for sample in texts} == {("StringMessage", STRINGS[0])}
        check_poses([message for message in heard if isinstance(message, PoseSample)], POSES)


def test_their_client_of_images(peers: Peers) -> None:
    with heard_from(peers, "Imager/ImagerClient", 100, IMAGES, count=5) as (heard, _):
        check_images(heard)


def test_their_clients_of_texts(peers: Peers) -> None:
    with heard_from(peers, "String/StringClient", 200, count=5) as (heard, _):
        assert tuple(message.text for message in heard[:5]) == STRINGS  # type: ignore[union-attr]
    with heard_from(peers, "Status/StatusClient") as (heard, _):
        check_status(heard[0])
    with heard_from(peers, "Capability/CapabilityClient") as (heard, _):
        assert isinstance(heard[0], Capability)
        assert heard[0].types == TYPES


def test_their_clients_of_points_and_trajectories(peers: Peers) -> None:
    """The second trajectory's target is set twice in their source, the third's never."""
    with heard_from(peers, "Point/PointClient") as (heard, _):
        assert isinstance(heard[0], Table)
        assert heard[0].records == POINTS
    with heard_from(peers, "Trajectory/TrajectoryClient") as (heard, _):
        assert isinstance(heard[0], Table)
        targets = [(20.0, 20.0, 40.0), (10.0, 40.0, 20.0), (0.0, 0.0, 0.0)]
        assert heard[0].records == trajectories(targets)
