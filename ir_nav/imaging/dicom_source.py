"""Where DICOM files lie: a folder, a DICOMDIR, or a zip read without unpacking it to disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ir_nav.imaging.dicom_parse import PARSE_ERRORS, items, parse_all, texts
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged

MAX_FILES = 50_000
MAX_BYTES = 8 * 1024**3

# What damaged archives raise; RuntimeError is a password asked for after all.
UNPACK_ERRORS = (zipfile.BadZipFile, RuntimeError, *PARSE_ERRORS)

_ZIP_START = b"PK\x03\x04"
_DICOM_MARK = b"DICM"


class DicomSource(Protocol):
    """A set of named files; reading is safe from several threads."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files, in a stable order."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Files that a table of contents names and that are not there."""

    def read(self, name: str, limit: int = -1) -> bytes:
        """The file's first `limit` bytes, or all; ImagingError when it cannot be read."""


class FolderSource:
    """Files of a folder and its subfolders, or of the folder alone."""

    missing: tuple[str, ...] = ()

    def __init__(self, folder: Path, *, recursive: bool) -> None:
        self._folder = folder
        self.names = tuple(sorted(_files(folder, recursive)))
        _check_caps(folder, len(self.names), 0)

    def read(self, name: str, limit: int = -1) -> bytes:
        try:
            with (self._folder / name).open("rb") as stream:
                return stream.read(limit)
        except OSError as error:
            raise ImagingError(
                f"{Path(name).name} cannot be read ({error.strerror}): check the drive"
            ) from None


class DirectorySource(FolderSource):
    """The files that a DICOMDIR names, beside it; `missing` are named and not there."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        present = {_plain(name): name for name in _files(path.parent, True)}
        named = _named_files(path)
        found = {present[_plain(name)] for name in named if _plain(name) in present}
        self.names = tuple(sorted(found))
        self.missing = tuple(name for name in named if _plain(name) not in present)
        _check_caps(path, len(self.names), 0)
        if not found:
            raise ImagingError(
                f"none of the {len(named)} files that {path.name} names is beside it: "
                "copy the whole disc"
            )


class ZipSource:
    """Files of an open zip archive."""

    missing: tuple[str, ...] = ()

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        files = [member for member in archive.infolist() if _is_wanted(member)]
        if any(member.flag_bits & 1 for member in files):
            raise ImagingError(f"{path.name} is protected by a password: unpack it first")
        _check_caps(path, len(files), sum(member.file_size for member in files))
        self.names = tuple(sorted(member.filename for member in files))

    def read(self, name: str, limit: int = -1) -> bytes:
        try:
            with self._archive.open(name) as stream:
                return stream.read(limit)
        except NotImplementedError:
            raise ImagingError(
                f"{self._path.name} uses a zip compression this console lacks: unpack it first"
            ) from None
        except UNPACK_ERRORS:
            raise damaged(self._path, f"{Path(name).name} in it cannot be unpacked") from None


def is_dicom_source(path: Path) -> bool:
    """Whether a path is a folder, a zip archive (even a cut one), or a DICOM file."""
    if path.is_dir():
        return True
    return _is_zip(path) or is_dicom(_head(path))


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head` (132 bytes or more) is DICOM part 10."""
    return head[128:132] == _DICOM_MARK


@contextmanager
def open_source(path: Path) -> Iterator[DicomSource]:
    """The source at a folder, DICOMDIR, zip or DICOM file (its folder, not searched deeper)."""
    if path.is_dir():
        yield FolderSource(path, recursive=True)
    elif _is_directory_file(path):
        yield DirectorySource(path)
    elif _is_zip(path):
        try:
            archive = zipfile.ZipFile(path)
        except UNPACK_ERRORS:
            raise damaged(path, "its table of contents is missing") from None
        with archive:
            yield ZipSource(path, archive)
    else:
        yield FolderSource(path.parent, recursive=False)


def _is_directory_file(path: Path) -> bool:
    return path.stem.upper() == "DICOMDIR" and is_dicom(_head(path))


def _named_files(path: Path) -> tuple[str, ...]:
    """Files of a DICOMDIR's records, relative to it (PS3.3 F.3.2.2)."""
    dataset = parse_all(path.read_bytes())
    try:
        records = () if dataset is None else items(dataset, "DirectoryRecordSequence")
        files = [texts(record, "ReferencedFileID") for record in records]
    except PARSE_ERRORS:
        files = []
    named = tuple("/".join(parts) for parts in files if parts)
    if not named:
        raise damaged(path, "it names no files")
    return named


def _plain(name: str) -> str:
    """Discs show names in either case, with or without a version: IMG001, img001.;1."""
    return name.replace(os.sep, "/").casefold().partition(";")[0].rstrip(".")


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" or _head(path)[:4] == _ZIP_START


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(132)


def _files(folder: Path, recursive: bool) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield os.path.relpath(Path(where) / name, folder)


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    hidden = Path(name).name.startswith(".") or "__MACOSX/" in name
    return bool(name) and not (member.is_dir() or hidden)


def _check_caps(path: Path, files: int, size: int) -> None:
    if files > MAX_FILES or size > MAX_BYTES:
        raise ImagingError(
            f"{path.name} holds {files} files, {size / 1024**3:.1f} GB unpacked; the limit is "
            f"{MAX_FILES} files and {MAX_BYTES / 1024**3:.0f} GB: choose one series"
        )
