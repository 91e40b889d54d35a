"""A real stylus pivoted on the eight landmarks of a phantom, recorded by PlusLib."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import PoseSample, PoseStatus
from ir_nav.geometry import apply, fit_points, rigid_inverse, rotation_between_deg
from ir_nav.tracking import PoseBuffer
from ir_nav.tracking.calibration import calibrate_pivot
from tests.data import data_path
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
def dwells(reference_from_stylus: np.ndarray) -> list[slice]:
    """Stretches of 3 s and more in which the tip stays within 2.5 mm."""
    tip = xml_matrix(data_path(*SETUP), "StylusTip", "Stylus")[:3, 3]
    track = tips(reference_from_stylus, tip)
    rests = np.zeros(len(track) + 2, dtype=int)
    for index in range(len(track)):
        near = track[max(0, index - 15) : index + 15]
        rests[index + 1] = np.linalg.norm(near - np.median(near, axis=0), axis=1).max() < 2.5
    edges = np.flatnonzero(np.diff(rests)).reshape(-1, 2)
    return [slice(a, b) for a, b in edges if b - a >= 45]


def tips(poses: np.ndarray, tip_mm: np.ndarray) -> np.ndarray:
    return poses[:, :3, :3] @ tip_mm + poses[:, :3, 3]


def test_the_recording_is_whole(recording: Sequence) -> None:
    assert recording.matrices["StylusToTracker"].shape == (1000, 4, 4)
    assert set(recording.statuses["StylusToTracker"]) == {"OK"}
    assert set(recording.statuses["ReferenceToTracker"]) == {"OK"}
    assert 0.0 < np.diff(recording.times_s).min() < np.diff(recording.times_s).max() < 0.2


def test_each_of_the_eight_dwells_is_a_good_pivot_calibration(
    reference_from_stylus: np.ndarray, dwells: list[slice]
) -> None:
    assert len(dwells) == 8
    stored = xml_matrix(data_path(*SETUP), "StylusTip", "Stylus")[:3, 3]
    found = [calibrate_pivot(reference_from_stylus[dwell]) for dwell in dwells]
    for one in found:
        assert one.reason is None
        assert 0.2 < one.rms_mm < 0.65
        assert 37.0 < one.span_deg < 55.0
        assert np.linalg.norm(one.tip_mm - stored) < 3.0
    scatter = np.std([one.tip_mm for one in found], axis=0)
    assert np.linalg.norm(scatter) < 1.0


def test_touched_landmarks_register_the_phantom_as_plus_did(
    reference_from_stylus: np.ndarray, dwells: list[slice]
) -> None:
    """Each point: the first half second in which the tip stays within 0.5 mm, averaged."""
    tip = xml_matrix(data_path(*SETUP), "StylusTip", "Stylus")[:3, 3]
    track = tips(reference_from_stylus, tip)
    touched = []
    for dwell in dwells:
        for start in range(dwell.start - 20, dwell.stop - 8):
            window = track[start : start + 8]
            if np.linalg.norm(window - window.mean(axis=0), axis=1).max() < 0.5:
                touched.append(window.mean(axis=0))
                break
    landmarks = xml_landmarks(data_path(*SETUP))
    fit = fit_points(landmarks, touched)
    stored = xml_matrix(data_path(*RESULT), "Phantom", "Reference")
    middle = landmarks.mean(axis=0)
    assert np.linalg.norm(fit.matrix[:3, 3] - stored[:3, 3]) < 0.1
    assert np.linalg.norm(apply(fit.matrix, middle) - apply(stored, middle)) < 0.1
    assert rotation_between_deg(fit.matrix, stored) < 0.2
    assert fit.residuals_mm.mean() == pytest.approx(0.198046, abs=0.005)
