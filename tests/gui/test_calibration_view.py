"""The picture of a calibration: turns and residuals where the numbers put them."""

from __future__ import annotations

import numpy as np
from PyQt6.QtWidgets import QApplication
from scipy.spatial.transform import Rotation

from ir_nav.gui.calibration_view import CalibrationView
from ir_nav.tracking.calibration import PivotCalibration, calibrate_pivot
from tests.gui.conftest import pixels


def pivoted(outliers: int = 0) -> PivotCalibration:
    """200 poses tilted to all sides about a tip 150 mm from the sensor."""
    rng = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (200, 1, 1))
    turns = np.column_stack([rng.uniform(-30, 30, (200, 2)), np.zeros(200)])
    poses[:, :3, :3] = Rotation.from_rotvec(turns, degrees=True).as_matrix()
    poses[:, :3, 3] = -poses[:, :3, :3] @ (0.0, 0.0, 150.0) + rng.normal(0, 0.15, (200, 3))
    poses[:outliers, 0, 3] += 5.0
    return calibrate_pivot(poses)


def grey(picture: np.ndarray) -> np.ndarray:
    return (np.ptp(picture, axis=2) < 25) & (picture.min(axis=2) > 130)


def red(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 0] > 150) & (picture[..., 1] < 110) & (picture[..., 2] < 110)


def test_turns_are_drawn_alone_until_there_are_residuals(app: QApplication) -> None:
    view = CalibrationView("poses")
    assert not grey(pixels(view, 400, 220)).any()
    pivot = pivoted()
    view.show_running(pivot.turned_deg)
    running = grey(pixels(view, 400, 220))
    assert running[:190, :200].sum() > 300
    assert running[:190, 200:].sum() == 0
    view.show_pivot(pivot)
    both = grey(pixels(view, 400, 220))
    assert both[:190, 200:].sum() > 300


def test_outliers_are_red(app: QApplication) -> None:
    view = CalibrationView("poses")
    view.show_pivot(pivoted())
    assert not red(pixels(view, 400, 220)).any()
    pivot = pivoted(outliers=12)
    assert pivot.rejected == 12
    assert not pivot.kept[:12].any()
    view.show_pivot(pivot)
    assert red(pixels(view, 400, 220))[:, 200:].any()


def test_turned_angles_are_those_that_were_made() -> None:
    turned = pivoted().turned_deg
    assert 25.0 < np.abs(turned).max() < 55.0
    assert turned.shape == (200, 2)
