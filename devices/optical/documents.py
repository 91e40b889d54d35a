"""Strict reading of the files people write: TOML or JSON, checked key by key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from devices.contract import DeviceError

_MAX_BYTES = 1024 * 1024
_MAX_FAULTS = 5


class Strict(BaseModel):
    """Part of a file: no unknown key, no number in quotes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Document = TypeVar("Document", bound=Strict)
Parsed = TypeVar("Parsed")


class DocumentError(DeviceError):
    """A file cannot be used; names the key and what is wrong with it."""


def read_document(path: Path, parse: Callable[[bytes, bool], Parsed]) -> Parsed:
    """Read `.toml` or `.json`. parse: from the content and whether it is TOML.

    Raises DocumentError, headed by the path.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise DocumentError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror})") from None
    if path.suffix.lower() not in (".toml", ".json"):
        raise DocumentError(f"{path}: neither .toml nor .json")
    try:
        return parse(data, path.suffix.lower() == ".toml")
    except DocumentError as error:
        raise DocumentError(f"{path}: {error}") from None


def parse_document(data: bytes, model: type[Document], toml: bool) -> Document:
    """Check the content of a file. Raises DocumentError without a path."""
    if len(data) > _MAX_BYTES:
        raise DocumentError("larger than 1 MB; this is another kind of file")
    try:
        # A date becomes a string here, and is then refused as one.
        text = json.dumps(tomllib.loads(data.decode("utf-8")), default=str) if toml else data
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not a TOML file ({error})") from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise DocumentError(_in_words(error)) from None


def _in_words(error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_url=False, include_input=False)[:_MAX_FAULTS]:
        place = ".".join(str(part) for part in fault["loc"]) or "file"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown key; correct its spelling or take it out"
        faults.append(f"{place}: {message}")
    left = error.error_count() - len(faults)
    return "; ".join(faults) + (f"; and {left} more" if left > 0 else "")
