"""CT to patient from points swiped over skin or bone."""

from ir_nav.registration.surface.ct_surface import Tissue, ct_surface
from ir_nav.registration.surface.fit import SurfaceFit, fit_surface
from ir_nav.registration.surface.freedom import Freedom, freedom_words
from ir_nav.registration.surface.mesh_files import read_mesh
from ir_nav.registration.surface.sampled import SampledSurface, sample_surface
from ir_nav.registration.surface.surface_registration import (
    SurfaceRegistration,
    register_surface,
)
from ir_nav.registration.surface.swipes import SwipedPoints

__all__ = [
    "Freedom",
    "SampledSurface",
    "SurfaceFit",
    "SurfaceRegistration",
    "SwipedPoints",
    "Tissue",
    "ct_surface",
    "fit_surface",
    "freedom_words",
    "read_mesh",
    "register_surface",
    "sample_surface",
]
