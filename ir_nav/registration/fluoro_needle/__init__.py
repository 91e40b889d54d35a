"""A needle in fluoro frames: its line and tip in one view, its place in space from two."""

from ir_nav.registration.fluoro_needle.finding import (
    FoundNeedle,
    NeedleGuide,
    find_needle,
    guide_after,
    guided,
    needle_width_px,
)
from ir_nav.registration.fluoro_needle.two_views import NeedleInSpace, needle_from_two_views

__all__ = [
    "FoundNeedle",
    "NeedleGuide",
    "NeedleInSpace",
    "find_needle",
    "guide_after",
    "guided",
    "needle_from_two_views",
    "needle_width_px",
]
