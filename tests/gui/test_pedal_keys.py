"""A key as foot pedal in the real window, beside a pedal on a serial line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent, QShortcut, QWindow
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLineEdit, QWidget

from devices.contract import TextSample
from hw_mocks.pedal import BouncingContact, SerialPedal
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.pedal_keys import qt_key
from ir_nav.recording import EventKind, read_log
from ir_nav.session.device_entries import PEDAL_KEYS
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.session.rig import wait_for

Windows = Callable[..., MainWindow]
KEYED = 'kind = "keyboard-pedal"\nkeys = ["F9", "PageDown"]\n'
HEAD = 'format = 1\nname = "R"\nsource = "live"\n\n[[devices]]\nname = "Pedal"\n'
F9, PAGE_DOWN = Qt.Key.Key_F9, Qt.Key.Key_PageDown


class Deeds:
    """What the console was made to do."""

    def __init__(self, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        page = window.pages[Step.REGISTER]
        assert isinstance(page, RegisterPage)
        for owner, name in ((page, "capture"), (page, "undo"), (window.guide, "toggle_freeze")):
            monkeypatch.setattr(owner, name, lambda *_, name=name: self.done.append(name))
        monkeypatch.setattr(window.session, "mark", self.done.append)

    def become(self, expected: list[str]) -> None:
        """Wait for as many; then they must be these."""
        end_s = time.monotonic() + 5.0
        while len(self.done) < len(expected) and time.monotonic() < end_s:
            pass_s(0.02)
        assert self.done == expected


@pytest.fixture
def window(make_window: Windows, session: Session, tmp_path: Path) -> Iterator[MainWindow]:
    """A room whose only device is the keyboard pedal, connected."""
    window = make_window(session)
    connect(window, tmp_path, KEYED)
    window.activateWindow()
    yield window
    session.close()


def connect(window: MainWindow, folder: Path, device: str) -> None:
    (folder / "room.toml").write_text(HEAD + device)
    window.session._new_log = lambda: folder / "a.irlog"
    window.session.open_room(folder / "room.toml")
    window.session.connect()

    def connected() -> bool:
        QApplication.processEvents()
        window.tick()
        return window.state is not None and window.state.devices[0].connected

    wait_for(connected, "the pedal")


def on(window: MainWindow, step: Step) -> None:
    """Show a page without what its step asks for."""
    window.step = step
    window.stage.pages.setCurrentWidget(window.pages[step])


def pass_s(seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        QApplication.processEvents()
        time.sleep(0.003)


def handle_of(widget: QWidget) -> QWindow:
    """Where the system's keys of a window arrive."""
    handle = widget.window().windowHandle()
    assert handle is not None
    return handle


def hold(widget: QWidget, key: Qt.Key, seconds: float) -> None:
    """A key as a keyboard sends it, repeating itself after a quarter of a second."""
    handle = handle_of(widget)
    QTest.keyPress(handle, key)
    pass_s(min(seconds, 0.25))
    for _ in range(round(max(seconds - 0.25, 0.0) / 0.04)):
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress):
            repeated = QKeyEvent(kind, key.value, Qt.KeyboardModifier.NoModifier, "", True)
            QApplication.sendEvent(handle, repeated)
        pass_s(0.04)
    QTest.keyRelease(handle, key)
    pass_s(0.12)


@pytest.mark.parametrize(
    ("step", "short", "long"),
    [
        (Step.REGISTER, ["capture"], ["undo"]),
        (Step.GUIDE, ["Mark (pedal)"], ["toggle_freeze"]),
        (Step.PLAN, ["Mark (pedal)"], []),
    ],
)
def test_a_key_does_what_a_serial_pedal_does(
    make_window: Windows,
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
    short: list[str],
    long: list[str],
) -> None:
    window = make_window(session)
    deeds = Deeds(window, monkeypatch)
    with SerialPedal(BouncingContact(np.random.default_rng(1), 0.01, 0.003)) as pedal:

        def foot(seconds: float) -> None:
            pedal.move(True)
            pass_s(seconds)
            pedal.move(False)
            pass_s(0.12)

        for folder, device, press in (
            ("line", f'kind = "pedal"\nport = "{pedal.port}"\n', foot),
            ("keys", KEYED, lambda seconds: hold(window, F9, seconds)),
        ):
            (tmp_path / folder).mkdir()
            connect(window, tmp_path / folder, device)
            on(window, step)
            press(0.15)
            deeds.become(short)
            press(1.0)
            deeds.become(short + long)
            deeds.done.clear()


def test_a_key_that_bounces_is_one_press(
    make_window: Windows, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must hold for a quarter of a second here: a busy machine cannot press more quickly."""
    window = make_window(session)
    connect(window, tmp_path, KEYED + "settle_s = 0.25\n")
    deeds = Deeds(window, monkeypatch)
    on(window, Step.REGISTER)
    for _ in range(4):
        QTest.keyPress(handle_of(window), F9)
        QTest.keyRelease(handle_of(window), F9)
    pass_s(0.4)
    assert deeds.done == []
    QTest.keyPress(handle_of(window), F9)
    QTest.keyRelease(handle_of(window), F9)
    hold(window, F9, 0.4)
    pass_s(0.3)
    assert deeds.done == ["capture"]


def test_text_fields_keep_their_keys_and_other_keys_stay_keys(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeds = Deeds(window, monkeypatch)
    on(window, Step.REGISTER)
    field = QLineEdit(window)
    field.show()
    field.setFocus()
    heard: list[int] = []
    monkeypatch.setattr(QLineEdit, "keyPressEvent", lambda _, event: heard.append(event.key()))
    hold(field, PAGE_DOWN, 0.1)
    assert (heard, deeds.done) == ([PAGE_DOWN.value], [])
    hold(field, F9, 0.1)
    assert (heard, deeds.done) == ([PAGE_DOWN.value], ["capture"])
    for key, modifier in (
        (Qt.Key.Key_F10, Qt.KeyboardModifier.NoModifier),
        (F9, Qt.KeyboardModifier.ControlModifier),
    ):
        QTest.keyClick(handle_of(field), key, modifier)
    heard = [key for key in heard if key != Qt.Key.Key_Control.value]
    assert heard == [PAGE_DOWN.value, Qt.Key.Key_F10.value, F9.value]
    window.stage.setFocus()
    hold(window, PAGE_DOWN, 0.1)
    assert deeds.done == ["capture"] * 2


def test_another_window_and_a_cover_are_no_pedal(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeds = Deeds(window, monkeypatch)
    on(window, Step.REGISTER)
    other = QWidget()
    other.show()
    hold(other, F9, 0.1)
    window.keys_cover.open()
    window.keys_cover.setFocus()
    hold(window, F9, 0.1)
    assert not window.keys_cover.isVisible()
    assert deeds.done == []
    # Held while the window loses the keyboard: let go, not held for ever.
    QTest.keyPress(handle_of(window), F9)
    pass_s(0.1)
    QApplication.sendEvent(window, QEvent(QEvent.Type.WindowDeactivate))
    pass_s(1.0)
    assert deeds.done == ["capture"]
    other.close()


def test_steps_of_the_pedal_are_in_the_log_and_without_a_connection_a_key_is_a_key(
    window: MainWindow, session: Session, tmp_path: Path
) -> None:
    on(window, Step.PATIENT)
    hold(window, F9, 0.1)
    assert window.desk.banner.text == "Marked in the log"
    session.disconnect()
    window.desk.banner.hide()
    hold(window, F9, 0.1)
    assert window.desk.banner.isHidden()
    session.close()
    log = read_log(tmp_path / "a.irlog")
    assert log.sample_counts == {"pedal": 2}
    mark = log.last(EventKind.MARK)
    assert mark is not None
    assert mark.text == "Mark (pedal)"


def test_a_pedal_in_a_closed_window_says_so(window: MainWindow, session: Session) -> None:
    window.close()
    wait_for(lambda: not session.tick(time.time()).devices[0].connected, "the loss")
    wait_for(
        lambda: "no window has the keyboard" in str(session.tick(time.time()).devices[0].reason),
        "the reason",
    )


def test_every_key_of_the_room_file_is_one_of_qt_and_none_of_the_windows(
    window: MainWindow, session: Session
) -> None:
    numbers = {qt_key(name) for name in PEDAL_KEYS}
    assert len(numbers) == len(PEDAL_KEYS)
    bound = {shortcut.key()[0].key().value for shortcut in window.findChildren(QShortcut)}
    assert not bound & numbers
    assert session.connection.streams is not None
    session.connection.streams.take(TextSample("pedal", "sideways", 1.0, 1.0))
    window.tick()
