"""Image archives (PACS): search, fetch and store over DIMSE and DICOMweb; de-identification."""

from ir_nav.archive.confidentiality import Keeping
from ir_nav.archive.contract import ArchiveClient
from ir_nav.archive.deidentify_files import Deidentified, deidentify_files
from ir_nav.archive.errors import ArchiveError, DeidentifyError, TransferCancelledError
from ir_nav.archive.opening import open_archive
from ir_nav.archive.outgoing import dicom_files
from ir_nav.archive.records import (
    FetchedSeries,
    SeriesRecord,
    StoreResult,
    StudyQuery,
    StudyRecord,
)
from ir_nav.archive.settings import (
    DimseArchive,
    TlsFiles,
    WebArchive,
    archive_named,
    invalid_words,
    read_archives,
    save_archives,
    settings_path,
)

__all__ = [
    "ArchiveClient",
    "ArchiveError",
    "Deidentified",
    "DeidentifyError",
    "DimseArchive",
    "FetchedSeries",
    "Keeping",
    "SeriesRecord",
    "StoreResult",
    "StudyQuery",
    "StudyRecord",
    "TlsFiles",
    "TransferCancelledError",
    "WebArchive",
    "archive_named",
    "deidentify_files",
    "dicom_files",
    "invalid_words",
    "open_archive",
    "read_archives",
    "save_archives",
    "settings_path",
]
