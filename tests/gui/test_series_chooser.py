"""Opening a folder of several series through the real window: list, pictures, keys, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QListWidget, QPushButton

from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.patient import PatientPage
from ir_nav.gui.series_chooser import SeriesChooser, SeriesRow
from ir_nav.imaging import Structure, StructureSet, read_volume, write_segmentation
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.gui.test_window import wait_for
from tests.imaging import dicom_made, phantom

Windows = Callable[..., MainWindow]
PLACE = phantom.affine()


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """A CT, a CT with a gap, an MR and a structure set."""
    folder = tmp_path / "disc"
    phantom.write_dicom(folder / "ct", phantom.dicom_slices(phantom.voxels(), PLACE))
    gap = phantom.dicom_slices(phantom.voxels(), PLACE, "1.2.9")
    del gap[4]
    phantom.write_dicom(folder / "gap", gap)
    phantom.write_dicom(folder / "mr", dicom_made.mr_slices(phantom.voxels(), PLACE))
    contour = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    dicom_made.save(folder / "rt.dcm", dicom_made.structure_set({"liver": [contour]}))
    return folder


@pytest.fixture
def patient(make_window: Windows) -> Iterator[PatientPage]:
    with closing(Session()) as session:
        page = make_window(session).pages[Step.PATIENT]
        assert isinstance(page, PatientPage)
        yield page


def opened_chooser(app: QApplication, page: PatientPage, path: Path) -> SeriesChooser:
    page.load(path)
    assert wait_for(app, lambda: bool(page.findChildren(SeriesChooser)))
    return page.findChildren(SeriesChooser)[0]


def series_list(chooser: SeriesChooser) -> QListWidget:
    found = chooser.findChild(QListWidget, "series_list")
    assert isinstance(found, QListWidget)
    return found


def open_button(chooser: SeriesChooser) -> QPushButton:
    found = chooser.findChild(QPushButton, "open_series")
    assert isinstance(found, QPushButton)
    return found


def go_to(app: QApplication, chooser: SeriesChooser, words: str) -> None:
    """Press the arrow keys until the row under the cursor says the words."""
    listed = series_list(chooser)
    QTest.keyClick(listed, Qt.Key.Key_Home)
    for _ in range(listed.count()):
        item = listed.currentItem()
        row = None if item is None else listed.itemWidget(item)
        if isinstance(row, SeriesRow) and words in row.accessibleName():
            return
        QTest.keyClick(listed, Qt.Key.Key_Down)
    raise AssertionError(words)


def test_series_are_listed_with_pictures_and_problems(
    app: QApplication, patient: PatientPage, disc: Path
) -> None:
    chooser = opened_chooser(app, patient, disc)
    rows = chooser.findChildren(SeriesRow)
    assert [row.accessibleName().split()[0] for row in rows] == ["CT", "MR", "CT"]
    assert "14 × 12 × 9   0.80 × 1.10 × 2.50 mm" in rows[0].accessibleName()
    assert "✕  1 missing slice(s)" in rows[2].accessibleName()
    said = [found.text() for found in chooser.findChildren(QLabel)]
    assert "Also there, not opened as images: 1 structure set" in said
    assert wait_for(
        app, lambda: all(not row.findChildren(QLabel)[0].pixmap().isNull() for row in rows)
    )
    chooser.reject()


def test_the_planning_ct_is_chosen_first_and_enter_opens_it(
    app: QApplication, patient: PatientPage, disc: Path
) -> None:
    chooser = opened_chooser(app, patient, disc)
    assert chooser.current is not None
    assert (chooser.current.modality, chooser.current.readable) == ("CT", True)
    QTest.keyClick(series_list(chooser), Qt.Key.Key_Return)
    assert wait_for(app, lambda: patient.session.case.volume is not None)
    volume = patient.session.case.volume
    assert volume is not None
    assert np.array_equal(volume.voxels, phantom.voxels())


def test_a_series_that_cannot_be_opened_says_why_and_stays(
    app: QApplication, patient: PatientPage, disc: Path
) -> None:
    chooser = opened_chooser(app, patient, disc)
    go_to(app, chooser, "missing")
    assert not open_button(chooser).isEnabled()
    said = chooser.findChild(QLabel, "series_said")
    assert isinstance(said, QLabel)
    assert said.text().startswith("Cannot be opened: 1 missing slice(s)")
    QTest.keyClick(series_list(chooser), Qt.Key.Key_Return)
    assert chooser.isVisible()
    QTest.keyClick(chooser, Qt.Key.Key_Escape)
    assert not chooser.isVisible()
    assert patient.session.case.volume is None


def test_an_mr_can_be_looked_at_but_not_planned_on(
    app: QApplication, patient: PatientPage, disc: Path
) -> None:
    chooser = opened_chooser(app, patient, disc)
    go_to(app, chooser, "MR")
    said = chooser.findChild(QLabel, "series_said")
    assert isinstance(said, QLabel)
    assert said.text() == "MR can be looked at; planning needs a CT"
    open_button(chooser).click()
    assert wait_for(app, lambda: patient.session.case.volume is not None)
    window = patient.window()
    assert isinstance(window, MainWindow)
    assert not window.go(Step.PLAN)
    assert "The open image is MR, not CT" in patient.desk.banner.text


def test_one_series_opens_without_a_question_and_says_what_was_done(
    app: QApplication, patient: PatientPage, tmp_path: Path
) -> None:
    made = phantom.dicom_slices(phantom.voxels(), PLACE)
    for k, data in enumerate(made):
        data.ImagePositionPatient[1] = float(data.ImagePositionPatient[1]) + 0.5 * k
    patient.load(phantom.write_dicom(tmp_path / "tilted", made))
    assert wait_for(app, lambda: patient.session.case.volume is not None)
    assert not patient.findChildren(SeriesChooser)
    assert patient.desk.banner.text.startswith("The gantry was tilted by 11.3 deg")
    window = patient.window()
    assert isinstance(window, MainWindow)
    window.tick()
    noted = patient.findChild(QLabel, "image_notes")
    assert isinstance(noted, QLabel)
    assert "resampled" in noted.text()


def test_one_series_that_cannot_be_used_is_refused_in_words(
    app: QApplication, patient: PatientPage, disc: Path
) -> None:
    patient.load(disc / "gap")
    assert wait_for(app, lambda: "missing slice" in patient.desk.banner.text)
    assert patient.session.case.volume is None


def test_listing_can_be_cancelled(app: QApplication, patient: PatientPage, disc: Path) -> None:
    patient.load(disc)
    patient.desk.worker.cancel()
    assert wait_for(app, lambda: not patient.desk.worker.busy)
    assert not patient.findChildren(SeriesChooser)


def test_structures_that_overlap_are_said(
    app: QApplication, patient: PatientPage, tmp_path: Path
) -> None:
    made = phantom.dicom_slices(phantom.voxels(), PLACE)
    for data in made:
        data.StudyInstanceUID = "1.2.55"
    ct = read_volume(phantom.write_dicom(tmp_path / "ct", made))
    liver, lesion = np.zeros((2, *ct.voxels.shape), np.bool_)
    liver[2:7, 2:9, 2:9], lesion[4, 4:6, 4:6] = True, True
    structures = StructureSet(
        (Structure.of_mask(1, "liver", liver), Structure.of_mask(2, "lesion", lesion)),
        (9, 12, 14),
        ct.ct_from_voxel,
    )
    write_segmentation(tmp_path / "seg.dcm", structures, ct)
    patient.session.load_case(ct)
    patient.load_labels(tmp_path / "seg.dcm")
    assert wait_for(app, lambda: patient.session.case.labels is not None)
    labels = patient.session.case.labels
    assert labels is not None
    assert labels.mask("lesion").sum() == 4
    assert "Liver and lesion overlap" in patient.desk.banner.text
