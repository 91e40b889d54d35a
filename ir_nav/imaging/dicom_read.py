"""The voxels of one stack of DICOM images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import numpy as np

from ir_nav.imaging.dicom_header import SliceHeader
from ir_nav.imaging.dicom_parse import PARSE_ERRORS, parse_all
from ir_nav.imaging.dicom_pixels import PixelFile, StoredArray
from ir_nav.imaging.dicom_source import DicomSource
from ir_nav.imaging.dicom_suv import suv_factor
from ir_nav.imaging.dicom_values import Quantity, scaled, to_hu
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.integrity import damaged
from ir_nav.imaging.volume import Int16Array

# Unpacking, decoding and disk reads leave the GIL; more threads than this gain nothing.
THREADS = 4

MAX_VOXELS = 2**31

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[float], None]

_UNITS = {"CT": "HU", "RTDOSE": "Gy", "NM": "counts"}


def each(work: Callable[[Item], Result], items: Sequence[Item], report: Report) -> list[Result]:
    """work(item) for all, on several threads, in order; what is raised ends all of it."""
    results = []
    pool = ThreadPoolExecutor(THREADS)
    try:
        for result in pool.map(work, items):
            results.append(result)
            report(len(results) / len(items))
    finally:
        # A user who cancels must not wait for what is still queued.
        pool.shutdown(cancel_futures=True)
    return results


def read_voxels(
    source: DicomSource, ordered: Sequence[SliceHeader], report: Report
) -> tuple[Int16Array, Quantity, tuple[str, ...]]:
    """(k, j, i) int16 voxels, what they mean, and notes. Raises ImagingError."""
    pixels = Pixels(source)
    first = ordered[0]
    if len(ordered) * first.rows * first.columns > MAX_VOXELS:
        raise ImagingError(
            f"{len(ordered)} images of {first.columns} x {first.rows} are more than this console "
            "holds: export fewer slices"
        )
    if first.modality == "CT":
        voxels = np.empty((len(ordered), first.rows, first.columns), dtype=np.int16)

        def fill(index: int) -> None:
            voxels[index] = to_hu(pixels.stored(ordered[index]), ordered[index])

        each(fill, range(len(ordered)), report)
        return voxels, Quantity("HU"), ()
    stored = each(pixels.stored, ordered, report)
    unit, factor, note = _UNITS.get(first.modality, ""), 1.0, None
    if first.modality == "PT":
        dataset = parse_all(source.read(first.name))
        if dataset is None:
            raise damaged(first.name, "its DICOM header cannot be read")
        try:
            factor, unit, note = suv_factor(dataset)
        except PARSE_ERRORS:
            raise damaged(first.name, "what it says about the injected dose") from None
    voxels, scale = scaled(stored, ordered, factor)
    return voxels, Quantity(unit, scale), () if note is None else (note,)


class Pixels:
    """Stored pixels of a source's images; files of many frames are unpacked once."""

    def __init__(self, source: DicomSource) -> None:
        self._source = source
        self._files: dict[str, PixelFile] = {}
        self._lock = Lock()

    def stored(self, header: SliceHeader) -> StoredArray:
        """(rows, columns) as stored. Raises ImagingError."""
        if header.frames == 1:
            return PixelFile(self._source.read(header.name), header).stored(header)
        with self._lock:
            file = self._files.get(header.name)
            if file is None:
                file = PixelFile(self._source.read(header.name), header)
                self._files[header.name] = file
        return file.stored(header)
