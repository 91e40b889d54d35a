"""The simulated room's one world: patient, tools and C-arm under one clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from hw_mocks.anatomy import Anatomy, NeedleShape, TissueMotion
from hw_mocks.breath import Breath
from hw_mocks.operator import MOVE_PROBE, NEEDLE, STYLUS, Operator
from hw_mocks.parameters import RoomParameters
from hw_mocks.placement import Placement, Tool, odd_tool, wander
from hw_mocks.site import (
    Contact,
    Skin,
    acoustic_window,
    carm_from_rest,
    lay_out,
    reference_on_skin,
    slipped,
    tracker_from_rest,
)
from hw_mocks.skin import skin_mask
from ir_nav.geometry import (
    FloatArray,
    rigid,
    rigid_inverse,
    rotation_from_vector,
)

NEEDLE_LENGTH_MM = 170.0
STYLUS_LENGTH_MM = 140.0
NEEDLE_DIAMETER_MM = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Where everything is at one instant. Frame `rest`: the CT's at end-expiration, standing
    still in the room.

    needle, stylus: tips. rest_from_probe, rest_from_reference: sensors, (4, 4) mm.
    needle_tip_tissue_mm, needle_axis_tissue: tip (3,) against the tissue round the target.
    """

    time_s: float
    motion: TissueMotion
    level: float
    needle: Placement
    stylus: Placement
    rest_from_probe: FloatArray
    rest_from_reference: FloatArray
    needle_tip_tissue_mm: FloatArray
    needle_covered: bool

    @property
    def needle_shape(self) -> NeedleShape:
        hub = self.needle.tip_mm - NEEDLE_LENGTH_MM * self.needle.direction
        return NeedleShape(self.needle.tip_mm, hub, NEEDLE_DIAMETER_MM)


@dataclass(slots=True)
class World:
    """Moves on with `step`; `scene` may be read from any thread.

    probe_from_face: (4, 4) rigid; where the middle of the transducer's face is at the probe's
    sensor, x along the array, y down the beam.
    """

    anatomy: Anatomy
    parameters: RoomParameters
    focus_mm: FloatArray
    fiducials_mm: FloatArray
    probe_from_face: FloatArray
    announce: Callable[[str], None]
    operator: Operator = field(init=False)
    breath: Breath = field(init=False)
    needle: Tool = field(init=False)
    stylus: Tool = field(init=False)
    tracker_from_rest: FloatArray = field(init=False)
    rest_from_reference: FloatArray = field(init=False)
    _skin: Skin = field(init=False)
    _contact: Contact = field(init=False)
    _lock: Lock = field(init=False, default_factory=Lock)
    _scene: Scene | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(self.parameters.seed)
        self._skin = Skin(self.anatomy, skin_mask(self.anatomy))
        self.needle = odd_tool(generator, NEEDLE_LENGTH_MM)
        self.stylus = odd_tool(generator, STYLUS_LENGTH_MM)
        self.tracker_from_rest = tracker_from_rest(generator, self.focus_mm)
        self.rest_from_reference = reference_on_skin(self._skin, self.focus_mm)
        self.breath = Breath(self.parameters.breathing_mm)
        parameters = self.parameters
        slip = np.random.default_rng(parameters.seed + 17)
        touched = slipped(self._skin, self.fiducials_mm, parameters.skin_slip_mm, slip)
        site = lay_out(self._skin, touched, self.focus_mm)
        self.operator = Operator(site, parameters.pace, parameters.tremor_mm, self.announce)
        self._contact = acoustic_window(self._skin, self.focus_mm, None)

    @property
    def carm_from_rest(self) -> FloatArray:
        """(4, 4) mm, where the C-arm is now."""
        return carm_from_rest(self.focus_mm, self.operator.carm_orbit_deg)

    @property
    def scene(self) -> Scene:
        """The newest instant; never waits for a step."""
        with self._lock:
            assert self._scene is not None, "step the world first"
            return self._scene

    def request(self, text: str, now_s: float) -> None:
        """Hand a request to the operator; the probe goes where the needle's path is seen, or
        where it is asked to move to another window.

        Not for the thread that steps: looking for an acoustic window takes a moment. Raises
        RequestError.
        """
        before = self.operator.path
        wanted = self.operator.request(text, now_s)
        path = self.operator.path
        if path is not None and path is not before:
            self._contact = acoustic_window(self._skin, path[1], path[0] - path[1])
        elif wanted == MOVE_PROBE:
            beam = self._contact.beam
            self._contact = acoustic_window(self._skin, self.focus_mm, None, apart_from=beam)
            self.operator.announce("done: move probe")

    def step(self, now_s: float, elapsed_s: float) -> Scene:
        """Move on and return the new instant. now_s: Unix time."""
        self.breath.step(now_s, elapsed_s)
        self.operator.step(now_s, elapsed_s, self.breath)
        scene = self._compose(now_s)
        with self._lock:
            self._scene = scene
        return scene

    def tissue_shift(self, motion: TissueMotion) -> FloatArray:
        """Displacement (3,) of the tissue round the target, mm."""
        target = self.operator.path[1] if self.operator.path else self.focus_mm
        return self.anatomy.displacement(target, motion)

    def _compose(self, now_s: float) -> Scene:
        motion = self.breath.motion
        needle = self._carried(NEEDLE, motion, now_s)
        tip_tissue = needle.tip_mm - self.tissue_shift(motion)
        return Scene(
            time_s=now_s,
            motion=motion,
            level=self.breath.level,
            needle=needle,
            stylus=self._carried(STYLUS, motion, now_s),
            rest_from_probe=self._probe(motion),
            rest_from_reference=self._reference(motion),
            needle_tip_tissue_mm=tip_tissue,
            needle_covered=now_s < self.operator.covered_until_s,
        )

    def _carried(self, tool: str, motion: TissueMotion, now_s: float) -> Placement:
        """A tool with what the tissue and the hand add to its script."""
        placement = self.operator.at[tool]
        if not self.operator.follows[tool]:
            return placement
        tip = placement.tip_mm + self.anatomy.displacement(placement.tip_mm, motion)
        if tool == STYLUS:
            return Placement(tip, placement.direction, placement.roll_deg)
        tremor = self.operator.tremor_mm
        tip = tip + tremor * wander(now_s, 7)
        hub = placement.tip_mm - NEEDLE_LENGTH_MM * placement.direction + motion.skin_mm
        hub = hub + 2.0 * tremor * wander(now_s, 11)
        return Placement.at(tip, tip - hub, placement.roll_deg)

    def _reference(self, motion: TissueMotion) -> FloatArray:
        """The reference rides on the skin and tips a little with each breath."""
        tipped = rotation_from_vector(
            np.radians(0.4) * self.breath.level * np.array([1.0, 0.0, 0.0])
        )
        rotation = self.rest_from_reference[:3, :3] @ tipped
        if self.breath.amplitude_mm <= 0.0:
            rotation = self.rest_from_reference[:3, :3]
        return rigid(rotation, self.rest_from_reference[:3, 3] + motion.skin_mm)

    def _probe(self, motion: TissueMotion) -> FloatArray:
        """The probe rides on the skin; a sweep tilts it about its face."""
        contact = self._contact
        lateral = contact.lateral
        tilt = rotation_from_vector(lateral * np.radians(self.operator.probe_tilt_deg))
        down = tilt @ contact.beam
        rotation = np.column_stack([lateral, down, np.cross(lateral, down)])
        rest_from_face = rigid(rotation, contact.point_mm + motion.skin_mm)
        return np.asarray(rest_from_face @ rigid_inverse(self.probe_from_face))
