"""What every driver promises, as tests. Subclass it and give the fixtures."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import pytest

from devices.contract import Device, DeviceError
from tests.devices.support import Collected, wait_for


class Bench(ABC):
    """One device with a peer that a test can command."""

    sink: Collected

    @abstractmethod
    def device(self) -> Device:
        """A driver at the peer's address, not yet entered; its sink is `self.sink`."""

    @abstractmethod
    def emit(self) -> None:
        """Let the peer send one sample."""

    @abstractmethod
    def connected(self) -> bool:
        """Whether the peer sees the driver."""

    @abstractmethod
    def end_peer(self) -> None:
        """Take the peer away; nothing answers at its address any more."""


class DeviceContract:
    """Subclasses define a fixture `bench` that yields a Bench."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    def test_samples_arrive_stamped_and_counted(self, bench: Bench) -> None:
        before_s = time.time()
        with bench.device() as device:
            wait_for(bench.connected)
            bench.emit()
            sample = bench.sink.wait(1)[0]
            assert before_s <= sample.received_s <= time.time()
            wait_for(lambda: device.counts().received == 1)
            assert device.counts().last_received_s == sample.received_s
            assert device.fault() is None

    def test_same_address_opens_again(self, bench: Bench) -> None:
        for device in (bench.device(), bench.device()):
            with device:
                wait_for(bench.connected)
                bench.emit()
                bench.sink.wait(1)
                bench.sink.samples.clear()
            wait_for(lambda: not bench.connected())

    def test_same_object_opens_again_and_counts_anew(self, bench: Bench) -> None:
        device = bench.device()
        for _ in range(2):
            with device:
                wait_for(bench.connected)
                bench.emit()
                wait_for(lambda: device.counts().received == 1)
            wait_for(lambda: not bench.connected())

    def test_absent_peer_is_told_in_words(self, bench: Bench) -> None:
        bench.end_peer()
        with pytest.raises(DeviceError, match=r".{20,}"):
            bench.device().__enter__()

    def test_peer_that_goes_away_is_a_fault(self, bench: Bench) -> None:
        with bench.device() as device:
            wait_for(bench.connected)
            bench.end_peer()
            wait_for(lambda: device.fault() is not None, "a fault")

    def test_exit_is_prompt_and_silences_the_sink(self, bench: Bench) -> None:
        with bench.device():
            wait_for(bench.connected)
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 1.0
        bench.emit()
        assert bench.sink.samples == []

    def test_sink_that_raises_is_a_fault(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: object) -> None:
            raise RuntimeError("display is gone")

        monkeypatch.setattr(bench, "sink", fail)
        with bench.device() as device:
            wait_for(bench.connected)
            bench.emit()
            wait_for(lambda: "display is gone" in (device.fault() or ""))
