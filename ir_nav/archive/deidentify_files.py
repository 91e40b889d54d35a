"""Whole files and folders de-identified into a folder of their own."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError

from ir_nav.archive.confidentiality import Keeping
from ir_nav.archive.deidentify import Deidentifier, pixel_risk, unfit_reason
from ir_nav.archive.errors import DeidentifyError, TransferCancelledError
from ir_nav.archive.records import Cancelled, Progress, never, silent

_UNREADABLE = (
    InvalidDicomError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What was written. folders: one for each series. left_out: files with their reasons."""

    folders: tuple[Path, ...]
    written: int
    left_out: tuple[tuple[Path, str], ...]


def deidentify_files(
    files: Sequence[Path],
    out: Path,
    keeping: Keeping,
    *,
    pixels_checked: bool = False,
    progress: Progress = silent,
    cancelled: Cancelled = never,
) -> Deidentified:
    """De-identify files as one set; originals stay as they are.

    pixels_checked: a person has looked at the pictures that may show names and vouches for them.
    Names of files come from the new identifiers. Raises DeidentifyError, and then nothing is
    written: for no file, pictures that nobody checked, or a folder that cannot be written to;
    TransferCancelledError.
    """
    if not files:
        raise DeidentifyError("there is no DICOM file to de-identify: choose a folder with some")
    fit, left_out = _sorted_out(files, pixels_checked)
    deidentifier = Deidentifier(secrets.token_bytes(32), keeping)
    try:
        out.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
    except OSError as error:
        raise _unwritable(out, error) from None
    try:
        written = 0
        for number, path in enumerate(fit):
            if cancelled():
                raise TransferCancelledError("cancelled: nothing was written")
            progress(number, len(fit))
            reason = _write(path, part, deidentifier)
            if reason is None:
                written += 1
            else:
                left_out.append((path, reason))
        folders = _place(part, out)
    except OSError as error:
        raise _unwritable(out, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    progress(len(fit), len(fit))
    return Deidentified(folders, written, tuple(left_out))


def _sorted_out(
    files: Sequence[Path], pixels_checked: bool
) -> tuple[list[Path], list[tuple[Path, str]]]:
    fit: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    risky: list[tuple[Path, str]] = []
    for path in files:
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            reason, risk = unfit_reason(dataset), pixel_risk(dataset)
        except _UNREADABLE:
            left_out.append((path, "no readable DICOM file"))
            continue
        if reason is not None:
            left_out.append((path, reason))
            continue
        if risk is not None:
            risky.append((path, risk))
        fit.append(path)
    if risky and not pixels_checked:
        first, why = risky[0]
        raise DeidentifyError(
            f"{len(risky)} of {len(files)} pictures may show who the patient is, the first "
            f"{first.name} ({why}): nothing was written. Look at them, remove those with names, "
            "then confirm that the pictures are checked"
        )
    return fit, left_out


def _write(path: Path, part: Path, deidentifier: Deidentifier) -> str | None:
    """None, or why the file was left out."""
    try:
        dataset = pydicom.dcmread(path)
        deidentifier.apply(dataset)
        name = f"{dataset.SOPInstanceUID}.dcm"
        folder = part / str(dataset.SeriesInstanceUID)
    except DeidentifyError as error:
        return str(error)
    except _UNREADABLE:
        return "its header cannot be read to the end"
    folder.mkdir(exist_ok=True)
    return _saved(dataset, folder / name)


def _saved(dataset: FileDataset, target: Path) -> str | None:
    try:
        dataset.save_as(target, enforce_file_format=True)
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
        target.unlink(missing_ok=True)
        return "its header holds values that cannot be written again"
    return None


def _place(part: Path, out: Path) -> tuple[Path, ...]:
    folders = []
    for folder in sorted(part.iterdir()):
        if any(folder.iterdir()):
            folder.replace(out / folder.name)
            folders.append(out / folder.name)
    return tuple(folders)


def _unwritable(out: Path, error: OSError) -> DeidentifyError:
    return DeidentifyError(
        f"{out} cannot be written to ({error.strerror}): make room or choose another folder"
    )
