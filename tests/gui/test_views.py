"""Every view: paints at any size, says when it has nothing to show, paints the same twice."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QWidget

from ir_nav.gui.bullseye import (
    Bullseye,
    BullseyeState,
)
from ir_nav.gui.fluoro_view import FluoroView
from ir_nav.gui.number_strip import NumberStrip, figures
from ir_nav.gui.panels import BreathingPanel, BudgetPanel, LogPanel
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.timeline import Timeline, TimelineState
from ir_nav.gui.ultrasound_view import UltrasoundView
from ir_nav.imaging import LabelMap, Volume
from tests.gui.conftest import NOW_S, Made, overlays, pixels, slice_view

SIZES = ((1, 1), (12, 9), (60, 40), (430, 235), (900, 700))
pytestmark = pytest.mark.usefixtures("app")


def views(made: Made, volume: Volume, labels: LabelMap) -> list[QWidget]:
    """Every view, filled."""
    shown = overlays(made, error_mm=3.0)
    state = made.state()
    ct, ultrasound, fluoro, target = (
        slice_view(volume, labels),
        UltrasoundView(),
        FluoroView(),
        Bullseye(),
    )
    ct.show_overlays(shown)
    ultrasound.show_frame(made.ultrasound(), shown)
    fluoro.show_frame(made.fluoro(), shown)
    target.show_guidance(BullseyeState(made.path, state.guidance, 2.0))
    strip, breathing, budget = NumberStrip(), BreathingPanel(), BudgetPanel()
    strip.show_figures(figures(state))
    for step in range(5):
        breathing.show_breathing(state.breathing, NOW_S + step)
    budget.show_budget(state.budget)
    log = LogPanel((("Mark", "M"),))
    line = Timeline()
    times = np.arange(50.0)
    distances = np.where(times % 10 < 8, 60.0 - times, np.nan)
    line.show_timeline(TimelineState(times, distances, ((12.0, "Mark"),)))
    return [ct, ultrasound, fluoro, target, strip, breathing, budget, log, line]


def test_every_view_paints_at_every_size(made: Made, volume: Volume, labels: LabelMap) -> None:
    for view in views(made, volume, labels):
        view.setMinimumSize(1, 1)
        for width, height in SIZES:
            assert pixels(view, width, height).shape == (height, width, 3), type(view).__name__


def test_views_without_anything_say_so(volume: Volume) -> None:
    for view in (SliceView("CT"), UltrasoundView(), FluoroView(), Bullseye(), Timeline()):
        picture = pixels(view, 400, 300)
        middle = picture[60:240, 40:360]
        assert (middle.max(axis=2) > 80).any(), type(view).__name__


def test_repainting_twice_gives_the_same_picture(
    app: QApplication, made: Made, volume: Volume, labels: LabelMap
) -> None:
    for view in views(made, volume, labels):
        first = pixels(view, 420, 300)
        assert np.array_equal(first, pixels(view, 420, 300)), type(view).__name__
