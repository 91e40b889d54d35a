"""Body and intrinsics files: what they hold comes back, and every slip is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.optical.bodies import BodyFileError, parse_bodies, read_bodies
from devices.optical.documents import DocumentError
from devices.optical.intrinsics import (
    Intrinsics,
    IntrinsicsError,
    parse_intrinsics,
    read_intrinsics,
    write_intrinsics,
)
from tests.devices.optical_scenes import BENT_CAMERA, intrinsics_of

SQUARE = [[-20.0, -20.0, 0.0], [20.0, -20.0, 0.0], [20.0, 20.0, 0.0], [-20.0, 20.0, 0.0]]
TOML = """
format = 1
dictionary = "DICT_ARUCO_MIP_36h12"
[[bodies]]
transform = "NeedleToTracker"
[[bodies.markers]]
id = 3
corners_mm = [[-20, -20, 0], [20, -20, 0], [20, 20, 0], [-20, 20, 0]]
[[bodies.markers]]
id = 0
corners_mm = [[30, -20, 0], [50, -20, 0], [50, 0, 0], [30, 0, 0.1]]
"""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def document(**changes: object) -> dict[str, Any]:
    body = {"transform": "NeedleToTracker", "markers": [{"id": 3, "corners_mm": SQUARE}]}
    return {"format": 1, "dictionary": "ARUCO_MIP_36h12", "bodies": [body], **changes}


def with_marker(**changes: object) -> dict[str, Any]:
    marker = {"id": 3, "corners_mm": SQUARE, **changes}
    return document(bodies=[{"transform": "NeedleToTracker", "markers": [marker]}])


def test_body_file_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "needle.toml"
    path.write_text(TOML)
    found = read_bodies(path)
    assert (found.dictionary, found.cells) == ("ARUCO_MIP_36h12", 8)
    (body,) = found.bodies
    assert body.transform == "NeedleToTracker"
    assert np.array_equal(body.corners_mm[3], SQUARE)
    assert not body.corners_mm[0].flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (document(format=2), "format: "),
        (document(dictionary="ARUCO_9X9"), "unknown 'ARUCO_9X9'; one of"),
        (document(bodies=[]), "bodies: "),
        (document(colour=1), "colour: unknown key"),
        (document(bodies=[{"transform": "A" * 21, "markers": []}]), "bodies.0.transform: "),
        (with_marker(id="3"), "markers.0.id: "),
        (with_marker(id=-1), "markers.0.id: "),
        (with_marker(id=250), "ends at id 249"),
        (with_marker(size=4), "size: unknown key"),
        (with_marker(corners_mm=SQUARE[:3]), "corners_mm"),
        (with_marker(corners_mm=[*SQUARE[:3], [-20.0, 20.0, None]]), "corners_mm.3.2"),
        (with_marker(corners_mm=[*SQUARE[:3], [-20.0, 20.0, 5.0]]), "no square"),
        (with_marker(corners_mm=[SQUARE[i] for i in (0, 2, 1, 3)]), "no square"),
        (with_marker(corners_mm=(np.array(SQUARE) * (1.0, 1.1, 1.0)).tolist()), "no square"),
        (with_marker(corners_mm=(np.array(SQUARE) / 1000).tolist()), "are these mm"),
        (with_marker(corners_mm=(np.array(SQUARE) + 3000).tolist()), "2000 mm from"),
        (
            with_marker(
                corners_mm=(np.array(SQUARE) @ [[1, 0.3, 0], [0, 0.95, 0], [0, 0, 1]]).tolist()
            ),
            "no square",
        ),
        (document(bodies=document()["bodies"] * 2), "marker 3: listed twice"),
    ],
)
def test_slips_in_a_body_file_are_told(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(content))
    with pytest.raises(BodyFileError) as refusal:
        read_bodies(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert message in str(refusal.value)


def test_two_bodies_with_one_name_are_refused() -> None:
    content = document()
    content["bodies"] += [
        {"transform": "NeedleToTracker", "markers": [{"id": 4, "corners_mm": SQUARE}]}
    ]
    with pytest.raises(BodyFileError, match="two bodies have this name"):
        parse_bodies(json.dumps(content).encode(), toml=False)


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BodyFileError, match="there is no such file"):
        read_bodies(tmp_path / "none.toml")
    with pytest.raises(IntrinsicsError, match="cannot be read"):
        read_intrinsics(tmp_path)
    for name, content, message in (
        ("body.yaml", b"", r"neither \.toml nor \.json"),
        ("body.toml", b"format = = 1", "not a TOML file"),
        ("body.toml", b"\xff\xfe", "not a TOML file"),
        ("body.toml", b"x = " + b"[" * 5000, "not a TOML file"),
        ("body.json", b"[" * 5000, "body"),
        ("body.json", b" " * 2_000_000, "larger than 1 MB"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BodyFileError, match=message):
            read_bodies(path)


@given(st.binary(max_size=200), st.booleans())
def test_bytes_are_refused_and_nothing_else_happens(data: bytes, toml: bool) -> None:
    with pytest.raises(DocumentError):
        parse_bodies(data, toml)
    with pytest.raises(DocumentError):
        parse_intrinsics(data, toml)


@settings(max_examples=40)
@given(JSON_VALUES)
def test_any_value_in_any_place_is_read_or_refused(value: object) -> None:
    places = [document(bodies=value), document(dictionary=value), with_marker(corners_mm=value)]
    places += [with_marker(id=value), with_marker(corners_mm=[*SQUARE[:3], value])]
    for content in places:
        try:
            found = parse_bodies(json.dumps(content).encode(), toml=False)
        except DocumentError:
            continue
        assert found.bodies[0].corners_mm


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.tuples(st.integers(64, 4096), st.integers(64, 4096)),
    st.floats(0.5, 3.0),
    st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)),
    st.tuples(
        st.floats(-0.05, 0.3), st.floats(0.0, 0.2), *[st.floats(-0.01, 0.01)] * 2, st.just(0.0)
    ),
    st.floats(0.01, 2.0),
)
def test_intrinsics_come_back_from_their_file(
    tmp_path_factory: pytest.TempPathFactory,
    size_px: tuple[int, int],
    focal: float,
    principal: tuple[float, float],
    distortion: tuple[float, float, float, float, float],
    rms_px: float,
) -> None:
    focal_px = focal * max(size_px)
    written = Intrinsics(
        size_px,
        (focal_px, focal_px * 1.01),
        (principal[0] * size_px[0], principal[1] * size_px[1]),
        distortion,
        rms_px,
    )
    path = tmp_path_factory.getbasetemp() / "camera.json"
    write_intrinsics(path, written)
    assert read_intrinsics(path) == written


@given(
    JSON_VALUES, st.sampled_from(["size_px", "focal_px", "principal_px", "distortion", "rms_px"])
)
def test_any_intrinsics_are_read_or_refused(value: object, key: str) -> None:
    content = good_intrinsics() | {key: value}
    try:
        found = parse_intrinsics(json.dumps(content).encode())
    except DocumentError:
        return
    assert np.isfinite(found.undistorted(np.zeros((1, 2)))).all()


@given(*[finite | st.floats(-2.0, 2.0)] * 3)
def test_any_lens_is_read_or_refused(k1: float, k2: float, k3: float) -> None:
    content = good_intrinsics() | {"distortion": [k1, k2, 0.0, 0.0, k3]}
    try:
        found = parse_intrinsics(json.dumps(content).encode())
    except DocumentError:
        return
    places = np.array([[0.0, 0.0], [639.0, 1.0], [100.0, 479.0], [333.3, 222.2]])
    assert found.distorted(found.undistorted(places)) == pytest.approx(places, abs=0.02)


def good_intrinsics() -> dict[str, object]:
    return {
        "format": 1,
        "size_px": [640, 480],
        "focal_px": [700.0, 702],
        "principal_px": [320.0, 240.0],
        "distortion": [-0.1, 0.02, 0.0, 0.0, 0.0],
        "rms_px": 0.2,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "1"}, "format"),
        ({"size_px": [640.5, 480]}, "size_px.0"),
        ({"size_px": [0, 480]}, "no camera image"),
        ({"focal_px": [700.0, -702.0]}, "fits no lens"),
        ({"focal_px": [7.0, 7.0]}, "fits no lens"),
        ({"focal_px": [float("nan"), 7.0]}, "focal_px.0"),
        ({"principal_px": [700.0, 240.0]}, "outside the image"),
        ({"distortion": [0.0, 0.0, 0.0, 0.0]}, "distortion.4"),
        ({"distortion": [-2.0, 0.0, 0.0, 0.0, 0.0]}, "folds back within the image"),
        ({"rms_px": 0.0}, "no reprojection error"),
        ({"skew": 0.0}, "skew: unknown key"),
    ],
)
def test_slips_in_an_intrinsics_file_are_told(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(good_intrinsics() | change))
    with pytest.raises(IntrinsicsError) as refusal:
        read_intrinsics(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert message in str(refusal.value)


def test_intrinsics_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(IntrinsicsError, match="cannot be written"):
        write_intrinsics(tmp_path / "none" / "camera.json", intrinsics_of(BENT_CAMERA))


def test_undistorting_undoes_distorting() -> None:
    camera = intrinsics_of(BENT_CAMERA)
    grid = np.stack(np.meshgrid(np.linspace(0, 479, 9), np.linspace(0, 359, 7)), axis=-1)
    assert camera.distorted(camera.undistorted(grid)) == pytest.approx(grid, abs=1e-5)
