"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import math

Point = tuple[float, float, float]


def point_mm(text: str) -> Point:
    """X,Y,Z in LPS mm, for argparse."""
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = math.nan
    if not all(map(math.isfinite, (x, y, z))):
        raise argparse.ArgumentTypeError("needs three numbers in mm (LPS): X,Y,Z")
    return x, y, z
