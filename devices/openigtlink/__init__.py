"""OpenIGTLink: the codecs, the client that is a device driver, and the server."""

from devices.openigtlink.arrays import (
    ColourTable,
    NumberArray,
    SensorReading,
    pack_array,
    pack_colours,
    pack_sensor,
)
from devices.openigtlink.bundles import pack_bundle
from devices.openigtlink.client import OpenIGTLinkClient
from devices.openigtlink.commands import Command, pack_command
from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import GarbageError, Header, MessageError
from devices.openigtlink.images import ByteOrder, PatientAxes, Volume, pack_image, pack_volume
from devices.openigtlink.listings import (
    ImageDescription,
    LabelDescription,
    pack_image_list,
    pack_label_list,
)
from devices.openigtlink.messages import Message, Notice, decode, decode_bytes
from devices.openigtlink.poses import (
    TrackedElement,
    pack_position,
    pack_qtdata,
    pack_tdata,
    pack_transform,
)
from devices.openigtlink.records import (
    NamedPoint,
    Table,
    Trajectory,
    TrajectoryKind,
    pack_points,
    pack_trajectories,
)
from devices.openigtlink.server import OpenIGTLinkServer
from devices.openigtlink.surfaces import Surface, SurfaceAttribute, pack_surface
from devices.openigtlink.texts import (
    Capability,
    DeviceStatus,
    Query,
    pack_capability,
    pack_query,
    pack_status,
    pack_string,
)

__all__ = [
    "ByteOrder",
    "Capability",
    "ColourTable",
    "Command",
    "DeviceStatus",
    "Envelope",
    "GarbageError",
    "Header",
    "ImageDescription",
    "LabelDescription",
    "Message",
    "MessageError",
    "NamedPoint",
    "Notice",
    "NumberArray",
    "OpenIGTLinkClient",
    "OpenIGTLinkServer",
    "PatientAxes",
    "Query",
    "SensorReading",
    "Surface",
    "SurfaceAttribute",
    "Table",
    "TrackedElement",
    "Trajectory",
    "TrajectoryKind",
    "Volume",
    "decode",
    "decode_bytes",
    "pack_array",
    "pack_bundle",
    "pack_capability",
    "pack_colours",
    "pack_command",
    "pack_image",
    "pack_image_list",
    "pack_label_list",
    "pack_points",
    "pack_position",
    "pack_qtdata",
    "pack_query",
    "pack_sensor",
    "pack_status",
    "pack_string",
    "pack_surface",
    "pack_tdata",
    "pack_trajectories",
    "pack_transform",
    "pack_volume",
    "seal",
]
