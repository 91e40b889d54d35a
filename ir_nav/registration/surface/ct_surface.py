"""The surfaces of a CT that a stylus can reach: skin and bone."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from ir_nav.geometry import apply
from ir_nav.imaging import BoolArray, Mesh, Volume, bone_surface, skin_surface
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.surface.sampled import SampledSurface, sample_surface

# Triangles this near the image's border close the body where the scan ends.
BORDER_MM = 4.0
SKIN_TRIANGLES, BONE_TRIANGLES = 60_000, 90_000


class Tissue(StrEnum):
    """What was swiped."""

    SKIN = "skin"
    BONE = "bone"


def ct_surface(volume: Volume, tissue: Tissue, body: BoolArray | None = None) -> SampledSurface:
    """The skin (-300 HU) or the bone (200 HU) of a CT, without the cut faces of the scan.

    Seconds: for the worker. `body` spares computing the skin's mask again. Raises ImagingError
    where the CT shows none, RegistrationError where nothing is left of it.
    """
    if tissue is Tissue.SKIN:
        mesh = skin_surface(volume, SKIN_TRIANGLES, body)
    else:
        mesh = bone_surface(volume, BONE_TRIANGLES)
    inner = _within(volume, mesh)
    if len(inner.triangles) == 0:
        raise RegistrationError(f"no {tissue} lies within the CT: choose another, or give a mesh")
    return sample_surface(inner, f"the {tissue} of the CT")


def _within(volume: Volume, mesh: Mesh) -> Mesh:
    """Without the triangles along the image's border."""
    places = apply(volume.voxel_from_ct, mesh.points_ct_mm)
    margin = BORDER_MM / np.array(volume.spacing_mm)
    last = np.array(volume.size_ijk) - 1.0
    inside = np.asarray(((places > margin) & (places < last - margin)).all(axis=1))
    return Mesh(mesh.points_ct_mm, mesh.triangles[inside[mesh.triangles].all(axis=1)])
