"""Triangle surfaces from files: STL, PLY, OBJ, VTK and VTP, LPS mm inside."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np

from ir_nav.geometry import LPS_FROM_RAS
from ir_nav.imaging import Mesh
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import FARTHEST_MM
from ir_nav.registration.surface import mesh_process
from ir_nav.registration.surface.mesh_process import KINDS

MAX_FILE_BYTES = 512 * 1024 * 1024
# 3D Slicer writes the space of its models into the comment at the top.
HEAD_BYTES = 1024
# A body or a bone is larger; what is smaller was written in metres.
LEAST_EXTENT_MM = 5.0


def read_mesh(path: Path) -> Mesh:
    """A surface in LPS mm; a file whose head says "SPACE=RAS" is turned.

    Polygons become triangles. Raises RegistrationError for a file that cannot be read, is of
    another kind, holds no surface, or one that cannot be in mm.
    """
    if path.suffix.lower() not in KINDS:
        raise RegistrationError(f"{path}: not a mesh that can be read: give {', '.join(KINDS)}")
    head = _head(path)
    points, triangles = _arrays(path)
    if not np.isfinite(points).all():
        raise RegistrationError(f"{path}: holds points that are not finite: export it again")
    if np.abs(points).max() > FARTHEST_MM:
        raise RegistrationError(f"{path}: lies more than 100 m away: export it in mm")
    extent_mm = float(np.ptp(points, axis=0).max())
    if extent_mm < LEAST_EXTENT_MM:
        raise RegistrationError(
            f"{path}: is {extent_mm:.2g} mm across: export it in mm, not in metres"
        )
    if b"SPACE=RAS" in head.replace(b" ", b"").upper():
        points = points @ LPS_FROM_RAS
    return Mesh(np.ascontiguousarray(points, dtype=np.float32), triangles)


def _head(path: Path) -> bytes:
    """The first bytes of a file that is small enough to be read."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise RegistrationError(f"{path}: is no file: save it as one first")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise RegistrationError(f"{path}: cannot be read ({error.strerror})") from None
    if size > MAX_FILE_BYTES:
        raise RegistrationError(f"{path}: larger than 512 MB, decimate the mesh first")
    return head


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) and triangles (m, 3), read by another process: what ends that one is damage."""
    done = subprocess.run(
        [sys.executable, "-P", mesh_process.__file__, str(path.absolute())],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode == mesh_process.NO_TRIANGLES:
        raise RegistrationError(f"{path}: holds no triangles: export a surface, not points")
    if done.returncode != 0:
        raise RegistrationError(f"{path}: damaged, or no mesh: export it again")
    data = io.BytesIO(done.stdout)
    return np.load(data, allow_pickle=False), np.load(data, allow_pickle=False)
