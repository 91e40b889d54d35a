"""Reads one mesh file in a process of its own: VTK's readers end the whole program on some damaged
files, and believe what a header says of its size.

Run as a script with the file as argument; writes points (n, 3) float64 and triangles (m, 3) int32
to standard output, each as NumPy's .npy. Ends with NO_TRIANGLES or DAMAGED otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

NO_TRIANGLES, DAMAGED = 3, 4
KINDS = (".stl", ".ply", ".obj", ".vtk", ".vtp")
# Address space and processor time: enough for what a file of its size can hold, no more.
MEMORY_BYTES, MEMORY_PER_BYTE = 3 * 1024**3, 20
SECONDS, SECONDS_PER_MB = 5, 1


def main(path: Path) -> int:
    _limit(path.stat().st_size)
    poly = _read(path)
    if poly is None:
        return DAMAGED
    if poly.GetNumberOfPolys() == 0 or poly.GetPoints() is None:
        return NO_TRIANGLES
    points, corners = _arrays(poly)
    if corners.min() < 0 or corners.max() >= len(points):
        return DAMAGED
    np.save(sys.stdout.buffer, points, allow_pickle=False)
    np.save(sys.stdout.buffer, corners.astype(np.int32), allow_pickle=False)
    return 0


def _limit(file_bytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    memory = MEMORY_BYTES + MEMORY_PER_BYTE * file_bytes
    seconds = SECONDS + SECONDS_PER_MB * file_bytes // 2**20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(path: Path) -> Any:
    """The file's triangles as vtkPolyData, None where a reader complains."""
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter

    reader, triangles = _reader(path.suffix.lower()), vtkTriangleFilter()
    faults: list[str] = []
    for step in (reader, triangles):
        step.AddObserver("ErrorEvent", lambda _source, _event: faults.append("damaged"))
    reader.SetFileName(str(path))
    triangles.PassVertsOff()
    triangles.PassLinesOff()
    triangles.SetInputConnection(reader.GetOutputPort())
    triangles.Update()
    return None if faults else triangles.GetOutput()


def _reader(suffix: str) -> Any:
    from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    readers = (vtkSTLReader, vtkPLYReader, vtkOBJReader, vtkPolyDataReader, vtkXMLPolyDataReader)
    return dict(zip(KINDS, readers, strict=True))[suffix]()


def _arrays(poly: Any) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) and triangles (m, 3)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    points = vtk_to_numpy(poly.GetPoints().GetData()).astype(np.float64)
    return points, vtk_to_numpy(poly.GetPolys().GetConnectivityArray()).reshape(-1, 3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
