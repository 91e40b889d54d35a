"""Named rigid transforms, the frame tree, fits and lines. numpy only; mm and degrees."""

from ir_nav.geometry.fit import PointFit, fit_points
from ir_nav.geometry.frames import Frame, FrameError, GeometryError
from ir_nav.geometry.lines import (
    angle_between_deg,
    perpendicular_basis,
    rotation_along,
    split_offset,
    unit,
)
from ir_nav.geometry.projection import CArmGeometry
from ir_nav.geometry.transform import (
    LPS_FROM_RAS,
    FloatArray,
    Transform,
    apply,
    interpolate,
    read_only,
    rigid,
    rigid_inverse,
    rigidity_fault,
    rotation_between_deg,
    rotation_from_vector,
    vector_from_rotation,
)
from ir_nav.geometry.tree import FrameTree, Link

__all__ = [
    "LPS_FROM_RAS",
    "CArmGeometry",
    "FloatArray",
    "Frame",
    "FrameError",
    "FrameTree",
    "GeometryError",
    "Link",
    "PointFit",
    "Transform",
    "angle_between_deg",
    "apply",
    "fit_points",
    "interpolate",
    "perpendicular_basis",
    "read_only",
    "rigid",
    "rigid_inverse",
    "rigidity_fault",
    "rotation_along",
    "rotation_between_deg",
    "rotation_from_vector",
    "split_offset",
    "unit",
    "vector_from_rotation",
]
