"""The pedal that types: the same steps as of a pedal on a line, out of key presses."""

from __future__ import annotations

import time

import pytest

from devices.contract import Device, DeviceError, TextSample
from devices.keyboard_pedal import KeyboardPedal, KeyLine
from tests.devices.contract import Bench, DeviceContract
from tests.devices.support import Collected, wait_for

SETTLE_S = 0.03


class KeyBench(Bench):
    def __init__(self) -> None:
        self.sink = Collected()
        self.line = KeyLine()
        self.line.open()

    def device(self) -> Device:
        return KeyboardPedal("pedal", self.line, self.sink)

    def emit(self) -> None:
        self.line.turn(True, time.monotonic())

    def connected(self) -> bool:
        return self.line.heard

    def end_peer(self) -> None:
        self.line.close()


class TestKeyboardPedalContract(DeviceContract):
    @pytest.fixture
    def bench(self) -> KeyBench:
        return KeyBench()


@pytest.fixture
def line() -> KeyLine:
    line = KeyLine()
    line.open()
    return line


def words(sink: Collected) -> list[str]:
    return [sample.text for sample in sink.samples if isinstance(sample, TextSample)]


def test_a_bouncing_key_is_one_step_with_the_time_of_the_first_touch(
    line: KeyLine, sink: Collected
) -> None:
    with KeyboardPedal("pedal", line, sink):
        touched_s = time.time()
        for down in (True, False, True):
            line.turn(down, time.monotonic())
            time.sleep(0.004)
        sink.wait(1)
        for down in (False, True, False):
            line.turn(down, time.monotonic())
            time.sleep(0.004)
        sink.wait(2)
        time.sleep(2 * SETTLE_S)  # that no more comes is the subject
    assert words(sink) == ["down", "up"]
    first = sink.samples[0]
    assert first.name == "pedal"
    assert first.source_s == pytest.approx(touched_s, abs=0.03)
    assert first.received_s - first.source_s >= SETTLE_S


def test_a_key_that_is_touched_only_is_no_step(line: KeyLine, sink: Collected) -> None:
    with KeyboardPedal("pedal", line, sink):
        now_s = time.monotonic()
        line.turn(True, now_s)
        line.turn(False, now_s + 0.01)
        time.sleep(0.15)  # that nothing comes is the subject
    assert words(sink) == []


def test_a_press_that_is_over_before_it_is_looked_at_is_two_steps(
    line: KeyLine, sink: Collected
) -> None:
    """The reader may be late; what counts is when the keys were pressed."""
    with KeyboardPedal("pedal", line, sink):
        now_s = time.monotonic()
        line.turn(True, now_s - 0.3)
        line.turn(False, now_s - 0.1)
        first, second = sink.wait(2)[:2]
    assert words(sink) == ["down", "up"]
    assert second.source_s - first.source_s == pytest.approx(0.2, abs=0.005)


def test_two_pedals_cannot_share_the_keyboard(line: KeyLine, sink: Collected) -> None:
    with KeyboardPedal("one", line, sink) as one:
        with pytest.raises(DeviceError, match="two: another pedal has the keyboard"):
            KeyboardPedal("two", line, sink).__enter__()
        assert one.fault() is None
    wait_for(lambda: not line.heard)
    with KeyboardPedal("two", line, sink):
        pass


def test_debouncing_beyond_half_a_second_is_refused(line: KeyLine, sink: Collected) -> None:
    with pytest.raises(DeviceError, match=r"debouncing takes 0 to 0\.5 s, not 0\.6 s"):
        KeyboardPedal("pedal", line, sink, settle_s=0.6)
