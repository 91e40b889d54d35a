"""What the plan's instrument does, drawn in the slices: resting tip, sample, catheter, zones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter, QPen, QPolygonF

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.paint import FAINT, draw_label, stretches
from ir_nav.gui.slice_view import SliceView
from ir_nav.planning import Plan
from ir_nav.planning.ablation import zones_of
from ir_nav.planning.drainage import centreline, hole_arcs_mm
from ir_nav.planning.instruments import Ablation, Biopsy, Catheter, Coaxial, Drainage
from ir_nav.planning.notch import Sample, sample_of
from ir_nav.planning.path import PlannedPath

NEAR_MM = 3.0
TICK_PX = 7.0
HOLE_PX = 2.2
SAMPLE_PX = 4.5
# Which way the loop turns about the shaft is not known: two ways of it are drawn.
ROLLS_DEG = (0.0, 90.0)
LOOP_STEPS = 60


class InstrumentLayer:
    """For every needle its tip at rest, and its number where there are several; the length of the
    sample and the tip when fired; loop and side holes of a catheter; zones cut by the slice."""

    def __init__(self, plan: Callable[[], Plan | None]) -> None:
        self._plan = plan

    def paint(self, painter: QPainter, view: SliceView) -> None:
        plan = self._plan()
        if plan is None or not plan.instrument.device:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        instrument = plan.instrument
        if isinstance(instrument, Ablation):
            _draw_zones(painter, view, plan, instrument)
        if isinstance(instrument, Drainage):
            _draw_catheter(painter, view, plan.path, instrument.catheter)
        if isinstance(instrument, Biopsy | Coaxial):
            _draw_sample(painter, view, sample_of(plan.path, instrument))
        for number, path in enumerate(plan.paths, start=1):
            _draw_tip(painter, view, path)
            if len(plan.paths) > 1:
                _draw_number(painter, view, path, number)


def _draw_tip(painter: QPainter, view: SliceView, path: PlannedPath) -> None:
    """A bar across the shaft where the tip rests."""
    entry, tip = view.to_view(path.entry_ct_mm), view.to_view(path.target_ct_mm)
    along = tip[:2] - entry[:2]
    length_px = float(np.linalg.norm(along))
    if length_px < 1.0:
        return
    side = np.array([-along[1], along[0]]) / length_px * TICK_PX
    painter.setPen(QPen(theme.colour(theme.TEXT_1, _share(tip)), 2.0))
    painter.drawLine(QPointF(*(tip[:2] - side)), QPointF(*(tip[:2] + side)))


def _draw_number(painter: QPainter, view: SliceView, path: PlannedPath, number: int) -> None:
    entry = view.to_view(path.entry_ct_mm)
    if _share(entry) == 1.0:
        at = QPointF(entry[0], entry[1] - TICK_PX)
        draw_label(painter, at, f"{number}", px=theme.NOTE, name=theme.TEXT_1, anchor=(0.5, 1.0))


def _draw_sample(painter: QPainter, view: SliceView, sample: Sample | None) -> None:
    """The notch as a thick bar, and a dotted line from there to the tip when it is fired."""
    if sample is None:
        return
    near, far = view.to_view(sample.near_ct_mm), view.to_view(sample.far_ct_mm)
    deepest = view.to_view(sample.deepest.target_ct_mm)
    _draw_line(painter, near, far, SAMPLE_PX)
    _draw_line(painter, far, deepest, 1.4, Qt.PenStyle.DotLine)


def _draw_catheter(
    painter: QPainter, view: SliceView, path: PlannedPath, catheter: Catheter
) -> None:
    turn_mm = np.pi * (catheter.loop_mm - catheter.outer_diameter_mm)
    arcs, holes = np.linspace(0.0, turn_mm, LOOP_STEPS), hole_arcs_mm(catheter)
    for roll_deg in ROLLS_DEG:
        line = view.to_view(centreline(path, catheter, roll_deg, arcs))
        for first, second in pairwise(line):
            _draw_line(painter, first, second, 1.6)
        painter.setPen(Qt.PenStyle.NoPen)
        for place in view.to_view(centreline(path, catheter, roll_deg, holes)):
            painter.setBrush(theme.colour(theme.TEXT_1, _share(place)))
            painter.drawEllipse(QPointF(place[0], place[1]), HOLE_PX, HOLE_PX)
        painter.setBrush(Qt.BrushStyle.NoBrush)


def _draw_zones(painter: QPainter, view: SliceView, plan: Plan, instrument: Ablation) -> None:
    right, down, _ = view.axes_ct
    for zone in zones_of(plan.paths, instrument):
        rim = zone.section(view.centre_ct_mm, right, down)
        if rim is None:
            continue
        seen = view.to_view(rim)
        painter.setPen(QPen(theme.colour(theme.TEXT_1, 0.9), 1.6))
        painter.setBrush(theme.colour(theme.PLAN, 0.14))
        painter.drawPolygon(QPolygonF([QPointF(u, v) for u, v, _ in seen]))
        painter.setBrush(Qt.BrushStyle.NoBrush)


def _draw_line(
    painter: QPainter,
    first: FloatArray,
    second: FloatArray,
    width: float,
    style: Qt.PenStyle = Qt.PenStyle.SolidLine,
) -> None:
    for piece in stretches(first, second, NEAR_MM):
        tone = theme.colour(theme.TEXT_1, 1.0 if piece.inside else FAINT)
        pen = QPen(tone, width if piece.inside else 1.0, style)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawLine(piece.line)


def _share(seen: FloatArray) -> float:
    """How strongly a view point (px, px, mm off the plane) is drawn."""
    return 1.0 if abs(float(seen[2])) <= NEAR_MM else FAINT
