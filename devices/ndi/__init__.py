"""NDI's combined API: the driver of Polaris, Vega and Aurora trackers, and the codec."""

from devices.ndi.faults import TrackerRefusedError
from devices.ndi.framing import (
    ReplyError,
    checksum,
    open_binary,
    open_text,
    seal_binary,
    seal_text,
)
from devices.ndi.ports import WiredPort
from devices.ndi.replies import (
    NdiPose,
    ToolReading,
    TrackingReply,
    pack_bx,
    pack_tx,
    parse_bx,
    parse_tx,
    pose_matrix,
)
from devices.ndi.startup import ToolSource
from devices.ndi.status import HandleState, PortStatus, SystemStatus
from devices.ndi.tracker import NdiTracker

__all__ = [
    "HandleState",
    "NdiPose",
    "NdiTracker",
    "PortStatus",
    "ReplyError",
    "SystemStatus",
    "ToolReading",
    "ToolSource",
    "TrackerRefusedError",
    "TrackingReply",
    "WiredPort",
    "checksum",
    "open_binary",
    "open_text",
    "pack_bx",
    "pack_tx",
    "parse_bx",
    "parse_tx",
    "pose_matrix",
    "seal_binary",
    "seal_text",
]
