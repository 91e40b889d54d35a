"""Plan: place the target and the entry, or have a path proposed."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QGridLayout, QHBoxLayout

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.approval_card import ApprovalCard
from ir_nav.gui.bullseye import view_basis
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, Facts, label
from ir_nav.gui.keep_out_tool import KeepOutLayer, KeepOutTool
from ir_nav.gui.needle_planes import along_axes
from ir_nav.gui.needles_card import NeedlesCard, NeedlesLayer
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.plan_export_card import PlanExportCard
from ir_nav.gui.plan_facts import FACTS, limits_state, needle_state, path_state, plan_facts
from ir_nav.gui.plan_ground import GroundWatch
from ir_nav.gui.plan_scene import PlanScene
from ir_nav.gui.plan_sections import PlanSections, Section
from ir_nav.gui.points_card import PointsCard
from ir_nav.gui.proposals_card import LimitList, ProposalsCard
from ir_nav.gui.reading_bar import ReadingBar
from ir_nav.gui.scene_records import Handle, Overlays
from ir_nav.gui.scene_request import Surface
from ir_nav.gui.skin_quality import painted_skin
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.gui.structures_card import StructuresCard
from ir_nav.gui.worker import Progress
from ir_nav.planning import Ground, PlannedPath, Proposals
from ir_nav.session.case import Case, Findings, plan_path
from ir_nav.session.drafting import Drawn
from ir_nav.session.state import NavigationState

READING_HINT = (
    "Tools for reading lie beneath the slices. What is measured or noted is listed here; "
    "B opens a second series."
)


class PlanPage(Page):
    """Axial, along and down the path, and 3D; points are placed in any slice."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.axial = BrowsableSlice("CT axial", field_mm=320.0)
        self.along = BrowsableSlice("Along the path", field_mm=240.0)
        self.down = BrowsableSlice("Down the path", "at the target", field_mm=240.0)
        self.scene = PlanScene(desk.scene)
        self.slices = (self.axial, self.along, self.down)
        self.tools = SliceTools(self.slices)
        self.ground = GroundWatch(desk)
        self.kept_free = KeepOutLayer(desk, self.tools)
        self.reading = ReadingBar(desk, self.tools, self.scene, self.look_again)
        self.points = PointsCard(
            desk,
            self.tools,
            KeepOutTool(desk, self.tools),
            self.place,
            self.propose,
            self.undo,
        )
        self._facts = Facts(FACTS)
        self._limits = LimitList()
        self.proposals = ProposalsCard(desk, self.choose)
        self._papers = PlanExportCard(desk)
        self.needles = NeedlesCard(desk)
        self.structures = StructuresCard(desk, self.tools)
        self.approval = ApprovalCard(desk, self.ground)
        self._findings: Findings | None = None
        self._placing: Handle | None = None
        self._drawn: Drawn | None = None
        self._ground: Ground | None = None
        self._surfaces: tuple[Surface, ...] = ()
        self._on_skin: tuple[object, ...] = ()
        self._painted: tuple[Surface, ...] = ()
        self._overlays = Overlays()
        self._build()
        self.share_window(self.slices)
        self.tools.add_layer(NeedlesLayer(lambda: self.session.plan))
        for view in self.slices:
            view.set_draggable(True)
            view.point_picked.connect(self._pick)
            view.handle_dragged.connect(self._move)
        self.scene.handle_dragged.connect(self._move)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(theme.GAP)
        for index, view in enumerate((self.axial, self.scene, self.along, self.down)):
            grid.addWidget(view, index // 2, index % 2)
        grid.addWidget(self.reading, 2, 0, 1, 2)
        found = Card("This path")
        found.add(self._facts)
        limits = Card()
        self._unmeasured = label("", "quiet", name="limits_note")
        limits.add(self._unmeasured, self._limits)
        hint = Card()
        hint.add(label(READING_HINT, "quiet"))
        session, notes = self.session, self.reading.desk.annotations.book
        self.sections = PlanSections(
            (
                Section("Path", (self.points, self.proposals), lambda: path_state(session.draft)),
                Section("Limits", (limits, found), lambda: limits_state(self._findings)),
                Section(
                    "Structures",
                    (self.structures,),
                    lambda: str(len(self.structures.structures.segments) or ""),
                    fills=True,
                ),
                Section(
                    "Needle",
                    (self._papers, self.needles),
                    lambda: needle_state(session.plan, session.protocol),
                ),
                Section(
                    "Reading",
                    (*self.reading.cards, hint),
                    lambda: str(len(notes.items) or ""),
                ),
            ),
            self.approval,
            self.desk.settings,
        )
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(grid, 1)
        page.addWidget(self.sections)
        self.side = self.sections

    def show_state(self, state: NavigationState) -> None:
        before = self._images
        if self.follow_case(self.slices, self.scene):
            self.reading.follow(self.session.case.volume)
            self.points.fill(self.session.case.labels)
            # Other structures on the same CT leave the views where they are.
            if before is None or before.volume is not self.session.case.volume:
                self._drawn = None
        self.structures.follow(self.desk.look.images)
        self.kept_free.follow()
        self.scene.set_outline(self.desk.look.outline)
        self.ground.follow()
        self._paint_skin()
        seen = (self._drawn, self._ground, self._surfaces)
        now = (self.session.planning.now, self.session.ground, self.desk.look.surfaces)
        if any(old is not new for old, new in zip(seen, now, strict=True)):
            self._surfaces = self.desk.look.surfaces
            self._show_draft(self.session.planning.now)
        self.scene.show_overlays(self._overlays)
        self._papers.show_plan(self.session.plan)
        self.points.protocols.follow()
        self.needles.follow()
        self.approval.follow()
        self.sections.show_states()

    def choose(self, index: int) -> None:
        """Take a proposed path, counted from 0."""
        self.desk.attempt(lambda: self.session.choose_proposal(index))

    def _paint_skin(self) -> None:
        """The skin by the quality of its entries, while there are proposals for this target, and
        where it is kept free."""
        surfaces, ground = self.desk.look.surfaces, self.session.ground
        proposals, mask = self.proposals.show_paths(), self.kept_free.mask
        now = (proposals, surfaces, mask)
        if len(self._on_skin) != len(now) or any(
            old is not new for old, new in zip(self._on_skin, now, strict=True)
        ):
            self._on_skin, self._painted = now, surfaces
            if ground is not None:
                judged = None if proposals is None else proposals.skin
                fits = mask is None or len(mask) == len(ground.skin)
                self._painted = painted_skin(surfaces, ground.skin, judged, mask if fits else None)
        self.scene.set_surfaces(self._painted or surfaces)

    def look_again(self) -> None:
        """Views as the draft has them."""
        self._drawn = None

    def place(self, handle: Handle) -> None:
        """The next click in a slice places this point; once more ends it."""
        self._placing = None if self._placing is handle else handle
        self.points.show_placing(self._placing)
        for view in self.slices:
            view.set_picking(self._placing is not None)
        self.scene.set_placing(self._placing)

    def propose(self) -> None:
        """Search for a path to the target on the worker."""
        session = self.session
        drawn, case, ground = session.planning.now, session.case, session.ground
        target, outline = drawn.draft.target_ct_mm, self.desk.look.outline
        if case.volume is None or target is None:
            self.desk.banner.say("Place the target first", Mood.REFUSED)
            return

        def search(progress: Progress) -> tuple[Case, Drawn, Ground, Proposals]:
            found = plan_path(
                case,
                drawn.protocol,
                target,
                ground,
                progress,
                outline=outline,
                keep_out=drawn.keep_out,
            )
            return case, drawn, *found

        self.desk.worker.submit("Looking for a path", search, self._take_proposals)

    def undo(self) -> None:
        """Take back the last change, of the structures or of the plan."""
        if not self.structures.take_undo():
            self.desk.attempt(self.session.undo)

    def approve(self) -> None:
        """Make this path the plan."""
        self.approval.approve()

    def open_plan(self) -> None:
        """Ask for a plan of this CT."""
        self.approval.ask_open()

    def save_plan(self) -> None:
        """Ask where to save the approved plan."""
        self.approval.ask_save()

    def load(self, path: Path) -> None:
        self.approval.load(path)

    def save_to(self, path: Path) -> None:
        self.approval.save_to(path)

    def _take_proposals(self, found: tuple[Case, Drawn, Ground, Proposals]) -> None:
        case, drawn, ground, proposals = found
        if case is not self.session.case:
            return  # another patient, or other structures, while it was looked for
        self.session.take_proposals(ground, proposals, drawn)
        self._drawn = None

    def _pick(self, point_ct_mm: FloatArray) -> None:
        if self._placing is not None:
            self._move(self._placing, point_ct_mm)

    def _move(self, handle: Handle, point_ct_mm: FloatArray) -> None:
        if handle is Handle.TARGET:
            self.points.set_target(point_ct_mm)
        else:
            self.desk.attempt(lambda: self.session.set_entry(point_ct_mm))

    def _show_draft(self, drawn: Drawn) -> None:
        draft, before = drawn.draft, self._drawn
        path = draft.path
        moved = before is None or draft.target_ct_mm is not before.draft.target_ct_mm
        aimed = moved or before is None or draft is not before.draft
        self._drawn, self._ground = drawn, self.session.ground
        self._overlays = Overlays(target_ct_mm=draft.target_ct_mm, entry_ct_mm=draft.entry_ct_mm)
        for view in self.slices:
            view.show_overlays(self._overlays)
        if draft.target_ct_mm is not None and aimed:
            self._aim(draft.target_ct_mm, path, moved)
        self._findings = self.session.findings
        self._show_facts(drawn, self._findings)

    def _aim(self, target: FloatArray, path: PlannedPath | None, moved: bool) -> None:
        if path is None:
            self.axial.fit_body(target)
            for view in (self.along, self.down):
                view.look(target)
            return
        middle = (path.target_ct_mm + path.entry_ct_mm) / 2.0
        self.along.look(middle, *along_axes(path.direction_ct))
        self.along.keep_inside()
        right, up = view_basis(path.direction_ct)
        self.down.look(target, right, -up)
        if moved:
            self.axial.fit_body(target)

    def _show_facts(self, drawn: Drawn, found: Findings | None) -> None:
        path = drawn.draft.path
        skin_deg = None if path is None else self.desk.look.skin_angle_deg(path)
        self._limits.show_findings(found)
        measured = found is not None and found.limits is not None
        words = "Distances are being worked out" if path else "Place target and entry"
        self._unmeasured.setText("" if measured else words)
        self._unmeasured.setVisible(not measured)
        for fact in plan_facts(drawn.draft, found, drawn.protocol, skin_deg):
            self._facts.show_fact(fact.name, fact.value, fact.mood)
