"""Plan: place the target and the entry, or have a path proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PyQt6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLineEdit

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.bullseye import view_basis
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import PLANS, ask_file, ask_save
from ir_nav.gui.forms import Card, Facts, SideColumn, button, label
from ir_nav.gui.needle_planes import along_axes
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.patient_terms import typed_point
from ir_nav.gui.plan_export_card import PlanExportCard
from ir_nav.gui.plan_facts import FACTS, plan_facts, protocol_words
from ir_nav.gui.proposals_card import LimitList, ProposalsCard
from ir_nav.gui.reading_bar import ReadingBar
from ir_nav.gui.scene_records import Handle, Overlays
from ir_nav.gui.scene_request import Surface
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.skin_quality import painted_skin
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.gui.structures_card import StructuresCard
from ir_nav.gui.worker import Progress
from ir_nav.imaging import LabelMap
from ir_nav.planning import Ground, PlannedPath, Proposals
from ir_nav.session.case import Findings, PlanDraft, plan_path
from ir_nav.session.state import NavigationState

CHOOSE = "Target: centre of …"


class PlanPage(Page):
    """Axial, along and down the path, and 3D; points are placed in any slice."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.axial = BrowsableSlice("CT axial", field_mm=320.0)
        self.along = BrowsableSlice("Along the path", field_mm=240.0)
        self.down = BrowsableSlice("Down the path", "at the target", field_mm=240.0)
        self.scene = SceneView(desk.scene)
        self.slices = (self.axial, self.along, self.down)
        self.tools = SliceTools(self.slices)
        self.reading = ReadingBar(desk, self.tools, self.scene, self.look_again)
        self._facts = Facts(FACTS)
        self._limits = LimitList()
        self.proposals = ProposalsCard(desk, self.choose)
        self._proposed: Proposals | None = None
        self._painted: tuple[Surface, ...] = ()
        self._papers = PlanExportCard(desk)
        self.structures = StructuresCard(desk, self.tools)
        self._structures = QComboBox()
        self._coordinates = QLineEdit()
        self._placing: Handle | None = None
        self._draft: PlanDraft | None = None
        self._ground: Ground | None = None
        self._surfaces: tuple[Surface, ...] = ()
        self._overlays = Overlays()
        self._build()
        self.share_window(self.slices)
        for view in self.slices:
            view.set_draggable(True)
            view.point_picked.connect(self._pick)
            view.handle_dragged.connect(self._move)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(theme.GAP)
        for index, view in enumerate((self.axial, self.scene, self.along, self.down)):
            grid.addWidget(view, index // 2, index % 2)
        grid.addWidget(self.reading, 2, 0, 1, 2)
        self._target_button = button(
            "place_target",
            "Place target",
            lambda: self.place(Handle.TARGET),
            tip="T, then click in a slice",
            checkable=True,
        )
        self._entry_button = button(
            "place_entry",
            "Place entry",
            lambda: self.place(Handle.ENTRY),
            tip="E, then click in a slice",
            checkable=True,
        )
        self._structures.setObjectName("target_structure")
        self._structures.setAccessibleName("Target: centre of a structure")
        self._structures.addItem(CHOOSE)
        self._structures.activated.connect(self._choose_structure)
        points = Card("Target and entry")
        self._coordinates.setObjectName("target_lps")
        self._coordinates.setAccessibleName("Target in mm: R 83 A 6 H 7, or X, Y, Z in LPS")
        self._coordinates.setPlaceholderText("or R 83 A 6 H 7 mm; or X, Y, Z in LPS")
        self._coordinates.returnPressed.connect(self._enter_target)
        points.add(self._structures, self._coordinates)
        points.add_row(self._target_button, self._entry_button)
        points.add_row(
            button("propose_path", "Propose paths", self.propose),
            button("undo_plan", "Undo", self.undo, tip="Ctrl+Z"),
        )
        found = Card("This path")
        found.add(self._facts, self._limits)
        self._protocol = label("", "quiet")
        found.add(self._protocol)
        files = Card()
        files.add_row(
            button("load_plan", "Open plan", self.open_plan),
            button("save_plan", "Save plan", self.save_plan, tip="Ctrl+S"),
        )
        self._approve = button("approve_plan", "Approve path", self.approve, kind="primary")
        files.add(self._approve)
        side = SideColumn()
        side.add(points, self.structures, self.proposals, found, self._papers)
        side.add(*self.reading.cards)
        side.end()
        side.add_foot(files)
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(grid, 1)
        page.addWidget(side)
        self.side = side

    def show_state(self, state: NavigationState) -> None:
        before = self._images
        if self.follow_case(self.slices, self.scene):
            self.reading.follow(self.session.case.volume)
            self._fill_structures(self.session.case.labels)
            # Other structures on the same CT leave the views where they are.
            if before is None or before.volume is not self.session.case.volume:
                self._draft = None
        self.structures.follow(self.desk.look.images)
        self._paint_skin()
        seen = (self._draft, self._ground, self._surfaces)
        now = (self.session.draft, self.session.ground, self.desk.look.surfaces)
        if any(old is not new for old, new in zip(seen, now, strict=True)):
            self._surfaces = self.desk.look.surfaces
            self._show_draft(self.session.draft)
        self.scene.show_overlays(self._overlays)
        self._papers.show_plan(self.session.plan)

    def choose(self, index: int) -> None:
        """Take a proposed path, counted from 0."""
        self.desk.attempt(lambda: self.session.choose_proposal(index))

    def _paint_skin(self) -> None:
        """The skin by the quality of its entries, while there are proposals for this target."""
        surfaces, ground = self.desk.look.surfaces, self.session.ground
        proposals = self.proposals.show_paths()
        if proposals is not self._proposed or surfaces is not self._surfaces:
            self._proposed, self._painted = proposals, surfaces
            if proposals is not None and ground is not None:
                self._painted = painted_skin(surfaces, ground, proposals.skin)
        self.scene.set_surfaces(self._painted or surfaces)

    def look_again(self) -> None:
        """Views as the draft has them."""
        self._draft = None

    def place(self, handle: Handle) -> None:
        """The next click in a slice places this point; once more ends it."""
        self._placing = None if self._placing is handle else handle
        self._target_button.setChecked(self._placing is Handle.TARGET)
        self._entry_button.setChecked(self._placing is Handle.ENTRY)
        for view in self.slices:
            view.set_picking(self._placing is not None)

    def propose(self) -> None:
        """Search for a path to the target on the worker."""
        session = self.session
        target = session.draft.target_ct_mm
        if session.case.volume is None or target is None:
            self.desk.banner.say("Place the target first", Mood.REFUSED)
            return
        case, protocol, ground = session.case, session.protocol, session.ground

        def search(progress: Progress) -> tuple[Ground, Proposals]:
            return plan_path(case, protocol, target, ground, progress)

        self.desk.worker.submit("Looking for a path", search, self._take_proposals)

    def undo(self) -> None:
        """Take back the last change, of the structures or of the plan."""
        if not self.structures.take_undo():
            self.desk.attempt(self.session.undo)

    def approve(self) -> None:
        """Make this path the plan."""
        self.desk.attempt(self.session.approve_plan, "This path is the plan now")

    def open_plan(self) -> None:
        """Ask for a plan of this CT."""
        ask_file(self, "Open plan", self.desk.folder("plan"), PLANS, self.load)

    def save_plan(self) -> None:
        """Ask where to save the approved plan."""
        if self.session.plan is None:
            self.desk.banner.say("Approve a path first", Mood.REFUSED)
            return
        name = str(Path(self.desk.folder("plan")) / "plan.json")
        ask_save(self, "Save plan", name, PLANS, self.save_to)

    def load(self, path: Path) -> None:
        self.desk.remember_folder("plan", path)
        self.desk.attempt(lambda: self.session.load_plan(path), f"Opened {path.name}")

    def save_to(self, path: Path) -> None:
        self.desk.remember_folder("plan", path)
        self.desk.attempt(lambda: self.session.save_plan(path), f"Saved {path.name}")

    def _take_proposals(self, found: tuple[Ground, Proposals]) -> None:
        ground, proposals = found
        self.session.take_proposals(ground, proposals)
        self._draft = None

    def _pick(self, point_ct_mm: FloatArray) -> None:
        if self._placing is not None:
            self._move(self._placing, point_ct_mm)

    def _move(self, handle: Handle, point_ct_mm: FloatArray) -> None:
        if handle is Handle.TARGET:
            structure = self._structure_at(point_ct_mm)
            self.desk.attempt(lambda: self.session.set_target(point_ct_mm, structure))
        else:
            self.desk.attempt(lambda: self.session.set_entry(point_ct_mm))

    def _structure_at(self, point_ct_mm: FloatArray) -> str:
        labels = self.session.case.labels
        if labels is None:
            return ""
        place = labels.voxel_from_ct @ np.append(point_ct_mm, 1.0)
        i, j, k = np.rint(place[:3]).astype(int)
        rows, columns, slices = labels.voxels.shape[1], labels.voxels.shape[2], len(labels.voxels)
        if not (0 <= i < columns and 0 <= j < rows and 0 <= k < slices):
            return ""
        number = int(labels.voxels[k, j, i])
        return labels.display_name(number) if number else ""

    def _fill_structures(self, labels: LabelMap | None) -> None:
        self._structures.clear()
        self._structures.addItem(CHOOSE)
        if labels is None:
            return
        for number in labels.present_ids():
            self._structures.addItem(labels.display_name(number), number)

    def _choose_structure(self, index: int) -> None:
        labels, number = self.session.case.labels, self._structures.itemData(index)
        if labels is None or number is None:
            return
        name = labels.display_name(number)
        self.desk.attempt(lambda: self.session.set_target(labels.centroid_ct_mm(number), name))

    def _enter_target(self) -> None:
        point = typed_point(self._coordinates.text())
        if point is None:
            self.desk.banner.say(
                "Write the point in mm: R 83 A 6 H 7, or X, Y, Z in LPS", Mood.REFUSED
            )
            return
        self._move(Handle.TARGET, point)

    def _show_draft(self, draft: PlanDraft) -> None:
        path = draft.path
        moved = self._draft is None or draft.target_ct_mm is not self._draft.target_ct_mm
        self._draft, self._ground = draft, self.session.ground
        self._overlays = Overlays(target_ct_mm=draft.target_ct_mm, entry_ct_mm=draft.entry_ct_mm)
        for view in self.slices:
            view.show_overlays(self._overlays)
        if draft.target_ct_mm is not None:
            self._aim(draft.target_ct_mm, path, moved)
        self._show_facts(draft, self.session.findings)

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

    def _show_facts(self, draft: PlanDraft, found: Findings | None) -> None:
        skin_deg = None if draft.path is None else self.desk.look.skin_angle_deg(draft.path)
        self._protocol.setText(protocol_words(self.session.protocol))
        self._limits.show_findings(found)
        for fact in plan_facts(draft, found, self.session.protocol, skin_deg):
            self._facts.show_fact(fact.name, fact.value, fact.mood)
