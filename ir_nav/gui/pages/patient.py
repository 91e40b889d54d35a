"""Patient: open the planning CT and its structures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QIcon, QPainter, QPixmap
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QListWidget, QListWidgetItem

from ir_nav.gui import theme
from ir_nav.gui.case_look import aimed_at, structure_tone
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import IMAGES, LABELS, ask_file, ask_folder
from ir_nav.gui.forms import Card, Facts, SideColumn, button, label, set_mood
from ir_nav.gui.image_opening import ShownLabels, notes_of, open_images, read_shown_labels
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.imaging import LabelMap, StandardView, Volume
from ir_nav.session.case import Case
from ir_nav.session.state import NavigationState

FACTS = (
    "Name",
    "Patient ID",
    "Study date",
    "Series",
    "Size",
    "Pixel spacing",
    "Slices",
    "Extent",
)
SWATCH_PX = 14


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
        self._notes = label("", "note", name="image_notes")
        set_mood(self._notes, "warn")
        self._notes.hide()
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
        files.add_row(
            button("open_labels", "Structures…", self.open_labels),
            button("open_archive", "From the archive…", self.open_archive, tip="Ctrl+Shift+O"),
        )
        facts = Card("Planning CT")
        facts.add(self._facts, self._notes)
        structures = Card("Structures")
        structures.add(self._count, self._structures)
        self._structures.setMinimumHeight(140)
        self._structures.itemActivated.connect(self._show_structure)
        self._structures.itemClicked.connect(self._show_structure)
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
            self._name_slices()
            self._show_case(self.session.case)
        self.scene.show_overlays(self._overlays)

    def _name_slices(self) -> None:
        """By what the open image is: an MR is no CT."""
        volume = self.session.case.volume
        kind = "CT" if volume is None else volume.description.modality or "CT"
        for view, plane in zip(self.slices, StandardView, strict=True):
            view.set_title(f"{kind} {plane}", view.note)

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
        ask_file(self, "Open structures", self.desk.folder("labels"), LABELS, self.load_labels)

    def open_archive(self) -> None:
        """Search an image archive, fetch a series and open it."""
        from ir_nav.gui.archive_dialog import ask_archive

        ask_archive(self, self.load)

    def load(self, path: Path) -> None:
        """Read a CT on the worker and open it; asks which series where there are several."""
        self.desk.remember_folder("ct", path)
        open_images(self, self.desk, path, self._take)

    def load_labels(self, path: Path) -> None:
        """Read structures on the worker and put them on the CT's grid."""
        volume = self.session.case.volume
        if volume is None:
            return
        self.desk.remember_folder("labels", path)
        self.desk.worker.submit(
            f"Reading {path.name}", lambda _: read_shown_labels(path, volume), self._take_labels
        )

    def _take_labels(self, found: ShownLabels) -> None:
        self.session.set_labels(found.labels)
        if found.notes:
            self.desk.banner.say("\n".join(found.notes), Mood.REFUSED)

    def _take(self, case: Case) -> None:
        if case.volume is not None:
            self.session.load_case(case.volume, case.labels, case.fiducials)
            if case.volume.description.notes:
                self.desk.banner.say(notes_of(case.volume), Mood.REFUSED)

    def _show_case(self, case: Case) -> None:
        if case.volume is None:
            return
        for name, value in zip(FACTS, _facts(case.volume), strict=True):
            self._facts.show_fact(name, value or "not given", "" if value else "quiet")
        self._notes.setText(notes_of(case.volume))
        self._notes.setVisible(bool(case.volume.description.notes))
        for view in self.slices:
            view.fit_body(case.volume.centre_ct_mm)
        self._structures.clear()
        if case.labels is None:
            self._count.setText("No label map is open")
            return
        present = case.labels.present_ids()
        self._count.setText(f"{len(present)} structures in this CT")
        first = aimed_at(case.labels)
        for number in sorted(present, key=lambda one: one not in first):
            words = case.labels.display_name(number)
            if number in first:
                words = f"{words}, {_size_words(case.labels, number)}"
            item = QListWidgetItem(_swatch(structure_tone(case.labels, number)), words)
            item.setData(Qt.ItemDataRole.UserRole, number)
            if number in first:
                item.setFont(theme.font(theme.BODY, theme.STRONG))
            self._structures.addItem(item)

    def _show_structure(self, item: QListWidgetItem) -> None:
        labels = self.session.case.labels
        if labels is None:
            return
        centre = labels.centroid_ct_mm(int(item.data(Qt.ItemDataRole.UserRole)))
        for view in self.slices:
            view.fit_body(centre)


def _facts(volume: Volume) -> tuple[str, ...]:
    info = volume.description
    i, j, k = volume.size_ijk
    x, y, z = volume.spacing_mm
    series = " ".join(part for part in (info.modality, info.series_description) if part)
    # From edge to edge of the outer voxels: what was imaged.
    extent = (count * step for count, step in zip((i, j, k), (x, y, z), strict=True))
    return (
        info.patient_name,
        info.patient_id,
        info.study_date,
        series or Path(info.source_path).name,
        f"{i} × {j} × {k} voxels",
        f"{x:.2f} × {y:.2f} mm",
        f"{z:.2f} mm apart",
        " × ".join(f"{value:.0f}" for value in extent) + " mm",
    )


def _size_words(labels: LabelMap, number: int) -> str:
    """Longest side of the box round a structure, in whole mm."""
    k, j, i = np.nonzero(labels.mask(number))
    if not len(i):
        return ""
    sides = np.array([np.ptp(i), np.ptp(j), np.ptp(k)]) + 1
    return f"{float((sides * labels.spacing_mm).max()):.0f} mm"


def _swatch(tone: str) -> QIcon:
    picture = QPixmap(SWATCH_PX, SWATCH_PX)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour(tone))
    painter.drawRoundedRect(picture.rect(), 3.0, 3.0)
    painter.end()
    return QIcon(picture)
