"""Guide: the needle against its plan, live."""

from __future__ import annotations

from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.bullseye import Bullseye, BullseyeState
from ir_nav.gui.desk import Desk
from ir_nav.gui.fluoro_view import FluoroView
from ir_nav.gui.instruction import InstructionLine, instruction
from ir_nav.gui.needle_planes import NeedlePlanes
from ir_nav.gui.number_strip import NumberStrip, figures
from ir_nav.gui.pages.base import Pace, Page, gap_margins
from ir_nav.gui.panels import BreathingPanel, BudgetPanel, LogPanel
from ir_nav.gui.picture import Picture
from ir_nav.gui.quality_panel import QualityPanel
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.ultrasound_view import UltrasoundView
from ir_nav.planning import Plan, PlannedPath
from ir_nav.session.state import FluoroState, NavigationState, UltrasoundState

TOLERANCE_MM = 5.0
ANGLE_LIMIT_DEG = 5.0
NUMBERS_S = 0.1
NOTES_S = 0.25
BREATH_S = 1.0 / 15.0
KEYS = (("Mark", "M"), ("Freeze", "F"), ("Layout", "L"), ("Keys", "F1"))


class GuidePage(Page):
    """Bull's-eye and ultrasound large, numbers beneath, the other views at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.bullseye = Bullseye()
        self.ultrasound = UltrasoundView()
        self.along = SliceView("CT along the needle", "in plane", field_mm=170.0)
        self.across = SliceView("CT across the tip", "down the barrel", field_mm=170.0)
        self.axial = SliceView("CT axial", "at the tip", field_mm=240.0)
        self.fluoro = FluoroView()
        self.scene = SceneView(desk.scene, zoom=1.9)
        self.line = InstructionLine()
        self.strip = NumberStrip()
        self.breathing = BreathingPanel()
        self.budget = BudgetPanel()
        self.log = LogPanel(KEYS)
        self.quality = QualityPanel()
        self.quality.hide()
        self._slices = (self.along, self.across, self.axial)
        self._layouts: tuple[tuple[Picture, ...], ...] = (
            (self.along, self.axial, self.fluoro, self.scene),
            (self.along, self.across, self.axial, self.fluoro),
            (self.along, self.across, self.fluoro, self.scene),
        )
        self._layout_index = 0
        self._frozen: NavigationState | None = None
        self._numbers, self._notes, self._breath = Pace(NUMBERS_S), Pace(NOTES_S), Pace(BREATH_S)
        self._was_valid: bool | None = None
        self._plan: Plan | None = None
        self._path: PlannedPath | None = None
        self._told_mm: float | None = None
        self._planes = NeedlePlanes()
        self._build()
        self._arrange()

    def _build(self) -> None:
        live = QHBoxLayout()
        live.setSpacing(theme.GAP)
        live.addWidget(self.bullseye, 48)
        live.addWidget(self.ultrasound, 52)
        notes = QHBoxLayout()
        notes.setSpacing(theme.GAP)
        for panel in (self.breathing, self.budget, self.quality, self.log):
            notes.addWidget(panel, 1)
        main = QVBoxLayout()
        main.setSpacing(theme.GAP)
        main.addLayout(live, 64)
        main.addWidget(self.line)
        main.addWidget(self.strip, 20)
        main.addLayout(notes, 16)
        holder = QWidget()
        self._side = QGridLayout(holder)
        self._side.setContentsMargins(0, 0, 0, 0)
        self._side.setSpacing(theme.GAP)
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(main, 74)
        page.addWidget(holder, 26)

    def next_layout(self) -> None:
        """Put other views at the right (key L)."""
        self._layout_index = (self._layout_index + 1) % len(self._layouts)
        self._arrange()

    def toggle_freeze(self, state: NavigationState | None) -> None:
        """Hold the live images still, or let them run again (key F)."""
        self._frozen = state if self._frozen is None else None

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    @property
    def live_views(self) -> tuple[Picture, ...]:
        """The views on screen now."""
        return (self.bullseye, self.ultrasound, *self._layouts[self._layout_index])

    def show_state(self, state: NavigationState) -> None:
        self.follow_case(self._slices, self.scene)
        plan = self.session.planning.plan
        if plan is not self._plan:
            # A plan builds its path anew each time it is asked.
            self._plan = plan
            self._path = None if self._plan is None else self._plan.path
        path = self._path
        error_mm = None if state.budget is None else state.budget.radius_95_mm
        overlays = Overlays(
            target_ct_mm=None if path is None else path.target_ct_mm,
            entry_ct_mm=None if path is None else path.entry_ct_mm,
            tip=state.tip,
            error_mm=error_mm,
            tolerance_mm=TOLERANCE_MM,
        )
        self._show_numbers(state)
        self.bullseye.show_guidance(
            BullseyeState(
                path, state.guidance, error_mm, TOLERANCE_MM, told_to_target_mm=self._told_mm
            )
        )
        if path is not None:
            self._planes.look(path, state.tip, self.along, self.across, self.axial)
        for view in (*self._slices, self.scene):
            if view.isVisible():
                view.show_overlays(overlays)
        self._show_live(state, overlays)
        self._show_notes(state)

    def _show_live(self, state: NavigationState, overlays: Overlays) -> None:
        shown = state if self._frozen is None else self._frozen
        if shown is not state:
            overlays = Overlays(
                target_ct_mm=overlays.target_ct_mm,
                entry_ct_mm=overlays.entry_ct_mm,
                tip=shown.tip,
                tolerance_mm=TOLERANCE_MM,
            )
        target = "Target"
        plan = self.session.planning.plan
        if plan is not None and plan.structure:
            target = plan.structure
        self.ultrasound.show_frame(shown.ultrasound, overlays, target)
        self.fluoro.show_frame(shown.fluoro, overlays)

    def _show_numbers(self, state: NavigationState) -> None:
        """Numbers, instruction and depth are of one instant: the eye adds them up."""
        changed = (state.guidance is not None) != self._was_valid
        self._was_valid = state.guidance is not None
        if not self._numbers.due(state.now_s) and not changed:
            return
        self.strip.show_figures(figures(state, TOLERANCE_MM, ANGLE_LIMIT_DEG))
        self.line.show_instruction(instruction(state, TOLERANCE_MM, ANGLE_LIMIT_DEG))
        self._told_mm = None if state.guidance is None else state.guidance.to_target_mm

    def _show_notes(self, state: NavigationState) -> None:
        if self._breath.due(state.now_s):
            self.breathing.show_breathing(state.breathing, state.now_s)
        if not self._notes.due(state.now_s):
            return
        self.budget.show_budget(state.budget)
        self.quality.setVisible(self.session.quality.watched)
        self.quality.show_quality(self.session.quality)
        self.log.show_log(*self._log_words())
        self.ultrasound.set_title("Ultrasound", self._image_note(state.ultrasound, state))
        self.fluoro.set_title("Fluoro", self._image_note(state.fluoro, state))

    def _image_note(
        self, image: UltrasoundState | FluoroState | None, state: NavigationState
    ) -> str:
        if image is None:
            return ""
        if self._frozen is not None:
            return f"FROZEN {state.now_s - self._frozen.now_s:.0f} s, F to run"
        rate = f"{image.rate_hz:.0f} Hz" if image.rate_hz >= 10 else f"{image.rate_hz:.1f} Hz"
        if image.age_s > 1.0:
            return f"{rate}, last image {image.age_s:.1f} s ago"
        return f"{rate}, {image.age_s * 1e3:.0f} ms old"

    def _log_words(self) -> tuple[str, str]:
        log = self.session.journal.log
        if log is None:
            return "No log is written", "Guidance is not recorded"
        counts = log.counts()
        fault = log.fault()
        if fault is not None:
            return f"Log {log.path.name}", fault
        return f"Log {log.path.name}", f"{counts.logged:,} data records, {counts.lost} lost"

    def _arrange(self) -> None:
        while self._side.count():
            self._side.takeAt(0)
        shown = self._layouts[self._layout_index]
        views: tuple[Picture, ...] = (*self._slices, self.fluoro, self.scene)
        for view in views:
            view.setVisible(view in shown)
        for row, view in enumerate(shown):
            self._side.addWidget(view, row, 0)
            self._side.setRowStretch(row, 1)
