"""PlusLib's recordings of an N-wire phantom, calibrated from PLUS's wires and from the images.

PLUS's own wires serve as an independent reference for the segmentation; the method never sees
them. PLUS reports the mean of the best 95 % of the distances, that part rounded to a count.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import pytest

from devices.recordings import read_recording
from ir_nav.tracking.calibration.nwire import calibrate_probe, validate_probe
from ir_nav.tracking.calibration.nwire_segmentation import Refused, find_all_wires, find_wires
from ir_nav.tracking.calibration.phantom import Phantom, read_phantom
from ir_nav.tracking.calibration.probe_result import ProbeCalibration, validated
from tests.data import data_path
from tests.tracking.sequence import xml_matrix

RESULT = ("plus", "FreehandCalibration3NWires_fCal2.0.results.xml")
SETUP = ("plus", "config", "PlusDeviceSet_fCal_Sim_SpatialCalibration_2.0.xml")
NOMINAL_MM_PER_PX = 0.078
CORNERS_PX = np.array([(u, v, 0.0, 1.0) for u in (0, 819) for v in (0, 615)])


@dataclass(frozen=True)
class Run:
    """images (n, rows, columns); reference_from_probe (n, 4, 4); plus_px (n, 9, 2), NaN where
    PLUS found no wires; plus_errors_mm (n, 3)."""

    images: list[np.ndarray | None]
    reference_from_probe: np.ndarray
    plus_px: np.ndarray
    plus_errors_mm: np.ndarray


def read_run(kind: str) -> Run:
    recording = read_recording(data_path("plus", f"fCal_Test_{kind}_3NWires_fCal2.0.igs.mha"))
    poses = [
        np.linalg.inv(frame.poses["ReferenceToTracker"].matrix)
        @ frame.poses["ProbeToTracker"].matrix
        for frame in recording.frames
    ]
    points = np.full((len(poses), 9, 2), np.nan)
    errors = np.full((len(poses), 3), np.nan)
    for frame in ET.parse(data_path(*RESULT)).getroot().findall(f".//{kind}Data/Frame"):
        index = int(frame.attrib["Index"])
        for wire, point in enumerate(frame.findall("SegmentedPoints/Point")):
            points[index, wire] = [float(v) for v in point.attrib["Position"].split()[:2]]
        for wire, error in enumerate(frame.findall(".//ReprojectionError3D")):
            errors[index, wire] = float(error.attrib["ErrorMm"])
    return Run([frame.pixels for frame in recording.frames], np.array(poses), points, errors)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return read_phantom(data_path(*SETUP))


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {kind: read_run(kind) for kind in ("Calibration", "Validation")}


@pytest.fixture(scope="module")
def found_px(runs: dict[str, Run], phantom: Phantom) -> dict[str, np.ndarray]:
    """Our wires in every frame of both recordings (293 frames)."""
    begun = time.process_time()
    found = {}
    for kind, run in runs.items():
        found[kind], refused = find_all_wires(run.images, phantom, NOMINAL_MM_PER_PX)
        assert len(refused) <= 0.02 * len(run.images), refused
    assert time.process_time() - begun < 30.0
    return found


def calibrated(
    runs: dict[str, Run], wires_px: dict[str, np.ndarray], phantom: Phantom
) -> ProbeCalibration:
    poses = {kind: run.reference_from_probe for kind, run in runs.items()}
    result = calibrate_probe(wires_px["Calibration"], poses["Calibration"], phantom)
    other = validate_probe(
        result.probe_from_image, wires_px["Validation"], poses["Validation"], phantom
    )
    return validated(result, other)


def best_95_mm(errors_mm: np.ndarray) -> float:
    values = np.sort(errors_mm[np.isfinite(errors_mm)])
    return float(values[: round(0.95 * len(values))].mean())


def test_pluss_wires_give_pluss_calibration(runs: dict[str, Run], phantom: Phantom) -> None:
    result = calibrated(runs, {kind: run.plus_px for kind, run in runs.items()}, phantom)
    assert result.accepted, result.reason
    stored = xml_matrix(data_path(*RESULT), "Image", "Probe")
    offsets = (CORNERS_PX @ (result.probe_from_image - stored).T)[:, :3]
    assert np.linalg.norm(offsets, axis=1).max() < 0.001
    np.testing.assert_allclose(result.probe_from_image[:3, 2], stored[:3, 2], atol=1e-6)
    np.testing.assert_allclose(result.errors_mm, runs["Calibration"].plus_errors_mm, atol=3e-4)
    assert best_95_mm(result.errors_mm) == pytest.approx(0.479116, abs=1e-5)
    assert result.calibration_error is not None
    assert result.calibration_error.mean == pytest.approx(0.517, abs=5e-4)
    assert result.calibration_error.mean_best_95 == pytest.approx(0.4791, abs=2e-3)
    assert result.validation_error is not None
    assert result.validation_error.mean == pytest.approx(0.569, abs=5e-4)
    assert result.validation_error.mean_best_95 == pytest.approx(0.5399, abs=2e-3)
    assert result.used == 184
    nothing = {one.index for one in result.rejected if one.reason == "wires were not found"}
    assert nothing == {98, 99, 100, 101, 104, 149}


def test_pluss_wires_validate_as_plus_says(runs: dict[str, Run], phantom: Phantom) -> None:
    stored = xml_matrix(data_path(*RESULT), "Image", "Probe")
    run = runs["Validation"]
    result = validate_probe(stored, run.plus_px, run.reference_from_probe, phantom)
    np.testing.assert_allclose(result.errors_mm, run.plus_errors_mm, atol=3e-4)
    assert best_95_mm(result.errors_mm) == pytest.approx(0.539932, abs=1e-5)


def test_our_wires_agree_with_pluss(runs: dict[str, Run], found_px: dict[str, np.ndarray]) -> None:
    for kind, run in runs.items():
        apart = np.linalg.norm(found_px[kind] - run.plus_px, axis=2)
        both = apart[np.isfinite(apart).all(axis=1)]
        assert len(both) >= 0.98 * np.isfinite(run.plus_px[:, 0, 0]).sum()
        assert (both < 3.0).all(axis=1).mean() > 0.95
        assert np.median(both) < 1.0


def test_the_images_alone_calibrate_to_the_goal(
    runs: dict[str, Run], found_px: dict[str, np.ndarray], phantom: Phantom
) -> None:
    result = calibrated(runs, found_px, phantom)
    assert result.accepted, result.reason
    assert result.validation_error is not None
    assert result.validation_error.mean_best_95 <= 0.65
    assert result.validation_error.mean <= 0.65
    assert result.used >= 184
    stored = xml_matrix(data_path(*RESULT), "Image", "Probe")
    offsets = (CORNERS_PX @ (result.probe_from_image - stored).T)[:, :3]
    assert np.linalg.norm(offsets, axis=1).max() < 0.3


def test_square_axes_do_as_well(
    runs: dict[str, Run], found_px: dict[str, np.ndarray], phantom: Phantom
) -> None:
    poses = {kind: run.reference_from_probe for kind, run in runs.items()}
    result = calibrate_probe(
        found_px["Calibration"], poses["Calibration"], phantom, orthogonal=True
    )
    other = validate_probe(
        result.probe_from_image, found_px["Validation"], poses["Validation"], phantom
    )
    assert other.error is not None
    assert other.error.mean_best_95 <= 0.65


@pytest.mark.parametrize(
    "name", ["SpinePhantomFreehand.igs.mha", "WaterTankBottomTranslationVideoBuffer.igs.mha"]
)
def test_other_recordings_show_no_phantom(phantom: Phantom, name: str) -> None:
    recording = read_recording(data_path("plus", name))
    for frame in recording.frames[::10]:
        assert frame.pixels is not None
        assert isinstance(find_wires(frame.pixels, phantom, NOMINAL_MM_PER_PX), Refused)
