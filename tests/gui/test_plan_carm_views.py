"""The C-arm's views of the path that is being planned, by the reach of the room's own C-arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtWidgets import QComboBox, QLabel

from ir_nav.gui.carm_views_card import CArmViewsCard, views_line
from ir_nav.planning import PlannedPath
from ir_nav.registration.fluoro.carm_angles import (
    CArmReach,
    PatientPosition,
    entry_view,
    progress_views,
)
from ir_nav.review.plan_sheet import SheetContent
from ir_nav.session.room import Room, parse_room
from tests.gui.planner import Planner
from tests.session.test_room import ROOM

# From the patient's right, a little from the feet.
ENTRY, TARGET = np.array([-59.0, -4.0, -6.0]), np.zeros(3)


def words(planner: Planner, name: str) -> str:
    card = planner.page.findChild(CArmViewsCard)
    assert card is not None
    found = card.findChild(QLabel, name)
    assert found is not None
    return found.text()


def look(planner: Planner) -> None:
    """The path rests for two ticks, then is worked out."""
    for _ in range(2):
        planner.window.tick()
        planner.settle()


def room(reach: str) -> Room:
    return parse_room(ROOM.replace("[case]", f"[fluoro.reach]\n{reach}\n[case]"), None)


def test_the_views_follow_the_path_that_is_planned(planner: Planner) -> None:
    planning = planner.session.planning
    planner.click("section_needle")
    look(planner)
    assert words(planner, "fact_entry_view") == "—"
    assert words(planner, "carm_reach") == "Place target and entry to see them."
    planning.set_target(TARGET, "Liver")
    planning.set_entry(ENTRY)
    look(planner)
    expected = entry_view(ENTRY, TARGET), *progress_views(ENTRY, TARGET)
    for name, view in zip(("entry_view", "progress_1", "progress_2"), expected, strict=True):
        assert words(planner, f"fact_{name}") == f"✓ {view.wanted}"
    assert "In reach, assumed: RAO 100° to LAO 100°" in words(planner, "carm_reach")
    moved = ENTRY + np.array([0.0, 14.0, 10.0])
    planning.set_entry(moved)
    planner.window.tick()
    assert words(planner, "fact_entry_view") == "—", "never the views of another path"
    look(planner)
    assert words(planner, "fact_entry_view") == f"✓ {entry_view(moved, TARGET).wanted}"


def test_reach_is_that_of_the_rooms_own_c_arm(planner: Planner) -> None:
    session = planner.session
    session.planning.set_target(TARGET, "Liver")
    session.planning.set_entry(ENTRY)
    planner.click("section_needle")
    session.connection.room = room("rao_deg = 30\nlao_deg = 30")
    look(planner)
    own = CArmReach(rao_deg=30.0, lao_deg=30.0)
    view = entry_view(ENTRY, TARGET, own)
    assert not view.reachable
    told = f"✕ {view.wanted}: nearest {view.nearest}, {view.off_deg:.0f}° off"
    assert words(planner, "fact_entry_view") == told
    note = words(planner, "carm_reach")
    assert note.startswith("In reach, by the room file: RAO 30° to LAO 30°, CAUD 45° to CRAN 45°")
    session.connection.room = room("")
    look(planner)
    assert words(planner, "fact_entry_view").startswith("✓")


def test_how_the_patient_lies_is_said_once_and_of_one_patient(planner: Planner) -> None:
    session = planner.session
    session.planning.set_target(TARGET, "Liver")
    session.planning.set_entry(ENTRY)
    session.connection.room = room("rao_deg = 30\nlao_deg = 100")
    planner.click("section_needle")
    look(planner)
    supine = words(planner, "fact_entry_view")
    card = planner.page.findChild(CArmViewsCard)
    assert card is not None
    lying = card.findChild(QComboBox, "patient_lies")
    assert lying is not None
    lying.setCurrentIndex(lying.findText("feet first, on the back"))
    look(planner)
    assert session.fluoro.position is PatientPosition.FEET_FIRST_SUPINE
    # The room reaches to its left only: feet first, that is the patient's right.
    assert supine.startswith("✓ LAO")
    assert words(planner, "fact_entry_view").startswith("✓ RAO")
    volume, labels = session.case.volume, session.case.labels
    assert volume is not None
    assert labels is not None
    other = type(volume)(volume.voxels, volume.ct_from_voxel, "another", volume.description)
    session.load_case(other, labels)
    assert session.fluoro.position is PatientPosition.HEAD_FIRST_SUPINE


def test_one_line_for_paper_says_what_is_out_of_reach() -> None:
    path = PlannedPath.between(ENTRY, TARGET)
    line = views_line(path, CArmReach(), PatientPosition.HEAD_FIRST_SUPINE)
    entry = entry_view(ENTRY, TARGET)
    assert line.startswith(f"Entry view {entry.wanted}; progress 1 ")
    assert line.endswith("patient head first, on the back")
    assert "out of reach" not in line
    near = CArmReach(rao_deg=20.0, lao_deg=20.0)
    told = views_line(path, near, PatientPosition.HEAD_FIRST_SUPINE)
    assert f"(out of reach, nearest {entry_view(ENTRY, TARGET, near).nearest})" in told


def test_the_card_pushes_nothing_out_on_a_small_screen(planner: Planner) -> None:
    planner.window.resize(1366, 768)
    session = planner.session
    session.planning.set_target(TARGET, "Liver")
    session.planning.set_entry(ENTRY)
    planner.click("section_needle")
    look(planner)
    card = planner.page.findChild(CArmViewsCard)
    assert card is not None
    assert "✓" in words(planner, "fact_progress_2")
    approve = planner.button("approve_plan")
    top = approve.mapTo(planner.window, approve.rect().topLeft()).y()
    assert card.mapTo(planner.window, card.rect().bottomLeft()).y() < top
    # The longest words there are: all three out of reach.
    session.connection.room = room("rao_deg = 1\nlao_deg = 1\ncaudal_deg = 1\ncranial_deg = 1")
    look(planner)
    assert "✕" in words(planner, "fact_entry_view")
    assert card.minimumSizeHint().width() <= card.width()
    assert approve.mapTo(planner.window, approve.rect().topLeft()).y() == top


def test_the_sheet_has_the_views(
    planner: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[SheetContent] = []
    monkeypatch.setattr(
        "ir_nav.gui.plan_export_card.write_plan_sheet", lambda content, _: written.append(content)
    )
    planning = planner.session.planning
    planning.set_target(TARGET, "Liver")
    planning.set_entry(ENTRY)
    planner.session.connection.room = room("rao_deg = 30\nlao_deg = 30")
    planner.click("section_needle")
    planner.click("approve_plan")
    planner.page._papers.write_sheet(tmp_path / "sheet.pdf")
    planner.settle()
    reach = CArmReach(rao_deg=30.0, lao_deg=30.0)
    path = PlannedPath.between(ENTRY, TARGET)
    assert written[0].carm == views_line(path, reach, PatientPosition.HEAD_FIRST_SUPINE)
    assert "out of reach" in written[0].carm
