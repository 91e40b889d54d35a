"""The limits under *Limits*: what was not checked is said, what is kept folds away."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton

from ir_nav.gui.limit_list import LimitList
from ir_nav.gui.limit_rows import LimitRow, Standing, limit_rows, limits_mood, limits_state
from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import prepare, shipped_protocol
from ir_nav.session.approval import UncheckedError
from ir_nav.session.errors import SessionError
from ir_nav.session.session import Session

NAMES = {1: "rib_right_7", 2: "rib_right_8", 3: "bowel_gas", 4: "lung_left", 5: "liver"}


@pytest.fixture(scope="module")
def volume() -> Volume:
    voxels = np.full((60, 60, 60), -1000, np.int16)
    voxels[8:52, 8:52, 8:52] = 40
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -59.0
    return Volume(voxels, affine, "blake2b:limits", VolumeInfo())


def planned(volume: Volume, *numbers: int, protocol: str = "liver_biopsy") -> Session:
    """A path along y through the middle, past what has these numbers."""
    voxels = np.zeros(volume.voxels.shape, np.uint8)
    places = {
        1: np.s_[29:31, 9:12, 20:29],
        2: np.s_[28:32, 14:16, 30:34],
        3: np.s_[48:50, 48:50, 10:12],
        4: np.s_[9:11, 9:11, 9:11],
        5: np.s_[20:40, 20:40, 20:40],
    }
    for number in numbers:
        voxels[places[number]] = number
    session = Session()
    session.load_case(volume, LabelMap(voxels, volume.ct_from_voxel, NAMES))
    session.planning.use_protocol(shipped_protocol(protocol))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.planning.set_target((0.0, 0.0, 0.0))
    session.planning.set_entry((0.0, -43.0, 0.0))
    return session


def rows_of(session: Session) -> tuple[LimitRow, ...]:
    return limit_rows(session.planning.findings, session.planning.ground, session.planning.protocol)


def test_what_was_not_looked_for_is_not_called_kept(volume: Volume) -> None:
    session = planned(volume, 3)  # as after *Automatic*: nothing but gas has a label
    rows = {row.name: row for row in rows_of(session)}
    unchecked = {name for name, row in rows.items() if row.standing is Standing.UNCHECKED}
    assert unchecked == {"Spinal cord", "Vessel", "Bowel", "Organ"}
    assert rows["Vessel"].verdict == "not checked"
    assert rows["Bowel"].verdict == "gas only checked"
    assert (rows["Lung"].value, rows["Lung"].verdict) == ("over 25 mm", "kept")
    assert (rows["To capsule"].verdict, rows["To capsule"].limit) == (
        "not measured",
        "no liver label",
    )
    assert limits_state(rows_of(session)) == "4 not checked"
    assert limits_mood(rows_of(session)) == "warn"
    with pytest.raises(UncheckedError) as refused:
        session.approving.approve()
    assert set(refused.value.unchecked) == {"Spinal cord", "Vessel", "Bowel (gas only)", "Organ"}


def test_a_label_of_the_organ_and_the_lobes_makes_it_measured(volume: Volume) -> None:
    rows = {row.name: row for row in rows_of(planned(volume, 5))}
    assert rows["To capsule"].verdict == "kept"
    lung = {row.name: row for row in rows_of(planned(volume, 4, protocol="lung_biopsy"))}
    assert lung["Pleura crossed"].verdict == "kept"
    assert lung["Fissures crossed"].standing is Standing.UNCHECKED, "no lobes are known"
    none = {row.name: row for row in rows_of(planned(volume, 5, protocol="lung_biopsy"))}
    assert none["Pleura crossed"].verdict == "not measured"


def test_one_row_for_each_kind_and_the_worst_names_it(volume: Volume) -> None:
    session = planned(volume, 1, 2, 5)
    session.planning.set_target((0.0, 0.0, 0.0))
    rows = rows_of(session)
    bone = [row for row in rows if row.name.startswith("Bone")]
    assert [row.verdict for row in bone] == ["NOT KEPT"]
    assert limits_state(rows) == "1 broken"
    assert limits_mood(rows) == "bad"
    assert rows[0] is bone[0], "what is broken stands first"


def test_labels_of_one_rule_that_are_all_crossed_are_said_once(volume: Volume) -> None:
    voxels = np.zeros(volume.voxels.shape, np.uint8)
    voxels[25:35, 10:14, 25:35] = 1
    voxels[25:35, 15:18, 25:35] = 2
    names = {1: "lung_upper_lobe_right", 2: "lung_lower_lobe_right"}
    session = Session()
    session.load_case(volume, LabelMap(voxels, volume.ct_from_voxel, names))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.planning.set_target((0.0, 0.0, 0.0))
    session.planning.set_entry((0.0, -43.0, 0.0))
    lungs = [row for row in rows_of(session) if row.name.startswith("Lung")]
    assert [(row.name, row.value) for row in lungs] == [("Lung: Right lung", "crossed")]
    with pytest.raises(SessionError, match=r"Right lung: crossed; Pleura crossed"):
        session.approving.approve()


def test_a_forbidden_structure_is_named_as_such(volume: Volume) -> None:
    session = planned(volume, 5, protocol="lung_biopsy")
    with pytest.raises(SessionError, match="it goes through the liver, which Lung biopsy forbids"):
        session.approving.approve(confirmed=True)


def test_kept_rows_fold_away_and_a_narrow_list_takes_two_lines(app: QApplication) -> None:
    listed = LimitList()
    broken = LimitRow("Bone: Right rib 7", "1.0 mm", "at least 2 mm", "NOT KEPT", Standing.BROKEN)
    kept = LimitRow("Length", "67.7 mm", "at least 30 mm", "kept", Standing.KEPT)
    listed.show_rows((broken, kept))
    listed.resize(450, 300)
    listed.show()
    app.processEvents()
    cells = {cell.text(): cell for cell in listed.findChildren(QLabel)}
    fold = listed.findChild(QPushButton, "kept_limits")
    assert fold is not None
    assert fold.text() == "1 kept"
    assert not cells["67.7 mm"].isVisible()
    QTest.mouseClick(fold, Qt.MouseButton.LeftButton)
    assert cells["67.7 mm"].isVisible()
    assert cells["1.0 mm"].y() == cells["NOT KEPT"].y()
    listed.resize(320, 300)
    app.processEvents()
    assert cells["1.0 mm"].y() > cells["NOT KEPT"].y()
    for cell in cells.values():
        assert cell.geometry().right() <= listed.width()
    listed.show_rows((kept,))
    assert fold.isHidden()
    assert cells["67.7 mm"].isVisible(), "nothing is folded while nothing is broken"
