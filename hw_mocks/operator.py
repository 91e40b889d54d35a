"""The scripted operator: takes requests in words, moves the tools, says when done."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hw_mocks.acts import HUB_UP, Act, Course, Insertion, pivoting, spinning, touching
from hw_mocks.breath import Breath
from hw_mocks.placement import Placement
from ir_nav.geometry import FloatArray

NEEDLE, STYLUS, PROBE, CARM = "needle", "stylus", "probe", "carm"
MOVE_PROBE = "move probe"
MOST_ORBIT_DEG = 100.0
ORBIT_DEG_PER_S = 25.0
HOLD_LIMIT_S = 25.0
HOLD_S = 5.0


class RequestError(ValueError):
    """The operator does not understand a request."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """Where things are in the rest frame (CT at end-expiration), mm.

    fiducials_mm, inward (n, 3): landmarks and the direction into the skin there.
    """

    needle_tray: Placement
    stylus_tray: Placement
    divot_mm: FloatArray
    fiducials_mm: FloatArray
    inward: FloatArray


@dataclass(slots=True)
class _Running:
    act: Act
    elapsed_s: float = 0.0
    begun: bool = False


@dataclass(slots=True)
class Operator:
    """Carries out acts one after another. announce(text) tells the room."""

    site: Site
    pace: float
    tremor_mm: float
    announce: Callable[[str], None]
    at: dict[str, Placement] = field(init=False)
    follows: dict[str, bool] = field(init=False)
    probe_tilt_deg: float = field(init=False, default=0.0)
    carm_orbit_deg: float = field(init=False, default=0.0)
    covered_until_s: float = field(init=False, default=0.0)
    path: tuple[FloatArray, FloatArray] | None = field(init=False, default=None)
    _queue: deque[Act] = field(init=False, default_factory=deque)
    _running: _Running | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.at = {NEEDLE: self.site.needle_tray, STYLUS: self.site.stylus_tray}
        self.follows = {NEEDLE: False, STYLUS: False}

    def request(self, text: str, now_s: float) -> str:
        """Take a request: JSON with "do" and its details; what is to be done. RequestError when
        not understood."""
        try:
            request = json.loads(text)
            wanted = str(request["do"])
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"not a request: {error}") from None
        acts = {
            "pivot needle": lambda: self._pivot(NEEDLE),
            "spin needle": self._spin,
            "pivot stylus": lambda: self._pivot(STYLUS),
            "touch fiducials": self._touch,
            "sweep": self._sweep,
            "hold breath": self._hold_breath,
            "turn C-arm": lambda: self._orbit(request),
            "insert": lambda: self._insert(request),
            "withdraw": self._withdraw,
            "rest": self._rest,
        }
        if wanted == MOVE_PROBE:
            return wanted  # the world finds the place
        if wanted == "cover needle":
            self.covered_until_s = now_s + float(request.get("seconds", 2.0))
            return wanted
        if wanted not in acts:
            can = ", ".join(sorted([*acts, "cover needle", MOVE_PROBE]))
            raise RequestError(f"cannot '{wanted}'; can: {can}")
        if wanted == "rest":
            self._queue.clear()
            self._running = None
        self._queue.extend(acts[wanted]())
        return wanted

    @property
    def carm_turns(self) -> bool:
        """Whether the C-arm is on its way: no X-rays until it stands."""
        return self._running is not None and self._running.act.tool == CARM

    def step(self, now_s: float, elapsed_s: float, breath: Breath) -> None:
        """Move on by `elapsed_s`."""
        if self._running is None and self._queue:
            self._running = _Running(self._queue.popleft())
        running = self._running
        if running is None:
            return
        act = running.act
        if act.breath_hold and not running.begun and not _holds(breath, now_s):
            return
        if not running.begun:
            running.begun = True
            if act.starts:
                self.announce(act.starts)
        running.elapsed_s += elapsed_s * self.pace
        self._move(act, min(running.elapsed_s, act.duration_s))
        if running.elapsed_s >= act.duration_s:
            self._running = None
            if act.breath_hold and not (self._queue and self._queue[0].breath_hold):
                breath.release()
            if act.says:
                self.announce(act.says)

    def _move(self, act: Act, elapsed_s: float) -> None:
        placement = act.place(elapsed_s)
        if act.tool == PROBE:
            self.probe_tilt_deg = placement.roll_deg
            return
        if act.tool == CARM:
            self.carm_orbit_deg = placement.roll_deg
            return
        self.at[act.tool] = placement
        self.follows[act.tool] = act.follows_tissue

    def _pivot(self, tool: str) -> list[Act]:
        start = pivoting(self.site.divot_mm, 8.0)(0.0)
        return [
            self._travel(tool, start),
            Act(
                tool,
                8.0,
                pivoting(self.site.divot_mm, 8.0),
                starts=f"pivoting {tool}",
                says=f"done: pivot {tool}",
            ),
            self._back(tool, pivoting(self.site.divot_mm, 8.0)(8.0)),
        ]

    def _spin(self) -> list[Act]:
        place = spinning(self.site.divot_mm, 5.0)
        return [
            self._travel(NEEDLE, place(0.0)),
            Act(NEEDLE, 5.0, place, starts="spinning needle", says="done: spin needle"),
            self._back(NEEDLE, place(5.0)),
        ]

    def _touch(self) -> list[Act]:
        tray = self.site.stylus_tray
        course = touching(tray, self.site.fiducials_mm, self.site.inward, 1.7, 0.8)
        return [
            Act(
                STYLUS,
                course.duration_s,
                course,
                breath_hold=True,
                follows_tissue=True,
                starts="touching fiducials",
                says="done: touch fiducials",
            )
        ]

    def _sweep(self) -> list[Act]:
        def tilt(elapsed_s: float) -> Placement:
            angle = 22.0 * np.sin(2.0 * np.pi * elapsed_s / 6.0)
            return Placement.at(np.zeros(3), HUB_UP, angle)

        return [
            Act(PROBE, 6.0, tilt, breath_hold=True, starts="sweeping", says="done: sweep"),
        ]

    def _hold_breath(self) -> list[Act]:
        def still(_elapsed_s: float) -> Placement:
            return Placement.at(np.zeros(3), HUB_UP, self.probe_tilt_deg)

        return [
            Act(
                PROBE,
                HOLD_S,
                still,
                breath_hold=True,
                starts="breath held",
                says="done: hold breath",
            )
        ]

    def _orbit(self, request: dict[str, object]) -> list[Act]:
        orbit = request.get("orbit_deg")
        if not isinstance(orbit, int | float) or not abs(orbit) <= MOST_ORBIT_DEG:
            raise RequestError(f"turn C-arm needs orbit_deg: within {MOST_ORBIT_DEG:g} degrees")
        start, end = (
            Placement.at(np.zeros(3), HUB_UP, angle)
            for angle in (self.carm_orbit_deg, float(orbit))
        )
        duration_s = max(abs(float(orbit) - self.carm_orbit_deg) / ORBIT_DEG_PER_S, 0.5)
        course = Course(start, ((duration_s, end),))
        return [Act(CARM, duration_s, course, starts="turning C-arm", says="done: turn C-arm")]

    def _insert(self, request: dict[str, object]) -> list[Act]:
        entry, target = (_point(request, key) for key in ("entry_ct_mm", "target_ct_mm"))
        miss = np.array(request.get("miss_mm", (0.9, -0.6, 0.7)), dtype=np.float64)
        if miss.shape != (3,):
            raise RequestError("miss_mm needs three numbers")
        self.path = (entry, target)
        key = Insertion.along(entry, target, miss)
        ready = Course(
            self.at[NEEDLE], ((2.5, key.approach), (1.5, key.at_skin), (1.5, key.at_skin))
        )
        forward = Course(key.at_skin, ((2.0, key.aligned), (5.0, key.astray), (1.5, key.astray)))
        rest = Course(key.astray, ((3.0, key.astray),))
        correct = Course(
            key.astray, ((2.5, key.drawn_back), (6.0, key.on_target), (3.5, key.on_target))
        )

        def act(course: Course, **more: object) -> Act:
            return Act(NEEDLE, course.duration_s, course, follows_tissue=True, **more)  # type: ignore[arg-type]

        return [
            act(ready, starts="inserting"),
            act(forward, breath_hold=True, says="off course"),
            act(rest),
            act(correct, breath_hold=True, says="target reached"),
        ]

    def _withdraw(self) -> list[Act]:
        here = self.at[NEEDLE]
        out = Placement.at(here.tip_mm - 120.0 * here.direction, here.direction)
        course = Course(here, ((2.5, out),))
        return [
            Act(NEEDLE, 2.5, course, follows_tissue=True, starts="withdrawing"),
            Act(
                NEEDLE,
                1.5,
                Course(out, ((1.5, self.site.needle_tray),)),
                says="done: withdraw",
            ),
        ]

    def _rest(self) -> list[Act]:
        trays = {NEEDLE: self.site.needle_tray, STYLUS: self.site.stylus_tray}
        return [
            Act(tool, 1.0, Course(self.at[tool], ((1.0, tray),))) for tool, tray in trays.items()
        ]

    def _travel(self, tool: str, there: Placement) -> Act:
        tray = self.site.needle_tray if tool == NEEDLE else self.site.stylus_tray
        return Act(tool, 1.0, Course(tray, ((1.0, there),)))

    def _back(self, tool: str, here: Placement) -> Act:
        tray = self.site.needle_tray if tool == NEEDLE else self.site.stylus_tray
        return Act(tool, 1.0, Course(here, ((1.0, tray),)))


def _point(request: dict[str, object], key: str) -> FloatArray:
    try:
        point = np.array(request[key], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        raise RequestError(f"insert needs {key}: three numbers in mm") from None
    if point.shape != (3,) or not np.isfinite(point).all():
        raise RequestError(f"insert needs {key}: three numbers in mm")
    return point


def _holds(breath: Breath, now_s: float) -> bool:
    """Whether the patient holds the breath; asks for it where not."""
    if breath.amplitude_mm <= 0.0 or breath.held:
        return True
    if breath.hold_until_s <= now_s:
        breath.hold(now_s + HOLD_LIMIT_S)
    return False
