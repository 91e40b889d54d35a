"""What is wrong with a plan, a protocol or a device file, in words."""

from __future__ import annotations

import re

from pydantic import ValidationError

from ir_nav.planning.instruments import KINDS

_UNIT = re.compile(r"_(mm|cm|m|um|in|inch|inches|pt|deg|rad|s|ms|min|minutes|w|kw)$")
_LENGTHS = ("mm", "cm", "m", "um", "in", "inch", "inches", "pt")
_ANGLES = ("deg", "rad")


class PlanError(ValueError):
    """A plan cannot be read, or does not belong to the CT at hand."""


def describe_faults(error: ValidationError) -> str:
    """Every fault as 'key.path: what is wrong', without echoing values."""
    faults = []
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(_keys(fault["loc"])) or "file"
        words = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            words += _unit_words(str(fault["loc"][-1]))
        faults.append(f"{place}: {words}")
    return "; ".join(faults)


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys as they stand in the file: without the kind, which is a choice and no key."""
    keys = [str(part) for part in place]
    if len(keys) > 1 and keys[0] in ("instrument", "device"):
        at = 1 if keys[0] == "instrument" else 2
        if len(keys) > at and keys[at] in KINDS:
            del keys[at]
    return keys


def _unit_words(key: str) -> str:
    """What to write in place of a key whose unit is not the console's."""
    found = _UNIT.search(key)
    if found is None:
        return ""
    unit, stem = found.group(1), key[: found.start()]
    if unit in _LENGTHS and unit != "mm":
        return f" (lengths are in mm: write {stem}_mm and convert the value)"
    if unit in _ANGLES and unit != "deg":
        return f" (angles are in degrees: write {stem}_deg and convert the value)"
    return ""
