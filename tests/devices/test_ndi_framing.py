"""Checksums and envelopes of NDI's combined API against published examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.ndi import ReplyError, checksum, open_binary, open_text, seal_binary, seal_text
from devices.ndi.framing import MAX_BODY_SIZE, body_size

# Commands and replies with the checksum that NDI's own devices and programs gave them.
PUBLISHED = [
    (b"INIT:", "E3A5"),  # ndicapi.cxx, ndiSerialProbe
    (b"OKAY", "A896"),
    (b"RESET", "BE6F"),
    (b"VER:0", "65EE"),
    (b"GETINFO:Features.Firmware.Version", "0492"),
    (b"WARNING", "7423"),  # MITK, mitkNDIProtocol.cpp
    (b"00", "1414"),  # Aurora API guide, example replies of PHSR
    (b"010A001", "C1B5"),
    (b"040A01F0B01F0C01F0D01F", "2DDB"),
    (b"Testing!", "A81C"),  # the same, ECHO
    (b"Info.Timeout.PINIT=5\n", "96A7"),  # the same, GET
    (b"1", "D4C1"),  # a Polaris' answer to BEEP
    (b"030A0010B0010C001", "C254"),
    (b"PHRQ:*********1****", "A4C1"),  # NDI ToolBox to a Vega
    (b"TSTART:", "5423"),
    (b"TSTOP:", "2C14"),
    (b"BX:1803", "3D6C"),
    (
        b"PVWR:0200004E444900AF12000001000000000000010000000002DC32355A0000000400000004"
        b"0000000000403F000000000000000000000000000000000000000000000000",
        "610B",
    ),
]


@pytest.mark.parametrize(("content", "digits"), PUBLISHED)
def test_published_checksums(content: bytes, digits: str) -> None:
    assert f"{checksum(content):04X}" == digits
    assert seal_text(content) == content + digits.encode() + b"\r"
    assert open_text(content + digits.encode() + b"\r") == content


@given(st.binary(max_size=200))
def test_checksum_is_the_one_printed_in_the_guide(data: bytes) -> None:
    assert checksum(data) == crc_of_the_guide(data)


def crc_of_the_guide(data: bytes) -> int:
    """CalcCRC16 of the Polaris API guide, "Calculating a CRC"."""
    odd_parity = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0]
    crc = 0
    for byte in data:
        rest = (byte ^ crc) & 0xFF
        crc >>= 8
        if odd_parity[rest & 0x0F] ^ odd_parity[rest >> 4]:
            crc ^= 0xC001
        crc ^= rest << 6
        crc ^= rest << 7
    return crc


@given(st.binary(max_size=300))
def test_binary_envelope_comes_back(body: bytes) -> None:
    sealed = seal_binary(body)
    assert sealed[:2] == b"\xc4\xa5"
    assert open_binary(sealed) == body


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"OKAYA897\r", "bad checksum"),
        (b"OKAXA896\r", "bad checksum"),
        (b"OKAYA896", "reply cut short"),
        (b"A8\r", "reply cut short"),
        (b"", "reply cut short"),
    ],
)
def test_damaged_text_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(ReplyError) as caught:
        open_text(line)
    assert caught.value.reason == reason


def test_damaged_binary_is_refused() -> None:
    good = seal_binary(b"\x00\x00\x00")
    for at in range(len(good)):
        with pytest.raises(ReplyError):
            open_binary(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        with pytest.raises(ReplyError):
            open_binary(good[:at])
    with pytest.raises(ReplyError, match="wrong length"):
        open_binary(good + b"\0")


def test_impossible_length_is_refused() -> None:
    start = b"\xc4\xa5" + (MAX_BODY_SIZE + 1).to_bytes(2, "little")
    with pytest.raises(ReplyError, match="too long"):
        body_size(start + checksum(start).to_bytes(2, "little"))
    with pytest.raises(ReplyError, match="too long"):
        seal_binary(bytes(MAX_BODY_SIZE + 1))
