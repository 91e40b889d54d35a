"""One off-screen QApplication, a small made-up patient, and states to show."""

from __future__ import annotations

import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QSettings
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QWidget

from devices.contract import ImageSample
from ir_nav.geometry import CArmGeometry, Frame, Transform, read_only
from ir_nav.gui.app import application
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.scene_records import CaseImages, Overlays
from ir_nav.gui.slice_view import SliceView
from ir_nav.guidance import ErrorBudget, guide
from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import PlannedPath
from ir_nav.session.session import Session
from ir_nav.session.state import (
    BreathingState,
    DeviceStatus,
    FluoroState,
    NavigationState,
    Refusal,
    Role,
    Source,
    TipState,
    ToolState,
    ToolStatus,
    UltrasoundState,
)
from tests.gui.planner import Planner, Windows
from tests.session.test_planning import labels as block_labels

NOW_S = 1_700_000_000.0
REFUSAL = Refusal("needle out of view", "clear the line of sight")


@pytest.fixture(autouse=True)
def slots_that_raise(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An exception in a slot fails the test in which it comes; PyQt would abort the process."""
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: seen.append(error))
    yield
    if seen:
        raise seen[0]


@pytest.fixture(scope="session")
def app() -> QApplication:
    return application()


@pytest.fixture(scope="session")
def volume() -> Volume:
    """A 120 mm block of tissue in air, 2 mm voxels, origin in its middle."""
    voxels = np.full((80, 80, 80), -1000, np.int16)
    voxels[10:70, 10:70, 10:70] = 40
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -79.0
    return Volume(voxels, affine, "blake2b:test", VolumeInfo(patient_name="Test"))


@pytest.fixture(scope="session")
def labels(volume: Volume) -> LabelMap:
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    numbers[30:50, 30:50, 30:50] = 5
    return LabelMap(numbers, volume.ct_from_voxel, {5: "liver"})


@pytest.fixture
def path() -> PlannedPath:
    """From the patient's right to a target in the middle."""
    return PlannedPath.between((-60.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Made:
    """Parts of a state."""

    path: PlannedPath

    def tip(self, offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> TipState:
        """A tip 20 mm short of the target, its shaft along the path."""
        point = self.path.target_ct_mm - 20.0 * self.path.direction_ct + np.array(offset_mm)
        return TipState(read_only(point), read_only(self.path.direction_ct), NOW_S, NOW_S)

    def ultrasound(self, known: bool = True, depth_mm: float = 0.0) -> UltrasoundState:
        """200 x 200 px at 0.5 mm; the axial plane, the target in its middle."""
        matrix = np.eye(4)
        matrix[0, 0] = matrix[1, 1] = 2.0
        matrix[:3, 3] = (100.0, 100.0, depth_mm)
        frame = ImageSample("US", np.zeros((200, 200), np.uint8), np.eye(4), NOW_S, NOW_S)
        reason = None if known else "the probe is out of view"
        return UltrasoundState(frame, matrix if known else None, None, 0.5, reason, 0.02, 25.0)

    def fluoro(self, known: bool = True) -> FluoroState:
        """The source 500 mm in front of the patient, looking to the back."""
        matrix = np.eye(4)
        matrix[:3, :3] = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
        matrix[2, 3] = 500.0
        geometry = CArmGeometry(1000.0, (1.0, 1.0), (200, 200), (99.5, 99.5))
        frame = ImageSample("F", np.zeros((200, 200), np.uint16), np.eye(4), NOW_S, NOW_S)
        carm = Transform(Frame.CARM, Frame.CT, matrix) if known else None
        return FluoroState(frame, geometry, carm, None if known else "unknown", 0.1, 7.5)

    def state(self, valid: bool = True, now_s: float = NOW_S) -> NavigationState:
        tip = self.tip()
        seen = ToolState.OK if valid else ToolState.MISSING
        return NavigationState(
            now_s=now_s,
            source=Source.SIMULATED,
            devices=(DeviceStatus("Tracker", True, 60.0, 0.01, 0, None),),
            tools=(ToolStatus(Role.NEEDLE, "needle", seen, 0.4),),
            tip=tip if valid else None,
            guidance=guide(self.path, tip.tip_ct_mm, tip.shaft_ct) if valid else None,
            refusal=None if valid else REFUSAL,
            budget=ErrorBudget(1.0, 0.3, 0.2, 0.1, 0.6) if valid else None,
            breathing=BreathingState(0.5, 8.0, 2.0, True, True),
            ultrasound=self.ultrasound(),
            fluoro=self.fluoro(),
            stylus_tip_ct_mm=None,
        )


@pytest.fixture
def made(path: PlannedPath) -> Made:
    return Made(path)


@pytest.fixture
def session(volume: Volume, labels: LabelMap, path: PlannedPath) -> Iterator[Session]:
    """A session with a CT and an approved path."""
    session = Session()
    session.load_case(volume, labels)
    session.planning.set_target(path.target_ct_mm, "Lesion")
    session.planning.set_entry(path.entry_ct_mm)
    session.approving.approve(confirmed=True)
    yield session
    session.close()


@pytest.fixture
def make_window(app: QApplication, tmp_path: Path) -> Iterator[object]:
    """Builds windows that are closed at the end."""
    windows: list[MainWindow] = []

    def make(session: Session, acknowledged: bool = True) -> MainWindow:
        settings = QSettings(str(tmp_path / "gui.ini"), QSettings.Format.IniFormat)
        window = MainWindow(session, acknowledged=acknowledged, settings=settings)
        windows.append(window)
        window.show()
        app.processEvents()
        return window

    yield make
    for window in windows:
        window.close()


def pixels(widget: QWidget, width: int, height: int) -> np.ndarray:
    """(rows, columns, 3) int, RGB, of a widget painted at a size."""
    widget.resize(width, height)
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    memory = image.constBits()
    assert memory is not None
    memory.setsize(image.sizeInBytes())
    rows = np.frombuffer(bytes(memory), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)


def orange(picture: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: the needle's colour, also where it fades into black; no yellow."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    hue = green / np.maximum(red, 1)
    return (red > 150) & (hue > 0.6) & (hue < 0.76) & (blue < 0.25 * red)


def sky_blue(picture: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: the plan's colour."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    return (blue > 150) & (green > 100) & (red < 140) & (blue - red > 80)


def centre(mask: np.ndarray) -> tuple[float, float]:
    """(x, y) painter position of the middle of a mask."""
    rows, columns = np.nonzero(mask)
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def overlays(made: Made, *, tip: bool = True, error_mm: float | None = None) -> Overlays:
    return Overlays(
        target_ct_mm=made.path.target_ct_mm,
        entry_ct_mm=made.path.entry_ct_mm,
        tip=made.tip() if tip else None,
        error_mm=error_mm,
        tolerance_mm=5.0,
    )


def slice_view(volume: Volume, labels: LabelMap | None = None) -> SliceView:
    view = SliceView("CT axial", field_mm=160.0)
    outlined = ((5, "#9fc2a8"),) if labels is not None else ()
    view.set_images(CaseImages(volume, labels, outlined))
    return view


@pytest.fixture(scope="module")
def block() -> Volume:
    """A body with a liver behind a rib, as tests/session/test_planning.py labels it."""
    voxels = np.full((80, 80, 80), -1000, np.int16)
    voxels[10:70, 10:70, 10:70] = 40
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -79.0
    return Volume(voxels, affine, "blake2b:sections", VolumeInfo())


@pytest.fixture
def planner(
    app: QApplication,
    make_window: Windows,
    block: Volume,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Planner]:
    """A user on the Plan page with that body open."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    session = Session()
    yield Planner(app, make_window(session), (block, block_labels(block)))
    session.close()
