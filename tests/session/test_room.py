"""The room file: what is wrong with it is told with file, key and the nearest known key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from ir_nav.session.room import RoomError, read_room
from ir_nav.session.state import Role, Source

ROOM = """
format = 1
name = "Bench"
source = "live"

[[devices]]
name = "tracker"
kind = "openigtlink"
port = 18944

[[tools]]
role = "needle"
name = "Needle"
device = "tracker"
transform = "NeedleToTracker"

[[tools]]
role = "reference"
name = "Reference"
device = "tracker"
transform = "ReferenceToTracker"

[ultrasound]
device = "tracker"
image = "Image"
depth_mm = 120.0
probe_from_image = [[0.2, 0, 0, -30.0], [0, 0.2, 0, 5.0], [0, 0, 0.2, 0.0], [0, 0, 0, 1]]

[fluoro]
device = "tracker"
image = "Fluoro"
sid_mm = 1000.0
pixel_mm = [0.5, 0.5]
size_px = [512, 512]
principal_px = [255.5, 255.5]
tracker_from_carm = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -700.0], [0, 0, 0, 1]]

[case]
ct = "ct.nii.gz"
fiducials = [{ name = "F1", ct_mm = [1.0, 2.0, 3.0] }]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "room.toml"
    path.write_text(ROOM)
    return path


def changed(path: Path, old: str, new: str) -> Path:
    assert old in ROOM
    path.write_text(ROOM.replace(old, new, 1))
    return path


def test_a_room_is_read_as_it_was_written(path: Path) -> None:
    room = read_room(path)
    document = tomllib.loads(ROOM)
    assert room.source is Source.LIVE
    assert [tool.role for tool in room.tools] == [Role.NEEDLE, Role.REFERENCE]
    assert (room.devices[0].host, room.devices[0].port) == ("127.0.0.1", 18944)
    assert room.ultrasound is not None
    np.testing.assert_array_equal(
        room.ultrasound.matrix, np.array(document["ultrasound"]["probe_from_image"], dtype=float)
    )
    assert room.fluoro is not None
    np.testing.assert_allclose(room.fluoro.geometry.project((0, 10, 500)), (255.5, 295.5))
    assert room.case is not None
    assert room.case.fiducials[0].ct_mm == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port = 18944", "prot = 18944", r"devices\.0\.prot: unknown key; did you mean 'port'\?"),
        ("transform =", "tranform =", r"tools\.0\.tranform: unknown key; did you mean 'transform'"),
        ("depth_mm", "deph_mm", r"ultrasound\.deph_mm: unknown key; did you mean 'depth_mm'"),
        ("[fluoro]", "[flouro]", r"flouro: unknown key; did you mean 'fluoro'"),
        ("ct_mm =", "ct_m =", r"fiducials\.0\.ct_m: unknown key; did you mean 'ct_mm'"),
        ("source =", "zzzz = 1\nsource =", r"zzzz: unknown key; known keys: .*devices"),
        ('source = "live"', 'source = "life"', r"source: Input should be 'live'"),
        ("format = 1", "format = 3", r"format: Input should be 1"),
        ('kind = "openigtlink"', 'kind = "telepathy"', r"devices\.0\.kind: .*'openigtlink'"),
        ("port = 18944", "port = 0", r"devices\.0\.port: .*greater than or equal to 1"),
        ("port = 18944", "port = 70000", r"devices\.0\.port: .*less than or equal to 65535"),
        ("[[devices]]", "[[others]]", r"devices: Field required"),
        ('role = "reference"', 'role = "needle"', r"two tools have the same role"),
        ('device = "tracker"', 'device = "radar"', r"tools\.Needle\.device: there is no device 'radar'"),  # noqa: E501
        ('[ultrasound]\ndevice = "tracker"', '[ultrasound]\ndevice = "x"', r"ultrasound\.device: there is no device 'x'"),  # noqa: E501
        ('[fluoro]\ndevice = "tracker"', '[fluoro]\ndevice = "x"', r"fluoro\.device: there is no device 'x'"),  # noqa: E501
        ("[[tools]]", '[[devices]]\nname="tracker"\nkind="openigtlink"\nport=1\n[[tools]]', r"two devices have the same name"),  # noqa: E501
        ("[[0.2, 0, 0, -30.0]", "[[0.4, 0, 0, -30.0]", r"probe_from_image: "),
        ("[[0.2, 0, 0, -30.0]", "[[0.0, 0, 0, -30.0]", r"probe_from_image: "),
        ("[[0.2, 0, 0, -30.0]", "[[0.2, 0.2, 0, -30.0]", r"probe_from_image: "),
        ("[[0.2, 0, 0, -30.0]", "[[-0.2, 0, 0, -30.0]", r"probe_from_image: .*reflection"),
        ("[[0.2, 0, 0, -30.0]", "[[0.2, 0, 0, nan]", r"probe_from_image: .*not finite"),
        ("[[1, 0, 0, 0]", "[[1.1, 0, 0, 0]", r"tracker_from_carm: .*not orthonormal"),
        ("[[1, 0, 0, 0]", "[[-1, 0, 0, 0]", r"tracker_from_carm: .*reflection"),
        ("[0, 0, 0, 1]]\n\n[case]", "[0, 0, 1, 1]]\n\n[case]", r"tracker_from_carm: last row"),
        ("[0, 1, 0, 0], [0, 0, 1, -700.0], ", "", r"tracker_from_carm"),
        ("\ntracker_from_carm", "\n# tracker_from_carm", r"fluoro: give either tracker_from_carm or a tool"),  # noqa: E501
        ('role = "reference"', 'role = "carm"', r"fluoro: give either tracker_from_carm or a tool"),
        ("[case]", "reach = { lao_deg = 200.0 }\n[case]", r"fluoro\.reach\.lao_deg: .*less than or equal to 180"),  # noqa: E501
        ("[case]", "reach = { cran_deg = 20.0 }\n[case]", r"fluoro\.reach\.cran_deg: unknown key; did you mean 'cranial_deg'"),  # noqa: E501
        ("pixel_mm = [0.5, 0.5]", "pixel_mm = [0.0, 0.5]", r"fluoro\.pixel_mm\.0: .*greater than 0"),  # noqa: E501
        ("depth_mm = 120.0", "depth_mm = -1.0", r"ultrasound\.depth_mm: "),
        ("ct_mm = [1.0, 2.0, 3.0]", "ct_mm = [1.0, nan, 3.0]", r"fiducials\.0\.ct_mm\.1: .*finite"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_file_key_and_cure(
    path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(RoomError, match=words) as refusal:
        read_room(changed(path, old, new))
    assert str(refusal.value).startswith(f"{path}: ")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match=r"none\.toml: there is no such room file"):
        read_room(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"{}", b"format = 1\nformat = 1"])
def test_what_is_no_toml_is_no_room(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "room.toml"
    path.write_bytes(content)
    with pytest.raises(RoomError, match="not a room file"):
        read_room(path)


def test_an_empty_file_lacks_every_key(tmp_path: Path) -> None:
    path = tmp_path / "room.toml"
    path.write_text("")
    with pytest.raises(RoomError, match=r"format: Field required; name: Field required; source:"):
        read_room(path)
