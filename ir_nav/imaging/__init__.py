"""CT volumes, label structures, oblique slices and surfaces. DICOM LPS, mm, HU, [k, j, i]."""

from ir_nav.imaging.dicom import SeriesInfo, read_indexed
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import LabelArray, LabelMap, read_names
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
from ir_nav.imaging.segmentation_writer import write_segmentation
from ir_nav.imaging.segmentations import read_labels, read_structures
from ir_nav.imaging.series import (
    Patient,
    Problem,
    SeriesIndex,
    SeriesSummary,
    Severity,
    Study,
    index_series,
    patients,
)
from ir_nav.imaging.skin import body_mask, skin_crossing, skin_crossings, skin_points
from ir_nav.imaging.structures import Structure, StructureSet, structures_of
from ir_nav.imaging.surfaces import Mesh, bone_surface, label_surface, skin_surface, surface
from ir_nav.imaging.thumbnails import thumbnails
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
    "Patient",
    "Plane",
    "Problem",
    "ReconstructedVolume",
    "SeriesIndex",
    "SeriesInfo",
    "SeriesSummary",
    "Severity",
    "StandardView",
    "Structure",
    "StructureSet",
    "Study",
    "Volume",
    "VolumeInfo",
    "body_mask",
    "bone_surface",
    "compile_kernels",
    "contours",
    "index_series",
    "label_surface",
    "list_series",
    "orientation_letters",
    "patients",
    "plane_through",
    "read_indexed",
    "read_labels",
    "read_names",
    "read_structures",
    "read_volume",
    "reconstruct",
    "reslice_labels",
    "reslice_window",
    "sample",
    "skin_crossing",
    "skin_crossings",
    "skin_points",
    "skin_surface",
    "structures_of",
    "surface",
    "thumbnails",
    "write_reconstruction",
    "write_segmentation",
]
