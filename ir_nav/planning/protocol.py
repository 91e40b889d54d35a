"""Protocols: what a kind of procedure allows, as TOML written by people."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ir_nav.planning.plan_errors import PlanError, describe_faults

# Distances are known up to 25.5 mm (distance_kernels): a margin beyond it could not be checked.
LARGEST_MARGIN_MM = 20.0

Name = Annotated[str, Field(min_length=1, max_length=120)]
MarginMm = Annotated[float, Field(ge=0.0, le=LARGEST_MARGIN_MM)]
Patterns = Annotated[tuple[Name, ...], Field(min_length=1)]
Side = Literal["R", "L", "A", "P", "H", "F"]
DeviceKind = Literal["needle", "biopsy", "coaxial", "drainage", "ablation"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(StrEnum):
    """What a structure is to the path."""

    TARGET = "target"
    TRAVERSABLE = "traversable"
    AVOID = "avoid"
    FORBIDDEN = "forbidden"


class Criterion(StrEnum):
    """What a limit can be set to. See docs/planning.md for how each is measured."""

    LENGTH = "length_mm"
    SKIN_ANGLE = "skin_angle_deg"
    CAPSULE_ANGLE = "capsule_angle_deg"
    PARENCHYMA = "parenchyma_mm"
    PLEURA = "pleura_crossings"
    FISSURE = "fissure_crossings"
    GANTRY = "gantry_angle_deg"
    ROBUST = "robust_percent"
    PROBE = "probe_view_percent"


# Worked out for the paths that are shown, not for every voxel of the skin.
ONLY_SHOWN = (Criterion.ROBUST, Criterion.PROBE)


class WithoutLabel(_Strict):
    """How a structure is found where no label names it: CT numbers inside the body."""

    above_hu: float | None = None
    below_hu: float | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> WithoutLabel:
        if (self.above_hu is None) == (self.below_hu is None):
            raise ValueError("give either above_hu or below_hu")
        return self


class StructureRule(_Strict):
    """The role of every label that one of the patterns matches, as in LabelMap.ids_named.

    margin_mm: tissue left between the shaft's surface and the structure, a hard limit;
    preferred_mm: the same as a wish. shadows: ultrasound does not pass.
    """

    name: Name
    role: Role
    patterns: Patterns
    margin_mm: MarginMm = 0.0
    preferred_mm: MarginMm | None = None
    without_label: WithoutLabel | None = None
    shadows: bool = False
    source: Name

    @model_validator(mode="after")
    def _margin_fits_role(self) -> StructureRule:
        kept = self.role in {Role.AVOID, Role.FORBIDDEN}
        if not kept and (self.margin_mm > 0.0 or self.preferred_mm is not None):
            raise ValueError(f"role '{self.role}' keeps no margin: use role 'avoid'")
        if not kept and self.without_label is not None:
            raise ValueError(f"role '{self.role}' is found by its labels: drop without_label")
        if self.preferred_mm is not None and self.preferred_mm <= self.margin_mm:
            raise ValueError("preferred_mm must be larger than margin_mm")
        return self


class Limit(_Strict):
    """A limit of one criterion. hard: a path beyond it is never proposed."""

    criterion: Criterion
    min: float | None = None
    max: float | None = None
    hard: bool = False
    source: Name

    @model_validator(mode="after")
    def _has_an_end(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be smaller than max")
        if self.hard and self.criterion in ONLY_SHOWN:
            raise ValueError(f"{self.criterion} cannot be a hard limit")
        return self

    def allows(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        low = -float("inf") if self.min is None else self.min
        high = float("inf") if self.max is None else self.max
        return low <= value <= high


class ProtocolNeedle(_Strict):
    """A needle the protocol is written for. radius_mm: of the outer surface."""

    name: Name
    gauge: Annotated[int, Field(ge=8, le=30)] | None = None
    radius_mm: Annotated[float, Field(gt=0.0, le=5.0)]
    length_mm: Annotated[float, Field(gt=0.0, le=400.0)]


class Weights(_Strict):
    """How much each aim counts among paths that keep every hard limit."""

    safe: Annotated[float, Field(ge=0.0)] = 3.0
    short: Annotated[float, Field(ge=0.0)] = 1.0
    easy: Annotated[float, Field(ge=0.0)] = 1.0

    @model_validator(mode="after")
    def _one_counts(self) -> Weights:
        if self.safe + self.short + self.easy <= 0.0:
            raise ValueError("one weight at least must be above 0")
        return self


class ProbeView(_Strict):
    """The ultrasound probe beside the needle: how far from it, how deep, how wide it sees."""

    beside_mm: Annotated[float, Field(gt=0.0, le=100.0)] = 25.0
    depth_mm: Annotated[float, Field(gt=0.0, le=300.0)] = 160.0
    half_angle_deg: Annotated[float, Field(gt=0.0, le=90.0)] = 32.0


class RegistrationRules(_Strict):
    """What a registration has to keep before guidance goes by it, whatever method found it.

    good_tre_mm, max_tre_mm: error predicted at the target, rms: up to the first it is accepted,
    up to the second when it is confirmed. least_landmarks: touched and counted. max_age_min: then
    it expires. max_check_mm: how far a landmark that is touched again may lie from its place in
    the CT before the registration expires.
    """

    good_tre_mm: Annotated[float, Field(gt=0.0, le=50.0)] = 5.0
    max_tre_mm: Annotated[float, Field(gt=0.0, le=50.0)] = 15.0
    least_landmarks: Annotated[int, Field(ge=3, le=40)] = 3
    max_age_min: Annotated[float, Field(gt=0.0, le=1440.0)] = 240.0
    max_check_mm: Annotated[float, Field(gt=0.0, le=50.0)] = 6.0
    source: Name = "Console default"

    @model_validator(mode="after")
    def _in_order(self) -> RegistrationRules:
        if self.good_tre_mm > self.max_tre_mm:
            raise ValueError("good_tre_mm must not be larger than max_tre_mm")
        return self


class Protocol(_Strict):
    """Roles, limits and wishes of one kind of procedure.

    structures: the first rule that matches a label holds; labels without one are traversable.
    organ: whose capsule and parenchyma count. pleura: labels of the lobes; a way from one to
    another crosses a fissure. insertions: needles placed in one session; needle_spacing_mm: least
    distance of their shafts, the holes in the skin among them. devices: kinds of instruments that
    the procedure is done with, as in the catalogue; any where none is named.
    """

    format: Literal[2]
    name: Name
    reachable_from: Annotated[tuple[Side, ...], Field(min_length=1)]
    needles: Annotated[tuple[ProtocolNeedle, ...], Field(min_length=1)]
    insertions: Annotated[int, Field(ge=1, le=12)] = 1
    needle_spacing_mm: Annotated[float, Field(ge=0.0, le=50.0)] = 5.0
    devices: tuple[DeviceKind, ...] = ()
    structures: tuple[StructureRule, ...]
    limits: tuple[Limit, ...]
    weights: Weights = Weights()
    organ: tuple[Name, ...] = ()
    pleura: tuple[Name, ...] = ("lung_*",)
    probe: ProbeView | None = None
    registration: RegistrationRules = RegistrationRules()
    checklist: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Protocol:
        lengths = [limit for limit in self.of(Criterion.LENGTH) if limit.hard]
        if len(lengths) != 1 or lengths[0].min is None or lengths[0].max is None:
            raise ValueError("one hard limit of length_mm with min and max is needed")
        if lengths[0].max > self.needle.length_mm:
            raise ValueError("max of length_mm is longer than the needle (the first of needles)")
        names = [rule.name for rule in self.structures]
        if len(set(names)) != len(names):
            raise ValueError("two structures have the same name")
        if self.of(Criterion.PROBE) and self.probe is None:
            raise ValueError("a limit of probe_view_percent needs a [probe] table")
        return self

    def of(self, criterion: Criterion) -> tuple[Limit, ...]:
        """The limits of one criterion, hard ones first."""
        found = [limit for limit in self.limits if limit.criterion is criterion]
        return tuple(sorted(found, key=lambda limit: not limit.hard))

    @property
    def needle(self) -> ProtocolNeedle:
        """The first needle: the one paths are searched for."""
        return self.needles[0]

    @property
    def min_length_mm(self) -> float:
        low = self.of(Criterion.LENGTH)[0].min
        assert low is not None
        return low

    @property
    def max_length_mm(self) -> float:
        """The longest path; no longer than the needle."""
        high = self.of(Criterion.LENGTH)[0].max
        assert high is not None
        return high

    @property
    def max_skin_angle_deg(self) -> float:
        """The hard limit to the skin's normal; 90 without one."""
        ends = [limit.max for limit in self.of(Criterion.SKIN_ANGLE) if limit.hard]
        return min((end for end in ends if end is not None), default=90.0)

    @property
    def kept(self) -> tuple[StructureRule, ...]:
        """The rules a path keeps away from: avoid and forbidden, in order."""
        away = {Role.AVOID, Role.FORBIDDEN}
        return tuple(rule for rule in self.structures if rule.role in away)


def read_protocol(path: Path) -> Protocol:
    """Read a protocol file; PlanError names the file, the key and the fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return Protocol.model_validate(document)
    except ValidationError as error:
        raise PlanError(f"{path}: {describe_faults(error)}") from None
    except (OSError, RecursionError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: not a protocol file ({error})") from None


def shipped_protocol(name: str = "liver_biopsy") -> Protocol:
    """A protocol that comes with the console."""
    with resources.as_file(resources.files("plans") / "protocols" / f"{name}.toml") as path:
        return read_protocol(path)


def shipped_protocols() -> tuple[str, ...]:
    """Names of the protocols that come with the console, as shipped_protocol takes them."""
    with resources.as_file(resources.files("plans") / "protocols") as folder:
        return tuple(sorted(path.stem for path in folder.glob("*.toml")))
