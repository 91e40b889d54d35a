"""How a calibration ends: a file, a table and an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ir_nav import RESEARCH_LABEL
from ir_nav.tracking.calibration.calibration_file import write_calibration
from ir_nav.tracking.calibration.result import ErrorStatistics

ACCEPTED, REFUSED = 0, 3
Row = tuple[str, str]


def finish(title: str, rows: Iterable[Row], data: dict[str, Any], out: Path) -> int:
    """Write data, which says "accepted" and "reason", show rows, and return the exit code."""
    write_calibration(out, data)
    show(title, rows, out)
    if data["accepted"]:
        return ACCEPTED
    Console(soft_wrap=True).print(f"Refused: {escape(str(data['reason']))}")
    return REFUSED


def show(title: str, rows: Iterable[Row], out: Path | None = None) -> None:
    """A table, where it was written to, and the research label."""
    table = Table(title=escape(title))
    table.add_column("Quantity")
    table.add_column("Value", justify="right")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    Console().print(table)
    # On lines of their own: a table would break them to its width.
    lines = Console(soft_wrap=True)
    if out is not None:
        lines.print(f"Written to {escape(str(out))}")
    lines.print(RESEARCH_LABEL)


def error_rows(what: str, error: ErrorStatistics | None, unit: str) -> list[Row]:
    """Each statistic by its name."""
    if error is None:
        return [(what, "not known")]
    scale, shown = (1e3, "ms") if unit == "s" else (1.0, unit)
    named = {
        "mean": error.mean,
        "RMS": error.rms,
        "largest": error.max,
        "best 95 %, mean": error.mean_best_95,
    }
    return [(f"{what}, {name}", f"{scale * value:.3f} {shown}") for name, value in named.items()]
