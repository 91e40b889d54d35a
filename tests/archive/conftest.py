"""One Orthanc with three studies for all tests, and one over TLS."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from ir_nav.archive import ArchiveClient, DimseArchive, SeriesRecord, WebArchive, open_archive
from tests.archive.made import write_series
from tests.archive.orthanc import (
    PASSWORD,
    USER,
    Certificates,
    Running,
    make_certificates,
    orthanc,
    require_programs,
)

IMAGES = 12


@dataclass(frozen=True)
class Ward:
    """A filled Orthanc, the files that went in, and how to call it."""

    running: Running
    originals: tuple[Path, ...]
    series: SeriesRecord

    def dimse(self, **changes: object) -> DimseArchive:
        settings = {
            "name": "Ward",
            "host": "127.0.0.1",
            "port": self.running.dicom_port,
            "ae_title": "WARD",
            "move_port": self.running.move_port,
            "timeout_s": 10.0,
        }
        return DimseArchive.model_validate(settings | changes)

    def web(self, **changes: object) -> WebArchive:
        settings = {"name": "Web", "url": self.running.url, "timeout_s": 10.0}
        return WebArchive.model_validate(settings | changes)

    def client(self, way: str) -> ArchiveClient:
        """By C-GET, C-MOVE or DICOMweb."""
        return open_archive(self.web() if way == "web" else self.dimse(retrieve=way))


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    with orthanc(folder) as running:
        originals = write_series(folder / "a", IMAGES)
        first = pydicom.dcmread(originals[0])
        place = (first.StudyInstanceUID, first.SeriesInstanceUID)
        series = SeriesRecord(*place, "CT", 3, "Portal venous", IMAGES)
        changes = {"PatientID": "OTHER-1", "PatientName": "ACKERBAU^TIM", "Modality": "MR"}
        others = write_series(folder / "b", 2, StudyDate="20250102", **changes)
        filled = Ward(running, originals, series)
        stored = open_archive(filled.dimse()).store((*originals, *others))
        assert stored.stored == IMAGES + 2
        yield filled


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    require_programs()
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("secure")
    with orthanc(folder, certificates) as running:
        originals = write_series(folder / "a", 3)
        first = pydicom.dcmread(originals[0])
        place = (first.StudyInstanceUID, first.SeriesInstanceUID)
        filled = Ward(running, originals, SeriesRecord(*place, "CT", 3, "", 3))
        web = filled.web(user=USER, password=PASSWORD)
        assert open_archive(web).store(originals).stored == 3
        yield filled
