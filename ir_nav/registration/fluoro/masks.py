"""Which pixels of a fluoro frame say something about the patient."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.registration.fluoro.mask_kernels import best_edge

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

# So many equal pixels at the bright end are the detector's limit, not tissue.
SATURATED_SHARE = 0.003
SATURATED_SPREAD_PX = 3
# A blade lets a few percent through, scatter under it included: exp(-0.9) is a wide margin.
BLADE_STEP = 0.9
BLADE_MOST_DEG = 12.0
BLADE_DEEPEST = 0.42
INSTRUMENT_WIDTH_PX = 7
INSTRUMENT_STEP = 0.12
INSTRUMENT_LONGER = 5.0


def saturated(image: Image) -> Mask:
    """(rows, columns) True at and beside the pixels that the detector cut off at its bright end.

    image: brighter where less is absorbed, at full resolution.
    """
    limit = float(image.max())
    limit -= 1e-3 * (limit - float(image.min()))
    cut = image >= limit
    if cut.mean() < SATURATED_SHARE:
        return np.zeros(image.shape, dtype=np.bool_)
    size = 2 * SATURATED_SPREAD_PX + 1
    return np.asarray(cv2.dilate(cut.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)


def collimated(absorbed: Image) -> Mask:
    """(rows, columns) True outside the straight blades of a collimator.

    absorbed: line integrals, about 128 px wide. Each side is searched for the straight line with
    the most constant step from dark outside to bright inside.
    """
    covered = np.zeros(absorbed.shape, dtype=np.bool_)
    for quarter in range(4):
        turned = np.ascontiguousarray(np.rot90(absorbed, quarter))
        covered |= np.rot90(_above_blade(turned), -quarter)
    return covered


def _above_blade(absorbed: Image) -> Mask:
    """True above the blade that comes from the top, its shadow's edge included."""
    rows, columns = absorbed.shape
    across = np.arange(columns) - (columns - 1) / 2.0
    middle = np.flatnonzero(np.abs(across) < 0.28 * columns)
    angles_deg = np.arange(-BLADE_MOST_DEG, BLADE_MOST_DEG + 0.1, 1.0)
    step, depth, slope = best_edge(
        absorbed,
        int(middle[0]),
        int(middle[-1]) + 1,
        int(BLADE_DEEPEST * rows),
        np.tan(np.radians(angles_deg)),
        BLADE_STEP,
    )
    if step <= BLADE_STEP:
        return np.zeros(absorbed.shape, dtype=np.bool_)
    edge = depth + slope * across
    return np.asarray(np.arange(rows)[:, None] <= edge[None, :] + 2.0)


def instruments(absorbed: Image) -> Mask:
    """(rows, columns) True on thin long dark lines: needles, wires, catheters.

    absorbed: line integrals, about 256 px wide. Black top-hat, then connected pieces that are
    much longer than wide; a rib's edge is wider than the top-hat.
    """
    size = INSTRUMENT_WIDTH_PX
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    thin = absorbed - cv2.morphologyEx(absorbed, cv2.MORPH_OPEN, shape)
    dark = (thin > max(INSTRUMENT_STEP, 4.0 * float(np.median(thin)))).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    width = stats[:, cv2.CC_STAT_AREA] / np.maximum(extent, 1.0)
    long = (extent > 0.06 * absorbed.shape[1]) & (extent > INSTRUMENT_LONGER * width)
    long[0] = False
    chosen = long[labels].astype(np.uint8) if count > 1 else np.zeros_like(dark)
    return np.asarray(cv2.dilate(chosen, np.ones((5, 5), np.uint8)) > 0)
