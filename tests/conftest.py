"""Makes `from tests.data import data_path` work however pytest is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Folders in the order in which they are run, the others first: what is compiled on first use comes
# before what waits for it in real time, and the longest files before the many short ones, so that
# no process is left alone with them at the end.
LATE = ("session", "end_to_end", "review", "gui")

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by LATE; the order within a folder stays."""
    items.sort(key=lambda item: LATE.index(part) + 1 if (part := _folder(item)) in LATE else 0)


def _folder(item: pytest.Item) -> str:
    return item.path.parent.name
