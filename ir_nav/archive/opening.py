"""The client that fits an archive."""

from __future__ import annotations

from ir_nav.archive.contract import ArchiveClient
from ir_nav.archive.settings import DimseArchive, WebArchive


def open_archive(archive: DimseArchive | WebArchive) -> ArchiveClient:
    """A client; nothing is connected before it is asked."""
    if isinstance(archive, WebArchive):
        from ir_nav.archive.web import WebClient

        return WebClient(archive)
    from ir_nav.archive.dimse import DimseClient

    return DimseClient(archive)
