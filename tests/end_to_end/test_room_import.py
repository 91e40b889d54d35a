"""Plus device sets to room files, by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ir_nav.session.device_entries import ArucoEntry, NdiEntry, OpenIGTLinkEntry, PlugEntry
from ir_nav.session.room import parse_room, read_room
from ir_nav.session.state import Role
from ir_nav.tracking.plus_device_set import read_device_set
from tests.end_to_end.plus_rooms import plus, run
from tests.end_to_end.running import ir_nav

pytestmark = pytest.mark.end_to_end


ROOM = """format = 1
name = "Bench [1]"
source = "live"
[[devices]]
name = "Tracker"
kind = "openigtlink"
port = 18944
"""
CAMERA = """%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 600., 0., 320., 0., 601., 240., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ 0.1, -0.2, 0.001, 0.002, 0.05 ]
avg_reprojection_error: 0.4
"""


def test_a_room_is_checked_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "room.toml"
    path.write_text(ROOM)
    done = ir_nav("room", "check", path)
    assert done.returncode == 0, done.stderr
    assert "Bench [1]" in done.stdout
    assert "127.0.0.1:18944" in done.stdout
    path.write_text(ROOM.replace("port", "prot"))
    refused = run("room", "check", path)
    assert refused.code == 1
    assert "devices.0.prot: unknown key; did you mean 'port'?" in refused.err


def test_the_schema_holds_every_kind() -> None:
    schema = json.loads(run("room", "schema").out)
    mapping = schema["$defs"]
    for name in (
        "OpenIGTLinkEntry",
        "NdiEntry",
        "ArucoEntry",
        "VideoEntry",
        "PedalEntry",
        "KeyboardPedalEntry",
    ):
        assert mapping[name]["additionalProperties"] is False


def test_plus_is_the_device_where_it_serves(tmp_path: Path) -> None:
    out = tmp_path / "room.toml"
    done = run("room", "import-plus", plus("PlusDeviceSet_Server_NDIPolaris.xml"), "--out", out)
    assert done.code == 0
    assert "tool Tool: has no role here" in done.err
    room = read_room(out)
    (device,) = room.devices
    assert isinstance(device, OpenIGTLinkEntry)
    assert (device.host, device.port) == ("127.0.0.1", 18944)
    assert {tool.role: tool.transform for tool in room.tools} == {
        Role.STYLUS: "StylusToTracker",
        Role.REFERENCE: "ReferenceToTracker",
    }
    assert '# "StylusTip to Stylus" = [[1.0, 0.0, 0.000203823' in out.read_text()


def test_a_tool_is_given_a_role_and_tdata_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "room.toml"
    path = plus("PlusDeviceSet_Server_NDIPolaris.xml")
    done = run("room", "import-plus", path, "--out", out, "--role", "Tool=needle")
    assert (done.code, done.err) == (0, "")
    assert Role.NEEDLE in {tool.role for tool in read_room(out).tools}
    path = plus("Testing", "PlusDeviceSet_OpenIGTLinkTracker_TDATA_Server.xml")
    run("room", "import-plus", path, "--out", out)
    (device,) = read_room(out).devices
    assert isinstance(device, OpenIGTLinkEntry)
    assert (device.port, device.tracking) == (22222, "TDATA")


def test_the_image_calibration_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "room.toml"
    path = plus("Testing", "PlusDeviceSet_OpenIGTLinkTestServer.xml")
    done = run("room", "import-plus", path, "--out", out)
    assert "give it with --depth-mm" in done.err
    assert read_room(out).ultrasound is None
    run("room", "import-plus", path, "--out", out, "--depth-mm", "60")
    room = read_room(out)
    assert room.ultrasound is not None
    np.testing.assert_array_equal(
        room.ultrasound.matrix, read_device_set(path).transform("Image", "Probe")
    )
    assert {tool.role for tool in room.tools} == {Role.PROBE, Role.REFERENCE}


def test_ndi_trackers_are_opened_directly(tmp_path: Path) -> None:
    out = tmp_path / "room.toml"
    path = plus("PlusDeviceSet_Server_NDIVega.xml")
    done = run("room", "import-plus", path, "--direct", "--out", out)
    assert done.code == 0
    assert "8700248.rom of StylusToReference: not found" in done.err
    assert "TrackedVideoDevice (VirtualMixer): the console has no such device" in done.err
    room = parse_room(out.read_text(), None)
    tracker, camera = room.devices
    assert isinstance(tracker, NdiEntry)
    assert tracker.address == "192.168.0.30:8765"
    assert list(tracker.tools) == ["StylusToReference"]
    assert (camera.kind, room.tools[0].transform) == ("video", "StylusToReference")


def test_wired_tools_keep_their_plugs(tmp_path: Path) -> None:
    path, out = tmp_path / "aurora.xml", tmp_path / "room.toml"
    path.write_text(
        '<P><Device Id="A" Type="AuroraTracker" SerialPort="2" BaudRate="921600"><DataSources>'
        '<DataSource Type="Tool" Id="Needle" PortName="0"/>'
        '<DataSource Type="Tool" Id="Stylus" PortName="101"/>'
        "</DataSources></Device></P>"
    )
    done = run("room", "import-plus", path, "--direct", "--out", out)
    assert "SerialPort 2 of A (AuroraTracker)" in done.err
    (device,) = read_room(out).devices
    assert isinstance(device, NdiEntry)
    assert device.baud == 921600
    assert device.tools == {
        "NeedleToTracker": PlugEntry(port=1, channel=0),
        "StylusToTracker": PlugEntry(port=2, channel=1),
    }


def test_the_marker_tracker_brings_its_files_along(tmp_path: Path) -> None:
    source = plus("PlusDeviceSet_Server_OpticalMarkerTracker_Mmf.xml")
    folder = tmp_path / "plus"
    (folder / "OpticalMarkerTracker").mkdir(parents=True)
    path, out = folder / "set.xml", tmp_path / "out" / "room.toml"
    path.write_bytes(source.read_bytes())
    done = run("room", "import-plus", path, "--direct", "--out", out)
    assert "its CameraCalibrationFile is not at" in done.err
    (folder / "OpticalMarkerTracker" / "realsense_gen2_calibration.yml").write_text(CAMERA)
    done = run("room", "import-plus", path, "--direct", "--out", out, "--role", "Marker5=needle")
    assert done.code == 0
    room = read_room(out)
    (device,) = room.devices
    assert isinstance(device, ArucoEntry)
    assert device.address == 1
    assert room.tools[0].transform == "Marker5ToTracker"

    from devices.optical import read_bodies, read_intrinsics

    bodies, camera = read_bodies(device.bodies), read_intrinsics(device.intrinsics)
    assert len(bodies.bodies) == 9
    corners = bodies.bodies[5].corners_mm[5]
    np.testing.assert_array_equal(corners[0], (-15.0, 15.0, 0.0))
    assert (camera.size_px, camera.rms_px) == ((640, 480), 0.4)
    assert camera.distortion == (0.1, -0.2, 0.001, 0.002, 0.05)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<P/>", "holds no device for a room"),
        ('<!DOCTYPE P [<!ENTITY a "b">]><P/>', "has a DTD"),
        ("<P>", "not a Plus device set"),
    ],
)
def test_a_device_set_without_a_room_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path, out = tmp_path / "set.xml", tmp_path / "room.toml"
    path.write_text(text)
    done = run("room", "import-plus", path, "--out", out)
    assert done.code == 1
    assert words in done.err
    assert not out.exists()


def test_names_of_the_device_set_cannot_break_out_of_the_room_file(tmp_path: Path) -> None:
    path, out = tmp_path / "set.xml", tmp_path / "room.toml"
    path.write_text(
        '<P><DeviceSet Name="a&#10;b &quot;c&quot; \\ é"/>'
        '<Transform From="A&#10;format = 2" To="B" Matrix="1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"/>'
        '<PlusOpenIGTLinkServer ListeningPort="1"/></P>'
    )
    assert run("room", "import-plus", path, "--out", out).code == 0
    assert read_room(out).name == 'a b "c" \\ é'


def test_the_commands_start_without_heavy_imports() -> None:
    code = (
        "import sys; from ir_nav.commands import room;"
        "print([name for name in ('serial', 'devices.optical', 'vtk') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
