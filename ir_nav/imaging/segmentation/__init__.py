"""Structures found automatically, grown from a click, or drawn; pure functions on arrays."""

from ir_nav.imaging.segmentation.automatic import automatic_structures
from ir_nav.imaging.segmentation.brush import brushed, smoothed
from ir_nav.imaging.segmentation.history import History, Step
from ir_nav.imaging.segmentation.lesion import Grown, grow_lesion
from ir_nav.imaging.segmentation.segment_files import has_segments, read_segments, write_segments
from ir_nav.imaging.segmentation.segments import Origin, Segment, Segmentation, segmentation_of
from ir_nav.imaging.segmentation.total_segmentator import (
    run_total_segmentator,
    total_segmentator_path,
)
from ir_nav.imaging.segmentation.vessels import Ending, Vessels, vessels

__all__ = [
    "Ending",
    "Grown",
    "History",
    "Origin",
    "Segment",
    "Segmentation",
    "Step",
    "Vessels",
    "automatic_structures",
    "brushed",
    "grow_lesion",
    "has_segments",
    "read_segments",
    "run_total_segmentator",
    "segmentation_of",
    "smoothed",
    "total_segmentator_path",
    "vessels",
    "write_segments",
]
