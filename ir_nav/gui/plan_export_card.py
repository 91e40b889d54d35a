"""The plan's instrument, its sheet on paper, and its way to other programs and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PyQt6.QtWidgets import QComboBox

from ir_nav.gui.desk import Desk
from ir_nav.gui.files import PDFS, ask_file, ask_save
from ir_nav.gui.forms import Card, button
from ir_nav.gui.notice import Mood
from ir_nav.gui.worker import Progress
from ir_nav.planning import Plan
from ir_nav.planning.catalogue import Device, all_devices, instrument_of
from ir_nav.planning.instrument_findings import instrument_findings
from ir_nav.planning.markups import read_markup_path, write_markups
from ir_nav.planning.plan_findings import plan_findings
from ir_nav.planning.target_mask import TargetMask, write_target
from ir_nav.review.plan_sheet import SheetContent, write_plan_sheet
from ir_nav.review.sheet_views import Window
from ir_nav.session.errors import SessionError

CHOOSE = "Instrument: …"
MARKUPS = "3D Slicer markups (*.mrk.json)"
SEGMENTATION = "Target as DICOM segmentation (*.dcm)"


class PlanExportCard(Card):
    """Below the path: which device it is for, and what leaves the console."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Instrument and papers")
        self._desk = desk
        self._devices: tuple[Device, ...] = ()
        self._instruments = QComboBox()
        self._instruments.setObjectName("instrument")
        self._instruments.setAccessibleName("Instrument of the approved plan")
        # Long names must not make the column wider than it is.
        self._instruments.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._instruments.activated.connect(self._choose)
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
        desk.attempt(self._fill)

    def show_plan(self, plan: Plan | None) -> None:
        """Show which device the plan is for: none for a plan that has just been approved."""
        device = "" if plan is None else plan.instrument.device
        ids = [one.id for one in self._devices]
        index = ids.index(device) + 1 if device in ids else 0
        if self._instruments.currentIndex() != index:
            self._instruments.setCurrentIndex(index)

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
        labels, ground, protocol = session.case.labels, session.ground, session.protocol
        window = Window(*self._desk.window_level_hu())

        def write(_: Progress) -> Path:
            target = None if labels is None else TargetMask.shown_as(labels, plan.structure)
            if ground is None:
                found = instrument_findings(plan, target)
            else:
                found = plan_findings(ground, protocol, plan, target)
            content = SheetContent(plan, volume, found, protocol.checklist, target, window)
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
        found = read_markup_path(path)
        session = self._desk.session
        session.set_target(found.target_ct_mm, session.draft.structure)
        try:
            session.set_entry(found.entry_ct_mm)
        except SessionError:
            session.undo()
            raise

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

    def _fill(self) -> None:
        self._instruments.addItem(CHOOSE)
        self._devices = all_devices()
        for device in self._devices:
            self._instruments.addItem(device.name)

    def _choose(self, index: int) -> None:
        if index > 0:
            device = self._devices[index - 1]
            self._desk.attempt(lambda: self._use(device), f"Planned for: {device.name}")
        self.show_plan(self._desk.session.plan)

    def _use(self, device: Device) -> None:
        session = self._desk.session
        if session.plan is None:
            raise SessionError("approve a path first")
        plan = session.plan
        to_aim_mm = float(np.linalg.norm(plan.aim_ct_mm - plan.path.entry_ct_mm))
        session.use_instrument(instrument_of(device, to_aim_mm))

    def _approved(self) -> Plan | None:
        plan = self._desk.session.plan
        if plan is None:
            self._desk.banner.say("Approve a path first", Mood.REFUSED)
        return plan

    def _proposed(self, name: str) -> str:
        return str(Path(self._desk.folder("plan")) / name)
