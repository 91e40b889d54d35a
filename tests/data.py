"""Where the real test data lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_path(*parts: str) -> Path:
    """A real data file under IR_NAV_TEST_DATA, e.g. data_path("ct", "chest.zip").

    Skips the test when the file is absent, and fails it when CI is "true".
    """
    path = Path(os.environ.get("IR_NAV_TEST_DATA", DEFAULT)).joinpath(*parts)
    if not path.exists():
        message = f"no real data at {path}: set IR_NAV_TEST_DATA to the data folder"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path
