"""Pixels of one DICOM slice as HU."""

from __future__ import annotations

import io
import tempfile
import threading
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged
from ir_nav.imaging.volume import AIR_HU, Int16Array

_UNCOMPRESSED = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.1.99": "<",
    "1.2.840.10008.1.2.2": ">",
}
_INT16 = np.iinfo(np.int16)
_gdcm_lock = threading.Lock()


def read_hu(data: bytes, header: SliceHeader) -> Int16Array:
    """(rows, columns) int16 HU of a whole DICOM file; padding becomes air.

    Raises ImagingError when the pixels are cut or their compression is not known.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=["PixelData"])
    except (InvalidDicomError, EOFError, OSError, ValueError, KeyError, NotImplementedError):
        raise damaged(header.name, "it cannot be parsed") from None
    pixel_bytes = dataset.get("PixelData")
    if not pixel_bytes:
        raise damaged(header.name, "its pixels are missing")
    order = _UNCOMPRESSED.get(header.transfer_syntax_uid)
    if order is None:
        return _limited(_decompress(data, header))
    stored = _stored(pixel_bytes, header, order)
    return _limited(_rescale(stored, header))


def _stored(pixel_bytes: bytes, header: SliceHeader, order: str) -> NDArray[np.integer]:
    width = header.bits_allocated // 8
    if width not in (1, 2, 4):
        raise ImagingError(f"{header.name} stores {header.bits_allocated} bits: export it again")
    count = header.rows * header.columns
    if len(pixel_bytes) < count * width:
        raise damaged(header.name, f"{len(pixel_bytes)} of {count * width} bytes are there")
    dtype = np.dtype(f"{order}{'i' if header.signed else 'u'}{width}")
    stored = np.frombuffer(pixel_bytes, dtype=dtype, count=count)
    stored = stored.reshape(header.rows, header.columns)
    spare = header.bits_allocated - header.bits_stored
    # The bits above the stored ones may hold old overlays: push them out, keep the sign.
    return np.asarray((stored << spare) >> spare if spare > 0 else stored)


def _rescale(stored: NDArray[np.integer], header: SliceHeader) -> NDArray[np.number]:
    slope, intercept = header.slope, header.intercept
    if slope is None or intercept is None:
        raise ImagingError(
            f"{header.name} does not say how its numbers become HU (rescale slope and intercept): "
            "export the CT again"
        )
    if slope == 1.0 and intercept.is_integer():
        return np.asarray(stored.astype(np.int32) + np.int32(intercept))
    return np.asarray(np.rint(stored * slope + intercept))


def _decompress(data: bytes, header: SliceHeader) -> NDArray[np.number]:
    """HU by GDCM, which reads files only and applies the rescale itself."""
    with tempfile.TemporaryDirectory(prefix="ir-nav-") as folder, _gdcm_lock:
        path = Path(folder) / "slice.dcm"
        path.write_bytes(data)
        try:
            values = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
        except RuntimeError:
            raise ImagingError(
                f"{header.name} is damaged or uses a compression that cannot be read "
                f"({header.transfer_syntax_uid}): export the CT uncompressed"
            ) from None
    if values.size != header.rows * header.columns:
        raise damaged(header.name, "its compressed pixels have another size")
    return np.asarray(np.rint(values.reshape(header.rows, header.columns)))


def _limited(values: NDArray[np.number]) -> Int16Array:
    limited: Int16Array = np.clip(values, AIR_HU, _INT16.max).astype(np.int16)
    return limited
