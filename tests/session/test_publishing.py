"""The console as a server: what a client hears of tip, plan and guidance, in RAS mm."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from devices.contract import PoseStatus
from devices.openigtlink import (
    OpenIGTLinkServer,
    Table,
    decode_bytes,
)
from ir_nav.planning import Plan
from ir_nav.session.errors import SessionError
from ir_nav.session.navigation import navigate
from ir_nav.session.publish_address import read_address
from ir_nav.session.publishing import Publisher, plan_messages, ras_from_tip
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, TipState
from tests.session.listening import client
from tests.session.rig import NOW_S, Rig, plan, wait_for

PLAN = Plan(
    name="Segment VI",
    ct_identity="ct",
    entry_ct_mm=(-60.0, 12.0, 7.5),
    target_ct_mm=(10.0, -20.0, 30.0),
)
# LPS to RAS by hand: x and y change their sign.
ENTRY_RAS, TARGET_RAS = (60.0, -12.0, 7.5), (-10.0, 20.0, 30.0)
TIP_LPS, TIP_RAS = (3.0, -40.0, 5.0), (-3.0, 40.0, 5.0)


def shown(tip_ct_mm: tuple[float, ...] = TIP_LPS, **changes: object) -> NavigationState:
    """A valid state: the tip there, the shaft along +y (to the back)."""
    rig = Rig()
    rig.all_seen(tip_ct_mm, (0.0, 1.0, 0.0))
    return navigate(rig.inputs(**changes), NOW_S)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    made = Publisher()
    made.start(0)
    yield made
    made.stop()


def test_the_tip_comes_in_ras_with_the_shaft_as_its_z_axis(publisher: Publisher) -> None:
    state = shown()
    with client(publisher) as heard:

        def arrived() -> bool:
            publisher.show(replace(state), PLAN)
            time.sleep(0.01)
            return any(one.status is PoseStatus.OK for one in heard.poses)

        wait_for(arrived, "the tip")
    found = next(one for one in heard.poses if one.status is PoseStatus.OK)
    assert found.name == "TipToCT"
    assert found.matrix is not None
    np.testing.assert_allclose(found.matrix[:3, 3], TIP_RAS, atol=1e-3)
    # To the back is -y in RAS.
    np.testing.assert_allclose(found.matrix[:3, 2], (0.0, -1.0, 0.0), atol=1e-5)
    assert np.linalg.det(found.matrix[:3, :3]) == pytest.approx(1.0, abs=1e-5)
    assert found.source_s == pytest.approx(NOW_S, abs=1e-3)


@pytest.mark.parametrize("shaft", [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.6, 0.0, 0.8)])
def test_a_point_before_the_tip_lies_on_the_shaft_in_ras(shaft: tuple[float, ...]) -> None:
    """10 mm before the tip along the shaft: worked out in LPS, then x and y turned."""
    tip = TipState(np.array(TIP_LPS), np.array(shaft), NOW_S, NOW_S)
    ahead = np.array(TIP_LPS) + 10.0 * np.array(shaft)
    found = ras_from_tip(tip) @ [0.0, 0.0, 10.0, 1.0]
    np.testing.assert_allclose(found[:3], (-ahead[0], -ahead[1], ahead[2]), atol=1e-9)


def test_plan_goes_to_each_new_client_and_again_when_it_changes(publisher: Publisher) -> None:
    state = shown()
    publisher.show(state, PLAN)
    with client(publisher, version=1) as first:
        wait_for(lambda: first.count("TRAJ") and first.count("POINT"), "the plan")
        (path,), points = first.table("TRAJ").records, first.table("POINT").records
        assert (path.name, path.entry_mm, path.target_mm) == ("Segment VI", ENTRY_RAS, TARGET_RAS)  # type: ignore[union-attr]
        assert [(one.name, one.position_mm) for one in points] == [  # type: ignore[union-attr]
            ("Entry", ENTRY_RAS),
            ("Target", TARGET_RAS),
        ]
        with client(publisher) as second:
            wait_for(lambda: second.count("TRAJ") and second.count("POINT"), "the plan again")
            assert second.table("TRAJ").records == (path,)
        before = first.count("POINT")
        publisher.show(state, plan())
        wait_for(lambda: first.count("POINT") > before, "the new plan")
        assert first.table("POINT").records[0].position_mm == (0.0, 100.0, 0.0)  # type: ignore[union-attr]
        before = first.count("POINT")
        publisher.show(state, None)
        wait_for(lambda: first.count("POINT") > before, "no plan")
        assert first.table("TRAJ").records == first.table("POINT").records == ()
        before = first.count("POINT")
        for _ in range(10):
            publisher.show(replace(state), None)
            time.sleep(0.01)
        assert first.count("POINT") == before


def test_a_tip_that_is_not_known_is_missing_for_v2_and_silent_for_v1(
    publisher: Publisher,
) -> None:
    lost = shown(registration=None)
    assert lost.tip is None
    with client(publisher, version=1) as old, client(publisher, version=2) as new:

        def arrived() -> bool:
            publisher.show(replace(lost), None)
            time.sleep(0.01)
            return any(one.status is PoseStatus.MISSING for one in new.poses)

        wait_for(arrived, "the missing tip")
        wait_for(lambda: old.guidance(), "the status")
        assert old.poses == []
        assert {one.matrix is None for one in new.poses} == {True}
        assert old.guidance()[0] == (13, "no guidance: not registered (simulated data)")


def test_an_unknown_status_of_the_tracker_is_handed_on(publisher: Publisher) -> None:
    rig = Rig()
    rig.all_seen()
    rig.send(rig.room.tools[0].role, rig.streams.poses[rig.room.tools[0].role].latest().matrix,  # type: ignore[union-attr]
             NOW_S, PoseStatus.UNKNOWN)  # fmt: skip
    state = navigate(rig.inputs(), NOW_S)
    assert state.tip is not None
    with client(publisher) as heard:

        def arrived() -> bool:
            publisher.show(replace(state), None)
            time.sleep(0.01)
            return any(one.status is PoseStatus.UNKNOWN for one in heard.poses)

        wait_for(arrived, "the tip")


def test_status_is_sent_when_guidance_comes_and_goes(publisher: Publisher) -> None:
    valid, lost = shown(), shown(plan=None)
    with client(publisher) as heard:
        for state in (valid, lost, lost, valid):
            publisher.show(replace(state), None)
            time.sleep(0.06)
        wait_for(lambda: len(heard.guidance()) >= 3, "three changes")
    assert heard.guidance()[:3] == [
        (1, "guidance valid (simulated data)"),
        (13, "no guidance: no plan (simulated data)"),
        (1, "guidance valid (simulated data)"),
    ]


def test_a_console_that_stands_still_does_not_look_like_a_needle_at_rest(
    publisher: Publisher,
) -> None:
    with client(publisher) as heard:
        publisher.show(shown(), None)
        wait_for(lambda: heard.poses and heard.poses[-1].status is PoseStatus.MISSING, "MISSING")
        assert heard.guidance()[-1][1].startswith("no guidance: the console shows nothing new")


def test_never_more_than_sixty_poses_a_second(publisher: Publisher) -> None:
    state = shown()
    with client(publisher) as heard:
        started_s = time.monotonic()
        while time.monotonic() - started_s < 0.5:
            publisher.show(replace(state), None)
            time.sleep(0.002)
        lasted_s = time.monotonic() - started_s
    assert 5 <= len(heard.poses) <= 60.0 * lasted_s + 2


def test_a_client_that_does_not_read_and_one_that_breaks_slow_nothing(
    publisher: Publisher,
) -> None:
    state = shown()
    with socket.create_connection(("127.0.0.1", publisher.status().port)):
        wait_for(lambda: publisher.status().clients == 1, "the client")
        started_s = time.perf_counter()
        for _ in range(10_000):
            publisher.show(state, PLAN)
        each_s = (time.perf_counter() - started_s) / 10_000
    assert each_s < 200e-6
    publisher.show("no state at all", PLAN)  # type: ignore[arg-type]
    wait_for(lambda: publisher.status().reason, "the reason")
    assert "not complete" in str(publisher.status().reason)
    with client(publisher) as heard:

        def arrived() -> bool:
            publisher.show(replace(state), PLAN)
            time.sleep(0.01)
            return bool(heard.poses)

        wait_for(arrived, "the next state")


def test_a_taken_port_is_told_in_words_and_another_works() -> None:
    publisher = Publisher()
    with OpenIGTLinkServer("other") as other:
        with pytest.raises(SessionError, match=r"port \d+ cannot be used to publish: another"):
            publisher.start(other.port)
        status = publisher.status()
        assert (status.on, status.port, status.clients) == (False, other.port, 0)
        assert "choose another port" in str(status.reason)
        publisher.show(shown(), PLAN)
    publisher.start(0)
    assert publisher.status().on
    assert publisher.status().reason is None
    port = publisher.status().port
    publisher.stop()
    assert not publisher.status().on
    publisher.start(port)
    publisher.stop()


def test_only_this_computer_can_connect_unless_an_address_is_named() -> None:
    notes: list[str] = []
    publisher = Publisher(notes.append)
    publisher.start(0)
    port = publisher.status().port
    with socket.create_connection(("127.0.0.1", port)):
        pass
    # Another loopback address stands for another of this computer's addresses.
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), 1.0)
    assert notes == []
    publisher.start(0, "0.0.0.0")
    address = publisher.status().address
    with socket.create_connection(("127.0.0.2", address.port)):
        wait_for(lambda: publisher.status().clients == 1, "the client")
    publisher.stop()
    (note,) = notes
    assert note == (
        f"publishing on port {address.port} at every address of this computer: anyone on its "
        "networks can read along"
    )
    publisher.note_reach()
    assert len(notes) == 1


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-computer.invalid"])
def test_an_address_of_another_computer_is_refused_in_words(host: str) -> None:
    publisher = Publisher()
    with pytest.raises(SessionError, match="it is no address of this computer"):
        publisher.start(0, host)
    assert not publisher.status().on


@pytest.mark.parametrize(
    ("written", "host", "port", "only_here"),
    [
        ("18945", "127.0.0.1", 18945, True),
        ("127.0.0.3:1", "127.0.0.3", 1, True),
        ("localhost:20000", "localhost", 20000, True),
        (" 192.168.0.5:18944 ", "192.168.0.5", 18944, False),
        ("0.0.0.0:18944", "0.0.0.0", 18944, False),
        ("console.clinic.example:18944", "console.clinic.example", 18944, False),
    ],
)
def test_an_address_is_read(written: str, host: str, port: int, only_here: bool) -> None:
    address = read_address(written)
    assert (address.host, address.port, address.only_here) == (host, port, only_here)
    assert ("anyone" in address.words) is not only_here


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "a port is a number"),
        ("0", "a port is a number"),
        ("65536", "a port is a number"),
        ("192.168.0.5", "a port is a number"),
        ("١٨٩٤٤", "a port is a number"),
        (":18944", "'' is no address"),
        ("192.168.0.256:18944", "'192.168.0.256' is no address"),
        ("192.168.5:18944", "'192.168.5' is no address"),
        ("a b:18944", "'a b' is no address"),
        ("[::1]:18944", "is an IPv6 address, which is not served"),
    ],
)
def test_what_is_no_address_is_refused_in_words(written: str, words: str) -> None:
    with pytest.raises(SessionError) as refused:
        read_address(written)
    assert words in str(refused.value)


def test_a_long_name_is_cut_to_what_the_wire_carries() -> None:
    long = PLAN.model_copy(update={"name": "Ä" * 50})
    packed, _ = plan_messages(long, NOW_S)[0]
    (table,) = decode_bytes(packed, NOW_S)
    assert isinstance(table, Table)
    assert table.records[0].name == "Ä" * 32


def test_every_needle_of_an_ablation_is_a_trajectory() -> None:
    needle, zone = {"gauge": 17}, {"length_mm": 30.0, "width_mm": 20.0, "ahead_mm": 5.0}
    further = {"entry_ct_mm": (-60, 0, 0), "target_ct_mm": (10, -20, 20), "needle": needle}
    instrument = {
        "kind": "ablation",
        "needle": needle,
        "zone": zone,
        "further": [further | {"zone": zone}],
    }
    long = "Ä" * 40
    two = Plan.model_validate(PLAN.model_dump() | {"instrument": instrument, "name": long})
    (paths, _), (points, _) = plan_messages(two, NOW_S)
    (table,) = decode_bytes(paths, NOW_S)
    first, second = table.records
    assert (first.name, second.name) == ("Ä" * 32, "Ä" * 31 + " 2")
    assert (first.entry_mm, first.target_mm) == (ENTRY_RAS, TARGET_RAS)
    assert (second.entry_mm, second.target_mm) == ((60.0, 0.0, 0.0), (-10.0, 20.0, 20.0))
    (table,) = decode_bytes(points, NOW_S)
    assert [one.name for one in table.records] == ["Entry", "Target", "Entry 2", "Target 2"]


def test_the_tick_publishes_and_closing_frees_the_port() -> None:
    session = Session(lambda: NOW_S)
    session.publisher.start(0)
    rig = Rig()
    session.connection.room, session.connection.streams = rig.room, rig.streams
    rig.all_seen()
    with client(session.publisher) as heard:
        session.tick(NOW_S)
        wait_for(heard.guidance, "the state")
        assert heard.guidance()[0] == (13, "no guidance: no plan (simulated data)")
    port = session.publisher.status().port
    session.close()
    with socket.create_server(("127.0.0.1", port)):
        pass


# Told apart from our own codec: pyigtl reads v1 and knows TRANSFORM; TRAJ and POINT it does not.
THEIR_CLIENT = """
import os, sys, pyigtl
client = pyigtl.OpenIGTLinkClient(host="127.0.0.1", port=int(sys.argv[1]))
message = client.wait_for_message("TipToCT", timeout=20)
print(message.message_type, [round(v, 3) for v in message.matrix[:3, 3]],
      [round(v, 3) for v in message.matrix[:3, 2]], flush=True)
os._exit(0)
"""


def test_pyigtl_reads_the_tip(publisher: Publisher) -> None:
    state = shown()
    command = [sys.executable, "-c", THEIR_CLIENT, str(publisher.status().port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:

            def ended() -> bool:
                publisher.show(replace(state), PLAN)
                time.sleep(0.02)
                return process.poll() is not None

            wait_for(ended, "their client", 25.0)
            assert process.stdout is not None
            printed = process.stdout.read().replace("np.float64", "").replace("(", "")
        finally:
            process.kill()
    assert printed.replace(")", "").replace("-0.0", "0.0").split("\n")[0] == (
        "TRANSFORM [-3.0, 40.0, 5.0] [0.0, -1.0, 0.0]"
    )
