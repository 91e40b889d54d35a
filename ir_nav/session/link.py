"""Keeps one device connected: opens it, notices its loss, opens it again."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from threading import Event as Flag
from threading import Lock, Thread

from devices.contract import Device, DeviceError, Sample, Sink
from ir_nav.session.state import DeviceStatus

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 1.0
POLL_S = 0.05
RATE_WINDOW_S = 1.0

OpenDevice = Callable[[Sink], Device]
OnChange = Callable[[str, bool, str], None]


class DeviceLink:
    """Supervises one device on a thread of its own until closed.

    open_device builds the driver round a sink; sink gets every sample; on_change is told
    (name, connected, words) on each change, on the supervisor's thread.
    """

    def __init__(self, name: str, open_device: OpenDevice, sink: Sink, on_change: OnChange) -> None:
        self.name = name
        self._open_device = open_device
        self._sink = sink
        self._on_change = on_change
        self._closing = Flag()
        self._lock = Lock()
        self._arrivals: deque[float] = deque(maxlen=512)
        self._connected = False
        self._reason: str | None = "connecting"
        self._refused = 0
        self._thread = Thread(target=self._supervise, name=f"link {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of the device; returns when it is closed."""
        self._closing.set()
        self._thread.join(timeout=5.0)

    def status(self, now_s: float) -> DeviceStatus:
        with self._lock:
            arrivals = list(self._arrivals)
            connected, reason, refused = self._connected, self._reason, self._refused
        recent = sum(1 for arrival in arrivals if now_s - arrival <= RATE_WINDOW_S)
        age_s = now_s - arrivals[-1] if arrivals else None
        return DeviceStatus(self.name, connected, recent / RATE_WINDOW_S, age_s, refused, reason)

    def _supervise(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._closing.is_set():
            try:
                with self._open_device(self._take) as device:
                    self._report(True, None)
                    retry_s = FIRST_RETRY_S
                    self._watch(device)
            except DeviceError as error:
                self._report(False, str(error))
            except Exception as error:  # a driver's own fault must not end the supervision
                logging.getLogger(__name__).exception("driver of %s failed", self.name)
                self._report(False, f"its driver failed ({type(error).__name__}): see the log")
            self._closing.wait(retry_s)
            retry_s = min(2.0 * retry_s, LAST_RETRY_S)

    def _watch(self, device: Device) -> None:
        while not self._closing.wait(POLL_S):
            counts = device.counts()
            with self._lock:
                self._refused = sum(counts.refused.values())
            fault = device.fault()
            if fault is not None:
                self._report(False, fault)
                return

    def _take(self, sample: Sample) -> None:
        with self._lock:
            self._arrivals.append(sample.received_s)
        self._sink(sample)

    def _report(self, connected: bool, reason: str | None) -> None:
        with self._lock:
            changed = connected != self._connected
            self._connected, self._reason = connected, reason
        if changed:
            words = "connected" if connected else f"lost: {reason}"
            self._on_change(self.name, connected, words)


def wait_until(ready: Callable[[], bool], timeout_s: float) -> bool:
    """Poll `ready` until it holds or the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.02)
    return ready()
