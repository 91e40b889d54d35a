"""Whether an image file is complete, decided before any reader may fill gaps with zeros.

ITK's readers zero-fill or warn on some truncated files, so the promised and the present number
of bytes are compared here from the formats' own headers (NIfTI-1/2, NRRD, MetaImage).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from ir_nav.imaging.errors import ImagingError

CHUNK = 1 << 22
HEADER_LIMIT = 1 << 20

# Type and place of bitpix, vox_offset, qform_code with sform_code, and srow_x to srow_z.
_NIFTI_1 = (("h", 72), ("f", 108), ("2h", 252), ("12f", 280))
_NIFTI_2 = (("h", 14), ("q", 168), ("2i", 344), ("12d", 400))


def damaged(path: Path | str, why: str) -> ImagingError:
    """The error for a file that is cut or corrupt."""
    return ImagingError(f"{Path(path).name} is truncated or damaged ({why}): copy it again")


def check_parts(path: Path) -> None:
    """Raise ImagingError when a header's separate voxel file is missing."""
    if path.name.lower().endswith((".nhdr", ".mhd")):
        fields, _ = header_fields(path)
        name = fields.get("data file", fields.get("datafile", fields.get("elementdatafile")))
        if name is not None and name.lower() not in ("local", "list") and "%" not in name:
            _require(path.parent / name, path)


def check_complete(path: Path, pixel_bytes: int) -> None:
    """Raise ImagingError unless the file holds `pixel_bytes` of image data after its header."""
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        _check_nifti(path, pixel_bytes)
    elif name.endswith((".nrrd", ".nhdr")):
        _check_nrrd(path, pixel_bytes)
    elif name.endswith((".mha", ".mhd")):
        _check_meta(path, pixel_bytes)


class NiftiHeader(NamedTuple):
    """What decides whether a NIfTI file is complete and oriented.

    voxel_offset: first byte of the voxels. voxel_bytes: bytes of one stored voxel.
    sform: rows x, y, z of ras_from_voxel, 12 numbers.
    """

    voxel_offset: int
    voxel_bytes: int
    qform_code: int
    sform_code: int
    sform: tuple[float, ...]


def nifti_header(path: Path) -> NiftiHeader:
    """Read the fields of a NIfTI-1 or NIfTI-2 header, plain or gzipped, either byte order."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            head = stream.read(540)
    except (OSError, EOFError, zlib.error):
        raise damaged(path, "its header cannot be unpacked") from None
    for order in "<>":
        size = struct.unpack_from(f"{order}i", head)[0] if len(head) >= 348 else 0
        if size == 348:
            return _nifti_fields(head, order, _NIFTI_1)
        if size == 540 and len(head) == 540:
            return _nifti_fields(head, order, _NIFTI_2)
    raise damaged(path, "it does not begin with a NIfTI header")


def _nifti_fields(head: bytes, order: str, layout: tuple[tuple[str, int], ...]) -> NiftiHeader:
    bits, offset, codes, sform = (
        struct.unpack_from(order + kinds, head, at) for kinds, at in layout
    )
    return NiftiHeader(int(offset[0]), int(bits[0]) // 8, int(codes[0]), int(codes[1]), sform)


def header_fields(path: Path) -> tuple[dict[str, str], int]:
    """The text header of a NRRD or MetaImage file, keys in lower case, and its length."""
    with path.open("rb") as stream:
        head = stream.read(HEADER_LIMIT)
    fields: dict[str, str] = {}
    at = 0
    while at < len(head):
        end = head.find(b"\n", at)
        if end < 0:
            return fields, len(head)
        line = head[at:end].decode("latin-1").strip()
        at = end + 1
        if not line and fields:
            return fields, at
        separator = "=" if path.name.lower().endswith((".mha", ".mhd")) else ":"
        key, found, value = line.partition(separator)
        if found:
            fields[key.strip().lower()] = value.lstrip("=").strip()
        if key.strip().lower() == "elementdatafile":
            return fields, at
    return fields, at


def _check_nifti(path: Path, pixel_bytes: int) -> None:
    offset = nifti_header(path).voxel_offset
    if path.name.lower().endswith(".gz"):
        _check_deflated(path, 0, offset + pixel_bytes, 31)
    else:
        _check_size(path, offset + pixel_bytes)


def _check_nrrd(path: Path, pixel_bytes: int) -> None:
    fields, header_bytes = header_fields(path)
    data_name = fields.get("data file", fields.get("datafile"))
    data = path if data_name is None else path.parent / data_name
    _require(data, path)
    start = header_bytes if data_name is None else 0
    encoding = fields.get("encoding", "raw").lower()
    if encoding in ("gzip", "gz"):
        _check_deflated(data, start, pixel_bytes, 31)
    elif encoding == "raw":
        _check_size(data, start + pixel_bytes)
    else:
        raise ImagingError(f"{path.name} uses NRRD encoding '{encoding}': save it as raw or gzip")


def _check_meta(path: Path, pixel_bytes: int) -> None:
    fields, header_bytes = header_fields(path)
    data_name = fields.get("elementdatafile")
    if data_name is None:
        raise damaged(path, "its header is cut off")
    local = data_name.lower() == "local"
    if not local and (data_name.lower() == "list" or "%" in data_name):
        raise ImagingError(f"{path.name} is spread over several files: save it as one .mha file")
    data = path if local else path.parent / data_name
    _require(data, path)
    start = header_bytes if local else 0
    if fields.get("compresseddata", "false").lower() == "true":
        _check_deflated(data, start, pixel_bytes, 47)
    else:
        _check_size(data, start + pixel_bytes)


def _require(data: Path, header: Path) -> None:
    if not data.is_file():
        raise ImagingError(
            f"{header.name} keeps its voxels in {data.name}, which is missing: copy both files"
        )


def _check_size(path: Path, expected: int) -> None:
    present = path.stat().st_size
    if present < expected:
        raise damaged(path, f"{present} of {expected} bytes are there")


def _check_deflated(path: Path, start: int, expected: int, window_bits: int) -> None:
    """Inflate the stream from byte `start` to its checksum and count what comes out."""
    inflate = zlib.decompressobj(window_bits)
    count = 0
    with path.open("rb") as stream:
        stream.seek(start)
        try:
            while not inflate.eof and (chunk := stream.read(CHUNK)):
                while chunk:
                    count += len(inflate.decompress(chunk, CHUNK))
                    chunk = inflate.unconsumed_tail
        except zlib.error:
            raise damaged(path, "its compressed data are corrupt") from None
    if not inflate.eof:
        raise damaged(path, "its compressed data end too early")
    if count < expected:
        raise damaged(path, f"{count} of {expected} bytes are there")
