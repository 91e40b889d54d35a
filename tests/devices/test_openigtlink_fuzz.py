"""Bytes nobody should send raise MessageError and nothing else."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.openigtlink import (
    GarbageError,
    MessageError,
    decode_bytes,
    pack_string,
)
from devices.openigtlink.header import checksum, parse_header
from devices.openigtlink.messages import DECODERS
from tests.devices.support import assembled, vector


@pytest.mark.parametrize(
    "sizes", [(65535, 18, 39), (12, 65535, 39), (12, 18, 2**32 - 1), (0, 0, 0)]
)
def test_nonsense_extended_headers_are_refused(sizes: tuple[int, int, int]) -> None:
    data = vector("transform_message_Format2")
    body = struct.pack(">HHI", *sizes) + data[66:]
    with pytest.raises(MessageError):
        decode_bytes(reseal(data, body), 0.0)


def reseal(data: bytes, body: bytes) -> bytes:
    """The message with another body, its length and checksum put right."""
    return data[:42] + struct.pack(">QQ", len(body), checksum(body)) + body


FUZZED = [
    "transform_message",
    "transform_message_Format2",
    "tdata_messageFormat2",
    "string_message",
    "status_message",
    "capability_message",
    "position_message",
    "image_message",
    "command_message",
    "point_message",
    "trajectory_message_Format2",
    "imgmeta_message",
    "lbmeta_message",
    "sensor_message",
    "colortable_message",
]
ASSEMBLED = ["bind", "ndarray", "polydata"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data(), name=st.sampled_from(FUZZED + ASSEMBLED))
def test_mutated_messages_raise_nothing_but_message_errors(data: st.DataObject, name: str) -> None:
    message = bytearray(assembled(name) if name in ASSEMBLED else vector(name))
    changes = st.tuples(st.integers(58, min(len(message), 200) - 1), st.integers(0, 255))
    for where, value in data.draw(st.lists(changes, max_size=6)):
        message[where] = value
    body = bytes(message[58:])[: data.draw(st.integers(0, len(message) - 58))]
    swallow(reseal(bytes(message), body))


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([*DECODERS, "BIND"]),
    version=st.integers(1, 3),
    body=st.binary(max_size=150),
)
def test_random_bodies_raise_nothing_but_message_errors(
    kind: str, version: int, body: bytes
) -> None:
    head = pack_string("N", "", 1.0)
    identity = struct.pack(">H12s20s", version, kind.encode(), b"N") + head[34:42]
    swallow(reseal(identity, body))


@given(st.binary(max_size=120))
def test_random_bytes_are_garbage(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode_bytes(data, 0.0)


def swallow(data: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode_bytes(data, 0.0)


def test_garbage_header_is_told_from_a_bad_message() -> None:
    with pytest.raises(GarbageError):
        parse_header(b"GET / HTTP/1.1\r\n".ljust(58))
