"""The plan's papers from the Plan page: instrument, sheet, markups out and in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication, QComboBox, QLabel, QPushButton

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.instrument_chooser import CHOOSE, OTHERS
from ir_nav.gui.plan_export_card import PlanExportCard
from ir_nav.imaging import Volume
from ir_nav.planning import shipped_protocol, shipped_protocols
from ir_nav.planning.catalogue import all_devices
from ir_nav.planning.instruments import Biopsy
from ir_nav.planning.markups import read_markup_path, write_markups
from ir_nav.session.session import Session


@pytest.fixture
def desk(app: QApplication, session: Session, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(session, QSettings(str(tmp_path / "desk.ini"), QSettings.Format.IniFormat))
    yield made
    made.close()


@pytest.fixture
def card(desk: Desk) -> PlanExportCard:
    return PlanExportCard(desk)


def choose(card: PlanExportCard, device: str) -> QComboBox:
    box = card.findChild(QComboBox, "instrument")
    assert box is not None
    index = box.findText(device)
    assert index > 0
    box.setCurrentIndex(index)
    box.activated.emit(index)
    return box


def press(card: PlanExportCard, name: str) -> None:
    made = card.findChild(QPushButton, name)
    assert made is not None
    assert not made.isHidden()
    made.click()


def wait_for(app: QApplication, path: Path) -> None:
    until = time.monotonic() + 30.0
    while not path.exists() and time.monotonic() < until:
        app.processEvents()
        time.sleep(0.02)
    assert path.exists()


def test_an_instrument_of_the_catalogue_becomes_the_plans(
    card: PlanExportCard, session: Session
) -> None:
    box = choose(card, "Side-notch core needle 18 G, throw 22 mm")
    assert session.planning.plan is not None
    assert isinstance(session.planning.plan.instrument, Biopsy)
    assert session.planning.plan.needle.length_mm >= session.planning.plan.path.length_mm
    session.approving.approve(
        confirmed=True
    )  # a new plan is for no device yet, and the list says so
    card.show_plan(session.planning.plan)
    assert box.currentText() == CHOOSE


def test_without_a_plan_there_is_no_instrument_and_no_paper(
    desk: Desk, card: PlanExportCard, session: Session, volume: Volume, tmp_path: Path
) -> None:
    session.load_case(volume)
    box = choose(card, "Side-notch core needle 18 G, throw 22 mm")
    assert box.currentText() == CHOOSE
    card.export(tmp_path / "a.mrk.json")
    card.write_sheet(tmp_path / "a.pdf")
    assert not desk.worker.busy
    assert not list(tmp_path.glob("a.*"))


def test_the_card_is_on_the_plan_page(make_window: Any, session: Session) -> None:
    window = make_window(session)
    card = window.findChild(PlanExportCard)
    choose(card, "Coaxial introducer 17 G with core needle 18 G, throw 22 mm")
    assert session.planning.plan is not None
    assert session.planning.plan.instrument.kind == "coaxial"


def test_a_device_of_another_procedure_is_asked_about(
    card: PlanExportCard, session: Session
) -> None:
    catheter = "Locking pigtail catheter 10 F"
    box = choose(card, catheter)
    before = session.planning.plan
    assert before is not None
    assert before.instrument.kind != "drainage"
    listed = [box.itemText(n) for n in range(box.count())]
    assert listed[1].startswith("Side-notch core needle")
    assert listed.index(OTHERS) < listed.index(catheter)
    words = {name: card.findChild(QLabel, name) for name in ("device_question", "searched_for")}
    question, searched = words["device_question"], words["searched_for"]
    assert question is not None
    assert searched is not None
    assert searched.text() == "Searched for: 18 G core biopsy needle, 15 cm"
    assert question.text() == f"{catheter} is no device for Liver biopsy"
    press(card, "keep_device")
    assert session.planning.plan is before
    assert box.currentText() == CHOOSE
    choose(card, catheter)
    press(card, "use_other_device")
    assert session.planning.plan is not before
    assert session.planning.plan is not None
    assert session.planning.plan.instrument.kind == "drainage"
    assert question.isHidden()
    assert box.currentText() == catheter


def test_the_list_follows_the_protocol(card: PlanExportCard, session: Session) -> None:
    box = card.findChild(QComboBox, "instrument")
    assert box is not None
    for name in shipped_protocols():
        protocol = shipped_protocol(name)
        assert protocol.devices, name
        session.planning.use_protocol(protocol)
        card.show_plan(session.planning.plan)
        first = next(one for one in all_devices() if one.id == box.itemData(1))
        assert first.kind == protocol.devices[0], name


def test_the_sheet_is_written(
    card: PlanExportCard, app: QApplication, tmp_path: Path, session: Session
) -> None:
    choose(card, "Side-notch core needle 18 G, throw 22 mm")
    card.write_sheet(tmp_path / "sheet.pdf")
    wait_for(app, tmp_path / "sheet.pdf")
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF-")


def test_a_path_goes_to_slicer_and_comes_back(
    card: PlanExportCard, session: Session, tmp_path: Path
) -> None:
    assert session.planning.plan is not None
    card.export(tmp_path / "plan")
    file = tmp_path / "plan.mrk.json"
    np.testing.assert_array_equal(
        read_markup_path(file).entry_ct_mm, session.planning.plan.entry_ct_mm
    )
    moved = session.planning.plan.model_copy(update={"entry_ct_mm": (-50.0, 10.0, 5.0)})
    write_markups(moved, file)
    card.import_markup(file)
    assert session.planning.draft.path is not None
    np.testing.assert_array_equal(session.planning.draft.path.entry_ct_mm, (-50.0, 10.0, 5.0))
    # The plan that guidance follows changes only when it is approved.
    assert session.planning.plan.entry_ct_mm != (-50.0, 10.0, 5.0)


def test_a_path_outside_the_ct_leaves_the_draft_as_it_was(
    card: PlanExportCard, session: Session, tmp_path: Path
) -> None:
    assert session.planning.plan is not None
    before = session.planning.draft
    far = session.planning.plan.model_copy(update={"entry_ct_mm": (-900.0, 0.0, 0.0)})
    write_markups(far, tmp_path / "far.mrk.json")
    card.import_markup(tmp_path / "far.mrk.json")
    assert session.planning.draft.path is not None
    assert before.path is not None
    np.testing.assert_array_equal(session.planning.draft.path.entry_ct_mm, before.path.entry_ct_mm)
    np.testing.assert_array_equal(
        session.planning.draft.path.target_ct_mm, before.path.target_ct_mm
    )


def test_long_names_do_not_widen_the_column(card: PlanExportCard) -> None:
    assert card.minimumSizeHint().width() <= theme.SIDE_WIDTH_SMALL
