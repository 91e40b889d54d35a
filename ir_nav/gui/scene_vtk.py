"""The VTK scene. Made, used and destroyed on one thread: an OpenGL context belongs to one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PyQt6.QtGui import QColor

from ir_nav.geometry import perpendicular_basis, read_only
from ir_nav.gui import theme
from ir_nav.gui.scene_records import MarkState, Overlays
from ir_nav.gui.scene_request import Camera, Lens, SceneRequest, Surface, VolumeLook
from ir_nav.gui.scene_volume import dress, reach_of, volume_actor
from ir_nav.imaging import Mesh, Volume
from ir_nav.planning.ablation import Ellipsoid

BACKGROUND = (0.043, 0.05, 0.058)
TUBE_MM = 1.6
ZONE_OPACITY = 0.35
THIN_MM = 1.0
DOT_PX = 4.0


class SceneUnavailableError(RuntimeError):
    """No off-screen OpenGL can be had on this machine."""


class VtkScene:
    """Surfaces of the patient with plan and needle, rendered to memory."""

    def __init__(self) -> None:
        from vtkmodules.vtkRenderingCore import vtkRenderer

        self._window = _offscreen_window()
        self._renderer: Any = vtkRenderer()
        self._renderer.SetBackground(*BACKGROUND)
        self._renderer.SetBackground2(0.09, 0.105, 0.12)
        self._renderer.GradientBackgroundOn()
        self._renderer.UseFXAAOn()
        self._window.AddRenderer(self._renderer)
        self._surfaces: tuple[Surface, ...] = ()
        self._bodies: list[Any] = []
        self._moving: list[Any] = []
        self._volume: Volume | None = None
        self._cloud: Any = None
        self._cloud_look: VolumeLook | None = None
        self._focus = np.zeros(3)
        self._reach_mm = 300.0

    def render(self, request: SceneRequest) -> NDArray[np.uint8]:
        """(rows, columns, 4) BGRA, top row first; SceneUnavailableError when OpenGL fails."""
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

        if request.surfaces is not self._surfaces:
            self._replace_surfaces(request.surfaces)
        self._show_volume(request)
        self._replace_overlays(request.overlays)
        self._aim(request.camera, request.overlays)
        columns, rows = request.size_px
        self._window.SetSize(columns, rows)
        self._window.Render()
        buffer = vtkUnsignedCharArray()
        self._window.GetRGBACharPixelData(0, 0, columns - 1, rows - 1, 0, buffer)
        flat = vtk_to_numpy(buffer)
        if flat.size != rows * columns * 4:
            raise SceneUnavailableError("OpenGL gave no picture")
        rgba = flat.reshape(rows, columns, 4)[::-1]
        picture = np.ascontiguousarray(rgba[..., (2, 1, 0, 3)])
        picture[..., 3] = 255
        return picture

    def lens(self) -> Lens:
        """How the last picture was taken."""
        lens = self._renderer.GetActiveCamera()
        matrix = lens.GetCompositeProjectionTransformMatrix(
            self._renderer.GetTiledAspectRatio(), -1.0, 1.0
        )
        projection = np.array(
            [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]
        )
        return Lens(read_only(projection), read_only(lens.GetPosition()))

    def close(self) -> None:
        """Free the context on the thread that made it."""
        self._renderer.RemoveAllViewProps()
        self._window.Finalize()

    def _replace_surfaces(self, surfaces: tuple[Surface, ...]) -> None:
        for actor in self._bodies:
            self._renderer.RemoveActor(actor)
        self._bodies = [_surface_actor(surface) for surface in surfaces]
        for actor in self._bodies:
            self._renderer.AddActor(actor)
        self._surfaces = surfaces
        if surfaces:
            points = np.concatenate([surface.mesh.points_ct_mm for surface in surfaces])
            low, high = points.min(axis=0), points.max(axis=0)
            self._focus = (low + high) / 2.0
            self._reach_mm = float(np.linalg.norm(high - low)) / 2.0

    def _show_volume(self, request: SceneRequest) -> None:
        """The CT in place of the surfaces, or these again."""
        if request.shows_volume and request.volume is not self._volume:
            self._drop_volume()
            assert request.volume is not None
            self._volume, self._cloud = request.volume, volume_actor(request.volume)
            self._renderer.AddVolume(self._cloud)
            if not self._surfaces:
                self._focus, self._reach_mm = reach_of(request.volume)
        if self._cloud is not None:
            self._cloud.SetVisibility(request.shows_volume)
            if request.shows_volume and request.look is not self._cloud_look:
                dress(self._cloud, request.look)
                self._cloud_look = request.look
        for actor in self._bodies:
            actor.SetVisibility(not request.shows_volume)

    def _drop_volume(self) -> None:
        if self._cloud is not None:
            self._renderer.RemoveVolume(self._cloud)
        self._volume = self._cloud = self._cloud_look = None

    def _replace_overlays(self, overlays: Overlays) -> None:
        for actor in self._moving:
            self._renderer.RemoveActor(actor)
        self._moving = _overlay_actors(overlays)
        for actor in self._moving:
            self._renderer.AddActor(actor)

    def _aim(self, camera: Camera, overlays: Overlays) -> None:
        aimed_at = self._focus if overlays.target_ct_mm is None else overlays.target_ct_mm
        focus = aimed_at if camera.focus_ct_mm is None else camera.focus_ct_mm
        lens = self._renderer.GetActiveCamera()
        lens.SetViewAngle(30.0)
        distance = self._reach_mm / np.tan(np.radians(15.0)) / max(camera.zoom, 0.05) * 0.72
        lens.SetFocalPoint(*focus)
        lens.SetPosition(*(np.asarray(focus) + camera.away_ct * distance))
        lens.SetViewUp(0.0, 0.0, 1.0)
        self._renderer.ResetCameraClippingRange()


def _offscreen_window() -> Any:
    """EGL where there is: the generic window first looks for an X server and complains."""
    import vtkmodules.vtkRenderingOpenGL2 as backend
    from vtkmodules.vtkCommonCore import vtkObject

    vtkObject.GlobalWarningDisplayOff()
    for name in ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow"):
        if not hasattr(backend, name):
            continue
        window = getattr(backend, name)()
        window.SetOffScreenRendering(1)
        window.SetMultiSamples(0)
        window.SetSize(32, 32)
        window.Initialize()
        if window.SupportsOpenGL():
            return window
        window.Finalize()
    raise SceneUnavailableError("this machine has no off-screen OpenGL: install libegl1 and Mesa")


def _overlay_actors(shown: Overlays) -> list[Any]:
    actors = [
        _tube(path.entry_ct_mm, path.target_ct_mm, theme.TEXT_2, THIN_MM) for path in shown.approved
    ]
    actors += [_zone(zone) for zone in shown.zones]
    if shown.target_ct_mm is not None:
        actors.append(_ball(shown.target_ct_mm, 4.5, theme.PLAN))
    if shown.target_ct_mm is not None and shown.entry_ct_mm is not None:
        actors.append(_tube(shown.entry_ct_mm, shown.target_ct_mm, theme.PLAN, TUBE_MM))
        actors.append(_ball(shown.entry_ct_mm, 3.5, theme.PLAN))
    if shown.tip is not None and shown.hub_ct_mm is not None:
        actors.append(_tube(shown.hub_ct_mm, shown.tip.tip_ct_mm, theme.NEEDLE, TUBE_MM * 1.2))
        actors.append(_ball(shown.tip.tip_ct_mm, 3.0, theme.NEEDLE))
    if shown.achieved is not None:
        path = shown.achieved
        actors.append(_tube(path.entry_ct_mm, path.target_ct_mm, theme.NEEDLE, TUBE_MM))
    if shown.stylus_ct_mm is not None:
        actors.append(_ball(shown.stylus_ct_mm, 4.0, theme.TEXT_1))
    if shown.swiped_ct_mm is not None:
        actors.append(_dots(shown.swiped_ct_mm, theme.TEXT_1))
    names = {MarkState.DONE: theme.GOOD, MarkState.CURRENT: theme.PLAN}
    actors.extend(
        _ball(mark.point_ct_mm, 6.0, names.get(mark.state, theme.TEXT_2)) for mark in shown.marks
    )
    return actors


def _surface_actor(surface: Surface) -> Any:
    actor = _actor(_normals(_poly(surface.mesh)), surface.colour, lit=True)
    actor.GetProperty().SetOpacity(surface.opacity)
    # A see-through skin must not hide the organs behind its own back wall.
    if surface.opacity < 1.0:
        actor.GetProperty().BackfaceCullingOn()
    return actor


def _poly(mesh: Mesh) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(mesh.points_ct_mm), deep=True))
    count = len(mesh.triangles)
    corners = np.column_stack([np.full(count, 3), mesh.triangles]).astype(np.int64).ravel()
    cells = vtkCellArray()
    cells.ImportLegacyFormat(numpy_to_vtkIdTypeArray(corners, deep=True))
    poly = vtkPolyData()
    poly.SetPoints(points)
    poly.SetPolys(cells)
    return poly


def _normals(poly: Any) -> Any:
    from vtkmodules.vtkFiltersCore import vtkPolyDataNormals

    normals = vtkPolyDataNormals()
    normals.SetInputData(poly)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def _tube(first: ArrayLike, second: ArrayLike, colour: str, radius_mm: float) -> Any:
    from vtkmodules.vtkFiltersCore import vtkTubeFilter
    from vtkmodules.vtkFiltersSources import vtkLineSource

    line = vtkLineSource()
    line.SetPoint1(*_three(first))
    line.SetPoint2(*_three(second))
    tube = vtkTubeFilter()
    tube.SetInputConnection(line.GetOutputPort())
    tube.SetRadius(radius_mm)
    tube.SetNumberOfSides(10)
    tube.CappingOn()
    tube.Update()
    return _actor(tube.GetOutput(), colour, lit=False)


def _ball(middle: ArrayLike, radius_mm: float, colour: str) -> Any:
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    ball = vtkSphereSource()
    ball.SetCenter(*_three(middle))
    ball.SetRadius(radius_mm)
    ball.SetThetaResolution(14)
    ball.SetPhiResolution(10)
    ball.Update()
    return _actor(ball.GetOutput(), colour, lit=False)


def _zone(zone: Ellipsoid) -> Any:
    """A see-through ellipsoid about its needle."""
    from vtkmodules.vtkCommonMath import vtkMatrix4x4
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    ball = vtkSphereSource()
    ball.SetRadius(1.0)
    ball.SetThetaResolution(28)
    ball.SetPhiResolution(20)
    ball.Update()
    actor = _actor(ball.GetOutput(), theme.PLAN, lit=True)
    first, second = perpendicular_basis(zone.axis_ct, (0.0, 0.0, 1.0))
    wide, long = zone.half_width_mm, zone.half_length_mm
    columns = (wide * first, wide * second, long * zone.axis_ct, zone.centre_ct_mm)
    placed = vtkMatrix4x4()
    for column, values in enumerate(columns):
        for row in range(3):
            placed.SetElement(row, column, float(values[row]))
    actor.SetUserMatrix(placed)
    actor.GetProperty().SetOpacity(ZONE_OPACITY)
    return actor


def _dots(points_ct_mm: ArrayLike, colour: str) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkFiltersGeneral import vtkVertexGlyphFilter

    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(points_ct_mm), deep=True))
    poly = vtkPolyData()
    poly.SetPoints(points)
    vertices = vtkVertexGlyphFilter()
    vertices.SetInputData(poly)
    vertices.Update()
    actor = _actor(vertices.GetOutput(), colour, lit=False)
    actor.GetProperty().SetPointSize(DOT_PX)
    return actor


def _actor(poly: Any, colour: str, *, lit: bool) -> Any:
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    mapper = vtkPolyDataMapper()
    mapper.SetInputData(poly)
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    tone = QColor(colour)
    look = actor.GetProperty()
    look.SetColor(tone.redF(), tone.greenF(), tone.blueF())
    look.SetAmbient(0.12 if lit else 0.75)
    look.SetDiffuse(0.9 if lit else 0.35)
    look.SetSpecular(0.15 if lit else 0.0)
    return actor


def _three(point: ArrayLike) -> tuple[float, float, float]:
    x, y, z = np.asarray(point, dtype=np.float64)
    return float(x), float(y), float(z)
