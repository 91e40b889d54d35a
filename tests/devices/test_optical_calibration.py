"""Camera calibration against cameras whose geometry is known, and views it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import DeviceError
from devices.optical.calibration import CalibrationError, calibrate_camera
from devices.optical.charuco import BoardView, CharucoBoard
from hw_mocks.marker_scene import project
from tests.devices.optical_scenes import (
    BENT_CAMERA,
    CAMERA,
    board_pose,
    drawn_board,
    photographed_boards,
    tilted_poses,
)

SIZE_PX = BENT_CAMERA.size_px


def drawn(count: int, seed: int, *, tilt: float = 0.35, sd_px: float = 0.1) -> list[BoardView]:
    rng = np.random.default_rng(seed)
    return [
        drawn_board(f"view {index}", BENT_CAMERA, matrix, sd_px, rng)
        for index, matrix in enumerate(tilted_poses(count, rng, tilt))
    ]


def test_photographed_board_gives_the_camera() -> None:
    rng = np.random.default_rng(1)
    views = photographed_boards(BENT_CAMERA, tilted_poses(12, rng), rng)
    found = calibrate_camera(views, SIZE_PX)
    assert found.intrinsics.focal_px == pytest.approx(BENT_CAMERA.focal_px, rel=0.005)
    assert found.intrinsics.principal_px == pytest.approx(BENT_CAMERA.principal_px, abs=2.5)
    assert found.intrinsics.rms_px < 0.25
    assert found.intrinsics.size_px == SIZE_PX
    assert found.coverage > 0.3
    assert set(found.view_rms_px) | set(found.left_out) == {view.name for view in views}


def test_its_error_is_the_noise_and_its_spread_is_true() -> None:
    """Over 12 calibrations: rms is the noise of both coordinates; focal errors as predicted."""
    off, predicted = [], []
    for seed in range(12):
        found = calibrate_camera(drawn(14, seed), SIZE_PX)
        assert found.intrinsics.corner_sd_px == pytest.approx(0.1, rel=0.15)
        assert found.left_out == {}
        off.append(np.subtract(found.intrinsics.focal_px, BENT_CAMERA.focal_px))
        predicted.append(found.focal_sd_px)
    ratio = np.sqrt(np.mean(np.square(off))) / np.sqrt(np.mean(np.square(predicted)))
    assert 0.5 < ratio < 2.0


def test_outlying_view_is_named_and_left_out() -> None:
    views = drawn(14, 3)
    bad = views[5]
    # Someone moved the camera while it took this one.
    shear = np.linspace(0.0, 6.0, len(bad.pixels))[:, None] * [0.0, 1.0]
    views[5] = BoardView("blurred", bad.points_mm, bad.pixels + shear)
    found = calibrate_camera(views, SIZE_PX)
    assert list(found.left_out) == ["blurred"]
    assert "px, more than" in found.left_out["blurred"]
    assert "blurred" not in found.view_rms_px
    assert found.intrinsics.focal_px == pytest.approx(BENT_CAMERA.focal_px, rel=0.01)


def test_views_of_a_sliver_are_left_out() -> None:
    views = drawn(12, 4)
    few, line = views[0], views[1]
    row = line.points_mm[:, 1] == line.points_mm[0, 1]
    views[0] = BoardView("few", few.points_mm[:5], few.pixels[:5])
    views[1] = BoardView(
        "line", np.tile(line.points_mm[row], (2, 1)), np.tile(line.pixels[row], (2, 1))
    )
    found = calibrate_camera(views, SIZE_PX)
    assert found.left_out == {
        "few": "5 corners of the board seen",
        "line": "the corners seen lie on a line",
    }


def test_too_few_views_are_refused_with_the_reasons() -> None:
    views = drawn(8, 5)
    views[2] = BoardView("dark", np.zeros((0, 3)), np.zeros((0, 2)))
    with pytest.raises(CalibrationError, match=r"7 usable views of 8; .*dark: 0 corners"):
        calibrate_camera(views, SIZE_PX)


def test_board_that_was_hardly_tilted_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"tilted by|focal length is known"):
        calibrate_camera(drawn(14, 6, tilt=0.05), SIZE_PX)
    rng = np.random.default_rng(7)
    flat = [
        drawn_board(f"v{i}", CAMERA, board_pose((0, 0, 0.1 * i), (0, 0, 280.0 + i)), 0.02, rng)
        for i in range(12)
    ]
    with pytest.raises(CalibrationError, match="tilt"):
        calibrate_camera(flat, SIZE_PX)


def test_residuals_above_the_gate_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"reprojection error 1\.\d+ px, at most 0\.80"):
        calibrate_camera(drawn(14, 8, sd_px=1.0), SIZE_PX)


def test_bent_board_is_refused() -> None:
    rng, bent = np.random.default_rng(9), []
    for view, matrix in zip(drawn(14, 9), tilted_poses(14, rng), strict=True):
        bow = view.points_mm.copy()
        bow[:, 2] = 6.0 * np.sin(np.pi * bow[:, 0] / 160.0)
        bent.append(BoardView(view.name, view.points_mm, project(BENT_CAMERA, matrix, bow)))
    with pytest.raises(CalibrationError, match="is the board flat"):
        calibrate_camera(bent, SIZE_PX)


def test_views_of_one_name_are_refused() -> None:
    views = drawn(9, 10)
    with pytest.raises(CalibrationError, match="same name"):
        calibrate_camera([*views, views[0]], SIZE_PX)


def test_wide_lens_fits_the_third_radial_term() -> None:
    assert calibrate_camera(drawn(14, 11), SIZE_PX).intrinsics.distortion[4] == 0.0
    wide = calibrate_camera(drawn(14, 11), SIZE_PX, wide_lens=True)
    assert wide.intrinsics.distortion[4] != 0.0


@pytest.mark.parametrize(
    ("squares", "square_mm", "marker_mm", "dictionary", "message"),
    [
        ((2, 6), 20.0, 15.0, "5X5_50", "3 to 50"),
        ((8, 6), 15.0, 20.0, "5X5_50", "do not fit squares"),
        ((8, 6), 20.0, 15.0, "5X5_51", "no marker dictionary"),
        ((20, 20), 20.0, 15.0, "5X5_50", "too few markers"),
    ],
)
def test_boards_that_cannot_be_are_refused(
    squares: tuple[int, int], square_mm: float, marker_mm: float, dictionary: str, message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        CharucoBoard(squares, square_mm, marker_mm, dictionary)
