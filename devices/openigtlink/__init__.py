"""OpenIGTLink: the codecs, the client that is a device driver, and the server."""

from devices.openigtlink.client import OpenIGTLinkClient
from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import GarbageError, Header, MessageError
from devices.openigtlink.images import PatientAxes, pack_image
from devices.openigtlink.messages import Message, Notice, decode, decode_bytes
from devices.openigtlink.poses import TrackedElement, pack_tdata, pack_transform
from devices.openigtlink.server import OpenIGTLinkServer
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
    "Capability",
    "DeviceStatus",
    "Envelope",
    "GarbageError",
    "Header",
    "Message",
    "MessageError",
    "Notice",
    "OpenIGTLinkClient",
    "OpenIGTLinkServer",
    "PatientAxes",
    "Query",
    "TrackedElement",
    "decode",
    "decode_bytes",
    "pack_capability",
    "pack_image",
    "pack_query",
    "pack_status",
    "pack_string",
    "pack_tdata",
    "pack_transform",
    "seal",
]
