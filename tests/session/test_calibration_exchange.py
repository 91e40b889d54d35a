"""Calibrations out of files into the running room, and what is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_nav.recording import EventKind, read_log
from ir_nav.session.calibration_exchange import load_step, save_step
from ir_nav.session.collection import CALIBRATION_LIFE_S, CollectionKind
from ir_nav.session.errors import SessionError
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.calibration_file import write_calibration
from ir_nav.tracking.calibration.result import CalibrationError
from tests.session.rig import NOW_S, STYLUS_TIP
from tests.session.test_calibration_life import Bench
from tests.tracking.test_calibration_file import (
    delay_document,
    phantom_document,
    pivot_document,
    probe_document,
)


def written(folder: Path, document: dict[str, Any], **changes: object) -> Path:
    path = folder / "calibration.json"
    write_calibration(path, document | changes)
    return path


def test_a_pivot_of_the_command_line_calibrates_the_stylus_and_is_taken_back(
    tmp_path: Path,
) -> None:
    bench = Bench()
    session = bench.session
    session.start_log(tmp_path / "a.irlog")
    document = pivot_document()
    del document["made_s"]
    session.tools.load(Role.STYLUS, written(tmp_path, document))
    assert session.tools.stylus.tool_from_tip is not None
    np.testing.assert_allclose(session.tools.stylus.tool_from_tip, document["needle_from_tip"])
    assert session.tools.stylus.file == "calibration.json"
    assert session.tools.stylus.pivot_s == NOW_S
    assert session.tools.stylus.missing() is None
    with pytest.raises(SessionError, match="was loaded from calibration"):
        session.tools.save(Role.STYLUS, tmp_path / "again.json")
    session.tools.undo(Role.STYLUS)
    assert session.tools.stylus.pivot is None
    session.close()
    events = read_log(tmp_path / "a.irlog").events
    words = [one.text for one in events if one.kind is EventKind.CALIBRATION]
    assert words[0] == "pivot of the stylus loaded from calibration.json: accepted"


def test_a_needle_out_of_a_file_is_still_to_be_spun(tmp_path: Path) -> None:
    session = Bench().session
    session.tools.load(Role.NEEDLE, written(tmp_path, pivot_document(), tool="Needle"))
    assert session.tools.needle.pivot is not None
    assert session.tools.needle.missing() == "spin it about its shaft"
    session.tools.undo(Role.NEEDLE)
    assert session.tools.needle.needs_spin


def test_what_is_saved_is_loaded_the_same_and_keeps_its_age(tmp_path: Path) -> None:
    bench = Bench()
    session = bench.session
    bench.pivot(Role.STYLUS, STYLUS_TIP)
    path = tmp_path / "new" / "stylus.json"
    session.tools.save(Role.STYLUS, path)
    saved, made_s = session.tools.stylus.tool_from_tip, session.tools.stylus.pivot_s
    assert saved is not None
    assert json.loads(path.read_text())["tool"] == "stylus"
    bench.now_s += 3600.0
    session.tools.undo(Role.STYLUS)
    session.tools.load(Role.STYLUS, path)
    assert session.tools.stylus.pivot_s == pytest.approx(made_s, abs=0.001)
    found = session.tools.stylus.tool_from_tip
    assert found is not None
    np.testing.assert_allclose(found, saved, atol=1e-9)
    bench.now_s += CALIBRATION_LIFE_S
    session.tools.undo(Role.STYLUS)
    session.tools.load(Role.STYLUS, path)
    assert session.tools.stylus.missing() == "calibration expired: pivot it again"


def test_only_what_was_measured_and_accepted_is_saved(tmp_path: Path) -> None:
    bench = Bench()
    session = bench.session
    with pytest.raises(SessionError, match="the needle has no accepted pivot to save"):
        session.tools.save(Role.NEEDLE, tmp_path / "x.json")
    session.tools.start(CollectionKind.PIVOT, Role.STYLUS)
    session.tools.finish()
    with pytest.raises(SessionError, match="the stylus has no accepted pivot to save"):
        session.tools.save(Role.STYLUS, tmp_path / "x.json")
    with pytest.raises(SessionError, match="there is no delay calibration to save"):
        save_step(tmp_path / "x.json", session.scanner.delay)
    assert not (tmp_path / "x.json").exists()


def test_the_wrong_file_is_refused_in_words_and_nothing_changes(tmp_path: Path) -> None:
    bench = Bench()
    session = bench.session
    probe = written(tmp_path, probe_document(tmp_path))
    with pytest.raises(SessionError, match="is a probe calibration; a pivot calibration is want"):
        session.tools.load(Role.STYLUS, probe)
    other = written(tmp_path, pivot_document())
    with pytest.raises(SessionError, match="was made for Stylus, not for this room's needle"):
        session.tools.load(Role.NEEDLE, other)
    refused = written(tmp_path, pivot_document(), accepted=False, reason="only 3 poses")
    with pytest.raises(CalibrationError, match=r"was refused \(only 3 poses\)"):
        session.tools.load(Role.STYLUS, refused)
    session.connection.room = None
    with pytest.raises(SessionError, match="open a room file first"):
        session.tools.load(Role.STYLUS, refused)
    assert session.tools.stylus.pivot is None
    assert session.tools.needle.pivot is None


def test_each_of_the_scanners_calibrations_is_loaded(tmp_path: Path) -> None:
    bench = Bench()
    session = bench.session
    scanner, room = session.scanner, session.connection.room
    document = probe_document(tmp_path)
    load_step(written(tmp_path, document), scanner.probe, room, NOW_S)
    np.testing.assert_allclose(scanner.use.probe_from_image, document["probe_from_image"])
    load_step(written(tmp_path, delay_document()), scanner.delay, room, NOW_S)
    assert scanner.use.tracker_lag_s == -0.0648
    placed = written(tmp_path, phantom_document(), tool="Reference")
    load_step(placed, scanner.phantom, room, NOW_S)
    assert scanner.phantom.in_use.file == "calibration.json"
    with pytest.raises(SessionError, match="is a phantom calibration; a delay calibration"):
        load_step(placed, scanner.delay, room, NOW_S)
    with pytest.raises(SessionError, match="was made for Foot, not for this room's probe"):
        load_step(written(tmp_path, document, tool="Foot"), scanner.probe, room, NOW_S)
    with pytest.raises(SessionError, match="it was loaded from calibration"):
        save_step(tmp_path / "x.json", scanner.probe)
