"""Mock NDI trackers with tools, and drivers for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from devices.ndi import NdiTracker, ToolSource
from hw_mocks.ndi import MockTracker, PtyLine, Sighting, TcpServer, tool_definition
from ir_nav.geometry import FloatArray
from tests.devices.support import POSE, Collected

MARKERS_MM = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0], [0.0, 40.0, 0.0], [0.0, 0.0, 30.0]])


@dataclass
class View:
    """What the mock tracker sees; tests change it."""

    tools: dict[str, Sighting] = field(default_factory=lambda: {"Needle": Sighting(POSE)})

    def __call__(self, _: float) -> Mapping[str, Sighting]:
        return self.tools


@dataclass
class Room:
    """One mock tracker at an address."""

    view: View
    tracker: MockTracker
    address: str
    rom: Path
    sink: Collected
    line: PtyLine | TcpServer

    def driver(self, tools: Mapping[str, ToolSource] | None = None, **options: Any) -> NdiTracker:
        chosen = tools or {"NeedleToTracker": self.rom}
        options = {"reset_s": 0.5} | options
        return NdiTracker("tracker", self.address, chosen, self.sink, **options)


def write_rom(folder: Path, part_number: str, markers_mm: FloatArray = MARKERS_MM) -> Path:
    path = folder / f"{part_number}.rom"
    path.write_bytes(tool_definition(part_number, markers_mm))
    return path


@contextmanager
def room(
    kind: str, folder: Path, *, flush_is_break: bool = False, **options: Any
) -> Iterator[Room]:
    """kind: "pty" or "tcp". The tracker measures only when told, unless options say a rate."""
    view = View()
    tracker = MockTracker(view, **({"frame_rate_hz": None} | options))
    sink, rom = Collected(), write_rom(folder, "Needle")
    if kind == "pty":
        with PtyLine(tracker, flush_is_break=flush_is_break) as pty:
            yield Room(view, tracker, pty.path, rom, sink, pty)
    else:
        with TcpServer(tracker) as server:
            yield Room(view, tracker, f"127.0.0.1:{server.port}", rom, sink, server)
