"""What the pages say: patient facts, devices, registration, verdict; notices and focus."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QListWidget, QPushButton, QWidget

from ir_nav.geometry import read_only
from ir_nav.gui import theme
from ir_nav.gui.case_look import OUTLINED, aimed_at, body_box, filled, outlined, structure_tone
from ir_nav.gui.device_rows import device_rows
from ir_nav.gui.device_table import DeviceTable
from ir_nav.gui.header import header_of
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.main_window import MainWindow
from ir_nav.gui.notice import DONE_MS, SHOWN_MS, WIDEST_PX, Mood
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.pages.review import event_lines
from ir_nav.gui.slice_image import outline_pixels
from ir_nav.gui.verdict import VerdictPanel, judge_placement, verdict_words
from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.recording import Event, EventKind, LogContents, ShownTrack
from ir_nav.review import Placement
from ir_nav.session.session import Session
from ir_nav.session.state import DeviceStatus, Role, Source, ToolState, ToolStatus
from ir_nav.session.steps import Step
from tests.gui.conftest import NOW_S, Made

Windows = Callable[..., MainWindow]


def named(window: MainWindow, kind: type[QWidget], name: str) -> QWidget:
    found = window.findChild(kind, name)
    assert isinstance(found, kind), name
    return found


def text_of(window: MainWindow, name: str) -> str:
    found = named(window, QLabel, name)
    assert isinstance(found, QLabel)
    return found.text()


def test_patient_facts_have_units_and_run_from_edge_to_edge(
    app: QApplication, make_window: Windows, session: Session, made: Made
) -> None:
    window = make_window(session)
    window.tick()
    assert text_of(window, "fact_size") == "80 × 80 × 80 voxels"
    assert text_of(window, "fact_extent") == "160 × 160 × 160 mm"
    assert text_of(window, "fact_slices") == "2.00 mm apart"
    missing = named(window, QLabel, "fact_patient_id")
    assert isinstance(missing, QLabel)
    assert missing.text() == "not given"
    assert missing.property("mood") == "quiet"
    assert named(window, QLabel, "fact_name").property("mood") != "quiet"


def test_structures_list_what_is_aimed_at_first_with_its_size(
    make_window: Windows, volume: Volume
) -> None:
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    numbers[30:50, 30:50, 30:50] = 5
    numbers[38:44, 38:46, 38:44] = 9
    labels = LabelMap(numbers, volume.ct_from_voxel, {5: "liver", 9: "lesion"})
    with closing(Session()) as session:
        session.load_case(volume, labels)
        window = make_window(session)
        window.tick()
        listed = named(window, QListWidget, "structures")
        assert isinstance(listed, QListWidget)
        items = [listed.item(row) for row in range(listed.count())]
        assert [item.text() for item in items if item] == ["Lesion, 16 mm", "Liver"]
        assert all(not item.icon().isNull() for item in items if item)


def test_what_is_aimed_at_has_the_plans_colour_and_a_wide_outline(volume: Volume) -> None:
    names = {1: "liver", 2: "lesion", 3: "bowel", 4: "bowel_gas", 5: "left_kidney"}
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    labels = LabelMap(numbers, volume.ct_from_voxel, names)
    tones = dict(outlined(labels))
    assert tones[2] == theme.PLAN
    assert 4 not in tones
    assert {1, 3, 5} <= set(tones)
    assert aimed_at(labels) == {2}
    assert filled(labels) == ((4, 3),)
    assert structure_tone(labels, 5) != structure_tone(labels, 1)
    assert dict(OUTLINED)["liver"] == theme.STRUCTURE
    field = np.zeros((60, 60), np.uint8)
    field[20:40, 20:40] = 1
    codes, colours = np.arange(256, dtype=np.uint8), np.full(256, 0xFFFFFFFF, np.uint32)
    colours[0] = 0
    thin = outline_pixels(field, codes, colours)[..., 3] > 128
    wide = outline_pixels(field, codes, colours, (1,))[..., 3] > 128
    assert thin[30].sum() >= 1
    assert wide[30, :30].sum() == 2
    assert thin[30, :30].sum() == 1


def test_body_box_leaves_a_wire_out(volume: Volume) -> None:
    voxels = volume.voxels.copy()
    voxels[40, 40, :] = 300
    found = body_box(Volume(voxels, volume.ct_from_voxel, "blake2b:wire", volume.description))
    assert found[0] == pytest.approx((-60.0, -60.0, -60.0), abs=9.0)
    assert found[1] == pytest.approx((60.0, 60.0, 60.0), abs=9.0)


def test_header_names_the_source_of_an_open_room_and_a_patient_without_a_name(
    session: Session, made: Made, volume: Volume
) -> None:
    state = replace(made.state(), source=None)
    assert header_of(session, state, Step.PLAN, None).source is None

    class Room:
        source = Source.SIMULATED

    session.connection.room = Room()  # type: ignore[assignment]
    header = header_of(session, state, Step.PLAN, None)
    assert header.source is Source.SIMULATED
    assert header.patient == "Test"
    session.connection.room = None
    unnamed = replace(volume, description=VolumeInfo(), identity="blake2b:other")
    session.load_case(unnamed)
    header = header_of(session, state, Step.PLAN, None)
    assert (header.patient, header.patient_id, header.opened) == ("", "", True)


def test_device_table_tells_rate_age_refused_and_the_reason(made: Made) -> None:
    devices = (
        DeviceStatus("Tracker", True, 60.0, 0.012, 3, None),
        DeviceStatus("Fluoro", False, 0.0, None, 0, "connection refused"),
    )
    tools = (ToolStatus(Role.NEEDLE, "needle", ToolState.MISSING, 1.25),)
    rows = device_rows(replace(made.state(), devices=devices, tools=tools))
    assert rows[0].cells == ("60 Hz", "12 ms", "3")
    assert rows[0].reason == ""
    assert rows[1].cells == ("—", "—", "0")
    assert rows[1].reason == "connection refused"
    assert set(rows[2].cells) == {"—"}
    assert rows[2].reason == "out of view 1.2 s"
    table = DeviceTable()
    table.show_rows(rows)
    assert "connection refused" in table.accessibleDescription()
    assert table.height() == table.sizeHint().height() > 5 * 20


def test_set_up_offers_only_what_can_be_done(make_window: Windows) -> None:
    with closing(Session()) as session:
        window = make_window(session)
        window.go(Step.SET_UP)
        connect = named(window, QPushButton, "connect")
        disconnect = named(window, QPushButton, "disconnect")
        assert connect.isEnabled()
        assert not disconnect.isEnabled()
        assert connect.property("kind") != "primary"
        assert named(window, QPushButton, "open_room").property("kind") == "primary"


def test_predicted_error_is_never_none_at_all() -> None:
    assert mm_words(0.0) == "<0.1 mm"
    assert mm_words(0.049) == "<0.1 mm"
    assert mm_words(0.05) == "0.1 mm"
    assert mm_words(2.34) == "2.3 mm"


def test_register_offers_to_touch_again_once_touched(
    make_window: Windows, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(session)
    page = window.pages[Step.REGISTER]
    assert isinstance(page, RegisterPage)
    button = named(window, QPushButton, "start_touching")
    assert isinstance(button, QPushButton)
    page.show_state(session.tick(NOW_S))
    assert button.text() == "Start touching"
    monkeypatch.setattr(type(session.registering.landmarks), "count", property(lambda _: 2))
    page.show_state(session.tick(NOW_S + 5.0))
    assert button.text() == "Touch again"


def test_verdict_compares_each_number_with_its_limit() -> None:
    good = judge_placement(Placement(0.5, -1.1, 0.6))
    assert verdict_words(good) == ("✓ Within the limits", theme.GOOD)
    assert [(item.value, item.note) for item in good] == [
        ("0.5", ""),
        ("1.1", "short"),
        ("0.6", ""),
    ]
    poor = judge_placement(Placement(5.4, 1.0, 7.0))
    assert verdict_words(poor) == ("✕ Over the limit: lateral, angle", theme.ALARM_HIGH)
    assert verdict_words(())[0] == "No needle position was marked"
    assert VerdictPanel().headline == "No log is open"


def test_review_lists_events_with_times() -> None:
    nothing = read_only(np.zeros(0))
    points = read_only(np.zeros((0, 3)))
    shown = ShownTrack(
        nothing, nothing, points, points, nothing, nothing, nothing, nothing, nothing, ()
    )
    events = (
        Event(10.0, EventKind.CASE, "CT opened"),
        Event(75.4, EventKind.GUIDANCE, "valid"),
        Event(80.0, EventKind.MARK, "target reached"),
    )
    log = LogContents(Path("a.irlog"), 10.0, "x", events, shown, {})
    assert event_lines(log) == ["0:00   CT opened", "1:10   Marked: target reached"]


def test_notices_are_as_wide_as_their_words_and_go(
    app: QApplication, make_window: Windows, session: Session
) -> None:
    window = make_window(session)
    banner = window.desk.banner
    banner.say("Saved", Mood.DONE)
    short = banner.width()
    assert banner._timer.interval() == DONE_MS <= 4000
    assert banner._timer.isActive()
    stage = window.stage
    assert banner.y() + banner.height() <= stage.height()
    assert banner.y() > stage.height() / 2
    assert abs(banner.geometry().center().x() - stage.image_area().center().x()) <= 1
    banner.say("A much longer message that says in many words what could not be done and why " * 2)
    assert short < banner.width() <= WIDEST_PX
    assert banner.height() > 50
    assert not banner._timer.isActive()
    banner.say("No", Mood.REFUSED)
    assert banner._timer.interval() == SHOWN_MS
    window.jobs._start("Reading")
    banner.say("Saved", Mood.DONE)
    assert not banner.geometry().intersects(window.jobs.geometry())


def test_focus_ring_comes_with_the_tab_key_alone(
    app: QApplication, make_window: Windows, session: Session
) -> None:
    window = make_window(session)
    window.activateWindow()

    def ringed() -> list[str]:
        return [one.objectName() for one in window.findChildren(QWidget) if one.property("ring")]

    assert ringed() == []
    button = named(window, QPushButton, "open_labels")
    QTest.mousePress(button, Qt.MouseButton.LeftButton, pos=QPoint(4, 4))
    assert ringed() == []
    QTest.keyClick(app.focusWidget() or window, Qt.Key.Key_Tab)
    assert len(ringed()) == 1
    first = ringed()
    QTest.keyClick(app.focusWidget() or window, Qt.Key.Key_Tab)
    assert len(ringed()) == 1
    assert ringed() != first or first == [""]
    window.stage.setFocus()
    assert ringed() == []
