"""Small files that a person hands over: read whole, up to a limit, with the fault in words."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError


def read_small(path: Path, most_bytes: int, error: type[Exception], what: str) -> bytes:
    """The file's bytes; `error` that names it when it cannot be read, or is too large for `what`.

    No more than the limit is read of a file that is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as fault:
        raise error(f"{path}: cannot be read ({fault.strerror})") from None
    if len(data) > most_bytes:
        raise error(f"{path}: too large for {what}")
    return data


def first_fault(error: ValidationError) -> str:
    """'key.path: what is wrong' of a file's first fault."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "file"
    return f"{where}: {first['msg']}"
