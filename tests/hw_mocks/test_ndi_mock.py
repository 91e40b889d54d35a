"""The mock tracker answers as NDI's guide says, and shrugs at nonsense."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.ndi import (
    HandleState,
    PortStatus,
    open_binary,
    open_text,
    parse_bx,
    parse_tx,
    seal_text,
)
from hw_mocks.ndi import MockTracker, Mode, Sighting, ndi_pose, part_number, tool_definition

MARKERS_MM = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0], [0.0, 40.0, 0.0]])
POSE = np.array([[1.0, 0, 0, 10.0], [0, 1.0, 0, 20.0], [0, 0, 1.0, -1500.0], [0, 0, 0, 1.0]])


def see(_: float) -> Mapping[str, Sighting]:
    return {"Needle": Sighting(POSE), "Outside": Sighting(POSE, PortStatus.OUT_OF_VOLUME)}


def ask(tracker: MockTracker, command: str) -> str:
    return open_text(tracker.receive(seal_text(command.encode()))).decode()


def load(tracker: MockTracker, data: bytes) -> str:
    handle = ask(tracker, "PHRQ:*********1****")
    for at in range(0, len(data), 64):
        block = data[at : at + 64].ljust(64, b"\0").hex()
        assert ask(tracker, f"PVWR:{handle}{at:04X}{block}") == "OKAY"
    return handle


@pytest.fixture
def tracker() -> MockTracker:
    made = MockTracker(see, frame_rate_hz=None)
    assert ask(made, "INIT:") == "OKAY"
    return made


def test_commands_have_an_order() -> None:
    made = MockTracker(see)
    for command, answer in (
        ("TSTART:", "ERROR10"),
        ("BX:0801", "ERROR10"),
        ("INIT:", "OKAY"),
        ("TX:0801", "ERROR0C"),
        ("TSTOP:", "ERROR0C"),
        ("TSTART:", "OKAY"),
        ("PHSR:00", "ERROR0C"),
        ("TX:0801", "000000"),
        ("TSTOP:", "OKAY"),
        ("NONSENSE:", "ERROR01"),
        ("COMM:90000", "ERROR06"),
        ("PENA:0AD", "ERROR08"),
        ("PVWR:0A0000FF", "ERROR07"),
    ):
        assert ask(made, command) == answer, command


def test_checksum_is_wanted_after_a_colon_only() -> None:
    made = MockTracker(see)
    assert made.receive(b"INIT:0000\r") == seal_text(b"ERROR04")
    assert made.receive(b"INIT \r") == b"OKAYA896\r"
    assert made.receive(b"INIT:E3") == b""
    assert made.receive(b"A5\r") == b"OKAYA896\r"


def test_tool_goes_through_its_states(tracker: MockTracker) -> None:
    handle = load(tracker, tool_definition("Needle", MARKERS_MM))
    assert ask(tracker, "PHSR:02") == f"01{handle}001"
    assert ask(tracker, f"PENA:{handle}D") == "ERROR0E"
    assert ask(tracker, f"PINIT:{handle}") == "OKAY"
    assert ask(tracker, "PHSR:03") == f"01{handle}011"
    assert ask(tracker, f"PENA:{handle}X") == "ERROR09"
    ask(tracker, "TSTART:")
    assert "DISABLED" in ask(tracker, "TX:0001")
    ask(tracker, "TSTOP:")
    assert ask(tracker, f"PENA:{handle}D") == "OKAY"
    assert ask(tracker, "PHSR:04") == f"01{handle}031"
    assert ask(tracker, f"PHF:{handle}") == "OKAY"
    assert ask(tracker, "PHSR:00") == "00"


def test_damaged_tool_definition_is_refused(tracker: MockTracker) -> None:
    data = bytearray(tool_definition("Needle", MARKERS_MM))
    data[80] ^= 1
    assert ask(tracker, f"PINIT:{load(tracker, bytes(data))}") == "ERROR40"
    assert ask(tracker, f"PINIT:{ask(tracker, 'PHRQ:*********1****')}") == "ERROR0D"


def test_checksum_of_a_real_tool_definition() -> None:
    """A .rom file that a public tracking program of the University of Vienna (mwoletz) embeds,
    with the sum 0x0F62. Its bytes that are not zero; where they stand does not change the sum."""
    data = bytearray(752)
    for at, values in (
        (0, "4E444900620F0000 01"),
        (12, "03000001"),
        (21, "6CDD3C5A"),
        (28, "03"),
        (32, "03"),
        (39, "40"),
        (66, "2041"),
        (72, "0000803F0000004000004040000080400000A0400000C0400000E0400000004100001041"),
        (320, "803F 0000 0000 0000 0000 803F 0000 0000 0000 0000 803F"),
        (553, "0102"),
        (572, "1F1F1F1F09"),
        (580, "4D5557"),
        (592, "5465737431"),
        (612, "09010101"),
        (633, "010101"),
        (653, "800029"),
        (666, "803F"),
    ):
        found = bytes.fromhex(values)
        data[at : at + len(found)] = found
    assert part_number(data) == "Test1"


def test_frames_begin_with_tracking(tracker: MockTracker) -> None:
    for name in ("Needle", "Outside", "Hidden"):
        handle = load(tracker, tool_definition(name, MARKERS_MM))
        ask(tracker, f"PINIT:{handle}")
        ask(tracker, f"PENA:{handle}D")
    ask(tracker, "TSTART:")
    before = parse_tx(ask(tracker, "TX:0801").encode())
    assert [tool.frame for tool in before.tools] == [0, 0, 0]
    number = tracker.measure()
    for options, outside in (("0801", HandleState.VALID), ("0001", HandleState.MISSING)):
        reply = parse_bx(open_binary(tracker.receive(seal_text(f"BX:{options}".encode()))))
        assert [tool.frame for tool in reply.tools] == [number] * 3
        states = [tool.state for tool in reply.tools]
        assert states == [HandleState.VALID, outside, HandleState.MISSING]
        assert reply.tools[1].port & PortStatus.OUT_OF_VOLUME
    assert ask(tracker, "TX:1801") == "ERROR23"


def test_frames_are_seen_at_their_own_time() -> None:
    asked_s: list[float] = []

    def watch(at_s: float) -> Mapping[str, Sighting]:
        asked_s.append(at_s)
        return {}

    made = MockTracker(watch, frame_rate_hz=60.0)
    ask(made, "INIT:")
    ask(made, "TSTART:")
    while len(asked_s) < 4:
        ask(made, "TX:0001")
        assert asked_s[-1] <= time.time()
    steps = np.diff(asked_s) * 60.0
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_reset_forgets_everything(tracker: MockTracker) -> None:
    load(tracker, tool_definition("Needle", MARKERS_MM))
    ask(tracker, "COMM:50000")
    assert tracker.baud == 115200
    assert tracker.reset() == b"RESETBE6F\r"
    assert (tracker.mode, tracker.baud) == (Mode.POWERED, 9600)
    ask(tracker, "INIT:")
    assert ask(tracker, "PHSR:00") == "00"


def test_faults_are_injected(tracker: MockTracker) -> None:
    faults = tracker.faults
    faults.refuse["BEEP"] = 0x0C
    faults.warn.add("INIT")
    assert (ask(tracker, "BEEP:1"), ask(tracker, "INIT:")) == ("ERROR0C", "WARNING")
    faults.corrupt, faults.cut = 1, 1
    good = b"OKAYA896\r"
    faults.warn.clear()
    init = seal_text(b"INIT:")
    assert tracker.receive(init) not in (good, b"")
    assert tracker.receive(init) == good[:4]
    assert tracker.receive(init) == good
    faults.silent = True
    assert tracker.receive(init) == b""


def test_pose_is_scalar_first() -> None:
    half_turn_about_x = np.diag([1.0, -1.0, -1.0, 1.0])
    assert ndi_pose(half_turn_about_x, 0.5)[:4] == pytest.approx([0.0, 1.0, 0.0, 0.0])


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_noise_is_survived(pieces: list[bytes]) -> None:
    made = MockTracker(see)
    for piece in pieces:
        made.receive(piece)
    made.receive(b"\r")
    assert made.receive(b"INIT:E3A5\r") == b"OKAYA896\r"


NAMES = [
    "INIT",
    "VER",
    "GET",
    "TSTART",
    "TX",
    "BX",
    "COMM",
    "PHSR",
    "PHRQ",
    "PHF",
    "PHINF",
    "PVWR",
    "PINIT",
    "PENA",
    "ECHO",
    "BEEP",
]


@given(name=st.sampled_from(NAMES), parameters=st.text("0123456789ABCDEF*-+ :D", max_size=140))
def test_odd_parameters_are_answered(name: str, parameters: str) -> None:
    made = MockTracker(see)
    made.receive(seal_text(b"INIT:"))
    made.receive(seal_text(b"PHRQ:*********1****"))
    assert made.receive(seal_text(f"{name}:{parameters}".encode()))
