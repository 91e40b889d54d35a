"""Frames, geometries and distortions as files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ir_nav.geometry import read_only
from ir_nav.imaging.files import BYTES_PER_VOXEL as BYTES_PER_PIXEL
from ir_nav.imaging.integrity import check_complete, check_parts
from ir_nav.registration.carm_calibration.distortion import Distortion, term_count
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView
from ir_nav.registration.registration_file import parsed
from ir_nav.whole_file import write_whole

MOST_PIXELS = 8192 * 8192
MOST_GREY = 1e30
MOST_COEFFICIENT = 1e4


class _Distortion(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    size_px: tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]]
    coefficients: list[tuple[FiniteFloat, FiniteFloat]]
    rms_px: FiniteFloat
    largest_px: FiniteFloat
    beads: int


def read_picture(path: Path) -> NDArray[np.float32]:
    """A frame's pixels (rows, columns) from a 2D image file, or a volume of one slice.

    Raises RegistrationError for what is no grey frame of a detector's size, ImagingError for a
    file that is cut off.
    """
    reader = _frame_reader(path)
    try:
        pixels = np.squeeze(sitk.GetArrayFromImage(reader.Execute()))
    except RuntimeError:
        raise RegistrationError(_UNREADABLE.format(path)) from None
    if pixels.ndim != 2:
        raise RegistrationError(f"{path}: holds {pixels.shape} values: one 2D frame is needed")
    if np.abs(pixels, dtype=np.float64).max() > MOST_GREY:
        raise RegistrationError(f"{path}: holds numbers beyond {MOST_GREY:g}: export it again")
    return np.asarray(pixels, dtype=np.float32)


_UNREADABLE = "{}: cannot be read as an image: give a frame as .mha, .nrrd, .png or .tif"


def _frame_reader(path: Path) -> sitk.ImageFileReader:
    """Of a file whose header promises one grey frame, and that holds all of it."""
    if not path.is_file():
        raise RegistrationError(f"{path}: is not a file that is there: give a frame, such as .mha")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    check_parts(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise RegistrationError(_UNREADABLE.format(path)) from None
    size, kind = reader.GetSize(), reader.GetPixelID()
    if reader.GetNumberOfComponents() != 1 or kind not in BYTES_PER_PIXEL:
        raise RegistrationError(f"{path}: is in colour: a grey frame is needed")
    if math.prod(size) > MOST_PIXELS or min(size) < 1:
        words = " x ".join(map(str, size))
        raise RegistrationError(f"{path}: is of {words} px: one 2D frame is needed")
    if ".nii" not in path.name.lower():
        check_complete(path, math.prod(size) * BYTES_PER_PIXEL[kind])
    return reader


def write_picture(path: Path, pixels: NDArray[np.float32]) -> None:
    """A frame as MetaImage or any format of its suffix."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    except (OSError, RuntimeError):
        raise RegistrationError(f"{path}: cannot be written as an image") from None


def write_view(path: Path, view: CArmView) -> None:
    """The geometry file that `ir-nav register fluoro` reads."""
    geometry = view.geometry
    document = {
        "format": 1,
        "sid_mm": geometry.sid_mm,
        "pixel_mm": list(geometry.pixel_mm),
        "size_px": list(geometry.size_px),
        "principal_px": list(geometry.principal_px),
        "carm_from_world": view.carm_from_world.tolist(),
        "pixels": str(view.pixels),
    }
    write_json(path, document)


def write_distortion(path: Path, found: Distortion) -> None:
    document = {
        "format": 1,
        "size_px": list(found.size_px),
        "coefficients": found.coefficients.tolist(),
        "rms_px": found.rms_px,
        "largest_px": found.largest_px,
        "beads": found.beads,
    }
    write_json(path, document)


def read_distortion(path: Path) -> Distortion:
    """What `write_distortion` wrote; RegistrationError with key and fault."""
    found = parsed(path, _Distortion)
    if len(found.coefficients) != term_count():
        raise RegistrationError(
            f"{path}: coefficients: {term_count()} pairs are needed, not {len(found.coefficients)}"
        )
    if np.abs(found.coefficients).max() > MOST_COEFFICIENT:
        raise RegistrationError(
            f"{path}: coefficients: bend the frame beyond itself: measure again"
        )
    return Distortion(
        found.size_px, read_only(found.coefficients), found.rms_px, found.largest_px, found.beads
    )


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all; RegistrationError when it cannot be written."""
    try:
        write_whole(path, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise RegistrationError(f"{path}: cannot be written ({error.strerror})") from None
