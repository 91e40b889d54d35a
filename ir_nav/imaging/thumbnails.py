"""Small pictures by which series are told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.dicom_parse import PARSE_ERRORS
from ir_nav.imaging.dicom_pixels import StoredArray
from ir_nav.imaging.dicom_read import Pixels
from ir_nav.imaging.dicom_source import open_source
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.series import SeriesIndex, SeriesSummary

Picture = NDArray[np.uint8]

EDGE_PX = 128

# Soft tissue, as a radiologist first looks at a CT of the trunk.
CT_LEVEL_HU, CT_WINDOW_HU = 40.0, 400.0
# Hot spots of PET and one bright coil element must not darken the rest.
LOW_PERCENT, HIGH_PERCENT = 1.0, 99.5
_FROM_ZERO = ("PT", "NM", "RTDOSE")


def thumbnails(
    index: SeriesIndex, series: Iterable[SeriesSummary]
) -> Iterator[tuple[SeriesSummary, Picture | None]]:
    """The middle slice of each series, read when asked for; None where it cannot be read.

    A picture: (rows, columns) uint8, at most 128 px a side, its pixels square.
    """
    with open_source(index.path) as source:
        pixels = Pixels(source)
        for summary in series:
            yield summary, _thumbnail(pixels, summary)


def _thumbnail(pixels: Pixels, summary: SeriesSummary) -> Picture | None:
    images = summary.images if summary.stack is None else summary.stack.ordered
    header = images[len(images) // 2]
    try:
        return _squared(_windowed(pixels.stored(header), header), header)
    except (ImagingError, cv2.error, *PARSE_ERRORS):
        return None


def _windowed(stored: StoredArray, header: SliceHeader) -> Picture:
    slope = 1.0 if header.place.slope is None else header.place.slope
    values = stored * np.float32(slope) + np.float32(header.place.intercept or 0.0)
    low, high = _range(values, header)
    grey = np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0) * 255.0
    inverted = header.photometric == "MONOCHROME1" and header.modality != "CT"
    return np.asarray(255.0 - grey if inverted else grey, dtype=np.uint8)


def _range(values: NDArray[np.float32], header: SliceHeader) -> tuple[float, float]:
    if header.modality == "CT":
        return CT_LEVEL_HU - CT_WINDOW_HU / 2.0, CT_LEVEL_HU + CT_WINDOW_HU / 2.0
    if header.modality == "MR" and header.window is not None and header.window[1] > 1.0:
        centre, width = header.window
        return centre - width / 2.0, centre + width / 2.0
    low, high = np.percentile(values, (LOW_PERCENT, HIGH_PERCENT))
    return (0.0 if header.modality in _FROM_ZERO else float(low)), float(high)


def _squared(picture: Picture, header: SliceHeader) -> Picture:
    between_rows, between_columns = header.place.spacing_mm or (1.0, 1.0)
    rows, columns = picture.shape
    height, width = rows * between_rows, columns * between_columns
    if not (np.isfinite([height, width]).all() and min(height, width) > 0.0):
        height, width = float(rows), float(columns)
    factor = EDGE_PX / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    smaller = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, dtype=np.uint8)
