"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_nav.geometry import FloatArray, apply
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration_file import FARTHEST_MM

if TYPE_CHECKING:
    from ir_nav.imaging import Volume

Point = tuple[float, float, float]
MOST_SEED = 2**63 - 1
_NEGATIVE_POINT = re.compile(r"-[\d.][^,]*(,[^,]+){1,2}")


def point_mm(text: str) -> Point:
    """X,Y,Z in LPS mm, for argparse."""
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = FARTHEST_MM
    if not all(abs(value) < FARTHEST_MM for value in (x, y, z)):
        raise argparse.ArgumentTypeError("needs three numbers in mm (LPS): X,Y,Z")
    return x, y, z


def points_joined(arguments: list[str]) -> list[str]:
    """`--target -60,0,-240` as `--target=-60,0,-240`, which argparse would take for an option."""
    joined: list[str] = []
    for one in arguments:
        after_option = bool(joined) and joined[-1].startswith("--") and "=" not in joined[-1]
        if after_option and _NEGATIVE_POINT.fullmatch(one):
            joined[-1] += f"={one}"
        else:
            joined.append(one)
    return joined


def seed(text: str) -> int:
    """Of a random search, for argparse."""
    if not text.isdecimal() or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError("needs a whole number, 0 or more")
    return int(text)


def target_within(ct: Volume, target: Point) -> FloatArray:
    """The target (3,), `ct` mm; RegistrationError where the CT does not show it."""
    voxel = apply(ct.voxel_from_ct, np.array(target))
    if (voxel < -0.5).any() or (voxel > np.array(ct.size_ijk) - 0.5).any():
        words = ",".join(f"{value:g}" for value in target)
        raise RegistrationError(f"--target {words}: lies outside the CT: give a place in LPS mm")
    return np.array(target)


def spare_inputs(command: argparse.ArgumentParser) -> None:
    """Let a command refuse, before it does anything, an --out that is one of its inputs, or a
    place where no file can be."""
    run = command.get_default("run")

    def guarded(options: argparse.Namespace) -> Any:
        out: Path | None = options.out
        if out is None:
            return run(options)
        if out.exists() and not out.is_file():
            raise RegistrationError(f"--out {out}: is no file: give the name of one to write")
        for path in _paths(options):
            if path is not out and out.exists() and path.exists() and path.samefile(out):
                raise RegistrationError(f"--out {out}: is an input too: give another name")
        return run(options)

    command.set_defaults(run=guarded)


def _paths(options: argparse.Namespace) -> Iterator[Path]:
    for value in vars(options).values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Path):
                yield one
