"""Small files that a person hands over: read whole, up to a limit, with the fault in words."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

_WORDS = {
    "missing": "is missing: add it",
    "extra_forbidden": "is not known here: check how it is written",
    "model_type": "holds no keys and values: give the file that was meant for this",
}


def read_small(path: Path, most_bytes: int, error: type[Exception], what: str) -> bytes:
    """The file's bytes; `error` that names it when it cannot be read, or is too large for `what`.

    No more than the limit is read of a file that is too large. Pipes and devices, which may never
    end, are no files.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise error(f"{path}: is no file: save it as one first")
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as fault:
        raise error(f"{path}: cannot be read ({fault.strerror})") from None
    if len(data) > most_bytes:
        raise error(f"{path}: too large for {what}")
    return data


def json_document(path: Path, data: bytes, error: type[Exception]) -> Any:
    """What a JSON file holds, with or without a byte order mark; `error` names file and fault.

    Refused besides what is no JSON: a key given twice, of which a reader would silently take one.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_each_once)
    except UnicodeDecodeError:
        raise error(f"{path}: not a JSON file: save it as UTF-8 text") from None
    except RecursionError:
        raise error(f"{path}: not a JSON file of this kind (too many brackets)") from None
    except json.JSONDecodeError as fault:
        raise error(f"{path}: not a JSON file, or cut off ({fault})") from None
    except ValueError as fault:
        raise error(f"{path}: {fault}") from None


def first_fault(error: ValidationError) -> str:
    """'key.path: what is wrong' of a file's first fault."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "file"
    return f"{where}: {_WORDS.get(first['type'], first['msg'])}"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice!r} is given twice: keep one of them")
    return made
