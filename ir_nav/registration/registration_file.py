"""Registrations as files: where a search begins, and what it found. LPS mm."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ir_nav.geometry import FloatArray, read_only, rigid_inverse, rigidity_fault
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration import Method, Registration
from ir_nav.small_file import first_fault, json_document, read_small
from ir_nav.whole_file import write_whole

MAX_FILE_BYTES = 16 * 1024 * 1024
# Farther than this from its frame's origin nothing lies that is stated in mm.
FARTHEST_MM = 100_000.0
MOST_REASON = 300
# Cosine between the axes of an image: a calibration may be off by half a degree, not by more.
MOST_SKEW = 0.01
Row = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
Matrix = Annotated[list[Row], Field(min_length=4, max_length=4)]
Model = TypeVar("Model", bound=BaseModel)


class _Start(BaseModel):
    """An init file, or the result of another registration: other keys are let be."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    format: Literal[1] = 1
    ct_from_reference: Matrix | None = None
    world_from_ct: Matrix | None = None
    accepted: bool = True
    reason: str = ""


def read_start(path: Path) -> FloatArray:
    """(4, 4) ct_from_reference of a JSON file with that key, or with `world_from_ct`.

    Raises RegistrationError for a file that cannot be read, is no rigid matrix, has both keys or
    neither, or holds a registration that was refused.
    """
    start = parsed(path, _Start)
    if (start.ct_from_reference is None) == (start.world_from_ct is None):
        raise RegistrationError(
            f"{path}: give one of ct_from_reference and world_from_ct, a 4x4 matrix in mm"
        )
    if not start.accepted:
        why = " ".join(start.reason.split())[:MOST_REASON] or "it does not say why"
        raise RegistrationError(
            f"{path}: holds a registration that was refused ({why}): begin with another"
        )
    key = "ct_from_reference" if start.world_from_ct is None else "world_from_ct"
    matrix = rigid_matrix(path, key, start.ct_from_reference or start.world_from_ct or [])
    return matrix if start.world_from_ct is None else read_only(rigid_inverse(matrix))


def rigid_matrix(path: Path, key: str, rows: list[list[float]]) -> FloatArray:
    """(4, 4), mm, read-only; RegistrationError names file and key when it is not rigid, or far."""
    matrix = np.array(rows)
    fault = rigidity_fault(matrix)
    if fault is not None:
        raise RegistrationError(f"{path}: {key}: {fault}: give a rigid 4x4 matrix in mm")
    if np.abs(matrix[:3, 3]).max() > FARTHEST_MM:
        raise RegistrationError(f"{path}: {key}: shifts by more than 100 m: give it in mm")
    return read_only(matrix)


def image_matrix(path: Path, key: str, rows: list[list[float]]) -> FloatArray:
    """(4, 4), px to mm, scale included; RegistrationError when its axes are not square, or far.

    The third axis is of no thickness and may be anything.
    """
    matrix = np.array(rows)
    if np.abs(matrix).max() > FARTHEST_MM:
        raise RegistrationError(f"{path}: {key}: shifts by more than 100 m: give it in mm")
    across, down = matrix[:3, 0], matrix[:3, 1]
    length = float(np.linalg.norm(across) * np.linalg.norm(down))
    square = np.abs(across @ down) <= MOST_SKEW * length and length > 0.0
    if not square or not np.allclose(matrix[3], (0.0, 0.0, 0.0, 1.0), atol=1e-9):
        raise RegistrationError(
            f"{path}: {key}: is no map from pixels to mm (axes at right angles, last row "
            "0 0 0 1): calibrate the probe again"
        )
    return read_only(matrix)


def parsed(path: Path, model: type[Model]) -> Model:
    """A small JSON file as `model`; RegistrationError names the file, the key and the fault.

    Numbers are numbers: text and true or false are not taken for them.
    """
    data = read_small(path, MAX_FILE_BYTES, RegistrationError, "a registration's file")
    document = json_document(path, data, RegistrationError)
    if isinstance(document, dict) and isinstance(document.get("format"), bool):
        raise RegistrationError(f"{path}: format: Input should be 1")
    try:
        return model.model_validate_json(data.removeprefix(codecs.BOM_UTF8), strict=True)
    except ValidationError as error:
        raise RegistrationError(f"{path}: {first_fault(error)}") from None


def registration_json(found: Registration) -> dict[str, Any]:
    """A registration as its file states it: `world_from_ct` of fluoro, else `ct_from_reference`."""
    ct_from_reference = found.ct_from_reference.matrix
    place = (
        {"world_from_ct": rigid_inverse(ct_from_reference).tolist()}
        if found.method is Method.FLUORO
        else {"ct_from_reference": ct_from_reference.tolist()}
    )
    return {
        "format": 1,
        **place,
        "method": str(found.method),
        "inputs": list(found.inputs),
        "residuals": [
            {"name": one.name, "value": one.value, "unit": one.unit} for one in found.residuals
        ],
        "covariance": found.covariance.tolist(),
        "about_ct_mm": found.about_ct_mm.tolist(),
        "predicted_tre_mm": found.tre_mm(found.about_ct_mm),
        "confidence": found.confidence,
        "evaluations": found.evaluations,
        "seconds": found.seconds,
        "created_s": found.created_s,
        "accepted": found.accepted,
        "reason": found.reason,
    }


def write_registration(path: Path, document: dict[str, Any]) -> None:
    """Write the file whole or not at all; RegistrationError when it cannot be written."""
    try:
        write_whole(path, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise RegistrationError(f"{path}: cannot be written ({error.strerror})") from None
