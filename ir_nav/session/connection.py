"""The room of the opened file, and a line to each of its devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from devices.keyboard_pedal import KeyLine
from ir_nav.planning import Plan
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal
from ir_nav.session.link import DeviceLink
from ir_nav.session.opening_devices import opener
from ir_nav.session.operator_line import OperatorLine
from ir_nav.session.room import Room
from ir_nav.session.state import DeviceStatus
from ir_nav.session.streams import Streams


class Connection:
    """room, room_path: None until a room file was opened. streams: None while not connected.
    operator: of a simulated room, else None. clock: Unix time, s. plan: that of now, or None.
    """

    def __init__(
        self, clock: Callable[[], float], journal: Journal, plan: Callable[[], Plan | None]
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._plan = plan
        self.room: Room | None = None
        self.room_path: Path | None = None
        self.streams: Streams | None = None
        self.operator: OperatorLine | None = None
        self.pedal_keys = KeyLine()
        self._links: tuple[DeviceLink, ...] = ()

    def require_room(self) -> Room:
        """The room; SessionError while no room file is open."""
        if self.room is None:
            raise SessionError("open a room file first")
        return self.room

    def require_streams(self) -> Streams:
        """The streams; SessionError while nothing is connected."""
        if self.streams is None:
            raise SessionError("connect the devices first")
        return self.streams

    def open_lines(self) -> None:
        """Connect every device of the room; each keeps trying on its own until `close_lines`."""
        room = self.require_room()
        streams = Streams(room)
        streams.log = self._journal.log
        self.streams = streams
        self._links = tuple(
            DeviceLink(
                entry.name,
                opener(entry, self.pedal_keys),
                streams.take,
                self._journal.device_changed,
            )
            for entry in room.devices
        )
        if room.operator is not None:
            self.operator = OperatorLine(room.operator)

    def close_lines(self) -> None:
        """Let go of every device; the log says how well each stream came in."""
        if self.streams is not None:
            self._journal.quality(self.streams, self._clock())
        for link in self._links:
            link.close()
        if self.operator is not None:
            self.operator.close()
        self.operator = None
        self._links, self.streams = (), None

    def ask_operator(self, do: str, **details: object) -> None:
        """Ask the room's simulated operator to do something; an insertion follows the plan."""
        if self.operator is None:
            raise SessionError("this room has no simulated operator")
        if do == "insert":
            plan = self._plan()
            if plan is None:
                raise SessionError("approve a path first")
            details |= {
                "entry_ct_mm": list(plan.entry_ct_mm),
                "target_ct_mm": list(plan.target_ct_mm),
            }
        self.operator.ask(do, **details)

    def statuses(self, now_s: float) -> tuple[DeviceStatus, ...]:
        """How each device stands, in the order of the room file."""
        return tuple(link.status(now_s) for link in self._links)

    @property
    def newest_pose_s(self) -> float:
        """When the newest pose of any tool arrived (Unix time); 0 before the first."""
        if self.streams is None:
            return 0.0
        newest = (buffer.latest() for buffer in self.streams.poses.values())
        return max((sample.received_s for sample in newest if sample is not None), default=0.0)
