"""The room file: which devices stand where, which tools they track, and their geometry."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError, ValidationInfo, model_validator

from ir_nav.geometry import CArmGeometry, FloatArray, read_only, rigidity_fault
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.carm_angles import CArmReach
from ir_nav.session.device_entries import (
    KINDS,
    DeviceEntry,
    KeyboardPedalEntry,
    Name,
    Pixels,
    PortNumber,
    RequiredFile,
    Strict,
    image_fault,
    pose_fault,
)
from ir_nav.session.fluoro_correction import distortion_of
from ir_nav.session.state import Role, Source

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]
PointMm = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
PixelMm = Annotated[float, Field(gt=0.0, le=10.0)]

MAX_PIXEL_ANISOTROPY = 0.15
MAX_IMAGE_SKEW = 0.1


class RoomError(ValueError):
    """A room file cannot be used; names the file, the key and the cure."""


class ToolEntry(Strict):
    """One tracked tool: the transform that carries its pose, such as "NeedleToTracker"."""

    role: Role
    name: str
    device: str
    transform: Name


class UltrasoundEntry(Strict):
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


_ASSUMED = CArmReach()
SideDeg = Annotated[float, Field(ge=0.0, le=180.0)]
EndDeg = Annotated[float, Field(ge=0.0, le=90.0)]


class ReachEntry(Strict):
    """How far the C-arm turns about a patient who lies head first on his back."""

    rao_deg: SideDeg = _ASSUMED.rao_deg
    lao_deg: SideDeg = _ASSUMED.lao_deg
    caudal_deg: EndDeg = _ASSUMED.caudal_deg
    cranial_deg: EndDeg = _ASSUMED.cranial_deg

    @property
    def limits(self) -> CArmReach:
        return CArmReach(self.rao_deg, self.lao_deg, self.caudal_deg, self.cranial_deg)


class FluoroEntry(Strict):
    """Fluoro images and the C-arm. tracker_from_carm: 4x4, where the focal spot is, mm; None where
    a tool with the role `carm` reports it. distortion: file of `ir-nav carm distortion`, by which
    frames are corrected as they come; None where the detector is flat or its source corrects them.
    reach: None where it is not known, and assumed."""

    device: str
    image: Name
    sid_mm: Annotated[float, Field(gt=100.0, le=3000.0)]
    pixel_mm: tuple[PixelMm, PixelMm]
    size_px: tuple[Pixels, Pixels]
    principal_px: tuple[FiniteFloat, FiniteFloat]
    tracker_from_carm: Matrix | None = None
    distortion: RequiredFile | None = None
    reach: ReachEntry | None = None

    @property
    def geometry(self) -> CArmGeometry:
        return CArmGeometry(self.sid_mm, self.pixel_mm, self.size_px, self.principal_px)

    @model_validator(mode="after")
    def _is_rigid(self) -> FluoroEntry:
        if self.tracker_from_carm is None:
            return self
        if fault := rigidity_fault(np.array(self.tracker_from_carm, dtype=np.float64)):
            raise ValueError(f"tracker_from_carm: {fault}")
        return self

    @model_validator(mode="after")
    def _is_corrected_at_its_size(self, info: ValidationInfo) -> FluoroEntry:
        # Where no file is looked for, this one is not read either.
        if self.distortion is None or (info.context or {}).get("folder") is None:
            return self
        try:
            distortion_of(self.distortion, self.size_px)
        except RegistrationError as error:
            raise ValueError(f"distortion: {error}") from None
        return self


class FiducialEntry(Strict):
    """One landmark to touch: where it is in the CT."""

    name: str
    ct_mm: PointMm


class CaseEntry(Strict):
    """The images to open with the room. Paths are relative to the room file."""

    ct: str
    labels: str | None = None
    label_names: str | None = None
    fiducials: tuple[FiducialEntry, ...] = ()


class OperatorEntry(Strict):
    """Where a simulated operator takes requests (OpenIGTLink STRING)."""

    host: str = "127.0.0.1"
    port: PortNumber


class Room(Strict):
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
        devices = {device.name: device for device in self.devices}
        if len(devices) < len(self.devices):
            raise ValueError("devices: two devices have the same name")
        if sum(isinstance(device, KeyboardPedalEntry) for device in self.devices) > 1:
            raise ValueError("devices: only one keyboard-pedal; name all keys in its 'keys'")
        users = [(f"tools.{tool.name}", tool.device) for tool in self.tools]
        imagers = {"ultrasound": self.ultrasound, "fluoro": self.fluoro}
        users += [(place, imager.device) for place, imager in imagers.items() if imager]
        for place, device in users:
            if device not in devices:
                raise ValueError(f"{place}.device: there is no device '{device}'")
        for tool in self.tools:
            if fault := pose_fault(devices[tool.device], tool.transform):
                raise ValueError(f"tools.{tool.name}.transform: {fault}")
        for place, imager in imagers.items():
            if imager and (fault := image_fault(devices[imager.device], imager.image)):
                raise ValueError(f"{place}.image: {fault}")
        roles = [tool.role for tool in self.tools]
        if len(set(roles)) < len(roles):
            raise ValueError("tools: two tools have the same role")
        if self.fluoro is not None and (self.fluoro.tracker_from_carm is None) != (
            Role.CARM in roles
        ):
            raise ValueError("fluoro: give either tracker_from_carm or a tool with the role 'carm'")
        return self


def read_room(path: Path) -> Room:
    """Read a room file; RoomError names the file, the key, and the nearest known key.

    Paths of its devices come back absolute. Each of their files must be there, save a video.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RoomError(f"{path}: there is no such room file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RoomError(f"{path}: not a room file ({error})") from None
    try:
        return parse_room(text, path.absolute().parent)
    except RoomError as error:
        raise RoomError(f"{path}: {error}") from None


def parse_room(text: str, folder: Path | None) -> Room:
    """Content of a room file that lies in `folder`; None looks for no files. RoomError."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RoomError(f"not a room file ({error})") from None
    try:
        # As JSON: strict, and yet with arrays for tuples. A date becomes a string.
        values = json.dumps(document, default=str)
        return Room.model_validate_json(values, strict=True, context={"folder": folder})
    except ValidationError as error:
        raise RoomError("; ".join(_faults(error.errors(include_url=False)))) from None


def _faults(found: Sequence[Any]) -> list[str]:
    """In words, once each."""
    # Where an item is at fault the list counts as shorter than it is.
    lists = {fault["loc"][: len(one["loc"])] for fault in found for one in found if fault != one}
    told = [_fault(one) for one in found if one["type"] != "too_short" or one["loc"] not in lists]
    return list(dict.fromkeys(told))


def _fault(fault: Any) -> str:
    loc, kind = fault["loc"], str(fault["type"])
    place = ".".join(_shown_place(loc)) or "file"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == "union_tag_not_found":
        return f"{place}.kind: Field required; one of {', '.join(KINDS)}"
    if kind == "union_tag_invalid":
        return f"{place}.kind: Input should be one of {fault['ctx']['expected_tags']}"
    if kind in ("int_type", "string_type") and len(loc) > 4 and loc[3] == "address":
        return f"{place}: Input should be an integer (a device's index) or a string"
    if kind != "extra_forbidden":
        return f"{place}: {message}"
    known = _keys_at(loc)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
    return f"{place}: unknown key; {hint}"


def _shown_place(place: tuple[str | int, ...]) -> list[str]:
    """As written in the file: without what tells which of several models was tried."""
    parts = [str(part) for part in place]
    if parts[:1] != ["devices"]:
        return parts
    within = parts[3:]
    if within[:1] == ["tools"]:
        del within[2:3]
    if within[:1] == ["address"]:
        del within[1:]
    return parts[:2] + within


def _keys_at(place: tuple[str | int, ...]) -> list[str]:
    """Keys allowed beside the last part of `place`."""
    model: type[BaseModel] = Room
    if place[0] == "devices" and len(place) > 3:
        model, place = KINDS[str(place[2])], place[3:]
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = getattr(annotation, "__args__", ())
    return next((model for item in inside if (model := _model_in(item)) is not None), None)
