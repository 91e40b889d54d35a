"""Plan, needle and marks over a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QPainter, QPen

from ir_nav.gui import theme
from ir_nav.gui.paint import (
    FAINT,
    draw_diamond,
    draw_error,
    draw_label,
    draw_needle,
    draw_path,
    draw_ring,
    stretches,
)
from ir_nav.gui.scene_records import Mark, MarkState, Overlays
from ir_nav.planning import PlannedPath

if TYPE_CHECKING:
    from ir_nav.gui.slice_view import SliceView

MARKER_PX = 8.0
# How many slabs off the plane an approved needle is still hinted at.
APPROVED_SLABS = 2.0


def draw_overlays(painter: QPainter, view: SliceView, shown: Overlays, slab_mm: float) -> None:
    """Marks, path, needle and points; what is further than slab_mm off the plane is faint."""
    for mark in shown.marks:
        _draw_mark(painter, view, mark, slab_mm)
    # Several have their numbers from the layer that draws their tips.
    name = "Approved" if len(shown.approved) == 1 else ""
    for path in shown.approved:
        _draw_approved(painter, view, path, name, slab_mm)
    if shown.entry_ct_mm is not None and shown.target_ct_mm is not None:
        entry, target = view.to_view(shown.entry_ct_mm), view.to_view(shown.target_ct_mm)
        draw_path(painter, entry, target, slab_mm)
    if shown.achieved is not None:
        first = view.to_view(shown.achieved.entry_ct_mm)
        draw_needle(painter, first, view.to_view(shown.achieved.target_ct_mm), slab_mm)
    _draw_plan_points(painter, view, shown, slab_mm)
    hub = shown.hub_ct_mm
    if shown.tip is not None and hub is not None:
        tip = view.to_view(shown.tip.tip_ct_mm)
        draw_needle(painter, view.to_view(hub), tip, slab_mm)
        if shown.error_mm is not None:
            radius = shown.error_mm / view.mm_per_px
            draw_error(painter, QPointF(tip[0], tip[1]), radius, radius)
    if shown.stylus_ct_mm is not None:
        at = view.to_view(shown.stylus_ct_mm)
        draw_ring(painter, QPointF(at[0], at[1]), 6.0, theme.colour(theme.TEXT_1))
        draw_label(painter, QPointF(at[0] + 9, at[1]), "Stylus", anchor=(0.0, 0.5))


def _draw_plan_points(painter: QPainter, view: SliceView, shown: Overlays, slab_mm: float) -> None:
    if shown.entry_ct_mm is not None:
        at = view.to_view(shown.entry_ct_mm)
        draw_ring(painter, QPointF(at[0], at[1]), 5.0, _tone(float(at[2]), slab_mm))
    if shown.target_ct_mm is not None:
        at = view.to_view(shown.target_ct_mm)
        middle = QPointF(at[0], at[1])
        draw_diamond(painter, middle, MARKER_PX, _tone(float(at[2]), slab_mm))
        if shown.tolerance_mm is not None:
            radius = float(np.sqrt(max(shown.tolerance_mm**2 - at[2] ** 2, 0.0)))
            draw_ring(painter, middle, radius / view.mm_per_px, theme.colour(theme.PLAN, 0.6), 1.4)


def _draw_approved(
    painter: QPainter, view: SliceView, path: PlannedPath, name: str, slab_mm: float
) -> None:
    """Thin and grey, named where it comes into the slice; dotted beyond it, and not drawn in a
    slice that it does not come near."""
    entry, target = view.to_view(path.entry_ct_mm), view.to_view(path.target_ct_mm)
    near_mm = APPROVED_SLABS * slab_mm
    near = [piece.line.p1() for piece in stretches(entry, target, near_mm) if piece.inside]
    if not near:
        return
    for piece in stretches(entry, target, slab_mm):
        pen = QPen(theme.colour(theme.TEXT_2, 0.95 if piece.inside else FAINT + 0.15), 1.4)
        if not piece.inside:
            pen.setDashPattern([2.0, 3.0])
        painter.setPen(pen)
        painter.drawLine(piece.line)
    # Outside of where it goes in: not over the path, nor over another that is drafted beside it.
    leftwards = entry[0] < target[0]
    at = near[0] + QPointF(-6.0 if leftwards else 6.0, 0.0)
    anchor = (1.0 if leftwards else 0.0, 0.5)
    draw_label(painter, at, name, px=theme.LEAST, name=theme.TEXT_2, anchor=anchor)


def _draw_mark(painter: QPainter, view: SliceView, mark: Mark, slab_mm: float) -> None:
    at = view.to_view(mark.point_ct_mm)
    current = mark.state is MarkState.CURRENT
    if abs(float(at[2])) > 4.0 * slab_mm and not current:
        return
    middle = QPointF(at[0], at[1])
    tone = theme.colour(
        {MarkState.DONE: theme.GOOD, MarkState.CURRENT: theme.PLAN}.get(mark.state, theme.TEXT_2)
    )
    draw_ring(painter, middle, 9.0 if current else 6.0, tone)
    if mark.state is MarkState.DONE:
        painter.drawEllipse(middle, 1.5, 1.5)
    place = QPointF(at[0] + 12, at[1])
    draw_label(painter, place, mark.name, name=tone.name(), anchor=(0.0, 0.5))


def _tone(depth_mm: float, slab_mm: float) -> QColor:
    far = abs(depth_mm) > slab_mm
    return theme.colour(theme.PLAN, FAINT + 0.15 if far else 1.0)
