"""Files on their way to an archive: checked before the first is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from ir_nav.archive.errors import ArchiveError


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """What must be agreed on before a file can be sent. UIDs as text."""

    path: Path
    class_uid: str
    instance_uid: str
    syntax_uid: str


def outgoing_files(paths: Sequence[Path]) -> tuple[OutgoingFile, ...]:
    """The headers of DICOM files. Raises ArchiveError for none, and for any that is not DICOM."""
    if not paths:
        raise ArchiveError("there is no DICOM file to store: choose a folder that holds some")
    return tuple(_outgoing(path) for path in paths)


def _outgoing(path: Path) -> OutgoingFile:
    try:
        dataset = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        return OutgoingFile(path, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), syntax)
    except OSError as error:
        raise ArchiveError(f"{path.name} cannot be read ({error.strerror})") from None
    except (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError):
        raise ArchiveError(
            f"{path.name} is no complete DICOM file: leave it out, or copy it again"
        ) from None


def dicom_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Files as given, and of every folder the DICOM files in it, in the order of their names.

    Raises ArchiveError for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.is_file())
            found += [one for one in inside if _is_dicom(one)]
        elif path.exists():
            found.append(path)
        else:
            raise ArchiveError(f"{path}: there is no such file or folder")
    return tuple(found)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
