"""Running the command line as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def ir_nav(*arguments: object, timeout_s: float = 230.0) -> subprocess.CompletedProcess[str]:
    """One command to its end, without a display."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    command = [sys.executable, "-m", "ir_nav.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
    )


def folder_of(path: Path) -> set[str]:
    return {found.name for found in path.iterdir()}
