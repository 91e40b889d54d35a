"""Pixels of DICOM images as they are stored, decompressed where need be."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.dicom_parse import PARSE_ERRORS
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged

StoredArray = NDArray[np.integer[Any]]

_UNCOMPRESSED = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.1.99": "<",
    "1.2.840.10008.1.2.2": ">",
}
# These decoders leave the interpreter's lock while they work: slices decode side by side.
_JPEG: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.53": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.55": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.201": imagecodecs.htj2k_decode,
    "1.2.840.10008.1.2.4.202": imagecodecs.htj2k_decode,
    "1.2.840.10008.1.2.4.203": imagecodecs.htj2k_decode,
}
_RUN_LENGTH = "1.2.840.10008.1.2.5"
# JPEG of every kind ends so; a decoder would fill a cut picture without a word.
_END_OF_IMAGE = b"\xff\xd9"


class PixelFile:
    """The pixels of one DICOM file, decoded frame by frame; safe from several threads."""

    def __init__(self, data: bytes, header: SliceHeader) -> None:
        """header: of any of its frames. Raises ImagingError when the pixels are missing or cut."""
        self._name = header.plain_name
        self._syntax = header.transfer_syntax_uid
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=["PixelData"])
            stored = dataset.get("PixelData")
        except PARSE_ERRORS:
            raise damaged(header.name, "it cannot be parsed") from None
        if not stored:
            raise damaged(header.name, "its pixels are missing")
        self._data: bytes = stored
        self._frames = [] if self._syntax in _UNCOMPRESSED else self._unpacked(header)

    def stored(self, header: SliceHeader) -> StoredArray:
        """(rows, columns) of the header's frame, as stored, without rescaling.

        Raises ImagingError when the pixels are cut or their compression is not known.
        """
        if header.samples != 1 or header.photometric.startswith(("PALETTE", "RGB", "YBR")):
            raise ImagingError(f"{self._name} is a colour image: choose the CT series")
        order = _UNCOMPRESSED.get(self._syntax)
        if order is not None:
            return _signed(self._plain(header, order), header)
        values = self._decoded(header)
        if values.shape != (header.rows, header.columns):
            raise damaged(header.name, "its compressed pixels have another size")
        return _signed(values, header)

    def _unpacked(self, header: SliceHeader) -> list[bytes]:
        if self._syntax not in (*_JPEG, _RUN_LENGTH):
            raise ImagingError(
                f"{header.name} uses a compression that cannot be read "
                f"({UID(self._syntax).name}): export the series uncompressed"
            )
        try:
            frames = list(generate_frames(self._data, number_of_frames=header.frames))
        except PARSE_ERRORS:
            raise damaged(header.name, "its compressed pixels cannot be unpacked") from None
        if len(frames) < header.frames:
            raise damaged(header.name, f"{len(frames)} of {header.frames} frames are there")
        return frames

    def _plain(self, header: SliceHeader, order: str) -> StoredArray:
        width = header.bits_allocated // 8
        if header.bits_allocated not in (8, 16, 32):
            raise ImagingError(
                f"{header.plain_name} stores {header.bits_allocated} bits: export it again"
            )
        count = header.rows * header.columns
        start = header.frame * count * width
        present = len(self._data) - start
        if present < count * width:
            raise damaged(header.name, f"{max(present, 0)} of {count * width} bytes are there")
        dtype = np.dtype(f"{order}{'i' if header.signed else 'u'}{width}")
        values = np.frombuffer(self._data, dtype=dtype, count=count, offset=start)
        return values.reshape(header.rows, header.columns)

    def _decoded(self, header: SliceHeader) -> NDArray[Any]:
        frame = self._frames[header.frame]
        decode = _JPEG.get(self._syntax)
        if decode is not None and _END_OF_IMAGE not in frame[-16:]:
            raise damaged(header.name, "its compressed pixels end too early")
        try:
            return _run_length(frame, header) if decode is None else np.asarray(decode(frame))
        except (RuntimeError, *PARSE_ERRORS):
            raise self._unreadable(header) from None

    def _unreadable(self, header: SliceHeader) -> ImagingError:
        kind = UID(self._syntax).name
        return damaged(header.name, f"its pixels cannot be decompressed, {kind}")


def _run_length(frame: bytes, header: SliceHeader) -> NDArray[Any]:
    dtype = np.dtype(f"<u{header.bits_allocated // 8}")
    values = np.frombuffer(imagecodecs.dicomrle_decode(frame, dtype), dtype)
    return values.reshape(header.rows, header.columns)


def _signed(values: StoredArray, header: SliceHeader) -> StoredArray:
    """Only the stored bits, with their sign.

    The bits above may hold old overlays; a JPEG 2000 stream may call signed numbers unsigned
    and the other way round (PS3.5 8.2.4).
    """
    width = max(values.dtype.itemsize, header.bits_allocated // 8)
    signed = np.dtype(f"i{width}") if header.signed else np.dtype(f"u{width}")
    values = values.astype(signed, copy=False)
    spare = 8 * width - header.bits_stored
    return np.asarray((values << spare) >> spare if spare > 0 else values)
