"""The 3D view: shows the newest picture of the scene thread. Drag turns, wheel zooms."""

from __future__ import annotations

from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QMouseEvent, QPainter, QPen, QWheelEvent

from ir_nav.gui import theme
from ir_nav.gui.paint import draw_label, opaque_image
from ir_nav.gui.picture import Picture
from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scene_request import (
    Camera,
    Lens,
    ScenePicture,
    SceneRequest,
    Surface,
    VolumeLook,
)
from ir_nav.gui.scene_thread import SceneThread
from ir_nav.imaging import Volume

DEG_PER_PX = 0.4
ZOOM_STEP = 1.15
AXES_PX = 34.0
LEAST_AXES_PX = 150


class SceneView(Picture):
    """Asks for a picture when what it shows has changed; never waits for one."""

    def __init__(self, thread: SceneThread, title: str = "3D", *, zoom: float = 1.0) -> None:
        super().__init__(title, "drag to turn")
        self._thread = thread
        self._surfaces: tuple[Surface, ...] = ()
        self._overlays = Overlays()
        self._volume: Volume | None = None
        self._look = VolumeLook.SURFACES
        self._camera = Camera(zoom=zoom)
        self._picture: ScenePicture | None = None
        self._asked: SceneRequest | None = None
        self._last = QPointF()
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    @property
    def shows(self) -> bool:
        """Whether there is a picture yet."""
        return self._picture is not None

    @property
    def lens(self) -> Lens | None:
        """How the picture on the screen was taken."""
        return None if self._picture is None else self._picture.lens

    def set_surfaces(self, surfaces: tuple[Surface, ...]) -> None:
        """Show these meshes from now on."""
        self._surfaces = surfaces

    def set_volume(self, volume: Volume | None) -> None:
        """The CT that a preset shows."""
        self._volume = volume

    def set_volume_look(self, look: VolumeLook) -> None:
        """Surfaces, or the CT itself with a preset."""
        self._look = look

    @property
    def _filled(self) -> bool:
        """Whether there is anything of the patient to draw."""
        return bool(self._surfaces) or self._shows_volume

    @property
    def _shows_volume(self) -> bool:
        return self._volume is not None and self._look is not VolumeLook.SURFACES

    def look_from(self, camera: Camera) -> None:
        """Turn the scene."""
        self._camera = camera

    def show_overlays(self, overlays: Overlays) -> None:
        """Take the newest picture, and ask for the next when something changed."""
        self._overlays = overlays
        newest = self._thread.newest()
        if newest is not None and newest.owner == id(self) and newest is not self._picture:
            self._picture = newest
            self.update()
        if not self._same():
            self._asked = SceneRequest(
                id(self),
                self._surfaces,
                overlays,
                self._camera,
                self._size(),
                self._volume,
                self._look,
            )
            self._thread.ask(self._asked)

    def draw_ground(self, painter: QPainter) -> None:
        if self._picture is None or not self._filled or self._thread.fault() is not None:
            super().draw_ground(painter)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(self.rect()), opaque_image(self._picture.pixels))

    def draw(self, painter: QPainter) -> None:
        fault = self._thread.fault()
        if fault is not None:
            self.say(painter, f"No 3D view: {fault}. Everything else works.")
        elif self._picture is None or not self._filled:
            self.say(painter, "No surface yet" if not self._filled else "Preparing the 3D view")
        else:
            self._draw_names(painter, self._picture)
            self._draw_axes(painter, self._picture.camera)

    def _draw_names(self, painter: QPainter, picture: ScenePicture) -> None:
        """Beside each marked point, where it was when the picture was made."""
        for x, y, words in picture.names:
            at = QPointF(x * self.width() + 9.0, y * self.height())
            draw_label(painter, at, words, weight=theme.STRONG, plate=True, anchor=(0.0, 0.5))

    def _draw_axes(self, painter: QPainter, camera: Camera) -> None:
        """R L, A P and H F as seen from here; what points away from the viewer is faint."""
        if min(self.width(), self.height()) < LEAST_AXES_PX:
            return
        view_from_ct = camera.view_from_ct
        arm = AXES_PX if self.height() > 260 else AXES_PX * 0.85
        middle = QPointF(arm + 18.0, self.height() - arm - 18.0)
        small = arm < AXES_PX
        ends = [
            (view_from_ct[:, axis] * sign, letter)
            for axis, letters in enumerate(("RL", "AP", "FH"))
            for sign, letter in zip((-1.0, 1.0), letters, strict=True)
        ]
        for end, letter in sorted(ends, key=lambda item: float(item[0][2])):
            towards = float(end[2]) > -0.15
            if small and not towards:
                continue
            at = middle + QPointF(float(end[0]) * arm, -float(end[1]) * arm)
            painter.setPen(QPen(theme.colour(theme.TEXT_1, 0.8 if towards else 0.3), 1.4))
            painter.drawLine(QLineF(middle, at))
            name = theme.TEXT_1 if towards else theme.TEXT_3
            draw_label(
                painter,
                at,
                letter,
                px=theme.LEAST if small else theme.NOTE,
                weight=theme.STRONG,
                name=name,
                anchor=(0.5, 0.5),
            )

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None:
            self._last = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        moved, self._last = event.position() - self._last, event.position()
        elevation = self._camera.elevation_deg + DEG_PER_PX * moved.y()
        self._camera = Camera(
            self._camera.azimuth_deg - DEG_PER_PX * moved.x(),
            min(max(elevation, -85.0), 85.0),
            self._camera.zoom,
        )

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is None:
            return
        zoom = self._camera.zoom * ZOOM_STEP ** (event.angleDelta().y() / 120.0)
        self._camera = Camera(
            self._camera.azimuth_deg, self._camera.elevation_deg, min(max(zoom, 0.3), 12.0)
        )
        event.accept()

    def _size(self) -> tuple[int, int]:
        return max(self.width(), 16), max(self.height(), 16)

    def _same(self) -> bool:
        asked = self._asked
        return (
            asked is not None
            and self._thread.asked(asked)
            and asked.surfaces is self._surfaces
            and asked.overlays is self._overlays
            and asked.camera is self._camera
            and asked.size_px == self._size()
            and asked.volume is self._volume
            and asked.look is self._look
        )
