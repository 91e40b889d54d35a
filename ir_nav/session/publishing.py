"""The console as an OpenIGTLink server, so that 3D Slicer can follow along.

Everything published is in RAS mm, because 3D Slicer takes what comes over OpenIGTLink for RAS;
inside the console `ct` is LPS mm: x and y change their sign on the way out, z does not.

- TRANSFORM "TipToCT": p_ct = M p_tip. The origin of `tip` is the needle's tip, its +z runs along
  the shaft from hub to tip; the turn about the shaft is arbitrary. While the tip is not known, or
  the console stands still, clients that speak v2 get status MISSING and clients of v1 get none.
- TRAJ "PlanPath" (one for each needle) and POINT "PlanPoints" (Entry, Target, and Entry 2, Target 2
  ... of further needles): when the plan changes and when a client
  connects; empty once a plan has been dropped.
- STATUS "Guidance": 1 (OK) or 13 (not ready) with the reason, when that changes and when a client
  connects. STATUS "IR Nav" only says that the connection lives.

It listens on this computer only unless the user names another address; nothing is encrypted, and
nobody is asked who they are: whoever can connect can read along.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Thread

from devices.contract import DeviceError, PoseStatus
from devices.openigtlink import (
    NamedPoint,
    OpenIGTLinkServer,
    Trajectory,
    pack_points,
    pack_status,
    pack_trajectories,
)
from ir_nav.geometry import LPS_FROM_RAS, FloatArray, rigid, rotation_along
from ir_nav.planning import Plan
from ir_nav.session.errors import SessionError
from ir_nav.session.publish_address import DEFAULT_PORT, EVERYWHERE, LOOPBACK, PublishAddress
from ir_nav.session.state import NavigationState, Refusal, Role, Source, TipState, ToolState
from ir_nav.session.streams import STALE_AFTER_S

PERIOD_S = 1.0 / 60.0
KEEPALIVE_S = 1.0
LOOK_S = 0.1
CLOSE_S = 1.0
NAME_BYTES = 64
OK, NOT_READY = 1, 13
PLAN_RGBA = (86, 180, 233, 255)
# The same matrix: it is its own inverse.
RAS_FROM_LPS = LPS_FROM_RAS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishStatus:
    """on: clients can connect at `address`; clients: that have. reason: why nothing is published
    although it was asked for, in words, or None."""

    on: bool
    address: PublishAddress
    clients: int
    reason: str | None

    @property
    def port(self) -> int:
        return self.address.port


@dataclass(slots=True)
class _Told:
    """What the clients know."""

    admitted: int = 0
    plan: Plan | None = None
    valid: bool | None = None
    state: NavigationState | None = None


def _unheard(words: str) -> None:
    return None


class Publisher:
    """Publishes on a thread of its own while switched on; see the module for what.

    `show` only leaves the newest state there: it never waits and never raises, whatever the
    network does. start, stop and show belong to one thread. note: is told, for the log, when
    other computers can connect.
    """

    def __init__(self, note: Callable[[str], None] = _unheard) -> None:
        self._note = note
        self._address = PublishAddress()
        self._reason: str | None = None
        self._server: OpenIGTLinkServer | None = None
        self._thread: Thread | None = None
        self._stopping = Flag()
        self._news = Flag()
        self._newest: tuple[NavigationState, Plan | None] | None = None

    def start(self, port: int = DEFAULT_PORT, host: str = LOOPBACK) -> None:
        """Serve at a port of this computer; SessionError when it is taken, or `host` is none of
        its addresses. 0 takes a free port."""
        self.stop()
        self._address = PublishAddress(host, port)
        server = OpenIGTLinkServer("IR Nav", port, host, keepalive_s=KEEPALIVE_S)
        try:
            server.__enter__()
        except DeviceError as error:
            self._reason = _fault(self._address, error.__cause__)
            raise SessionError(self._reason) from error
        self._server, self._newest = server, None
        self._address = PublishAddress(host, server.port)
        self._stopping, self._news = Flag(), Flag()
        arguments = (server, self._stopping, self._news)
        self._thread = Thread(target=self._run, args=arguments, name="publish", daemon=True)
        self._thread.start()
        if not self._address.only_here:
            logger.warning("publishing %s", self._address.words)
        self.note_reach()

    def note_reach(self) -> None:
        """Note in the log that other computers can read along, while they can."""
        if self._server is not None and not self._address.only_here:
            self._note(f"publishing {self._address.words}")

    def stop(self) -> None:
        """Hang up on every client and free the port."""
        server, self._server = self._server, None
        self._reason = None
        if server is None or self._thread is None:
            return
        self._stopping.set()
        self._news.set()
        self._thread.join(CLOSE_S)
        server.__exit__()

    def show(self, state: NavigationState, plan: Plan | None) -> None:
        """Publish this state soon; one that comes too early for 60 Hz gives way to the next."""
        if self._server is not None:
            self._newest = (state, plan)
            self._news.set()

    def status(self) -> PublishStatus:
        server = self._server
        clients = 0 if server is None else server.clients()
        return PublishStatus(server is not None, self._address, clients, self._reason)

    def _run(self, server: OpenIGTLinkServer, stopping: Flag, news: Flag) -> None:
        told, failed, heard_s = _Told(), False, time.monotonic()
        while not stopping.is_set():
            # A client that connects between two states is looked for too.
            fresh = news.wait(LOOK_S)
            news.clear()
            started_s = time.monotonic()
            heard_s = started_s if fresh else heard_s
            newest = self._newest
            if newest is not None and not stopping.is_set():
                state, plan = newest
                if started_s - heard_s > STALE_AFTER_S:
                    state = _silent(state)
                try:
                    _tell(server, told, state, plan)
                except Exception as error:  # the console's tick must not feel it
                    self._reason = f"what is published is not complete: {error}"
                    if not failed:
                        logger.exception("publishing failed")
                    failed = True
            stopping.wait(max(PERIOD_S - (time.monotonic() - started_s), 0.0))


def _fault(address: PublishAddress, cause: BaseException | None) -> str:
    """Why the system refused the address, and what to do."""
    no_such = isinstance(cause, OSError) and cause.errno == errno.EADDRNOTAVAIL
    if no_such or isinstance(cause, socket.gaierror):
        return (
            f"{address.host} cannot be used to publish: it is no address of this computer; write "
            f"one that it has, or {EVERYWHERE} for all of them"
        )
    return (
        f"port {address.port} cannot be used to publish: another program has it, or the system "
        "keeps it; choose another port"
    )


def _silent(state: NavigationState) -> NavigationState:
    """A state that came long ago: a console that stands still must not look as a needle at rest."""
    refusal = Refusal("the console shows nothing new", "")
    return replace(state, tip=None, guidance=None, refusal=refusal, now_s=time.time())


def _tell(
    server: OpenIGTLinkServer, told: _Told, state: NavigationState, plan: Plan | None
) -> None:
    """Send what the clients do not know yet."""
    admitted = server.admitted()
    new_client = admitted != told.admitted
    told.admitted = admitted
    valid = state.guidance is not None
    if new_client or valid != told.valid:
        told.valid = valid
        server.broadcast(_status(state), "Guidance")
    if (new_client and plan is not None) or plan is not told.plan:
        told.plan = plan
        for packed, name in plan_messages(plan, state.now_s):
            server.broadcast(packed, name)
    if state is not told.state:
        told.state = state
        _tell_tip(server, state)


def _tell_tip(server: OpenIGTLinkServer, state: NavigationState) -> None:
    tip = state.tip
    if tip is None:
        server.send_pose("TipToCT", None, status=PoseStatus.MISSING, timestamp_s=state.now_s)
        return
    tools = (state.tool(Role.NEEDLE), state.tool(Role.REFERENCE))
    unknown = any(tool is not None and tool.state is ToolState.UNKNOWN for tool in tools)
    status = PoseStatus.UNKNOWN if unknown else PoseStatus.OK
    server.send_pose("TipToCT", ras_from_tip(tip), status=status, timestamp_s=tip.measured_s)


def ras_from_tip(tip: TipState) -> FloatArray:
    """(4, 4): from the tip's frame, z along the shaft from hub to tip, to the CT in RAS mm."""
    return rigid(rotation_along(RAS_FROM_LPS @ tip.shaft_ct), RAS_FROM_LPS @ tip.tip_ct_mm)


def plan_messages(plan: Plan | None, now_s: float) -> tuple[tuple[bytes, str], ...]:
    """TRAJ and POINT of a plan, packed, with their device names; RAS mm. Without a plan both are
    empty."""
    paths: list[Trajectory] = []
    points: list[NamedPoint] = []
    if plan is not None:
        for number, path in enumerate(plan.paths, start=1):
            entry, target = _ras(path.entry_ct_mm), _ras(path.target_ct_mm)
            # The first keeps the bare names, which whoever follows along looks for.
            mark = "" if number == 1 else f" {number}"
            paths.append(Trajectory(_fitting(plan.name, mark), entry, target, rgba=PLAN_RGBA))
            points.append(NamedPoint(f"Entry{mark}", entry, "Plan", PLAN_RGBA))
            points.append(NamedPoint(f"Target{mark}", target, "Plan", PLAN_RGBA))
    return (
        (pack_trajectories("PlanPath", paths, now_s), "PlanPath"),
        (pack_points("PlanPoints", points, now_s), "PlanPoints"),
    )


def _status(state: NavigationState) -> bytes:
    """Says besides when the data are not live: whoever follows along cannot see it."""
    valid = state.guidance is not None
    reason = state.refusal.reason if state.refusal is not None else "no reason known"
    words = "guidance valid" if valid else f"no guidance: {reason}"
    if state.source not in (None, Source.LIVE):
        words += f" ({state.source} data)"
    return pack_status("Guidance", OK if valid else NOT_READY, words, state.now_s)


def _ras(point_lps_mm: FloatArray) -> tuple[float, float, float]:
    x, y, z = point_lps_mm.tolist()
    return -x, -y, z


def _fitting(text: str, mark: str) -> str:
    """As much of a name as the wire carries, with its mark whole."""
    room = NAME_BYTES - len(mark.encode())
    return text.replace("\0", " ").encode()[:room].decode(errors="ignore") + mark
