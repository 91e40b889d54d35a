"""The guiding page: one reason, one cure, numbers that agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ir_nav.gui import theme
from ir_nav.gui.header import header_of
from ir_nav.gui.main_window import MainWindow
from ir_nav.guidance import guide
from ir_nav.session.session import Session
from ir_nav.session.steps import Step
from tests.gui.conftest import NOW_S, Made

Windows = Callable[..., MainWindow]


def test_guide_says_reason_and_cure_once(
    make_window: Windows, session: Session, made: Made
) -> None:
    window = make_window(session)
    window._timer.stop()
    page = window.guide
    window.desk.look.follow(session.case)
    lost = made.state(valid=False)
    page.show_state(lost)
    assert page.line.shown.words == "Clear the line of sight"
    assert page.ultrasound.pill == ()
    assert not any(figure.note for figure in page.strip.shown)
    header = header_of(session, lost, Step.GUIDE, None)
    assert header.reason == "needle out of view"


def test_guide_tells_depth_and_distance_of_one_instant(
    make_window: Windows, session: Session, made: Made
) -> None:
    window = make_window(session)
    window._timer.stop()
    page = window.guide
    window.desk.look.follow(session.case)
    page.show_state(made.state())
    tip = made.tip((1.5, 0.0, 0.0))
    moved = replace(made.state(), guidance=guide(made.path, tip.tip_ct_mm, tip.shaft_ct))
    page.show_state(replace(moved, now_s=NOW_S + 0.02))
    assert page.strip.shown[0].value == "20.0"
    assert page.bullseye.told_depth_mm == pytest.approx(40.0)
    page.show_state(replace(moved, now_s=NOW_S + 0.2))
    assert page.strip.shown[0].value == "18.5"
    assert page.bullseye.told_depth_mm == pytest.approx(41.5)
    page.show_state(made.state(valid=False, now_s=NOW_S + 0.21))
    assert page.bullseye.told_depth_mm is None


def test_header_changes_with_the_frame(
    make_window: Windows, session: Session, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window(session)
    window._timer.stop()
    monkeypatch.setattr("ir_nav.gui.main_window.refusal", lambda *_: None)
    monkeypatch.setattr(session, "tick", lambda _: made.state(now_s=NOW_S))
    window.go(Step.GUIDE)
    monkeypatch.setattr(session, "tick", lambda _: made.state(valid=False, now_s=NOW_S + 0.01))
    window.tick()
    assert window.stage.alarm == theme.ALARM_HIGH
    assert window.top_bar.header.valid is False
