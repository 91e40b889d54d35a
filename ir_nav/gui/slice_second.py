"""A second series over a slice: in colour, beside a divider, or in every other square."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QImage

from ir_nav.gui.paint import colour_image
from ir_nav.imaging import ByteImage, Plane, Volume, reslice_window

SQUARE_PX = 72


class SecondMode(StrEnum):
    """How the second series is shown."""

    FUSED = "Fused"
    SWIPE = "Swipe"
    CHECKER = "Checkerboard"
    ALONE = "Second alone"


class ColourMap(StrEnum):
    """Colours of a fused series."""

    HOT = "Hot"
    RAINBOW = "Rainbow"
    ORANGE = "Orange"
    GREY = "Grey"


_OPENCV = {ColourMap.HOT: cv2.COLORMAP_HOT, ColourMap.RAINBOW: cv2.COLORMAP_JET}
_ORANGE_BGR = (0, 159, 230)


@dataclass(frozen=True, slots=True, eq=False)
class SecondLook:
    """A second volume whose `ct_from_voxel` already places it in the planning CT.

    window, level: in its own numbers. opacity: 0..1 of the fused colours. swipe: where the
    divider stands, 0..1 of the view's width.
    """

    volume: Volume
    window: float
    level: float
    mode: SecondMode = SecondMode.FUSED
    colours: ColourMap = ColourMap.HOT
    opacity: float = 0.5
    swipe: float = 0.5


class SecondImage:
    """The second series in a buffer that is used again at every paint."""

    def __init__(self) -> None:
        self._grey: ByteImage = np.zeros((1, 1), np.uint8)
        self._pixels: NDArray[np.uint8] = np.zeros((1, 1, 4), np.uint8)
        self._drawn: tuple[SecondLook, Plane, tuple[int, int]] | None = None

    def update(self, look: SecondLook, plane: Plane, size_px: tuple[int, int]) -> QImage:
        """The second series as a picture to be drawn over the first."""
        now = (look, plane, size_px)
        if (
            self._drawn is None
            or any(old is not new for old, new in zip(self._drawn[:2], now[:2], strict=True))
            or self._drawn[2] != size_px
        ):
            self._draw(look, plane, size_px)
            self._drawn = now
        return colour_image(self._pixels)

    def _draw(self, look: SecondLook, plane: Plane, size_px: tuple[int, int]) -> None:
        columns, rows = size_px
        if self._grey.shape != (rows, columns):
            self._grey = np.empty((rows, columns), np.uint8)
        matrix = plane.ct_from_view
        reslice_window(look.volume, matrix, size_px, look.window, look.level, self._grey)
        fused = look.mode is SecondMode.FUSED
        table = _table(
            look.colours if fused else ColourMap.GREY, look.opacity if fused else 1.0, fused
        )
        flat = table[self._grey]
        if look.mode is SecondMode.SWIPE:
            flat[:, : round(look.swipe * columns)] = 0
        elif look.mode is SecondMode.CHECKER:
            across, along = np.arange(columns) // SQUARE_PX, np.arange(rows) // SQUARE_PX
            flat[(across[None, :] + along[:, None]) % 2 == 0] = 0
        self._pixels = flat.view(np.uint8).reshape(rows, columns, 4)


@lru_cache(maxsize=16)
def _table(colours: ColourMap, opacity: float, fades: bool) -> NDArray[np.uint32]:
    """(256,) premultiplied BGRA of each grey level. fades: the darkest eighth lets the first
    series through, so that background has no colour."""
    levels = np.arange(256, dtype=np.uint8)
    if colours in _OPENCV:
        tones = cv2.applyColorMap(levels[:, None], _OPENCV[colours])[:, 0].astype(float)
    elif colours is ColourMap.ORANGE:
        tones = levels[:, None] / 255.0 * np.array(_ORANGE_BGR, float)
    else:
        tones = np.repeat(levels[:, None], 3, axis=1).astype(float)
    alpha = np.full(256, opacity)
    if fades:
        alpha *= np.clip(levels / 32.0, 0.0, 1.0)
    pixels = np.empty((256, 4))
    pixels[:, :3] = tones * alpha[:, None]
    pixels[:, 3] = 255.0 * alpha
    return np.ascontiguousarray(np.rint(pixels).astype(np.uint8)).view(np.uint32)[:, 0]
