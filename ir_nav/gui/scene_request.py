"""What the 3D view is asked to draw, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ir_nav.gui.scene_records import Overlays
from ir_nav.imaging import Mesh


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


@dataclass(frozen=True, slots=True, eq=False)
class SceneRequest:
    """A picture of the scene, size in px. owner: which view asks; several share one thread."""

    owner: int = 0

    surfaces: tuple[Surface, ...] = ()
    overlays: Overlays = field(default_factory=Overlays)
    camera: Camera = field(default_factory=Camera)
    size_px: tuple[int, int] = (320, 240)


@dataclass(frozen=True, slots=True, eq=False)
class ScenePicture:
    """(rows, columns, 4) uint8, BGRA, top row first. render_ms: what it cost."""

    owner: int

    pixels: NDArray[np.uint8]
    render_ms: float
    number: int
