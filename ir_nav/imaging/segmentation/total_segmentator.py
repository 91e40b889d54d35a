"""An installed TotalSegmentator run on the CT (Wasserthal et al. 2023, Radiology AI 5:e230024).

It is no dependency: the program is looked for on the PATH, run as its own process, and its label
map imported. Its networks and their licence are its own.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from xml.etree import ElementTree

from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import nifti_header
from ir_nav.imaging.labels import LabelMap, read_label_file
from ir_nav.imaging.segmentation.segment_files import write_image
from ir_nav.imaging.segmentation.segments import Segmentation, segmentation_of
from ir_nav.imaging.structures import structures_of
from ir_nav.imaging.volume import Volume
from ir_nav.progress import Progress

PROGRAM = "TotalSegmentator"
LOOK_S = 0.1
PATIENCE_S = 3.0
KEPT_LINES = 20
HEADER_BYTES = 348
CHUNK_BYTES = 4096
# More is no table of names.
LONGEST_HEADER = 1 << 20

_LINE_END = re.compile(rb"[\r\n]+")
_PERCENT = re.compile(r"(\d{1,3})%\|")


def total_segmentator_path() -> str | None:
    """The installed program, or None."""
    return shutil.which(PROGRAM)


def run_total_segmentator(
    volume: Volume, progress: Progress | None = None, *, fast: bool = True
) -> Segmentation:
    """Every structure that TotalSegmentator finds, as imported structures on the CT's grid.

    fast: its 3 mm network, minutes without a GPU; else 1.5 mm. `progress` is called with 0..1, of
    the part the program is at, and ends it by raising: the process and its children are stopped
    before this returns. Raises ImagingError when the program is not installed, fails, or writes
    nothing that can be used.
    """
    program = total_segmentator_path()
    if program is None:
        raise ImagingError(
            f"{PROGRAM} is not installed: `pip install {PROGRAM}` puts it on the PATH"
        )
    report = progress or (lambda _: None)
    report(0.0)
    with tempfile.TemporaryDirectory(prefix="ir-nav-") as folder:
        ct, out = Path(folder) / "ct.nii.gz", Path(folder) / "structures.nii.gz"
        write_image(ct, volume.voxels, volume.ct_from_voxel)
        command = [program, "-i", str(ct), "-o", str(out), "--ml"]
        _run([*command, "--fast"] if fast else command, report)
        return segmentation_of(structures_of(_result(out, volume)), COLOURS)


# Told apart beside each other; no alarm colour, none of the plan's or the needle's.
COLOURS = ("#9fc2a8", "#b9a0c9", "#c9b27f", "#7fa8c9", "#c99a9a", "#8fc9c1", "#c9a07f", "#a8b87f")


def _run(command: list[str], report: Progress) -> None:
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Of its own, so that the processes it starts end with it.
        start_new_session=True,
    ) as process:
        lines: Queue[str] = Queue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            tail = _follow(process, lines, report)
        except BaseException:
            _stop(process)
            raise
        finally:
            reader.join(PATIENCE_S)
    if process.returncode != 0:
        last = tail[-1] if tail else "it said nothing"
        raise ImagingError(f"{PROGRAM} failed (exit status {process.returncode}): {last}")


def _read(process: subprocess.Popen[bytes], lines: Queue[str]) -> None:
    """Lines end with a return as well: a progress bar's do."""
    assert process.stdout is not None
    rest = b""
    while chunk := process.stdout.read1(CHUNK_BYTES):  # type: ignore[attr-defined]
        *whole, rest = _LINE_END.split(rest + chunk)
        for line in whole:
            lines.put(line.decode("utf-8", "replace").strip())
    lines.put(rest.decode("utf-8", "replace").strip())


def _follow(process: subprocess.Popen[bytes], lines: Queue[str], report: Progress) -> list[str]:
    """Its last lines, once it has ended."""
    tail: list[str] = []
    fraction = 0.0
    while True:
        ended = process.poll() is not None
        try:
            while True:
                line = lines.get(timeout=LOOK_S) if not ended else lines.get(timeout=LOOK_S / 2)
                percent = _PERCENT.search(line)
                if percent is not None:
                    fraction = min(int(percent.group(1)) / 100.0, 1.0)
                elif line:
                    tail = [*tail, line][-KEPT_LINES:]
                report(fraction)
        except Empty:
            report(fraction)
        if ended:
            return tail


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started: asked first, then by force."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        until_s = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < until_s:
            time.sleep(LOOK_S / 2)
        if process.poll() is not None:
            return


def _result(out: Path, volume: Volume) -> LabelMap:
    # Some versions leave the ending out, or write uncompressed.
    candidates = (out, out.with_suffix(""), out.with_suffix("").with_suffix(".nii"))
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise ImagingError(f"{PROGRAM} ended without writing structures")
    labels = read_label_file(found, None, volume)
    return LabelMap(labels.voxels, labels.ct_from_voxel, label_names(found) or labels.names)


def label_names(path: Path) -> dict[int, str]:
    """id -> name from the Caret label table in a NIfTI header's extensions; empty without one."""
    size = nifti_header(path).voxel_offset
    if not HEADER_BYTES < size <= LONGEST_HEADER:
        return {}
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rb") as stream:
        data = stream.read(size)[HEADER_BYTES:]
    start, end = data.find(b"<CaretExtension"), data.find(b"</CaretExtension>")
    if start < 0 or end < start:
        return {}
    try:
        root = ElementTree.fromstring(data[start : end + len(b"</CaretExtension>")])
        return {
            int(item.attrib["Key"]): item.text.strip()
            for item in root.iter("Label")
            if item.text and item.text.strip()
        }
    except (ElementTree.ParseError, KeyError, ValueError):
        raise ImagingError(f"the names in {path.name} cannot be read") from None
