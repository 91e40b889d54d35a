"""A C-arm's geometry from the header of an XA, RF or Enhanced XA image, or of a volume made from
their projections.

DICOM PS3.3 C.8.7.5 (XA Positioner: angles about the patient), C.8.19.5 and C.8.19.6.2, .10, .13
(Enhanced XA: detector, field of view, positioner, isocentre); PS3.17 FFF.2.1.5.2 (where a header
says nothing, the isocentre projects to the middle of the field of view).

World is the patient-oriented isocentre frame: origin at the isocentre, +x to the patient's left,
+y to the back, +z to the head. It is the patient's own frame but for where the patient lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import pixel_array

from ir_nav.geometry import CArmGeometry, FloatArray, read_only, rigid
from ir_nav.registration.carm_calibration.header_fields import (
    Fields,
    HeaderValues,
    header_values,
    is_volume,
)
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView

TYPICAL_MM = (300.0, 2500.0)
# Stated twice, as distances and as sizes: more apart than this and one of them is wrong.
SAME_SHARE = 0.03
LETTERS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1)}
LETTERS["F"] = (0, 0, -1)


@dataclass(frozen=True, slots=True, eq=False)
class HeaderView:
    """view: of the picture once `frame_pixels` has turned it. mirrored: whether the stored
    picture is one seen from the detector and has to be mirrored left to right, since `carm`
    looks from the focal spot. primary_deg, secondary_deg: the positioner's angles. notes: what
    was assumed, in words."""

    view: CArmView
    mirrored: bool
    primary_deg: float
    secondary_deg: float
    notes: tuple[str, ...]


def read_header(path: Path) -> Dataset:
    """A DICOM file; RegistrationError when it is none."""
    if path.exists() and not path.is_file():
        raise RegistrationError(f"{path}: is no file: give one DICOM file")
    try:
        return pydicom.dcmread(path)
    except (OSError, InvalidDicomError) as error:
        raise RegistrationError(f"{path}: cannot be read as DICOM ({error})") from None


def header_view(dataset: Dataset, frame: int = 0) -> HeaderView:
    """The geometry of one frame (from 0).

    Raises RegistrationError naming the attributes that are missing, out of range or at odds.
    """
    values = header_values(Fields(dataset, frame), frame)
    _check(values)
    notes = list(values.notes)
    towards, columns, rows = detector_axes(values.primary_deg, values.secondary_deg)
    mirrored = _mirrored(values, columns, rows, notes)
    pitch = values.pixel_mm
    middle = _isocentre_px(values, mirrored=mirrored)
    if mirrored:
        middle = (values.size_px[0] - 1 - middle[0], middle[1])
    geometry = CArmGeometry(values.sid_mm, pitch, values.size_px, middle)
    # From the focal spot the patient's left and right change sides.
    turn = np.stack([-columns, rows, towards])
    pose = rigid(turn, [0.0, 0.0, values.isocentre_mm])
    view = CArmView(geometry, read_only(pose), values.pixels)
    return HeaderView(view, mirrored, values.primary_deg, values.secondary_deg, tuple(notes))


def frame_pixels(dataset: Dataset, found: HeaderView, frame: int = 0) -> NDArray[np.float32]:
    """One frame's pixels (rows, columns), float32, as found.view sees them."""
    if is_volume(dataset):
        raise RegistrationError(
            "the file holds a volume, not the pictures that it was made from: take those of its run"
        )
    try:
        # One frame only: a run of all decoded takes gigabytes.
        pixels = np.asarray(pixel_array(dataset, index=frame))
    except (AttributeError, NotImplementedError, ValueError, RuntimeError) as error:
        raise RegistrationError(f"the file's pixels cannot be read: {error}") from None
    if pixels.ndim != 2:
        raise RegistrationError("the frame is in colour: a grey one is needed")
    image = np.asarray(pixels, dtype=np.float32)
    return np.ascontiguousarray(image[:, ::-1] if found.mirrored else image)


def detector_axes(
    primary_deg: float, secondary_deg: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors (3,) in LPS: isocentre to detector; and of a picture seen from the detector,
    heads up, its columns (to the right) and rows (down).

    PS3.3 C.8.7.5.1.2: 0/0 has the detector before the chest, primary +90 at the patient's left,
    secondary +90 at the head. C.8.19.6.13.1.2: the picture is seen looking towards the source.
    """
    a, b = np.radians([primary_deg, secondary_deg])
    towards = np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])
    columns = np.array([np.cos(a), np.sin(a), 0.0])
    up = np.cross(columns, -towards)
    return towards, columns, -up


def _check(values: HeaderValues) -> None:
    low, high = TYPICAL_MM
    for name, value in (
        ("Distance Source to Detector", values.sid_mm),
        ("Distance Source to Patient", values.isocentre_mm),
    ):
        if not low <= value <= high:
            raise RegistrationError(
                f"{name} is {value:g} mm; {low:g} to {high:g} mm was expected: the header is wrong"
            )
    if values.isocentre_mm >= values.sid_mm:
        raise RegistrationError(
            f"Distance Source to Patient ({values.isocentre_mm:g} mm) is not below Distance "
            f"Source to Detector ({values.sid_mm:g} mm): the header is wrong"
        )
    magnification = values.magnification
    if magnification is not None:
        expected = values.sid_mm / values.isocentre_mm
        if abs(magnification / expected - 1.0) > SAME_SHARE:
            raise RegistrationError(
                f"Estimated Radiographic Magnification Factor is {magnification:.3f}, the "
                f"distances give {expected:.3f}: the header contradicts itself"
            )
    if values.view_mm is not None:
        sizes = [n * p for n, p in zip(values.size_px, values.pixel_mm, strict=True)]
        # Sorted: makers do not agree which side comes first.
        if any(
            abs(size / stated - 1.0) > SAME_SHARE
            for size, stated in zip(sorted(sizes), sorted(values.view_mm), strict=True)
        ):
            raise RegistrationError(
                f"Field of View Dimension is {values.view_mm[0]:g} x {values.view_mm[1]:g} mm, "
                f"columns and rows times Imager Pixel Spacing {sizes[0]:.0f} x {sizes[1]:.0f} mm: "
                "the header contradicts itself"
            )
    if abs(values.primary_deg) > 180.0 or abs(values.secondary_deg) > 90.0:
        raise RegistrationError(
            "Positioner Primary Angle is within 180 degrees and Secondary within 90, not "
            f"{values.primary_deg:g} and {values.secondary_deg:g}"
        )


def _mirrored(
    values: HeaderValues, columns: FloatArray, rows: FloatArray, notes: list[str]
) -> bool:
    """Whether the stored picture is seen from the detector."""
    stated = values.orientation
    if stated is None:
        notes.append(
            "the picture is taken as heads up and seen from the detector"
            if not values.flipped
            else "the picture was flipped when it was stored, so it is seen from the focal spot"
        )
        return not values.flipped
    across, down = (_direction(word) for word in stated)
    if down @ rows < 0.3 or abs(across @ columns) < 0.3:
        raise RegistrationError(
            f"Patient Orientation {stated[0]}\\{stated[1]} does not fit the positioner's angles: "
            "the picture was turned; store it heads up"
        )
    return bool(across @ columns > 0.0)


def _direction(word: str) -> FloatArray:
    letters = [LETTERS[letter] for letter in word.upper() if letter in LETTERS]
    if not letters or len(letters) != len(word):
        raise RegistrationError(f"Patient Orientation holds {word!r}, no direction of a patient")
    return np.array(letters[0], dtype=np.float64)


def _isocentre_px(values: HeaderValues, *, mirrored: bool) -> tuple[float, float]:
    """Where the isocentre falls in the stored picture (u, v)."""
    width, height = values.size_px
    if values.isocentre_px is None:
        return (width - 1) / 2.0, (height - 1) / 2.0
    u, v = values.isocentre_px
    return (width - 1 - u if values.flipped else u), v
