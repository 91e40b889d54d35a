"""Set up: what it says of streams, clocks and calibrations, and the switch that publishes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QWidget

from devices.contract import PoseStatus
from ir_nav.cli import _parser
from ir_nav.gui import theme
from ir_nav.gui.device_rows import (
    STREAM_HEADINGS,
    UNKNOWN_WORDS,
    clock_words,
    device_rows,
    tool_words,
)
from ir_nav.gui.device_table import DeviceTable
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.opening import Opening, open_at_start
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.rail import status_rows
from ir_nav.gui.scroll_column import ScrollColumn
from ir_nav.recording import read_log
from ir_nav.session.publish_address import DEFAULT_PORT, PublishAddress
from ir_nav.session.session import Session
from ir_nav.session.state import Role, ToolState, ToolStatus
from ir_nav.session.steps import Step
from ir_nav.session.streams import StreamReport
from ir_nav.tracking.quality import QualityReport
from ir_nav.tracking.stamp_filter import StampReport
from tests.gui.conftest import NOW_S, Made, pixels
from tests.session.rig import NEEDLE_TIP, Rig, calibration, pose, wait_for

Windows = Callable[..., MainWindow]

GOOD = QualityReport(
    samples=300,
    rate_hz=60.02,
    age_s=0.01,
    latency_s=0.0021,
    jitter_s=0.00034,
    period_s=1 / 60,
    dropped=1,
    dropped_share=1 / 301,
    invalid_share=0.25,
    offset_s=-0.0123,
    drift_ppm=4.25,
    clock_jumps=0,
    clock_reason=None,
)


def needle(quality: QualityReport) -> StreamReport:
    return StreamReport("NeedleToTracker", "Needle", "Tracker", Role.NEEDLE, False, quality)


def images(quality: QualityReport) -> StreamReport:
    return StreamReport("US", "Ultrasound", "Tracker", None, False, quality)


@pytest.fixture
def set_up(make_window: Windows, session: Session) -> Iterator[tuple[MainWindow, Session]]:
    """The page open with a room of samples that no device sends."""
    rig = Rig()
    session.connection.room, session.connection.streams = rig.room, rig.streams
    window = make_window(session)
    window.go(Step.SET_UP)
    yield window, session
    session.close()


def find(window: QWidget, kind: type[QWidget], name: str) -> QWidget:
    found = window.findChild(kind, name)
    assert isinstance(found, kind), name
    return found


def text(window: MainWindow, name: str) -> str:
    found = find(window, QLabel, name)
    assert isinstance(found, QLabel)
    return found.text()


def page_of(window: MainWindow) -> SetUpPage:
    page = window.pages[Step.SET_UP]
    assert isinstance(page, SetUpPage)
    return page


def test_rows_tell_rate_latency_jitter_losses_and_invalid_share(made: Made) -> None:
    state = made.state()
    rows = device_rows(state, (needle(GOOD), images(replace(GOOD, rate_hz=7.52))))
    assert [row.name for row in rows] == ["Tracker", "Needle", "Ultrasound"]
    assert rows[0].note == "Clock offset −12.3 ms, drift +4.2 ppm"
    assert rows[1].headings == STREAM_HEADINGS
    assert rows[1].cells == ("60 Hz", "2.1 ms", "0.3 ms", "1", "25%")
    assert rows[1].reason == ""
    assert rows[2].cells[0] == "7.5 Hz"


def test_losses_silence_and_nothing_yet_have_their_reasons(made: Made) -> None:
    lossy = replace(GOOD, samples=280, dropped=20, dropped_share=20 / 300)
    silent = replace(GOOD, samples=0, age_s=12.3)
    never = replace(silent, age_s=None)
    state = made.state()
    (_, tool, image) = device_rows(state, (needle(lossy), images(silent)))
    assert (tool.reason, tool.mark) == ("20 of 300 lost in 5 s", theme.ALARM_MEDIUM)
    assert (image.reason, set(image.cells)) == ("no image for 12.3 s", {"—"})
    assert device_rows(state, (images(never),))[-1].reason == "no image yet"


def test_clocks_are_told_by_the_quickest_stream_with_what_is_wrong() -> None:
    assert clock_words([]) == ""
    assert clock_words([replace(GOOD, offset_s=None)]) == ""
    late = replace(GOOD, offset_s=0.03)
    assert clock_words([late, GOOD]).startswith("Clock offset −12.3 ms")
    assert clock_words([replace(GOOD, drift_ppm=0.0)]).endswith("drift not known yet")
    assert clock_words([replace(GOOD, offset_s=-3.456)]).startswith("Clock offset −3.46 s")
    assert clock_words([replace(GOOD, drift_ppm=-255.44)]).endswith("drift −255 ppm")
    assert clock_words([replace(GOOD, clock_jumps=2)]).endswith("set anew 2×")
    fast = "its clock runs 1200 ppm off ours: set both by the same server"
    assert clock_words([replace(GOOD, clock_reason=fast)]) == fast


def test_status_unknown_is_told_apart_from_invalid(made: Made) -> None:
    unknown = ToolStatus(Role.NEEDLE, "needle", ToolState.UNKNOWN, 0.01)
    invalid = ToolStatus(Role.NEEDLE, "needle", ToolState.INVALID, 0.4)
    assert tool_words(unknown) == UNKNOWN_WORDS
    assert tool_words(invalid) == "invalid 400 ms"
    for tool, words, mark in (
        (unknown, "status unknown", theme.ALARM_LOW),
        (invalid, "invalid", theme.ALARM_HIGH),
    ):
        state = replace(made.state(), tools=(tool,))
        assert (status_rows(state)[-1].words, status_rows(state)[-1].mark) == (words, mark)
        assert device_rows(state)[-1].mark == mark


def test_the_table_gives_up_columns_before_names_but_never_words(
    app: QApplication, made: Made
) -> None:
    table = DeviceTable()
    table.show_rows(device_rows(made.state(), (needle(GOOD),)))
    for width, count in ((460, 5), (260, 2), (200, 1)):
        table.resize(width, table.height())
        assert len(table._columns(STREAM_HEADINGS)) == count
        assert pixels(table, width, table.height()).max() > 150
    for words in ("jitter 0.3 ms", "invalid 25%", "Clock offset"):
        assert words in table.accessibleDescription()
        assert words in table.toolTip()


def test_the_page_shows_what_arrives(set_up: tuple[MainWindow, Session]) -> None:
    window, session = set_up
    rig = Rig()
    session.connection.streams = rig.streams
    for number in range(120):
        rig.send(Role.NEEDLE, pose(1), NOW_S - 2.0 + number / 60.0, PoseStatus.UNKNOWN)
    page = page_of(window)
    page._notes._last_s = page._judged._last_s = float("-inf")
    page.show_state(session.tick(NOW_S))
    row = next(row for row in page._status.rows if row.name == "Needle")
    assert row.cells[0] == "60 Hz"
    assert row.reason == UNKNOWN_WORDS


def test_age_and_expiry_of_a_calibration_and_its_undo_with_the_keyboard(
    set_up: tuple[MainWindow, Session],
) -> None:
    window, session = set_up
    page = page_of(window)
    undo = find(window, QPushButton, "undo_needle_calibration")
    assert isinstance(undo, QPushButton)
    assert undo.accessibleName() == "Undo needle calibration"
    assert find(window, QPushButton, "undo_stylus_calibration") is not None

    def show(now_s: float) -> None:
        page._notes._last_s = float("-inf")
        page.show_state(session.tick(now_s))

    show(NOW_S)
    assert not undo.isEnabled()
    before = session.tools.needle
    made = replace(calibration(NEEDLE_TIP, True), pivot_s=NOW_S, spin_s=NOW_S, before=before)
    session.tools.needle = made
    show(NOW_S + 20)
    assert text(window, "needle_age") == "Made just now, expires in 7 h 59 min"
    show(NOW_S + 12 * 60)
    assert text(window, "needle_age") == "Made 12 min ago, expires in 7 h 48 min"
    show(NOW_S + 9 * 3600)
    assert text(window, "needle_age") == "Made 9 h ago, expired"
    assert text(window, "needle_detail").startswith("Calibration expired: pivot it again")
    assert undo.isEnabled()
    assert undo.focusPolicy() & Qt.FocusPolicy.TabFocus
    window.activateWindow()
    for _ in range(60):
        QTest.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
        if window.focusWidget() is undo:
            break
    assert undo.property("ring")
    QTest.keyClick(undo, Qt.Key.Key_Space)
    assert session.tools.needle is before
    show(NOW_S + 9 * 3600 + 1)
    assert text(window, "needle_result") == "Not calibrated"
    assert not undo.isEnabled()


def test_stamps_that_are_smoothed_are_said_beneath_their_stream(
    app: QApplication, made: Made
) -> None:
    state = made.state()
    smoothed = StampReport(0.0071, 0.00136, True)
    reports = (
        replace(needle(GOOD), stamps=smoothed),
        replace(images(GOOD), stamps=replace(smoothed, smoothed=False)),
    )
    _, tool, image = device_rows(state, reports)
    assert tool.note == "Time stamps jitter by 7.1 ms, smoothed to 1.4 ms"
    assert image.note == ""
    table = DeviceTable()
    table.show_rows((tool, image))
    taller = table.sizeHint().height()
    table.show_rows((replace(tool, note=""), image))
    assert table.sizeHint().height() < taller
    assert "smoothed" not in table.toolTip()


def test_publishing_is_switched_on_and_off_and_counts_its_clients(
    set_up: tuple[MainWindow, Session],
) -> None:
    window, session = set_up
    switch, port = find(window, QPushButton, "publish"), find(window, QLineEdit, "publish_port")
    assert isinstance(switch, QPushButton)
    assert isinstance(port, QLineEdit)
    assert port.text() == str(DEFAULT_PORT) == "18944"
    assert not session.publisher.status().on
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    port.setText(str(number))
    switch.click()
    assert switch.isChecked()
    assert text(window, "publish_note") == f"On port {number} of this computer, 0 clients"
    with socket.create_connection(("127.0.0.1", number)):
        wait_for(lambda: session.publisher.status().clients == 1, "the client")
        page_of(window).publish.show_status()
        assert text(window, "publish_note").endswith("1 client")
    switch.click()
    assert not session.publisher.status().on
    assert text(window, "publish_note").startswith("Off")
    port.setText("")
    switch.click()
    assert not switch.isChecked()
    assert "a number from 1 to 65535" in window.desk.banner.accessibleDescription() + str(
        [one.text() for one in window.desk.banner.findChildren(QLabel)]
    )


def test_a_taken_port_is_said_in_the_window(set_up: tuple[MainWindow, Session]) -> None:
    window, session = set_up
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        open_at_start(window, Opening(publish=PublishAddress(port=number)))
        assert not session.publisher.status().on
        assert not window.desk.banner.isHidden()
        page_of(window).publish.show_status()
        assert text(window, "publish_note").startswith(
            f"Port {number} cannot be used to publish: another program has it"
        )
        assert find(window, QLabel, "publish_note").property("mood") == "bad"
    open_at_start(window, Opening(publish=PublishAddress(port=number)))
    assert session.publisher.status().on
    assert session.publisher.status().port == number


def test_publishing_to_a_network_is_said_in_the_window_and_the_log(
    set_up: tuple[MainWindow, Session], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    window, session = set_up
    session.start_log(tmp_path / "a.irlog")
    switch, port = find(window, QPushButton, "publish"), find(window, QLineEdit, "publish_port")
    host = find(window, QLineEdit, "publish_host")
    assert isinstance(switch, QPushButton)
    assert isinstance(port, QLineEdit)
    assert isinstance(host, QLineEdit)
    assert host.text() == "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    port.setText(str(number))
    host.setText("not an address")
    switch.click()
    assert not switch.isChecked()
    assert "'not an address' is no address" in window.desk.banner.text
    host.setText("0.0.0.0")
    switch.click()
    assert switch.isChecked()
    assert not host.isEnabled()
    reach = (
        f"n port {number} at every address of this computer: anyone on its networks can read along"
    )
    assert text(window, "publish_note") == f"O{reach}, 0 clients"
    assert find(window, QLabel, "publish_note").property("mood") == "warn"
    assert f"publishing o{reach}" in caplog.text
    # A log that is started later knows it too.
    session.start_log(tmp_path / "b.irlog")
    switch.click()
    session.start_log(tmp_path / "c.irlog")
    host.setText("127.0.0.1")
    switch.click()
    assert find(window, QLabel, "publish_note").property("mood") != "warn"
    session.close()
    for name, noted in (("a", True), ("b", True), ("c", False)):
        events = read_log(tmp_path / f"{name}.irlog").events
        assert any(event.text == f"publishing o{reach}" for event in events) is noted


def test_the_command_line_takes_an_address_or_the_usual_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def publish(*words: str) -> object:
        return _parser().parse_args(["console", *words]).publish

    assert publish() is None
    assert publish("--publish") == PublishAddress("127.0.0.1", 18944)
    assert publish("--publish", "20000") == PublishAddress("127.0.0.1", 20000)
    assert publish("--publish", "192.168.0.5:20000") == PublishAddress("192.168.0.5", 20000)
    for wrong in ("0", "70000", "x", "192.168.0.5", "192.168.0.5:", ":18944", "::1:18944"):
        with pytest.raises(SystemExit):
            publish("--publish", wrong)
    assert "--publish" in capsys.readouterr().err


def test_a_small_screen_keeps_every_button_whole(
    app: QApplication, set_up: tuple[MainWindow, Session]
) -> None:
    window, _ = set_up
    window.resize(1024, 640)
    app.processEvents()
    for name in ("open_room", "connect", "publish", "undo_needle_calibration", "pivot_stylus"):
        made = find(window, QPushButton, name)
        assert made.width() >= made.minimumSizeHint().width(), name
        around = made.parentWidget()
        assert around is not None
        assert around.rect().contains(made.geometry()), name
    scroll = page_of(window).findChild(ScrollColumn)
    assert scroll is not None
    inside = scroll.widget()
    assert inside is not None
    assert inside.width() <= scroll.width()
