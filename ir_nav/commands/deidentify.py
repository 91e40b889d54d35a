"""`ir-nav deidentify`: images without the patient's identity (DICOM PS3.15 annex E).

Exit status: 0 done; 1 an error, said on stderr, and nothing was written; 3 some files were left
out, named on stderr; 130 cancelled with Ctrl-C, nothing was written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ir_nav.archive import Keeping, deidentify_files, dicom_files
from ir_nav.commands.pacs import DONE, NOT_ALL, reporting


def add_deidentify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "deidentify",
        help="copy DICOM images without the patient's identity",
        epilog=(__doc__ or "").partition("\n\n")[2].strip(),
    )
    add = command.add_argument
    add("paths", type=Path, nargs="+", metavar="IN", help="DICOM files and folders: one set")
    add("--out", type=Path, required=True, metavar="DIR")
    add("--keep-dates", action="store_true", help="keep intervals: every date is moved back alike")
    add("--keep-device", action="store_true", help="keep what identifies the scanner")
    add(
        "--pixels-checked",
        action="store_true",
        help="somebody looked at the pictures: no name is burned in",
    )
    command.set_defaults(run=_deidentify)


def _deidentify(options: argparse.Namespace) -> int:
    with reporting("De-identifying") as progress:
        done = deidentify_files(
            dicom_files(options.paths),
            options.out,
            Keeping(dates=options.keep_dates, device=options.keep_device),
            pixels_checked=options.pixels_checked,
            progress=progress,
        )
    lines = Console(soft_wrap=True)
    lines.print(f"{done.written} images in {len(done.folders)} series, {escape(str(options.out))}")
    for path, reason in done.left_out:
        sys.stderr.write(f"ir-nav: {path.name} was left out: {reason}\n")
    return NOT_ALL if done.left_out else DONE
