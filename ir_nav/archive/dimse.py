"""An archive over DICOM's own protocol (PS3.4 annexes A to C, PS3.7, PS3.8), by pynetdicom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom.presentation import PresentationContext, build_context

from ir_nav.archive.association import MESSAGE_ID, Line
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
from ir_nav.archive.outgoing import OutgoingFile, outgoing_files
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
from ir_nav.archive.refusals import status_words
from ir_nav.archive.retrieve import c_get, c_move
from ir_nav.archive.settings import DimseArchive
from ir_nav.archive.syntaxes import (
    FIND,
    MOST_CONTEXTS,
    UNCOMPRESSED,
    VERIFICATION,
    class_name,
    syntax_name,
)


class DimseClient:
    """C-ECHO, C-FIND, C-GET or C-MOVE, and C-STORE. See ArchiveClient for the promises."""

    def __init__(self, archive: DimseArchive) -> None:
        self._archive = archive

    def echo(self, *, cancelled: Cancelled = never) -> None:
        """C-ECHO."""
        line = Line(self._archive)

        def work() -> Iterator[None]:
            with line.associated([build_context(VERIFICATION)]) as association:
                status = association.send_c_echo(msg_id=MESSAGE_ID)
                if "Status" not in status:
                    raise line.lost()
                if status.Status != 0x0000:
                    raise ArchiveError(f"{self._archive.name} {status_words(int(status.Status))}")
                yield None

        for _ in in_background(work, cancelled, line.stop):
            pass

    def find_studies(
        self, query: StudyQuery, *, cancelled: Cancelled = never
    ) -> tuple[StudyRecord, ...]:
        """C-FIND at study level."""
        keys = _keys("STUDY", STUDY_KEYS, matching(query))
        return in_order(study_record(match) for match in limited(self._find(keys, cancelled)))

    def find_series(
        self, study_uid: str, *, cancelled: Cancelled = never
    ) -> tuple[SeriesRecord, ...]:
        """C-FIND at series level."""
        keys = _keys("SERIES", SERIES_KEYS, {"StudyInstanceUID": study_uid})
        return by_number(series_record(match, study_uid) for match in self._find(keys, cancelled))

    def fetch(
        self,
        series: SeriesRecord,
        into: Path,
        *,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> FetchedSeries:
        """C-GET, or C-MOVE to a port of ours, as the archive's settings say."""
        archive = self._archive
        images = self._images(series, cancelled)
        line = Line(archive)
        total = max(len(images), series.instance_count or 0)
        with IncomingSeries(series, into) as incoming:

            def work() -> Iterator[None]:
                if archive.retrieve == "move":
                    return c_move(line, archive, series, incoming)
                return c_get(line, archive, series, incoming, tuple(sorted(set(images.values()))))

            def pulse() -> None:
                progress(incoming.count, total)

            for _ in in_background(work, cancelled, line.stop, pulse):
                pass
            return incoming.place(tuple(images))

    def store(
        self,
        files: Sequence[Path],
        *,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> StoreResult:
        """C-STORE, in associations of as many kinds and encodings as one can carry."""
        outgoing = outgoing_files(files)
        line = Line(self._archive)
        refused: list[tuple[Path, str]] = []
        stored = 0
        try:
            for number, answer in enumerate(
                in_background(lambda: self._sent(line, outgoing), cancelled, line.stop)
            ):
                progress(number + 1, len(outgoing))
                if answer is None:
                    stored += 1
                else:
                    refused.append(answer)
        except TransferCancelledError:
            raise TransferCancelledError(_cut_short("cancelled", stored, outgoing)) from None
        except ArchiveError as error:
            if not stored:
                raise
            raise ArchiveError(_cut_short(str(error), stored, outgoing)) from None
        return StoreResult(stored, tuple(refused))

    def _find(self, keys: Dataset, cancelled: Cancelled) -> Iterator[Dataset]:
        line = Line(self._archive)
        return in_background(lambda: line.find(FIND, keys), cancelled, line.stop)

    def _images(self, series: SeriesRecord, cancelled: Cancelled) -> dict[str, str]:
        """Instance UID to SOP class UID of the series' images; empty where they are not listed."""
        asked = {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.series_uid}
        keys = _keys("IMAGE", ("SOPInstanceUID", "SOPClassUID"), asked)
        found = {
            text(match, "SOPInstanceUID"): text(match, "SOPClassUID")
            for match in self._find(keys, cancelled)
        }
        return found if all(found.values()) else {}

    def _sent(
        self, line: Line, outgoing: Sequence[OutgoingFile]
    ) -> Iterator[tuple[Path, str] | None]:
        """For each file None, or why the archive did not take it."""
        for contexts, files in _batches(outgoing):
            with line.associated(contexts) as association:
                accepted = {
                    (str(one.abstract_syntax), str(one.transfer_syntax[0]))
                    for one in association.accepted_contexts
                }
                for file in files:
                    _require_accepted(self._archive, file, accepted)
                for file in files:
                    if line.stopped:
                        return
                    status = association.send_c_store(file.path, msg_id=MESSAGE_ID)
                    if "Status" not in status:
                        raise line.lost()
                    # B000, B006, B007: stored, with remarks (PS3.4 B.2.3).
                    taken = status.Status in (0x0000, 0xB000, 0xB006, 0xB007)
                    yield None if taken else (file.path, status_words(int(status.Status)))


def _keys(level: str, wanted: Sequence[str], matched: dict[str, str]) -> Dataset:
    keys = Dataset()
    keys.SpecificCharacterSet = "ISO_IR 192"
    keys.QueryRetrieveLevel = level
    for keyword in wanted:
        setattr(keys, keyword, None)
    for keyword, value in matched.items():
        setattr(keys, keyword, value)
    return keys


def _pairs(file: OutgoingFile) -> set[tuple[str, str]]:
    """Encodings to propose for a file: its own, and for an uncompressed one the other too."""
    plain = {str(one) for one in UNCOMPRESSED}
    syntaxes = plain if file.syntax_uid in plain else {file.syntax_uid}
    return {(file.class_uid, syntax) for syntax in syntaxes}


def _batches(
    outgoing: Sequence[OutgoingFile],
) -> Iterator[tuple[list[PresentationContext], list[OutgoingFile]]]:
    pairs: set[tuple[str, str]] = set()
    files: list[OutgoingFile] = []
    for file in outgoing:
        if len(pairs | _pairs(file)) > MOST_CONTEXTS:
            yield [build_context(*pair) for pair in sorted(pairs)], files
            pairs, files = set(), []
        pairs |= _pairs(file)
        files.append(file)
    yield [build_context(*pair) for pair in sorted(pairs)], files


def _require_accepted(
    archive: DimseArchive, file: OutgoingFile, accepted: set[tuple[str, str]]
) -> None:
    if not _pairs(file) & accepted:
        raise ArchiveError(
            f"{archive.name} does not take {class_name(file.class_uid)} encoded as "
            f"{syntax_name(file.syntax_uid)} ({file.path.name}): convert the images to an "
            "uncompressed transfer syntax, or ask its administrator"
        )


def _cut_short(why: str, stored: int, outgoing: Sequence[OutgoingFile]) -> str:
    return (
        f"{why}. {stored} of {len(outgoing)} images were stored whole before: storing all again "
        "does no harm"
    )
