"""The second series and the volume in 3D: what the slices show of them, through the widgets."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, QSettings, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QPushButton, QSlider

from ir_nav.gui.desk import Desk
from ir_nav.gui.reading_second import SecondCard, Standing
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.scene_request import SceneRequest, VolumeLook
from ir_nav.gui.scene_vtk import SceneUnavailableError, VtkScene
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_second import SecondLook, SecondMode
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration.volumes import Start, VolumeRegistration
from ir_nav.session.session import Session
from tests.gui.conftest import pixels


@pytest.fixture
def second(volume: Volume) -> Volume:
    """A hot cube of 40 mm at the patient's left, in the CT's frame."""
    voxels = np.zeros((40, 40, 40), np.int16)
    voxels[15:25, 15:25, 27:37] = 1000
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -78.0
    return Volume(voxels, affine, "blake2b:pet", VolumeInfo(modality="PT"))


@pytest.fixture
def desk(app: QApplication, tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Desk(Session(), QSettings(str(tmp_path / "gui.ini"), QSettings.Format.IniFormat))
    yield made
    made.close()


@pytest.fixture
def view(app: QApplication, volume: Volume) -> BrowsableSlice:
    made = BrowsableSlice("CT axial", field_mm=160.0)
    made.set_images(CaseImages(volume))
    made.look((0.0, 0.0, 0.0))
    made.resize(400, 400)
    return made


@pytest.fixture
def card(desk: Desk, view: BrowsableSlice, volume: Volume) -> SecondCard:
    made = SecondCard(desk, SliceTools([view]))
    made.follow(volume)
    return made


def colourful(picture: np.ndarray) -> np.ndarray:
    return (picture.max(axis=2) - picture.min(axis=2)) > 40


def registration(shift_mm: tuple[float, float, float], repeat_mm: float) -> VolumeRegistration:
    matrix = np.eye(4)
    matrix[:3, 3] = shift_mm
    return VolumeRegistration(matrix, Start.GEOMETRY, 0.6, 0.3, repeat_mm, 0.9, 20.0, 0.0)


def test_fused_colours_lie_where_the_second_series_says(
    card: SecondCard, view: BrowsableSlice, second: Volume
) -> None:
    assert not colourful(pixels(view, 400, 400)).any()
    card.take(second)
    seen = colourful(pixels(view, 400, 400))
    columns = np.flatnonzero(seen.any(axis=0))
    expected = [float(view.to_view((edge, 0.0, 0.0))[0]) for edge in (28.0, 68.0)]
    assert [columns.min(), columns.max()] == pytest.approx(expected, abs=5.0)
    slider = card.findChild(QSlider, "second_opacity")
    assert slider is not None
    slider.setValue(0)
    assert not colourful(pixels(view, 400, 400)).any()
    card.drop()
    assert view.second is None


def test_a_proposal_moves_it_and_rejecting_moves_it_back(
    card: SecondCard, view: BrowsableSlice, second: Volume
) -> None:
    card.take(second)
    assert card.standing is Standing.STATED
    before = np.flatnonzero(colourful(pixels(view, 400, 400)).any(axis=0)).mean()
    card.propose(registration((-40.0, 0.0, 0.0), 0.4))
    moved = np.flatnonzero(colourful(pixels(view, 400, 400)).any(axis=0)).mean()
    assert (moved - before) * view.mm_per_px == pytest.approx(-40.0, abs=1.0)
    assert card.standing is Standing.PROPOSED
    words = card.findChild(object, "second_words").text()
    assert "agree within 0.4 mm (repeatable)" in words
    reject = card.findChild(QPushButton, "reject_second")
    assert reject is not None
    reject.click()
    back = np.flatnonzero(colourful(pixels(view, 400, 400)).any(axis=0)).mean()
    assert back == pytest.approx(before)
    card.propose(registration((-40.0, 0.0, 0.0), 2.5))
    assert "doubtful" in card.findChild(object, "second_words").text()
    accept = card.findChild(QPushButton, "accept_second")
    assert accept is not None
    accept.click()
    assert card.standing is Standing.ACCEPTED


def test_swipe_shows_the_second_right_of_a_divider_that_can_be_dragged(
    card: SecondCard, view: BrowsableSlice, second: Volume
) -> None:
    """The second series is black beside its cube; the CT's block is grey there."""
    card.take(second)
    card.set_mode(SecondMode.SWIPE)
    grey = pixels(view, 400, 400)[300, :, 0]
    assert grey[120] > 80
    assert grey[260] == 0
    start, end = QPointF(200.0, 90.0).toPoint(), QPointF(320.0, 90.0).toPoint()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(view, end)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)
    card.set_swipe(320.0 / 400.0)
    grey = pixels(view, 400, 400)[300, :, 0]
    assert grey[260] > 80
    assert card.look is not None
    assert card.look.swipe == pytest.approx(0.8)


def test_checkerboard_takes_turns(card: SecondCard, view: BrowsableSlice, second: Volume) -> None:
    card.take(second)
    card.set_mode(SecondMode.CHECKER)
    grey = pixels(view, 400, 400)[250, 100:300, 0]
    assert (grey == 0).sum() > 50
    assert (grey > 80).sum() > 50
    mode = card.findChild(QComboBox, "second_mode")
    assert mode is not None
    assert mode.currentText() == "Checkerboard"


def test_registering_runs_on_the_worker_and_an_impossible_one_is_said(
    card: SecondCard, desk: Desk, volume: Volume
) -> None:
    """Another region, 3 m away."""
    away = np.array(volume.ct_from_voxel)
    away[:3, 3] += 3000.0
    info = replace(volume.description, frame_of_reference_uid="1.2")
    here = Volume(volume.voxels, volume.ct_from_voxel, "blake2b:here", info)
    card.follow(here)
    card.register()
    assert "Open a second series first" in desk.banner.text
    card.take(Volume(volume.voxels, away, "blake2b:away", info))
    card.register()
    end = time.monotonic() + 60.0
    while desk.worker.busy and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    assert "do not overlap" in desk.banner.text
    assert card.standing is Standing.STATED


def test_the_volume_in_3d_has_its_presets(volume: Volume) -> None:
    """Bone leaves a block of water out; skin draws it; lung nothing of it."""
    voxels = np.array(volume.voxels)
    voxels[30:50, 30:50, 30:50] = 900
    block = Volume(voxels, volume.ct_from_voxel, "blake2b:block", VolumeInfo())
    try:
        scene = VtkScene()
    except SceneUnavailableError as error:
        pytest.skip(str(error))
    try:

        def lit(look: VolumeLook) -> int:
            request = SceneRequest(size_px=(160, 120), volume=block, look=look)
            picture = scene.render(request).astype(int)
            return int((picture[..., :3].max(axis=2) > 60).sum())

        bone, skin, lung = (
            lit(look) for look in (VolumeLook.BONE, VolumeLook.SKIN, VolumeLook.LUNG)
        )
        assert lit(VolumeLook.SURFACES) == 0
        assert 60 < bone < 0.5 * skin
        assert lung < 0.2 * skin
    finally:
        scene.close()


def test_the_same_look_is_not_drawn_twice(view: BrowsableSlice, second: Volume) -> None:
    look = SecondLook(second, 1000.0, 500.0)
    view.show_second(look)
    first = view._second_image.update(look, view.plane(), (400, 400))
    again = view._second_image.update(look, view.plane(), (400, 400))
    assert first == again
