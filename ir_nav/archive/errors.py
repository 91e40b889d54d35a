"""The one error root of the package."""

from __future__ import annotations


class ArchiveError(ValueError):
    """An archive did not do what was asked; the text says why and what to do.

    Never carries a patient's name or a password.
    """


class TransferCancelledError(ArchiveError):
    """The user stopped it; nothing half-done is left on this computer."""


class DeidentifyError(ValueError):
    """Images cannot be de-identified; the text says why and what to do."""
