"""A C-arm calibrated from beads of known place, and a detector's distortion from a grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ir_nav.geometry import CArmGeometry, apply, rigid_inverse
from ir_nav.registration import RegistrationError
from ir_nav.registration.carm_calibration import (
    Plate,
    PlateCalibration,
    calibrate_from_plate,
    distortion_from_grid,
    read_plate,
    undistorted,
)
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels
from tests.registration.needle_scene import exposed, project
from tests.registration.plate_scene import bead_integrals, grid, two_planes, write_plate

SID_MM, PIXEL_MM, SIZE_PX = 1043.0, 0.5, 512
NOMINAL = CArmGeometry(1000.0, (PIXEL_MM, PIXEL_MM), (SIZE_PX, SIZE_PX), (255.5, 255.5))


def _truth(seed: int, *, tilt_deg: float = 12.0) -> CArmView:
    """A C-arm over the plate: tilted, turned, off its middle, its principal point off centre."""
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler(
        "zxz", [rng.uniform(0, 360), rng.uniform(3, tilt_deg), rng.uniform(0, 360)], degrees=True
    ).as_matrix()
    flip = np.diag([1.0, -1.0, -1.0])
    pose = np.eye(4)
    pose[:3, :3] = flip @ turn
    pose[:3, 3] = [*rng.uniform(-8, 8, 2), 760.0]
    middle = tuple(255.5 + rng.uniform(-8, 8, 2))
    return CArmView(
        CArmGeometry(SID_MM, (PIXEL_MM, PIXEL_MM), (SIZE_PX, SIZE_PX), middle),
        pose,
        Pixels.INTENSITY,
    )


def _frame(truth: CArmView, plate: Plate, seed: int = 0) -> FluoroFrame:
    total = bead_integrals(truth, plate)
    v, u = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
    total += 1.0 + 0.3 * np.sin(u / 90.0) * np.cos(v / 70.0)
    return exposed(total, truth, np.random.default_rng(seed))


def _calibrated(truth: CArmView, plate: Plate, *, sid_known: bool = False) -> PlateCalibration:
    geometry = truth.geometry if sid_known else NOMINAL
    frame = _frame(truth, plate)
    frame = replace(frame, view=CArmView(geometry, np.eye(4), Pixels.INTENSITY))
    return calibrate_from_plate(frame, plate, sid_known=sid_known)


def _worst_px(found: CArmView, truth: CArmView) -> float:
    """Of points all over the phantom's volume, where both cameras see them."""
    points = np.random.default_rng(7).uniform([-50, -50, -10], [50, 50, 110], (200, 3))
    return max(float(np.linalg.norm(project(found, p) - project(truth, p))) for p in points)


@pytest.mark.parametrize("seed", range(4))
def test_a_phantom_of_two_planes_gives_distance_middle_and_place(seed: int) -> None:
    truth = _truth(seed)
    found = _calibrated(truth, two_planes())
    assert found.accepted
    assert found.rms_px < 0.12
    assert len(found.matched) >= 38
    assert abs(found.view.geometry.sid_mm - SID_MM) < 4.0 * found.sid_error_mm + 0.5
    assert _worst_px(found.view, truth) < 0.15
    source = rigid_inverse(found.view.carm_from_world)[:3, 3]
    assert np.linalg.norm(source - rigid_inverse(truth.carm_from_world)[:3, 3]) < 6.0


def test_the_stated_errors_hold_over_many_frames() -> None:
    """Distance, place and turn over their standard errors scatter like 1."""
    truth, plate = _truth(2), two_planes()
    distances, poses = [], []
    middle = plate.positions_mm.mean(axis=0)
    turn = truth.carm_from_world[:3, :3]
    total = bead_integrals(truth, plate) + 1.0
    for seed in range(8):
        frame = exposed(total, truth, np.random.default_rng(100 + seed), photons=400.0)
        frame = replace(frame, view=CArmView(NOMINAL, np.eye(4), Pixels.INTENSITY))
        found = calibrate_from_plate(frame, plate)
        distances.append((found.view.geometry.sid_mm - SID_MM) / found.sid_error_mm)
        pose = found.view.carm_from_world
        moved = turn.T @ (apply(pose, middle) - apply(truth.carm_from_world, middle))
        turned = Rotation.from_matrix(turn.T @ pose[:3, :3]).as_rotvec(degrees=True)
        errors = np.sqrt(np.diag(found.covariance))
        poses.append(np.concatenate([moved, turned]) / errors)
    assert 0.4 < np.sqrt(np.mean(np.square(distances))) < 2.0
    scatter = np.sqrt(np.mean(np.square(poses), axis=0))
    assert np.all((scatter > 0.3) & (scatter < 2.2)), scatter


def test_a_flat_plate_needs_the_distance() -> None:
    with pytest.raises(RegistrationError, match="does not determine the source-detector distance"):
        _calibrated(_truth(1), two_planes(flat=True))


def test_a_flat_plate_with_the_distance_gives_its_place() -> None:
    truth = _truth(3, tilt_deg=25.0)
    found = _calibrated(truth, two_planes(flat=True), sid_known=True)
    assert found.accepted
    assert found.sid_error_mm == 0.0
    plane = np.random.default_rng(7).uniform([-50, -50, 0], [50, 50, 1], (100, 3))
    assert max(np.linalg.norm(project(found.view, p) - project(truth, p)) for p in plane) < 0.15
    off = found.view.carm_from_world[:3, 3] - truth.carm_from_world[:3, 3]
    assert abs(off[2]) < 4.0 * np.sqrt(np.max(np.diag(found.covariance)[:3])) + 0.3


def test_a_plate_described_wrongly_is_refused() -> None:
    """Beads 3 mm from where the description has them."""
    plate = two_planes()
    rng = np.random.default_rng(5)
    wrong = Plate(
        tuple(
            replace(b, position_mm=tuple(np.array(b.position_mm) + rng.normal(0, 3.0, 3)))
            for b in plate.beads
        )
    )
    frame = _frame(_truth(1), plate)
    frame = replace(frame, view=CArmView(NOMINAL, np.eye(4), Pixels.INTENSITY))
    with pytest.raises(RegistrationError, match="do not form the plate's pattern"):
        calibrate_from_plate(frame, wrong)


def test_a_frame_without_beads_is_refused() -> None:
    truth = _truth(1)
    empty = exposed(np.ones((SIZE_PX, SIZE_PX)), truth, np.random.default_rng(1))
    with pytest.raises(RegistrationError, match=r"no bead stands out|do not form"):
        calibrate_from_plate(empty, two_planes())


def test_a_plate_without_larger_beads_is_refused(tmp_path) -> None:
    plate = Plate(tuple(replace(b, diameter_mm=2.0) for b in two_planes().beads))
    with pytest.raises(RegistrationError, match="larger than the rest"):
        read_plate(write_plate(tmp_path / "plate.json", plate))


def test_a_plate_is_read_back(tmp_path) -> None:
    plate = two_planes()
    assert read_plate(write_plate(tmp_path / "plate.json", plate)) == plate


# Pincushion and S distortion ------------------------------------------------


def _bent(places: np.ndarray) -> np.ndarray:
    """Where an image intensifier puts a place of the true picture, px: 12 px at the corner."""
    half = SIZE_PX / 2.0
    x, y = (places - (SIZE_PX - 1) / 2.0).T / half
    square = x**2 + y**2
    turn = 0.03 * square
    grown = 1.0 + 0.05 * square
    bent = np.stack([grown * (x - turn * y), grown * (y + turn * x)], axis=1)
    return bent * half + (SIZE_PX - 1) / 2.0


def _bent_frame(seed: int = 0) -> tuple[FluoroFrame, CArmView]:
    """The frame of a grid at the detector's cover, seen through the distortion."""
    pose = np.eye(4)
    pose[2, 3] = 1000.0
    view = CArmView(
        CArmGeometry(1000.0, (PIXEL_MM, PIXEL_MM), (SIZE_PX, SIZE_PX), (255.5, 255.5)),
        pose,
        Pixels.INTENSITY,
    )
    fine = bead_integrals(view, grid())
    v, u = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
    here = np.stack([u.ravel(), v.ravel()], axis=1).astype(float)
    true = here.copy()
    for _ in range(20):  # the distortion inverted by iteration
        true += here - _bent(true)
    total = ndimage.map_coordinates(fine, true.T[::-1], order=3).reshape(SIZE_PX, SIZE_PX)
    total = np.maximum(total, 0.0) + 0.5
    return exposed(total, view, np.random.default_rng(seed)), view


def test_distortion_is_measured_and_taken_out() -> None:
    frame, _ = _bent_frame()
    found = distortion_from_grid(frame, grid())
    assert found.beads > 250
    assert found.largest_px > 8.0
    assert found.rms_px < 0.15
    places = np.stack(np.meshgrid(np.arange(20, 490, 30), np.arange(20, 490, 30)), axis=-1)
    places = places.reshape(-1, 2).astype(float)
    miss = np.linalg.norm(found.frame_px(places) - _bent(places), axis=1)
    inner = np.linalg.norm(places - 255.5, axis=1) < 230.0
    assert np.max(miss[inner]) < 0.3
    assert np.max(np.linalg.norm(_bent(places) - places, axis=1)) > 8.0


def test_the_corrected_picture_has_the_beads_where_they_belong() -> None:
    frame, view = _bent_frame()
    found = distortion_from_grid(frame, grid())
    straight = undistorted(frame.image, found)
    again = distortion_from_grid(FluoroFrame(view, straight), grid())
    assert again.largest_px < 1.0


def test_a_picture_of_another_size_is_not_corrected() -> None:
    frame, _ = _bent_frame()
    found = distortion_from_grid(frame, grid())
    with pytest.raises(RegistrationError, match="512 x 512"):
        undistorted(frame.image[:256], found)


def test_distortion_needs_a_flat_grid() -> None:
    frame, _ = _bent_frame()
    with pytest.raises(RegistrationError, match="not flat"):
        distortion_from_grid(frame, two_planes())
