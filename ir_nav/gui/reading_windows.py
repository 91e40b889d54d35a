"""Windows: presets for CT, and one that fits an MR or a PET."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.imaging import Volume

# Where a file does not name its modality: CT holds air.
AIR_SEEN_HU = -200
SAMPLE_STEP = 3
# Their numbers begin at no uptake.
COUNTING = ("PT", "NM")


@dataclass(frozen=True, slots=True)
class WindowPreset:
    """A window by its name; key: with Alt."""

    name: str
    window_hu: float
    level_hu: float
    key: str


# Widths and levels as radiology departments commonly have them (Hofer, CT Teaching Manual).
PRESETS = (
    WindowPreset("Abdomen", 400.0, 40.0, "1"),
    WindowPreset("Liver", 150.0, 80.0, "2"),
    WindowPreset("Lung", 1500.0, -600.0, "3"),
    WindowPreset("Bone", 1800.0, 400.0, "4"),
    WindowPreset("Mediastinum", 350.0, 50.0, "5"),
    WindowPreset("Brain", 80.0, 40.0, "6"),
)


def is_ct(volume: Volume) -> bool:
    """Whether the numbers are HU: the file says so, or holds air."""
    modality = volume.description.modality.upper()
    if modality:
        return modality == "CT"
    return int(volume.voxels[::8, ::8, ::8].min()) <= AIR_SEEN_HU


def auto_window(volume: Volume) -> tuple[float, float]:
    """Window and level from the numbers themselves: from their first percentile (PET and NM:
    from nothing) to their 99.5th, the lowest value, which is background, left out."""
    voxels = volume.voxels[::SAMPLE_STEP, ::SAMPLE_STEP, ::SAMPLE_STEP]
    inside = voxels[voxels > voxels.min()]
    if inside.size == 0:
        inside = voxels
    low, high = np.percentile(inside, (1.0, 99.5))
    if volume.description.modality.upper() in COUNTING or high <= low:
        low = float(voxels.min())
    width = max(float(high - low), 1.0)
    return width, float(low) + width / 2.0
