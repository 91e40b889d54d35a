"""The C-arm's geometry from DICOM headers or a plate of beads, and the detector's distortion."""

from ir_nav.registration.carm_calibration.distortion import (
    Distortion,
    distortion_from_grid,
    straightening_maps,
    undistorted,
)
from ir_nav.registration.carm_calibration.files import (
    read_distortion,
    read_picture,
    write_distortion,
    write_picture,
    write_view,
)
from ir_nav.registration.carm_calibration.header_fields import frame_count, is_volume
from ir_nav.registration.carm_calibration.headers import (
    HeaderView,
    frame_pixels,
    header_view,
    read_header,
)
from ir_nav.registration.carm_calibration.marker_plate import PlateCalibration, calibrate_from_plate
from ir_nav.registration.carm_calibration.plate import Bead, Plate, read_plate

__all__ = [
    "Bead",
    "Distortion",
    "HeaderView",
    "Plate",
    "PlateCalibration",
    "calibrate_from_plate",
    "distortion_from_grid",
    "frame_count",
    "frame_pixels",
    "header_view",
    "is_volume",
    "read_distortion",
    "read_header",
    "read_picture",
    "read_plate",
    "straightening_maps",
    "undistorted",
    "write_distortion",
    "write_picture",
    "write_view",
]
