"""CT volumes, label structures, oblique slices and surfaces. DICOM LPS, mm, HU, [k, j, i]."""

from ir_nav.imaging.dicom import SeriesInfo
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import LabelArray, LabelMap, read_labels, read_names
from ir_nav.imaging.readers import list_series, read_volume
from ir_nav.imaging.reconstruction import (
    ClipRectangle,
    ReconstructedVolume,
    reconstruct,
    write_reconstruction,
)
from ir_nav.imaging.reslice import (
    ByteImage,
    Plane,
    compile_kernels,
    contours,
    plane_through,
    reslice_labels,
    reslice_window,
)
from ir_nav.imaging.skin import body_mask, skin_crossing, skin_crossings, skin_points
from ir_nav.imaging.surfaces import Mesh, bone_surface, label_surface, skin_surface, surface
from ir_nav.imaging.view_axes import StandardView, orientation_letters
from ir_nav.imaging.volume import BoolArray, Int16Array, Volume, VolumeInfo, sample

__all__ = [
    "BoolArray",
    "ByteImage",
    "ClipRectangle",
    "ImagingError",
    "Int16Array",
    "LabelArray",
    "LabelMap",
    "Mesh",
    "Plane",
    "ReconstructedVolume",
    "SeriesInfo",
    "StandardView",
    "Volume",
    "VolumeInfo",
    "body_mask",
    "bone_surface",
    "compile_kernels",
    "contours",
    "label_surface",
    "list_series",
    "orientation_letters",
    "plane_through",
    "read_labels",
    "read_names",
    "read_volume",
    "reconstruct",
    "reslice_labels",
    "reslice_window",
    "sample",
    "skin_crossing",
    "skin_crossings",
    "skin_points",
    "skin_surface",
    "surface",
    "write_reconstruction",
]
