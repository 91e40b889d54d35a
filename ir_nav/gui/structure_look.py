"""How imported structures look in the list and in the views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ir_nav.gui.case_look import outlined, structure_tone
from ir_nav.imaging import LabelMap
from ir_nav.imaging.segmentation import Segmentation, segmentation_of
from ir_nav.imaging.structures import structures_of


def imported(labels: LabelMap) -> Segmentation:
    """A label map as segments in the colours by which the views know them."""
    return toned(segmentation_of(structures_of(labels)))


def toned(segmentation: Segmentation) -> Segmentation:
    """Every segment in the colour that its name has in the views."""
    # Names alone decide: the smallest grid that a label map can have carries them.
    names = {item.number: item.name for item in segmentation.segments}
    bare = LabelMap(np.zeros((2, 2, 2), np.uint8), np.eye(4), names)
    return replace(
        segmentation,
        segments=tuple(
            replace(item, colour=structure_tone(bare, item.number))
            for item in segmentation.segments
        ),
    )


def hidden_at_first(segmentation: Segmentation, labels: LabelMap) -> frozenset[int]:
    """Of an imported label map only what one aims at or avoids is outlined at first."""
    seen = {number for number, _ in outlined(labels)}
    return frozenset(item.number for item in segmentation.segments if item.number not in seen)
