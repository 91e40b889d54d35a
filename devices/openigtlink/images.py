"""IMAGE: pixels with their place in the sender's frame.

Layout: protocol v3 image page; 72 bytes of geometry, then the pixels, column index fastest. The
matrix's fourth column is the centre of the image. The C++ library passes it on untouched; 3D
Slicer (OpenIGTLinkIO) and pyigtl both read "centre" as pixel index (size - 1) / 2, and so do we.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.contract import ImageSample
from devices.openigtlink.arrays import SCALARS
from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import MessageError


class PatientAxes(IntEnum):
    """The byte that names the axes of the image matrix."""

    RAS = 1
    LPS = 2


class ByteOrder(IntEnum):
    """The byte that names the order of the pixels' bytes."""

    BIG = 1
    LITTLE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """An image of several slices. voxels: (slices, rows, columns) or with components as a fourth
    axis, read-only. parent_from_voxel (4, 4): from (column, row, slice) to LPS mm."""

    name: str
    voxels: NDArray[np.generic]
    parent_from_voxel: NDArray[np.float64]
    source_s: float
    received_s: float
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_GEOMETRY = struct.Struct(">HBBBB3H12f6H")
_COMPLEX = 13
_SCALARS = {code: scalar for code, scalar in SCALARS.items() if code != _COMPLEX}
_SCALAR_OF_TYPE = {scalar: code for code, scalar in _SCALARS.items()}
_LPS_FROM_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))

Matrix = NDArray[np.float64]


def pack_image(
    name: str,
    pixels: NDArray[np.generic],
    parent_from_pixel: ArrayLike,
    timestamp_s: float,
    *,
    version: int = 1,
    axes: PatientAxes = PatientAxes.LPS,
    order: ByteOrder = ByteOrder.LITTLE,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """IMAGE of one slice. Raises MessageError.

    pixels: (rows, columns) or (rows, columns, components). parent_from_pixel: (4, 4), from
    (column, row, slice) to LPS mm; `axes` says how it is written on the wire. metadata needs
    version 2.
    """
    if pixels.ndim not in (2, 3):
        raise MessageError("bad image", f"{pixels.dtype} of shape {pixels.shape}")
    return pack_volume(
        name,
        pixels[np.newaxis],
        parent_from_pixel,
        timestamp_s,
        version=version,
        axes=axes,
        order=order,
        metadata=metadata,
    )


def pack_volume(
    name: str,
    voxels: NDArray[np.generic],
    parent_from_voxel: ArrayLike,
    timestamp_s: float,
    *,
    version: int = 1,
    axes: PatientAxes = PatientAxes.LPS,
    order: ByteOrder = ByteOrder.LITTLE,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """IMAGE of (slices, rows, columns) or (slices, rows, columns, components); as pack_image."""
    code = _SCALAR_OF_TYPE.get(voxels.dtype.newbyteorder("="))
    if code is None or voxels.ndim not in (3, 4) or voxels.size == 0:
        raise MessageError("bad image", f"{voxels.dtype} of shape {voxels.shape}")
    components = voxels.shape[3] if voxels.ndim == 4 else 1
    size = (voxels.shape[2], voxels.shape[1], voxels.shape[0])
    if max(size) > 0xFFFF or components > 0xFF:
        raise MessageError("image too large", f"shape {voxels.shape}")
    matrix = _image_matrix(parent_from_voxel)
    on_wire = matrix if axes is PatientAxes.LPS else _LPS_FROM_RAS @ matrix
    geometry = _GEOMETRY.pack(
        1, components, code, order, axes, *size, *_wire_numbers(on_wire, size), 0, 0, 0, *size
    )
    dtype = voxels.dtype.newbyteorder("<" if order is ByteOrder.LITTLE else ">")
    ordered = np.ascontiguousarray(voxels, dtype=dtype)
    return seal(
        "IMAGE",
        name,
        geometry + ordered.tobytes(),
        timestamp_s=timestamp_s,
        version=version,
        metadata=metadata,
    )


def decode_image(envelope: Envelope) -> list[ImageSample | Volume]:
    """One slice, or a volume. Raises MessageError on impossible sizes.

    Of a part of an image (a sub-volume) the part alone is in the message: it comes out as an
    image of its own, at its own place.
    """
    if len(envelope.content) < _GEOMETRY.size:
        raise MessageError("bad image", f"{len(envelope.content)} bytes")
    fields = _GEOMETRY.unpack_from(envelope.content)
    _, components, scalar, endian, axes = fields[:5]
    size, numbers, start, part = fields[5:8], fields[8:20], fields[20:23], fields[23:26]
    if any(s + p > whole for s, p, whole in zip(start, part, size, strict=True)):
        raise MessageError("bad image", f"part {part} at {start} of {size}")
    if axes not in (PatientAxes.RAS, PatientAxes.LPS):
        raise MessageError("bad image", f"coordinate system {axes}")
    voxels = _voxels(envelope.content[_GEOMETRY.size :], part, components, scalar, endian)
    matrix = _from_wire(numbers, size, PatientAxes(axes))
    if start != (0, 0, 0):
        moved = matrix.copy()
        moved[:3, 3] += matrix[:3, :3] @ np.array(start, dtype=np.float64)
        moved.flags.writeable = False
        matrix = moved
    header, received_s = envelope.header, envelope.received_s
    if part[2] == 1:
        pixels = voxels[0]
        return [
            ImageSample(
                header.device_name,
                pixels,
                matrix,
                header.timestamp_s,
                received_s,
                envelope.metadata,
            )
        ]
    return [
        Volume(
            header.device_name, voxels, matrix, header.timestamp_s, received_s, envelope.metadata
        )
    ]


def _voxels(
    raw: memoryview, size: tuple[int, int, int], components: int, scalar: int, endian: int
) -> NDArray[np.generic]:
    """(slices, rows, columns), with components as a fourth axis where there are several."""
    if scalar not in _SCALARS or endian not in (ByteOrder.BIG, ByteOrder.LITTLE):
        raise MessageError("bad image", f"scalar type {scalar}, byte order {endian}")
    dtype = _SCALARS[scalar].newbyteorder(">" if endian == ByteOrder.BIG else "<")
    count = size[0] * size[1] * size[2] * components
    if count == 0 or len(raw) != count * dtype.itemsize:
        raise MessageError(
            "wrong length", f"{len(raw)} bytes of pixels for {size} x {components} {dtype}"
        )
    shape: tuple[int, ...] = (size[2], size[1], size[0])
    if components > 1:
        shape = (*shape, components)
    on_wire: NDArray[np.generic] = np.frombuffer(raw, dtype).reshape(shape)
    voxels = on_wire.astype(_SCALARS[scalar], copy=False)
    voxels.flags.writeable = False
    return voxels


def _from_wire(numbers: tuple[float, ...], size: tuple[int, int, int], axes: PatientAxes) -> Matrix:
    matrix = np.eye(4)
    matrix[:3] = np.array(numbers).reshape(4, 3).T
    matrix[:3, 3] -= matrix[:3, :3] @ _centre(size)
    return _image_matrix(matrix if axes is PatientAxes.LPS else _LPS_FROM_RAS @ matrix)


def _wire_numbers(matrix: Matrix, size: tuple[int, int, int]) -> list[float]:
    centred = matrix[:3].copy()
    centred[:, 3] += matrix[:3, :3] @ _centre(size)
    with np.errstate(over="ignore"):
        numbers = centred.T.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise MessageError("image matrix not finite", "it does not fit float32")
    flat: list[float] = numbers.ravel().tolist()
    return flat


def _centre(size: tuple[int, int, int]) -> NDArray[np.float64]:
    return (np.array(size, dtype=np.float64) - 1.0) / 2.0


def _image_matrix(matrix: ArrayLike) -> Matrix:
    """Read-only copy of an affine map with three independent axes."""
    try:
        affine = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MessageError("bad image matrix", str(error)) from error
    if affine.shape != (4, 4) or tuple(affine[3].tolist()) != (0.0, 0.0, 0.0, 1.0):
        raise MessageError("bad image matrix", f"shape {affine.shape}, or last row not 0 0 0 1")
    if not np.isfinite(affine).all():
        raise MessageError("image matrix not finite")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() <= 0.0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise MessageError("bad image matrix", "its axes do not span space")
    affine.flags.writeable = False
    return affine
