"""Probe and delay calibrated by hand in the window, on recordings that come over the network."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QFileDialog, QPushButton

from devices.recordings import read_recording
from hw_mocks.playlist import read_playlist
from hw_mocks.replay import room_toml
from ir_nav.demo.room_process import served
from ir_nav.geometry import rotation_between_deg
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.recording import EventKind, read_log, read_poses
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.session.steps import Step
from ir_nav.tracking.calibration.calibration_file import write_calibration
from tests.data import data_path
from tests.tracking.sequence import xml_matrix
from tests.tracking.test_calibration_file import pivot_document
from tests.tracking.writing import write_poses

pytestmark = pytest.mark.end_to_end

CALIBRATION = ("plus", "fCal_Test_Calibration_3NWires_fCal2.0.igs.mha")
VALIDATION = ("plus", "fCal_Test_Validation_3NWires_fCal2.0.igs.mha")
PHANTOM = ("plus", "config", "PlusDeviceSet_fCal_Sim_SpatialCalibration_2.0.xml")
VIDEO = ("plus", "WaterTankBottomTranslationVideoBuffer.igs.mha")
TRACKER = ("plus", "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha")
EIGHT = ("plus", "EightLandmarkPointsTrackedForPhantomRegistration.igs.mha")
LANDMARKS = ("plus", "config", "PlusDeviceSet_fCal_Sim_RecordPhantomLandmarks.xml")
# The pose at which the tip is set down on each landmark.
DWELLS = (77, 172, 271, 361, 531, 624, 727, 832)
PLUS_RESULT = ("plus", "PhantomRegistrationLandmarkDetection.results.xml")
SPEED = 4.0
TANK_SPEED = 2.0


class Console:
    """The real window, worked as a user does."""

    def __init__(self, app: QApplication, window: MainWindow) -> None:
        self.app = app
        self.window = window
        page = window.pages[Step.SET_UP]
        assert isinstance(page, SetUpPage)
        self.page = page

    def press(self, name: str) -> None:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        assert found.isVisible(), name
        assert found.isEnabled(), name
        found.click()

    def choose(self, path: Path) -> None:
        """Answer the file dialog that was opened last."""
        dialog = self.window.findChildren(QFileDialog)[-1]
        dialog.fileSelected.emit(str(path))
        dialog.close()
        # It goes away with the next events: none may be left when the window does.
        self.app.processEvents()

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            banner = self.window.desk.banner
            assert time.monotonic() < deadline, f"{what}; the console says: {banner.text}"
            self.app.processEvents()
            time.sleep(0.003)


@pytest.fixture
def console(
    app: QApplication, make_window: Callable[..., MainWindow], tmp_path: Path
) -> Iterator[Console]:
    session = Session(new_log=lambda: tmp_path / "session.irlog")
    window = make_window(session)
    assert window.go(Step.SET_UP)
    yield Console(app, window)
    session.close()


def free_ports() -> int:
    """The first of two ports in a row that nobody has."""
    for _ in range(50):
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue
    raise AssertionError("no two ports in a row are free")


def words(log: Path) -> list[str]:
    return [one.text for one in read_log(log).events if one.kind is EventKind.CALIBRATION]


def swept(
    console: Console, arguments: list[str], folder: Path, path: Path, frames: int, go: str, tab: str
) -> None:
    """Play one recording into the sweep under way; every frame of it counts."""
    sweep = console.window.session.scanner.probe.sweep
    assert sweep is not None
    stage = sweep.stage
    with served("hw_mocks.replay", folder / "served.toml", [str(path), *arguments]):
        console.wait(lambda: sum(sweep.counts(stage)) >= frames, f"{frames} frames")
    found, refused = sweep.counts(stage)
    assert (found + refused, sweep.overrun) == (frames, 0)
    assert found > 0.9 * frames
    console.wait(lambda: console.page.probe.summary() == tab, tab)
    title = f"{found} frames"
    console.wait(lambda: console.page.probe.result.text() == title, title)
    go_on = console.window.findChild(QPushButton, "start_probe")
    assert go_on is not None
    assert go_on.text() == go


def test_a_probe_is_swept_calibrated_validated_saved_and_taken_back(
    console: Console, tmp_path: Path
) -> None:
    calibration, validation = data_path(*CALIBRATION), data_path(*VALIDATION)
    port = free_ports()
    room = tmp_path / "room.toml"
    room.write_text(room_toml(read_playlist(calibration), port, port + 1, None))
    step = console.window.session.scanner.probe
    console.page.load_room(room)
    console.press("connect")
    console.press("show_phantom")
    console.press("choose_phantom")
    console.choose(data_path(*PHANTOM))
    console.press("show_probe")
    console.press("start_probe")
    arguments = ["--port", str(port), "--once", "--speed", str(SPEED)]
    played = partial(swept, console, arguments, tmp_path)
    played(calibration, 190, "Validate", "sweeping")
    console.press("start_probe")
    played(validation, 103, "Finish", "validating")
    console.press("start_probe")
    console.wait(lambda: step.in_use.result is not None, "the calibration")
    result = step.in_use.result
    assert result is not None
    assert result.validation_error is not None
    assert result.calibration_error is not None
    assert result.calibration_error.mean_best_95 < 0.6
    assert result.validation_error.mean_best_95 <= 0.65
    shown = f"{result.validation_error.mean_best_95:.2f} mm validation"
    console.wait(lambda: console.page.probe.result.text() == shown, shown)
    assert "best 95 % mean" in console.page.probe.detail.text()
    assert "RMS" in console.page.probe.detail.text()
    saved = tmp_path / "probe.json"
    console.press("save_probe")
    console.choose(saved)
    document = json.loads(saved.read_text())
    assert document["kind"] == "probe"
    assert document["made_s"] == pytest.approx(time.time(), abs=60.0)
    np.testing.assert_allclose(document["probe_from_image"], result.probe_from_image)
    np.testing.assert_array_equal(
        console.window.session.scanner.use.probe_from_image, result.probe_from_image
    )
    console.press("undo_probe_calibration")
    assert console.window.session.scanner.use.probe_from_image is None
    console.press("load_probe")
    console.choose(saved)
    assert step.in_use.file == "probe.json"
    console.window.session.close()
    told = words(tmp_path / "session.irlog")
    assert [one.split(",")[0] for one in told] == [
        "probe calibration: accepted",
        "probe calibration undone: as the room file says",
        "probe calibration: accepted",
    ]
    assert told[2].endswith("loaded from probe.json")


def test_the_delay_is_measured_over_a_water_tank(console: Console, tmp_path: Path) -> None:
    video, tracker = data_path(*VIDEO), data_path(*TRACKER)
    images_port, poses_port = free_ports(), free_ports()
    room = tmp_path / "room.toml"
    both = room_toml(read_playlist(tracker), poses_port, 0, None)
    scanner = room_toml(read_playlist(video), 0, images_port + 1, None)
    room.write_text(both + scanner[scanner.index('[[devices]]\nname = "Ultrasound"') :])
    step = console.window.session.scanner.delay
    console.page.load_room(room)
    console.press("connect")
    console.press("show_delay")
    console.press("start_delay")
    speed = ["--once", "--speed", str(TANK_SPEED)]
    image_arguments = [str(video), "--port", str(images_port), *speed]
    pose_arguments = [str(tracker), "--port", str(poses_port), *speed]
    recorded = read_recording(video).frames, read_recording(tracker).frames
    began_s = recorded[0][0].time_s, recorded[1][0].time_s
    poses = console.window.session.connection.streams
    assert poses is not None
    run = step.run
    assert run is not None
    with (
        served("hw_mocks.replay", tmp_path / "video.toml", image_arguments),
        served("hw_mocks.replay", tmp_path / "tracker.toml", pose_arguments),
    ):
        console.wait(lambda: poses.poses[Role.PROBE].latest() is not None, "a pose")
        # The video was started later than the tracker; its replay waits for this connection.
        start_s = time.monotonic() + (began_s[0] - began_s[1]) / TANK_SPEED - 0.33
        console.wait(lambda: time.monotonic() >= start_s, "the video's turn")
        with socket.create_connection(("127.0.0.1", images_port)):
            console.wait(lambda: sum(run.counts) >= len(recorded[0]), "every image")
    assert (sum(run.counts), run.overrun) == (201, 0)
    console.press("start_delay")
    console.wait(lambda: step.run is None, "the result")
    result, outcome = step.in_use.result, step.outcome
    assert result is not None, step.refused
    assert outcome is not None
    assert result.tracker_lag_s is not None
    # Each recording was played from its own beginning: that shifts the stamps by a known time.
    console.window.session.close()
    log = tmp_path / "session.irlog"
    first_pose_s = float(read_poses(log, "ProbeToTracker").source_s[0])
    first_image_s = float(outcome.signals.image_times_s[0])
    lag_s = TANK_SPEED * (result.tracker_lag_s - (first_pose_s - first_image_s))
    assert lag_s + began_s[1] - began_s[0] == pytest.approx(-0.0648, abs=0.005)
    assert "delay calibration: accepted" in words(log)[0]


def test_a_phantom_is_registered_with_a_stylus_pivoted_on_its_landmarks(
    console: Console, tmp_path: Path
) -> None:
    """At the recording's own 15 Hz; of each dwell the first 4 s, and the way there."""
    whole = read_recording(data_path(*EIGHT)).frames
    kept = [*range(13), *(index for start in DWELLS for index in range(start - 8, start + 60))]
    poses = [{name: one.matrix for name, one in whole[index].poses.items()} for index in kept]
    recording = write_poses(tmp_path / "eight.igs.mha", poses, rate_hz=15.05)
    port, room = free_ports(), tmp_path / "room.toml"
    room.write_text(room_toml(read_playlist(recording), port, port + 1, None))
    tip = tmp_path / "tip.json"
    document = pivot_document() | {"made_s": time.time()}
    document["needle_from_tip"] = np.eye(4).tolist()
    document["tip_mm"] = xml_matrix(data_path(*LANDMARKS), "StylusTip", "Stylus")[:3, 3].tolist()
    write_calibration(tip, document)
    session = console.window.session
    console.page.load_room(room)
    console.press("connect")
    console.press("show_stylus")
    console.press("load_stylus")
    console.choose(tip)
    console.press("show_phantom")
    console.press("choose_phantom")
    console.choose(data_path(*LANDMARKS))
    step = session.scanner.phantom
    arguments = [str(recording), "--port", str(port), "--once"]
    with served("hw_mocks.replay", tmp_path / "served.toml", arguments):
        console.wait(lambda: session.tools.stylus_track(0.0).times_s.size > 3, "the stylus")
        console.press("start_phantom")
        touching = step.touching
        assert touching is not None
        console.wait(lambda: touching.count == 8, "eight landmarks", 60.0)
    console.press("start_phantom")
    found = step.in_use.result
    assert found is not None
    stored = xml_matrix(data_path(*PLUS_RESULT), "Phantom", "Reference")
    matrix = found.reference_from_phantom
    assert np.linalg.norm(matrix[:3, 3] - stored[:3, 3]) < 0.1
    assert rotation_between_deg(matrix, stored) < 0.2
    assert found.error_mm.mean == pytest.approx(0.198046, abs=0.01)
