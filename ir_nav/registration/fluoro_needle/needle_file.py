"""A needle found in fluoro, as its file states it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ir_nav.registration.fluoro_needle.finding import FoundNeedle
from ir_nav.registration.fluoro_needle.two_views import NeedleInSpace


def needle_json(found: Sequence[FoundNeedle], space: NeedleInSpace | None) -> dict[str, Any]:
    """One entry a frame; `needle`, in the views' world, with two."""
    document: dict[str, Any] = {
        "format": 1,
        "frames": [
            {
                "tip_px": one.tip_px.tolist(),
                "end_px": one.end_px.tolist(),
                "along": one.along.tolist(),
                "tip_error_px": one.tip_error_px,
                "across_error_px": one.across_px,
                "angle_error_deg": one.angle_deg,
                "rms_px": one.rms_px,
                "width_px": one.width_px,
                "confidence": one.confidence,
            }
            for one in found
        ],
        "accepted": True,
        "reason": "",
    }
    if space is None:
        return document
    return {
        **document,
        "needle": {
            "tip_mm": space.tip_mm.tolist(),
            "along": space.along.tolist(),
            "covariance_mm2": space.covariance_mm2.tolist(),
            "angle_error_deg": space.angle_error_deg,
            "tip_gap_mm": space.tip_gap_mm,
            "tip_gap_px": space.tip_gap_px,
        },
        "accepted": space.accepted,
        "reason": space.reason,
    }
