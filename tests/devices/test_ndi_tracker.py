"""The driver against a mock tracker on a pty and on TCP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.contract import Device, DeviceError, PoseSample, PoseStatus
from devices.ndi import NdiTracker, PortStatus, SystemStatus, WiredPort, startup, tracker
from devices.ndi.clock import FrameClock
from hw_mocks.ndi import Mode, PtyLine, Sighting
from tests.devices.contract import Bench, DeviceContract
from tests.devices.ndi_bench import Room, room, write_rom
from tests.devices.support import POSE, wait_for

KINDS = ["pty", "tcp"]


@pytest.fixture(autouse=True)
def _mock_changes_its_rate_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_BAUD_CHANGE_S", 0.01)


class NdiBench(Bench):
    def __init__(self, made: Room) -> None:
        self.sink = made.sink
        self.room = made

    def device(self) -> Device:
        return NdiTracker(
            "tracker",
            self.room.address,
            {"NeedleToTracker": self.room.rom},
            self.sink,
            reset_s=0.2,
        )

    def emit(self) -> None:
        self.room.tracker.measure()

    def connected(self) -> bool:
        return self.room.tracker.mode is Mode.TRACKING

    def end_peer(self) -> None:
        self.room.line.__exit__(None, None, None)


class TestNdiTrackerContract(DeviceContract):
    @pytest.fixture(params=KINDS)
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NdiBench]:
        with room(request.param, tmp_path) as made:
            yield NdiBench(made)


@pytest.fixture
def tcp(tmp_path: Path) -> Iterator[Room]:
    with room("tcp", tmp_path) as made:
        yield made


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[Room]:
    with room("pty", tmp_path) as made:
        yield made


def next_sample(made: Room) -> PoseSample:
    count = len(made.sink.samples)
    made.tracker.measure()
    sample = made.sink.wait(count + 1)[count]
    assert isinstance(sample, PoseSample)
    return sample


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("binary", "tolerance"), [(True, 1e-4), (False, 6e-3)])
def test_pose_arrives_as_the_tracker_sees_it(
    kind: str, binary: bool, tolerance: float, tmp_path: Path
) -> None:
    with room(kind, tmp_path) as made, made.driver(binary=binary):
        sample = next_sample(made)
        assert (sample.name, sample.status) == ("NeedleToTracker", PoseStatus.OK)
        assert sample.matrix is not None
        np.testing.assert_allclose(sample.matrix, POSE, atol=tolerance)
        assert sample.source_s <= sample.received_s <= time.time()


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_comes_once_and_in_time(kind: str, tmp_path: Path) -> None:
    with room(kind, tmp_path, frame_rate_hz=60.0) as made:
        with made.driver() as device:
            samples = made.sink.wait(25).copy()
            assert device.counts().refused == {}
        source_s = np.array([sample.source_s for sample in samples])
        assert (np.diff(source_s) > 0.0).all()
        assert len(source_s) / (source_s[-1] - source_s[0]) < 70.0


def test_a_frame_is_not_delivered_twice(tcp: Room) -> None:
    with tcp.driver() as device:
        tcp.tracker.measure()
        tcp.sink.wait(1)
        time.sleep(0.1)  # some 30 polls
        assert device.counts().received == 1


@pytest.mark.parametrize(
    ("sighting", "system", "expected"),
    [
        (Sighting(None), SystemStatus(0), PoseStatus.MISSING),
        (Sighting(POSE, PortStatus.OUT_OF_VOLUME), SystemStatus(0), PoseStatus.OUT_OF_VOLUME),
        (
            Sighting(POSE, PortStatus.PARTIALLY_OUT_OF_VOLUME),
            SystemStatus(0),
            PoseStatus.OUT_OF_VOLUME,
        ),
        (Sighting(POSE, PortStatus.IR_INTERFERENCE), SystemStatus(0), PoseStatus.INVALID),
        (Sighting(POSE), SystemStatus.TEMPERATURE, PoseStatus.INVALID),
    ],
)
def test_no_pose_without_ok(
    tcp: Room, sighting: Sighting, system: SystemStatus, expected: PoseStatus
) -> None:
    with tcp.driver() as device:
        assert next_sample(tcp).matrix is not None
        tcp.view.tools["Needle"] = sighting
        tcp.tracker.faults.system = system
        sample = next_sample(tcp)
        assert (sample.matrix, sample.status) == (None, expected)
        tcp.view.tools["Needle"], tcp.tracker.faults.system = Sighting(POSE), SystemStatus(0)
        assert next_sample(tcp).status is PoseStatus.OK
        assert device.fault() is None


def test_complaints_of_the_tracker_are_told_while_they_last(tcp: Room) -> None:
    with tcp.driver() as device:
        assert device.notices() == ()
        tcp.tracker.faults.system = SystemStatus.TEMPERATURE | SystemStatus.DIAGNOSTIC_PENDING
        wait_for(lambda: len(device.notices()) == 2)
        assert "warmed up" in " ".join(device.notices())
        tcp.tracker.faults.system = SystemStatus(0)
        wait_for(lambda: device.notices() == ())


def test_warnings_are_kept(tcp: Room) -> None:
    tcp.tracker.faults.warn.add("TSTART")
    with tcp.driver() as device:
        assert "TSTART with a warning" in device.notices()[0]


@pytest.mark.parametrize(("kind", "binary"), [("pty", True), ("tcp", False)])
def test_damaged_replies_are_dropped_and_counted(kind: str, binary: bool, tmp_path: Path) -> None:
    with room(kind, tmp_path) as made, made.driver(binary=binary) as device:
        next_sample(made)
        made.tracker.faults.corrupt = 1
        wait_for(lambda: device.counts().refused == {"bad checksum": 1})
        next_sample(made)
        made.tracker.faults.cut = 1
        wait_for(lambda: device.counts().refused.get("reply cut short"))
        next_sample(made)
        assert device.fault() is None
        assert device.counts().received == 3


def test_pose_that_is_none_is_dropped(tcp: Room) -> None:
    with tcp.driver() as device:
        tcp.view.tools["Needle"] = Sighting(np.where(np.eye(4, k=3) > 0, np.nan, POSE))
        tcp.tracker.measure()
        wait_for(lambda: device.counts().refused == {"pose not finite": 1})
        tcp.view.tools["Needle"] = Sighting(POSE)
        next_sample(tcp)


@pytest.mark.parametrize("kind", KINDS)
def test_silent_tracker_is_a_fault_within_a_second(kind: str, tmp_path: Path) -> None:
    with room(kind, tmp_path) as made, made.driver() as device:
        next_sample(made)
        made.tracker.faults.silent = True
        started_s = time.monotonic()
        wait_for(device.fault)
        assert time.monotonic() - started_s < 1.0
        assert "nothing readable" in (device.fault() or "")


def test_replies_that_are_all_damaged_are_a_fault_too(tcp: Room) -> None:
    with tcp.driver() as device:
        tcp.tracker.faults.corrupt = 10**6
        wait_for(device.fault)
        assert "bad checksum" in (device.fault() or "")


@pytest.mark.parametrize("kind", KINDS)
def test_tracker_that_restarts_is_a_fault_and_can_be_entered_again(
    kind: str, tmp_path: Path
) -> None:
    with room(kind, tmp_path) as made:
        device = made.driver()
        with device:
            next_sample(made)
            made.line.reset()
            started_s = time.monotonic()
            wait_for(device.fault)
            assert time.monotonic() - started_s < 1.0
        with device:
            next_sample(made)
            assert device.fault() is None


def test_exit_is_prompt_while_the_tracker_is_silent(pty: Room) -> None:
    with pty.driver():
        pty.tracker.faults.silent = True
        time.sleep(0.05)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 1.0


def test_refusal_at_the_start_is_told_and_can_be_repaired(tcp: Room) -> None:
    device = tcp.driver()
    tcp.tracker.faults.refuse["TSTART"] = 0x12
    with pytest.raises(DeviceError, match=r"tracker at 127.*TSTART.*cannot start tracking"):
        device.__enter__()
    tcp.tracker.faults.refuse.clear()
    with device:
        next_sample(tcp)


def test_failed_start_leaves_the_line_as_it_was(pty: Room) -> None:
    pty.tracker.faults.refuse["TSTART"] = 0x12
    with pytest.raises(DeviceError, match="cannot start tracking"):
        pty.driver().__enter__()
    assert pty.tracker.baud == 9600


def test_silent_tracker_at_the_start(tcp: Room, pty: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_GREET_S", 0.1)
    for made, words in (
        (tcp, "does not answer as an NDI tracker"),
        (pty, "no NDI tracker answers"),
    ):
        made.tracker.faults.silent = True
        with pytest.raises(DeviceError, match=words):
            made.driver(reset_s=0.1).__enter__()


def test_tool_definition_faults_in_words(tcp: Room, tmp_path: Path) -> None:
    damaged = bytearray(tcp.rom.read_bytes())
    damaged[100] ^= 1
    for name, data, words in (
        ("gone.rom", None, "gone.rom: No such file.*check the path"),
        ("photo.rom", b"\xff\xd8\xff", "choose the .rom file"),
        ("short.rom", b"NDI", "3 bytes"),
        ("damaged.rom", bytes(damaged), r"Needle \(damaged.rom\).*definition file is damaged"),
    ):
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(DeviceError, match=words):
            tcp.driver({"Needle": path}).__enter__()


def test_settings_faults_in_words(tcp: Room) -> None:
    with pytest.raises(DeviceError, match="1234 baud; choose one of"):
        tcp.driver(baud=1234)
    with pytest.raises(DeviceError, match="frame rate"):
        tcp.driver(frame_rate_hz=0.0)
    with pytest.raises(DeviceError, match="two tools have the same"):
        tcp.driver({"Needle": tcp.rom, "Probe": tcp.rom})
    with pytest.raises(DeviceError, match="no tools"):
        NdiTracker("tracker", tcp.address, {}, tcp.sink)


def test_address_faults_in_words(tcp: Room, tmp_path: Path) -> None:
    for address, words in (
        ("/dev/no-such-port", "no such serial port"),
        (str(tmp_path), "cannot open this serial port"),
        ("no-such-host.invalid:8765", "does not exist"),
        ("127.0.0.1:99999", "does not exist"),
        ("127.0.0.1:1", "no tracker listens there"),
    ):
        device = NdiTracker("tracker", address, {"Needle": tcp.rom}, tcp.sink)
        with pytest.raises(DeviceError, match=words):
            device.__enter__()


def test_entering_twice_is_an_error(tcp: Room) -> None:
    with tcp.driver() as device, pytest.raises(DeviceError, match="already connected"):
        device.__enter__()


def test_port_in_use_is_told(pty: Room) -> None:
    with pty.driver(), pytest.raises(DeviceError, match="another program uses"):
        pty.driver().__enter__()


@pytest.mark.parametrize("baud", [9600, 115200])
def test_tracker_left_tracking_by_a_program_that_died(pty: Room, baud: int) -> None:
    with pty.driver():
        next_sample(pty)
    pty.tracker.baud, pty.tracker.mode = baud, Mode.TRACKING
    with pty.driver():
        next_sample(pty)
    assert pty.tracker.baud == 9600, "not left as the next program expects it"


def test_tracker_left_at_an_unknown_rate_is_reset_by_a_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "_GREET_S", 0.1)
    with room("pty", tmp_path, flush_is_break=True) as made:
        made.tracker.baud = 57600
        with made.driver():
            next_sample(made)
            assert made.tracker.baud == 115200


def test_handles_of_former_sessions_are_freed(tcp: Room) -> None:
    for _ in range(24):
        tcp.tracker.ports.request_wireless()
    with tcp.driver():
        next_sample(tcp)
        assert len(tcp.tracker.ports.handles) == 1


def test_tracker_that_knows_no_bx(tmp_path: Path) -> None:
    with room("tcp", tmp_path, knows_bx=False) as made, made.driver():
        next_sample(made)


def test_wired_and_wireless_tools_together(tcp: Room, tmp_path: Path) -> None:
    other = POSE.copy()
    other[:3, 3] = [1.0, 2.0, 3.0]
    tcp.view.tools["Probe"] = Sighting(other)
    tcp.tracker.ports.plug(2, "Probe")
    tcp.tracker.ports.plug(1, "unused")
    tools = {"ProbeToTracker": WiredPort(2), "NeedleToTracker": tcp.rom}
    with tcp.driver(tools):
        tcp.tracker.measure()
        samples = {sample.name: sample for sample in tcp.sink.wait(2)}
        probe = samples["ProbeToTracker"]
        assert isinstance(probe, PoseSample)
        assert probe.matrix is not None
        np.testing.assert_allclose(probe.matrix, other, atol=1e-4)
        tcp.tracker.ports.unplug(2)
        tcp.sink.samples.clear()
        tcp.tracker.measure()
        assert [sample.name for sample in tcp.sink.wait(1)] == ["NeedleToTracker"]


def test_missing_wired_tool_is_told(tcp: Room) -> None:
    with pytest.raises(DeviceError, match="no tool in port 3; plug it in"):
        tcp.driver({"Probe": WiredPort(3)}).__enter__()


@pytest.mark.parametrize(
    ("firmware", "counted_hz", "expected_hz"),
    [
        ("Polaris Vega 017", 120.0, 120.0),  # says so
        ("Polaris Spectra Rev 007", 60.0, 60.0),
        ("AURORA Rev 008", 40.0, 40.0),
    ],
)
def test_frame_rate_is_asked_of_the_tracker_or_known_by_its_kind(
    firmware: str,
    counted_hz: float,
    expected_hz: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks: list[FrameClock] = []

    def keep(rate_hz: float) -> FrameClock:
        clocks.append(FrameClock(rate_hz))
        return clocks[-1]

    monkeypatch.setattr(tracker, "FrameClock", keep)
    made = room("tcp", tmp_path, firmware=firmware, frame_rate_hz=counted_hz)
    with made as opened, opened.driver():
        assert clocks[0].rate_hz == expected_hz


def test_wrong_frame_rate_is_told(tmp_path: Path) -> None:
    made = room("tcp", tmp_path, frame_rate_hz=60.0)
    with made as opened, opened.driver(frame_rate_hz=5.0) as device:
        wait_for(device.notices)
        assert "do not come at 5 Hz" in device.notices()[0]


def test_two_tools_of_one_kind(tcp: Room, tmp_path: Path) -> None:
    tcp.view.tools["Stylus"] = Sighting(None)
    stylus = write_rom(tmp_path, "Stylus")
    with tcp.driver({"Needle": tcp.rom, "Stylus": stylus}):
        tcp.tracker.measure()
        states = {sample.name: sample.status for sample in tcp.sink.wait(2)}
        assert states == {"Needle": PoseStatus.OK, "Stylus": PoseStatus.MISSING}


def test_pty_needs_the_right_rate(pty: Room) -> None:
    assert isinstance(pty.line, PtyLine)
    with pty.driver(baud=230400):
        assert pty.tracker.baud == 230400
        next_sample(pty)
