"""A phantom's landmarks touched live, from a real 15 Hz recording in which each is pivoted on."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.geometry import apply, rotation_between_deg
from ir_nav.session.errors import SessionError
from ir_nav.session.phantom_touching import PhantomTouching
from ir_nav.session.session import Session
from ir_nav.session.state import Role
from tests.data import data_path
from tests.session.rig import NOW_S, Rig, calibration
from tests.tracking.sequence import Sequence, read_sequence, xml_landmarks, xml_matrix

RECORDING = ("plus", "EightLandmarkPointsTrackedForPhantomRegistration.igs.mha")
RESULT = ("plus", "PhantomRegistrationLandmarkDetection.results.xml")
SETUP = ("plus", "config", "PlusDeviceSet_fCal_Sim_RecordPhantomLandmarks.xml")
# Poses sent before touching begins.
BEGUN = 3


@pytest.fixture(scope="module")
def recording() -> Sequence:
    return read_sequence(data_path(*RECORDING))


class Replay:
    """The recording's poses arrive as they were stamped; the session ticks at each."""

    def __init__(self, recording: Sequence) -> None:
        self.recording = recording
        self.now_s = NOW_S
        self.rig = Rig()
        self.session = Session(lambda: self.now_s)
        self.session.connection.room = self.rig.room
        self.session.connection.streams = self.rig.streams
        tip = xml_matrix(data_path(*SETUP), "StylusTip", "Stylus")[:3, 3]
        self.session.tools.stylus = calibration(tip, False)
        self.step = self.session.scanner.phantom
        self.step.choose(data_path(*SETUP))
        # Where the stylus lies when touching begins is its tray: no landmark.
        self.play(BEGUN)
        self.step.start()

    @property
    def touching(self) -> PhantomTouching:
        assert self.step.touching is not None
        return self.step.touching

    def play(self, until: int = 1000, start: int = 0) -> None:
        times_s, matrices = self.recording.times_s, self.recording.matrices
        for index in range(start, until):
            self.now_s = NOW_S + times_s[index] - times_s[0]
            for role in (Role.REFERENCE, Role.STYLUS):
                wire = f"{role.capitalize()}ToTracker"
                self.rig.send(role, matrices[wire][index], self.now_s)
            self.session.tick(self.now_s)


def test_a_real_stylus_pivoted_on_eight_landmarks_registers_the_phantom_as_plus_did(
    recording: Sequence,
) -> None:
    replay = Replay(recording)
    replay.play(start=BEGUN)
    assert replay.touching.count == 8
    assert replay.step.finish()
    found = replay.step.in_use.result
    assert found is not None
    matrix = found.reference_from_phantom
    stored = xml_matrix(data_path(*RESULT), "Phantom", "Reference")
    middle = xml_landmarks(data_path(*SETUP)).mean(axis=0)
    assert np.linalg.norm(matrix[:3, 3] - stored[:3, 3]) < 0.1
    assert np.linalg.norm(apply(matrix, middle) - apply(stored, middle)) < 0.1
    assert rotation_between_deg(matrix, stored) < 0.2
    assert found.error_mm.mean == pytest.approx(0.198046, abs=0.01)


def test_a_landmark_is_taken_while_it_is_pivoted_on(recording: Sequence) -> None:
    """The first dwell lasts from 5.1 s to 10.7 s, poses 77 to 162."""
    replay = Replay(recording)
    replay.play(75, start=BEGUN)
    with pytest.raises(SessionError, match="hold the stylus still on the landmark, or pivot it"):
        replay.step.capture()
    replay.play(115, start=75)
    assert replay.touching.count == 0
    replay.play(135, start=115)
    assert replay.touching.count == 1
    replay.play(162, start=135)
    assert replay.touching.count == 1


def test_capture_takes_a_landmark_again_that_is_pivoted_on(recording: Sequence) -> None:
    """The fourth dwell, poses 361 to 457: taken back half way, without lifting the stylus."""
    replay = Replay(recording)
    replay.play(411, start=BEGUN)
    assert replay.touching.count == 4
    first = replay.touching.touches[3]
    replay.step.redo()
    replay.play(430, start=411)
    assert replay.touching.count == 3
    replay.step.capture()
    assert replay.touching.count == 4
    again = replay.touching.touches[3]
    assert first is not None
    assert again is not None
    assert np.linalg.norm(again.reference_mm - first.reference_mm) < 1.0
