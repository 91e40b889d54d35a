"""What the 3D view is asked to draw, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.gui.scene_records import Overlays
from ir_nav.imaging import Mesh, Volume


class VolumeLook(StrEnum):
    """How the patient is shown: by surfaces, or by the CT itself with a preset."""

    SURFACES = "Surfaces"
    BONE = "3D bone"
    VESSEL = "3D vessel"
    SKIN = "3D skin"
    LUNG = "3D lung"


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """One mesh with its look."""

    mesh: Mesh
    colour: str
    opacity: float


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the scene is seen from: turned about the focus, degrees; zoom 1 shows all of it."""

    azimuth_deg: float = -35.0
    elevation_deg: float = 18.0
    zoom: float = 1.0

    @property
    def away_ct(self) -> FloatArray:
        """(3,) unit direction in `ct` from the focus to the camera; the head is up."""
        azimuth, elevation = np.radians([self.azimuth_deg, self.elevation_deg])
        flat = float(np.cos(elevation))
        return np.array([np.sin(azimuth) * flat, -np.cos(azimuth) * flat, np.sin(elevation)])

    @property
    def view_from_ct(self) -> FloatArray:
        """(3, 3) rotation: rows are the picture's right and up, and the way to the viewer."""
        away = self.away_ct
        right = np.cross((0.0, 0.0, 1.0), away)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(away, right), away])


@dataclass(frozen=True, slots=True, eq=False)
class SceneRequest:
    """A picture of the scene, size in px. owner: which view asks; several share one thread.
    volume: drawn in place of the surfaces unless the look is SURFACES."""

    owner: int = 0

    surfaces: tuple[Surface, ...] = ()
    overlays: Overlays = field(default_factory=Overlays)
    camera: Camera = field(default_factory=Camera)
    size_px: tuple[int, int] = (320, 240)
    volume: Volume | None = None
    look: VolumeLook = VolumeLook.SURFACES

    @property
    def shows_volume(self) -> bool:
        """Whether the CT itself is drawn."""
        return self.volume is not None and self.look is not VolumeLook.SURFACES


@dataclass(frozen=True, slots=True, eq=False)
class ScenePicture:
    """(rows, columns, 4) uint8, BGRA, top row first. render_ms: what it cost. camera: where it
    was seen from. names: marked points as parts of the picture's width and height, with words."""

    owner: int

    pixels: NDArray[np.uint8]
    render_ms: float
    number: int
    camera: Camera = field(default_factory=Camera)
    names: tuple[tuple[float, float, str], ...] = ()
