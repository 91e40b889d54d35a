"""IMAGE: pixels with their place in the sender's frame.

Layout: protocol v3 image page; 72 bytes of geometry, then the pixels, column index fastest. The
matrix's fourth column is the centre of the image. The C++ library passes it on untouched; 3D
Slicer (OpenIGTLinkIO) and pyigtl both read "centre" as pixel index (size - 1) / 2, and so do we.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.contract import ImageSample
from devices.openigtlink.envelope import Envelope, seal
from devices.openigtlink.header import MessageError


class PatientAxes(IntEnum):
    """The byte that names the axes of the image matrix."""

    RAS = 1
    LPS = 2


_GEOMETRY = struct.Struct(">HBBBB3H12f6H")
_BIG, _LITTLE = 1, 2
_SCALARS: dict[int, np.dtype[Any]] = {
    2: np.dtype(np.int8),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int16),
    5: np.dtype(np.uint16),
    6: np.dtype(np.int32),
    7: np.dtype(np.uint32),
    10: np.dtype(np.float32),
    11: np.dtype(np.float64),
}
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
) -> bytes:
    """IMAGE of one slice. Raises MessageError.

    pixels: (rows, columns) or (rows, columns, components). parent_from_pixel: (4, 4), from
    (column, row, slice) to LPS mm; `axes` says how it is written on the wire.
    """
    code = _SCALAR_OF_TYPE.get(pixels.dtype.newbyteorder("="))
    if code is None or pixels.ndim not in (2, 3) or pixels.size == 0:
        raise MessageError("bad image", f"{pixels.dtype} of shape {pixels.shape}")
    components = pixels.shape[2] if pixels.ndim == 3 else 1
    size = (pixels.shape[1], pixels.shape[0], 1)
    if max(size) > 0xFFFF or components > 0xFF:
        raise MessageError("image too large", f"shape {pixels.shape}")
    matrix = _image_matrix(parent_from_pixel)
    on_wire = matrix if axes is PatientAxes.LPS else _LPS_FROM_RAS @ matrix
    geometry = _GEOMETRY.pack(
        1, components, code, _LITTLE, axes, *size, *_wire_numbers(on_wire, size), 0, 0, 0, *size
    )
    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    return seal(
        "IMAGE", name, geometry + little.tobytes(), timestamp_s=timestamp_s, version=version
    )


def decode_image(envelope: Envelope) -> list[ImageSample]:
    """One slice. Raises MessageError on volumes, parts of images and impossible sizes."""
    if len(envelope.content) < _GEOMETRY.size:
        raise MessageError("bad image", f"{len(envelope.content)} bytes")
    fields = _GEOMETRY.unpack_from(envelope.content)
    _, components, scalar, endian, axes = fields[:5]
    size, numbers, start, part = fields[5:8], fields[8:20], fields[20:23], fields[23:26]
    if start != (0, 0, 0) or part != size:
        raise MessageError("part of an image", f"{part} of {size}; whole images are read")
    if size[2] != 1:
        raise MessageError("image is a volume", f"{size[2]} slices; one is read")
    if axes not in (PatientAxes.RAS, PatientAxes.LPS):
        raise MessageError("bad image", f"coordinate system {axes}")
    pixels = _pixels(envelope.content[_GEOMETRY.size :], size, components, scalar, endian)
    sample = ImageSample(
        name=envelope.header.device_name,
        pixels=pixels,
        parent_from_pixel=_from_wire(numbers, size, PatientAxes(axes)),
        source_s=envelope.header.timestamp_s,
        received_s=envelope.received_s,
    )
    return [sample]


def _pixels(
    raw: memoryview, size: tuple[int, int, int], components: int, scalar: int, endian: int
) -> NDArray[np.generic]:
    if scalar not in _SCALARS or endian not in (_BIG, _LITTLE):
        raise MessageError("bad image", f"scalar type {scalar}, byte order {endian}")
    dtype = _SCALARS[scalar].newbyteorder(">" if endian == _BIG else "<")
    count = size[0] * size[1] * components
    if count == 0 or len(raw) != count * dtype.itemsize:
        raise MessageError(
            "wrong length", f"{len(raw)} bytes of pixels for {size} x {components} {dtype}"
        )
    shape = (size[1], size[0]) if components == 1 else (size[1], size[0], components)
    on_wire: NDArray[np.generic] = np.frombuffer(raw, dtype).reshape(shape)
    pixels = on_wire.astype(_SCALARS[scalar], copy=False)
    pixels.flags.writeable = False
    return pixels


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
