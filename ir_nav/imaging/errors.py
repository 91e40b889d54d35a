"""The one error root of the package."""

from __future__ import annotations


class ImagingError(ValueError):
    """An image cannot be read or used; the text says what is wrong and what to do.

    Never carries a patient's name.
    """
