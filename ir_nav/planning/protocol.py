"""Protocols: what a kind of procedure allows, as TOML written by people."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ir_nav.planning.plan import PlanError, describe_faults

Millimetres = Annotated[float, Field(ge=0.0, le=500.0)]


class Avoid(BaseModel):
    """A group of structures the path keeps away from: name patterns, as in LabelMap.ids_named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    structures: tuple[str, ...]
    margin_mm: Millimetres
    source: str


class Protocol(BaseModel):
    """Hard limits of one kind of procedure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    name: str
    min_length_mm: Millimetres
    max_length_mm: Millimetres
    max_skin_angle_deg: Annotated[float, Field(gt=0.0, le=90.0)]
    reachable_from: tuple[Literal["R", "L", "A", "P", "H", "F"], ...]
    avoid: tuple[Avoid, ...]

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Protocol:
        if self.min_length_mm >= self.max_length_mm:
            raise ValueError("min_length_mm must be smaller than max_length_mm")
        return self


def read_protocol(path: Path) -> Protocol:
    """Read a protocol file; PlanError names the file, the key and the fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return Protocol.model_validate(document)
    except ValidationError as error:
        raise PlanError(f"{path}: {describe_faults(error)}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: not a protocol file ({error})") from None


def shipped_protocol(name: str = "liver_biopsy") -> Protocol:
    """A protocol that comes with the console."""
    with resources.as_file(resources.files("plans") / "protocols" / f"{name}.toml") as path:
        return read_protocol(path)
