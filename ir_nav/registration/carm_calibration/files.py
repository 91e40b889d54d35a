"""Frames, geometries and distortions as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ir_nav.geometry import read_only
from ir_nav.registration.carm_calibration.distortion import Distortion, term_count
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView
from ir_nav.registration.registration_file import parsed
from ir_nav.whole_file import write_whole


class _Distortion(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    size_px: tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]]
    coefficients: list[tuple[FiniteFloat, FiniteFloat]]
    rms_px: FiniteFloat
    largest_px: FiniteFloat
    beads: int


def read_picture(path: Path) -> NDArray[np.float32]:
    """A frame's pixels (rows, columns) from a 2D image file, or a volume of one slice."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise RegistrationError(f"{path}: cannot be read as an image") from None
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise RegistrationError(f"{path}: is in colour: a grey frame is needed")
    pixels = np.squeeze(sitk.GetArrayFromImage(image))
    if pixels.ndim != 2:
        raise RegistrationError(f"{path}: holds {pixels.shape} values: one 2D frame is needed")
    return np.asarray(pixels, dtype=np.float32)


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
    return Distortion(
        found.size_px, read_only(found.coefficients), found.rms_px, found.largest_px, found.beads
    )


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all; RegistrationError when it cannot be written."""
    try:
        write_whole(path, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise RegistrationError(f"{path}: cannot be written ({error.strerror})") from None
