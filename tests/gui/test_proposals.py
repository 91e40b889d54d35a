"""Proposed paths in the window: the list, its keys, the findings, the painted skin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from ir_nav.gui import theme
from ir_nav.gui.limit_rows import value_words, verdict_words
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.scene_request import Surface
from ir_nav.gui.skin_quality import TONES, painted_skin
from ir_nav.imaging import LabelMap, Volume, skin_surface
from ir_nav.planning import PlanFinding, prepare, propose, shipped_protocol
from ir_nav.planning.findings import room_mm
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.gui.test_parts import wait_for

Windows = Callable[..., MainWindow]


@pytest.fixture
def ribbed(volume: Volume) -> LabelMap:
    """A liver in the middle and a rib in front of half of it."""
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    numbers[25:55, 25:55, 25:55] = 5
    numbers[30:50, 14:17, 20:40] = 1
    return LabelMap(numbers, volume.ct_from_voxel, {5: "liver", 1: "rib_left_7"})


def show_limits(page: PlanPage) -> None:
    """Bring the limits into sight as a user does."""
    tab = page.findChild(QPushButton, "section_limits")
    assert tab is not None
    QTest.mouseClick(tab, Qt.MouseButton.LeftButton)
    assert page.sections.current == "Limits"


def test_paths_are_listed_chosen_by_key_and_judged_in_words(
    app: QApplication, make_window: Windows, volume: Volume, ribbed: LabelMap
) -> None:
    session = Session()
    session.load_case(volume, ribbed)
    window = make_window(session)
    window.go(Step.PLAN)
    page = window.pages[Step.PLAN]
    assert isinstance(page, PlanPage)
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    page.propose()
    assert wait_for(app, lambda: session.planning.proposals is not None, 60.0), (
        window.desk.banner.text
    )
    proposals = session.planning.proposals
    assert proposals is not None
    assert 3 <= len(proposals.paths) <= 5
    page.show_state(window.state)
    rows = [page.findChild(QPushButton, f"proposal_{n}") for n in range(1, 6)]
    shown = [row for row in rows if row is not None and row.isVisibleTo(page)]
    assert len(shown) == len(proposals.paths)
    for row, path in zip(shown, proposals.paths, strict=True):
        assert f"{path.path.length_mm:.0f} mm" in row.text()
        near = path.limiting
        expected = "over 25 mm" if near is None else f"{room_mm(near):.1f} mm to spare"
        assert expected in row.text()
    legend = page.findChild(QWidget, "skin_legend")
    assert legend is not None
    assert legend.isVisibleTo(page), "the skin is painted"
    QTest.keyClick(window, Qt.Key.Key_2)
    entry = session.planning.draft.entry_ct_mm
    assert entry is not None
    np.testing.assert_array_equal(entry, proposals.paths[1].path.entry_ct_mm)
    page.show_state(window.state)
    assert [row.isChecked() for row in shown].index(True) == 1
    show_limits(page)
    kept = page.findChild(QPushButton, "kept_limits")
    assert kept is not None
    QTest.mouseClick(kept, Qt.MouseButton.LeftButton)
    words = {cell.text() for cell in page.findChildren(QLabel) if cell.isVisibleTo(page)}
    assert "kept" in words
    QTest.keyClick(window, Qt.Key.Key_5 if len(shown) < 5 else Qt.Key.Key_1)
    # Entry into the rib: the list says so at once.
    session.planning.set_entry((-19.0, -59.0, 0.0))
    page.show_state(window.state)
    words = {cell.text() for cell in page.findChildren(QLabel) if cell.isVisibleTo(page)}
    assert "NOT KEPT" in words
    assert "Bone: Left rib 7" in words


def test_proposals_follow_the_target(
    app: QApplication, make_window: Windows, volume: Volume, ribbed: LabelMap
) -> None:
    session = Session()
    session.load_case(volume, ribbed)
    window = make_window(session)
    window.go(Step.PLAN)
    page = window.pages[Step.PLAN]
    assert isinstance(page, PlanPage)
    session.planning.set_target((0.0, 0.0, 0.0))
    page.propose()
    assert wait_for(app, lambda: session.planning.proposals is not None, 60.0)
    entry = session.planning.draft.entry_ct_mm
    session.planning.set_target((10.0, 5.0, 0.0))
    assert session.planning.proposals is None

    def followed() -> bool:
        page.show_state(window.state)
        return session.planning.proposals is not None

    assert wait_for(app, followed, 60.0)
    assert session.planning.proposals is not None
    np.testing.assert_allclose(session.planning.proposals.skin.target_ct_mm, (10.0, 5.0, 0.0))
    assert session.planning.draft.entry_ct_mm is entry  # a drag moves one end only
    # Where no path is left the card says why.
    session.planning.set_target((-19.0, -45.0, 0.0))

    def refused() -> bool:
        page.show_state(window.state)
        text = page.findChild(QLabel, "proposals_reason")
        return text is not None and text.text().startswith("No safe straight path")

    assert wait_for(app, refused, 60.0)


def test_the_skin_is_painted_where_a_path_may_go(volume: Volume, ribbed: LabelMap) -> None:
    rules = shipped_protocol()
    ground = prepare(volume, ribbed, rules)
    found = propose(ground, rules, (0.0, 0.0, 0.0))
    mesh = skin_surface(volume, 4000)
    skin = Surface(mesh, theme.SKIN, 0.28)
    other = Surface(mesh, "#123456", 1.0)
    painted = painted_skin((skin, other), ground.skin, found.skin)
    assert painted[-1] is other
    parts = {part.colour: part.mesh for part in painted[:-1]}
    assert sum(len(part.triangles) for part in parts.values()) == len(mesh.triangles)
    assert TONES[-1] in parts
    for tone in TONES:
        if tone not in parts:
            continue
        middles = parts[tone].points_ct_mm[parts[tone].triangles].mean(axis=1)
        _, nearest = ground.skin.tree.query(middles)
        assert (found.skin.quality[nearest] > 0.0).all()
    behind = parts[theme.SKIN].points_ct_mm[parts[theme.SKIN].triangles].mean(axis=1)
    assert (behind[:, 1] > 50.0).any()


def test_words_of_findings() -> None:
    kept = PlanFinding("Clearance", "Aorta", 7.26, "mm", 5.0, True, True)
    assert (value_words(kept), verdict_words(kept)) == ("7.3 mm", "kept")
    assert kept.limit_words == "at least 5 mm"
    steep = PlanFinding("Tilt at the skin", "", 71.0, "°", 60.0, True, False, most=True)
    assert (value_words(steep), verdict_words(steep)) == ("71°", "NOT KEPT")
    assert steep.limit_words == "at most 60°"
    wish = PlanFinding("Clear", "", 40.0, "%", 80.0, False, False)
    assert verdict_words(wish) == "wish not met"
    assert verdict_words(PlanFinding("Length", "", 50.0, "mm", None, False, True)) == ""
