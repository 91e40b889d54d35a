"""What the 3D view is asked to draw, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ir_nav.geometry import FloatArray, unit
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
    """Where the scene is seen from: turned about the focus, degrees; zoom 1 shows all of it.
    focus_ct_mm: the target, or the middle of what is shown, where it is None."""

    azimuth_deg: float = -35.0
    elevation_deg: float = 18.0
    zoom: float = 1.0
    focus_ct_mm: tuple[float, float, float] | None = None

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
class Lens:
    """A perspective picture of the scene. clip_from_ct: (4, 4); a point's place is clip / w, from
    -1 to 1, right and up. eye_ct_mm: (3,) where it is seen from."""

    clip_from_ct: FloatArray
    eye_ct_mm: FloatArray

    def places(self, points_ct_mm: ArrayLike) -> FloatArray:
        """(n, 2) where points (n, 3) lie, as parts of the picture's width and height from the
        upper left corner."""
        points = np.asarray(points_ct_mm, dtype=np.float64).reshape(-1, 3)
        clip = np.column_stack([points, np.ones(len(points))]) @ self.clip_from_ct.T
        flat = clip[:, :2] / clip[:, 3:]
        return np.column_stack([(flat[:, 0] + 1.0) / 2.0, (1.0 - flat[:, 1]) / 2.0])

    def ray(self, place: tuple[float, float]) -> FloatArray:
        """(3,) unit direction in `ct` from the eye through a place, as in `places`."""
        clip = np.array([2.0 * place[0] - 1.0, 1.0 - 2.0 * place[1], 0.0, 1.0])
        point = np.linalg.solve(self.clip_from_ct, clip)
        return unit(point[:3] / point[3] - self.eye_ct_mm)

    def beside(self, point_ct_mm: FloatArray, place: tuple[float, float]) -> FloatArray:
        """(3,) in `ct`: what lies at a place, as far away as a point (3,)."""
        towards, middle = self.ray(place), self.ray((0.5, 0.5))
        depth = float((point_ct_mm - self.eye_ct_mm) @ middle)
        return np.asarray(self.eye_ct_mm + towards * depth / float(towards @ middle))


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
    was seen from. names: marked points as parts of the picture's width and height, with words.
    lens: how its points came about."""

    owner: int

    pixels: NDArray[np.uint8]
    render_ms: float
    number: int
    camera: Camera = field(default_factory=Camera)
    names: tuple[tuple[float, float, str], ...] = ()
    lens: Lens | None = None
