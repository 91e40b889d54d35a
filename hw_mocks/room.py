"""The room's devices on the wire, and the room file that names them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Self

import numpy as np

from devices.contract import PoseStatus, TextSample
from devices.openigtlink import OpenIGTLinkServer
from hw_mocks.bmode import BModeRenderer, ConvexGeometry
from hw_mocks.intensifier import Intensifier, write_grid
from hw_mocks.operator import RequestError
from hw_mocks.parameters import MARKER_ARM_MM
from hw_mocks.patient import Patient
from hw_mocks.site import CARM
from hw_mocks.tracker_wire import TOOLS, OpenIGTLinkTracker, TrackerWire, openigtlink_lines
from hw_mocks.truth import TruthFile
from hw_mocks.world import Scene, World
from hw_mocks.xray import XRayRenderer, XRaySettings
from ir_nav.geometry import FloatArray, rigid_inverse, rotation_from_vector

PROBE_FROM_FACE = np.array(
    [[0.0, 0.6, 0.8, 12.0], [0.0, 0.8, -0.6, 95.0], [-1.0, 0.0, 0.0, 4.0], [0.0, 0.0, 0.0, 1.0]]
)
ULTRASOUND = ConvexGeometry()
SERVERS = ("Ultrasound", "Fluoro", "Operator")


class SimulatedRoom:
    """Serves one world until closed. base_port: first of four successive ports, 0 for free
    ones; the tracker's is the first. tracker: how it speaks, None for OpenIGTLink."""

    def __init__(
        self,
        patient: Patient,
        world: World,
        truth: TruthFile,
        base_port: int,
        tracker: TrackerWire | None = None,
    ) -> None:
        self.world = world
        self._patient = patient
        self._truth = truth
        self._stopping = Flag()
        self._stack = ExitStack()
        self._noise = np.random.default_rng(world.parameters.seed + 1)
        self._dropout_until_s = 0.0
        self._tracker = OpenIGTLinkTracker(base_port) if tracker is None else tracker
        self._servers = {
            name: OpenIGTLinkServer(
                name,
                0 if base_port == 0 else base_port + offset,
                on_message=self._asked if name == "Operator" else None,
                keepalive_s=0.4 if name == "Operator" else None,
            )
            for offset, name in enumerate(SERVERS, start=1)
        }
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        self._stack.enter_context(self._tracker)
        for server in self._servers.values():
            self._stack.enter_context(server)
        self.world.step(time.time(), 0.0)
        rates = self.world.parameters
        for job, rate_hz in (
            (self._track, rates.tracker_hz),
            (_Scanner(self).frame, rates.ultrasound_hz),
            (_CArm(self).frame, rates.fluoro_hz),
        ):
            thread = Thread(target=self._repeat, args=(job, rate_hz), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self._stack.close()
        self._truth.close()

    @property
    def ports(self) -> dict[str, int]:
        return {name: server.port for name, server in self._servers.items()}

    def announce(self, text: str) -> None:
        """What the operator says, heard by all."""
        self._servers["Operator"].send_text("Operator", text)

    def server(self, name: str) -> OpenIGTLinkServer:
        return self._servers[name]

    def _asked(self, sample: object) -> None:
        if not isinstance(sample, TextSample):
            return
        try:
            self.world.request(sample.text, time.time())
        except RequestError as error:
            self.announce(f"cannot: {error}")

    def _repeat(self, job: Callable[[float], None], rate_hz: float) -> None:
        """Call `job(elapsed_s)` at a rate; a late call skips ahead instead of hurrying."""
        period_s = 1.0 / rate_hz
        due = last = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            job(now - last)
            last = now
            due = max(due + period_s, time.monotonic())
            self._stopping.wait(due - time.monotonic())

    def _track(self, elapsed_s: float) -> None:
        scene = self.world.step(time.time(), elapsed_s)
        self._truth.instant(scene)
        delay_s = self.world.parameters.tracker_delay_s
        if delay_s > 0.0:
            time.sleep(delay_s)
        measured = []
        for name, rest_from_tool, status in self._poses(scene):
            matrix = self.world.tracker_from_rest @ rest_from_tool
            seen = status is PoseStatus.OK
            measured.append((name, self._measured(matrix) if seen else None, status))
        self._tracker.send(measured, scene.time_s)

    def _poses(self, scene: Scene) -> list[tuple[str, FloatArray, PoseStatus]]:
        world = self.world
        needle = world.needle.sensor_pose(scene.needle.matrix)
        stylus = world.stylus.sensor_pose(scene.stylus.matrix)
        seen = PoseStatus.OK
        # The needle goes last: what it is compared with has arrived before it.
        return [
            ("ReferenceToTracker", scene.rest_from_reference, seen),
            ("ProbeToTracker", scene.rest_from_probe, seen),
            ("StylusToTracker", stylus, seen),
            ("NeedleToTracker", needle, self._needle_status(scene)),
        ]

    def _needle_status(self, scene: Scene) -> PoseStatus:
        parameters = self.world.parameters
        chance = parameters.dropouts_per_min / 60.0 / parameters.tracker_hz
        if self._noise.random() < chance:
            self._dropout_until_s = scene.time_s + self._noise.uniform(0.1, 0.4)
        hidden = scene.needle_covered or scene.time_s < self._dropout_until_s
        return PoseStatus.MISSING if hidden else PoseStatus.OK

    def _measured(self, matrix: FloatArray) -> FloatArray:
        """A pose with the tracker's noise."""
        sigma = self.world.parameters.tracker_noise_mm / np.sqrt(3.0)
        measured = matrix.copy()
        turn = self._noise.normal(0.0, sigma / MARKER_ARM_MM, 3)
        measured[:3, :3] = matrix[:3, :3] @ rotation_from_vector(turn)
        measured[:3, 3] += self._noise.normal(0.0, sigma, 3)
        return measured

    def write_room_file(self, path: Path) -> None:
        """Everything the console is told, as any installation would; with a picture of the bead
        grid beside it where the detector distorts."""
        path.parent.mkdir(parents=True, exist_ok=True)
        intensifier = _intensifier(self.world)
        if intensifier.bends:
            write_grid(path.parent, CARM, intensifier, self.world.parameters.seed)
        part = path.with_name(path.name + ".part")
        tracker = self._tracker.room_lines(path.parent)
        text = room_toml(tracker, self.ports, self._patient, self.world)
        part.write_text(text, encoding="utf-8")
        part.replace(path)


class _Scanner:
    """The ultrasound machine."""

    def __init__(self, room: SimulatedRoom) -> None:
        self._room = room
        self._renderer = BModeRenderer(room.world.anatomy, ULTRASOUND, room.world.parameters.seed)
        self._probe_from_image = PROBE_FROM_FACE @ ULTRASOUND.image_mm_from_px

    def frame(self, elapsed_s: float) -> None:
        scene = self._room.world.scene
        rest_from_image = scene.rest_from_probe @ self._probe_from_image
        pixels = self._renderer.render(rest_from_image, scene.motion, scene.needle_shape)
        self._room.server("Ultrasound").send_image(
            "Ultrasound", pixels, np.eye(4), timestamp_s=scene.time_s
        )


class _CArm:
    """The C-arm: says with each frame where it stands, and has no X-rays while it turns."""

    def __init__(self, room: SimulatedRoom) -> None:
        self._room = room
        world = room.world
        settings = XRaySettings(intensifier=_intensifier(world))
        self._renderer = XRayRenderer(world.anatomy, CARM, world.parameters.seed, settings)

    def frame(self, elapsed_s: float) -> None:
        world, server = self._room.world, self._room.server("Fluoro")
        if world.operator.carm_turns:
            return
        scene, carm_from_rest = world.scene, world.carm_from_rest
        pixels = self._renderer.render(carm_from_rest, scene.motion, scene.needle_shape)
        tracker_from_carm = world.tracker_from_rest @ rigid_inverse(carm_from_rest)
        server.send_pose("CArmToTracker", tracker_from_carm, timestamp_s=scene.time_s)
        server.send_image("Fluoro", pixels, np.eye(4), timestamp_s=scene.time_s)


def _intensifier(world: World) -> Intensifier:
    return Intensifier(world.parameters.pincushion, world.parameters.s_turn)


def room_toml(tracker: list[str], ports: dict[str, int], patient: Patient, world: World) -> str:
    """The room file's text. tracker: the lines of its device."""
    probe_from_image = PROBE_FROM_FACE @ ULTRASOUND.image_mm_from_px
    lines = ["format = 1", 'name = "Simulated room"', 'source = "simulated"', *tracker]
    for name in SERVERS[:2]:
        lines += openigtlink_lines(name, ports[name])
    for role in TOOLS:
        lines += [
            "",
            "[[tools]]",
            f'role = "{role.lower()}"',
            f'name = "{role}"',
            'device = "Tracker"',
            f'transform = "{role}ToTracker"',
        ]
    lines += [
        "",
        "[[tools]]",
        'role = "carm"',
        'name = "C-arm"',
        'device = "Fluoro"',
        'transform = "CArmToTracker"',
        "",
        "[ultrasound]",
        'device = "Ultrasound"',
        'image = "Ultrasound"',
        f"depth_mm = {ULTRASOUND.depth_mm}",
        f"probe_from_image = {_numbers(probe_from_image)}",
        "",
        "[fluoro]",
        'device = "Fluoro"',
        'image = "Fluoro"',
        f"sid_mm = {CARM.sid_mm}",
        f"pixel_mm = {list(CARM.pixel_mm)}",
        f"size_px = {list(CARM.size_px)}",
        f"principal_px = {list(CARM.principal_px)}",
        "",
        "[operator]",
        'host = "127.0.0.1"',
        f"port = {ports['Operator']}",
        "",
        "[case]",
        f"ct = {json.dumps(str(patient.ct))}",
        f"labels = {json.dumps(str(patient.labels))}",
    ]
    if patient.names_csv is not None:
        lines.append(f"label_names = {json.dumps(str(patient.names_csv))}")
    for index, point in enumerate(patient.fiducials_mm, start=1):
        lines += ["", "[[case.fiducials]]", f'name = "{index}"', f"ct_mm = {_numbers(point)}"]
    return "\n".join(lines) + "\n"


def _numbers(array: FloatArray) -> str:
    return json.dumps(np.asarray(array, dtype=np.float64).round(9).tolist())
