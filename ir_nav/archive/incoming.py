"""A series on its way in: kept aside until it is whole."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError

from ir_nav.archive.errors import ArchiveError
from ir_nav.archive.records import FetchedSeries, SeriesRecord

# PS3.5 9.1. A name from the network becomes the name of a file only when it is one.
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
UID_LENGTH = 64


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM unique identifier."""
    return len(text) <= UID_LENGTH and _UID.fullmatch(text) is not None


class IncomingSeries:
    """A hidden folder beside the place of the series. Leaving without `place` removes it.

    Safe to be filled from another thread: what comes after the end is refused.
    """

    def __init__(self, series: SeriesRecord, into: Path) -> None:
        if not is_uid(series.series_uid):
            raise ArchiveError(f"'{series.series_uid}' is no series identifier of DICOM")
        self._series = series
        self._into = into
        self._lock = Lock()
        self._folder: Path | None = None
        self._uids: set[str] = set()

    def __enter__(self) -> IncomingSeries:
        try:
            self._into.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=self._into))
        except OSError as error:
            raise _unwritable(self._into, error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def count(self) -> int:
        """How many images are there by now."""
        return len(self._uids)

    def add(self, data: bytes) -> bool:
        """Check and keep one DICOM file; whether it belongs to the series.

        Raises ArchiveError for an image that is damaged and when it cannot be written.
        """
        dataset = _read(data)
        if str(dataset.get("SeriesInstanceUID", "")) != self._series.series_uid:
            return False
        uid = str(dataset.get("SOPInstanceUID", ""))
        if not is_uid(uid):
            raise ArchiveError("the archive sent an image without a proper identifier")
        _check_pixels(dataset)
        with self._lock:
            if self._folder is None:
                return False
            try:
                (self._folder / f"{uid}.dcm").write_bytes(data)
            except OSError as error:
                raise _unwritable(self._into, error) from None
            self._uids.add(uid)
        return True

    def place(self, promised: Sequence[str]) -> FetchedSeries:
        """Move the series into its place; an older copy there is replaced.

        promised: identifiers of the images that must be there; empty where the archive did not
        list them, then the series' count must be right. Raises ArchiveError when not all came.
        """
        missing = len(set(promised) - self._uids)
        total = max(len(promised), self._series.instance_count or 0)
        if missing or self.count < total or self.count == 0:
            raise ArchiveError(
                f"the archive sent {self.count} of {total or 'an unknown number of'} images of the "
                "series: nothing was kept. Fetch it again; ask the archive's administrator when "
                "it stays so"
            )
        target = self._into / self._series.series_uid
        with self._lock:
            if self._folder is None:
                raise ArchiveError("the series was given up before it was whole")
            try:
                _swap(self._folder, target)
            except OSError as error:
                raise _unwritable(self._into, error) from None
            self._folder = None
        return FetchedSeries(target, self._series.series_uid, self.count)


def _swap(folder: Path, target: Path) -> None:
    folder.chmod(0o755)
    if not target.exists():
        folder.replace(target)
        return
    old = Path(tempfile.mkdtemp(prefix=".partial-old-", dir=target.parent))
    os.replace(target, old / "series")
    try:
        folder.replace(target)
    except OSError:
        os.replace(old / "series", target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _read(data: bytes) -> FileDataset:
    try:
        return pydicom.dcmread(io.BytesIO(data))
    except (InvalidDicomError, EOFError, OSError, ValueError, KeyError, AttributeError):
        raise ArchiveError(
            "the archive sent an image that cannot be read: nothing was kept. Fetch it again"
        ) from None


def _check_pixels(dataset: FileDataset) -> None:
    """Refuse an uncompressed image whose pixels are cut; readers would fill them up."""
    pixels = dataset.get("PixelData")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if pixels is None or syntax is None or syntax.is_encapsulated:
        return
    try:
        bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated)
        bits *= int(dataset.get("SamplesPerPixel", 1)) * int(dataset.get("NumberOfFrames", 1) or 1)
    except (AttributeError, TypeError, ValueError):
        raise ArchiveError("the archive sent an image whose size cannot be read") from None
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    if len(pixels) < (bits + 7) // 8:
        raise ArchiveError(
            "the archive sent an image with cut pixels: nothing was kept. Fetch it again"
        )


def _unwritable(into: Path, error: OSError) -> ArchiveError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ArchiveError(f"the disk of {into} is full: nothing was kept. Make room, fetch again")
    return ArchiveError(f"{into} cannot be written to ({error.strerror}): choose another folder")
