"""How the simulated room's tracker speaks: OpenIGTLink, or NDI's combined API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from devices.contract import PoseStatus
from devices.openigtlink import OpenIGTLinkServer
from hw_mocks.ndi import MockTracker, Sighting, TcpServer, tool_definition
from ir_nav.geometry import FloatArray

TOOLS = ("Needle", "Stylus", "Reference", "Probe")
_MARKERS_MM = np.array([[0.0, 0.0, 0.0], [80.0, 0.0, 0.0], [0.0, 60.0, 0.0], [-40.0, -30.0, 20.0]])

# Name on the wire, such as "NeedleToTracker"; (4, 4) mm as measured, None where not seen; status.
Measured = tuple[str, FloatArray | None, PoseStatus]


class TrackerWire(Protocol):
    """The tracker's end of its wire."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def send(self, poses: Sequence[Measured], time_s: float) -> None:
        """One measurement of all tools at a Unix time."""

    def room_lines(self, folder: Path) -> list[str]:
        """Its entry in a room file that lies in `folder`; may leave files beside it."""


class OpenIGTLinkTracker:
    """TRANSFORM messages with status, to whoever connects."""

    def __init__(self, port: int) -> None:
        self._server = OpenIGTLinkServer("Tracker", port)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)

    def send(self, poses: Sequence[Measured], time_s: float) -> None:
        for name, matrix, status in poses:
            self._server.send_pose(name, matrix, status=status, timestamp_s=time_s)

    def room_lines(self, folder: Path) -> list[str]:
        return openigtlink_lines("Tracker", self._server.port)


class NdiTracker:
    """A Vega on TCP: it loads tool definition files and answers BX. It measures a frame whenever
    the room does."""

    def __init__(self) -> None:
        self._seen: Mapping[str, Sighting] = {}
        self._tracker = MockTracker(lambda _: self._seen, frame_rate_hz=None)
        self._server = TcpServer(self._tracker)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._server)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def send(self, poses: Sequence[Measured], time_s: float) -> None:
        self._seen = {name.removesuffix("ToTracker"): Sighting(pose) for name, pose, _ in poses}
        self._tracker.measure()

    def room_lines(self, folder: Path) -> list[str]:
        lines = [
            "",
            "[[devices]]",
            'name = "Tracker"',
            'kind = "ndi"',
            f'address = "127.0.0.1:{self._server.port}"',
            "[devices.tools]",
        ]
        for tool in TOOLS:
            path = folder / "roms" / f"{tool}.rom"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tool_definition(tool, _MARKERS_MM))
            lines.append(f'{tool}ToTracker = "roms/{tool}.rom"')
        return lines


def openigtlink_lines(name: str, port: int) -> list[str]:
    """A room file's entry of an OpenIGTLink device of this room."""
    return [
        "",
        "[[devices]]",
        f'name = "{name}"',
        'kind = "openigtlink"',
        'host = "127.0.0.1"',
        f"port = {port}",
        "protocol_version = 2",
        # Stamped with the instant of the room's world, whenever that comes.
        "smooth_stamps = false",
    ]
