"""Patient: open the planning CT and its structures."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QListWidget

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import IMAGES, LABELS, ask_file, ask_folder
from ir_nav.gui.forms import Card, Facts, SideColumn, button, label
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.imaging import StandardView, Volume, read_labels
from ir_nav.session.case import Case, read_case
from ir_nav.session.state import NavigationState

FACTS = ("Name", "Patient ID", "Study date", "Series", "Size", "Spacing", "Extent")


class PatientPage(Page):
    """Three planes and 3D at the left; files and facts at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.axial = BrowsableSlice("CT axial", view=StandardView.AXIAL)
        self.coronal = BrowsableSlice("CT coronal", view=StandardView.CORONAL)
        self.sagittal = BrowsableSlice("CT sagittal", view=StandardView.SAGITTAL)
        self.scene = SceneView(desk.scene)
        self.slices = (self.axial, self.coronal, self.sagittal)
        self._facts = Facts(FACTS)
        self._structures = QListWidget()
        self._structures.setAccessibleName("Structures")
        self._structures.setObjectName("structures")
        self._count = label("No label map is open", "quiet")
        self._overlays = Overlays()
        self._build()
        self.share_window(self.slices)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(theme.GAP)
        for index, view in enumerate((self.axial, self.scene, self.coronal, self.sagittal)):
            grid.addWidget(view, index // 2, index % 2)
        files = Card("Images")
        files.add_row(
            button("open_ct", "Open CT file", self.open_file, kind="primary", tip="Ctrl+O"),
            button("open_ct_folder", "Open CT folder", self.open_folder),
        )
        files.add(button("open_labels", "Open label map", self.open_labels))
        facts = Card("Planning CT")
        facts.add(self._facts)
        structures = Card("Structures")
        structures.add(self._count, self._structures)
        self._structures.setMinimumHeight(140)
        self._structures.itemActivated.connect(lambda item: self._show_structure(item.text()))
        self._structures.itemClicked.connect(lambda item: self._show_structure(item.text()))
        side = SideColumn()
        side.add(files, facts)
        side.column.addWidget(structures, 1)
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(grid, 1)
        page.addWidget(side)
        self.side = side

    def show_state(self, state: NavigationState) -> None:
        if self.follow_case(self.slices, self.scene):
            self._show_case(self.session.case)
        self.scene.show_overlays(self._overlays)

    def open_file(self) -> None:
        """Ask for a CT file."""
        ask_file(self, "Open CT", self.desk.folder("ct"), IMAGES, self.load)

    def open_folder(self) -> None:
        """Ask for a DICOM folder."""
        ask_folder(self, "Open CT folder", self.desk.folder("ct"), self.load)

    def open_labels(self) -> None:
        """Ask for a label map of the CT at hand."""
        if self.session.case.volume is None:
            self.desk.banner.say("Open a CT first, then its label map", Mood.REFUSED)
            return
        ask_file(self, "Open label map", self.desk.folder("labels"), LABELS, self.load_labels)

    def load(self, path: Path) -> None:
        """Read a CT on the worker and open it."""
        self.desk.remember_folder("ct", path)
        self.desk.worker.submit(
            f"Reading {path.name}",
            lambda progress: read_case(path, progress=progress),
            lambda case: self._take(case),
        )

    def load_labels(self, path: Path) -> None:
        """Read a label map on the worker and put it on the CT's grid."""
        volume = self.session.case.volume
        self.desk.remember_folder("labels", path)
        self.desk.worker.submit(
            f"Reading {path.name}",
            lambda _: read_labels(path, like=volume),
            self.session.set_labels,
        )

    def _take(self, case: Case) -> None:
        if case.volume is not None:
            self.session.load_case(case.volume, case.labels, case.fiducials)

    def _show_case(self, case: Case) -> None:
        if case.volume is None:
            return
        for name, value in zip(FACTS, _facts(case.volume), strict=True):
            self._facts.show_fact(name, value)
        for view in self.slices:
            view.set_field(_field_mm(case.volume, view))
        self._structures.clear()
        if case.labels is None:
            self._count.setText("No label map is open")
            return
        present = case.labels.present_ids()
        self._count.setText(f"{len(present)} structures in this CT")
        self._structures.addItems([case.labels.display_name(number) for number in present])

    def _show_structure(self, name: str) -> None:
        labels = self.session.case.labels
        if labels is None:
            return
        number = next((n for n in labels.present_ids() if labels.display_name(n) == name), None)
        if number is not None:
            centre = labels.centroid_ct_mm(number)
            for view in self.slices:
                view.look(centre)


def _facts(volume: Volume) -> tuple[str, ...]:
    info = volume.description
    i, j, k = volume.size_ijk
    x, y, z = volume.spacing_mm
    low, high = volume.bounds_mm
    series = " ".join(part for part in (info.modality, info.series_description) if part)
    return (
        info.patient_name or "not given",
        info.patient_id or "not given",
        info.study_date or "not given",
        series or Path(info.source_path).name or "not given",
        f"{i} × {j} × {k}",
        f"{x:.2f} × {y:.2f} × {z:.2f} mm",
        " × ".join(f"{value:.0f}" for value in high - low) + " mm",
    )


def _field_mm(volume: Volume, view: BrowsableSlice) -> float:
    """Height that shows all of the slice."""
    low, high = volume.bounds_mm
    extent = high - low
    tall = float(extent[1]) if view.accessibleName() == "CT axial" else float(extent[2])
    wide = float(extent[1]) if view.accessibleName() == "CT sagittal" else float(extent[0])
    return max(tall, wide * view.height() / max(view.width(), 1)) * 1.04
