"""The room file: which devices stand where, which tools they track, and their geometry."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from ir_nav.geometry import CArmGeometry, FloatArray, read_only, rigidity_fault
from ir_nav.session.state import Role, Source

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]
PointMm = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
PixelMm = Annotated[float, Field(gt=0.0, le=10.0)]
Pixels = Annotated[int, Field(ge=1, le=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=20)]


MAX_PIXEL_ANISOTROPY = 0.15
MAX_IMAGE_SKEW = 0.1


class RoomError(ValueError):
    """A room file cannot be used; names the file, the key and the cure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceEntry(_Strict):
    """One device. protocol_version 2 lets an OpenIGTLink peer send tool status."""

    name: Name
    kind: Literal["openigtlink"]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    protocol_version: Literal[1, 2] = 1


class ToolEntry(_Strict):
    """One tracked tool: the transform that carries its pose, such as "NeedleToTracker"."""

    role: Role
    name: str
    device: str
    transform: Name


class UltrasoundEntry(_Strict):
    """Ultrasound images. probe_from_image: 4x4, from (u px, v px, 0, 1) to mm at the probe's
    sensor; it carries the pixel size. calibrated: false where the matrix is a stand-in: then no
    overlay is drawn on the image."""

    device: str
    image: Name
    depth_mm: Annotated[float, Field(gt=0.0, le=400.0)]
    probe_from_image: Matrix
    calibrated: bool = True

    @property
    def matrix(self) -> FloatArray:
        return read_only(self.probe_from_image)

    @model_validator(mode="after")
    def _is_a_similarity(self) -> UltrasoundEntry:
        matrix = np.array(self.probe_from_image)
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or scale.min() < 1e-6:
            raise ValueError("probe_from_image: a column has no length, or is not finite")
        # Calibrations that were fitted freely, as PLUS does, are a little anisotropic and skew.
        if abs(scale[0] - scale[1]) > MAX_PIXEL_ANISOTROPY * scale[0]:
            raise ValueError("probe_from_image: u and v have very different pixel sizes")
        rigid = matrix.copy()
        rigid[:3, :3] /= scale
        if fault := rigidity_fault(rigid, MAX_IMAGE_SKEW):
            raise ValueError(f"probe_from_image: {fault}")
        return self


class FluoroEntry(_Strict):
    """Fluoro images and the C-arm. tracker_from_carm: 4x4, where the focal spot is, mm."""

    device: str
    image: Name
    sid_mm: Annotated[float, Field(gt=100.0, le=3000.0)]
    pixel_mm: tuple[PixelMm, PixelMm]
    size_px: tuple[Pixels, Pixels]
    principal_px: tuple[FiniteFloat, FiniteFloat]
    tracker_from_carm: Matrix

    @property
    def geometry(self) -> CArmGeometry:
        return CArmGeometry(self.sid_mm, self.pixel_mm, self.size_px, self.principal_px)

    @model_validator(mode="after")
    def _is_rigid(self) -> FluoroEntry:
        if fault := rigidity_fault(np.array(self.tracker_from_carm, dtype=np.float64)):
            raise ValueError(f"tracker_from_carm: {fault}")
        return self


class FiducialEntry(_Strict):
    """One landmark to touch: where it is in the CT."""

    name: str
    ct_mm: PointMm


class CaseEntry(_Strict):
    """The images to open with the room. Paths are relative to the room file."""

    ct: str
    labels: str | None = None
    label_names: str | None = None
    fiducials: tuple[FiducialEntry, ...] = ()


class OperatorEntry(_Strict):
    """Where a simulated operator takes requests (OpenIGTLink STRING)."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]


class Room(_Strict):
    """A room file. `source` says what kind of data it delivers."""

    format: Literal[1]
    name: str
    source: Source
    devices: Annotated[tuple[DeviceEntry, ...], Field(min_length=1)]
    tools: tuple[ToolEntry, ...] = ()
    ultrasound: UltrasoundEntry | None = None
    fluoro: FluoroEntry | None = None
    case: CaseEntry | None = None
    operator: OperatorEntry | None = None

    @model_validator(mode="after")
    def _refers_to_its_devices(self) -> Room:
        names = [device.name for device in self.devices]
        if len(set(names)) < len(names):
            raise ValueError("devices: two devices have the same name")
        users = [(f"tools.{tool.name}", tool.device) for tool in self.tools]
        users += [("ultrasound", self.ultrasound.device)] if self.ultrasound else []
        users += [("fluoro", self.fluoro.device)] if self.fluoro else []
        for place, device in users:
            if device not in names:
                raise ValueError(f"{place}.device: there is no device '{device}'")
        roles = [tool.role for tool in self.tools]
        if len(set(roles)) < len(roles):
            raise ValueError("tools: two tools have the same role")
        return self


def read_room(path: Path) -> Room:
    """Read a room file; RoomError names the file, the key, and the nearest known key."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RoomError(f"{path}: there is no such room file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RoomError(f"{path}: not a room file ({error})") from None
    try:
        return Room.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors(include_url=False))
        raise RoomError(f"{path}: {faults}") from None


def _fault(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"]) or "file"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] != "extra_forbidden":
        return f"{place}: {message}"
    known = _keys_at(fault["loc"])
    close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
    return f"{place}: unknown key; {hint}"


def _keys_at(place: tuple[str | int, ...]) -> list[str]:
    """Keys allowed beside the last part of `place`."""
    model: type[BaseModel] = Room
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = getattr(annotation, "__args__", ())
    return next((model for item in inside if (model := _model_in(item)) is not None), None)
