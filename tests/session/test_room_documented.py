"""docs/room-file.md names every key with its default, and its examples are read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from devices.ndi.transport import BAUD_DIGITS
from ir_nav.session.device_entries import KINDS, CropEntry, NdiBaud, PlugEntry
from ir_nav.session.room import (
    CaseEntry,
    FiducialEntry,
    FluoroEntry,
    OperatorEntry,
    ReachEntry,
    Room,
    ToolEntry,
    UltrasoundEntry,
    parse_room,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "room-file.md").read_text(encoding="utf-8")
MODELS: dict[str, type[BaseModel]] = {
    "room": Room,
    **{f"devices: {kind}": model for kind, model in KINDS.items()},
    "ndi: a wired tool": PlugEntry,
    "video: crop": CropEntry,
    "tools": ToolEntry,
    "ultrasound": UltrasoundEntry,
    "fluoro": FluoroEntry,
    "fluoro: reach": ReachEntry,
    "case": CaseEntry,
    "case: fiducials": FiducialEntry,
    "operator": OperatorEntry,
}
HEAD = 'format = 1\nname = "R"\nsource = "live"\n'
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)


def sections() -> dict[str, dict[str, tuple[str, str]]]:
    """Unit and default of each key, by section with a table."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for part in re.split(r"^##+ ", DOCUMENT, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|", body, re.MULTILINE)
        if rows:
            found[title] = {key: (unit.strip(), default.strip()) for key, unit, default in rows}
    return found


def test_every_part_of_the_file_has_its_section() -> None:
    assert set(sections()) == set(MODELS)


@pytest.mark.parametrize("section", MODELS)
def test_every_key_is_documented_with_its_default(section: str) -> None:
    documented, fields = sections()[section], MODELS[section].model_fields
    assert set(documented) == set(fields)
    for key, (_, default) in documented.items():
        field = fields[key]
        if field.is_required():
            assert default == "required", key
        elif field.default is None:
            assert default == "none", key
        else:
            written = tomllib.loads(f"value = {default.strip('`')}")["value"]
            expected = list(field.default) if isinstance(field.default, tuple) else field.default
            assert written == expected, key
            assert type(written) is type(expected), key


def test_a_key_that_ends_in_a_unit_states_it() -> None:
    units = {"_s": "s", "_hz": "Hz", "_mm": "mm", "_px": "px", "_deg": "°"}
    for section, keys in sections().items():
        for key, (unit, _) in keys.items():
            for ending, expected in units.items():
                if key.endswith(ending):
                    assert unit == expected, f"{section}: {key}"


def test_the_examples_are_room_files_and_cover_every_kind() -> None:
    kinds = set()
    for example in EXAMPLES:
        text = example if example.startswith("format") else HEAD + example
        kinds |= {device.kind for device in parse_room(text, None).devices}
    assert kinds == set(KINDS)


def test_the_baud_rates_are_those_of_the_driver() -> None:
    assert set(NdiBaud.__args__) == set(BAUD_DIGITS)  # type: ignore[attr-defined]
