"""One calibration of the scanner: what is in use, and every way in which it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ir_nav.recording import EventKind
from ir_nav.session.errors import SessionError
from ir_nav.session.in_use import InUse
from ir_nav.session.journal import Journal
from ir_nav.session.resting import Track
from ir_nav.session.room import Room
from ir_nav.session.state import Role
from ir_nav.session.streams import Streams
from ir_nav.tracking.calibration.calibration_file import CalibrationKind, Result, stamped

T = TypeVar("T", bound=Result)
Outcome = TypeVar("Outcome")

# Each left-out sample has a line of its own there: in the log their number is enough.
LISTS = ("rejected", "rejected_validation")


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a calibration is measured with. clock: Unix time, s. room, streams: those of now, or
    None. stylus_track: see `resting`; stylus_missing(): what the stylus lacks."""

    clock: Callable[[], float]
    journal: Journal
    room: Callable[[], Room | None]
    streams: Callable[[], Streams | None]
    stylus_track: Track
    stylus_missing: Callable[[], str | None]

    def require_streams(self) -> Streams:
        streams = self.streams()
        if streams is None:
            raise SessionError("connect the devices first")
        return streams

    def require_tools(self, *roles: Role) -> Streams:
        """Streams that carry the poses of these tools."""
        streams = self.require_streams()
        for role in roles:
            if role not in streams.poses:
                raise SessionError(f"this room has no {role}")
        return streams

    def require_ultrasound(self) -> None:
        room = self.room()
        if room is None or room.ultrasound is None:
            raise SessionError("this room has no ultrasound images")


class Measured(Generic[T]):
    """A calibration of one kind. Use it from the session's thread.

    in_use: what guidance goes by. refused: the last result, where it was not accepted: then the
    one before stays in use.
    """

    kind: CalibrationKind
    # What the room's file would call it: the tool whose name a calibration file may state.
    role: Role

    def __init__(self, at_hand: AtHand) -> None:
        self.at_hand = at_hand
        self.in_use: InUse[T] = InUse()
        self.refused: T | None = None

    @property
    def running(self) -> bool:
        """Whether it is being measured."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop measuring; nothing changes."""
        raise NotImplementedError

    def advance(self, now_s: float) -> None:
        """Take what arrived; at each tick."""
        raise NotImplementedError

    def words(self, result: T) -> str:
        """A result in a few words, with the name of each error statistic."""
        raise NotImplementedError

    def document(self, result: T) -> dict[str, Any]:
        """A result as it is written to a file."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all of it: the devices are let go of."""
        self.cancel()
        self.in_use, self.refused = InUse(), None

    def take(self, result: T, made_s: float, file: str | None = None) -> bool:
        """Put a result into use, unless it was refused; whether it is in use now."""
        if result.accepted:
            self.in_use = self.in_use.taken(result, made_s, file).aged(self.at_hand.clock())
            self.refused = None
            origin = "" if file is None else f", loaded from {file}"
            text = f"{self.kind} calibration: accepted, {self.words(result)}{origin}"
        else:
            self.refused = result
            text = f"{self.kind} calibration: refused, {result.reason}"
        self._note(text, result)
        return result.accepted

    def undo(self) -> None:
        """Go back to the calibration before, or to the room file's own."""
        before = self.in_use.before
        if before is None:
            raise SessionError(f"there is no earlier {self.kind} calibration")
        self.in_use, self.refused = before.aged(self.at_hand.clock()), None
        known = before.result
        words = "as the room file says" if known is None else "the one before is in use"
        self._note(f"{self.kind} calibration undone: {words}", known)

    def age(self, now_s: float) -> None:
        """Let it expire when its time has come."""
        aged = self.in_use.aged(now_s)
        if aged is not self.in_use and aged.expired:
            self._note(f"{self.kind} calibration expired: measure it again", None)
        self.in_use = aged

    def to_save(self) -> dict[str, Any]:
        """What was measured and is in use, as the document of a file; SessionError without any."""
        result = self.in_use.result
        if result is None:
            raise SessionError(f"there is no {self.kind} calibration to save")
        if self.in_use.file is not None:
            raise SessionError(f"it was loaded from {self.in_use.file}: there is nothing to save")
        return stamped(self.document(result), self.kind, str(self.role), self.in_use.made_s)

    def _note(self, text: str, result: T | None) -> None:
        data: dict[str, Any] = {} if result is None else self.document(result)
        for name in LISTS:
            if name in data:
                data[name] = len(data[name])
        self.at_hand.journal.note(EventKind.CALIBRATION, text, calibration=str(self.kind), **data)


class MeasuredHere(Measured[T], Generic[T, Outcome]):
    """A calibration that keeps what it was worked out from, for its picture.

    outcome: what was measured last, in use or refused; None where nothing was, or a file was
    loaded since.
    """

    def __init__(self, at_hand: AtHand) -> None:
        super().__init__(at_hand)
        self.outcome: Outcome | None = None

    def forget(self) -> None:
        super().forget()
        self.outcome = None

    def undo(self) -> None:
        super().undo()
        self.outcome = None

    def take(self, result: T, made_s: float, file: str | None = None) -> bool:
        if file is not None:
            self.outcome = None
        return super().take(result, made_s, file)
