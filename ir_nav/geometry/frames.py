"""Names of every coordinate frame, and the error raised when one cannot be reached."""

from __future__ import annotations

from enum import StrEnum


class Frame(StrEnum):
    """Coordinate frames of docs/frames.md. Millimetres unless the name says otherwise."""

    CT = "ct"
    CT_VOXEL = "ct_voxel"
    REFERENCE = "reference"
    TRACKER = "tracker"
    NEEDLE = "needle"
    STYLUS = "stylus"
    TIP = "tip"
    STYLUS_TIP = "stylus_tip"
    PROBE = "probe"
    IMAGE = "image"
    CARM = "carm"
    DETECTOR = "detector"


class GeometryError(ValueError):
    """A geometric quantity is malformed or cannot be computed."""


class FrameError(GeometryError):
    """A frame is missing, stale, or does not fit its neighbour in a product."""
