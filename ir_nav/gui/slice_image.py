"""The picture under a slice view: resampled when its plane has moved, else kept."""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QColor, QImage

from ir_nav.geometry import FloatArray
from ir_nav.gui.paint import colour_image, grey_image
from ir_nav.gui.scene_records import CaseImages
from ir_nav.imaging import Plane, reslice_labels
from ir_nav.imaging.slab import Slab, reslice_slab

PLANE_ALONE = Slab()
# A slab that moves is sampled no finer: on two cores it keeps up with the pointer.
MOVING_STEP_MM = 1.25

# A plane that moved less than this, in px, shows the same picture.
STILL_PX = 0.05
# Labels are coarser than this on the screen: outlines stay until the plane has moved so far.
OUTLINE_STILL_PX = 0.8
# ... and a plane that turns without end has its outlines drawn anew so often, not at each paint.
OUTLINE_PERIOD_S = 0.06
OUTLINE_ALPHA = 0.9
SQUARE = np.ones((3, 3), np.uint8)


class SliceImage:
    """Grey slice and outlines in buffers that are used again at every paint."""

    def __init__(self) -> None:
        self._images = CaseImages()
        self._grey: NDArray[np.uint8] = np.zeros((1, 1), np.uint8)
        self._outline: NDArray[np.uint8] | None = None
        self._drawn: tuple[FloatArray, float, float, Slab] | None = None
        self._rough = False
        self._outlined: FloatArray | None = None
        self._outlined_s = 0.0
        self._codes: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._tones: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._bold: tuple[int, ...] = ()

    def set_images(self, images: CaseImages) -> None:
        """Use another CT or other outlines."""
        self._images = images
        self._drawn = None
        self._outlined = None
        self._outline = None
        if images.labels is not None:
            self._codes, self._tones = _outline_tables(images)
            self._bold = tuple({int(self._codes[number]) for number in images.bold} - {0})

    def update(
        self,
        plane: Plane,
        size_px: tuple[int, int],
        window_hu: float,
        level_hu: float,
        slab: Slab = PLANE_ALONE,
        *,
        moving: bool = False,
    ) -> tuple[QImage, QImage | None] | None:
        """Grey picture and outlines of the plane, or None without a CT. moving: a slab may be
        sampled more coarsely."""
        volume = self._images.volume
        if volume is None:
            return None
        matrix = plane.ct_from_view
        resized = self._grey.shape != (size_px[1], size_px[0])
        if resized:
            self._grey = np.empty((size_px[1], size_px[0]), np.uint8)
        look = (window_hu, level_hu, slab)
        rough = moving and slab.thickness_mm > 0.0
        drawn = None if resized or (self._rough and not rough) else self._drawn
        if drawn is None or drawn[1:] != look or self._moved_px(matrix, drawn[0]) > STILL_PX:
            step_mm = MOVING_STEP_MM if rough else 0.0
            reslice_slab(
                volume,
                matrix,
                size_px,
                slab,
                window_hu,
                level_hu,
                self._grey,
                least_step_mm=step_mm,
            )
            self._rough = rough
            self._drawn = (matrix, *look)
        old = None if resized else self._outlined
        if old is None or (
            time.monotonic() - self._outlined_s > OUTLINE_PERIOD_S
            and self._moved_px(matrix, old) > OUTLINE_STILL_PX
        ):
            self._outline = self._outlines(matrix, size_px)
            self._outlined, self._outlined_s = matrix, time.monotonic()
        outline = None if self._outline is None else colour_image(self._outline)
        return grey_image(self._grey), outline

    def _moved_px(self, matrix: FloatArray, before: FloatArray) -> float:
        """How far the plane's corners have moved at most."""
        rows, columns = self._grey.shape
        corners = np.array(
            [[0, 0, 0, 1], [columns, 0, 0, 1], [0, rows, 0, 1], [columns, rows, 0, 1]], float
        )
        moved_mm = np.abs(corners @ (matrix - before).T).max()
        return float(moved_mm / np.linalg.norm(matrix[:3, 0]))

    def _outlines(self, matrix: FloatArray, size_px: tuple[int, int]) -> NDArray[np.uint8] | None:
        labels = self._images.labels
        if labels is None or not self._images.outlined:
            return None
        found = reslice_labels(labels, matrix, size_px)
        return outline_pixels(found, self._codes, self._tones, self._bold)


def outline_pixels(
    label_slice: NDArray[np.uint8] | NDArray[np.uint16],
    codes: NDArray[np.uint8],
    tones: NDArray[np.uint32],
    bold: tuple[int, ...] = (),
) -> NDArray[np.uint8]:
    """(rows, columns, 4) premultiplied BGRA with the structures' borders; those of the `bold`
    codes twice as wide.

    One pass for all structures: following each one's contour costs as much as the slice itself.
    """
    code = _smooth(_coded(label_slice, codes))
    border = np.zeros(code.shape, np.bool_)
    border[:, 1:] |= code[:, 1:] != code[:, :-1]
    border[1:] |= code[1:] != code[:-1]
    places = np.flatnonzero(border)
    flat = np.zeros(code.size, np.uint32)
    flat[places] = tones[code.ravel()[places]]
    for wide in bold:
        inside = (code == wide).view(np.uint8)
        if inside.any():
            edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, SQUARE)
            flat[np.flatnonzero(edge)] = tones[wide]
    hard = flat.view(np.uint8).reshape(*code.shape, 4)
    soft = cv2.GaussianBlur(hard, (3, 3), 0.6)
    return np.ascontiguousarray(soft, dtype=np.uint8)


def _coded(
    label_slice: NDArray[np.uint8] | NDArray[np.uint16], codes: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    if label_slice.dtype == np.uint8:
        return np.asarray(cv2.LUT(label_slice, codes), dtype=np.uint8)
    return codes[label_slice]


def _smooth(code: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rounds the steps that coarse voxels leave in a slice."""
    return np.asarray(cv2.medianBlur(code, 5), dtype=np.uint8)


def _outline_tables(
    images: CaseImages,
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Code of each label id, 0 where it is not outlined, and colour of each code."""
    labels = images.labels
    assert labels is not None
    codes = np.zeros(int(np.iinfo(labels.voxels.dtype).max) + 1, np.uint8)
    tones = np.zeros(256, np.uint32)
    for code, (number, name) in enumerate(images.outlined[:255], start=1):
        codes[number] = code
        tones[code] = _premultiplied(QColor(name))
    for filling, holder in images.filled:
        codes[filling] = codes[holder]
    return codes, tones


def _premultiplied(tone: QColor) -> int:
    red, green, blue = (round(part * OUTLINE_ALPHA) for part in _rgb(tone))
    return (round(255 * OUTLINE_ALPHA) << 24) | (red << 16) | (green << 8) | blue


def _rgb(tone: QColor) -> tuple[int, int, int]:
    return tone.red(), tone.green(), tone.blue()
