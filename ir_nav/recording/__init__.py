"""The needle log: writing and reading."""

from ir_nav.recording.log_reader import LogContents, PoseTrack, ShownTrack, read_log, read_poses
from ir_nav.recording.needle_log import LogCounts, NeedleLog
from ir_nav.recording.records import Event, EventKind, LogError, Shown

__all__ = [
    "Event",
    "EventKind",
    "LogContents",
    "LogCounts",
    "LogError",
    "NeedleLog",
    "PoseTrack",
    "Shown",
    "ShownTrack",
    "read_log",
    "read_poses",
]
