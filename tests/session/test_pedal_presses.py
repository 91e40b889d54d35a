"""Short and long presses out of a pedal's steps."""

from __future__ import annotations

import numpy as np
import pytest

from devices.contract import TextSample
from ir_nav.session.pedal_presses import LONG_S, PedalPresses, Press
from ir_nav.session.room import Room
from ir_nav.session.streams import Streams
from tests.session.rig import NOW_S, room_values

SETTLED_S = 0.03


def step(word: str, at_s: float) -> TextSample:
    return TextSample("pedal", word, NOW_S + at_s, NOW_S + at_s + SETTLED_S)


def told(presses: PedalPresses, until_s: float, since_s: float = 0.0) -> list[tuple[float, Press]]:
    """When, after NOW_S, each press was told, looked for each 20 ms."""
    found = []
    for at_s in np.arange(since_s, until_s, 0.02):
        found += [(float(at_s), press) for press in presses.poll(NOW_S + float(at_s))]
    return found


@pytest.mark.parametrize(("held_s", "expected"), [(0.1, Press.SHORT), (0.79, Press.SHORT)])
def test_a_press_let_go_is_short(held_s: float, expected: Press) -> None:
    presses = PedalPresses()
    presses.turn(step("down", 0.0))
    assert told(presses, held_s) == []
    presses.turn(step("up", held_s))
    ((_, press),) = told(presses, 2.0, held_s + SETTLED_S)
    assert press is expected


def test_a_press_that_is_held_is_told_while_it_is_held_and_once() -> None:
    presses = PedalPresses()
    presses.turn(step("down", 0.0))
    ((at_s, press),) = told(presses, 1.5)
    assert press is Press.LONG
    assert LONG_S <= at_s < LONG_S + 0.03
    presses.turn(step("up", 1.5))
    assert told(presses, 3.0, 1.5) == []
    presses.turn(step("down", 3.0))
    presses.turn(step("up", 3.2))
    assert [press for _, press in told(presses, 4.0, 3.24)] == [Press.SHORT]


def test_a_screen_that_was_late_still_knows_how_long_it_was_held() -> None:
    presses = PedalPresses()
    for word, at_s in (("down", 0.0), ("up", 0.2), ("down", 0.4), ("up", 1.3)):
        presses.turn(step(word, at_s))
    assert presses.poll(NOW_S + 1.1) == (Press.SHORT, Press.LONG)


def test_what_was_pressed_too_long_ago_does_nothing() -> None:
    presses = PedalPresses()
    presses.turn(step("down", 0.0))
    presses.turn(step("up", 0.2))
    presses.turn(step("down", 0.5))
    assert presses.poll(NOW_S + 3.0) == ()
    presses.turn(step("up", 3.1))
    assert presses.poll(NOW_S + 3.2) == ()


def test_an_up_without_a_down_is_no_press() -> None:
    presses = PedalPresses()
    presses.turn(step("up", 0.0))
    assert presses.poll(NOW_S + 0.1) == ()


def test_a_recordings_pedal_presses_nothing_again() -> None:
    """Only a room that has a pedal listens to text of that name."""
    assert Streams(Room.model_validate(room_values())).pedal is None
    devices = [
        *room_values()["devices"],
        {"name": "pedal", "kind": "pedal", "port": "/dev/ttyUSB0"},
    ]
    streams = Streams(Room.model_validate(room_values(devices=devices)))
    assert streams.pedal is not None
    streams.take(TextSample("other", "down", NOW_S, NOW_S))
    streams.take(TextSample("other", "up", NOW_S + 0.1, NOW_S + 0.1))
    assert streams.pedal.poll(NOW_S + 0.2) == ()
    streams.take(step("down", 0.3))
    streams.take(step("up", 0.4))
    assert streams.pedal.poll(NOW_S + 0.5) == (Press.SHORT,)
