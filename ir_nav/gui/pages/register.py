"""Register: touch the fiducials, see what the fit predicts at the target, accept."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QStackedWidget, QWidget

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.carm_views_card import CArmViewsCard
from ir_nav.gui.desk import Desk
from ir_nav.gui.fit_card import FitCard, Offer
from ir_nav.gui.fluoro_card import FluoroCard
from ir_nav.gui.forms import button
from ir_nav.gui.landmarks_card import LandmarksCard, mm_words
from ir_nav.gui.manual_card import ManualCard
from ir_nav.gui.pages.base import Pace, Page, gap_margins
from ir_nav.gui.quality_panel import QualityPanel
from ir_nav.gui.registrations_card import CheckCard, RegistrationsCard
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.side_sections import Folded, Section, SideSections
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.gui.surface_card import SurfaceCard
from ir_nav.gui.swipe_layer import SwipeLayer
from ir_nav.gui.tre_layer import TreLayer
from ir_nav.gui.ultrasound_card import UltrasoundCard
from ir_nav.imaging import StandardView
from ir_nav.registration import Registration
from ir_nav.session.state import NavigationState

NOTES_S = 0.2
REMEMBERED = "register/section"


class RegisterPage(Page):
    """The fiducial to touch next in three planes and 3D; the list and the fit at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.axial = BrowsableSlice("CT axial", view=StandardView.AXIAL, field_mm=260.0)
        self.coronal = BrowsableSlice("CT coronal", view=StandardView.CORONAL, field_mm=260.0)
        self.sagittal = BrowsableSlice("CT sagittal", view=StandardView.SAGITTAL, field_mm=260.0)
        self.slices = (self.axial, self.coronal, self.sagittal)
        self.tools = SliceTools(self.slices)
        self.scene = SceneView(desk.scene)
        self.cell = QStackedWidget()
        self.fit = FitCard(desk)
        self._map_button = button(
            "error_map", "Error map", self.toggle_map, kind="small", checkable=True
        )
        self.landmarks = LandmarksCard(desk, self._look_at, self.fit.decline, self._map_button)
        self.surface = SurfaceCard(desk)
        self._check = CheckCard(desk)
        self._accepted = RegistrationsCard(desk)
        self._moved_slice = self.axial
        for view in self.slices:
            view.looked.connect(lambda _, view=view: setattr(self, "_moved_slice", view))
        self.ultrasound = UltrasoundCard(desk, lambda: self._moved_slice)
        self.quality = QualityPanel()
        self.fluoro = FluoroCard(desk)
        self.manual = ManualCard(desk, self.tools, self.fluoro.prepare)
        self._carm_views = CArmViewsCard(desk)
        self._map = TreLayer(self._registration, lambda: self.session.registering.rules)
        self.tools.add_layer(self._map)
        self.tools.add_layer(SwipeLayer(self._swiped))
        self._notes = Pace(NOTES_S)
        self._shown_index: int | None = None
        self._build()
        self.share_window(self.slices)

    def _build(self) -> None:
        # What stands in the place of the 3D view while a section is open, and what it offers.
        self._beside: dict[str, QWidget] = {
            "Ultrasound": self.ultrasound.view,
            "Fluoro": self.fluoro.fusion,
        }
        self._offers: dict[str, Offer] = {
            "Surface": self.surface.offer,
            "Ultrasound": self.ultrasound.offer,
            "Fluoro": self.fluoro.offer,
            "Manual": self.manual.offer,
        }
        self._captures: dict[str, Callable[[], None]] = {
            "Surface": self.surface.toggle,
            "Fluoro": self.fluoro.take,
        }
        self._undos: dict[str, Callable[[], None]] = {
            "Surface": self.surface.undo,
            "Manual": self.manual.undo,
            "Ultrasound": self.ultrasound.discard,
            "Fluoro": self.fluoro.remove,
            "History": self._accepted.undo,
        }
        by_hand = (self.manual.views.fusion, self.manual.views.fluoro)
        for view in (self.scene, *self._beside.values(), *by_hand):
            self.cell.addWidget(view)
        grid = QGridLayout()
        grid.setSpacing(theme.GAP)
        for index, view in enumerate((self.axial, self.cell, self.coronal, self.sagittal)):
            grid.addWidget(view, index // 2, index % 2)
        for index in range(2):
            grid.setColumnStretch(index, 1)
            grid.setRowStretch(index, 1)
        self.sections = SideSections(
            (
                Section(
                    "Landmarks",
                    (self.landmarks,),
                    self._landmarks_state,
                    fills=True,
                    short="Points",
                ),
                Section("Surface", (self.surface,), self.surface.state),
                Section(
                    "Ultrasound",
                    (self.ultrasound, self.quality),
                    self._ultrasound_state,
                    mood=lambda: "warn" if self._drifts else "",
                    short="US",
                ),
                Section(
                    "Fluoro",
                    (self.fluoro, Folded("Views along the path", self._carm_views)),
                    self.fluoro.summary,
                ),
                Section("Manual", (self.manual,), self.manual.state),
                Section(
                    "History",
                    (self._check, self._accepted),
                    self._history_state,
                    fills=True,
                    widest="✓ 0.0 mm",
                ),
            ),
            self.fit,
            self.desk.settings,
            REMEMBERED,
        )
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(grid, 1)
        page.addWidget(self.sections)
        self.side = self.sections
        leave_out = QShortcut(QKeySequence("X"), self)
        leave_out.activated.connect(self.landmarks.toggle)

    def show_state(self, state: NavigationState) -> None:
        section = self.sections.current
        self.fit.show_offer(self._offers.get(section, self.fit.landmarks))
        self.manual.views.take(section == "Manual")
        beside = self.manual.beside if section == "Manual" else self._beside.get(section)
        self.cell.setCurrentWidget(beside or self.scene)
        changed = self.follow_case(self.slices, self.scene)
        touching = self.session.registering.landmarks
        index = touching.next_index if touching.fiducials and not touching.any_order else 0
        if changed or index != self._shown_index:
            self._shown_index = index
            if index is not None:
                self._look_at(index)
        if section == "Ultrasound":
            self.ultrasound.show_image(state.ultrasound)
        if section == "Manual":
            self.manual.show_live(state, *self.axial.window_level_hu)
        if not self._notes.due(state.now_s):
            return
        if section == "Surface":
            self.surface.prepare()
        overlays = Overlays(
            target_ct_mm=self._target(),
            marks=self.landmarks.marks(),
            # By hand, the slices show both where the CT was moved to.
            stylus_ct_mm=None if self.manual.views.in_slices else state.stylus_tip_ct_mm,
            swiped_ct_mm=self._swiped(),
        )
        for view in (*self.slices, self.scene):
            view.show_overlays(overlays)
        self.landmarks.follow()
        self.surface.follow()
        self.manual.follow()
        self.ultrasound.follow()
        if section == "Fluoro":
            self.fluoro.follow(state.now_s)
            self._carm_views.follow()
        # Without a registration there is nothing to hold a frame against.
        self.quality.setVisible(self.session.registering.registration is not None)
        self.quality.show_quality(self.session.quality)
        self.fit.follow()
        self._accepted.follow()
        self.sections.show_states()

    def capture(self) -> None:
        """What Space and the pedal do in the section in sight: take a point."""
        self._captures.get(self.sections.current, self.landmarks.capture)()

    def undo(self) -> None:
        """Take back the last step of the section in sight."""
        self._undos.get(self.sections.current, self.landmarks.undo)()

    def accept(self) -> None:
        """Accept, or ask once more where the error is large."""
        self.fit.accept()

    def confirm(self) -> None:
        """Accept a registration that wants to be confirmed."""
        self.fit.confirm()

    def toggle_map(self) -> None:
        """Paint the predicted error over the slices, or no longer."""
        self._map.on = self._map_button.isChecked()
        self.tools.repaint()

    def _registration(self) -> Registration | None:
        return self.fit.registration

    def _swiped(self) -> FloatArray | None:
        return None if self.manual.views.in_slices else self.session.swiping.points_ct_mm()

    def _landmarks_state(self) -> str:
        touching = self.session.registering.landmarks
        if not touching.fiducials:
            return str(len(self.session.case.fiducials) or "")
        return f"{len(touching.matched)} of {len(touching.fiducials)}"

    @property
    def _drifts(self) -> bool:
        """Whether the live check warns, and no sweep is about to mend it."""
        return bool(self.session.quality.warning) and self.session.sweeping.sweep is None

    def _ultrasound_state(self) -> str:
        return "drifts" if self._drifts else self.ultrasound.state()

    def _history_state(self) -> str:
        tre_mm = self.session.registering.accepted_tre_mm
        if tre_mm is not None:
            return f"✓ {mm_words(tre_mm)}"
        return "expired" if self.session.registering.expired else ""

    def _target(self) -> FloatArray | None:
        plan = self.session.planning.plan
        return None if plan is None else plan.path.target_ct_mm

    def _look_at(self, index: int) -> None:
        fiducials = self.session.case.fiducials
        if 0 <= index < len(fiducials):
            for view in self.slices:
                view.fit_body(fiducials[index].ct_mm)
