"""What an annotation measures, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ir_nav.geometry import angle_between_deg
from ir_nav.gui.reading_windows import is_ct
from ir_nav.imaging import ImagingError, Volume, sample
from ir_nav.imaging.curved import curved_line
from ir_nav.imaging.measures import (
    HuStatistics,
    area_statistics,
    ball_statistics,
    ball_volume_mm3,
    ellipse_area_mm2,
    ellipse_outline,
    polygon_area_mm2,
)
from ir_nav.session.annotations import (
    Angle,
    Annotation,
    Arrow,
    Ball,
    Curve,
    Distance,
    Ellipse,
    Polygon,
    Probe,
    points_of,
)

KIND_WORDS = {
    "probe": "Point",
    "distance": "Distance",
    "angle": "Angle",
    "ellipse": "Ellipse",
    "polygon": "Area",
    "ball": "Ball",
    "arrow": "Note",
    "curve": "Curve",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """value: in `unit`, or None where there is nothing to measure. statistics: of an area or a
    ball. number_unit: of the volume's numbers, 'HU' or ''."""

    value: float | None = None
    unit: str = ""
    statistics: HuStatistics | None = None
    number_unit: str = "HU"


def measure(item: Annotation, volume: Volume) -> Measured:
    """What an annotation says about a volume."""
    points = points_of(item)
    unit = "HU" if is_ct(volume) else ""
    if isinstance(item, Probe):
        value = float(sample(volume, points[0]))
        return Measured(None if np.isnan(value) else value, unit)
    if isinstance(item, Distance):
        return Measured(float(np.linalg.norm(points[1] - points[0])), "mm")
    if isinstance(item, Angle):
        arms = points[0] - points[1], points[2] - points[1]
        if min(float(np.linalg.norm(arm)) for arm in arms) < 1e-6:
            return Measured(None, "°")
        return Measured(angle_between_deg(*arms), "°")
    if isinstance(item, Ellipse):
        halves = points[1] - points[0], points[2] - points[0]
        outline = ellipse_outline(points[0], *halves)
        return Measured(ellipse_area_mm2(*halves), "mm²", _area(volume, outline), unit)
    if isinstance(item, Polygon):
        return Measured(polygon_area_mm2(points), "mm²", _area(volume, points), unit)
    if isinstance(item, Ball):
        radius = float(np.linalg.norm(points[1] - points[0]))
        found = ball_statistics(volume, points[0], radius) if radius > 0.0 else None
        return Measured(ball_volume_mm3(radius) / 1000.0, "ml", found, unit)
    if isinstance(item, Curve):
        return Measured(curved_line(points, 1.0).length_mm, "mm")
    return Measured()


def lines(item: Annotation, measured: Measured) -> list[str]:
    """What stands beside an annotation: its name, then what it measures."""
    found = [item.name] if item.name else []
    if isinstance(item, Arrow):
        return found or ["Note"]
    found.append(value_words(measured))
    numbers = measured.statistics
    if numbers is not None:
        unit = f" {measured.number_unit}".rstrip()
        found.append(f"mean {signed(numbers.mean_hu)} · SD {numbers.sd_hu:.0f}{unit}")
        found.append(f"{signed(numbers.min_hu)} to {signed(numbers.max_hu)}{unit}")
    elif isinstance(item, Ellipse | Polygon | Ball):
        found.append("holds no voxel")
    return found


def value_words(measured: Measured) -> str:
    """'23.4 mm', '34.5°', '1.25 ml', '−45 HU'."""
    value = measured.value
    if value is None:
        return "outside the images" if measured.unit != "°" else "—"
    if measured.unit == "ml":
        return f"{value:.2f} ml"
    if measured.unit == "mm²":
        return f"{value:.0f} mm²" if value >= 100.0 else f"{value:.1f} mm²"
    if measured.unit in ("mm", "°"):
        return f"{value:.1f}{'' if measured.unit == '°' else ' '}{measured.unit}"
    return f"{signed(value)} {measured.unit}".rstrip()


def signed(value: float) -> str:
    """A whole number with a true minus sign."""
    return f"{value:.0f}".replace("-", "−") if round(value) else "0"


def _area(volume: Volume, outline: np.ndarray) -> HuStatistics | None:
    """None also while the outline has no area yet."""
    try:
        return area_statistics(volume, outline)
    except ImagingError:
        return None
