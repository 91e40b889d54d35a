"""C-GET and C-MOVE: images of a series on their way in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context, build_role

from ir_nav.archive.association import (
    MESSAGE_ID,
    Line,
    failed,
    impatient,
    require_model,
)
from ir_nav.archive.errors import ArchiveError
from ir_nav.archive.incoming import IncomingSeries
from ir_nav.archive.records import SeriesRecord
from ir_nav.archive.refusals import status_words
from ir_nav.archive.settings import DimseArchive
from ir_nav.archive.syntaxes import (
    COMPRESSED,
    GET,
    IMAGES,
    MOVE,
    UNCOMPRESSED,
    receiving_contexts,
)

_TAKEN, _NO_ROOM, _NOT_ASKED_FOR = 0x0000, 0xA700, 0xA900
_PENDING = (0xFF00, 0xFF01)


class Receiver:
    """Takes the images that an archive sends. `fault`: why one could not be taken."""

    def __init__(self, incoming: IncomingSeries) -> None:
        self._incoming = incoming
        self.fault: ArchiveError | None = None

    def take(self, event: evt.Event) -> int:
        """Answer one C-STORE; the status."""
        if self.fault is not None:
            return _NO_ROOM
        try:
            belongs = self._incoming.add(event.encoded_dataset())
        except ArchiveError as error:
            self.fault = error
            return _NO_ROOM
        return _TAKEN if belongs else _NOT_ASKED_FOR


def c_get(
    line: Line,
    archive: DimseArchive,
    series: SeriesRecord,
    incoming: IncomingSeries,
    classes: Sequence[str],
) -> Iterator[None]:
    """Fetch over the association itself; yields now and then. Raises ArchiveError."""
    wanted = tuple(classes) or IMAGES
    receiver = Receiver(incoming)
    with line.associated(
        [build_context(GET), *receiving_contexts(wanted)],
        model=GET,
        roles=[build_role(one, scp_role=True) for one in wanted],
        handlers=[(evt.EVT_C_STORE, receiver.take)],
    ) as association:
        require_model(association, GET, archive, "fetching with C-GET")
        _require_classes(
            archive, classes, [c.abstract_syntax for c in association.accepted_contexts]
        )
        responses = association.send_c_get(_identifier(series), GET, msg_id=MESSAGE_ID)
        yield from _followed(line, archive, responses, receiver)


def c_move(
    line: Line, archive: DimseArchive, series: SeriesRecord, incoming: IncomingSeries
) -> Iterator[None]:
    """Have the images sent to a port of ours, open for this long; yields now and then."""
    receiver = Receiver(incoming)
    with (
        _listening(archive, receiver),
        line.associated([build_context(MOVE)], model=MOVE) as association,
    ):
        require_model(association, MOVE, archive, "fetching with C-MOVE")
        responses = association.send_c_move(
            _identifier(series), archive.our_ae_title, MOVE, msg_id=MESSAGE_ID
        )
        yield from _followed(line, archive, responses, receiver)


@contextmanager
def _listening(archive: DimseArchive, receiver: Receiver) -> Iterator[None]:
    """Our storage service: it answers the archive's AE title alone, called by ours."""
    entity = AE(ae_title=archive.our_ae_title)
    entity.require_calling_aet = [archive.ae_title]
    entity.require_called_aet = True
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = archive.timeout_s
    for one in IMAGES:
        entity.add_supported_context(one, [*UNCOMPRESSED, *COMPRESSED])
    secure = None if archive.tls is None else archive.tls.server_context()
    try:
        server = entity.start_server(
            ("", archive.move_port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, receiver.take), impatient(archive)],
            ssl_context=secure,
        )
    except OSError as error:
        raise ArchiveError(
            f"port {archive.move_port} of this computer cannot be opened for C-MOVE "
            f"({error.strerror}): end the program that uses it, or choose another port"
        ) from None
    assert server is not None
    try:
        yield
    finally:
        server.shutdown()


def _followed(
    line: Line,
    archive: DimseArchive,
    responses: Iterator[tuple[Dataset, Dataset | None]],
    receiver: Receiver,
) -> Iterator[None]:
    for status, _ in responses:
        if receiver.fault is not None:
            raise receiver.fault
        if "Status" not in status:
            raise line.lost()
        if status.Status in _PENDING:
            yield
        elif status.Status != 0x0000 and archive.retrieve == "move":
            raise ArchiveError(
                f"{archive.name} {status_words(int(status.Status))} to "
                f"'{archive.our_ae_title}': have our AE title entered there with this computer's "
                f"address and port {archive.move_port}, or fetch with C-GET"
            )
        elif status.Status != 0x0000:
            raise failed(archive, status)


def _require_classes(
    archive: DimseArchive, classes: Sequence[str], accepted: Sequence[str | None]
) -> None:
    for one in classes:
        if one not in accepted:
            raise ArchiveError(
                f"{archive.name} does not send {UID(one).name} in an encoding this console "
                "takes: export the series on a disc, or ask its administrator"
            )


def _identifier(series: SeriesRecord) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "SERIES"
    keys.StudyInstanceUID = series.study_uid
    keys.SeriesInstanceUID = series.series_uid
    return keys
