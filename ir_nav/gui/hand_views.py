"""Where the CT is moved by hand: over the live ultrasound, over the fluoro image, or in its slices
under what is known of the patient."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from PyQt6.QtWidgets import QWidget

from ir_nav.geometry import FloatArray, rigid_inverse, unit
from ir_nav.gui.desk import Desk
from ir_nav.gui.fluoro_hand import FluoroHand, Shone
from ir_nav.gui.hand_view import Blend, HandView
from ir_nav.gui.live_fusion import Fused, LiveFusion
from ir_nav.gui.pages.base import Pace
from ir_nav.gui.patient_layer import Patient, PatientLayer
from ir_nav.gui.slice_hand import SliceHand
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.registration import Registration
from ir_nav.session.errors import SessionError
from ir_nav.session.held_view import HeldView
from ir_nav.session.patient_points import NO_POINTS, patient_points
from ir_nav.session.state import NavigationState, UltrasoundState

# An image younger than this is live; of an older one the age is told.
LIVE_S = 1.0
# Tracks of seconds cost some milliseconds to put together.
POINTS_S = 0.1
# What arrows mean while no image lies anywhere: as in an axial slice.
AXIAL = np.eye(3)
NOTHING = (
    "Nothing of the patient is seen in the slices yet: touch fiducials or swipe with the stylus, "
    "or hold the probe on."
)

Moved = Callable[[FloatArray, FloatArray, object], None]
Turned = Callable[[FloatArray, float, int, object], None]


class HandIn(StrEnum):
    """Which view the hand works in."""

    ULTRASOUND = "Ultrasound"
    FLUORO = "Fluoro"
    SLICES = "Slices"


class HandViews:
    """moved(axes, shift_mm, gesture), turned(axes, angle_deg, axis, gesture): what a hand asks
    for, in whichever view; axes (3, 3) as columns: the view's right, down and through it, in the
    axes of the CT as it was registered. prepare: works out what X-rays meet in the CT at hand."""

    def __init__(
        self,
        desk: Desk,
        tools: SliceTools,
        prepare: Callable[[], None],
        moved: Moved,
        turned: Turned,
    ) -> None:
        self._desk, self._tools, self._prepare = desk, tools, prepare
        self._nudging = desk.session.nudging
        self._held = HeldView(desk.session.fluoro, lambda: desk.session.connection.streams)
        self.mode = HandIn.ULTRASOUND
        self.fusion, self.fluoro = LiveFusion(), FluoroHand()
        self.layer = PatientLayer()
        self._hand = SliceHand(tools.views, moved, turned, lambda: self._nudging.nudge.pivot_ct_mm)
        tools.add_layer(self.layer)
        for view, axes in (
            (self.fusion, self._ultrasound_axes),
            (self.fluoro, self._fluoro_axes),
        ):
            self._connect(view, axes, moved, turned)
        self._ultrasound: UltrasoundState | None = None
        self._now_s = 0.0
        self._in_slices = False
        self._points = NO_POINTS
        self._pointed = Pace(POINTS_S)
        self._from: Registration | None = None

    def _connect(
        self, view: HandView, axes: Callable[[], FloatArray], moved: Moved, turned: Turned
    ) -> None:
        view.moved.connect(lambda shift_mm, gesture: moved(axes(), shift_mm, gesture))
        view.turned.connect(lambda angle, axis, gesture: turned(axes(), angle, axis, gesture))

    @property
    def beside(self) -> QWidget | None:
        """What stands beside the slices; None for the 3D view."""
        if self.mode is HandIn.FLUORO:
            return self.fluoro
        live = self._ultrasound is not None or self.mode is HandIn.ULTRASOUND
        return self.fusion if live else None

    @property
    def _source(self) -> str:
        """Where the CT in the pictures comes from."""
        if self._nudging.nudge.moved:
            return "moved by hand, not in use"
        rough = self._nudging.start is not None and not self._nudging.guides
        return "start from a file, not in use" if rough else ""

    @property
    def in_slices(self) -> bool:
        """Whether the slices show the patient where the CT was moved to."""
        return self._in_slices

    @property
    def lack(self) -> str:
        """What is missing in the slices, in words, or ""; the other views say it themselves."""
        seen = not self._points.empty or self._placed_ultrasound() is not None
        return NOTHING if self._in_slices and not seen else ""

    def take(self, taken: bool) -> None:
        """Give the slices' mouse and keys to the hand where it works in them, and back."""
        wanted = taken and self.mode is HandIn.SLICES
        if wanted and self._tools.active is not self._hand:
            self._tools.use(self._hand)
        if wanted == self._in_slices:
            return
        self._in_slices = wanted
        if wanted:
            # The size that was fitted to the body would change with the angle.
            for view in self._tools.views:
                view.set_field(view.field_mm)
            self._from = self._nudging.start
            self._tools.views[0].setFocus()
            return
        self._hand.follow(np.eye(4))
        self.layer.shown = None
        self._tools.use(None)

    def blend(self, part: float, how: Blend) -> None:
        """How much of the CT is seen, 0 to 1, and how."""
        for one in (self.fusion, self.fluoro, self.layer):
            one.part, one.blend = part, how
        self.fusion.update()
        self.fluoro.update()
        self._tools.repaint()

    def show(self, state: NavigationState, window_hu: float, level_hu: float) -> None:
        """Draw the newest images with the CT where it was moved to; at every tick."""
        self._ultrasound, self._now_s = state.ultrasound, state.now_s
        self.fusion.look = (window_hu, level_hu)
        if self._in_slices and self._pointed.due(state.now_s):
            self._points = patient_points(self._desk.session, state.now_s)
        self.draw()

    def draw(self) -> None:
        """Draw the CT where it was moved to now."""
        matrix = self._nudging.ct_from_reference
        self.fusion.movable = self.fluoro.movable = matrix is not None
        self._fuse(matrix)
        if self.mode is HandIn.FLUORO:
            self._shine(matrix)
        if self._in_slices:
            self._cut(matrix)

    def middle_ct_mm(self) -> FloatArray | None:
        """(3,) what lies in the middle of the view that the hand works in, or None."""
        if self.mode is HandIn.FLUORO:
            return self.fluoro.middle_ct_mm
        if self.mode is HandIn.SLICES:
            views = self._tools.views
            return next((one for one in views if one.hasFocus()), views[0]).centre_ct_mm
        ct_from_view = self.fusion.ct_from_view
        if ct_from_view is None:
            return None
        return np.asarray((ct_from_view @ np.array([*self.fusion.middle_px, 0.0, 1.0]))[:3])

    # --- ultrasound -------------------------------------------------------------------------

    def _fuse(self, matrix: FloatArray | None) -> None:
        self.fusion.set_title("Ultrasound and CT", self._source)
        volume, live = self._desk.session.case.volume, self._ultrasound
        if live is None or volume is None or matrix is None:
            self.fusion.show_fused(None)
            return
        pivot = self._nudging.nudge.pivot_ct_mm
        self.fusion.show_fused(Fused(live, matrix, volume, pivot))

    def _ultrasound_axes(self) -> FloatArray:
        start, live = self._nudging.start, self._placed_ultrasound()
        if start is None or live is None or live.reference_from_image is None:
            return AXIAL
        ct_from_image = start.ct_from_reference.matrix @ live.reference_from_image
        right, down = unit(ct_from_image[:3, 0]), ct_from_image[:3, 1]
        down = unit(down - right * float(right @ down))
        return np.column_stack([right, down, np.cross(right, down)])

    def _placed_ultrasound(self) -> UltrasoundState | None:
        live = self._ultrasound
        return None if live is None or live.reference_from_image is None else live

    # --- fluoro -----------------------------------------------------------------------------

    def _shine(self, matrix: FloatArray | None) -> None:
        self._prepare()
        try:
            view = self._held.view()
        except SessionError as error:
            self.fluoro.set_title("Fluoro and CT", "")
            self.fluoro.show_shone(None, f"{str(error)[:1].upper()}{str(error)[1:]}")
            return
        if matrix is None:
            self.fluoro.show_shone(None, "No CT over the fluoro image: register first")
            return
        prepared = self._desk.session.fluoro.prepared
        carm_from_ct = view.frame.view.carm_from_world @ rigid_inverse(matrix)
        attenuation = None if prepared is None else prepared.attenuations[-1]
        age = age_words(self._now_s - view.time_s)
        self.fluoro.set_title("Fluoro and CT", " · ".join(filter(None, (age, self._source))))
        pivot = self._nudging.nudge.pivot_ct_mm
        self.fluoro.show_shone(Shone(view, carm_from_ct, attenuation, pivot))

    def _fluoro_axes(self) -> FloatArray:
        start, shone = self._nudging.start, self.fluoro.shone
        if start is None or shone is None:
            return AXIAL
        carm_from_reference = shone.view.frame.view.carm_from_world
        ct_from_carm = start.ct_from_reference.matrix @ rigid_inverse(carm_from_reference)
        return np.asarray(ct_from_carm[:3, :3] @ shone.carm_from_axes)

    # --- slices -----------------------------------------------------------------------------

    def _cut(self, matrix: FloatArray | None) -> None:
        nudge, start = self._nudging.nudge, self._nudging.start
        if start is not self._from:
            self._from = start
            self._hand.settle()
        self._hand.follow(nudge.patient_from_ct)
        self.layer.shown = None
        if matrix is not None:
            live = self._placed_ultrasound()
            self.layer.shown = Patient(matrix, self._points, live, nudge.pivot_ct_mm)
        self._tools.repaint()


def age_words(age_s: float) -> str:
    """Of an image, for its title."""
    if age_s < LIVE_S:
        return "live"
    return f"{age_s:.0f} s old" if age_s < 60.0 else f"{age_s / 60.0:.0f} min old"
