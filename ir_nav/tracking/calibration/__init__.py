"""Tool calibrations, each with a gate and a reason when it is refused."""

from ir_nav.tracking.calibration.delay import DelayCalibration, calibrate_delay
from ir_nav.tracking.calibration.landmark_recording import (
    Dwell,
    PhantomRegistration,
    find_dwells,
    register_phantom,
)
from ir_nav.tracking.calibration.pivot import (
    PivotCalibration,
    SpinCalibration,
    calibrate_pivot,
    calibrate_spin,
    tool_from_tip,
)
from ir_nav.tracking.calibration.result import CalibrationError, ErrorStatistics, Rejection

__all__ = [
    "CalibrationError",
    "DelayCalibration",
    "Dwell",
    "ErrorStatistics",
    "PhantomRegistration",
    "PivotCalibration",
    "Rejection",
    "SpinCalibration",
    "calibrate_delay",
    "calibrate_pivot",
    "calibrate_spin",
    "find_dwells",
    "register_phantom",
    "tool_from_tip",
]
