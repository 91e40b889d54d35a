"""Poses of tools over time, and what turns a sensor's pose into a tip's."""

from ir_nav.tracking.clock import ClockEstimate, ClockTracker, estimate_clock
from ir_nav.tracking.pose_buffer import PoseBuffer, scatter_mm
from ir_nav.tracking.quality import QualityReport, StreamQuality
from ir_nav.tracking.timestamps import TimestampSmoother, smooth_timestamps

__all__ = [
    "ClockEstimate",
    "ClockTracker",
    "PoseBuffer",
    "QualityReport",
    "StreamQuality",
    "TimestampSmoother",
    "estimate_clock",
    "scatter_mm",
    "smooth_timestamps",
]
