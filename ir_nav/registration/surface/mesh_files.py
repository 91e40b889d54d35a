"""Triangle surfaces from files: STL, PLY, OBJ, VTK and VTP, LPS mm inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ir_nav.geometry import LPS_FROM_RAS
from ir_nav.imaging import Mesh
from ir_nav.registration.errors import RegistrationError

MAX_FILE_BYTES = 512 * 1024 * 1024
# 3D Slicer writes the space of its models into the comment at the top.
HEAD_BYTES = 1024
KINDS = (".stl", ".ply", ".obj", ".vtk", ".vtp")


def read_mesh(path: Path) -> Mesh:
    """A surface in LPS mm; a file whose head says "SPACE=RAS" is turned.

    Polygons become triangles. Raises RegistrationError for a file that cannot be read, is of
    another kind, or holds no surface.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise RegistrationError(f"{path}: not a mesh that can be read: give {', '.join(KINDS)}")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        too_large = path.stat().st_size > MAX_FILE_BYTES
    except OSError as error:
        raise RegistrationError(f"{path}: cannot be read ({error.strerror})") from None
    if too_large:
        raise RegistrationError(f"{path}: larger than 512 MB, decimate the mesh first")
    points, triangles = _arrays(_read(path, suffix), path)
    if b"SPACE=RAS" in head.replace(b" ", b"").upper():
        points = points @ LPS_FROM_RAS
    return Mesh(np.ascontiguousarray(points, dtype=np.float32), triangles)


def _read(path: Path, suffix: str) -> Any:
    """The file's triangles as vtkPolyData."""
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter

    reader = _reader(suffix)
    faults: list[str] = []
    reader.AddObserver("ErrorEvent", lambda _source, _event: faults.append("damaged"))
    reader.SetFileName(str(path))
    triangles = vtkTriangleFilter()
    triangles.AddObserver("ErrorEvent", lambda _source, _event: faults.append("damaged"))
    triangles.PassVertsOff()
    triangles.PassLinesOff()
    triangles.SetInputConnection(reader.GetOutputPort())
    triangles.Update()
    if faults:
        raise RegistrationError(f"{path}: damaged, or no mesh: export it again")
    return triangles.GetOutput()


def _reader(suffix: str) -> Any:
    from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    readers = (vtkSTLReader, vtkPLYReader, vtkOBJReader, vtkPolyDataReader, vtkXMLPolyDataReader)
    return dict(zip(KINDS, readers, strict=True))[suffix]()


def _arrays(poly: Any, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) and triangles (m, 3)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    if poly.GetNumberOfPolys() == 0:
        raise RegistrationError(f"{path}: holds no triangles: export a surface, not points")
    points = vtk_to_numpy(poly.GetPoints().GetData()).astype(np.float64)
    corners = vtk_to_numpy(poly.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise RegistrationError(f"{path}: holds points that are not finite: export it again")
    return points, np.ascontiguousarray(corners, dtype=np.int32)
