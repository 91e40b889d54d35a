"""The plan's instrument, its sheet on paper, and its way to other programs and back."""

from __future__ import annotations

from pathlib import Path

from ir_nav.gui.carm_views_card import views_line
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import PDFS, ask_file, ask_save
from ir_nav.gui.forms import Card, button
from ir_nav.gui.instrument_chooser import InstrumentChooser
from ir_nav.gui.notice import Mood
from ir_nav.planning import Plan
from ir_nav.planning.aim import aim_of
from ir_nav.planning.instrument_findings import instrument_findings
from ir_nav.planning.markups import read_markup_path, write_markups
from ir_nav.planning.plan_findings import plan_findings
from ir_nav.planning.target_mask import TargetMask, write_target
from ir_nav.progress import Progress
from ir_nav.review.plan_sheet import SheetContent, write_plan_sheet
from ir_nav.review.sheet_views import Window
from ir_nav.session.errors import SessionError

MARKUPS = "3D Slicer markups (*.mrk.json)"
SEGMENTATION = "Target as DICOM segmentation (*.dcm)"


class PlanExportCard(Card):
    """Below the path: which device it is for, and what leaves the console."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Instrument and papers")
        self._desk = desk
        self._instruments = InstrumentChooser(desk)
        self.add(self._instruments)
        self.add_row(
            button("plan_sheet", "Plan sheet", self.ask_sheet, kind="small", tip="PDF, A4"),
            button(
                "export_plan",
                "Export",
                self.ask_export,
                kind="small",
                tip="To 3D Slicer, or the target as DICOM segmentation",
            ),
            button(
                "import_markup",
                "Import",
                self.ask_import,
                kind="small",
                tip="A line or straight curve drawn in 3D Slicer becomes the path",
            ),
        )

    def show_plan(self, plan: Plan | None) -> None:
        """Show which device the plan is for: none for a plan that has just been approved."""
        self._instruments.show_plan(plan)

    def ask_sheet(self) -> None:
        """Ask where to write the plan on paper."""
        if self._approved() is not None:
            ask_save(self, "Plan sheet", self._proposed("plan-sheet.pdf"), PDFS, self.write_sheet)

    def ask_export(self) -> None:
        """Ask where to write the plan for other programs."""
        if self._approved() is not None:
            kinds = f"{MARKUPS};;{SEGMENTATION}"
            ask_save(self, "Export plan", self._proposed("plan.mrk.json"), kinds, self.export)

    def ask_import(self) -> None:
        """Ask for a path drawn in 3D Slicer."""
        ask_file(self, "Import path", self._desk.folder("plan"), MARKUPS, self.import_markup)

    def write_sheet(self, path: Path) -> None:
        """Measure the plan and write it on paper, on the worker."""
        session, plan = self._desk.session, self._approved()
        volume = session.case.volume
        if plan is None or volume is None:
            return
        labels, planning = session.case.labels, session.planning
        ground, protocol = planning.ground, planning.protocol
        window = Window(*self._desk.window_level_hu())
        reach, position = session.fluoro.reach, session.fluoro.position

        def write(_: Progress) -> Path:
            aim = aim_of(plan, labels, protocol)
            if ground is None:
                found = instrument_findings(plan, aim.target)
            else:
                found = plan_findings(ground, protocol, plan, aim.target)
            content = SheetContent(
                plan,
                volume,
                found,
                protocol.checklist,
                aim.target,
                window,
                aim.words,
                views_line(plan.path, reach, position),
            )
            write_plan_sheet(content, path)
            return path

        self._desk.remember_folder("plan", path)
        self._desk.worker.submit("Writing the plan sheet", write, self._written)

    def export(self, path: Path) -> None:
        """Write markups, or the target's voxels for a name that ends in .dcm."""
        plan = self._approved()
        if plan is None:
            return
        self._desk.remember_folder("plan", path)
        if path.suffix.lower() == ".dcm":
            self._export_target(plan, path)
        else:
            name = path.name if path.name.endswith(".json") else f"{path.name}.mrk.json"
            whole = path.with_name(name)
            self._desk.attempt(lambda: write_markups(plan, whole), f"Saved {name}")

    def import_markup(self, path: Path) -> None:
        """Make the ends of a markup the drafted target and entry."""
        self._desk.remember_folder("plan", path)
        self._desk.attempt(lambda: self._import(path), f"Imported {path.name}: look at both ends")

    def _import(self, path: Path) -> None:
        session = self._desk.session
        session.planning.set_path(read_markup_path(path), session.planning.draft.structure)

    def _export_target(self, plan: Plan, path: Path) -> None:
        case = self._desk.session.case
        volume, labels = case.volume, case.labels
        if volume is None or labels is None:
            self._desk.report(SessionError("open the label map first: the target is part of it"))
            return

        def write(_: Progress) -> Path:
            target = TargetMask.shown_as(labels, plan.structure)
            if target is None:
                raise SessionError("choose a structure as target first: this one is a bare point")
            write_target(path, target, plan.structure, volume)
            return path

        self._desk.worker.submit("Writing the target", write, self._written)

    def _written(self, path: Path) -> None:
        self._desk.banner.say(f"Saved {path.name}", Mood.DONE)

    def _approved(self) -> Plan | None:
        plan = self._desk.session.planning.plan
        if plan is None:
            self._desk.banner.say("Approve a path first", Mood.REFUSED)
        return plan

    def _proposed(self, name: str) -> str:
        return str(Path(self._desk.folder("plan")) / name)
