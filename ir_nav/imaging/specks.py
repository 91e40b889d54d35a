"""Pieces of a mask too small to be what was looked for."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ir_nav.imaging.volume import BoolArray


def without_specks(
    mask: BoolArray, spacing_mm: tuple[float, float, float], mm3: float
) -> BoolArray:
    """(k, j, i): the mask less its pieces (joined by faces) of less than `mm3`."""
    least = int(np.ceil(mm3 / np.prod(spacing_mm)))
    if least <= 1 or not mask.any():
        return mask
    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.view(np.uint8)))
    kept = sitk.RelabelComponent(pieces, least, sortByObjectSize=False)
    return np.asarray(sitk.GetArrayViewFromImage(kept) > 0)
