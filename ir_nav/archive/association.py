"""One association with an archive at a time, which another thread may stop."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from ir_nav.archive.errors import ArchiveError
from ir_nav.archive.refusals import not_associated, status_words, unreachable
from ir_nav.archive.settings import DimseArchive

CONNECT_S = 5.0
# How long an archive may take to answer a C-CANCEL before the connection is cut.
CANCEL_S = 0.3
MESSAGE_ID = 1

# What it logs is said by our errors; below that it would write out requests, with names.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


class Line:
    """Opens associations to `archive`. `stop` may come from another thread at any time."""

    def __init__(self, archive: DimseArchive) -> None:
        self._archive = archive
        self._lock = Lock()
        self._association: Association | None = None
        self._model: str | None = None
        self._stopped = False

    @contextmanager
    def associated(
        self,
        contexts: Sequence[PresentationContext],
        *,
        model: str | None = None,
        roles: Sequence[Any] = (),
        handlers: Sequence[evt.EventHandlerType] = (),
    ) -> Iterator[Association]:
        """An established association, released in the end and aborted after an error.

        model: SOP class whose request a C-CANCEL would end. Raises ArchiveError with the reason
        when the archive cannot be reached or refuses.
        """
        archive = self._archive
        association = _requested(archive, contexts, roles, handlers)
        with self._lock:
            self._association, self._model = association, model
            stopped = self._stopped
        if stopped:
            association.abort()
        if not association.is_established:
            raise not_associated(archive, association)
        try:
            yield association
            association.release()
        finally:
            with self._lock:
                self._association = None
            if association.is_established:
                association.abort()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called: work that can end by itself should."""
        return self._stopped

    def stop(self) -> None:
        """Ask the archive to stop (C-CANCEL), then cut the connection."""
        with self._lock:
            self._stopped = True
            association, model = self._association, self._model
        if association is None:
            return
        if model is not None and association.is_established:
            with suppress(RuntimeError, ValueError):
                association.send_c_cancel(MESSAGE_ID, query_model=model)
        association.join(CANCEL_S)
        if not association.is_alive():
            return
        # It waits for the archive to close the connection, which may have stalled.
        cut = Thread(target=association.abort, name="archive-abort", daemon=True)
        cut.start()
        cut.join(CANCEL_S)

    def lost(self) -> ArchiveError:
        """The error for an archive that went away in the middle."""
        return ArchiveError(
            f"{self._archive.name} dropped the connection or did not answer for "
            f"{self._archive.timeout_s:.0f} s: nothing half-done was kept. Try again"
        )

    def find(self, model: str, keys: Dataset) -> Iterator[Dataset]:
        """The matches of a C-FIND. Raises ArchiveError."""
        with self.associated([build_context(model)], model=model) as association:
            require_model(association, model, self._archive, "search (C-FIND)")
            for status, match in association.send_c_find(keys, model, msg_id=MESSAGE_ID):
                if "Status" not in status:
                    raise self.lost()
                if status.Status in (0xFF00, 0xFF01) and match is not None:
                    yield match
                elif status.Status != 0x0000:
                    raise failed(self._archive, status)


def require_model(association: Association, model: str, archive: DimseArchive, what: str) -> None:
    """Raise ArchiveError unless the archive accepted the service."""
    if not any(one.abstract_syntax == model for one in association.accepted_contexts):
        raise ArchiveError(
            f"{archive.name} does not offer {what}: ask its administrator to allow it to "
            f"'{archive.our_ae_title}'"
        )


def failed(archive: DimseArchive, status: Dataset) -> ArchiveError:
    """The error for a status that ends a request."""
    return ArchiveError(f"{archive.name} {status_words(int(status.Status))}")


def impatient(archive: DimseArchive) -> evt.EventHandlerType:
    """A handler that limits how long a connection may stay silent in the middle of a message.

    pynetdicom's own limits hold between messages only.
    """

    def limit(event: evt.Event) -> None:
        connection = event.assoc.dul.socket
        if connection is not None and connection.socket is not None:
            connection.socket.settimeout(archive.timeout_s)

    return (evt.EVT_CONN_OPEN, limit)


def _requested(
    archive: DimseArchive,
    contexts: Sequence[PresentationContext],
    roles: Sequence[Any],
    handlers: Sequence[evt.EventHandlerType],
) -> Association:
    try:
        return _entity(archive).associate(
            archive.host,
            archive.port,
            contexts=list(contexts),
            ae_title=archive.ae_title,
            ext_neg=list(roles),
            evt_handlers=[*handlers, impatient(archive)],
            tls_args=None if archive.tls is None else (archive.tls.client_context(), archive.host),
        )
    except OSError:
        raise unreachable(archive) from None


def _entity(archive: DimseArchive) -> AE:
    entity = AE(ae_title=archive.our_ae_title)
    entity.connection_timeout = min(CONNECT_S, archive.timeout_s)
    entity.acse_timeout = archive.timeout_s
    entity.dimse_timeout = archive.timeout_s
    entity.network_timeout = archive.timeout_s
    return entity
