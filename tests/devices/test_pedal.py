"""The foot pedal over a pseudo terminal and over a serial server, with contacts that bounce."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.contract import Device, DeviceError, TextSample
from devices.pedal import Debounce, FootPedal, Wiring
from hw_mocks.pedal import BouncingContact, PedalServer, SerialPedal
from tests.devices.contract import Bench, DeviceContract
from tests.devices.support import Collected, wait_for

SETTLE_S = 0.03
SERVER_SETTLE_S = 0.06  # threads of two processes' worth share the cores


def bouncing(gap_s: float = 0.004) -> BouncingContact:
    return BouncingContact(np.random.default_rng(4), bounce_s=0.02, gap_s=gap_s)


def words(sink: Collected) -> list[str]:
    return [sample.text for sample in sink.samples if isinstance(sample, TextSample)]


class SerialBench(Bench):
    def __init__(self) -> None:
        self.sink = Collected()
        self.pedal = SerialPedal(bouncing()).__enter__()

    def device(self) -> Device:
        return FootPedal("pedal", self.pedal.port, self.sink)

    def emit(self) -> None:
        self.pedal.move(True)

    def connected(self) -> bool:
        return self.pedal.connected()

    def end_peer(self) -> None:
        self.pedal.__exit__(None, None, None)


class TestSerialPedalContract(DeviceContract):
    @pytest.fixture
    def bench(self) -> Iterator[SerialBench]:
        bench = SerialBench()
        yield bench
        bench.end_peer()


@pytest.fixture
def pedal() -> Iterator[SerialPedal]:
    with SerialPedal(bouncing()) as box:
        yield box


def test_steps_arrive_once_each_with_the_time_of_the_first_touch(
    pedal: SerialPedal, sink: Collected
) -> None:
    with FootPedal("pedal", pedal.port, sink):
        touched_s = time.time()
        for step, down in enumerate((True, False, True), start=1):
            pedal.move(down)
            sink.wait(step)
        assert words(sink) == ["down", "up", "down"]
    first = sink.samples[0]
    assert first.name == "pedal"
    assert first.source_s == pytest.approx(touched_s, abs=0.03)
    assert first.received_s - first.source_s >= SETTLE_S


def test_heartbeat_line_ends_and_strange_characters(pedal: SerialPedal, sink: Collected) -> None:
    with FootPedal("pedal", pedal.port, sink) as device:
        pedal.send(b"0\r\n0\r\n" + b"1\r\n" * 3 + b"x\xff1\r\n")
        sink.wait(1)
        time.sleep(2 * SETTLE_S)  # that no more comes is the subject
        assert words(sink) == ["down"]
        assert dict(device.counts().refused) == {"unknown character": 2}


def test_silent_box_is_a_fault_where_it_should_repeat(pedal: SerialPedal, sink: Collected) -> None:
    with FootPedal("pedal", pedal.port, sink, silence_s=0.1) as device:
        wait_for(lambda: device.fault() is not None)
        assert "sent nothing for 0.1 s" in (device.fault() or "")


def test_inverted_contact(pedal: SerialPedal, sink: Collected) -> None:
    with FootPedal("pedal", pedal.port, sink, inverted=True):
        pedal.send(b"0")
        sink.wait(1)
        assert words(sink) == ["down"]


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning:serial")
@pytest.mark.parametrize("wiring", [Wiring.CTS, Wiring.DSR])
def test_contact_on_a_line_until_the_server_goes(wiring: Wiring, sink: Collected) -> None:
    """A pedal held while connecting is no step."""
    with PedalServer(bouncing(), wiring) as server:
        server.move(True)
        pedal = FootPedal("pedal", server.url, sink, wiring=wiring, settle_s=SERVER_SETTLE_S)
        with pedal:
            wait_for(server.connected)
            for step, down in enumerate((False, True), start=1):
                server.move(down)
                sink.wait(step)
            assert words(sink) == ["up", "down"]
            assert pedal.fault() is None
            server.__exit__(None, None, None)
            wait_for(lambda: "the pedal's line is gone" in (pedal.fault() or ""))
    with pytest.raises(DeviceError, match="cannot be opened"):
        pedal.__enter__()


def test_port_without_the_line_is_refused(pedal: SerialPedal, sink: Collected) -> None:
    device = FootPedal("pedal", pedal.port, sink, wiring=Wiring.CTS)
    with pytest.raises(DeviceError, match="no CTS line"):
        device.__enter__()
    wait_for(lambda: not pedal.connected())


def test_port_in_use_is_refused(pedal: SerialPedal, sink: Collected) -> None:
    with (
        FootPedal("pedal", pedal.port, sink),
        pytest.raises(DeviceError, match="another program has the port"),
    ):
        FootPedal("other", pedal.port, sink).__enter__()


@pytest.mark.parametrize(
    ("port", "message"),
    [("/dev/ttyNONE7", "no such serial port"), ("nonsense://x", "cannot be opened at 9600 baud")],
)
def test_wrong_port_is_told(port: str, message: str, sink: Collected) -> None:
    with pytest.raises(DeviceError, match=message):
        FootPedal("pedal", port, sink).__enter__()


def test_senseless_settings_are_refused(sink: Collected) -> None:
    with pytest.raises(DeviceError, match="always silent"):
        FootPedal("pedal", "/dev/null", sink, wiring=Wiring.CTS, silence_s=1.0)
    with pytest.raises(DeviceError, match=r"0 to 0\.5 s"):
        FootPedal("pedal", "/dev/null", sink, settle_s=2.0)


def test_short_pulse_is_no_step() -> None:
    contact = Debounce(0.03)
    contact.feed(True, 1.000)
    contact.feed(False, 1.020)
    assert contact.settled(1.049) is None
    assert contact.settled(1.100) is None
    assert not contact.down


def test_the_first_edge_after_a_glitch_is_its_own() -> None:
    contact = Debounce(0.03)
    contact.feed(True, 1.000)
    contact.feed(False, 1.010)
    assert contact.settled(1.050) is None
    contact.feed(True, 2.000)
    turn = contact.settled(2.031)
    assert turn is not None
    assert turn.down
    assert turn.since_s == 2.0


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.2)), max_size=60),
    st.floats(0.0, 0.1),
)
def test_turns_alternate_and_end_at_the_level_held(
    edges: list[tuple[bool, float]], settle_s: float
) -> None:
    contact, now_s, turns = Debounce(settle_s), 0.0, []
    for level, pause_s in edges:
        now_s += pause_s
        turns.append(contact.settled(now_s))
        contact.feed(level, now_s)
    turns.append(contact.settled(now_s + settle_s + 1e-6))
    told = [turn.down for turn in turns if turn is not None]
    assert told == [index % 2 == 0 for index in range(len(told))]
    assert contact.down == (edges[-1][0] if edges else False)
