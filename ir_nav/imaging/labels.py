"""Segmented structures on a grid, and their names."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, read_only
from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.files import SUFFIXES, is_grid_file, read_grid
from ir_nav.imaging.kernels import nearest_grid
from ir_nav.imaging.volume import BoolArray, Volume, check_grid, frozen_view, spacing_of

LabelArray = NDArray[np.uint8] | NDArray[np.uint16]

# Two grids whose corners agree to this are one grid: NIfTI stores float32.
SAME_GRID_MM = 0.01

_ID_COLUMNS = ("id", "label", "index", "value")
_NAME_COLUMNS = ("structure", "name", "label_name")
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Which structure each voxel belongs to; 0 is none.

    voxels: (k, j, i) uint8 or uint16, made read-only. ct_from_voxel: (4, 4) as in Volume.
    names: id -> name as the table gives it, e.g. 'kidney_right'.
    """

    voxels: LabelArray
    ct_from_voxel: FloatArray
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        if self.voxels.dtype not in (np.uint8, np.uint16):
            raise ImagingError(f"labels are uint8 or uint16, got {self.voxels.dtype}")
        check_grid(self.voxels.shape, self.ct_from_voxel)
        object.__setattr__(self, "voxels", frozen_view(self.voxels))
        object.__setattr__(self, "ct_from_voxel", read_only(self.ct_from_voxel))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    @property
    def voxel_from_ct(self) -> FloatArray:
        """(4, 4), `ct` mm -> (i, j, k, 1)."""
        return np.asarray(np.linalg.inv(self.ct_from_voxel), dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return spacing_of(self.ct_from_voxel)

    def ids_named(self, pattern: str) -> tuple[int, ...]:
        """Ids whose name matches, in order; '*' and '?' are wildcards: 'lung_*_left'."""
        wanted = canonical(pattern)
        return tuple(
            number for number, name in self.names.items() if fnmatchcase(canonical(name), wanted)
        )

    def present_ids(self) -> tuple[int, ...]:
        """Ids that occur in the voxels, without 0."""
        counts = np.bincount(self.voxels.ravel())
        return tuple(int(number) for number in np.flatnonzero(counts) if number)

    def mask(self, structure: str | int | Iterable[int]) -> BoolArray:
        """(k, j, i) bool: the voxels of a name pattern, an id, or several ids.

        Raises ImagingError when no structure has that name.
        """
        chosen = np.zeros(np.iinfo(self.voxels.dtype).max + 1, dtype=np.bool_)
        chosen[list(self._ids(structure))] = True
        return np.asarray(chosen[self.voxels])

    def centroid_ct_mm(self, structure: str | int | Iterable[int]) -> FloatArray:
        """(3,) mean position of the structure's voxels; ImagingError when it has none."""
        mask = self.mask(structure)
        counts = [mask.sum(axis=axes, dtype=np.int64) for axes in ((0, 1), (0, 2), (1, 2))]
        total = int(counts[0].sum())
        if total == 0:
            raise ImagingError(f"the labels hold no voxel of {structure!r}")
        middle_ijk = np.array([np.arange(len(c)) @ c / total for c in counts])
        return np.asarray(self.ct_from_voxel[:3, :3] @ middle_ijk + self.ct_from_voxel[:3, 3])

    def display_name(self, number: int) -> str:
        """The name for people: 'kidney_right' -> 'Right kidney'; 'Structure 7' if unnamed."""
        name = self.names.get(number)
        return f"Structure {number}" if name is None else readable(name)

    def _ids(self, structure: str | int | Iterable[int]) -> tuple[int, ...]:
        if isinstance(structure, str):
            ids = self.ids_named(structure)
            if not ids:
                raise ImagingError(f"no structure of the labels is named '{structure}'")
            return ids
        if isinstance(structure, int):
            return (structure,)
        return tuple(structure)


def canonical(name: str) -> str:
    """Lower case with underscores: 'Portal vein' and 'portal_vein' are one name."""
    return "_".join(name.strip().lower().replace("_", " ").replace("-", " ").split())


def readable(name: str) -> str:
    """'portal_vein' -> 'Portal vein', 'rib_left_7' -> 'Left rib 7'."""
    words = name.replace("_", " ").split()
    sides = [word.lower() for word in words if word.lower() in _SIDES]
    rest = [word for word in words if word.lower() not in _SIDES]
    if len(rest) == 2 and rest[0] == "vertebrae":
        rest[0] = "vertebra"
    text = " ".join(sides + rest)
    return text[:1].upper() + text[1:]


def read_label_file(
    path: Path, names_csv: Path | None = None, like: Volume | None = None
) -> LabelMap:
    """Read labels from a NIfTI, NRRD or MetaImage file.

    names_csv: table with an id column (id, label or index) and a name column (structure, name
    or label_name); when None, `<stem>_labels.csv` or `<stem>.csv` beside the file is used if
    there. like: put the labels on this volume's grid by nearest voxel.
    Raises ImagingError when the file or table cannot be used or does not overlap `like`.
    """
    path = Path(path)
    if not path.is_file() or not is_grid_file(path):
        raise ImagingError(f"{path.name} is no label file: choose a {', '.join(SUFFIXES)} file")
    stored, ct_from_voxel = read_grid(path)
    table = names_csv if names_csv is not None else _table_beside(path)
    names = {} if table is None else read_names(table)
    labels = LabelMap(_to_labels(stored, path), ct_from_voxel, names)
    return labels if like is None else on_grid_of(labels, like)


def read_names(path: Path) -> dict[int, str]:
    """id -> name from a CSV table; see read_label_file."""
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise ImagingError(f"the names table {path.name} cannot be read as CSV") from None
    header = [cell.lower() for cell in rows[0]] if rows else []
    id_column = next((header.index(name) for name in _ID_COLUMNS if name in header), None)
    name_column = next((header.index(name) for name in _NAME_COLUMNS if name in header), None)
    if id_column is None or name_column is None:
        raise ImagingError(
            f"the names table {path.name} needs a column 'id' and a column 'structure'"
        )
    try:
        return {int(row[id_column]): row[name_column] for row in rows[1:]}
    except (ValueError, IndexError):
        raise ImagingError(f"a row of the names table {path.name} has no whole-number id") from None


def on_grid_of(labels: LabelMap, like: Volume) -> LabelMap:
    """The labels on `like`'s grid by nearest voxel; ImagingError when they do not overlap."""
    labels_from_like = labels.voxel_from_ct @ like.ct_from_voxel
    if labels.voxels.shape == like.voxels.shape:
        shift_mm = np.abs(labels.ct_from_voxel - like.ct_from_voxel) @ (*like.size_ijk, 1)
        if shift_mm.max() < SAME_GRID_MM:
            return LabelMap(labels.voxels, like.ct_from_voxel, labels.names)
    out = np.zeros(like.voxels.shape, dtype=labels.voxels.dtype)
    if nearest_grid(labels.voxels, labels_from_like, out) == 0:
        raise ImagingError("the labels lie outside the CT: they belong to another image")
    return LabelMap(out, like.ct_from_voxel, labels.names)


def _to_labels(stored: NDArray[Any], path: Path) -> LabelArray:
    low, high = stored.min(), stored.max()
    if not (low >= 0 and high <= np.iinfo(np.uint16).max):
        raise ImagingError(f"{path.name} holds values from {low} to {high}: these are no labels")
    narrow = high <= np.iinfo(np.uint8).max
    labels: LabelArray = stored.astype(np.uint8) if narrow else stored.astype(np.uint16)
    if np.issubdtype(stored.dtype, np.floating) and not np.array_equal(labels, stored):
        raise ImagingError(f"{path.name} holds fractions: these are no labels")
    return labels


def _table_beside(path: Path) -> Path | None:
    stem = next(path.name[: -len(end)] for end in SUFFIXES if path.name.lower().endswith(end))
    candidates = (f"{stem}_labels.csv", f"{stem}.csv")
    return next((path.parent / name for name in candidates if (path.parent / name).is_file()), None)
