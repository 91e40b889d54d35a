"""Devices as data: classes of instruments with their dimensions, as TOML written by people."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_config_path
from pydantic import Field, FiniteFloat, ValidationError, model_validator

from ir_nav.planning.instruments import (
    Ablation,
    Biopsy,
    Catheter,
    Coaxial,
    Drainage,
    Instrument,
    Length,
    Needle,
    SideHoles,
    SideNotch,
    Small,
    Straight,
    Strict,
    Zone,
)
from ir_nav.planning.notch import centred_stand_off_mm
from ir_nav.planning.plan_errors import PlanError, describe_faults

Gauge = Annotated[int, Field(ge=10, le=30)]


class _Device(Strict):
    """What every device has. lengths_mm: in which usable lengths it is made."""

    id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$", max_length=60)]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    source: Annotated[str, Field(min_length=1)]
    gauge: Gauge
    lengths_mm: Annotated[tuple[Length, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _growing(self) -> _Device:
        if list(self.lengths_mm) != sorted(set(self.lengths_mm)):
            raise ValueError("lengths_mm must grow from one to the next")
        return self

    def length_for(self, path_mm: float) -> float:
        """The shortest length that reaches; the longest when none does."""
        return next((one for one in self.lengths_mm if one >= path_mm), self.lengths_mm[-1])


class NeedleDevice(_Device):
    kind: Literal["needle"]


class BiopsyDevice(_Device):
    kind: Literal["biopsy"]
    notch: SideNotch


class CoaxialDevice(_Device):
    """gauge and lengths_mm: of the introducer; the sampler is longer_mm longer."""

    kind: Literal["coaxial"]
    sampler_gauge: Gauge
    longer_mm: Length
    ahead_mm: Small
    notch: SideNotch | None = None


class DrainageDevice(_Device):
    """gauge: of the access needle. lengths_mm: of the catheter and the needle within it."""

    kind: Literal["drainage"]
    french: FiniteFloat
    loop_mm: FiniteFloat
    side_holes: SideHoles


class AblationDevice(_Device):
    """zones: one for each published setting."""

    kind: Literal["ablation"]
    zones: Annotated[tuple[Zone, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sources(self) -> AblationDevice:
        if not all(zone.source for zone in self.zones):
            raise ValueError("every zone needs its source: where, and in what tissue, measured")
        return self


Device = Annotated[
    NeedleDevice | BiopsyDevice | CoaxialDevice | DrainageDevice | AblationDevice,
    Field(discriminator="kind"),
]


class DeviceFile(Strict):
    format: Literal[1]
    device: Annotated[tuple[Device, ...], Field(min_length=1)]


def read_devices(path: Path) -> tuple[Device, ...]:
    """Read one file of devices; PlanError names the file, the key and the fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return DeviceFile.model_validate(document).device
    except ValidationError as error:
        raise PlanError(f"{path}: {describe_faults(error)}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: not a device file ({error})") from None


def user_devices_folder() -> Path:
    """Where a department keeps files of its own devices."""
    return user_config_path("ir-nav") / "devices"


def all_devices(folder: Path | None = None) -> tuple[Device, ...]:
    """The shipped devices, then those of the user's folder (user_devices_folder by default).

    PlanError when a file is wrong or two devices share an id.
    """
    own = user_devices_folder() if folder is None else folder
    with resources.as_file(resources.files("plans") / "devices") as shipped:
        files = sorted(shipped.glob("*.toml")) + sorted(own.glob("*.toml"))
        return _distinct((path, device) for path in files for device in read_devices(path))


def device_named(devices: Iterable[Device], wanted: str) -> Device:
    """The device with this id; PlanError says which there are."""
    known = {device.id: device for device in devices}
    if wanted not in known:
        raise PlanError(f"no device '{wanted}' in the catalogue: {', '.join(sorted(known))}")
    return known[wanted]


def instrument_of(
    device: Device, path_mm: float, *, setting: int = 0, margin_mm: float = 5.0
) -> Instrument:
    """The device as a plan's instrument, in the shortest length that reaches.

    path_mm: from the entry to what is aimed at, where the middle of a sample or of an ablated zone
    comes to lie. setting: which zone of an ablation device; margin_mm: wanted beyond the target.
    PlanError for a setting it lacks.
    """
    if isinstance(device, AblationDevice):
        return _ablation(device, path_mm, setting, margin_mm)
    needle = Needle(gauge=device.gauge, length_mm=device.length_for(path_mm))
    if isinstance(device, NeedleDevice):
        return Straight(device=device.id, needle=needle)
    if isinstance(device, BiopsyDevice):
        rest_mm = centred_stand_off_mm(device.notch)
        return Biopsy(device=device.id, needle=needle, notch=device.notch, stand_off_mm=rest_mm)
    if isinstance(device, CoaxialDevice):
        return _coaxial(device, needle)
    catheter = Catheter(
        french=device.french,
        length_mm=needle.length_mm,
        loop_mm=device.loop_mm,
        side_holes=device.side_holes,
    )
    return Drainage(device=device.id, needle=needle, catheter=catheter)


def _ablation(device: AblationDevice, path_mm: float, setting: int, margin_mm: float) -> Ablation:
    if not 0 <= setting < len(device.zones):
        raise PlanError(f"{device.name} has settings 0 to {len(device.zones) - 1}, not {setting}")
    zone = device.zones[setting]
    deep_mm = path_mm + zone.length_mm / 2.0 - zone.ahead_mm
    needle = Needle(gauge=device.gauge, length_mm=device.length_for(deep_mm))
    return Ablation(device=device.id, needle=needle, zone=zone, margin_mm=margin_mm)


def _coaxial(device: CoaxialDevice, introducer: Needle) -> Coaxial:
    sampler = Needle(gauge=device.sampler_gauge, length_mm=introducer.length_mm + device.longer_mm)
    centred_mm = 0.0 if device.notch is None else centred_stand_off_mm(device.notch)
    return Coaxial(
        device=device.id,
        needle=introducer,
        sampler=sampler,
        ahead_mm=device.ahead_mm,
        notch=device.notch,
        stand_off_mm=centred_mm + device.ahead_mm,
    )


def _distinct(found: Iterable[tuple[Path, Device]]) -> tuple[Device, ...]:
    places: dict[str, Path] = {}
    devices = []
    for path, device in found:
        if device.id in places:
            raise PlanError(
                f"{path}: device '{device.id}' is in {places[device.id]} already: choose another id"
            )
        places[device.id] = path
        devices.append(device)
    return tuple(devices)
