"""Phantom, probe and delay measured in a session: no frame is lost; each ages and is undone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.contract import ImageSample
from ir_nav.recording import EventKind, read_log
from ir_nav.session.collection import CALIBRATION_LIFE_S
from ir_nav.session.errors import SessionError
from ir_nav.session.navigation import navigate
from ir_nav.session.probe_sweep import SweepStage
from ir_nav.session.scanner_use import ScannerUse
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from ir_nav.tracking.calibration import DelayCalibration
from ir_nav.tracking.calibration.phantom import Phantom
from tests.session.rig import NOW_S, STYLUS_TIP, TRACKER_FROM_REFERENCE, Rig, calibration
from tests.tracking.nwire_scene import PHANTOM, SIZE_PX, picture, scene
from tests.tracking.test_delay import tank_picture

LANDMARKS = ((104.3, 5, 20), (104.3, 45, 20), (104.3, 45, 0), (104.3, -5, 0), (-34.3, 45, 15))
STEP_S = 1 / 60


def phantom_file(folder: Path) -> Path:
    """The fCal phantom with five of its landmarks."""
    landmarks = [
        {"name": f"#{number}", "phantom_mm": [float(x) for x in place]}
        for number, place in enumerate(LANDMARKS, start=1)
    ]
    path = folder / "phantom.json"
    path.write_text(json.dumps(PHANTOM | {"landmarks": landmarks}))
    return path


class Bench:
    """A session whose clock the test turns, and what it is sent."""

    def __init__(self, tmp_path: Path) -> None:
        self.now_s = NOW_S
        self.rig = Rig()
        self.session = Session(lambda: self.now_s)
        self.session.connection.room, self.session.connection.streams = (
            self.rig.room,
            self.rig.streams,
        )
        self.scanner = self.session.scanner
        self.log_path = tmp_path / "a.irlog"
        self.session.start_log(self.log_path)
        self.phantom_path = phantom_file(tmp_path)

    def work(self) -> None:
        """What the worker does between ticks, to its end."""
        for step, run in (
            (self.scanner.probe, self.scanner.probe.sweep),
            (self.scanner.delay, self.scanner.delay.run),
        ):
            search = step.next_search()
            while search is not None and run is not None:
                run.add(search())
                search = step.next_search()

    def image(self, pixels: np.ndarray, source_s: float) -> None:
        self.rig.streams.take(ImageSample("US", pixels, np.eye(4), source_s, source_s))

    def words(self) -> list[str]:
        self.session.close()
        events = read_log(self.log_path).events
        return [one.text for one in events if one.kind is EventKind.CALIBRATION]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def sweep_over(
    bench: Bench,
    phantom: Phantom,
    frames: int,
    seed: int,
    spoilt: int = 0,
    pose_noise_mm: float = 0.1,
) -> None:
    """Frames at 20 Hz, poses 40 ms late; one tick for all of them: the screen stood still."""
    rng = np.random.default_rng(seed)
    made = scene(phantom, frames, seed, noise_px=0.4, pose_noise_mm=pose_noise_mm)
    for index, (wires, pose) in enumerate(
        zip(made.wires_px, made.reference_from_probe, strict=True)
    ):
        bench.now_s += 0.05
        empty = np.zeros(SIZE_PX[::-1], np.uint8)
        bench.image(empty if index < spoilt else picture(wires, rng), bench.now_s)
        bench.rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, bench.now_s, delay_s=0.04)
        bench.rig.send(Role.PROBE, TRACKER_FROM_REFERENCE @ pose, bench.now_s, delay_s=0.04)
    bench.now_s += 0.1
    bench.session.tick(bench.now_s)


def measured_probe(bench: Bench, pose_noise_mm: float = 0.1) -> bool:
    probe = bench.scanner.probe
    phantom = bench.scanner.phantom.placed
    assert phantom is not None
    probe.start()
    sweep_over(bench, phantom, 26, 3, 3, pose_noise_mm)
    bench.work()
    probe.validate()
    sweep_over(bench, phantom, 12, 4, 0, pose_noise_mm)
    probe.finish()
    bench.work()
    assert probe.sweep is not None
    assert probe.sweep.ready
    return probe.conclude(probe.solution()())


def test_every_frame_of_a_sweep_counts_although_the_screen_stood_still(bench: Bench) -> None:
    bench.scanner.phantom.choose(bench.phantom_path)
    phantom = bench.scanner.phantom.placed
    assert phantom is not None
    probe = bench.scanner.probe
    probe.state_scale("0.078")
    probe.start()
    sweep = probe.sweep
    assert sweep is not None
    sweep_over(bench, phantom, 40, 3, spoilt=3)
    assert sweep.counts(SweepStage.CALIBRATION) == (0, 0)
    assert sweep.left == 40
    bench.work()
    assert sweep.counts(SweepStage.CALIBRATION) == (37, 3)
    assert sweep.refusals(SweepStage.CALIBRATION) == (("0 bright spots, 9 wires are expected", 3),)
    assert sweep.coverage().travel_mm > 5.0
    assert sweep.coverage().middle_px.shape == (111, 2)
    assert sweep.overrun == 0


def test_a_probe_is_calibrated_put_into_use_and_taken_back(bench: Bench) -> None:
    bench.scanner.phantom.choose(bench.phantom_path)
    probe = bench.scanner.probe
    probe.state_scale("0,078")
    assert probe.mm_per_px == 0.078
    assert measured_probe(bench)
    result = probe.in_use.result
    assert result is not None
    truth = scene(bench.scanner.phantom.placed, 1, 0).probe_from_image  # type: ignore[arg-type]
    found = result.probe_from_image
    assert found is not None
    corners = np.array([(0, 0, 0, 1), (*SIZE_PX, 0, 1)]).T
    assert np.abs((found - truth) @ corners).max() < 0.5
    assert result.validation_error is not None
    assert result.validation_error.mean_best_95 < 0.4
    assert bench.scanner.use.probe_from_image is found
    probe.undo()
    assert bench.scanner.use.probe_from_image is None
    with pytest.raises(SessionError, match="no earlier probe calibration"):
        probe.undo()
    told = bench.words()
    assert told[0].startswith("probe calibration: accepted, validation 0.")
    assert "mean of the best 95 %" in told[0]
    assert told[1] == "probe calibration undone: as the room file says"


def test_a_refused_calibration_leaves_the_one_before_in_use(bench: Bench) -> None:
    bench.scanner.phantom.choose(bench.phantom_path)
    probe = bench.scanner.probe
    probe.state_scale("0.078")
    assert measured_probe(bench)
    before = probe.in_use
    assert not measured_probe(bench, pose_noise_mm=3.0)
    assert probe.in_use is before
    assert probe.refused is not None
    assert "is above 1.0 mm" in str(probe.refused.reason)
    assert probe.outcome is not None
    assert "probe calibration: refused, calibration error" in bench.words()[1]


def test_a_frame_whose_pose_never_comes_is_refused_with_the_reason(bench: Bench) -> None:
    bench.scanner.phantom.choose(bench.phantom_path)
    probe = bench.scanner.probe
    probe.start()
    sweep = probe.sweep
    assert sweep is not None
    bench.image(np.zeros(SIZE_PX[::-1], np.uint8), bench.now_s)
    bench.session.tick(bench.now_s + 0.3)
    assert sweep.left == 1
    assert probe.next_search() is None
    bench.session.tick(bench.now_s + 0.7)
    bench.work()
    ((words, count),) = sweep.refusals(SweepStage.CALIBRATION)
    assert "has no pose around the image's time" in words
    assert count == 1


def test_a_cancelled_sweep_changes_nothing_and_takes_no_more(bench: Bench) -> None:
    bench.scanner.phantom.choose(bench.phantom_path)
    probe = bench.scanner.probe
    probe.start()
    sweep = probe.sweep
    assert sweep is not None
    probe.cancel()
    bench.image(np.zeros(SIZE_PX[::-1], np.uint8), bench.now_s)
    bench.session.tick(bench.now_s)
    assert sweep.left == 0
    assert probe.sweep is None
    assert probe.in_use.result is None


def test_what_is_missing_is_said_before_a_sweep(bench: Bench, tmp_path: Path) -> None:
    probe, phantom = bench.scanner.probe, bench.scanner.phantom
    with pytest.raises(SessionError, match="choose the phantom's file"):
        probe.start()
    loose = dict(PHANTOM)
    del loose["reference_from_phantom"]
    path = tmp_path / "loose.json"
    path.write_text(json.dumps(loose))
    phantom.choose(path)
    with pytest.raises(SessionError, match="register the phantom: touch its landmarks"):
        probe.start()
    with pytest.raises(SessionError, match="names 0 landmarks, 4 are needed"):
        phantom.start()
    phantom.choose(bench.phantom_path)
    with pytest.raises(SessionError, match="the stylus is not calibrated: pivot it"):
        phantom.start()
    with pytest.raises(SessionError, match="start the calibration sweep first"):
        probe.finish()
    probe.start()
    with pytest.raises(SessionError, match="wires were found in 0 frames, 10 are needed"):
        probe.validate()
    with pytest.raises(SessionError, match="sweep once more for the validation"):
        probe.finish()
    for text in ("12", "wide", "-0.1", "nan"):
        with pytest.raises(SessionError, match="no scale of an ultrasound image"):
            probe.state_scale(text)
    bench.session.connection.streams = None
    with pytest.raises(SessionError, match="connect the devices first"):
        probe.start()


def moving(bench: Bench, lag_s: float, seconds: float) -> None:
    """Up and down at 0.7 Hz, seen by images at 15 Hz and a tracker at 50 Hz."""

    def height_mm(time_s: float) -> float:
        return float(12.0 * np.sin(2 * np.pi * 0.7 * (time_s - NOW_S)))

    begin_s = bench.now_s
    for index in range(round(50 * seconds)):
        bench.now_s = begin_s + index / 50
        pose = np.eye(4)
        pose[2, 3] = height_mm(bench.now_s)
        bench.rig.send(Role.PROBE, pose, bench.now_s + lag_s, delay_s=0.02 - lag_s)
        if index * 15 // 50 != (index - 1) * 15 // 50:
            image_s = bench.now_s + 0.001
            height_px = 300.0 + 8.0 * height_mm(image_s)
            bench.image(tank_picture(height_px, 0.02), image_s)
        if index % 25 == 0:
            bench.session.tick(bench.now_s)
    bench.session.tick(bench.now_s)


@pytest.mark.parametrize("lag_s", [-0.065, 0.04])
def test_a_delay_is_measured_with_its_sign_and_used(bench: Bench, lag_s: float) -> None:
    delay = bench.scanner.delay
    delay.start()
    moving(bench, lag_s, 8.0)
    bench.work()
    assert delay.run is not None
    images = sum(delay.run.counts)
    assert images == pytest.approx(120, abs=1)
    delay.finish()
    bench.work()
    assert delay.run.ready
    assert delay.conclude(delay.solution()())
    result = delay.in_use.result
    assert result is not None
    assert result.tracker_lag_s == pytest.approx(lag_s, abs=0.003)
    assert bench.scanner.use.tracker_lag_s == result.tracker_lag_s
    delay.undo()
    assert bench.scanner.use.tracker_lag_s == 0.0
    word = "leads" if lag_s < 0 else "lags behind"
    assert f"the tracker {word} the images by" in bench.words()[0]


def test_too_little_seen_is_refused_in_words(bench: Bench) -> None:
    delay = bench.scanner.delay
    delay.start()
    delay.finish()
    with pytest.raises(SessionError, match="0 images and 0 poses of the probe came, 30 of each"):
        delay.solution()
    assert delay.run is None


def test_an_overlay_goes_by_the_measured_probe_and_delay() -> None:
    """The pose taken for an image is that of the tracker's time which belongs to it."""
    rig = Rig()
    for step in range(-40, 20):
        pose = np.eye(4)
        pose[0, 3] = step
        rig.send(Role.PROBE, pose, NOW_S + step / 50)
        rig.send(Role.REFERENCE, np.eye(4), NOW_S + step / 50)
    rig.frame(NOW_S, NOW_S)
    measured = np.diag([0.3, 0.3, 0.3, 1.0])
    measured[:3, 3] = (1.0, 2.0, 3.0)

    def place(use: ScannerUse) -> np.ndarray:
        state = navigate(replace(rig.inputs(), scanner=use), NOW_S).ultrasound
        assert state is not None
        assert state.reference_from_image is not None
        return state.reference_from_image

    assert place(ScannerUse(measured))[0, 3] == pytest.approx(1.0)
    assert place(ScannerUse(measured))[0, 0] == pytest.approx(0.3)
    assert place(ScannerUse(measured, tracker_lag_s=-0.06))[0, 3] == pytest.approx(1.0 - 3.0)
    assert place(ScannerUse(measured, tracker_lag_s=0.1))[0, 3] == pytest.approx(1.0 + 5.0)
    expired = ScannerUse(measured, reason="the delay calibration has expired")
    state = navigate(replace(rig.inputs(), scanner=expired), NOW_S).ultrasound
    assert state is not None
    assert state.image_from_ct is None
    assert state.reason == "the delay calibration has expired"


def test_a_measured_probe_makes_up_for_a_room_without_one(bench: Bench) -> None:
    room = bench.rig.room
    assert room.ultrasound is not None
    stand_in = room.model_copy(
        update={"ultrasound": room.ultrasound.model_copy(update={"calibrated": False})}
    )
    bench.rig.all_seen()
    bench.rig.send(Role.PROBE, np.eye(4), NOW_S)
    bench.rig.frame(NOW_S, NOW_S)
    for use, reason in (
        (ScannerUse(), "the probe is not calibrated"),
        (ScannerUse(np.diag([0.3, 0.3, 0.3, 1.0])), None),
    ):
        inputs = replace(bench.rig.inputs(), room=stand_in, scanner=use)
        state = navigate(inputs, NOW_S).ultrasound
        assert state is not None
        assert state.reason == reason
        assert (state.image_from_ct is not None) == (reason is None)


def lag(tracker_lag_s: float) -> DelayCalibration:
    return DelayCalibration(tracker_lag_s, None, 0.001, 0.99, 20.0, 90.0, 7.0, 90, (), None)


def test_a_calibration_expires_and_then_nothing_stands_in_for_it(bench: Bench) -> None:
    delay = bench.scanner.delay
    delay.take(lag(-0.03), bench.now_s)
    first = delay.in_use
    delay.take(lag(-0.05), bench.now_s + 60.0)
    bench.now_s += CALIBRATION_LIFE_S + 59.0
    bench.session.tick(bench.now_s)
    assert bench.scanner.use.tracker_lag_s == -0.05
    bench.now_s += 2.0
    bench.session.tick(bench.now_s)
    bench.session.tick(bench.now_s + 1.0)
    assert bench.scanner.use.tracker_lag_s == 0.0
    assert bench.scanner.use.reason == "the delay calibration has expired"
    bench.scanner.phantom.choose(bench.phantom_path)
    with pytest.raises(SessionError, match="the delay calibration has expired"):
        bench.scanner.probe.start()
    delay.undo()
    assert delay.in_use.result is first.result
    assert delay.in_use.expired
    delay.undo()
    assert bench.scanner.use.reason is None
    assert bench.words()[2:] == [
        "delay calibration expired: measure it again",
        "delay calibration undone: the one before is in use",
        "delay calibration undone: as the room file says",
    ]


def test_disconnecting_drops_what_was_measured(bench: Bench) -> None:
    bench.scanner.delay.take(lag(-0.03), bench.now_s)
    bench.scanner.phantom.choose(bench.phantom_path)
    bench.scanner.probe.start()
    bench.session.disconnect()
    assert bench.scanner.use.tracker_lag_s == 0.0
    assert bench.scanner.probe.sweep is None
    assert bench.scanner.phantom.definition is not None


def hold(bench: Bench, tip_reference_mm: np.ndarray, seconds: float, noise_mm: float) -> None:
    """The stylus tip at a place in the reference."""
    random = np.random.default_rng(round(bench.now_s * 60) % 2**31)
    for _ in range(round(seconds / STEP_S)):
        bench.now_s += STEP_S
        matrix = np.eye(4)
        at = TRACKER_FROM_REFERENCE @ np.append(tip_reference_mm, 1.0)
        matrix[:3, 3] = at[:3] - STYLUS_TIP + random.normal(0.0, noise_mm, 3)
        bench.rig.send(Role.REFERENCE, TRACKER_FROM_REFERENCE, bench.now_s)
        bench.rig.send(Role.STYLUS, matrix, bench.now_s)
        bench.session.tick(bench.now_s)


def glide(bench: Bench, start: np.ndarray, end: np.ndarray) -> None:
    for part in np.linspace(0.1, 1.0, 10):
        hold(bench, start + (end - start) * part, 2 * STEP_S, 0.1)


def test_a_phantom_is_registered_landmark_by_landmark(bench: Bench) -> None:
    bench.session.tools.stylus = calibration(STYLUS_TIP, False)
    step = bench.scanner.phantom
    definition = step.choose(bench.phantom_path)
    truth = np.array(PHANTOM["reference_from_phantom"])
    places = definition.landmarks_mm @ truth[:3, :3].T + truth[:3, 3]
    places = places + np.array((2.0, -3.0, 4.0))
    at = np.array([300.0, 0.0, 0.0])
    hold(bench, at, 1.0, 0.1)
    step.start()
    touching = step.touching
    assert touching is not None
    # The fourth is touched 5 mm beside it, taken all the same, fits worst, and is done again.
    for index, place in enumerate(places):
        aimed = place + ((0.0, 0.0, 5.0) if index == 3 else (0.0, 0.0, 0.0))
        glide(bench, at, aimed)
        hold(bench, aimed, 1.2, 0.1)
        at = aimed
        if index == 3:
            assert touching.count == 3
            assert touching.doubt is not None
            step.capture()
        assert touching.count == index + 1
    worst = touching.worst()
    assert worst is not None
    assert touching.names[worst] == "#4"
    assert not step.finish()
    assert "touch #4 again, it fits worst" in str(step.refused.reason)  # type: ignore[union-attr]
    assert step.in_use.result is None
    step.redo(3)
    assert touching.next_index == 3
    glide(bench, at, places[3])
    hold(bench, places[3], 1.2, 0.1)
    assert step.finish()
    placed = step.placed
    assert placed is not None
    assert placed.reference_from_phantom is not None
    expected = truth.copy()
    expected[:3, 3] += (2.0, -3.0, 4.0)
    middle = np.append(definition.landmarks_mm.mean(axis=0), 1.0)
    assert np.linalg.norm((placed.reference_from_phantom - expected) @ middle) < 0.15
    step.undo()
    assert step.placed is not None
    np.testing.assert_allclose(
        step.placed.reference_from_phantom, PHANTOM["reference_from_phantom"]
    )
    told = bench.words()
    assert told[0].startswith("phantom calibration: refused")
    assert told[1].startswith("phantom calibration: accepted, 0.")
    assert "RMS" in told[1]


def test_another_landmark_than_asked_for_is_doubted(bench: Bench) -> None:
    bench.session.tools.stylus = calibration(STYLUS_TIP, False)
    step = bench.scanner.phantom
    definition = step.choose(bench.phantom_path)
    hold(bench, np.array([300.0, 0.0, 0.0]), 1.0, 0.1)
    step.start()
    touching = step.touching
    assert touching is not None
    at = np.array([300.0, 0.0, 0.0])
    for index in (0, 2):
        glide(bench, at, definition.landmarks_mm[index])
        hold(bench, definition.landmarks_mm[index], 1.2, 0.1)
        at = definition.landmarks_mm[index]
    assert touching.count == 1
    assert touching.doubt == "This is 45 mm from #1; #2 is 40 mm from it on the phantom"
