"""The Ultrasound section of Register through its widgets, and the live check on Guide."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton

from ir_nav.geometry import apply
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.registration import Method
from ir_nav.registration.ultrasound.quality_trace import Fit
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState
from ir_nav.session.steps import Step
from tests.gui.conftest import pixels
from tests.registration.ultrasound_scene import CT_FROM_REFERENCE, start_off
from tests.session.rig import NEEDLE_TIP, calibration
from tests.session.swept_bench import FRAMES, SweptBench, scene

Windows = Callable[..., MainWindow]


class Hand:
    """The section open, the room's probe on the patient."""

    def __init__(self, app: QApplication, make_window: Windows) -> None:
        self.app = app
        self.session = Session()
        self.bench = SweptBench(self.session, time.time() - 60.0)
        self.window = make_window(self.session)
        # Time is the bench's.
        self.window._timer.stop()
        self.bench.send(0)
        assert self.window.go(Step.REGISTER)
        page = self.window.pages[Step.REGISTER]
        assert isinstance(page, RegisterPage)
        self.page, self.step = page, self.session.sweeping
        self.press("section_ultrasound")
        self.send(0)

    def send(self, number: int, **changed: object) -> NavigationState:
        """A frame of the sweep; the window shows it."""
        self.window.desk.look.follow(self.session.case)
        state = self.bench.send(number, **changed)  # type: ignore[arg-type]
        self.window.pages[self.window.step].show_state(state)
        self.app.processEvents()
        return state

    def sweep(self) -> None:
        for number in range(len(scene().sweep.images)):
            self.send(number)

    def button(self, name: str) -> QPushButton:
        found = self.window.findChild(QPushButton, name)
        assert found is not None, name
        return found

    def press(self, name: str) -> None:
        assert self.button(name).isEnabled(), name
        self.button(name).click()

    def words(self, name: str) -> str:
        found = self.window.findChild(QLabel, name)
        assert found is not None, name
        return found.text()

    def wait(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + 60.0
        while not until():
            assert time.monotonic() < end
            self.app.processEvents()
            time.sleep(0.002)

    @property
    def banner(self) -> str:
        return self.window.desk.banner.text


@pytest.fixture
def hand(app: QApplication, make_window: Windows) -> Iterator[Hand]:
    made = Hand(app, make_window)
    yield made
    made.session.close()


def test_swept_registered_looked_at_and_accepted(hand: Hand) -> None:
    hand.bench.use(start_off(6.0, 3.0, 4))
    hand.press("start_sweep")
    hand.send(0)
    assert hand.button("start_sweep").text() == "Stop"
    hand.press("register_sweep")
    assert "The sweep has 1 frames, at least 8" in hand.banner
    assert hand.step.sweeping
    hand.sweep()
    assert hand.words("sweep_result") == f"{2 * FRAMES} frames, 2 windows"
    hand.press("start_sweep")
    hand.send(0)
    assert hand.button("start_sweep").text() == "Sweep anew"
    hand.press("register_sweep")
    hand.send(0)
    assert hand.words("sweep_result") == "Working it out"
    assert not hand.button("register_sweep").isEnabled()
    hand.wait(lambda: hand.step.outcome is not None)
    hand.send(2)
    assert "Found" in hand.words("sweep_result")
    assert "Target moved by" in hand.words("sweep_detail")
    assert "2 windows" in hand.words("sweep_detail")
    assert hand.bench.error_mm() == pytest.approx(6.0, abs=0.01)
    after = pixels(hand.page.ultrasound.view, 400, 300)
    hand.press("sweep_before")
    before = pixels(hand.page.ultrasound.view, 400, 300)
    assert (np.abs(after - before).sum(axis=2) > 30).mean() > 0.05
    hand.press("accept_registration")
    assert hand.bench.error_mm() < 2.0
    used = hand.session.registering.registration
    assert used is not None
    assert used.method is Method.ULTRASOUND
    hand.send(2)
    assert hand.step.sweep is None
    assert hand.words("sweep_result") == "No sweep yet"


def test_bone_is_asked_for_and_the_same_sweep_serves_the_image_too(hand: Hand) -> None:
    hand.bench.use(start_off(6.0, 3.0, 4))
    hand.press("start_sweep")
    hand.sweep()
    hand.press("sweep_bone")
    hand.press("register_sweep")
    hand.wait(lambda: "bone" in hand.banner)
    assert "register by the image" in hand.banner
    hand.wait(lambda: not hand.window.desk.worker.busy)
    hand.send(0)
    assert hand.step.outcome is None
    hand.press("sweep_bone")
    hand.press("register_sweep")
    hand.wait(lambda: hand.step.outcome is not None)
    hand.send(0)
    assert "similarity" in hand.words("sweep_detail")
    hand.press("sweep_bone")
    hand.send(0)
    assert hand.step.outcome is None
    assert hand.words("sweep_result").endswith("2 windows")
    assert hand.button("register_sweep").isEnabled()


def test_the_picture_shows_the_ct_where_the_registration_puts_it(hand: Hand) -> None:
    """By its greys: the CT alone, resliced in the image's plane, against the CT itself."""
    hand.bench.use(CT_FROM_REFERENCE)
    assert hand.button("sweep_look").text() == "Both"
    hand.press("sweep_look")
    hand.press("sweep_look")
    assert hand.button("sweep_look").text() == "CT"
    state = hand.send(2)
    view = hand.page.ultrasound.view
    picture = pixels(view, 480, 400)[..., 0]
    ct_from_view = view.ct_from_view
    assert ct_from_view is not None
    assert state.ultrasound is not None
    assert state.ultrasound.image_from_ct is not None
    at = np.array([(200.0, 150.0, 0.0), (260.0, 220.0, 0.0), (240.0, 60.0, 0.0)])
    in_ct = apply(np.linalg.inv(state.ultrasound.image_from_ct), at)
    ct = scene().ct
    i, j, k = np.rint(apply(np.linalg.inv(ct.ct_from_voxel), in_ct)).astype(int).T
    expected = np.clip((ct.voxels[k, j, i] - (40.0 - 200.0)) / 400.0 * 255.0, 0.0, 255.0)
    seen = np.array([np.median(picture[int(v) - 2 : int(v) + 3, int(u) - 2 : int(u) + 3])
                     for u, v, _ in at])  # fmt: skip
    np.testing.assert_allclose(seen, expected, atol=30.0)


def test_a_plane_is_locked_where_there_is_no_registration(hand: Hand) -> None:
    assert "Lock a plane" in hand.words("sweep_result")
    hand.press("start_sweep")
    assert "lock the plane" in hand.banner
    page = hand.page
    page.coronal.step(3.0)
    assert page._moved_slice is page.coronal
    page.axial.step(1.0)
    page.axial.look((1.0, 2.0, 3.0))
    hand.press("turn_plane_left")
    hand.press("turn_plane_right")
    hand.press("turn_plane_right")
    hand.press("mirror_plane")
    state = hand.send(0)
    hand.press("lock_plane")
    image = state.ultrasound
    assert image is not None
    assert image.reference_from_image is not None
    assert hand.step.locked is not None
    ct_from_image = hand.step.locked @ image.reference_from_image
    rows, columns = image.frame.pixels.shape
    middle = ct_from_image @ np.array([(columns - 1) / 2, (rows - 1) / 2, 0.0, 1.0])
    np.testing.assert_allclose(middle[:3], (1.0, 2.0, 3.0), atol=1e-6)
    right = ct_from_image[:3, 0] / np.linalg.norm(ct_from_image[:3, 0])
    turn = np.radians(15.0)
    np.testing.assert_allclose(right, (-np.cos(turn), -np.sin(turn), 0.0), atol=1e-6)
    hand.send(0)
    hand.press("start_sweep")
    assert hand.step.sweeping
    hand.send(0)
    hand.press("discard_sweep")
    hand.send(0)
    hand.press("lock_plane")
    assert hand.step.locked is None
    small_screen(hand)


def small_screen(hand: Hand) -> None:
    """Six sections fit beside one another, by shorter names; whole ones where there is room."""
    names = ["landmarks", "surface", "ultrasound", "fluoro", "manual", "history"]
    tabs = [hand.button(f"section_{name}") for name in names]
    hand.window.resize(1366, 768)
    hand.send(0)
    assert tabs[2].text().startswith("US\n")
    for left, right in pairwise(tabs):
        assert left.geometry().right() < right.geometry().left()
    assert tabs[-1].geometry().right() < hand.page.sections.width()
    assert hand.button("start_sweep").visibleRegion().boundingRect().height() > 40
    hand.window.resize(1920, 1080)
    hand.send(0)
    assert tabs[2].text().startswith("Ultrasound\n")


def test_a_search_is_cancelled_by_discarding_the_sweep(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.bench.use(start_off(6.0, 3.0, 4))
    hand.press("start_sweep")
    hand.sweep()
    hand.press("register_sweep")
    hand.wait(lambda: hand.page.ultrasound._working)
    hand.send(0)
    hand.press("discard_sweep")
    hand.wait(lambda: not hand.window.desk.worker.busy)
    assert hand.step.outcome is None
    assert hand.step.sweep is None
    hand.send(0)
    assert hand.button("start_sweep").isEnabled()
    assert hand.words("sweep_result") == "No sweep yet"
    # One that comes to its end all the same is not wanted any more.
    concluded: list[object] = []
    monkeypatch.setattr(hand.step, "conclude", concluded.append)
    monkeypatch.setattr(hand.step, "solution", lambda by: lambda progress: object())
    hand.press("start_sweep")
    hand.sweep()
    hand.press("register_sweep")
    hand.step.discard()
    hand.wait(lambda: not hand.window.desk.worker.busy)
    assert concluded == []
    hand.press("start_sweep")
    hand.send(0)
    hand.press("register_sweep")
    hand.wait(lambda: not hand.window.desk.worker.busy)
    assert len(concluded) == 1


def judged(hand: Hand, rounds: int, **changed: object) -> None:
    """Frames that the window's own feed has judged."""
    quality = hand.session.quality
    for _ in range(rounds):
        for number in range(2 * FRAMES):
            hand.send(number, **changed)
            hand.wait(lambda: quality._waiting is None and not quality._busy)


def test_a_slip_is_told_once_and_on_guide_too_while_guidance_stays(hand: Hand) -> None:
    panel = hand.page.quality
    assert panel.head == "CT check: too few frames"
    hand.bench.use(CT_FROM_REFERENCE)
    judged(hand, 1)
    hand.send(0)
    assert panel.head == "Ultrasound fits the CT"
    assert hand.banner == ""
    hand.session.tools.needle = calibration(NEEDLE_TIP, True)
    assert hand.window.go(Step.GUIDE)
    hand.window._timer.stop()
    guide = hand.window.guide
    judged(hand, 1)
    assert guide.quality.isVisible()
    fitting = pixels(guide.quality, 300, 150)
    judged(hand, 2, slipped_mm=(0.0, 0.0, 8.0))
    assert "register again" in hand.banner
    assert guide.quality.head == "Registration drifts: check"
    assert guide.quality.words == hand.banner
    assert (pixels(guide.quality, 300, 150) != fitting).any()
    assert hand.session.registering.registration is not None
    hand.window.desk.banner.say("read")
    judged(hand, 1, slipped_mm=(0.0, 0.0, 8.0))
    assert hand.banner == "read"
    assert hand.session.quality.verdict.fit is not Fit.HOLDS
