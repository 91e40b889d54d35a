"""Opening structures, whatever file they are in: label map, DICOM SEG or RT structure set."""

from __future__ import annotations

from pathlib import Path

from ir_nav.imaging.dicom_parse import PARSE_ERRORS, code, parse_head
from ir_nav.imaging.dicom_seg import read_segmentation
from ir_nav.imaging.dicom_source import is_dicom
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import LabelMap, read_label_file
from ir_nav.imaging.rtstruct import read_structure_set
from ir_nav.imaging.structures import StructureSet, structures_of
from ir_nav.imaging.volume import Volume

HEAD_BYTES = 1 << 15


def read_labels(path: Path, names_csv: Path | None = None, like: Volume | None = None) -> LabelMap:
    """Read labels from a NIfTI, NRRD or MetaImage file, a DICOM SEG or an RT structure set.

    names_csv: table with an id column (id, label or index) and a name column (structure, name
    or label_name); when None, `<stem>_labels.csv` or `<stem>.csv` beside the file is used if
    there; DICOM files carry their names. like: put the labels on this volume's grid; DICOM
    files need it. Where structures overlap the smaller one shows: see read_structures.
    Raises ImagingError when the file or table cannot be used or does not overlap `like`.
    """
    path = Path(path)
    if not _is_dicom_file(path):
        return read_label_file(path, names_csv, like)
    if like is None:
        raise ImagingError(f"{path.name} needs the CT that it was drawn on: open the CT first")
    return read_structures(path, like).label_map()


def read_structures(path: Path, like: Volume, names_csv: Path | None = None) -> StructureSet:
    """Structures on `like`'s grid, overlapping ones kept apart; see read_labels."""
    path = Path(path)
    if not _is_dicom_file(path):
        return structures_of(read_label_file(path, names_csv, like))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImagingError(f"{path.name} cannot be read ({error.strerror})") from None
    modality = _modality(data)
    if modality == "SEG":
        return read_segmentation(path.name, data, like)
    if modality == "RTSTRUCT":
        return read_structure_set(path.name, data, like)
    raise ImagingError(
        f"{path.name} is {modality or 'a damaged DICOM file'}, not a segmentation (SEG) or "
        "structure set (RTSTRUCT)"
    )


def _modality(data: bytes) -> str:
    dataset, _ = parse_head(data[:HEAD_BYTES], ("Modality",))
    if dataset is None:
        dataset, _ = parse_head(data, ("Modality",))
    try:
        return "" if dataset is None else code(dataset, "Modality")
    except PARSE_ERRORS:
        return ""


def _is_dicom_file(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return is_dicom(stream.read(132))
