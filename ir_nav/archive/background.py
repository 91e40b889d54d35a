"""Blocking network work on a thread of its own, so that it can be cancelled at once."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import Event, Thread
from typing import Generic, TypeVar

from ir_nav.archive.errors import TransferCancelledError
from ir_nav.archive.records import Cancelled

POLL_S = 0.05

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Given(Generic[Item]):
    item: Item


@dataclass(frozen=True, slots=True)
class _Over:
    error: Exception | None


def in_background(
    produce: Callable[[], Iterable[Item]],
    cancelled: Cancelled,
    stop: Callable[[], None],
    pulse: Callable[[], None] = lambda: None,
) -> Iterator[Item]:
    """The items of `produce()`, which runs on another thread; its error is raised here.

    stop: called when `cancelled()` turns true or nobody wants the items any more; it must make
    `produce` end soon. pulse: called here some twenty times a second.
    Raises TransferCancelledError.
    """
    results: queue.Queue[_Given[Item] | _Over] = queue.Queue(maxsize=8)
    unwanted = Event()

    def hand_over(result: _Given[Item] | _Over) -> bool:
        while not unwanted.is_set():
            try:
                results.put(result, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in produce():
                if not hand_over(_Given(item)):
                    return
        except Exception as error:  # noqa: BLE001 - raised again where the items are taken
            hand_over(_Over(error))
        else:
            hand_over(_Over(None))

    Thread(target=run, name="archive", daemon=True).start()
    ended = False
    try:
        while True:
            pulse()
            if cancelled():
                raise TransferCancelledError("cancelled: nothing half-done was left")
            try:
                result = results.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if isinstance(result, _Over):
                ended = True
                if result.error is not None:
                    raise result.error
                pulse()
                return
            yield result.item
    finally:
        unwanted.set()
        if not ended:
            stop()
