"""What the CT would look like in a fluoro frame: its shadow, and the shadow's edges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QColor

from ir_nav.geometry import CArmGeometry, FloatArray
from ir_nav.gui import theme
from ir_nav.imaging import ByteImage
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.projector import coarsened, project

PROJECTED_PX = 256
# Edges are traced finer than the shadow is projected: their steps would show.
FINER = 2
SMOOTH_PX = 1.6
STRONG, WEAK = 92.0, 80.0
SOFT_PX = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """grey: (rows, columns), bright where little is absorbed, as in the frame. edges: (rows,
    columns, 4) premultiplied BGRA. Both cover the detector, edge to edge, whatever their size.
    """

    grey: ByteImage
    edges: ByteImage


def shadow_of(attenuation: Attenuation, geometry: CArmGeometry, carm_from_ct: FloatArray) -> Shadow:
    """Project a CT with the frame's own pinhole. Raises RegistrationError as `project`."""
    factor = max(max(geometry.size_px) / PROJECTED_PX, 1.0)
    lines = project(attenuation, coarsened(geometry, factor), carm_from_ct)
    grey = _windowed(lines)
    return Shadow(grey, _coloured(_traced(grey), theme.colour(theme.STRUCTURE)))


def _windowed(lines: NDArray[np.float32]) -> ByteImage:
    """Thick is dark; the range is that of what the body covers."""
    body = lines[lines > 0.05]
    if not body.size:
        return np.full(lines.shape, 255, np.uint8)
    low, high = np.percentile(body[::4], (2.0, 99.8))
    gain = 255.0 / max(float(high - low), 1e-6)
    return np.asarray(np.clip((high - lines) * gain, 0.0, 255.0), dtype=np.uint8)


def _traced(grey: ByteImage) -> ByteImage:
    """(rows, columns) 0 to 255 of thin lines where the shadow's grey changes most (Canny 1986)."""
    size = (grey.shape[1] * FINER, grey.shape[0] * FINER)
    large = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    smooth = cv2.GaussianBlur(large, (0, 0), SMOOTH_PX * FINER)
    across = cv2.Sobel(smooth, cv2.CV_16S, 1, 0, scale=8.0)
    down = cv2.Sobel(smooth, cv2.CV_16S, 0, 1, scale=8.0)
    steep = np.hypot(across.astype(np.float32), down.astype(np.float32))
    if float(steep.max()) <= 0.0:
        return np.zeros(large.shape, np.uint8)
    weak, strong = np.percentile(steep[::2, ::2], (WEAK, STRONG))
    lines = cv2.Canny(across, down, float(weak), float(strong), L2gradient=True)
    soft = cv2.GaussianBlur(lines.astype(np.float32), (0, 0), SOFT_PX)
    return np.asarray(np.minimum(soft * 1.6, 255.0), dtype=np.uint8)


def _coloured(strength: ByteImage, tone: QColor) -> ByteImage:
    share = np.arange(256, dtype=np.float32)[:, None] / 255.0
    colour = np.array([tone.blue(), tone.green(), tone.red(), 255], np.float32)
    table = np.ascontiguousarray(share * colour, dtype=np.uint8).view(np.uint32)[:, 0]
    return table[strength].view(np.uint8).reshape(*strength.shape, 4)
