"""Sender and receiver in Python, for openigtlink_latency.py: ours and pyigtl's.

    openigtlink_roles.py ours|pyigtl send PORT transform|image HZ COUNT
    openigtlink_roles.py ours|pyigtl receive PORT transform|image COUNT
    openigtlink_roles.py ours push|serve ...       the same, client to server

The receiver prints one line for each message: arrival (s, Unix) and lateness (s) at the
application. HZ 0 sends as fast as it goes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np

from devices.contract import DeviceError, ImageSample, PoseSample
from devices.openigtlink import OpenIGTLinkClient, OpenIGTLinkServer, pack_image, pack_transform

SILENCE_S = 3.0
PIXELS = (np.arange(1024 * 1024) * 7 % 256).astype(np.uint8).reshape(1024, 1024)


def main() -> int:
    whose, role, port, what, *numbers = sys.argv[1:]
    kind = whose if role in ("send", "receive") else role
    if role in ("send", "push"):
        sender = {"ours": send, "push": push, "pyigtl": send_pyigtl}[kind]
        sender(int(port), what == "image", float(numbers[0]), int(numbers[1]))
        return 0
    receiver = {"ours": receive, "serve": serve, "pyigtl": receive_pyigtl}[kind]
    found = receiver(int(port), what == "image", int(numbers[0]))
    for arrived_s, late_s in found:
        print(f"{arrived_s:.6f} {late_s:.9f}")
    sys.stdout.flush()
    os._exit(0)  # pyigtl's threads do not end


def paced(hz: float, count: int, send_one: Callable[[int], None]) -> None:
    time.sleep(0.3)
    start_s = time.time()
    for number in range(count):
        wait_s = start_s + number / hz - time.time() if hz else 0.0
        if wait_s > 0:
            time.sleep(wait_s)
        send_one(number)
    time.sleep(1.0)


def pose(number: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = number % 1000
    return matrix


def send(port: int, image: bool, hz: float, count: int) -> None:
    with OpenIGTLinkServer("bench", port) as room:
        until(lambda: room.clients() == 1)
        if image:
            paced(hz, count, lambda _: room.send_image("US", PIXELS, np.eye(4)))
        else:
            paced(hz, count, lambda number: room.send_pose("Needle", pose(number)))


def push(port: int, image: bool, hz: float, count: int) -> None:
    client = OpenIGTLinkClient("bench", "127.0.0.1", port, lambda _: None, silence_s=None)

    def send_one(number: int) -> None:
        now_s = time.time()
        if image:
            client.send(pack_image("US", PIXELS, np.eye(4), now_s), timeout_s=20.0)
        else:
            client.send(pack_transform("Needle", pose(number), now_s), timeout_s=20.0)

    until(lambda: entered(client))
    paced(hz, count, send_one)
    client.__exit__()


def send_pyigtl(port: int, image: bool, hz: float, count: int) -> None:
    import pyigtl

    server = pyigtl.OpenIGTLinkServer(port=port, local_server=True)
    until(server.is_connected)

    def send_one(number: int) -> None:
        now_s = time.time()
        if image:
            message = pyigtl.ImageMessage(PIXELS[np.newaxis], timestamp=now_s, device_name="US")
        else:
            message = pyigtl.TransformMessage(pose(number), timestamp=now_s, device_name="Needle")
        server.send_message(message, wait=not hz)

    paced(hz, count, send_one)
    os._exit(0)


class Arrivals:
    """Stamps what the application is handed."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []

    def __call__(self, sample: object) -> None:
        now_s = time.time()
        if isinstance(sample, PoseSample | ImageSample):
            self.found.append((now_s, now_s - sample.source_s))

    def wait(self, count: int) -> list[tuple[float, float]]:
        until(lambda: self.found, 20.0)
        while len(self.found) < count and time.time() - self.found[-1][0] < SILENCE_S:
            time.sleep(0.05)
        return self.found


def receive(port: int, image: bool, count: int) -> list[tuple[float, float]]:
    arrivals = Arrivals()
    client = OpenIGTLinkClient("bench", "127.0.0.1", port, arrivals, silence_s=None)
    until(lambda: entered(client))
    found = arrivals.wait(count)
    assert client.counts().refused == {}
    return found


def serve(port: int, image: bool, count: int) -> list[tuple[float, float]]:
    arrivals = Arrivals()
    with OpenIGTLinkServer("bench", port, on_message=arrivals):
        return arrivals.wait(count)


def receive_pyigtl(port: int, image: bool, count: int) -> list[tuple[float, float]]:
    import pyigtl

    client = pyigtl.OpenIGTLinkClient(host="127.0.0.1", port=port)
    found: list[tuple[float, float]] = []
    while len(found) < count:
        timeout_s = SILENCE_S if found else 20.0
        message = client.wait_for_message("US" if image else "Needle", timeout=timeout_s)
        if message is None:
            break
        now_s = time.time()
        found.append((now_s, now_s - message.timestamp))
    return found


def entered(client: OpenIGTLinkClient) -> bool:
    try:
        client.__enter__()
    except DeviceError:
        return False
    return True


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline_s = time.time() + timeout_s
    while not condition():
        if time.time() > deadline_s:
            raise SystemExit("nobody came")
        time.sleep(0.02)


if __name__ == "__main__":
    raise SystemExit(main())
