"""Plan by hand: points placed and dragged, what the views show, approving, and undo of each."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QLineEdit

from ir_nav.gui import theme
from ir_nav.gui.header import header_of
from ir_nav.gui.points_card import CHOOSE
from ir_nav.gui.scene_records import Handle
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.imaging import LabelMap, Volume
from ir_nav.imaging.segmentation import brushed
from ir_nav.session.steps import Step
from tests.gui.conftest import pixels
from tests.gui.planner import Planner
from tests.session.test_planning import FREE, NAMES, labels

LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier
FRONT_MM = -60.0  # of the block's skin
SECOND = (22.0, FRONT_MM, 0.0)


def undo(planner: Planner) -> None:
    QTest.keyClick(planner.window, Qt.Key.Key_Z, CONTROL)
    planner.settle()


def seen(view: BrowsableSlice, point_ct_mm: ArrayLike) -> QPointF:
    at = view.to_view(np.asarray(point_ct_mm, dtype=float))
    return QPointF(float(at[0]), float(at[1]))


def move(view: BrowsableSlice, at: QPointF) -> None:
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        at,
        view.mapToGlobal(at),
        Qt.MouseButton.NoButton,
        LEFT,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(view, event)


def scene_names(planner: Planner) -> list[str]:
    picture = planner.page.scene._picture
    return [] if picture is None else [name for *_, name in picture.names]


def drag(planner: Planner, view: BrowsableSlice, first: QPointF, by: QPointF, parts: int) -> None:
    """In so many moves, the page being shown anew after each."""
    QTest.mousePress(view, LEFT, pos=first.toPoint())
    for part in range(1, parts + 1):
        move(view, first + by * (part / parts))
        planner.window.tick()
    QTest.mouseRelease(view, LEFT, pos=(first + by).toPoint())
    planner.settle()


def placed(planner: Planner) -> None:
    planner.session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    planner.session.planning.set_entry(FREE)
    planner.settle()


def ablation(planner: Planner) -> None:
    """One needle of an ablation approved, and a device chosen for it."""
    planner.choose("protocol", "Liver ablation")
    planner.until(lambda: planner.session.planning.ground is not None)
    placed(planner)
    planner.click("approve_plan")
    planner.click("section_needle")
    box = planner.window.findChild(QComboBox, "instrument")
    assert box is not None
    device = next(box.itemText(n) for n in range(box.count()) if "icrowave" in box.itemText(n))
    planner.choose("instrument", device)


def test_a_placing_ends_with_its_click_with_escape_and_with_a_tool(planner: Planner) -> None:
    page, session, view = planner.page, planner.session, planner.page.axial
    plain = pixels(view, view.width(), view.height())
    planner.click("place_target")
    assert page.hands.armed is Handle.TARGET
    hinted = np.argwhere((pixels(view, view.width(), view.height()) != plain).any(axis=2))
    assert len(hinted) > 100, "words over the slice"
    assert hinted[:, 0].max() < 80
    middle = view.rect().center()
    QTest.mouseClick(view, LEFT, pos=middle)
    target = session.planning.draft.target_ct_mm
    assert target is not None
    assert page.hands.armed is None
    assert not planner.button("place_target").isChecked()
    QTest.mouseClick(view, LEFT, pos=middle + QPoint(30, 30))
    assert session.planning.draft.target_ct_mm is target
    planner.click("place_target")
    QTest.keyClick(planner.window, Qt.Key.Key_Escape)
    assert page.hands.armed is None
    QTest.keyClick(planner.window, Qt.Key.Key_E)
    assert page.hands.armed is Handle.ENTRY
    page.reading.use("distance")
    assert page.hands.armed is None
    assert page.tools.active is not None
    planner.click("place_entry")
    assert page.tools.active is None, "the later one holds"


def test_a_tool_comes_before_a_placing_and_a_drag_places_nothing(planner: Planner) -> None:
    page, session, view = planner.page, planner.session, planner.page.axial
    planner.click("place_target")
    window = view.window_level_hu
    start = QPointF(view.rect().center())
    drag(planner, view, start, QPointF(40.0, 30.0), 4)
    assert session.planning.draft.target_ct_mm is None
    assert page.hands.armed is Handle.TARGET
    assert view.window_level_hu != window, "a drag is the window's, as ever"
    # Even if a placing were left armed, the tool in use has the mouse.
    page.reading.use("distance")
    view.set_picking(True)
    drag(planner, view, start, QPointF(60.0, 0.0), 3)
    view.set_picking(False)
    assert session.planning.draft.target_ct_mm is None
    assert len(page.reading.desk.annotations.book.items) == 1


def test_a_point_follows_the_pointer_and_the_drag_is_one_step(planner: Planner) -> None:
    placed(planner)
    before = planner.session.planning.now
    for view in planner.page.slices:
        view.set_field(160.0)  # zoomed in: the picture must not jump under the pointer
        at = seen(view, (0.0, 0.0, 0.0))
        by = QPointF(12.0 / view.mm_per_px, 8.0 / view.mm_per_px)
        right, down, _ = view.axes_ct
        drag(planner, view, at, by, 12)
        target = planner.session.planning.draft.target_ct_mm
        assert target is not None
        np.testing.assert_allclose(target, 12.0 * right + 8.0 * down, atol=1.5)
        undo(planner)
        assert planner.session.planning.now is before, "one drag, one undo"


def test_an_entry_dragged_along_the_path_does_not_run_away_and_lands_on_the_skin(
    planner: Planner,
) -> None:
    placed(planner)
    page, session, view = planner.page, planner.session, planner.page.along
    before, axes = session.planning.now, view.axes_ct
    at = seen(view, FREE)
    across = seen(view, np.asarray(FREE) + 20.0 * axes[1]) - at
    outward = seen(view, np.asarray(FREE) - np.array((0.0, 6.0, 0.0))) - at
    QTest.mousePress(view, LEFT, pos=at.toPoint())
    for part in range(1, 11):
        move(view, at + (across + outward) * (part / 10.0))
        planner.window.tick()
    np.testing.assert_array_equal(view.axes_ct, axes)
    dragged = session.planning.draft.entry_ct_mm
    assert dragged is not None
    assert np.linalg.norm(dragged - FREE) == pytest.approx(np.hypot(20.0, 6.0), abs=2.0)
    QTest.mouseRelease(view, LEFT, pos=(at + across + outward).toPoint())
    planner.settle()
    entry = session.planning.draft.entry_ct_mm
    assert entry is not None
    assert entry[1] == pytest.approx(FRONT_MM, abs=1.5), "on the skin again"
    assert np.linalg.norm(entry - dragged) == pytest.approx(6.0, abs=2.0)
    assert page.hands._said == (view, "Entry moved 6 mm onto the skin")
    path = session.planning.draft.path
    assert path is not None
    assert abs(float(np.cross(view.axes_ct[0], view.axes_ct[1]) @ path.direction_ct)) < 1e-6
    undo(planner)
    assert session.planning.now is before
    # Far from the skin it stays where it was put.
    session.planning.set_entry((12.0, -30.0, 0.0))
    planner.settle()
    at = seen(page.axial, (12.0, -30.0, 0.0))
    drag(planner, page.axial, at, QPointF(3.0 / page.axial.mm_per_px, 0.0), 3)
    np.testing.assert_allclose(session.planning.draft.entry_ct_mm, (15.0, -30.0, 0.0), atol=1.0)


def test_a_drag_in_3d_is_one_step(planner: Planner) -> None:
    placed(planner)
    scene, session = planner.page.scene, planner.session
    scene.look_from(type(scene._camera)(azimuth_deg=0.0, elevation_deg=0.0))
    planner.until(lambda: scene._picture is not None and scene._picture.camera is scene._camera)
    before, lens = session.planning.now, scene.lens
    assert lens is not None

    def place(x_mm: float) -> QPoint:
        (x, y), *_ = lens.places((x_mm, FRONT_MM, 0.0))
        return QPoint(round(x * scene.width()), round(y * scene.height()))

    QTest.mousePress(scene, LEFT, pos=place(FREE[0]))
    for x_mm in (15.0, 19.0, 24.0):
        QTest.mouseMove(scene, place(x_mm))
    QTest.mouseRelease(scene, LEFT, pos=place(24.0))
    entry = session.planning.draft.entry_ct_mm
    assert entry is not None
    assert entry[0] == pytest.approx(24.0, abs=2.5)
    undo(planner)
    assert session.planning.now is before


def test_needles_are_added_first_and_a_plan_is_replaced_only_when_asked(planner: Planner) -> None:
    session = planner.session
    ablation(planner)
    alone = session.planning.plan
    assert alone is not None
    approve, add = planner.button("approve_plan"), planner.button("add_needle")
    assert (approve.text(), approve.isEnabled()) == ("Approved ✓", False)
    assert not add.isEnabled(), "this needle is there already"
    session.planning.set_target((10.0, 0.0, 0.0), "Liver")
    session.planning.set_entry(SECOND)
    planner.settle()
    assert (add.text(), add.property("kind")) == ("Add as needle 2", "primary")
    assert (approve.text(), approve.property("kind")) == ("Replace plan", "")
    planner.click("add_needle")
    both = session.planning.plan
    assert both is not None
    assert len(both.paths) == 2
    session.planning.set_entry((24.0, FRONT_MM, 0.0))
    planner.settle()
    assert planner.words("draft_differs") == "Draft differs from the approved plan (2 needles)"
    planner.until(lambda: scene_names(planner) == ["1", "2"])
    planner.click("approve_plan")
    assert planner.words("approval_question") == "Replace the plan of 2 needles?"
    assert not approve.isVisible()
    assert not add.isVisible()
    planner.click("keep_plan")
    assert session.planning.plan is both
    planner.click("approve_plan")
    planner.click("confirm_replacing")
    assert session.planning.plan is not None
    assert len(session.planning.plan.paths) == 1
    assert not session.planning.plan.instrument.device
    undo(planner)
    assert session.planning.plan is both, "needles and device are back"
    assert "followed again" in planner.window.desk.banner.text
    assert "2 needles" in planner.window.desk.banner.text
    undo(planner)
    undo(planner)
    assert session.planning.plan is alone
    assert session.planning.draft.target_ct_mm is not None
    assert session.planning.draft.target_ct_mm[0] == 10.0


def test_a_draft_that_differs_says_so_and_the_plan_is_drawn_grey(planner: Planner) -> None:
    page, session = planner.page, planner.session
    placed(planner)
    planner.click("approve_plan")
    assert page._overlays.approved == ()
    assert not planner.button("back_to_plan").isVisible()
    session.planning.set_entry((30.0, FRONT_MM, 0.0))
    planner.settle()
    assert planner.words("draft_differs") == "Draft differs from the approved plan (61 mm)"
    (drawn,) = page._overlays.approved
    np.testing.assert_allclose(drawn.entry_ct_mm, FREE, atol=1e-3)
    view = page.axial
    picture = pixels(view, view.width(), view.height())
    at = seen(view, (np.asarray(FREE) + drawn.target_ct_mm) / 2.0)
    x, y = int(at.x()), int(at.y())
    around = picture[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
    grey = np.array(theme.colour(theme.TEXT_2).getRgb()[:3])
    assert np.abs(around - grey).max(axis=1).min() < 40
    assert page.scene._overlays.approved == (drawn,)
    # The bar on top is about the plan, not about the protocol of the next draft.
    planner.choose("protocol", "Lung biopsy")
    assert planner.window.state is not None
    header = header_of(session, planner.window.state, Step.PLAN, None)
    assert header.procedure == "Liver biopsy · Liver"
    planner.click("back_to_plan")
    assert session.planning.now.is_approved
    assert session.planning.protocol.name == "Liver biopsy"
    assert page._overlays.approved == ()
    planner.until(lambda: planner.button("approve_plan").text() == "Approved ✓")


def test_views_are_named_for_what_they_show(planner: Planner) -> None:
    page, session = planner.page, planner.session
    square = ((page.along, (0.0, 1.0, 0.0), "CT coronal"), (page.down, (1.0, 0, 0), "CT sagittal"))

    def are_square() -> bool:
        return all(
            view.accessibleName() == title and abs(float(view.axes_ct[2] @ np.array(normal))) == 1.0
            for view, normal, title in square
        )

    assert are_square()
    session.planning.set_target((10.0, -6.0, 4.0))
    planner.settle()
    assert are_square()
    assert page.along.centre_ct_mm[1] == pytest.approx(-6.0)
    assert page.down.centre_ct_mm[0] == pytest.approx(10.0)
    session.planning.set_entry(FREE)
    planner.settle()
    assert page.along.accessibleName() == "Along the path"
    assert page.down.accessibleName() == "Down the path"
    undo(planner)
    assert are_square()


def test_the_page_opens_at_the_protocols_organ(planner: Planner, block: Volume) -> None:
    numbers = np.zeros(block.voxels.shape, np.uint8)
    numbers[50:60, 20:30, 14:24] = 5  # the liver, at the head and the right
    session = planner.session
    other = Volume(block.voxels, block.ct_from_voxel, "blake2b:other", block.description)
    session.load_case(other, LabelMap(numbers, block.ct_from_voxel, NAMES))
    planner.settle()
    middle = np.array((-42.0, -30.0, 30.0))
    for view, axis in ((planner.page.axial, 2), (planner.page.along, 1), (planner.page.down, 0)):
        assert view.centre_ct_mm[axis] == pytest.approx(middle[axis], abs=2.5)
    planner.choose("protocol", "Bone biopsy")
    assert planner.page.axial.centre_ct_mm[2] == pytest.approx(0.0, abs=4.0), "the body's middle"


def test_target_fields_follow_the_draft(planner: Planner, block: Volume) -> None:
    session = planner.session
    box = planner.window.findChild(QComboBox, "target_structure")
    field = planner.window.findChild(QLineEdit, "target_lps")
    assert box is not None
    assert field is not None
    numbers = labels(block).voxels.copy()
    numbers[38:44, 38:44, 38:44] = 20
    names = {**NAMES, 20: "lesion"}
    session.load_case(block, LabelMap(numbers, block.ct_from_voxel, names))
    planner.settle()
    assert box.itemText(1) == "Lesion", "what the protocol aims at comes first"
    planner.choose("target_structure", "Liver")
    assert box.currentText() == "Liver"
    session.planning.set_target((-20.0, 6.0, 14.0), "Liver")
    planner.settle()
    assert (box.currentText(), field.text()) == (CHOOSE, "R 20 P 6 H 14")
    target = session.planning.draft.target_ct_mm
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert session.planning.draft.target_ct_mm is target, "nothing was typed"
    QTest.mouseClick(field, LEFT)
    QApplication.processEvents()
    QTest.keyClicks(field, "R 8 A 6 H 7")
    QTest.keyClick(field, Qt.Key.Key_Return)
    np.testing.assert_allclose(session.planning.draft.target_ct_mm, (-8.0, -6.0, 7.0))
    undo(planner)
    assert field.text() == "R 20 P 6 H 14"
    undo(planner)
    assert box.currentText() == "Liver"
    undo(planner)
    assert (box.currentText(), field.text()) == (CHOOSE, "")


def test_a_lesion_that_is_kept_becomes_the_target_or_is_offered(planner: Planner) -> None:
    session, structures = planner.session, planner.page.structures.structures
    part = np.ones((4, 4, 4), np.bool_)
    planner.click("section_structures")
    structures.add("lesion", theme.PLAN, (40, 40, 40), part)
    planner.settle()
    assert session.planning.draft.structure == "Lesion"
    np.testing.assert_allclose(session.planning.draft.target_ct_mm, (4.0, 4.0, 4.0))
    assert not planner.button("use_as_target").isVisible()
    structures.add("lesion", theme.PLAN, (30, 30, 30), part)
    planner.settle()
    np.testing.assert_allclose(session.planning.draft.target_ct_mm, (4.0, 4.0, 4.0))
    assert planner.words("offered_target") == "Lesion 2 was drawn"
    planner.click("use_as_target")
    np.testing.assert_allclose(session.planning.draft.target_ct_mm, (-16.0, -16.0, -16.0))
    assert session.planning.draft.structure == "Lesion 2"
    assert not planner.button("use_as_target").isVisible()
    structures.add("lesion", theme.PLAN, (20, 20, 20), part)
    assert planner.button("use_as_target").isVisible()
    undo(planner)
    assert not planner.button("use_as_target").isVisible(), "it is gone"
    # A brush begins with nothing and goes on: its middle counts when it is used.
    structures.add("lesion", theme.PLAN, (0, 0, 0), np.zeros((1, 1, 1), np.bool_))
    assert not planner.button("use_as_target").isVisible()
    segment = structures.selected_segment
    assert segment is not None
    assert structures.history is not None
    for at in ((-20.0, 0.0, 20.0), (20.0, 0.0, 20.0)):
        segment = brushed(structures.history.now, segment, np.array([at]), 6.0)
        structures.change("Add", segment)
    planner.settle()
    planner.click("use_as_target")
    np.testing.assert_allclose(session.planning.draft.target_ct_mm, (0.0, 0.0, 20.0), atol=1.0)
