"""Tool calibrations, each with a gate and a reason when it is refused."""

from ir_nav.tracking.calibration.pivot import (
    PivotCalibration,
    SpinCalibration,
    calibrate_pivot,
    calibrate_spin,
    tool_from_tip,
)

__all__ = [
    "PivotCalibration",
    "SpinCalibration",
    "calibrate_pivot",
    "calibrate_spin",
    "tool_from_tip",
]
