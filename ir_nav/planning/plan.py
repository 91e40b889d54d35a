"""The plan: one straight path in one CT, saved as JSON."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from ir_nav import RESEARCH_LABEL, __version__
from ir_nav.planning.path import PlannedPath

PointMm = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
MIN_LENGTH_MM = 5.0


class PlanError(ValueError):
    """A plan cannot be read, or does not belong to the CT at hand."""


class Needle(BaseModel):
    """The needle the path is planned for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gauge: Annotated[int, Field(ge=10, le=30)] = 18
    length_mm: Annotated[float, Field(gt=0.0, le=400.0)] = 150.0


class Plan(BaseModel):
    """A straight path from the skin to a target, in the planning CT (LPS, mm)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=120)]
    ct_identity: str
    entry_ct_mm: PointMm
    target_ct_mm: PointMm
    structure: str = ""
    needle: Needle = Needle()
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    author: str = ""
    software: str = f"ir-nav {__version__}"
    label: str = RESEARCH_LABEL

    @model_validator(mode="after")
    def _has_a_length(self) -> Plan:
        length_mm = sum((a - b) ** 2 for a, b in zip(*self._ends(), strict=True)) ** 0.5
        if length_mm < MIN_LENGTH_MM:
            raise ValueError(f"entry and target are only {length_mm:.1f} mm apart")
        return self

    def _ends(self) -> tuple[PointMm, PointMm]:
        return self.entry_ct_mm, self.target_ct_mm

    @property
    def path(self) -> PlannedPath:
        return PlannedPath.between(self.entry_ct_mm, self.target_ct_mm)


def save_plan(plan: Plan, path: Path) -> None:
    """Write atomically: a crash leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)


def load_plan(path: Path) -> Plan:
    """Read a plan; PlanError names the file, the key and what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such plan file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path}: not a plan file ({error})") from None
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise PlanError(f"{path}: {describe_faults(error)}") from None


def require_same_ct(plan: Plan, ct_identity: str) -> None:
    """Raise PlanError when the plan was made on another CT."""
    if plan.ct_identity != ct_identity:
        raise PlanError(
            f"plan '{plan.name}' belongs to another CT: open the CT it was made on, "
            "or plan again on this one"
        )


def describe_faults(error: ValidationError) -> str:
    """Every fault as 'key.path: what is wrong', without echoing values."""
    faults = []
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in fault["loc"]) or "file"
        faults.append(f"{place}: {fault['msg'].removeprefix('Value error, ')}")
    return "; ".join(faults)
