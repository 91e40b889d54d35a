"""Who lies in the room: the digital torso, or any CT with a label map."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw_mocks.anatomy import Anatomy, AnatomyError, load_anatomy
from hw_mocks.skin import place_fiducials
from hw_mocks.torso import cached_torso
from ir_nav.geometry import FloatArray

FOCUS_STRUCTURES = ("lesion", "liver")


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """The patient and the files the console reads (absolute paths).

    focus_mm (3,): the region of interest in `ct`; fiducials_mm (n, 3) on the skin round it.
    """

    anatomy: Anatomy
    ct: Path
    labels: Path
    names_csv: Path | None
    focus_mm: FloatArray
    fiducials_mm: FloatArray


def torso_patient(cache_dir: Path, seed: int) -> Patient:
    """The digital torso, generated at the first use."""
    files = cached_torso(cache_dir, seed)
    anatomy = load_anatomy(files.ct, files.labels, files.names_csv)
    points = json.loads(files.fiducials.read_text(encoding="utf-8"))["fiducials_ct_mm"]
    return Patient(
        anatomy, files.ct, files.labels, files.names_csv, _focus(anatomy), np.array(points)
    )


def real_patient(
    ct: Path, labels: Path, names_csv: Path | None, focus_mm: FloatArray | None
) -> Patient:
    """A CT with its label map; fiducials are stuck on the skin round the focus."""
    anatomy = load_anatomy(ct, labels, names_csv)
    focus = _focus(anatomy) if focus_mm is None else focus_mm
    return Patient(
        anatomy,
        ct.resolve(),
        labels.resolve(),
        None if names_csv is None else names_csv.resolve(),
        focus,
        place_fiducials(anatomy, focus),
    )


def _focus(anatomy: Anatomy) -> FloatArray:
    for name in FOCUS_STRUCTURES:
        try:
            return anatomy.centroid_ct_mm(name)
        except (AnatomyError, KeyError):
            continue
    raise AnatomyError("the label map names neither a lesion nor a liver: give --focus X,Y,Z")
