"""A real stylus pivoted on the eight landmarks of a phantom, recorded by PlusLib."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import PoseSample, PoseStatus
from ir_nav.geometry import apply, rigid_inverse, rotation_between_deg
from ir_nav.tracking import PoseBuffer
from ir_nav.tracking.calibration import (
    CalibrationError,
    Dwell,
    calibrate_pivot,
    find_dwells,
    register_phantom,
)
from tests.data import data_path
from tests.tracking.poses import pivoting
from tests.tracking.sequence import Sequence, read_sequence, xml_landmarks, xml_matrix

RESULT = ("plus", "PhantomRegistrationLandmarkDetection.results.xml")
SETUP = ("plus", "config", "PlusDeviceSet_fCal_Sim_RecordPhantomLandmarks.xml")


@pytest.fixture(scope="module")
def recording() -> Sequence:
    name = "EightLandmarkPointsTrackedForPhantomRegistration.igs.mha"
    return read_sequence(data_path("plus", name))


@pytest.fixture(scope="module")
def reference_from_stylus(recording: Sequence) -> np.ndarray:
    """(n, 4, 4), each pose taken out of the two buffers at its own time."""
    buffers = {}
    for name in ("StylusToTracker", "ReferenceToTracker"):
        buffers[name] = PoseBuffer(name)
        for time_s, matrix in zip(recording.times_s, recording.matrices[name], strict=True):
            buffers[name].push(PoseSample(name, matrix, PoseStatus.OK, time_s, time_s))
    recent = recording.times_s[-200:]
    stylus, reference = (
        recording.matrices["StylusToTracker"],
        recording.matrices["ReferenceToTracker"],
    )
    for index, time_s in enumerate(recent, start=len(recording.times_s) - 200):
        np.testing.assert_array_equal(buffers["StylusToTracker"].at(time_s), stylus[index])
    return np.array([rigid_inverse(r) @ s for r, s in zip(reference, stylus, strict=True)])


@pytest.fixture(scope="module")
def dwells(recording: Sequence, reference_from_stylus: np.ndarray) -> tuple[Dwell, ...]:
    return find_dwells(recording.times_s, reference_from_stylus, stylus_tip())


def stylus_tip() -> np.ndarray:
    return xml_matrix(data_path(*SETUP), "StylusTip", "Stylus")[:3, 3]


def test_the_recording_is_whole(recording: Sequence) -> None:
    assert recording.matrices["StylusToTracker"].shape == (1000, 4, 4)
    assert set(recording.statuses["StylusToTracker"]) == {"OK"}
    assert set(recording.statuses["ReferenceToTracker"]) == {"OK"}
    assert 0.0 < np.diff(recording.times_s).min() < np.diff(recording.times_s).max() < 0.2


def test_each_of_the_eight_dwells_is_a_good_pivot_calibration(
    reference_from_stylus: np.ndarray, dwells: tuple[Dwell, ...]
) -> None:
    assert len(dwells) == 8
    found = [calibrate_pivot(reference_from_stylus[one.start : one.stop]) for one in dwells]
    for one in found:
        assert one.reason is None
        assert 0.2 < one.rms_mm < 0.65
        assert 37.0 < one.span_deg < 60.0
        assert np.linalg.norm(one.tip_mm - stylus_tip()) < 3.0
    scatter = np.std([one.tip_mm for one in found], axis=0)
    assert np.linalg.norm(scatter) < 1.0


def test_touched_landmarks_register_the_phantom_as_plus_did(dwells: tuple[Dwell, ...]) -> None:
    landmarks = xml_landmarks(data_path(*SETUP))
    found = register_phantom(landmarks, [one.point_mm for one in dwells])
    matrix = found.reference_from_phantom
    stored = xml_matrix(data_path(*RESULT), "Phantom", "Reference")
    middle = landmarks.mean(axis=0)
    assert np.linalg.norm(matrix[:3, 3] - stored[:3, 3]) < 0.1
    assert np.linalg.norm(apply(matrix, middle) - apply(stored, middle)) < 0.1
    assert rotation_between_deg(matrix, stored) < 0.2
    # PLUS says 0.198 mm, the mean of the eight distances.
    assert found.error_mm.mean == pytest.approx(0.198046, abs=0.01)
    assert found.error_mm.max < 0.4


@pytest.mark.parametrize(("missed", "besides"), [((2,), ()), ((), (4,)), ((5,), (1,))])
def test_a_missed_landmark_and_a_place_touched_besides_are_left_out(
    dwells: tuple[Dwell, ...], missed: tuple[int, ...], besides: tuple[int, ...]
) -> None:
    landmarks = xml_landmarks(data_path(*SETUP))
    touched = [one.point_mm for index, one in enumerate(dwells) if index not in missed]
    for index in besides:
        touched.insert(index, np.array([300.0, 20.0, -80.0]))
    if missed and besides:
        with pytest.raises(CalibrationError, match="in the phantom's order"):
            register_phantom(landmarks, touched)
        return
    found = register_phantom(landmarks, touched)
    assert found.error_mm.mean < 0.25
    assert set(found.landmarks) == set(range(8)) - set(missed)
    assert set(found.dwells).isdisjoint(besides)


def test_landmarks_touched_out_of_order_are_refused(dwells: tuple[Dwell, ...]) -> None:
    landmarks = xml_landmarks(data_path(*SETUP))
    points = [one.point_mm for one in dwells]
    points[1], points[2] = points[2], points[1]
    with pytest.raises(CalibrationError, match="touch the landmarks in the phantom's order"):
        register_phantom(landmarks, points)
    with pytest.raises(CalibrationError, match="3 places touched of 8 landmarks"):
        register_phantom(landmarks, points[:3])


def test_a_stylus_that_lies_still_or_moves_on_dwells_nowhere() -> None:
    rng = np.random.default_rng(5)
    times = np.arange(0.0, 20.0, 1.0 / 15.0)
    lying = np.tile(np.eye(4), (300, 1, 1))
    lying[:, :3, 3] += rng.normal(0.0, 0.1, (300, 3))
    assert find_dwells(times, lying, (0.0, 0.0, 150.0)) == ()
    turning = pivoting(np.array([0.0, 0.0, 150.0]), np.zeros(3), 300, 40.0)
    turning[:, :3, 3] += np.arange(300)[:, None] * (1.5, 0.0, 0.0)
    assert find_dwells(times, turning, (0.0, 0.0, 150.0)) == ()
