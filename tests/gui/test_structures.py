"""The Structures card through its own widgets: clicks, drags and keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QTableWidget

from ir_nav.gui import theme
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.structures_card import StructuresCard
from ir_nav.imaging import LabelMap, Volume
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.gui.conftest import pixels
from tests.imaging.segmentation_phantoms import dice, full, grid, volume_of
from tests.imaging.test_segmentation_files import install

Windows = Callable[..., MainWindow]
SIZE_IJK, SPACING_MM = (110, 100, 60), (1.5, 1.5, 2.5)
LESION_MM, LESION_CT_MM = 12.0, (20.0, -8.0, 5.0)


def phantom() -> tuple[Volume, np.ndarray, np.ndarray]:
    """A trunk with a dark ball and a bright tube in it; the masks of both."""
    affine, x, y, z = grid(SIZE_IJK, SPACING_MM)
    body = (x / 75.0) ** 2 + (y / 65.0) ** 2 <= 1.0
    away = [a - b for a, b in zip((x, y, z), LESION_CT_MM, strict=True)]
    lesion = away[0] ** 2 + away[1] ** 2 + away[2] ** 2 <= LESION_MM**2
    vessel = (x + 30.0) ** 2 + (y - 10.0) ** 2 <= 25.0
    hu = np.where(body, 100.0, -1000.0)
    hu[lesion], hu[vessel] = 40.0, 280.0
    hu += np.random.default_rng(6).normal(0.0, 8.0, hu.shape)
    return volume_of(hu, affine), lesion, vessel


@pytest.fixture(scope="module")
def made() -> tuple[Volume, np.ndarray, np.ndarray]:
    return phantom()


class Hands:
    """What a user can do to the Plan page."""

    def __init__(self, app: QApplication, window: MainWindow) -> None:
        self.app, self.window = app, window
        page = window.pages[Step.PLAN]
        assert isinstance(page, PlanPage)
        self.page = page
        self.card: StructuresCard = page.structures
        assert window.go(Step.PLAN)
        self.settle()

    def settle(self) -> None:
        """Until the worker is done and everything is painted."""
        for _ in range(600):
            self.app.processEvents()
            if not self.window.desk.worker.busy:
                break
            time.sleep(0.02)
        assert not self.window.desk.worker.busy
        self.window.tick()
        self.app.processEvents()

    def click(self, name: str) -> None:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        QTest.mouseClick(found, Qt.MouseButton.LeftButton)
        self.app.processEvents()

    def at(self, view: BrowsableSlice, point_ct_mm: tuple[float, float, float]) -> QPoint:
        seen = view.to_view(point_ct_mm)
        return QPoint(round(seen[0] - 0.5), round(seen[1] - 0.5))

    def show(self, point_ct_mm: tuple[float, float, float]) -> BrowsableSlice:
        view = self.page.axial
        view.look(point_ct_mm)
        view.set_field(180.0)
        self.app.processEvents()
        return view

    def drag(
        self,
        first: tuple[float, float, float],
        last: tuple[float, float, float],
        modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        view = self.show(first)
        start, end = self.at(view, first), self.at(view, last)
        QTest.mousePress(view, Qt.MouseButton.LeftButton, modifiers, start)
        for share in (0.3, 0.6, 1.0):
            QTest.mouseMove(view, start + (end - start) * share)
            self.app.processEvents()
        QTest.mouseRelease(view, Qt.MouseButton.LeftButton, modifiers, end)
        self.app.processEvents()

    def key(self, key: Qt.Key) -> None:
        QTest.keyClick(self.page.axial, key)
        self.app.processEvents()

    @property
    def table(self) -> QTableWidget:
        return self.card.table

    @property
    def names(self) -> list[str]:
        rows = range(self.table.rowCount())
        return [item.text() for row in rows if (item := self.table.item(row, 0)) is not None]

    def mask(self, name: str) -> np.ndarray:
        history = self.card.structures.history
        assert history is not None
        segment = history.now.named(name)
        assert segment is not None, name
        return full(segment, history.now.shape_kji)


@pytest.fixture
def hands(
    app: QApplication, make_window: Windows, made: tuple[Volume, np.ndarray, np.ndarray]
) -> Iterator[Hands]:
    with closing(Session()) as session:
        session.load_case(made[0])
        yield Hands(app, make_window(session))


def test_a_lesion_by_one_click_and_drag(
    hands: Hands, made: tuple[Volume, np.ndarray, np.ndarray]
) -> None:
    hands.click("structure_lesion")
    assert "drag to its rim" in hands.window.findChild(QLabel, "structure_hint").text()
    x, y, z = LESION_CT_MM
    hands.drag(LESION_CT_MM, (x + 14.0, y, z))
    grown = hands.card.lesion.grown
    assert grown is not None
    # Nothing is in the list before Enter.
    assert hands.names == []
    hands.key(Qt.Key.Key_Return)
    assert hands.names == ["Lesion"]
    assert dice(hands.mask("lesion"), made[1]) > 0.9
    role, size = hands.table.item(0, 1), hands.table.item(0, 2)
    assert role is not None
    assert role.text() == "target"
    assert size is not None
    assert float(size.text().removesuffix(" ml")) == pytest.approx(
        4.19 * LESION_MM**3 / 1000.0, rel=0.2
    )


def test_the_preview_follows_the_drag_and_escape_drops_it(hands: Hands) -> None:
    hands.click("structure_lesion")
    view = hands.show(LESION_CT_MM)
    x, y, z = LESION_CT_MM
    before = _blue(view)
    start = hands.at(view, LESION_CT_MM)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    sizes = []
    for radius_mm in (4.0, 8.0, 13.0):
        QTest.mouseMove(view, hands.at(view, (x + radius_mm, y, z)))
        hands.app.processEvents()
        grown = hands.card.lesion.grown
        assert grown is not None
        sizes.append(int(grown.part.sum()))
    assert sizes[0] < sizes[1] < sizes[2]
    assert _blue(view) > before + 60
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=start)
    hands.key(Qt.Key.Key_Escape)
    assert hands.card.lesion.grown is None
    assert hands.names == []
    assert _blue(view) == before
    # Escape once more puts the tool away.
    hands.key(Qt.Key.Key_Escape)
    assert hands.page.tools.active is None
    assert not hands.window.findChild(QPushButton, "structure_lesion").isChecked()


def _blue(view: BrowsableSlice) -> int:
    """Pixels of the plan's blue, in which a lesion is outlined."""
    tone = theme.colour(theme.PLAN)
    seen = pixels(view, view.width(), view.height())
    away = np.abs(seen - np.array([tone.red(), tone.green(), tone.blue()]))
    return int((away.max(axis=2) < 25).sum())


def test_brush_undo_and_redo(hands: Hands) -> None:
    hands.click("structure_brush")
    size_mm = hands.card.brush.radius_mm
    hands.show((0.0, 0.0, 0.0))
    hands.key(Qt.Key.Key_BracketRight)
    assert hands.card.brush.radius_mm > size_mm
    hands.key(Qt.Key.Key_BracketLeft)
    assert hands.card.brush.radius_mm == pytest.approx(size_mm)
    hands.drag((-10.0, 0.0, 0.0), (10.0, 0.0, 0.0))
    assert hands.names == ["Lesion"]
    drawn = hands.mask("lesion")
    assert drawn.sum() * np.prod(SPACING_MM) == pytest.approx(
        np.pi * size_mm**2 * 20.0 + 4.19 * size_mm**3, rel=0.15
    )
    hands.drag((0.0, -10.0, 0.0), (0.0, 10.0, 0.0), Qt.KeyboardModifier.ShiftModifier)
    parted = hands.mask("lesion")
    assert parted.sum() < drawn.sum() - 100
    assert not (parted & ~drawn).any()
    QTest.keyClick(hands.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(hands.mask("lesion"), drawn)
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(hands.window, Qt.Key.Key_Z, both)
    assert np.array_equal(hands.mask("lesion"), parted)
    for _ in range(3):
        hands.click("undo_structure")
    assert hands.names == []


def test_ctrl_z_takes_back_what_was_done_last(hands: Hands) -> None:
    hands.click("structure_brush")
    hands.drag((-10.0, 0.0, 0.0), (10.0, 0.0, 0.0))
    session = hands.window.session
    session.planning.set_target((0.0, 0.0, 0.0))
    QTest.keyClick(hands.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.planning.draft.target_ct_mm is None
    assert hands.names == ["Lesion"]


def test_a_vessel_by_one_click(hands: Hands, made: tuple[Volume, np.ndarray, np.ndarray]) -> None:
    hands.click("structure_vessel")
    view = hands.show((-30.0, 10.0, 0.0))
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=hands.at(view, (-30.0, 10.0, 0.0)))
    hands.settle()
    first = hands.card.vessel.found
    assert first is not None
    hands.key(Qt.Key.Key_BracketRight)
    hands.settle()
    second = hands.card.vessel.found
    assert second is not None
    assert second.low_hu == pytest.approx(first.low_hu + 10.0)
    hands.key(Qt.Key.Key_BracketLeft)
    hands.settle()
    hands.key(Qt.Key.Key_Return)
    assert hands.names == ["Vessel"]
    assert dice(hands.mask("vessel"), made[2]) > 0.95


def test_automatic_structures_come_with_roles_and_reach_planning(hands: Hands) -> None:
    hands.click("find_structures")
    hands.settle()
    assert "Skin" in hands.names
    hands.click("structure_brush")
    hands.drag((-10.0, 0.0, 0.0), (10.0, 0.0, 0.0))
    hands.settle()
    # The skin's outline is off: it would go round everything.
    skin = hands.table.item(hands.names.index("Skin"), 0)
    assert skin is not None
    assert skin.checkState() == Qt.CheckState.Unchecked
    assert hands.window.session.case.labels is None
    QTest.qWait(1500)
    hands.settle()
    labels = hands.window.session.case.labels
    assert labels is not None
    assert np.array_equal(labels.mask("lesion"), hands.mask("lesion"))
    # What was handed over is not read back as something new.
    hands.window.tick()
    assert hands.names.count("Lesion") == 1


def test_imported_labels_are_listed_and_can_be_renamed_hidden_and_deleted(
    app: QApplication, make_window: Windows, made: tuple[Volume, np.ndarray, np.ndarray]
) -> None:
    volume, lesion, vessel = made
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    numbers[lesion], numbers[vessel] = 9, 4
    labels = LabelMap(numbers, volume.ct_from_voxel, {9: "lesion", 4: "portal_vein"})
    with closing(Session()) as session:
        session.load_case(volume, labels)
        hands = Hands(app, make_window(session))
        hands.click("list_structures")
        assert hands.names == ["Lesion", "Portal vein"]
        role = hands.table.item(1, 1)
        assert role is not None
        assert role.text() == "avoid 5 mm"
        name = hands.table.item(1, 0)
        assert name is not None
        name.setText("aorta")
        hands.settle()
        assert hands.names == ["Lesion", "Aorta"]
        item = hands.table.item(0, 0)
        assert item is not None
        item.setText("Aorta")
        assert hands.names == ["Lesion", "Aorta"]
        assert "already" in hands.window.desk.banner.text
        shown = hands.page.axial._images.outlined
        assert len(shown) == 2
        item = hands.table.item(0, 0)
        assert item is not None
        item.setCheckState(Qt.CheckState.Unchecked)
        hands.settle()
        assert len(hands.page.axial._images.outlined) == 1
        hands.table.selectRow(1)
        hands.click("delete_structure")
        assert hands.names == ["Lesion"]
        hands.click("undo_structure")
        assert hands.names == ["Lesion", "Aorta"]


def test_structures_are_saved_and_opened_again(hands: Hands, tmp_path: Path) -> None:
    hands.click("find_structures")
    hands.settle()
    hands.click("structure_brush")
    hands.drag((-10.0, 0.0, 0.0), (10.0, 0.0, 0.0))
    before = {name: hands.mask(name) for name in ("skin", "lesion")}
    hands.card.save_file(tmp_path / "case.nii.gz")
    hands.settle()
    while hands.names:
        hands.table.selectRow(0)
        hands.click("delete_structure")
    hands.card.open_file(tmp_path / "case.nii.gz")
    hands.settle()
    for name, mask in before.items():
        assert np.array_equal(hands.mask(name), mask)


def test_total_segmentator_absent_is_said_and_present_is_run(
    hands: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    hands.click("total_segmentator")
    assert "not installed" in hands.window.desk.banner.text
    monkeypatch.undo()
    install(tmp_path / "bin", monkeypatch)
    hands.click("total_segmentator")
    hands.settle()
    assert hands.names == ["Aorta", "Liver"], "what is avoided stands first"
