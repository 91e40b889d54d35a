"""Reading: tools, windows, slabs, linked planes and cine through the page's own widgets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, QSettings, Qt
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QLineEdit, QListWidget, QToolButton, QWidget

from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.patient import PatientPage
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.reading_links import crossing
from ir_nav.gui.reading_settings import SLABS, read_hanging, slab_words
from ir_nav.gui.reading_windows import PRESETS, auto_window, is_ct
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.imaging import StandardView, Volume, VolumeInfo
from ir_nav.imaging.slab import Projection, Slab
from ir_nav.session.annotations import Arrow, Ellipse, Polygon
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.gui.conftest import pixels

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


class Desk:
    """One window for all tests: making one takes longer than most of them."""

    def __init__(self, folder: Path, volume: Volume) -> None:
        self.session = Session()
        settings = QSettings(str(folder / "gui.ini"), QSettings.Format.IniFormat)
        self.window = MainWindow(self.session, acknowledged=True, settings=settings)
        self.window.resize(1366, 768)
        self.window.show()
        self.volume = volume
        self.count = 0

    def page(self) -> PlanPage:
        """The Plan page with a CT that no test has annotated yet, and views as at first."""
        self.count += 1
        self.open(f"blake2b:{self.count}")
        self.session.planning.set_target((0.0, 0.0, 0.0), "Lesion")
        self.session.planning.set_entry((-60.0, 0.0, 0.0))
        assert self.window.go(Step.PLAN)
        plan = self.window.pages[Step.PLAN]
        assert isinstance(plan, PlanPage)
        plan.tools.use(None)
        plan.reading.reset()
        self.window.tick()
        self.window.activateWindow()
        plan.axial.setFocus()
        plan.reading.desk.select_view(plan.axial)
        QApplication.processEvents()
        return plan

    def open(self, identity: str) -> None:
        """The block under a name of its own."""
        block = self.volume
        self.session.load_case(Volume(block.voxels, block.ct_from_voxel, identity, VolumeInfo()))
        self.window.tick()


@pytest.fixture(scope="module")
def desk(
    app: QApplication, volume: Volume, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("reading")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        made = Desk(folder, volume)
        yield made
        made.window.close()
        made.session.close()


@pytest.fixture
def page(desk: Desk) -> PlanPage:
    return desk.page()


def place(view: BrowsableSlice, point_ct_mm: tuple[float, ...]) -> QPoint:
    seen = view.to_view(point_ct_mm)
    return QPoint(int(seen[0]), int(seen[1]))


def click(view: BrowsableSlice, point_ct_mm: tuple[float, ...]) -> None:
    QTest.mouseClick(view, LEFT, NONE, place(view, point_ct_mm))


def drag(
    view: BrowsableSlice,
    start: tuple[float, ...],
    end: tuple[float, ...],
    keys: Qt.KeyboardModifier = NONE,
    button: Qt.MouseButton = LEFT,
) -> None:
    first, last = place(view, start), place(view, end)
    QTest.mousePress(view, button, keys, first)
    for part in (0.25, 0.5, 0.75, 1.0):
        at = QPointF(first) + (QPointF(last) - QPointF(first)) * part
        move = QMouseEvent(
            QEvent.Type.MouseMove, at, view.mapToGlobal(at), Qt.MouseButton.NoButton, button, keys
        )
        QApplication.sendEvent(view, move)
    QTest.mouseRelease(view, button, keys, last)


def tool(page: PlanPage, name: str) -> None:
    found = page.reading.findChild(QToolButton, f"tool_{name}")
    assert found is not None
    found.click()


def named(page: PlanPage, kind: type[QWidget], name: str) -> QWidget:
    found = page.findChild(kind, name)
    assert found is not None, name
    return found


def rows(page: PlanPage) -> list[str]:
    found = named(page, QListWidget, "annotations")
    assert isinstance(found, QListWidget)
    return [found.item(row).text() for row in range(found.count())]


def test_a_dragged_distance_is_as_long_as_it_was_drawn(page: PlanPage) -> None:
    tool(page, "distance")
    drag(page.axial, (-30.0, -30.0, 0.0), (10.0, 0.0, 0.0))
    (item,) = page.reading.desk.annotations.book.items
    points = np.array(item.points_ct_mm)
    within = 1.5 * page.axial.mm_per_px
    assert points == pytest.approx(np.array([[-30.0, -30.0, 0.0], [10.0, 0.0, 0.0]]), abs=within)
    length = float(np.linalg.norm(points[1] - points[0]))
    assert rows(page) == [f"Distance  {length:.1f} mm"]
    assert length == pytest.approx(50.0, abs=2 * within)


def test_every_kind_is_drawn_and_measured(page: PlanPage) -> None:
    """The block holds 40 HU; the world round it air."""
    tool(page, "ellipse")
    drag(page.axial, (-30.0, -20.0, 0.0), (10.0, 20.0, 0.0))
    tool(page, "angle")
    for corner in ((40.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 40.0, 0.0)):
        click(page.axial, corner)
    tool(page, "probe")
    click(page.axial, (20.0, 20.0, 0.0))
    tool(page, "ball")
    drag(page.axial, (0.0, 0.0, 0.0), (20.0, 0.0, 0.0))
    tool(page, "polygon")
    for corner in ((-40.0, -40.0, 0.0), (-10.0, -40.0, 0.0), (-10.0, -10.0, 0.0)):
        click(page.axial, corner)
    QTest.keyClick(page.axial, Qt.Key.Key_Return)
    ellipse, angle, probe, ball, polygon = rows(page)
    assert ellipse.startswith("Ellipse  12")
    assert ellipse.endswith("mm² · mean 40")
    assert angle.startswith(("Angle  90.", "Angle  89."))
    assert probe == "Point  40 HU"
    items = page.reading.desk.annotations.book.items
    ends = np.array(items[3].points_ct_mm)
    radius = float(np.linalg.norm(ends[1] - ends[0]))
    assert radius == pytest.approx(20.0, abs=2 * page.axial.mm_per_px)
    assert ball == f"Ball  {4.0 / 3.0 * np.pi * radius**3 / 1000.0:.2f} ml · mean 40"
    assert polygon.startswith("Area  4")
    kinds = [item.kind for item in items]
    assert kinds == ["ellipse", "angle", "probe", "ball", "polygon"]


def test_select_move_delete_undo_with_mouse_and_keys(page: PlanPage) -> None:
    book = page.reading.desk.annotations.book
    tool(page, "distance")
    drag(page.axial, (-30.0, -30.0, 0.0), (10.0, -30.0, 0.0))
    QTest.keyClick(page.axial, Qt.Key.Key_Escape)
    assert page.tools.active is None
    drawn = np.array(book.items[0].points_ct_mm)
    drag(page.axial, tuple(drawn[1]), (10.0, 0.0, 0.0))
    assert np.array(book.items[0].points_ct_mm)[1, 1] == pytest.approx(0.0, abs=2.0)
    assert np.array(book.items[0].points_ct_mm)[0] == pytest.approx(drawn[0])
    whole = np.array(book.items[0].points_ct_mm)
    middle = whole.mean(axis=0)
    drag(page.axial, tuple(middle), tuple(middle + np.array([8.0, 8.0, 0.0])))
    moved = np.array(book.items[0].points_ct_mm) - whole
    assert moved == pytest.approx(np.array([[8.0, 8.0, 0.0]] * 2), abs=2.0)
    QTest.keyClick(page.axial, Qt.Key.Key_Delete)
    assert book.items == ()
    entry = page.session.planning.draft.entry_ct_mm
    for _ in range(3):
        QTest.keyClick(page.axial, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array(book.items[0].points_ct_mm) == pytest.approx(drawn)
    assert page.session.planning.draft.entry_ct_mm is entry, (
        "undo was the annotation's, not the plan's"
    )
    redo = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(page.axial, Qt.Key.Key_Z, redo)
    assert np.array(book.items[0].points_ct_mm) == pytest.approx(whole)


def test_annotations_come_back_with_their_ct_and_stay_away_from_others(
    page: PlanPage, desk: Desk
) -> None:
    tool(page, "distance")
    drag(page.axial, (-30.0, -30.0, 0.0), (10.0, 0.0, 0.0))
    kept = rows(page)
    identity = desk.session.case.volume.identity
    desk.open("blake2b:other")
    assert rows(page) == []
    desk.open(identity)
    assert rows(page) == kept


def test_a_note_takes_words_and_escape_drops_it(page: PlanPage) -> None:
    book = page.reading.desk.annotations.book
    for words, key in (("look here", Qt.Key.Key_Return), ("no", Qt.Key.Key_Escape)):
        tool(page, "arrow")
        drag(page.axial, (-30.0, -30.0, 0.0), (10.0, 0.0, 0.0))
        editor = [
            one for one in page.axial.findChildren(QLineEdit, "note_words") if one.isVisible()
        ][-1]
        QTest.keyClicks(editor, words)
        QTest.keyClick(editor, key)
        page.tools.use(None)
    (note,) = book.items
    assert isinstance(note, Arrow)
    assert note.name == "look here"


def test_the_list_goes_to_an_annotation_in_its_own_plane(page: PlanPage) -> None:
    tool(page, "ellipse")
    page.along.look((0.0, 0.0, 0.0), (0.0, 0.6, 0.8), (1.0, 0.0, 0.0))
    drag(page.along, (0.0, 6.0, 8.0), (20.0, 18.0, 24.0))
    (item,) = page.reading.desk.annotations.book.items
    assert isinstance(item, Ellipse)
    page.tools.use(None)
    page.axial.look((0.0, 0.0, -50.0))
    found = named(page, QListWidget, "annotations")
    assert isinstance(found, QListWidget)
    found.itemClicked.emit(found.item(0))
    middle = np.array(item.points_ct_mm)[0]
    normal = np.cross(item.right_ct, item.down_ct)
    assert abs(normal @ page.axial.axes_ct[2]) == pytest.approx(1.0, abs=1e-6)
    assert page.axial.to_view(middle)[2] == pytest.approx(0.0, abs=0.01)
    assert page.down.to_view(middle)[2] == pytest.approx(0.0, abs=0.01)


def test_an_oblique_polygon_stays_flat_when_a_corner_is_dragged_elsewhere(page: PlanPage) -> None:
    page.along.look((0.0, 0.0, 0.0), (0.0, 0.6, 0.8), (1.0, 0.0, 0.0))
    tool(page, "polygon")
    for corner in ((20.0, 0.0, 0.0), (40.0, 0.0, 0.0), (40.0, 18.0, 24.0), (20.0, 18.0, 24.0)):
        click(page.along, corner)
    click(page.along, (20.0, 0.0, 0.0))
    page.tools.use(None)
    (item,) = page.reading.desk.annotations.book.items
    assert isinstance(item, Polygon)
    assert len(item.points_ct_mm) == 4
    start = np.array(item.points_ct_mm)[0]
    drag(page.axial, tuple(start), tuple(start + np.array([12.0, -12.0, 0.0])))
    (moved,) = page.reading.desk.annotations.book.items
    normal = np.cross(item.right_ct, item.down_ct)
    off = (np.array(moved.points_ct_mm) - np.array(item.points_ct_mm)[1]) @ normal
    assert off == pytest.approx(0.0, abs=0.01)
    assert not np.allclose(np.array(moved.points_ct_mm)[0], start)


def test_windows_by_list_and_keys_are_shared_and_remembered(page: PlanPage) -> None:
    combo = named(page, QComboBox, "reading_window")
    assert isinstance(combo, QComboBox)
    combo.activated.emit(combo.findText("Lung"))
    for view in page.slices:
        assert view.window_level_hu == (1500.0, -600.0)
    assert page.desk.window_level_hu() == (1500.0, -600.0)
    QTest.keyClick(page, Qt.Key.Key_4, Qt.KeyboardModifier.AltModifier)
    assert page.axial.window_level_hu == (1800.0, 400.0)
    QTest.keyClick(page, Qt.Key.Key_W)
    assert page.axial.window_level_hu == (350.0, 50.0)
    assert combo.currentText() == "Mediastinum"
    drag(page.axial, (0.0, 50.0, 0.0), (20.0, 50.0, 0.0))
    assert combo.currentText() == "Own"
    assert len({preset.key for preset in PRESETS}) == len(PRESETS)


def test_an_mr_gets_a_window_of_its_own(page: PlanPage, desk: Desk) -> None:
    rng = np.random.default_rng(1)
    voxels = np.zeros((40, 40, 40), np.int16)
    voxels[5:35, 5:35, 5:35] = rng.integers(200, 1200, (30, 30, 30))
    mr = Volume(voxels, np.diag([2.0, 2.0, 2.0, 1.0]), "blake2b:mr", VolumeInfo(modality="MR"))
    assert not is_ct(mr)
    desk.session.load_case(mr)
    desk.window.tick()
    width, level = page.axial.window_level_hu
    assert (width, level) == pytest.approx(auto_window(mr))
    assert (width, level) == pytest.approx((985.0, 702.0), abs=25.0)
    patient = desk.window.pages[Step.PATIENT]
    assert isinstance(patient, PatientPage)
    assert desk.window.go(Step.PATIENT)
    desk.window.tick()
    assert [view.accessibleName() for view in patient.slices] == [
        "MR axial",
        "MR coronal",
        "MR sagittal",
    ]
    desk.open("blake2b:a CT again")
    assert desk.window.go(Step.PLAN)
    desk.window.tick()
    assert page.axial.window_level_hu == (400.0, 40.0)
    assert page.desk.window_level_hu() == (400.0, 40.0)


def test_slabs_by_key_and_list_last_until_the_next_start(page: PlanPage, desk: Desk) -> None:
    QTest.keyClick(page, Qt.Key.Key_S)
    QTest.keyClick(page, Qt.Key.Key_S)
    assert page.axial.slab.thickness_mm == 10.0
    assert page.axial.slab.projection is Projection.MIP
    combo = named(page, QComboBox, "reading_slab")
    assert isinstance(combo, QComboBox)
    assert combo.currentText() == "MIP 10 mm"
    assert read_hanging(desk.window.settings).slab == page.axial.slab
    combo.activated.emit(combo.findText("MinIP 5 mm"))
    assert page.down.slab.projection is Projection.MINIP
    assert read_hanging(desk.window.settings).slab == page.down.slab
    assert len({slab_words(slab) for slab in SLABS}) == len(SLABS)


def test_cross_lines_lie_where_the_planes_meet(page: PlanPage) -> None:
    page.axial.look((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    page.along.look((0.0, 12.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    line = crossing(page.axial, page.along)
    assert line is not None
    for end in (line.p1(), line.p2()):
        assert page.axial.to_ct(end)[1] == pytest.approx(12.0, abs=0.6)
    # No further than the other view sees.
    ends = sorted(float(page.axial.to_ct(end)[0]) for end in (line.p1(), line.p2()))
    half = page.along.width() * page.along.mm_per_px / 2.0
    seen = page.axial.width() * page.axial.mm_per_px / 2.0
    assert ends == pytest.approx([-min(half, seen), min(half, seen)], abs=1.5)
    page.along.look((0.0, 0.0, 5.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    assert crossing(page.axial, page.along) is None


def test_the_cross_tool_moves_and_turns_the_other_planes(page: PlanPage) -> None:
    page.axial.look((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    page.along.look((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    page.down.look((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
    tool(page, "cross")
    drag(page.axial, (0.0, 0.0, 0.0), (25.0, -15.0, 0.0))
    assert page.along.to_view((25.0, -15.0, 0.0))[2] == pytest.approx(0.0, abs=1.0)
    assert page.down.to_view((25.0, -15.0, 0.0))[2] == pytest.approx(0.0, abs=1.0)
    # A quarter turn about the point: from its right to below it.
    shift = Qt.KeyboardModifier.ShiftModifier
    pivot = np.array([25.0, -15.0, 0.0])
    start = tuple(pivot + np.array([40.0, 0.0, 0.0]))
    turn = tuple(pivot + np.array([28.28, 28.28, 0.0]))
    drag(page.axial, start, turn, shift)
    right = page.along.axes_ct[0]
    assert right == pytest.approx([0.7071, 0.7071, 0.0], abs=0.03)
    assert page.along.letters[1] in ("LP", "PL")
    assert page.along.to_view(pivot)[2] == pytest.approx(0.0, abs=1.0)
    assert np.linalg.norm(right) == pytest.approx(1.0)


def test_cine_goes_forth_and_back_and_stops(page: PlanPage) -> None:
    cine = page.reading.desk.cine
    QTest.keyClick(page, Qt.Key.Key_C)
    assert cine.playing
    page.axial.look((0.0, 0.0, 75.0))
    heights = []
    for _ in range(12):
        cine.step()
        heights.append(float(page.axial.centre_ct_mm[2]))
    assert max(heights) == 79.0
    assert heights[-1] < 79.0
    assert np.abs(np.diff(heights)) == pytest.approx(2.0)
    before = cine.rate_hz
    QTest.keyClick(page, Qt.Key.Key_Period)
    assert cine.rate_hz == pytest.approx(1.5 * before)
    QTest.keyClick(page, Qt.Key.Key_C)
    assert not cine.playing


def test_reset_brings_the_views_back(page: PlanPage, desk: Desk) -> None:
    window = desk.window
    before = [(view.plane().ct_from_view.copy()) for view in page.slices]
    page.reading.desk.next_slab(1)
    page.axial.set_field(50.0)
    page.axial.look((10.0, 20.0, 30.0), (0.0, 0.6, 0.8), (1.0, 0.0, 0.0))
    page.down.look((10.0, 20.0, 30.0), (0.0, 0.6, 0.8), (1.0, 0.0, 0.0))
    QTest.keyClick(page, Qt.Key.Key_R)
    window.tick()
    for view, matrix in zip(page.slices, before, strict=True):
        assert view.plane().ct_from_view == pytest.approx(matrix, abs=1e-6)
    assert page.axial.slab.thickness_mm == 0.0


def test_middle_drag_and_control_wheel_zoom(page: PlanPage) -> None:
    before = page.along.field_mm
    drag(page.along, (-30.0, 0.0, 0.0), (-30.0, 0.0, 40.0), button=Qt.MouseButton.MiddleButton)
    assert page.along.field_mm != pytest.approx(before, rel=0.02)
    at = QPointF(page.along.rect().center())
    wheel = QWheelEvent(
        at,
        page.along.mapToGlobal(at),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.ControlModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    zoomed = page.along.field_mm
    QApplication.sendEvent(page.along, wheel)
    assert page.along.field_mm == pytest.approx(zoomed / 1.15)


def test_a_curve_is_straightened_and_leads_the_slices(page: PlanPage) -> None:
    tool(page, "curve")
    for point in ((-40.0, 0.0, 0.0), (-10.0, 20.0, 0.0), (30.0, 20.0, 0.0)):
        click(page.axial, point)
    QTest.keyClick(page.axial, Qt.Key.Key_Return)
    curve = page.reading.desk.curve
    assert curve.isVisible()
    assert curve.geometry() == page.down.rect()
    assert curve.shown is not None
    assert curve.shown.hu.max() == 40.0
    (item,) = page.reading.desk.annotations.book.items
    length = len(curve.shown.hu) * 0.5
    assert rows(page) == [f"Curve  {length:.0f}.0 mm"] or length == pytest.approx(78.0, abs=4.0)
    QTest.mouseClick(curve, LEFT, NONE, curve.rect().center())
    middle = curve.place_of(QPointF(curve.rect().center()))
    assert middle is not None
    assert page.along.to_view(middle)[2] == pytest.approx(0.0, abs=1.0)
    QTest.keyClick(curve, Qt.Key.Key_Right)
    assert curve.angle_deg == 10.0
    QTest.keyClick(curve, Qt.Key.Key_Escape)
    assert not curve.isVisible()
    assert item.kind == "curve"


def test_letters_in_a_field_are_letters(page: PlanPage) -> None:
    field = named(page, QLineEdit, "target_lps")
    assert isinstance(field, QLineEdit)
    field.setFocus()
    QTest.keyClicks(field, "R 8 A 6 H 7")
    assert field.text() == "R 8 A 6 H 7"
    assert page.tools.active is None


def test_a_slab_that_moves_is_coarse_and_sharpens_when_it_rests(page: PlanPage) -> None:
    """One bright voxel layer between the coarse samples is missed until the slab rests."""
    voxels = np.full((40, 200, 40), 0, np.int16)
    voxels[:, 99, :] = 1000
    affine = np.diag([2.0, 0.5, 2.0, 1.0])
    affine[:3, 3] = (-39.0, -49.0, -39.0)
    volume = Volume(voxels, affine, "blake2b:thin", VolumeInfo(modality="CT"))
    view = BrowsableSlice("CT", view=StandardView.CORONAL, field_mm=60.0)
    view.set_images(CaseImages(volume))
    view.set_window(2000.0, 500.0)
    view.set_slab(Slab(10.0, Projection.MIP))
    view.look((0.0, 0.0, 0.0))
    moving = int(pixels(view, 120, 120)[60, 60, 0])
    deadline = time.monotonic() + 5.0
    rested = moving
    while rested == moving and time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.02)
        rested = int(pixels(view, 120, 120)[60, 60, 0])
    assert moving < 180
    assert rested == pytest.approx((1000.0 - 500.0) * 255.0 / 2000.0 + 127.5, abs=2.0)
