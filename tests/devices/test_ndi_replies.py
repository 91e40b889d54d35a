"""Tracking replies: recorded and hand-made ones, and what their bits mean for a pose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.contract import PoseStatus
from devices.ndi import (
    HandleState,
    NdiPose,
    PortStatus,
    ReplyError,
    SystemStatus,
    ToolReading,
    TrackingReply,
    WiredPort,
    open_binary,
    pack_bx,
    pack_tx,
    parse_bx,
    parse_tx,
    pose_matrix,
    seal_binary,
)
from devices.ndi.faults import TrackerRefusedError, check_refusal, warning_words
from devices.ndi.ports import parse_handle, parse_handles, parse_location
from devices.ndi.status import port_words, pose_status, system_words

# Recorded from a Polaris with two tools (a public Qt program, mythread.cpp); the positions of
# single markers that option 0x0008 adds were cut off.
RECORDED_TX = (
    b"0201+07082-04513-01855-05101+041595-057080-190190+02477000000310000014D\n"
    b"02+02762-01462-00466+09487+033067-022295-195013+01564000000310000014D\n0000"
)
RECORDED_MISSING = (
    b"0201MISSING0000003100000393\n"
    b"02+09771-02075-00066+00445+016351+006174-194689+02177000000310000039\x33\n0000"
)
# By hand, after the tables of the guide: handle 0A, valid, q = (1, 0, 0, 0), t = (1, -2, 4) mm,
# error 0.25 mm, port status 0x31, frame 0x14D; handle 0B missing, out of volume; status 0x0200.
# Both checksums by the guide's own routine (test_ndi_framing.crc_of_the_guide).
GOLDEN_BX = bytes.fromhex(
    "C4A537003B23"
    "02"
    "0A01"
    "0000803F000000000000000000000000"
    "0000803F000000C000008040"
    "0000803E"
    "310000004D010000"
    "0B02"
    "710000004D010000"
    "0002"
    "11ED"
)
IN_USE = PortStatus.OCCUPIED | PortStatus.INITIALIZED | PortStatus.ENABLED


def test_recorded_tx_reply() -> None:
    reply = parse_tx(RECORDED_TX)
    first, second = reply.tools
    assert first == ToolReading(
        1,
        HandleState.VALID,
        NdiPose(0.7082, -0.4513, -0.1855, -0.5101, 415.95, -570.80, -1901.90, 0.2477),
        IN_USE,
        0x14D,
    )
    assert second.handle == 2
    assert reply.system == SystemStatus(0)
    assert pack_tx(reply) == RECORDED_TX
    assert first.pose is not None
    matrix = pose_matrix(first.pose)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
    assert matrix[0, 3] == 415.95


def test_recorded_tx_reply_with_a_missing_tool() -> None:
    reply = parse_tx(RECORDED_MISSING)
    assert reply.tools[0] == ToolReading(1, HandleState.MISSING, None, IN_USE, 0x393)
    assert pack_tx(reply) == RECORDED_MISSING


@pytest.mark.parametrize("word", ["DISABLED", "UNOCCUPIED"])
@pytest.mark.parametrize("tail", ["", "0000000100000000"])
def test_tools_that_cannot_be_tracked_in_tx(word: str, tail: str) -> None:
    (tool,) = parse_tx(f"010A{word}{tail}\n0000".encode()).tools
    assert tool.state is HandleState[word]
    assert tool.pose is None


def test_golden_bx_reply() -> None:
    body = open_binary(GOLDEN_BX)
    reply = parse_bx(body)
    assert list(reply.tools) == [
        ToolReading(10, HandleState.VALID, NdiPose(1, 0, 0, 0, 1, -2, 4, 0.25), IN_USE, 0x14D),
        ToolReading(11, HandleState.MISSING, None, IN_USE | PortStatus.OUT_OF_VOLUME, 0x14D),
    ]
    assert reply.system == SystemStatus.TEMPERATURE
    assert seal_binary(pack_bx(reply)) == GOLDEN_BX


def test_pose_is_scalar_first_and_maps_the_tool_to_the_tracker() -> None:
    half = math.sqrt(0.5)
    matrix = pose_matrix(NdiPose(half, 0, 0, half, 10, 20, 30, 0))  # 90 degrees about z
    np.testing.assert_allclose(matrix @ [1, 0, 0, 1], [10, 21, 30, 1], atol=1e-12)
    assert not matrix.flags.writeable


@pytest.mark.parametrize(
    ("pose", "reason"),
    [
        (NdiPose(math.nan, 0, 0, 0, 0, 0, 0, 0), "pose not finite"),
        (NdiPose(1, 0, 0, 0, math.inf, 0, 0, 0), "pose not finite"),
        (NdiPose(1, 0, 0, 0.1, 0, 0, 0, 0), "pose not rigid"),
        (NdiPose(0, 0, 0, 0, 0, 0, 0, 0), "pose not rigid"),
    ],
)
def test_impossible_poses_are_refused(pose: NdiPose, reason: str) -> None:
    with pytest.raises(ReplyError) as caught:
        pose_matrix(pose)
    assert caught.value.reason == reason


@given(st.floats(-9999, 9999), st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF))
def test_replies_come_back(x_mm: float, frame: int, port: int) -> None:
    pose = NdiPose(0.5, -0.5, 0.5, -0.5, x_mm, 0, -x_mm, 0.1)
    reply = TrackingReply(
        [
            ToolReading(1, HandleState.VALID, pose, PortStatus(port), frame),
            ToolReading(255, HandleState.MISSING, None, PortStatus(port), frame),
            ToolReading(9, HandleState.DISABLED),
        ],
        SystemStatus(0x0302),
    )
    for back, tolerance in ((parse_tx(pack_tx(reply)), 0.005), (parse_bx(pack_bx(reply)), 1e-3)):
        assert back.system == reply.system
        assert back.tools[1:] == reply.tools[1:]
        valid = back.tools[0]
        assert (valid.port, valid.frame) == (PortStatus(port), frame)
        np.testing.assert_allclose(valid.pose, pose, atol=tolerance + 1e-9)


def test_number_that_tx_cannot_carry() -> None:
    pose = NdiPose(1, 0, 0, 0, 10_000.0, 0, 0, 0)
    with pytest.raises(ReplyError, match="too large"):
        pack_tx(TrackingReply([ToolReading(1, HandleState.VALID, pose)]))


P, S = PortStatus, SystemStatus


@pytest.mark.parametrize(
    ("state", "port", "system", "expected"),
    [
        ("VALID", IN_USE, S(0), PoseStatus.OK),
        ("VALID", IN_USE | P.SWITCH_1, S.DIAGNOSTIC_PENDING | S.PORT_OCCUPIED, PoseStatus.OK),
        ("VALID", IN_USE | P.OUT_OF_VOLUME, S(0), PoseStatus.OUT_OF_VOLUME),
        ("VALID", IN_USE | P.PARTIALLY_OUT_OF_VOLUME, S(0), PoseStatus.OUT_OF_VOLUME),
        ("MISSING", IN_USE | P.OUT_OF_VOLUME, S(0), PoseStatus.OUT_OF_VOLUME),
        ("MISSING", IN_USE, S.TEMPERATURE, PoseStatus.MISSING),
        ("VALID", IN_USE | P.IR_INTERFERENCE, S(0), PoseStatus.INVALID),
        ("VALID", IN_USE | P.ALGORITHM_LIMITATION, S(0), PoseStatus.INVALID),
        ("VALID", IN_USE, S.TEMPERATURE, PoseStatus.INVALID),
        ("VALID", IN_USE, S.HARDWARE_FAILURE, PoseStatus.INVALID),
        ("DISABLED", P(0), S(0), PoseStatus.INVALID),
        ("UNOCCUPIED", P(0), S(0), PoseStatus.INVALID),
    ],
)
def test_what_a_reading_is_worth(
    state: str, port: PortStatus, system: SystemStatus, expected: PoseStatus
) -> None:
    assert pose_status(HandleState[state], port, system) is expected


def test_status_in_words() -> None:
    words = system_words(SystemStatus.TEMPERATURE | SystemStatus.DIAGNOSTIC_PENDING)
    assert len(words) == 2
    assert any("warmed up" in word for word in words)
    assert port_words("Needle", PortStatus.IR_INTERFERENCE)[0].startswith("Needle: a bright light")
    assert system_words(SystemStatus(0)) == port_words("Needle", IN_USE) == []


def test_errors_in_words() -> None:
    for code in range(0x100):
        with pytest.raises(TrackerRefusedError, match=rf"PENA \(error {code:02X}\): .{{10,}}; "):
            check_refusal("PENA", b"ERROR%02X" % code)
    check_refusal("PENA", b"OKAY")
    assert "warning" in (warning_words("TSTART", b"WARNING") or "")
    assert "05" in (warning_words("PENA", b"WARNING05") or "")
    assert warning_words("PENA", b"OKAY") is None


def test_handles() -> None:
    assert parse_handles(b"00") == {}
    # Aurora API guide, example replies of PHSR.
    assert list(parse_handles(b"040A01F0B01F0C01F0D01F")) == [10, 11, 12, 13]
    assert parse_handles(b"010A001") == {10: PortStatus.OCCUPIED}
    assert parse_handle(b"0A") == 10
    assert parse_location(b"00000000010A00").port is None
    assert parse_location(b"********000201").port == WiredPort(2, 1)
