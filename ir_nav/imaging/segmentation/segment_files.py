"""Structures kept in files: a NIfTI label map and a table of names.

A label map holds one structure per voxel. Where structures overlap, further layers are written
beside it: `liver.nii.gz`, `liver_layer2.nii.gz` ... and `liver_labels.csv`, whose columns are id,
structure, colour, origin, layer. Any program reads the first layer with its names; this one reads
all of them and gets back exactly what was written.
"""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.labels import SAME_GRID_MM, canonical, read_label_file
from ir_nav.imaging.segmentation.segments import (
    HIGHEST_NUMBER,
    SKIN,
    Origin,
    Segment,
    Segmentation,
    trimmed,
)
from ir_nav.imaging.structures import Structure
from ir_nav.imaging.volume import BoolArray, Volume, spacing_of
from ir_nav.whole_file import write_whole

COLUMNS = ("id", "structure", "colour", "origin", "layer")
ENDING = ".nii.gz"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    name: str
    colour: str
    origin: Origin
    layer: int


def write_segments(path: Path, segmentation: Segmentation) -> tuple[Path, ...]:
    """Write `path` (.nii.gz), further layers and the names table; the files, the table last.

    Each file is whole or not there. Raises ImagingError when there is nothing to write or the
    place cannot be written to.
    """
    path = Path(path)
    if not path.name.endswith(ENDING):
        raise ImagingError(f"{path.name}: structures are saved as {ENDING}")
    if not segmentation.segments:
        raise ImagingError("there is no structure to save")
    if segmentation.free_number() > HIGHEST_NUMBER:
        raise ImagingError("there are too many structures for a label map")
    layers = _layered(segmentation)
    written = []
    for number, layer in enumerate(layers, start=1):
        file = _layer_path(path, number)
        write_image(file, _painted(segmentation, layer), segmentation.ct_from_voxel)
        written.append(file)
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    placed = {item.number: n for n, layer in enumerate(layers, start=1) for item in layer}
    for item in segmentation.segments:
        rows.writerow((item.number, item.name, item.colour, item.origin.value, placed[item.number]))
    names = _table_path(path)
    _replace(names, table.getvalue().encode("utf-8"))
    return (*written, names)


def read_segments(path: Path, volume: Volume) -> Segmentation:
    """What write_segments wrote, for the CT it belongs to; ImagingError says what is wrong."""
    path = Path(path)
    rows = _rows(_table_path(path))
    k, j, i = volume.voxels.shape
    layers = [
        _on_grid(_layer_path(path, number), volume)
        for number in range(1, 1 + max((row.layer for row in rows), default=0))
    ]
    segments = []
    for row in rows:
        corner, part = trimmed((0, 0, 0), layers[row.layer - 1] == row.number)
        structure = Structure(row.number, row.name, part.copy(), corner)
        segments.append(Segment(structure, row.colour, row.origin))
    return Segmentation((k, j, i), volume.ct_from_voxel, tuple(segments))


def has_segments(path: Path) -> bool:
    """Whether a file and its table look like what write_segments wrote."""
    try:
        with _table_path(Path(path)).open(newline="", encoding="utf-8-sig") as stream:
            return tuple(next(csv.reader(stream), ())) == COLUMNS
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def write_image(path: Path, voxels: NDArray[np.generic], ct_from_voxel: FloatArray) -> None:
    """Voxels (k, j, i) as NIfTI, compressed, whole or not at all."""
    image = sitk.GetImageFromArray(voxels)
    spacing = np.array(spacing_of(ct_from_voxel))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ct_from_voxel[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(ct_from_voxel[:3, 3].tolist())
    part = path.with_name(f".part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Level 1: masks shrink as well by it, in a fraction of the time.
        sitk.WriteImage(image, str(part), True, 1)
        part.replace(path)
    except (OSError, RuntimeError):
        with suppress(OSError):
            part.unlink()
        raise ImagingError(
            f"{path}: cannot be written: is the folder there, the disk full?"
        ) from None


def _layered(segmentation: Segmentation) -> list[list[Segment]]:
    """Segments in as few layers without overlap as taking them in turn gives; the skin last."""
    ordered = sorted(segmentation.segments, key=lambda item: canonical(item.name) == SKIN)
    layers: list[list[Segment]] = []
    taken: list[BoolArray] = []
    for item in ordered:
        box, part = item.structure.box, item.structure.part
        at = next((n for n, mask in enumerate(taken) if not (mask[box] & part).any()), len(layers))
        if at == len(layers):
            layers.append([])
            taken.append(np.zeros(segmentation.shape_kji, np.bool_))
        layers[at].append(item)
        taken[at][box] |= part
    return layers


def _painted(segmentation: Segmentation, layer: list[Segment]) -> NDArray[np.generic]:
    wide = max(item.number for item in layer) > np.iinfo(np.uint8).max
    voxels = np.zeros(segmentation.shape_kji, np.uint16 if wide else np.uint8)
    for item in layer:
        voxels[item.structure.box][item.structure.part] = item.number
    return voxels


def _on_grid(path: Path, volume: Volume) -> NDArray[np.generic]:
    labels = read_label_file(path)
    if labels.voxels.shape == volume.voxels.shape:
        shift_mm = np.abs(labels.ct_from_voxel - volume.ct_from_voxel) @ (*volume.size_ijk, 1)
        if shift_mm.max() < SAME_GRID_MM:
            return labels.voxels
    raise ImagingError(f"{path.name} was saved on another CT: open that CT, or import it as labels")


def _rows(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise ImagingError(f"the names table {path.name} cannot be read as CSV") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ImagingError(f"the names table {path.name} needs the columns {', '.join(COLUMNS)}")
    found = [_row(row, path) for row in rows[1:]]
    numbers = [row.number for row in found]
    if len(set(numbers)) < len(numbers):
        raise ImagingError(f"the names table {path.name} holds one id twice")
    return found


def _row(cells: list[str], path: Path) -> _Row:
    try:
        number, name, colour, origin, layer = cells
        row = _Row(int(number), name, colour, Origin(origin), int(layer))
    except ValueError:
        raise ImagingError(
            f"a row of the names table {path.name} cannot be used: {cells}"
        ) from None
    if not (1 <= row.number <= HIGHEST_NUMBER and 1 <= row.layer <= HIGHEST_NUMBER):
        raise ImagingError(f"a row of the names table {path.name} has an id or layer out of range")
    if not _COLOUR.fullmatch(row.colour):
        raise ImagingError(f"a row of the names table {path.name} has no colour like #9fc2a8")
    return row


def _layer_path(path: Path, number: int) -> Path:
    stem = path.name.removesuffix(ENDING)
    return path if number == 1 else path.with_name(f"{stem}_layer{number}{ENDING}")


def _table_path(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix(ENDING)}_labels.csv")


def _replace(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise ImagingError(f"{path}: cannot be written ({error.strerror})") from None
