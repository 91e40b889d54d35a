"""An archive over DICOMweb (PS3.18): QIDO-RS, WADO-RS, STOW-RS, by dicomweb-client."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ir_nav.archive.background import in_background
from ir_nav.archive.errors import ArchiveError, TransferCancelledError
from ir_nav.archive.incoming import IncomingSeries
from ir_nav.archive.listing import (
    SERIES_KEYS,
    STUDY_KEYS,
    by_number,
    in_order,
    limited,
    matching,
    series_record,
    study_record,
    text,
)
from ir_nav.archive.outgoing import outgoing_files
from ir_nav.archive.records import (
    Cancelled,
    FetchedSeries,
    Progress,
    SeriesRecord,
    StoreResult,
    StudyQuery,
    StudyRecord,
    never,
    silent,
)
from ir_nav.archive.settings import WebArchive
from ir_nav.archive.web_errors import web_error

CONNECT_S = 5.0
CHUNK_BYTES = 1 << 18
# Images as the archive holds them, whatever their encoding.
AS_STORED = (("application/dicom", "*"),)
# STOW-RS answers with what it stored and what it did not (PS3.18 10.5.3).
_FAILED = "00081198"

Item = TypeVar("Item")

# It logs every address at INFO and whole answers at DEBUG: those may name patients.
logging.getLogger("dicomweb_client").setLevel(logging.ERROR)


class WebClient:
    """QIDO-RS, WADO-RS and STOW-RS. See ArchiveClient for the promises."""

    def __init__(self, archive: WebArchive) -> None:
        self._archive = archive

    def echo(self, *, cancelled: Cancelled = never) -> None:
        """Search for one study: DICOMweb has no echo of its own."""
        list(self._asked(lambda web: web.search_for_studies(limit=1), cancelled))

    def find_studies(
        self, query: StudyQuery, *, cancelled: Cancelled = never
    ) -> tuple[StudyRecord, ...]:
        """QIDO-RS at study level."""
        found = self._asked(
            lambda web: web.search_for_studies(
                fields=list(STUDY_KEYS), search_filters=matching(query)
            ),
            cancelled,
        )
        return in_order(study_record(Dataset.from_json(match)) for match in limited(found))

    def find_series(
        self, study_uid: str, *, cancelled: Cancelled = never
    ) -> tuple[SeriesRecord, ...]:
        """QIDO-RS at series level."""
        found = self._asked(
            lambda web: web.search_for_series(study_uid, fields=list(SERIES_KEYS)), cancelled
        )
        return by_number(series_record(Dataset.from_json(match), study_uid) for match in found)

    def fetch(
        self,
        series: SeriesRecord,
        into: Path,
        *,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> FetchedSeries:
        """WADO-RS of a series, kept as the images come in."""
        place = (series.study_uid, series.series_uid)
        listed = self._asked(lambda web: web.search_for_instances(*place), cancelled)
        promised = [text(Dataset.from_json(match), "SOPInstanceUID") for match in listed]
        total = max(len(promised), series.instance_count or 0)
        with IncomingSeries(series, into) as incoming:
            images = self._asked(
                lambda web: map(_encoded, web.iter_series(*place, media_types=AS_STORED)),
                cancelled,
                lambda: progress(incoming.count, total),
            )
            for data in images:
                incoming.add(data)
            progress(incoming.count, total)
            return incoming.place([uid for uid in promised if uid])

    def store(
        self,
        files: Sequence[Path],
        *,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> StoreResult:
        """STOW-RS, one file a request: each is stored whole or not at all."""
        outgoing_files(files)
        refused: list[tuple[Path, str]] = []
        stored = 0
        try:
            for number, failure in enumerate(
                self._asked(lambda web: (_stored(web, path) for path in files), cancelled)
            ):
                progress(number + 1, len(files))
                if failure:
                    refused.append((files[number], failure))
                else:
                    stored += 1
        except TransferCancelledError:
            raise TransferCancelledError(_cut_short("cancelled", stored, len(files))) from None
        except ArchiveError as error:
            if not stored:
                raise
            raise ArchiveError(_cut_short(str(error), stored, len(files))) from None
        return StoreResult(stored, tuple(refused))

    def _asked(
        self,
        ask: Callable[[DICOMwebClient], Iterable[Item]],
        cancelled: Cancelled,
        pulse: Callable[[], None] = lambda: None,
    ) -> Iterator[Item]:
        archive = self._archive
        session = _session(archive)

        def work() -> Iterator[Item]:
            with session:
                web = DICOMwebClient(
                    archive.url.rstrip("/"),
                    session=session,
                    chunk_size=CHUNK_BYTES,
                    timeout=(min(CONNECT_S, archive.timeout_s), archive.timeout_s),
                )
                web.set_http_retry_params(retry=False)
                try:
                    yield from ask(web)
                except (requests.RequestException, InvalidDicomError, EOFError, OSError) as error:
                    raise web_error(archive, error) from None
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    if isinstance(error, ArchiveError):
                        raise
                    raise ArchiveError(
                        f"{archive.name} answered with something that is not DICOMweb: check its "
                        "URL, which ends before /studies"
                    ) from None

        return in_background(work, cancelled, session.cut, pulse)


class _Session(requests.Session):
    """requests, with two habits changed for archives, and a way to cut a transfer."""

    def __init__(self) -> None:
        super().__init__()
        self._newest: Any = None

    def send(self, request: requests.PreparedRequest, **named: Any) -> requests.Response:
        """Remember where the answer comes from."""
        response = super().send(request, **named)
        self._newest = response.raw
        return response

    def cut(self) -> None:
        """End a transfer that another thread waits for."""
        if self._newest is not None:
            with suppress(ValueError, RuntimeError, OSError):
                self._newest.shutdown()
        self.close()

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Send wildcards as they are, as RFC 3986 allows: Orthanc 1.10 does not decode them."""
        prepared = super().prepare_request(request)
        if prepared.url is not None:
            prepared.url = prepared.url.replace("%2A", "*").replace("%3F", "?")
        return prepared

    def merge_environment_settings(self, *arguments: Any, **named: Any) -> Any:
        """Let the archive's own CA file win over the one that the environment names."""
        settings = super().merge_environment_settings(*arguments, **named)
        if self.verify is not True:
            settings["verify"] = self.verify
        return settings


def _session(archive: WebArchive) -> _Session:
    session = _Session()
    if archive.ca_file is not None:
        if not archive.ca_file.is_file():
            raise ArchiveError(f"{archive.ca_file}: there is no such CA file: choose it again")
        session.verify = str(archive.ca_file)
    if archive.user is not None and archive.password is not None:
        session.auth = (archive.user, archive.password.get_secret_value())
    return session


def _encoded(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _stored(web: DICOMwebClient, path: Path) -> str:
    """'' when the archive took the file, or why it did not."""
    answer: Any = web.store_instances([pydicom.dcmread(path)])
    failures = answer.get(_FAILED) if isinstance(answer, Dataset) else None
    if failures is None or not failures.value:
        return ""
    reason = int(failures.value[0].get("FailureReason", 0))
    return f"was not taken (reason {reason:04X})"


def _cut_short(why: str, stored: int, total: int) -> str:
    return (
        f"{why}. {stored} of {total} images were stored whole before: storing all again does no "
        "harm"
    )
