"""Optical tracking of printed ArUco markers with one calibrated camera."""

from devices.optical.bodies import Bodies, Body, BodyFileError, read_bodies
from devices.optical.calibration import (
    CalibrationError,
    CalibrationGates,
    CameraCalibration,
    calibrate_camera,
)
from devices.optical.charuco import BoardView, CharucoBoard, find_board
from devices.optical.intrinsics import (
    Intrinsics,
    IntrinsicsError,
    read_intrinsics,
    write_intrinsics,
)
from devices.optical.poses import BodyPose, PoseGates, PoseRefusedError, estimate_pose
from devices.optical.tracker import OpticalTracker

__all__ = [
    "BoardView",
    "Bodies",
    "Body",
    "BodyFileError",
    "BodyPose",
    "CalibrationError",
    "CalibrationGates",
    "CameraCalibration",
    "CharucoBoard",
    "Intrinsics",
    "IntrinsicsError",
    "OpticalTracker",
    "PoseGates",
    "PoseRefusedError",
    "calibrate_camera",
    "estimate_pose",
    "find_board",
    "read_bodies",
    "read_intrinsics",
    "write_intrinsics",
]
