"""The Plan page's sections, and planning through their widgets: protocol, skin, approval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QScrollArea, QWidget

from ir_nav.gui import theme
from ir_nav.gui.header import header_of
from ir_nav.gui.pages.plan import REMEMBERED, PlanPage
from ir_nav.imaging import Volume
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.gui.planner import LEFT, Planner, Windows
from tests.session.test_planning import BEHIND_RIB, FREE, labels

SIDE_MM = np.array((6.0, 0.0, 0.0))
SECTIONS = ("path", "limits", "structures", "needle", "reading")


def test_one_section_is_in_sight_and_it_is_remembered(
    planner: Planner, make_window: Windows
) -> None:
    page, tabs = planner.page, [planner.button(f"section_{name}") for name in SECTIONS]
    for name, tab in zip(SECTIONS, tabs, strict=True):
        planner.click(f"section_{name}")
        assert page.sections.current == name.capitalize()
        assert [one.isChecked() for one in tabs].count(True) == 1
        assert tab.isChecked()
        assert tab.text().startswith(name.capitalize())
        assert planner.button("approve_plan").isVisible(), "the foot is always in sight"
    QTest.keyClick(planner.window, Qt.Key.Key_F6)
    assert page.sections.current == "Path"
    QTest.keyClick(planner.window, Qt.Key.Key_F6, Qt.KeyboardModifier.ShiftModifier)
    assert page.sections.current == "Reading"
    planner.click("section_limits")
    assert planner.window.settings.value(REMEMBERED) == "Limits"
    again = make_window(Session()).pages[Step.PLAN]
    assert isinstance(again, PlanPage)
    assert again.sections.current == "Limits"


def test_each_section_says_where_it_stands(planner: Planner) -> None:
    session = planner.session

    def state(name: str) -> str:
        return planner.button(f"section_{name}").text().split("\n")[1]

    assert [state(name) for name in SECTIONS] == ["–", "–", "6", "–", "–"]
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    session.planning.set_entry(FREE)
    planner.settle()
    assert state("path") == "61 mm"
    assert state("limits") == "✓ kept"
    session.planning.set_entry(BEHIND_RIB)
    planner.settle()
    assert state("limits") == "1 broken"
    session.planning.set_entry(FREE)
    planner.click("approve_plan")
    assert state("needle") == "18 G"


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)])
def test_no_section_is_wider_than_the_column_nor_scrolls_on_a_large_screen(
    planner: Planner, size: tuple[int, int]
) -> None:
    planner.window.resize(*size)
    planner.session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    planner.click("section_path")
    planner.click("propose_path")
    for name in SECTIONS:
        planner.click(f"section_{name}")
        planner.settle()  # a list takes its narrow form once it knows its width
        area = planner.page.sections.findChild(QScrollArea)
        assert area is not None
        inside = [one for one in planner.page.sections.findChildren(QScrollArea) if one.isVisible()]
        for one in inside:
            held = one.widget()
            if not isinstance(held, QWidget) or one.parentWidget() is None:
                continue
            assert held.minimumSizeHint().width() <= one.viewport().width(), name  # type: ignore[union-attr]
            if size[1] == 1080 or name == "path":
                assert held.height() <= one.viewport().height(), name  # type: ignore[union-attr]


def test_another_protocol_sorts_proposes_and_is_undone(planner: Planner, tmp_path: Path) -> None:
    session, window = planner.session, planner.window
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    planner.click("propose_path")
    before = session.planning.proposals
    assert before is not None
    planner.choose("protocol", "Liver ablation")
    assert session.planning.protocol.name == "Liver ablation"
    planner.until(lambda: session.planning.proposals is not None)
    assert session.planning.proposals is not before
    assert session.planning.ground is not None
    assert session.planning.ground.protocol.name == "Liver ablation"
    assert window.state is not None
    header = header_of(session, window.state, Step.PLAN, None)
    assert header.procedure == "Liver ablation"
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    planner.settle()
    box = window.findChild(QComboBox, "protocol")
    assert box is not None
    assert session.planning.protocol.name == box.currentText() == "Liver biopsy"
    # A department's own file, and one with a fault.
    shipped = Path("plans/protocols/liver_biopsy.toml").resolve().read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(shipped.replace('name = "Liver biopsy"', 'name = "Ours"', 1), encoding="utf-8")
    planner.page.points.protocols.load(own)
    assert session.planning.protocol.name == box.currentText() == "Ours"
    own.write_text("format = 2", encoding="utf-8")
    planner.page.points.protocols.load(own)
    assert session.planning.protocol.name == "Ours"
    assert "own.toml" in window.desk.banner.text


def test_skin_is_painted_in_a_slice_and_no_path_goes_in_there(planner: Planner) -> None:
    session, page = planner.session, planner.page
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    planner.click("propose_path")
    assert session.planning.proposals is not None
    best = session.planning.proposals.paths[0].path.entry_ct_mm
    page.axial.look(np.array([0.0, 0.0, best[2]]))
    planner.click("keep_skin_free")
    assert page.tools.active is not None
    for _ in range(3):
        QTest.keyClick(page.axial, Qt.Key.Key_BracketRight)
    _drag(page.axial, best - SIDE_MM, best + SIDE_MM)
    dabs = session.planning.now.keep_out
    assert dabs
    assert dabs[0].radius_mm == pytest.approx(15.0 * 1.25**3)
    planner.settle()
    planner.until(lambda: session.planning.proposals is not None)
    assert session.planning.proposals is not None
    for one in session.planning.proposals.paths:
        assert np.linalg.norm(one.path.entry_ct_mm - best) > 20.0
    assert page.kept_free.mask is not None
    assert page.kept_free.mask.any()
    assert any(part.colour == theme.DANGER_ZONE for part in page._painted)
    # Saved with the CT: it is there when the CT is opened again.
    session.load_case(session.case.volume, session.case.labels)  # type: ignore[arg-type]
    planner.settle()
    assert session.planning.now.keep_out == dabs
    session.planning.clear_paint()
    planner.settle()
    QTest.keyClick(planner.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.planning.now.keep_out == dabs


def _drag(view: QWidget, first: np.ndarray, last: np.ndarray) -> None:
    ends = [view.to_view(point) for point in (first, last)]  # type: ignore[attr-defined]
    start, end = (QPoint(int(at[0]), int(at[1])) for at in ends)
    QTest.mousePress(view, LEFT, pos=start)
    for part in (0.5, 1.0):
        at = QPointF(start) + (QPointF(end) - QPointF(start)) * part
        move = QMouseEvent(
            QEvent.Type.MouseMove,
            at,
            view.mapToGlobal(at),
            Qt.MouseButton.NoButton,
            LEFT,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(view, move)
    QTest.mouseRelease(view, LEFT, pos=end)


def test_approving_asks_about_what_was_not_checked(planner: Planner, block: Volume) -> None:
    session = planner.session
    session.set_labels(labels(block, 6, 9))
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    session.planning.set_entry(BEHIND_RIB)
    planner.until(lambda: session.planning.ground is not None)
    planner.click("approve_plan")
    assert "Right rib 7" in planner.window.desk.banner.text
    assert not planner.button("confirm_approval").isVisible(), "no confirmation for a hard limit"
    session.planning.set_entry(FREE)
    planner.settle()
    planner.click("approve_plan")
    assert session.planning.plan is None
    assert "Vessel" in planner.words("approval_question")
    assert "Spinal cord" in planner.words("approval_question")
    assert not planner.button("approve_plan").isVisible()
    # Another path: the question was about the one before.
    session.planning.set_entry((14.0, -60.0, 0.0))
    planner.settle()
    assert planner.button("approve_plan").isVisible()
    planner.click("approve_plan")
    planner.click("decline_approval")
    assert session.planning.plan is None
    planner.click("approve_plan")
    planner.click("confirm_approval")
    assert session.planning.plan is not None


def test_needles_of_an_ablation_are_added_listed_and_removed(planner: Planner) -> None:
    session = planner.session
    planner.choose("protocol", "Liver ablation")
    planner.until(lambda: session.planning.ground is not None)
    session.planning.set_target((0.0, 0.0, 0.0), "Aorta")
    session.planning.set_entry(FREE)
    planner.settle()
    planner.click("approve_plan")
    assert not planner.button("add_needle").isVisible()
    planner.click("section_needle")
    assert "Choose an ablation device" in planner.words("needles_hint")
    box = planner.window.findChild(QComboBox, "instrument")
    assert box is not None
    device = next(box.itemText(n) for n in range(box.count()) if "icrowave" in box.itemText(n))
    planner.choose("instrument", device)
    assert session.planning.plan is not None
    assert session.planning.plan.instrument.kind == "ablation", planner.window.desk.banner.text
    session.planning.set_target((10.0, 0.0, 0.0), "Aorta")
    session.planning.set_entry((22.0, -60.0, 0.0))
    planner.settle()
    planner.click("add_needle")
    assert len(session.planning.plan.paths) == 2
    assert planner.button("add_needle").text() == "Add as needle 3"
    planner.until(lambda: "no lesion outlined" in planner.words("needles_coverage"))
    assert planner.button("section_needle").text().endswith("2 of 3")
    planner.click("remove_needle_1")
    assert len(session.planning.plan.paths) == 1
    np.testing.assert_allclose(session.planning.plan.path.entry_ct_mm, (22.0, -60.0, 0.0))
