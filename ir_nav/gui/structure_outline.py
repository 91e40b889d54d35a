"""Outlines of masks in slices: of what is being made, and of what the views do not hold yet."""

from __future__ import annotations

import cv2
import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QPainter, QPainterPath, QPen

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.slice_view import SliceView
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.imaging import LabelMap, Volume, reslice_labels
from ir_nav.imaging.segmentation.segments import Corner
from ir_nav.imaging.volume import BoolArray

LINE_PX = 2.0


class OutlineCache:
    """Outlines of one mask in several views, followed anew only when a view has moved."""

    def __init__(self) -> None:
        self._labels: LabelMap | None = None
        self._part: BoolArray | None = None
        self._paths: dict[int, tuple[bytes, QPainterPath]] = {}

    def path(
        self, view: SliceView, volume: Volume, corner_kji: Corner, part: BoolArray
    ) -> QPainterPath:
        """The mask's outline in painter positions."""
        if part is not self._part or self._labels is None:
            self._part, self._paths = part, {}
            self._labels = _label_box(volume, corner_kji, part)
        matrix = view.plane().ct_from_view
        key = matrix.tobytes() + bytes((view.width() & 255, view.height() & 255))
        known = self._paths.get(id(view))
        if known is None or known[0] != key:
            path = _outline(self._labels, matrix, (view.width(), view.height()))
            known = self._paths[id(view)] = (key, path)
        return known[1]


class StructureLayer:
    """Draws what the views' label map does not hold yet: a stroke is seen at once."""

    def __init__(self, structures: StructureDesk) -> None:
        self._structures = structures
        self._caches: dict[int, OutlineCache] = {}

    def paint(self, painter: QPainter, view: SliceView) -> None:
        volume = self._structures.volume
        fresh = self._structures.unflattened
        self._caches = {
            item.number: self._caches.get(item.number, OutlineCache()) for item in fresh
        }
        if volume is None:
            return
        for item in fresh:
            structure = item.structure
            cache = self._caches[item.number]
            path = cache.path(view, volume, structure.corner_kji, structure.part)
            stroke_outline(painter, path, item.colour)


def _label_box(volume: Volume, corner_kji: Corner, part: BoolArray) -> LabelMap:
    """The part as a small label map, one empty voxel round it."""
    affine = np.array(volume.ct_from_voxel)
    affine[:3, 3] += affine[:3, :3] @ (np.array(corner_kji[::-1]) - 1.0)
    return LabelMap(np.pad(part, 1).astype(np.uint8), affine, {})


def _outline(labels: LabelMap, ct_from_view: FloatArray, size_px: tuple[int, int]) -> QPainterPath:
    path = QPainterPath()
    found = reslice_labels(labels, ct_from_view, size_px)
    if not found.any():
        return path
    # The steps of the voxels are rounded to about their own size.
    px_per_voxel = labels.spacing_mm[0] / float(np.linalg.norm(ct_from_view[:3, 0]))
    soft = cv2.GaussianBlur(found * np.uint8(255), (0, 0), max(0.6 * px_per_voxel, 0.6))
    inside = (soft > 127).astype(np.uint8)
    lines, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for line in lines:
        points = line.reshape(-1, 2) + 0.5
        path.moveTo(QPointF(*points[0]))
        for x, y in points[1:]:
            path.lineTo(QPointF(x, y))
        path.closeSubpath()
    return path


def stroke_outline(painter: QPainter, path: QPainterPath, colour: str) -> None:
    """Draw an outline in a structure's colour."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.strokePath(path, QPen(theme.colour(colour), LINE_PX))
