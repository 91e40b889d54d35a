"""Programs of others that judge what was written and write what is read."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, package: str = "dcmtk") -> str:
    """The path of a program; skips the test without it, fails it where CI is "true"."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not there: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found
