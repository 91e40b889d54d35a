"""Debian's C++ programs as independent peers: what we send, their library reads, CRC checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from devices.openigtlink import (
    ImageDescription,
    LabelDescription,
    Message,
    NamedPoint,
    OpenIGTLinkServer,
    Query,
    Surface,
    SurfaceAttribute,
    TrackedElement,
    Trajectory,
    pack_bundle,
    pack_capability,
    pack_image_list,
    pack_label_list,
    pack_points,
    pack_position,
    pack_qtdata,
    pack_string,
    pack_surface,
    pack_tdata,
    pack_trajectories,
    pack_transform,
)
from tests.devices.igtl_peers import Peer, Peers
from tests.devices.support import POSE, wait_for

MATRIX = """\
=============
0, -1, 0, 10
1, 0, 0, -20.5
0, 0, 1, 300.25
0, 0, 0, 1
=============
"""
TOOL = [TrackedElement("Needle", POSE)]


@contextmanager
def receiver(peers: Peers) -> Iterator[tuple[OpenIGTLinkServer, Peer]]:
    with (
        OpenIGTLinkServer("room") as room,
        peers.started("Receiver/ReceiveClient", "127.0.0.1", room.port) as peer,
    ):
        wait_for(lambda: room.clients() == 1)
        yield room, peer


def test_poses_of_every_kind(peers: Peers) -> None:
    with receiver(peers) as (room, peer):
        room.send_pose("Needle", POSE, timestamp_s=2.5)
        peer.wait_for(f"Time stamp: 2.500000000\nReceiving TRANSFORM data type.\n{MATRIX}")
        room.broadcast(pack_position("Needle", POSE, 1.0), "Needle")
        peer.wait_for(
            "Receiving POSITION data type.\n"
            "position   = (10, -20.5, 300.25)\nquaternion = (0, 0, 0.707107, 0.707107)\n"
        )
        room.send_tracking("Tools", TOOL)
        head = "========== Element #0 ==========\n Name       : Needle\n Type       : 2\n"
        peer.wait_for(f"Receiving TDATA data type.\n{head} Matrix : \n{MATRIX}")
        room.broadcast(pack_qtdata("Tools", TOOL, 1.0), "Tools")
        peer.wait_for(
            f"Receiving QTDATA data type.\n{head}"
            " Position   : 10, -20.5, 300.25\n Quaternion : 0, 0, 0.707107, 0.707107\n"
        )


def test_a_damaged_message_is_the_receivers_to_refuse(peers: Peers) -> None:
    """Their CRC check is on: the matrix of a damaged TRANSFORM is not printed, the next one is."""
    damaged = bytearray(pack_transform("Needle", POSE, 1.0))
    damaged[-1] ^= 1
    with receiver(peers) as (room, peer):
        room.broadcast(bytes(damaged), "Needle")
        room.send_text("Log", "next")
        peer.wait_for("next")
        assert "=====" not in peer.said()


def test_images_up_to_a_megabyte(peers: Peers) -> None:
    with receiver(peers) as (room, peer):
        for size in ((30, 40), (1024, 1024)):
            room.send_image("US", np.ones(size, np.uint16), np.diag((0.5, 0.25, 2.0, 1.0)))
            shape = f"({size[1]}, {size[0]}, 1)"
            peer.wait_for(
                "Device Name           : US\nScalar Type           : 5\n"
                f"Dimensions            : {shape}\nSpacing               : (0.5, 0.25, 2)\n"
                f"Sub-Volume dimensions : {shape}\nSub-Volume offset     : (0, 0, 0)\n"
            )


def test_texts(peers: Peers) -> None:
    with receiver(peers) as (room, peer):
        room.send_status(13, "no tool in sight")
        peer.wait_for(" Code      : 13\n SubCode   : 0\n")
        peer.wait_for(" Status    : no tool in sight\n")
        room.send_text("Log", "hello")
        peer.wait_for("Encoding: 3; String: hello\n")
        room.send_text("Log", "Nadelführung")
        peer.wait_for("Encoding: 106; String: Nadelführung\n")
        room.broadcast(pack_capability("room", ("TRANSFORM", "IMAGE"), 1.0), "room")
        peer.wait_for("Typename #0: TRANSFORM\nTypename #1: IMAGE\n")


def test_points_and_trajectories(peers: Peers) -> None:
    colour = "255, 128, 0, 64"
    point = NamedPoint("Tip", (1.0, -2.0, 3.5), "Landmark", (255, 128, 0, 64), 1.5, "CT")
    path = Trajectory(
        "Path", (1, 2, 3), (-4, 5.5, 6), rgba=(255, 128, 0, 64), radius_mm=2.0, owner="CT"
    )
    with receiver(peers) as (room, peer):
        room.broadcast(pack_points("Plan", [point], 1.0), "Plan")
        peer.wait_for(
            f" Name      : Tip\n GroupName : Landmark\n RGBA      : ( {colour} )\n"
            " Position  : ( 1.000000, -2.000000, 3.500000 )\n Radius    : 1.500000\n"
            " Owner     : CT\n"
        )
        room.broadcast(pack_trajectories("Plan", [path], 1.0), "Plan")
        peer.wait_for(
            f" Name      : Path\n GroupName : Trajectory\n RGBA      : ( {colour} )\n"
            " Entry Pt  : ( 1.000000, 2.000000, 3.000000 )\n"
            " Target Pt : ( -4.000000, 5.500000, 6.000000 )\n"
            " Radius    : 2.000000\n Owner     : CT\n"
        )


def test_bundles(peers: Peers) -> None:
    bundle = pack_bundle(
        "Both", [pack_string("Log", "odd", 1.0), pack_transform("Needle", POSE, 1.0)], 1.0
    )
    with peers.served("Receiver/ReceiveServer") as (client, _):
        client.send(bundle)
        said = peers.newest()
        said.wait_for("Message type: STRING\nMessage name: Log\nEncoding: 3; String: odd\n")
        said.wait_for(f"Message type: TRANSFORM\nMessage name: Needle\n{MATRIX}")


Answer = Callable[[], bytes]
POINTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.5]], np.float32)
SURFACE = Surface(
    "Liver",
    POINTS,
    polygons=(np.array([2, 0, 1], np.uint32),),
    lines=(np.array([1, 2], np.uint32),),
    attributes=(SurfaceAttribute("heat", 0, np.array([[1], [2], [3]], np.float32)),),
)
CT = ImageDescription("Chest", "CT_1", "CT", "Doe^Jane", "4711", 1.5, (512, 256, 64), 4)
LABEL = LabelDescription("Tumour", "SEG_1", 3, (1, 2, 3, 4), (512, 256, 64), "CT_1")
ANSWERS: dict[str, tuple[str, tuple[object, ...], Answer, tuple[str, ...]]] = {
    "STT_TDATA": (
        "TrackingData/TrackingDataClient",
        (50,),
        lambda: pack_tdata("Tools", TOOL, 1.0),
        (" Name       : Needle\n Type       : 2\n", MATRIX),
    ),
    "STT_QTDATA": (
        "QuaternionTrackingData/QuaternionTrackingDataClient",
        (50,),
        lambda: pack_qtdata("Tools", TOOL, 1.0),
        (" Name       : Needle\n Type       : 2\n", " Quaternion : 0, 0, 0.707107, 0.707107\n"),
    ),
    "GET_POLYDATA": (
        "PolyData/PolyDataClient",
        (),
        lambda: pack_surface(SURFACE, 1.0),
        (
            "  point[0] = (1, 0, 0)\n  point[1] = (0, 1, 0)\n  point[2] = (0, 0, 1.5)\n",
            # Their program prints the first number of every cell twice.
            "  ------ Lines ------\n  cell[0] = (1, 1, 2)\n",
            "  ------ Polygons ------\n  cell[0] = (2, 2, 0, 1)\n",
            "  Name = heat\n  Type = POINT_SCALAR\n"
            "  data[0] = (1)\n  data[1] = (2)\n  data[2] = (3)\n",
        ),
    ),
    "GET_IMGMETA": (
        "ImageMeta/ImageMetaClient",
        (),
        lambda: pack_image_list("room", [CT], 1.0),
        (
            " Name       : Chest\n DeviceName : CT_1\n Modality   : CT\n"
            " PatientName: Doe^Jane\n PatientID  : 4711\n TimeStamp  : 1.500000\n"
            " Size       : ( 512, 256, 64)\n ScalarType : 4\n",
        ),
    ),
    "GET_LBMETA": (
        "ImageMeta/LabelMetaClient",
        (),
        lambda: pack_label_list("room", [LABEL], 1.0),
        (
            " Name       : Tumour\n DeviceName : SEG_1\n Label      : 3\n"
            " RGBA       : ( 1, 2, 3, 4 )\n Size       : ( 512, 256, 64)\n Owner      : CT_1\n",
        ),
    ),
}


@pytest.mark.parametrize("query", ANSWERS)
def test_what_their_clients_ask_for(peers: Peers, query: str) -> None:
    program, arguments, pack, expected = ANSWERS[query]
    asked: list[str] = []

    def answer(message: Message) -> None:
        assert isinstance(message, Query)
        asked.append(message.type)
        room.broadcast(pack(), "answer")

    with (
        OpenIGTLinkServer("room", on_message=answer) as room,
        peers.started(program, "127.0.0.1", room.port, *arguments) as peer,
    ):
        for text in expected:
            peer.wait_for(text)
        assert set(asked) == {query}
        assert room.fault() is None


def test_their_client_ends_the_tracking_it_asked_for(peers: Peers) -> None:
    """After ten TDATA it sends STP_TDATA."""
    asked: list[str] = []

    def answer(message: Message) -> None:
        assert isinstance(message, Query)
        asked.append(message.type)

    with (
        OpenIGTLinkServer("room", on_message=answer) as room,
        peers.started("TrackingData/TrackingDataClient", "127.0.0.1", room.port, 50),
    ):
        wait_for(lambda: asked)
        for _ in range(10):
            room.send_tracking("Tools", TOOL)
        wait_for(lambda: len(asked) == 2)
    assert asked == ["STT_TDATA", "STP_TDATA"]
