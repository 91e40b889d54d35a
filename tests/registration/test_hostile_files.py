"""Files that are damaged, lie, or were meant for something else: one sentence, and no harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from devices.recordings import RecordingError, read_recording
from ir_nav.cli import main
from ir_nav.commands.arguments import target_within
from ir_nav.imaging import ImagingError, Volume, VolumeInfo
from ir_nav.registration import RegistrationError
from ir_nav.registration.carm_calibration.distortion import term_count
from ir_nav.registration.carm_calibration.files import read_distortion, read_picture
from ir_nav.registration.fluoro.view import read_view
from ir_nav.registration.point_files import read_points
from ir_nav.registration.registration_file import image_matrix, read_start
from ir_nav.registration.surface import read_mesh
from tests.registration.example_files import landmark_files
from tests.registration.surfaces_made import meshed, torso
from tests.registration.test_surface_files import write_mesh
from tests.registration.ultrasound_scene import GEOMETRY

POSE = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 700.0], [0, 0, 0, 1.0]]
VIEW = {
    "format": 1, "sid_mm": 1020.0, "pixel_mm": [0.6, 0.6], "size_px": [512, 512],
    "principal_px": [255.5, 255.5], "carm_from_world": POSE, "pixels": "intensity",
}  # fmt: skip


def scaled(part: int, factor: float) -> list[list[float]]:
    """The pose with one row, or with the shift, times a factor."""
    matrix = np.array(POSE)
    if part == 3:
        matrix[:3, 3] *= factor
    else:
        matrix[part, :3] *= factor
    return matrix.tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sid_mm": 1.02}, "sid_mm"),
        ({"sid_mm": 1e300}, "sid_mm"),
        ({"sid_mm": True}, "sid_mm: Input should be a valid number"),
        ({"sid_mm": "1020"}, "sid_mm: Input should be a valid number"),
        ({"pixel_mm": [1e-300, 1e-300]}, "pixel_mm.0"),
        ({"pixel_mm": [0.0006, 0.0006]}, "pixel_mm.0"),
        ({"principal_px": [1e300, 0.0]}, "principal_px: lies"),
        ({"size_px": [10**9, 512]}, "size_px.0"),
        ({"format": True}, "format: Input should be 1"),
        ({"format": 2}, "format: Input should be 1"),
        ({"carm_from_world": scaled(0, -1.0)}, "carm_from_world: rotation part is a reflection"),
        ({"carm_from_world": scaled(1, 2.0)}, "not orthonormal"),
        ({"carm_from_world": scaled(3, 1e6)}, "more than 100 m: give it in mm"),
        ({"carm_from_world": POSE[:3]}, "carm_from_world"),
        ({"carm_from_world": np.array(POSE).T.tolist()}, "last row is not 0 0 0 1"),
        ({"carm_from_world": [[True, 0, 0, 0], *POSE[1:]]}, "should be a valid number"),
        ({"sid": 1020.0}, "sid: is not known here"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused_by_its_key(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    (tmp_path / "g.json").write_text(json.dumps(VIEW | change))
    with pytest.raises(RegistrationError, match=words):
        read_view(tmp_path / "g.json")


@pytest.mark.parametrize("key", list(VIEW))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    (tmp_path / "g.json").write_text(json.dumps({k: v for k, v in VIEW.items() if k != key}))
    with pytest.raises(RegistrationError, match=f"{key}: is missing"):
        read_view(tmp_path / "g.json")


@pytest.mark.parametrize("encode", [lambda t: t.encode("utf-8-sig"),
                                    lambda t: t.replace(", ", ",\r\n").encode()])  # fmt: skip
def test_byte_order_mark_and_line_ends_do_not_matter(
    tmp_path: Path, encode: Callable[[str], bytes]
) -> None:
    (tmp_path / "g.json").write_bytes(encode(json.dumps(VIEW)))
    assert read_view(tmp_path / "g.json").geometry.sid_mm == 1020.0


JSON_FAULTS = [
    (b"", "not a JSON file, or cut off"),
    (json.dumps(VIEW).encode()[:90], "not a JSON file, or cut off"),
    (b"null", "holds no keys and values"),
    (b"[" * 10_000 + b"]" * 10_000, "too many brackets"),
    (json.dumps(VIEW).encode("utf-16"), "save it as UTF-8"),
    (b'{"format": 1, ' + json.dumps(VIEW).encode()[1:], "'format' is given twice"),
    (b'{"sid_mm": 1' + b"0" * 5000 + b"}", "digits"),
    (b" " * (17 << 20), "too large"),
]


@pytest.mark.parametrize(("data", "words"), JSON_FAULTS)
@pytest.mark.parametrize("read", [read_view, read_start])
def test_what_is_no_document_is_refused(
    tmp_path: Path, read: Callable[[Path], object], data: bytes, words: str
) -> None:
    (tmp_path / "g.json").write_bytes(data)
    with pytest.raises(RegistrationError, match=words):
        read(tmp_path / "g.json")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"ct_from_reference": POSE, "accepted": False}, "refused .it does not say why.: begin"),
        ({"ct_from_reference": POSE, "accepted": False, "reason": "a\nb" * 999}, "refused .a ba b"),
        ({"ct_from_reference": POSE, "accepted": "no"}, "accepted: Input should be a valid bool"),
        ({"ct_from_reference": POSE, "world_from_ct": POSE}, "give one of"),
        ({"ct_from_reference": scaled(3, 1e300)}, "more than 100 m"),
        ({"world_from_ct": scaled(2, -1.0)}, "world_from_ct: rotation part is a reflection"),
    ],
)
def test_a_start_that_cannot_be_used_says_why(
    tmp_path: Path, document: dict[str, Any], words: str
) -> None:
    (tmp_path / "i.json").write_text(json.dumps(document))
    with pytest.raises(RegistrationError, match=words) as refused:
        read_start(tmp_path / "i.json")
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("p.csv", b"a,1,2,3\nb,4,1e300,6\n", "b lies more than 100 m away: give mm"),
        ("p.csv", b"0.1,0.2,0.3\n0.3,0.1,0.2\n0.2,0.2,0.5\n", "give mm, not metres"),
        ("p.csv", b"name,z,y,x\na,1,2,3\n", "headed z,y,x: give X,Y,Z in LPS, in this order"),
        ("p.csv", b"name,s,r,a\na,1,2,3\n", "headed s,r,a: give X,Y,Z in LPS"),
        ("p.csv", b"# CoordinateSystem = RAS\na,1,2,3\n", "line 1: says RAS"),
        ("p.csv", b"# CoordinateSystem = 0\na,1,2,3\n", "line 1: says RAS"),
        ("p.csv", b"a" * 200_000 + b",1,2,3\n", "line 1: not CSV"),
        ("p.csv", b"1,2,3\n" * 21, "more than 20 points: thin them out"),
        ("p.csv", "a,1,2,3\n".encode("utf-16"), "save it as UTF-8"),
        ("p.csv", b"x" * 81 + b",1,2,3\n", "longer than 80 characters"),
        ("p.json", b'{"a": [1, 2, 3], "a": [4, 5, 6]}', "'a' is given twice"),
        ("p.json", b'[{"name": "\\ud800", "position": [1, 2, 3]}]', "cannot be shown"),
        ("p.json", b'[{"name": {"a": 1}, "position": [1, 2, 3]}]', "is no text"),
        ("p.json", b'{"a\\nb": "x"}', "a b: needs three numbers"),
        ("p.json", b"[" * 1_000_000, "too many brackets"),
    ],
)
def test_points_that_cannot_be_used_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, words: str
) -> None:
    monkeypatch.setattr("ir_nav.registration.point_files.MOST_POINTS", 20)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RegistrationError, match=words):
        read_points(tmp_path / name)


def test_points_with_the_line_ends_of_an_old_mac(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"name,x,y,z\ra,1,2,3\rb,40,50,60\r")
    assert read_points(tmp_path / "p.csv").names == ("a", "b")


PLY = (
    "ply\nformat {}\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
    "element face {}\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n9 0 0\n0 9 0\n{}\n"
)
VTK = "# vtk DataFile Version 3.0\nx\n{}\nDATASET POLYDATA\n{}\n"
CORNERS = "POINTS 3 float\n0 0 0 9 0 0 0 9 0\nPOLYGONS 1 4\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.ply", PLY.format("ascii 1.0", 3, 1, "3 0 1 900000000"), "damaged, or no mesh"),
        ("m.ply", PLY.format("ascii 1.0", -3, 1, "3 0 1 2"), "damaged, or no mesh"),
        ("m.ply", PLY.format("binary_little_endian 1.0", 80_000_000, 1, ""), "damaged, or no mesh"),
        ("m.obj", "v 0 0 0\nv 9 0 0\nv 0 9 0\nf 1/1/1 2/2/2 3/3/3\n", "damaged, or no mesh"),
        ("m.vtk", VTK.format("ASCII", CORNERS + "3 0 1 99999999"), "damaged, or no mesh"),
        ("m.vtk", VTK.format("BINARY", "POINTS 900000000 float"), "damaged|holds no triangles"),
        ("m.obj", "v 0 0 0\nv .9 0 0\nv 0 .9 0\nf 1 2 3\n", "export it in mm, not in metres"),
        ("m.obj", "v 0 0 0\nv 9e9 0 0\nv 0 9 0\nf 1 2 3\n", "more than 100 m away"),
        ("m.obj", "v 0 0 0\nv 9 0 0\nv 0 nan 0\nf 1 2 3\n", "not finite"),
    ],
)
def test_a_mesh_that_ends_its_reader_is_damaged_and_no_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RegistrationError, match=words):
        read_mesh(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_half_a_mesh_is_damaged(tmp_path: Path) -> None:
    write_mesh(tmp_path / "m.ply", meshed(torso, 20, 20))
    whole = (tmp_path / "m.ply").read_bytes()
    (tmp_path / "m.ply").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RegistrationError, match="damaged, or no mesh"):
        read_mesh(tmp_path / "m.ply")


def frame_header(size: str, more: str = "", kind: str = "MET_USHORT") -> bytes:
    return (
        f"ObjectType = Image\nNDims = {len(size.split())}\nBinaryData = True\n{more}"
        f"DimSize = {size}\nElementType = {kind}\nElementDataFile = LOCAL\n"
    ).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot be read as an image"),
        (frame_header("84 84") + b"\0" * 999, "truncated or damaged"),
        (frame_header("8000 8000") + b"\0" * 999, "truncated or damaged"),
        (frame_header("32768 32768") + b"\0" * 999, "32768 x 32768 px: one 2D frame is needed"),
        (frame_header("84 84", "CompressedData = True\n") + b"\0" * 999, "truncated or damaged"),
        (frame_header("84 84 2") + b"\0" * 84 * 84 * 4, "one 2D frame is needed"),
        (frame_header("84 84", "ElementNumberOfChannels = 3\n") + b"\0" * 84 * 84 * 6, "in colour"),
        (frame_header("8 8", kind="MET_DOUBLE") + np.full(64, 1e300).tobytes(), "numbers beyond"),
    ],
)
def test_a_frame_that_cannot_be_used_says_why(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "f.mha").write_bytes(data)
    with pytest.raises((RegistrationError, ImagingError), match=words):
        read_picture(tmp_path / "f.mha")


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int64, np.float32, np.float64])
def test_a_frame_of_any_scalar_type_is_read(tmp_path: Path, kind: type) -> None:
    pixels = np.arange(120).reshape(10, 12).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "f.mha"))
    np.testing.assert_array_equal(read_picture(tmp_path / "f.mha"), pixels)


@pytest.mark.parametrize(
    "read", [read_view, read_start, read_points, read_mesh, read_picture, read_recording]
)
def test_a_pipe_a_folder_and_nothing_are_no_files(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    suffix = {read_points: ".csv", read_mesh: ".stl", read_picture: ".mha"}.get(read, ".json")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("pipe", "folder", "nothing"):
        with pytest.raises((RegistrationError, RecordingError), match=name):
            read(tmp_path / f"{name}{suffix}")


def test_a_sweep_of_impossible_images_is_refused(tmp_path: Path) -> None:
    head = "DimSize = -4 -4 1\nElementType = MET_UCHAR\nSeq_Frame0000_Timestamp = 0\n"
    (tmp_path / "s.igs.mha").write_text(f"{head}ElementDataFile = LOCAL\n" + "x" * 16)
    with pytest.raises(RecordingError, match="images of -4 x -4: export it again"):
        read_recording(tmp_path / "s.igs.mha")


@pytest.mark.parametrize(
    "change",
    [
        lambda matrix: matrix * 0.0,
        lambda matrix: matrix + np.outer([0.2, 0, 0, 0], [0, 1, 0, 0]),
        lambda matrix: matrix * [[1], [1], [1], [2]],
        lambda matrix: matrix + np.outer([1e9, 0, 0, 0], [0, 0, 0, 1]),
    ],
)
def test_a_probe_calibration_that_maps_no_image_is_refused(
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    good = np.array(GEOMETRY.image_mm_from_px)
    np.testing.assert_array_equal(image_matrix(Path("c"), "probe_from_image", good.tolist()), good)
    with pytest.raises(RegistrationError, match="c: probe_from_image: "):
        image_matrix(Path("c"), "probe_from_image", change(good).tolist())


def test_a_distortion_that_bends_the_frame_beyond_itself_is_refused(tmp_path: Path) -> None:
    document = {"format": 1, "size_px": [84, 84], "rms_px": 0.1, "largest_px": 1.0, "beads": 99}
    for size, words in ((1e300, "beyond itself"), (True, "should be a valid number")):
        coefficients = [[size, 0.0]] * term_count()
        (tmp_path / "d.json").write_text(json.dumps(document | {"coefficients": coefficients}))
        with pytest.raises(RegistrationError, match=words):
            read_distortion(tmp_path / "d.json")


def test_a_needle_expected_behind_the_tube_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "g.json").write_text(json.dumps(VIEW | {"size_px": [84, 84]}))
    pixels = np.indices((84, 84)).sum(axis=0).astype(np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "f.mha"))
    files = ["--frame", str(tmp_path / "f.mha"), "--geometry", str(tmp_path / "g.json")]
    places = ["--tip", "0,0,0", "--back", "0,0,-900", "--out", str(tmp_path / "n.json")]
    assert main(["carm", "needle", *files, *places]) == 1
    assert "behind the focal spot" in capsys.readouterr().err


def landmarks(folder: Path, out: str, *more: str) -> int:
    landmark_files(folder)
    points = ["--ct-points", str(folder / "ct.json")]
    points += ["--reference-points", str(folder / "touched.json")]
    return main(["register", "landmarks", *points, "--out", str(folder / out), *more])


def test_a_result_never_replaces_what_it_was_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert landmarks(tmp_path, "touched.json") == 1
    assert "is an input too: give another name" in capsys.readouterr().err
    (tmp_path / "link.json").symlink_to(tmp_path / "touched.json")
    assert landmarks(tmp_path, "link.json") == 1
    assert "xiphoid" in json.loads((tmp_path / "touched.json").read_text())
    assert landmarks(tmp_path, ".") == 1
    os.mkfifo(tmp_path / "pipe")
    assert landmarks(tmp_path, "pipe") == 1
    assert "is no file: give the name of one" in capsys.readouterr().err


def test_a_target_may_begin_with_a_minus(tmp_path: Path) -> None:
    assert landmarks(tmp_path, "r.json", "--target", "-60,-20,-20") == 0
    assert json.loads((tmp_path / "r.json").read_text())["about_ct_mm"] == [-60.0, -20.0, -20.0]
    with pytest.raises(SystemExit):
        landmarks(tmp_path, "r.json", "--target", "1e9,0,0")
    with pytest.raises(SystemExit):
        landmarks(tmp_path, "r.json", "--target", "nan,0,0")


def test_an_error_is_one_line_whatever_the_file_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ct.json").write_text("{}")
    odd = str(tmp_path / "a\nb.csv")
    arguments = ["register", "landmarks", "--ct-points", odd, "--reference-points", odd]
    assert main([*arguments, "--out", str(tmp_path / "r.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_target_outside_the_ct_is_refused() -> None:
    ct = Volume(np.zeros((5, 6, 7), np.int16), np.eye(4), "blake2b:x", VolumeInfo())
    np.testing.assert_array_equal(target_within(ct, (6.0, 5.0, 4.0)), [6.0, 5.0, 4.0])
    for outside in ((7.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 5.0)):
        with pytest.raises(RegistrationError, match="lies outside the CT"):
            target_within(ct, outside)
