"""Plan: place the target and the entry, or have a path proposed."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QRect
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout

from ir_nav.gui import theme
from ir_nav.gui.approval_card import ApprovalCard, back_words
from ir_nav.gui.carm_views_card import CArmViewsCard
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, Facts, label
from ir_nav.gui.instrument_layer import InstrumentLayer
from ir_nav.gui.keep_out_tool import KeepOutLayer, KeepOutTool
from ir_nav.gui.limit_list import LimitList
from ir_nav.gui.limit_rows import limit_rows, limits_mood, limits_state
from ir_nav.gui.needles_card import NeedlesCard, NeedlesLayer
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.plan_export_card import PlanExportCard
from ir_nav.gui.plan_facts import FACTS, needle_state, path_state, plan_facts
from ir_nav.gui.plan_ground import GroundWatch
from ir_nav.gui.plan_hands import PlanHands
from ir_nav.gui.plan_scene import PlanScene
from ir_nav.gui.plan_views import PlanViews, opening_middle
from ir_nav.gui.points_card import PointsCard
from ir_nav.gui.proposals_card import ProposalsCard
from ir_nav.gui.reading_bar import ReadingBar
from ir_nav.gui.scene_records import Handle, Overlays
from ir_nav.gui.scene_request import Surface
from ir_nav.gui.side_sections import Section, SideSections
from ir_nav.gui.skin_legend import SkinLegend
from ir_nav.gui.skin_quality import painted_skin
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.gui.structures_card import StructuresCard
from ir_nav.gui.target_offer import TargetOffer
from ir_nav.planning import Ground, Plan, Proposals
from ir_nav.planning.needles import aimed_paths, planned_zones
from ir_nav.progress import Progress
from ir_nav.session.case import Case, Findings, plan_path
from ir_nav.session.drafting import Drawn
from ir_nav.session.state import NavigationState

REMEMBERED = "plan/section"
READING_HINT = (
    "Tools for reading lie beneath the slices. What is measured or noted is listed here; "
    "B opens a second series."
)


class PlanPage(Page):
    """Axial, along and down the path, and 3D; points are placed in any slice."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.views = PlanViews()
        self.slices = self.axial, self.along, self.down = self.views.all
        self.scene = PlanScene(desk.scene)
        self._legend = SkinLegend(self.scene)
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
        self._carm_views = CArmViewsCard(
            desk, lambda: self.session.planning.draft.path, "Place target and entry to see them."
        )
        self.structures = StructuresCard(desk, self.tools)
        self._offer = TargetOffer(desk, self.structures.structures, self.points.aim_at)
        self.approval = ApprovalCard(desk, self.ground)
        self._findings: Findings | None = None
        self._drawn: Drawn | None = None
        self._ground: Ground | None = None
        self._surfaces: tuple[Surface, ...] = ()
        self._on_skin: tuple[object, ...] = ()
        self._painted: tuple[Surface, ...] = ()
        self._overlays = Overlays()
        self._build()
        self.share_window(self.slices)
        self.tools.add_layer(NeedlesLayer(self._followed_plan))
        self.tools.add_layer(InstrumentLayer(lambda: self.session.planning.plan))
        self.hands = PlanHands(
            self, desk, self.tools, self.views, self.scene, self.points, self._look_at_draft
        )

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
        planning = session.planning
        self.sections = SideSections(
            (
                Section("Path", (self.points, self.proposals), lambda: path_state(planning.draft)),
                Section(
                    "Limits",
                    (limits, found),
                    lambda: limits_state(self._limits.rows),
                    mood=lambda: limits_mood(self._limits.rows),
                    widest="9 not checked",
                ),
                Section(
                    "Structures",
                    (self.structures, self._offer),
                    lambda: str(len(self.structures.structures.segments) or ""),
                    fills=True,
                ),
                Section(
                    "Needle",
                    (self._papers, self._carm_views, self.needles),
                    lambda: needle_state(planning.plan, planning.protocol),
                ),
                Section(
                    "Reading",
                    (*self.reading.cards, hint),
                    lambda: str(len(notes.items) or ""),
                ),
            ),
            self.approval,
            self.desk.settings,
            REMEMBERED,
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
            # Other structures on the same CT leave the views where they are.
            if before is None or before.volume is not self.session.case.volume:
                self._drawn = None
        self.structures.follow(self.desk.look.images)
        self.kept_free.follow()
        self.scene.set_outline(self.desk.look.outline)
        self.ground.follow()
        self._paint_skin()
        seen = (self._drawn, self._ground, self._surfaces)
        now = (self.session.planning.now, self.session.planning.ground, self.desk.look.surfaces)
        if any(old is not new for old, new in zip(seen, now, strict=True)):
            self._surfaces = self.desk.look.surfaces
            self._show_draft(self.session.planning.now)
        self.scene.show_overlays(self._overlays)
        self._papers.show_plan(self.session.planning.plan)
        self.points.protocols.follow()
        self.points.follow()
        self.needles.follow()
        if self.sections.current == "Needle":
            self._carm_views.follow()
        self.approval.follow()
        self.sections.show_states()

    def image_area(self) -> QRect:
        """Above the reading bar."""
        area = super().image_area()
        area.setBottom(self.reading.y() - 1)
        return area

    def choose(self, index: int) -> None:
        """Take a proposed path, counted from 0."""
        self.desk.attempt(lambda: self.session.planning.choose_proposal(index))

    def _paint_skin(self) -> None:
        """The skin by the quality of its entries, while there are proposals for this target, and
        where it is kept free."""
        surfaces, ground = self.desk.look.surfaces, self.session.planning.ground
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
        self._legend.show_for(proposals is not None)

    def look_again(self) -> None:
        """Views as the draft has them."""
        self._drawn = None

    def place(self, handle: Handle) -> None:
        """The next click in a slice places this point; once more ends it."""
        self.hands.arm(handle)

    def propose(self) -> None:
        """Search for a path to the target on the worker."""
        session = self.session
        drawn, case, ground = session.planning.now, session.case, session.planning.ground
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
        if self.structures.take_undo():
            return
        planning, plan = self.session.planning, self.session.planning.plan
        if self.desk.attempt(planning.undo) and planning.plan is not plan:
            self.desk.banner.say(back_words(planning.plan), Mood.DONE)

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
        self.session.planning.take_proposals(ground, proposals, drawn)
        self._drawn = None

    def _followed_plan(self) -> Plan | None:
        """The plan while the draft is part of it: else it is drawn as what was approved."""
        now = self.session.planning.now
        return now.plan if now.is_needle else None

    def _look_at_draft(self) -> None:
        """The views turn to where a drag has left the points."""
        self.views.aim(self.session.planning.draft, moved=False)

    def _show_draft(self, drawn: Drawn) -> None:
        draft, before = drawn.draft, self._drawn
        self._drawn, self._ground = drawn, self.session.planning.ground
        apart = drawn.plan is not None and not drawn.is_needle
        self._overlays = Overlays(
            target_ct_mm=draft.target_ct_mm,
            entry_ct_mm=draft.entry_ct_mm,
            approved=aimed_paths(drawn.plan) if apart and drawn.plan is not None else (),
            zones=planned_zones(drawn.plan),
        )
        for view in self.slices:
            view.show_overlays(self._overlays)
        self._aim(drawn, before)
        self._findings = self.session.planning.findings
        self._show_facts(drawn, self._findings)

    def _aim(self, drawn: Drawn, before: Drawn | None) -> None:
        draft = drawn.draft
        # Another protocol is about another organ, as long as nothing is aimed at.
        if draft.target_ct_mm is None and (before is None or before.protocol is not drawn.protocol):
            body = self.desk.look.images.body_ct_mm
            middle = opening_middle(self.session.case, drawn.protocol, body)
            if middle is not None:
                self.views.open_at(middle)
        elif before is None or draft is not before.draft:
            moved = before is None or draft.target_ct_mm is not before.draft.target_ct_mm
            self.views.aim(draft, moved)

    def _show_facts(self, drawn: Drawn, found: Findings | None) -> None:
        path = drawn.draft.path
        skin_deg = None if path is None else self.desk.look.skin_angle_deg(path)
        self.structures.order_by(None if found is None else found.limits)
        self._limits.show_rows(limit_rows(found, self.session.planning.ground, drawn.protocol))
        measured = found is not None and found.limits is not None
        words = "Distances are being worked out" if path else "Place target and entry"
        self._unmeasured.setText("" if measured else words)
        self._unmeasured.setVisible(not measured)
        for fact in plan_facts(drawn.draft, found, drawn.protocol, skin_deg):
            self._facts.show_fact(fact.name, fact.value, fact.mood)
