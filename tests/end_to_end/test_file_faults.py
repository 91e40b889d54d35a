"""Files that are not what they should be, by the ways a user hands them over."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PyQt6.QtWidgets import QApplication

from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.opening import Opening, open_at_start
from ir_nav.imaging import read_volume
from ir_nav.planning import Plan, save_plan
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.end_to_end.running import folder_of, ir_nav
from tests.gui.conftest import app, make_window  # noqa: F401

pytestmark = pytest.mark.end_to_end


def ct_file(path: Path, hu: int = 40) -> Path:
    """A block of tissue in air, 2 mm voxels."""
    voxels = np.full((60, 60, 60), -1000, np.int16)
    voxels[10:50, 10:50, 10:50] = hu
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 2.0))
    SimpleITK.WriteImage(image, str(path))
    return path


def truncated(path: Path) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def plan_of(ct: Path, path: Path) -> Path:
    plan = Plan(
        name="P",
        ct_identity=read_volume(ct).identity,
        entry_ct_mm=(20.0, 60.0, 60.0),
        target_ct_mm=(60.0, 60.0, 60.0),
    )
    save_plan(plan, path)
    return path


def settle(qt: QApplication, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < deadline
        qt.processEvents()
        time.sleep(0.01)


def test_a_truncated_ct_ends_the_demo_with_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    ct = truncated(ct_file(tmp_path / "ct.nrrd"))
    labels = ct_file(tmp_path / "labels.nrrd", 5)
    out = tmp_path / "out"
    done = ir_nav(
        "demo", "--headless", "--out", out, "--ct", ct, "--labels", labels, "--target", "60,60,60"
    )
    assert done.returncode == 1
    assert "ct.nrrd" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists() or "session.irlog" not in folder_of(out)


def test_a_truncated_ct_is_refused_in_the_window_and_the_one_before_stays(
    app: QApplication,  # noqa: F811
    make_window: Callable[[Session], MainWindow],  # noqa: F811
    tmp_path: Path,
) -> None:
    session = Session()
    window = make_window(session)
    good = ct_file(tmp_path / "good.nrrd")
    open_at_start(window, Opening(ct=good))
    settle(app, lambda: session.case.volume is not None)
    kept = session.case.volume
    open_at_start(window, Opening(ct=truncated(ct_file(tmp_path / "cut.nrrd"))))
    settle(app, lambda: "cut.nrrd" in window.desk.banner.text)
    assert "Unexpected" not in window.desk.banner.text
    assert session.case.volume is kept
    assert window.go(Step.PLAN)


def test_a_plan_of_another_ct_is_refused_in_the_window_and_guides_nobody(
    app: QApplication,  # noqa: F811
    make_window: Callable[[Session], MainWindow],  # noqa: F811
    tmp_path: Path,
) -> None:
    session = Session()
    window = make_window(session)
    mine = ct_file(tmp_path / "mine.nrrd")
    foreign = plan_of(ct_file(tmp_path / "other.nrrd", hu=55), tmp_path / "other.json")
    open_at_start(window, Opening(ct=mine, plan=foreign))
    settle(app, lambda: "another CT" in window.desk.banner.text)
    assert session.case.volume is not None
    assert session.planning.plan is None
    assert not window.go(Step.GUIDE)
    open_at_start(window, Opening(ct=mine, plan=plan_of(mine, tmp_path / "mine.json")))
    settle(app, lambda: session.planning.plan is not None)
