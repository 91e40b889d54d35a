"""Frames of an image intensifier in the room: corrected by the file that a bead grid gave."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from devices.contract import ImageSample
from hw_mocks.intensifier import Intensifier, bent, write_grid
from hw_mocks.site import CARM, carm_from_rest
from ir_nav.cli import main
from ir_nav.geometry import apply
from ir_nav.registration import Registration
from ir_nav.registration.carm_calibration import Distortion, read_distortion, write_distortion
from ir_nav.session.errors import SessionError
from ir_nav.session.fluoro_correction import FluoroCorrection
from ir_nav.session.room import RoomError, read_room
from tests.session.fluoro_room import (
    BOX_CT_MM,
    FOCUS_CT_MM,
    GEOMETRY,
    SIZE,
    FluoroBench,
    mtre_mm,
    picture,
    room,
)
from tests.session.rig import CT_FROM_REFERENCE

INTENSIFIER = Intensifier(pincushion=0.04, s_turn=0.02)
ORBITS_DEG = (0.0, -60.0)
# The detector reads 512 pixels across; frames are sent half as large.
WHOLE = {"size_px": CARM.size_px, "pixel_mm": CARM.pixel_mm, "principal_px": CARM.principal_px}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distortion as the command finds it in the simulated room's picture of the grid."""
    folder = tmp_path_factory.mktemp("grid")
    frame, grid = write_grid(folder, CARM, INTENSIFIER, 1)
    out = folder / "distortion.json"
    command = ["carm", "distortion", str(frame), "--grid", str(grid), "--pixel-mm", "0.6"]
    assert main([*command, "--out", str(out)]) == 0
    return out


@cache
def seen(orbit_deg: float) -> np.ndarray:
    """The chest as the intensifier shows it."""
    shown = bent(picture(orbit_deg).astype(np.float32), INTENSIFIER.maps((SIZE, SIZE)))
    return np.clip(shown, 0, 65535).astype(np.uint16)


def registered(bench: FluoroBench) -> Registration:
    fluoro = bench.session.fluoro
    for orbit_deg in ORBITS_DEG:
        bench.pause()
        bench.shine(orbit_deg, pixels=seen(orbit_deg))
        fluoro.take_view()
    assert fluoro.conclude(fluoro.solution()(lambda _: None))
    assert fluoro.found is not None
    return fluoro.found.registration


def _calm(frame: np.ndarray) -> np.ndarray:
    """Without its noise, which resampling changes."""
    return np.asarray(ndimage.gaussian_filter(frame.astype(float), 2.0))


def overlay_error_px(found: Registration) -> float:
    """Mean distance, over a box in both views, of where the overlay is drawn from where the
    corrected frame shows it."""
    off = []
    for orbit_deg in ORBITS_DEG:
        carm_from_ct = carm_from_rest(FOCUS_CT_MM, orbit_deg)
        shown_px = GEOMETRY.project(apply(carm_from_ct, BOX_CT_MM))
        # found @ inverse(true): where the overlay believes each point to be.
        moved = CT_FROM_REFERENCE @ np.linalg.inv(found.ct_from_reference.matrix)
        drawn_px = GEOMETRY.project(apply(carm_from_ct @ moved, BOX_CT_MM))
        off.append(np.linalg.norm(drawn_px - shown_px, axis=1))
    return float(np.mean(off))


def test_corrected_frames_bring_overlay_and_registration_right(measured: Path) -> None:
    bench = FluoroBench(room(**WHOLE, distortion=measured))
    found = registered(bench)
    # Uncorrected, the same views leave the overlay 1.4 px and the patient 1.1 mm off.
    assert found.accepted, found.reason
    assert overlay_error_px(found) < 0.3
    assert mtre_mm(found) < 0.3
    # What is drawn under the overlay, and followed, is the corrected frame too.
    live = bench.session.fluoro.live_view()
    inside = slice(12, -12), slice(12, -12)
    off = [
        np.abs(_calm(one)[inside] - _calm(picture(-60.0))[inside]).mean()
        for one in (live.frame.image, seen(-60.0))
    ]
    assert off[0] < 0.1 * off[1], off
    assert live.sample.pixels.dtype == np.uint16
    state = bench.session.tick(bench.now_s)
    assert state.fluoro is not None
    assert state.fluoro.frame is live.sample


def test_frames_of_another_shape_are_not_shown_as_if_corrected(measured: Path) -> None:
    bench = FluoroBench(room(**WHOLE, distortion=measured))
    bench.pause()
    bench.shine(0.0, pixels=seen(0.0))
    assert bench.session.tick(bench.now_s).fluoro is not None
    bench.shine(0.0, pixels=seen(0.0)[: SIZE // 2])
    assert bench.session.tick(bench.now_s).fluoro is None
    words = r"is 256 x 128 px, but the detector's distortion was measured at 512 x 512 px"
    with pytest.raises(SessionError, match=words):
        bench.session.fluoro.take_view()
    bench.pause()
    bench.shine(0.0, pixels=seen(0.0))
    bench.session.fluoro.take_view()


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32])
def test_any_numbers_and_colours_are_corrected(kind: type, measured: Path) -> None:
    correction = FluoroCorrection(read_distortion(measured))
    grey = (seen(0.0) // 256).astype(kind)
    colours = np.stack([grey] * 3, axis=2)
    found = [
        correction.corrected(ImageSample("F", one, np.eye(4), 0.0, 0.0)) for one in (grey, colours)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].pixels.dtype == (np.float32 if kind is np.int32 else kind)
    np.testing.assert_array_equal(found[1].pixels[..., 1], found[0].pixels)
    assert not found[0].pixels.flags.writeable


ROOM = """
format = 1
name = "R"
source = "live"
devices = [{ name = "Scanner", kind = "openigtlink", port = 18944 }]

[fluoro]
device = "Scanner"
image = "Fluoro"
sid_mm = 1020.0
pixel_mm = [0.6, 0.6]
size_px = [512, 512]
principal_px = [255.5, 255.5]
tracker_from_carm = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -700.0], [0, 0, 0, 1]]
distortion = "d.json"
"""


def _read(folder: Path, distortion: Distortion | None) -> None:
    (folder / "room.toml").write_text(ROOM)
    if distortion is not None:
        write_distortion(folder / "d.json", distortion)
    read_room(folder / "room.toml")


def test_the_room_file_names_a_distortion_of_its_own_size(measured: Path, tmp_path: Path) -> None:
    found = read_distortion(measured)
    with pytest.raises(RoomError, match=r"fluoro\.distortion: there is no file"):
        _read(tmp_path, None)
    _read(tmp_path, found)
    words = r"measured at 1024 x 1024 px, but the detector reads 512 x 512 px"
    with pytest.raises(RoomError, match=words):
        _read(tmp_path, found.at_size((1024, 1024)))
    (tmp_path / "d.json").write_text("{}")
    with pytest.raises(RoomError, match=r"d\.json: format: "):
        _read(tmp_path, None)


def test_at_another_size_places_stay_where_they_are(measured: Path) -> None:
    found = read_distortion(measured)
    places = np.array([[0.0, 0.0], [511.0, 0.0], [100.0, 400.0]])
    doubled = found.at_size((1024, 1024)).frame_px(2.0 * places + 0.5)
    np.testing.assert_allclose(doubled, 2.0 * found.frame_px(places) + 0.5, atol=1e-9)
