"""`ir-nav room` run in this process, and Plus's own device sets."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from ir_nav.cli import main
from tests.data import data_path


@dataclass
class Done:
    code: int
    out: str
    err: str


def run(*arguments: object) -> Done:
    """In this process: the commands are many and quick."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), err.getvalue())


def plus(*name: str) -> Path:
    return data_path("plus", "config", *name)
