"""How a registration ends: a file, a table and an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.markup import escape

from ir_nav.commands.outcome import ACCEPTED, REFUSED, Row, show
from ir_nav.registration.registration import Registration
from ir_nav.registration.registration_file import registration_json, write_registration

NOTHING: Mapping[str, object] = MappingProxyType({})


def finish_registration(
    title: str,
    found: Registration,
    rows: list[Row],
    out: Path,
    further: Mapping[str, object] = NOTHING,
) -> int:
    """Write the registration's file, show rows, and return the exit code (3: refused).

    further: keys of the file that only this method has."""
    write_registration(out, registration_json(found) | dict(further))
    shown = [
        *rows,
        ("Predicted at the target, rms", f"{found.tre_mm(found.about_ct_mm):.2f} mm"),
        ("Confidence", f"{100 * found.confidence:.0f} %"),
        ("Time", f"{found.seconds:.2f} s, {found.evaluations} evaluations"),
    ]
    show(title, shown, out)
    if found.accepted:
        return ACCEPTED
    Console(soft_wrap=True).print(f"Refused: {escape(found.reason)}")
    return REFUSED
