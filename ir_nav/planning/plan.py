"""The plan: straight paths in one CT and the instrument for them, saved as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import AwareDatetime, Field, ValidationError, model_validator

from ir_nav import RESEARCH_LABEL, __version__
from ir_nav.geometry import FloatArray, read_only
from ir_nav.planning.instruments import (
    MIN_LENGTH_MM,
    Ablation,
    Instrument,
    Needle,
    PointMm,
    Straight,
    Strict,
    require_length,
)
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan_errors import PlanError, describe_faults
from ir_nav.whole_file import write_whole

__all__ = [
    "MIN_LENGTH_MM",
    "Needle",
    "Plan",
    "PlanError",
    "PointMm",
    "content_hash",
    "describe_faults",
    "load_plan",
    "plan_schema",
    "require_same_ct",
    "save_plan",
]

HASH = "content_hash"


class Plan(Strict):
    """A straight path from the skin to a target, in the planning CT (LPS, mm), and its instrument.

    target_ct_mm: where the guided tip comes to rest, which is what is aimed at for a plain needle
    and short of it for one that is fired (see aim_ct_mm). structure: what is aimed at.
    Format 1, which knew only a needle, is read and lifted.
    protocol: the name of the protocol whose limits held.
    """

    format: Literal[2] = 2
    name: Annotated[str, Field(min_length=1, max_length=120)]
    ct_identity: str
    entry_ct_mm: PointMm
    target_ct_mm: PointMm
    structure: str = ""
    instrument: Instrument = Straight()
    protocol: str = ""
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    author: str = ""
    software: str = f"ir-nav {__version__}"
    label: str = RESEARCH_LABEL

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, document: Any) -> Any:
        """Format 1 as format 2: its needle becomes the instrument."""
        if not isinstance(document, Mapping) or document.get("format") != 1:
            return document
        lifted = {key: value for key, value in document.items() if key != "needle"}
        # What format 1 did not have is unknown in it, and refused under its own name.
        lifted.update({f"{key} (format 1)": None for key in _NEW_KEYS if key in document})
        straight = {"kind": "needle", "needle": document.get("needle", {})}
        return {**lifted, "format": 2, "instrument": straight}

    @model_validator(mode="after")
    def _has_a_length(self) -> Plan:
        require_length(self.entry_ct_mm, self.target_ct_mm)
        return self

    @property
    def needle(self) -> Needle:
        """The straight part that is guided along `path`."""
        return self.instrument.needle

    @property
    def path(self) -> PlannedPath:
        """The path of the needle, of the first where there are several."""
        return PlannedPath.between(self.entry_ct_mm, self.target_ct_mm)

    @property
    def aim_ct_mm(self) -> FloatArray:
        """(3,) what is aimed at: middle of the sample, or of the zone, or the tip itself."""
        path = self.path
        return read_only(path.target_ct_mm + path.direction_ct * self.instrument.aim_ahead_mm)

    def for_instrument(self, instrument: Instrument) -> Plan:
        """The same entry and aim with another instrument: its tip rests where it must for that.

        PlanError when the path is too short for the instrument.
        """
        straight = PlannedPath.between(self.entry_ct_mm, self.aim_ct_mm)
        rest_mm = straight.length_mm - instrument.aim_ahead_mm
        if rest_mm < MIN_LENGTH_MM:
            raise PlanError(
                f"the path is {straight.length_mm:.0f} mm long, too short for this instrument: "
                f"its tip would rest {instrument.aim_ahead_mm:.0f} mm before what is aimed at"
            )
        x, y, z = (straight.entry_ct_mm + straight.direction_ct * rest_mm).tolist()
        return self.model_copy(update={"instrument": instrument, "target_ct_mm": (x, y, z)})

    @property
    def paths(self) -> tuple[PlannedPath, ...]:
        """The path of every needle, `path` first."""
        if not isinstance(self.instrument, Ablation):
            return (self.path,)
        further = self.instrument.further
        return (
            self.path,
            *(PlannedPath.between(one.entry_ct_mm, one.target_ct_mm) for one in further),
        )


_NEW_KEYS = ("instrument", "protocol", HASH)


class PlanFile(Plan):
    """A plan as it stands in a file. content_hash: see `content_hash`."""

    content_hash: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]


def content_hash(plan: Plan) -> str:
    """'sha256:' and the SHA-256 of the plan as canonical JSON (RFC 8785), without the hash."""
    return _hash_of(json.loads(plan.model_dump_json(exclude={HASH})))


def save_plan(plan: Plan, path: Path) -> None:
    """Write atomically: a crash leaves the old file or the new one, never half of one."""
    document = json.loads(plan.model_dump_json(exclude={HASH}))
    document[HASH] = _hash_of(document)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode("utf-8"))


def load_plan(path: Path) -> Plan:
    """Read a plan; PlanError names the file, the key and what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once_each)
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such plan file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path}: not a plan file ({error})") from None
    try:
        if isinstance(document, dict) and document.get("format") == 1:
            return Plan.model_validate(document)
        read = PlanFile.model_validate(document)
    except ValidationError as error:
        raise PlanError(f"{path}: {describe_faults(error)}") from None
    stated = document.pop(HASH)
    try:
        unchanged = _hash_of(document) == stated
    except rfc8785.CanonicalizationError:  # a number that no console writes
        unchanged = False
    if not unchanged:
        raise PlanError(
            f"{path}: content_hash: the file was changed after the console wrote it: plan again, "
            "or take the original file"
        )
    return Plan.model_validate(read.model_dump(exclude={HASH}))


def require_same_ct(plan: Plan, ct_identity: str) -> None:
    """Raise PlanError when the plan was made on another CT."""
    if plan.ct_identity != ct_identity:
        raise PlanError(
            f"plan '{plan.name}' belongs to another CT: open the CT it was made on, "
            "or plan again on this one"
        )


def plan_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of plan files that the console writes."""
    schema = PlanFile.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Plan of the interventional-radiology navigation console, format 2"
    # What the software writes is no promise of the format.
    schema["properties"]["software"].pop("default")
    return schema


def _hash_of(document: dict[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(rfc8785.dumps(document)).hexdigest()}"


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers disagree on which of two equal keys holds: neither does."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document
