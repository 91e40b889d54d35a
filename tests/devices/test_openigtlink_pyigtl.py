"""pyigtl as an independent peer, both directions."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from devices.contract import ImageSample, PoseSample
from devices.openigtlink import OpenIGTLinkClient, OpenIGTLinkServer
from tests.devices.support import POSE, Collected, RawPeer, wait_for

# pyigtl's server insists on the main thread, and its threads outlive a test.
THEIR_SERVER = """
import sys, time, numpy as np, pyigtl
server = pyigtl.OpenIGTLinkServer(port=int(sys.argv[1]), local_server=True)
pose = np.array({pose})
image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
print("ready", flush=True)
while True:
    if server.is_connected():
        server.send_message(pyigtl.TransformMessage(pose, device_name="Needle"))
        server.send_message(pyigtl.ImageMessage(image, device_name="US"))
        server.send_message(pyigtl.StringMessage("hello", device_name="Log"))
    time.sleep(0.02)
"""

THEIR_CLIENT = """
import os, sys, pyigtl
client = pyigtl.OpenIGTLinkClient(host="127.0.0.1", port=int(sys.argv[1]))
for name in ("Needle", "US", "Log"):
    message = client.wait_for_message(name, timeout=20)
    print(name, message.message_type, flush=True)
    if name == "Needle":
        print(message.matrix.tolist(), flush=True)
    if name == "US":
        print(message.image.tolist(), flush=True)
os._exit(0)  # its stop() waits for the next message
"""


def start(script: str, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(port)], stdout=subprocess.PIPE, text=True
    )


def test_our_client_reads_their_server() -> None:
    sink = Collected()
    with RawPeer() as reserved:
        port = reserved.port
    with start(THEIR_SERVER.format(pose=POSE.tolist()), port) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with OpenIGTLinkClient("pyigtl", "127.0.0.1", port, sink, silence_s=None) as client:
                samples = sink.wait(6)
                assert client.counts().refused == {}
        finally:
            process.kill()
    pose = next(sample for sample in samples if isinstance(sample, PoseSample))
    image = next(sample for sample in samples if isinstance(sample, ImageSample))
    np.testing.assert_allclose(pose.matrix, POSE)
    np.testing.assert_array_equal(image.pixels, np.arange(12).reshape(3, 4))
    assert "hello" in [getattr(sample, "text", None) for sample in samples]


def test_their_client_reads_our_server() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    with OpenIGTLinkServer("room") as room, start(THEIR_CLIENT, room.port) as process:
        try:

            def ended() -> bool:
                room.send_pose("Needle", POSE)
                room.send_image("US", pixels, np.eye(4))
                room.send_text("Log", "hello")
                time.sleep(0.02)  # it loses step when a header comes in two pieces
                return process.poll() is not None

            wait_for(ended, "their client")
            assert process.stdout is not None
            printed = process.stdout.read().splitlines()
        finally:
            process.kill()
    assert printed == [
        "Needle TRANSFORM",
        str(POSE.tolist()),
        "US IMAGE",
        str(pixels[np.newaxis].tolist()),
        "Log STRING",
    ]
