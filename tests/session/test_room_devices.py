"""Every kind of device in the room file: read strictly, opened by its own driver."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from devices.contract import DeviceError, ImageSample, PoseSample, Sample
from devices.keyboard_pedal import KeyLine
from devices.optical import Intrinsics, write_intrinsics
from hw_mocks.ndi import MockTracker, Sighting, TcpServer, tool_definition
from hw_mocks.pedal import BouncingContact, SerialPedal
from ir_nav.session.opening_devices import opener
from ir_nav.session.room import Room, RoomError, parse_room, read_room
from tests.session.rig import wait_for

HEAD = 'format = 1\nname = "R"\nsource = "live"\n[[devices]]\nname = "d"\n'
NDI = 'kind = "ndi"\naddress = "127.0.0.1:8765"\ntools = { NeedleToTracker = "n.rom" }\n'
ARUCO = 'kind = "aruco"\naddress = "film.avi"\nbodies = "bodies.toml"\nintrinsics = "camera.json"\n'
VIDEO = 'kind = "video"\naddress = "film.avi"\n'
KEYS = 'kind = "keyboard-pedal"\n'
PEDAL = 'kind = "pedal"\nport = "/dev/ttyUSB9"\n'
OPENIGTLINK = 'kind = "openigtlink"\nport = 18944\n'
MARKERS_MM = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0], [0.0, 40.0, 0.0], [0.0, 0.0, 30.0]])
BODIES = """
format = 1
dictionary = "ARUCO_MIP_36h12"
[[bodies]]
transform = "NeedleToTracker"
[[bodies.markers]]
id = 3
corners_mm = [[-20, -20, 0], [20, -20, 0], [20, 20, 0], [-20, 20, 0]]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Everything the rooms below refer to."""
    (tmp_path / "n.rom").write_bytes(tool_definition("Needle", MARKERS_MM))
    (tmp_path / "bodies.toml").write_text(BODIES)
    intrinsics = Intrinsics((320, 240), (300.0, 300.0), (160.0, 120.0), (0.0,) * 5, 0.3)
    write_intrinsics(tmp_path / "camera.json", intrinsics)
    film = cv2.VideoWriter(
        str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 240)
    )
    for grey in range(0, 250, 10):
        film.write(np.full((240, 320, 3), grey, np.uint8))
    film.release()
    return tmp_path


def room_in(folder: Path, device: str, more: str = "") -> Room:
    path = folder / "room.toml"
    path.write_text(HEAD + device + more)
    return read_room(path)


def samples_of(room: Room, count: int) -> list[Sample]:
    taken: list[Sample] = []
    with opener(room.devices[0])(taken.append):
        wait_for(lambda: len(taken) >= count, f"{count} samples")
    return taken


def test_an_ndi_tracker_is_opened_with_its_rom_file(folder: Path) -> None:
    pose = np.eye(4)
    pose[:3, 3] = (10.0, 20.0, -900.0)
    tracker = MockTracker(lambda _: {"Needle": Sighting(pose)}, frame_rate_hz=60.0)
    with TcpServer(tracker) as server:
        room = room_in(folder, NDI.replace("8765", str(server.port)))
        sample = samples_of(room, 3)[0]
    assert isinstance(sample, PoseSample)
    assert sample.name == "NeedleToTracker"
    assert sample.matrix is not None
    np.testing.assert_allclose(sample.matrix[:3, 3], pose[:3, 3], atol=0.01)


def test_a_camera_with_markers_is_opened(folder: Path) -> None:
    sample = samples_of(room_in(folder, ARUCO), 2)[0]
    assert isinstance(sample, PoseSample)
    assert (sample.name, str(sample.status)) == ("NeedleToTracker", "missing")


def test_a_video_is_opened_cropped_and_under_its_name(folder: Path) -> None:
    more = 'image = "US"\ncrop = { column = 10, row = 20, width = 100, height = 50 }\n'
    sample = samples_of(room_in(folder, VIDEO + more), 2)[0]
    assert isinstance(sample, ImageSample)
    assert sample.name == "US"
    assert sample.pixels.shape == (50, 100)


def test_a_pedal_is_opened(folder: Path) -> None:
    with SerialPedal(BouncingContact(np.random.default_rng(1), 0.005, 0.002)) as pedal:
        room = room_in(folder, PEDAL.replace("/dev/ttyUSB9", pedal.port))
        taken: list[Sample] = []
        with opener(room.devices[0])(taken.append):
            pedal.move(True)
            wait_for(lambda: taken, "the step")


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (NDI.replace("127.0.0.1:8765", "/dev/ttyNONE"), "no such serial port"),
        (PEDAL, "ttyUSB9"),
        (VIDEO.replace("film.avi", "none.avi"), "there is no such video file"),
        (VIDEO.replace('"film.avi"', "77"), "does not open"),
        (ARUCO.replace("bodies.toml", "camera.json"), "bodies: "),
        (PEDAL + 'wiring = "cts"\nsilence_s = 2.0\n', "leave silence_s out"),
    ],
)
def test_what_cannot_be_connected_is_a_device_error(folder: Path, device: str, words: str) -> None:
    entry = room_in(folder, device).devices[0]
    with pytest.raises(DeviceError, match=words), opener(entry)(lambda _: None):
        pytest.fail("connected to nothing")


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (NDI.replace("n.rom", "x.rom"), r"devices\.0\.tools\.NeedleToTracker: there is no file"),
        (ARUCO.replace("bodies.toml", "b.toml"), r"devices\.0\.bodies: there is no file .*b\.toml"),
        (ARUCO.replace("camera", "cam"), r"devices\.0\.intrinsics: there is no file .*cam\.json"),
        (NDI.replace("address", "adress"), r"devices\.0\.adress: unknown key; did you mean 'addr"),
        (NDI + "baud = 1\n", r"devices\.0\.baud: Input should be 9600"),
        (NDI + 'binary = "yes"\n', r"devices\.0\.binary: .*boolean"),
        (NDI.replace('"n.rom"', "{ prt = 1 }"), r"NeedleToTracker\.prt: unknown key; did you mean"),
        (NDI.replace('"n.rom"', "{ port = 0 }"), r"NeedleToTracker\.port: .*greater than"),
        (NDI.replace('{ NeedleToTracker = "n.rom" }', "{}"), r"tools: .*at least 1"),
        (NDI.replace("NeedleToTracker", "N" * 21), r"at most 20"),
        (VIDEO.replace('"film.avi"', "1.5"), r"devices\.0\.address: .*integer"),
        (VIDEO + "crop = { colum = 1 }\n", r"crop\.colum: unknown key; did you mean 'column'"),
        (VIDEO + "size_px = [1, 2, 3]\n", r"devices\.0\.size_px"),
        (VIDEO + "delay_s = -0.1\n", r"delay_s: .*greater than or equal to 0"),
        (PEDAL + 'wiring = "rts"\n', r"wiring: .*'characters', 'cts' or 'dsr'"),
        (PEDAL + "settle_s = nan\n", r"settle_s: .*finite"),
        (KEYS + 'keys = ["F1"]\n', r"keys\.0: 'F1' cannot be a pedal: take F2 to F24 but F6"),
        (KEYS + "keys = []\n", r"devices\.0\.keys: .*at least 1"),
        (KEYS + 'key = "F9"\n', r"devices\.0\.key: unknown key; did you mean 'keys'"),
        (KEYS + "settle_s = 1.0\n", r"settle_s: .*less than or equal to 0.5"),
        (OPENIGTLINK + 'tracking = "POSITION"\n', r"tracking: .*'TDATA' or 'QTDATA'"),
        ("port = 18944\n", r"devices\.0\.kind: Field required; one of openigtlink, ndi, aruco"),
        (OPENIGTLINK.replace("18944", '"18944"'), r"devices\.0\.port: .*integer"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_key(folder: Path, device: str, words: str) -> None:
    with pytest.raises(RoomError, match=words):
        room_in(folder, device)


def test_a_pedal_that_types_needs_a_window_and_there_is_one_of_it(folder: Path) -> None:
    room = room_in(folder, KEYS)
    assert room.devices[0].keys == ("F9", "F13", "PageDown")  # type: ignore[union-attr]
    keys, taken = KeyLine(), []
    with pytest.raises(DeviceError, match="no window has the keyboard"):
        opener(room.devices[0], keys)(taken.append).__enter__()
    keys.open()
    with opener(room.devices[0], keys)(taken.append):
        keys.turn(True, time.monotonic())
        wait_for(lambda: taken, "the step")
    with pytest.raises(RoomError, match="only one keyboard-pedal; name all keys in its 'keys'"):
        room_in(folder, KEYS + '[[devices]]\nname = "Second"\n' + KEYS)


def tool(transform: str) -> str:
    return f'[[tools]]\nrole = "needle"\nname = "N"\ndevice = "d"\ntransform = "{transform}"\n'


IMAGES = """[ultrasound]
device = "d"
image = "US"
depth_mm = 120.0
probe_from_image = [[0.2, 0, 0, 0], [0, 0.2, 0, 0], [0, 0, 0.2, 0], [0, 0, 0, 1]]
"""


@pytest.mark.parametrize(
    ("device", "more", "words"),
    [
        (NDI, tool("StylusToTracker"), r"tools\.N\.transform: 'd' tracks no 'StylusToTracker'"),
        (PEDAL, tool("NeedleToTracker"), r"kind pedal, which delivers no poses"),
        (VIDEO, tool("NeedleToTracker"), r"kind video, which delivers no poses"),
        (NDI, IMAGES, r"ultrasound\.image: 'd' is of kind ndi, which delivers no images"),
        (VIDEO, IMAGES, r"'d' delivers 'Image', not 'US'"),
    ],
)
def test_a_tool_or_image_that_its_device_cannot_deliver_is_refused(
    device: str, more: str, words: str
) -> None:
    with pytest.raises(RoomError, match=words):
        parse_room(HEAD + device + more, None)


def test_drivers_of_other_kinds_are_not_imported() -> None:
    code = (
        "import sys; from ir_nav.session.room import read_room;"
        "from ir_nav.session.opening_devices import opener;"
        "print([name for name in ('serial', 'devices.ndi', 'devices.optical', 'devices.video')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_one_fault_is_told_once(folder: Path) -> None:
    with pytest.raises(RoomError) as refusal:
        room_in(folder, VIDEO.replace('"film.avi"', "[1]"))
    path, _, words = str(refusal.value).partition(": ")
    assert path == str(folder / "room.toml")
    assert words == "devices.0.address: Input should be an integer (a device's index) or a string"
