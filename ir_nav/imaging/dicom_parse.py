"""A DICOM file's elements, read only as far as needed, and their values as plain types."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Collection, Sequence
from typing import Any

import pydicom
from pydicom import config
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

# What parsing a damaged file can raise in pydicom, none of which means anything to a user.
PARSE_ERRORS = (
    InvalidDicomError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

# Values are checked here, at the door; pydicom's own warnings would quote them, names included.
config.settings.reading_validation_mode = config.IGNORE

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")

# Everything that tells images apart lies below; vendors' large private headers lie above.
LAST_GROUP = 0x0028


def parse_head(data: bytes, keywords: Collection[str]) -> tuple[FileDataset | None, bool]:
    """Elements up to group 0028, and whether the parser came past them.

    None when `data` is no DICOM file, or is cut within an element.
    """
    passed = False

    def past(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal passed
        passed = tag.group > LAST_GROUP
        return passed

    stream = io.BytesIO(data)
    try:
        dataset = read_partial(stream, stop_when=past, specific_tags=_tags(keywords))
    except PARSE_ERRORS:
        return None, False
    return dataset, passed


def parse_all(data: bytes, keywords: Collection[str] | None = None) -> FileDataset | None:
    """All elements before the pixels, or those named; None when it is no DICOM file."""
    try:
        return pydicom.dcmread(
            io.BytesIO(data),
            stop_before_pixels=True,
            specific_tags=None if keywords is None else list(keywords),
        )
    except PARSE_ERRORS:
        return None


def _tags(keywords: Collection[str]) -> list[BaseTag | int]:
    return [Tag(keyword) for keyword in keywords]


def text(dataset: Dataset, keyword: str) -> str:
    """The value as text without blanks at its ends; '' when it is absent."""
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def code(dataset: Dataset, keyword: str) -> str:
    """A value of VR CS (PS3.5 6.2), as errors may quote it; '' when it is absent or none: in a
    damaged file it may have swallowed the elements behind it, the patient's name with them."""
    value = text(dataset, keyword)
    return value if _CODE.fullmatch(value) else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an element as text; () when it is absent."""
    value: Any = dataset.get(keyword)
    if value is None or value == "":
        return ()
    many = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return tuple(str(one).strip() for one in many)


def number(dataset: Dataset, keyword: str) -> float | None:
    """The value as a number; None when it is absent."""
    value: Any = dataset.get(keyword)
    if value is None or value == "" or (isinstance(value, Sequence) and not len(value)):
        return None
    return float(value)


def whole(dataset: Dataset, keyword: str) -> int | None:
    """The value as a whole number; None when it is absent."""
    value = number(dataset, keyword)
    return None if value is None else int(value)


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """`count` values as numbers; None when they are absent or not so many."""
    value: Any = dataset.get(keyword)
    if value is None or isinstance(value, str | float | int) or len(value) != count:
        return None
    return tuple(float(one) for one in value)


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; () when it is absent."""
    value: Any = dataset.get(keyword)
    return () if value is None else tuple(value)


def item(dataset: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; an empty one when it is absent."""
    found = items(dataset, keyword)
    return found[0] if found else Dataset()


def iso_date(digits: str) -> str:
    """'20240531' -> '2024-05-31'; other text as it stands."""
    if len(digits) != 8 or not digits.isdigit():
        return digits
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
