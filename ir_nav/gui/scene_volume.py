"""The CT itself in 3D: ray casting with presets, for the scene's thread.

vtkFixedPointVolumeRayCastMapper runs on the processor, needs no GPU, lets other threads run while
it works, and draws surfaces (the plan, the needle) at their depth among the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ir_nav.gui.scene_request import VolumeLook
from ir_nav.imaging import Int16Array, Volume

# Voxels are thinned to about this spacing: finer ones cost time and show no more at this size.
SPACING_MM = 2.4
RAY_STEP_MM = 1.0
# One ray for so many pixels' width; in between the picture is interpolated.
RAYS_APART_PX = 2.0

Points = tuple[tuple[float, float], ...]
Tones = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """opacity: (HU, opacity of 2 mm of it); tones: (HU, red, green, blue), parts of one."""

    opacity: Points
    tones: Tones
    shaded: bool = True


# CT numbers as usual: bone above 200, contrast 150 to 500, skin -300, lung -900 to -500.
PRESETS = {
    VolumeLook.BONE: Preset(
        ((170.0, 0.0), (260.0, 0.5), (500.0, 0.95), (2000.0, 1.0)),
        ((180.0, 0.62, 0.40, 0.30), (400.0, 0.90, 0.82, 0.66), (1200.0, 1.0, 0.98, 0.93)),
    ),
    VolumeLook.VESSEL: Preset(
        ((120.0, 0.0), (160.0, 0.12), (230.0, 0.6), (700.0, 0.9)),
        ((120.0, 0.55, 0.10, 0.08), (230.0, 0.85, 0.30, 0.22), (450.0, 0.98, 0.86, 0.72)),
    ),
    VolumeLook.SKIN: Preset(
        ((-700.0, 0.0), (-400.0, 0.25), (-150.0, 0.8), (100.0, 1.0)),
        ((-500.0, 0.72, 0.55, 0.46), (0.0, 0.85, 0.70, 0.60), (300.0, 0.95, 0.90, 0.82)),
    ),
    VolumeLook.LUNG: Preset(
        ((-960.0, 0.0), (-900.0, 0.015), (-750.0, 0.06), (-550.0, 0.12), (-400.0, 0.0)),
        ((-950.0, 0.35, 0.55, 0.70), (-750.0, 0.62, 0.78, 0.88), (-500.0, 0.95, 0.88, 0.85)),
        shaded=False,
    ),
}


def volume_actor(volume: Volume) -> Any:
    """A vtkVolume of the thinned voxels in `ct`, mm; `dress` gives it its look."""
    # Brings the part that puts rays' pictures on the screen: without it the mapper crashes.
    import vtkmodules.vtkRenderingVolumeOpenGL2  # noqa: F401
    from vtkmodules.vtkCommonMath import vtkMatrix4x4
    from vtkmodules.vtkRenderingCore import vtkVolume
    from vtkmodules.vtkRenderingVolume import vtkFixedPointVolumeRayCastMapper

    strides = [max(round(SPACING_MM / spacing), 1) for spacing in volume.spacing_mm]
    thinned = _means(volume.voxels, strides)
    mapper = vtkFixedPointVolumeRayCastMapper()
    spacing = np.array(volume.spacing_mm) * strides
    mapper.SetInputData(_image(thinned, spacing))
    # The slices and the tick share the cores with this thread.
    mapper.SetNumberOfThreads(1)
    mapper.SetAutoAdjustSampleDistances(0)
    mapper.SetImageSampleDistance(RAYS_APART_PX)
    mapper.SetSampleDistance(RAY_STEP_MM)
    matrix = vtkMatrix4x4()
    ct_from_image = volume.ct_from_voxel @ np.diag([*(1.0 / np.array(volume.spacing_mm)), 1.0])
    # A mean lies in the middle of what it stands for.
    first = volume.ct_from_voxel[:3, :3] @ ((np.array(strides) - 1.0) / 2.0)
    ct_from_image[:3, 3] += first
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(ct_from_image[row, column]))
    actor = vtkVolume()
    actor.SetMapper(mapper)
    actor.SetUserMatrix(matrix)
    return actor


def dress(actor: Any, look: VolumeLook) -> None:
    """Give a volume the look of a preset."""
    from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction
    from vtkmodules.vtkRenderingCore import vtkColorTransferFunction, vtkVolumeProperty

    preset = PRESETS[look]
    opacity, tones = vtkPiecewiseFunction(), vtkColorTransferFunction()
    for hu, part in preset.opacity:
        opacity.AddPoint(hu, part)
    for hu, red, green, blue in preset.tones:
        tones.AddRGBPoint(hu, red, green, blue)
    made = vtkVolumeProperty()
    made.SetScalarOpacity(opacity)
    made.SetScalarOpacityUnitDistance(2.0)
    made.SetColor(tones)
    made.SetInterpolationTypeToLinear()
    if preset.shaded:
        made.ShadeOn()
        made.SetAmbient(0.4)
        made.SetDiffuse(0.9)
        made.SetSpecular(0.2)
        made.SetSpecularPower(12.0)
    actor.SetProperty(made)


def reach_of(volume: Volume) -> tuple[np.ndarray, float]:
    """Middle (3,) in `ct` and half the diagonal, mm."""
    half = (np.array(volume.size_ijk) - 1.0) * np.array(volume.spacing_mm) / 2.0
    return volume.centre_ct_mm, float(np.linalg.norm(half))


def _means(voxels: Int16Array, strides: list[int]) -> Int16Array:
    """Means over blocks of (i, j, k) voxels; what is left over at the ends is left out."""
    i, j, k = strides
    slices, rows, columns = (
        size // step for size, step in zip(voxels.shape, (k, j, i), strict=True)
    )
    thinned = np.empty((slices, rows, columns), np.int16)
    for index in range(slices):
        block = voxels[index * k : (index + 1) * k, : rows * j, : columns * i]
        flat = block[0] if k == 1 else block.mean(axis=0).astype(np.int16)
        thinned[index] = cv2.resize(flat, (columns, rows), interpolation=cv2.INTER_AREA)
    return thinned


def _image(voxels: np.ndarray, spacing_mm: np.ndarray) -> Any:
    """vtkImageData of voxels (k, j, i) in mm from the first: the actor's matrix places it."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData

    image = vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.SetSpacing(*spacing_mm)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    return image
