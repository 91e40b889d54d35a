"""The calibrations of needle and stylus: measured, loaded, taken back, let expire."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ir_nav.session.calibration_exchange import load_tool, save_tool
from ir_nav.session.collection import Collection, CollectionKind, ToolCalibration
from ir_nav.session.connection import Connection
from ir_nav.session.errors import SessionError
from ir_nav.session.journal import Journal
from ir_nav.session.resting import NO_TRACK, TipTrack, stylus_track
from ir_nav.session.state import Role


class ToolCalibrations:
    """Use it from the session's thread. collection: under way, or None.

    clock: Unix time, s. on_stylus_undone is told when the stylus calibration that was taken
    back was made (Unix time): what was touched with it counts no more.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        journal: Journal,
        connection: Connection,
        on_stylus_undone: Callable[[float], None],
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._connection = connection
        self._on_stylus_undone = on_stylus_undone
        self.needle = ToolCalibration(needs_spin=True)
        self.stylus = ToolCalibration()
        self.collection: Collection | None = None

    def of(self, role: Role) -> ToolCalibration:
        """What is known of the needle, or else of the stylus."""
        return self.needle if role is Role.NEEDLE else self.stylus

    def start(self, kind: CollectionKind, role: Role) -> None:
        """Begin gathering poses of a tool that is being pivoted or spun."""
        streams = self._connection.require_streams()
        if role not in streams.poses:
            raise SessionError(f"this room has no {role}")
        if kind is CollectionKind.SPIN and role is not Role.NEEDLE:
            raise SessionError("only a needle is spun")
        self.collection = Collection(kind, role, self._clock())

    def finish(self) -> ToolCalibration:
        """Work out the calibration from what was gathered; its gates may refuse it."""
        collection = self.collection
        if collection is None:
            raise SessionError("start pivoting first")
        self.collection = None
        calibration = self.of(collection.role).taken(collection, self._clock())
        self._put(collection.role, calibration)
        self._journal.calibration(collection, calibration)
        return calibration

    def cancel(self) -> None:
        """Stop gathering; nothing changes."""
        self.collection = None

    def load(self, role: Role, path: Path) -> None:
        """Put a needle's or stylus's pivot out of a file into use; see `load_tool`."""
        loaded = load_tool(path, role, self.of(role), self._connection.room, self._clock())
        self._put(role, loaded)
        self._journal.calibration_loaded(role, loaded)

    def save(self, role: Role, path: Path) -> None:
        """Write a needle's or stylus's pivot to a file; see `save_tool`."""
        save_tool(path, role, self.of(role))

    def undo(self, role: Role) -> None:
        """Go back to the tool's calibration before this one."""
        undone = self.of(role)
        if undone.before is None:
            raise SessionError(f"the {role} has no earlier calibration")
        before = undone.before.aged(self._clock())
        self._put(role, before)
        if role is Role.STYLUS:
            self._on_stylus_undone(undone.pivot_s or 0.0)
        self._journal.calibration_undone(role, before)

    def gather(self) -> None:
        """Let a running collection take what has arrived; at each tick."""
        streams = self._connection.streams
        if self.collection is not None and streams is not None:
            self.collection.gather(streams.poses[self.collection.role])

    def age(self, now_s: float) -> None:
        """Let expire what is due; at each tick."""
        for role in (Role.NEEDLE, Role.STYLUS):
            old = self.of(role)
            new = old.aged(now_s)
            if new is not old and new.expired is not None:
                self._journal.calibration_expired(role, new)
            self._put(role, new)

    def forget(self) -> None:
        """Drop all of it: the devices are let go of."""
        self.needle, self.stylus = ToolCalibration(needs_spin=True), ToolCalibration()
        self.collection = None

    def stylus_track(self, since_s: float) -> TipTrack:
        """As `resting.stylus_track`; empty while the stylus has no tip or is not connected."""
        streams, stylus_from_tip = self._connection.streams, self.stylus.tool_from_tip
        if streams is None or stylus_from_tip is None:
            return NO_TRACK
        return stylus_track(streams, stylus_from_tip, since_s)

    def _put(self, role: Role, calibration: ToolCalibration) -> None:
        if role is Role.NEEDLE:
            self.needle = calibration
        else:
            self.stylus = calibration
