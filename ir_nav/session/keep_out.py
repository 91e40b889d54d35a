"""Skin that must not be an entry (drain, wound, drape): painted as balls, kept for its CT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ir_nav import RESEARCH_LABEL, __version__
from ir_nav.imaging import BoolArray
from ir_nav.planning import describe_faults
from ir_nav.planning.skin import Skin
from ir_nav.session.annotations import PointMm, default_folder, file_of, point_mm
from ir_nav.session.errors import SessionError
from ir_nav.whole_file import write_whole

SMALLEST_MM, LARGEST_MM = 3.0, 60.0
MOST_DABS = 5_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dab(_Strict):
    """Skin within radius_mm of a point in `ct` is kept free, or free to be entered again."""

    centre_ct_mm: PointMm
    radius_mm: Annotated[FiniteFloat, Field(ge=SMALLEST_MM, le=LARGEST_MM)]
    erase: bool = False


Dabs = tuple[Dab, ...]


class KeepOutFile(_Strict):
    """The skin of one CT that is kept free, LPS mm; later dabs win over earlier ones."""

    format: Literal[1] = 1
    ct_identity: Annotated[str, Field(min_length=1)]
    dabs: Annotated[Dabs, Field(max_length=MOST_DABS)] = ()
    software: str = f"ir-nav {__version__}"
    label: str = RESEARCH_LABEL


def stroke(points_ct_mm: ArrayLike, radius_mm: float, *, erase: bool = False) -> Dabs:
    """Dabs along a drawn line (n, 3) mm, a third of the radius apart or more."""
    points = np.asarray(points_ct_mm, np.float64)
    kept = [points[0]]
    for point in points[1:]:
        if float(np.linalg.norm(point - kept[-1])) >= radius_mm / 3.0:
            kept.append(point)
    return tuple(
        Dab(centre_ct_mm=point_mm(point), radius_mm=radius_mm, erase=erase) for point in kept
    )


def kept_out(dabs: Dabs, skin: Skin) -> BoolArray | None:
    """(skin,) bool, the skin voxels that must not be entered; None when nothing is painted."""
    if not dabs:
        return None
    mask = np.zeros(len(skin), dtype=np.bool_)
    for dab in dabs:
        mask[skin.tree.query_ball_point(dab.centre_ct_mm, dab.radius_mm)] = not dab.erase
    return mask


def keep_out_file(ct_identity: str, folder: Path | None = None) -> Path:
    """Where the skin kept free of a CT is stored, beside its annotations."""
    beside = file_of(folder or default_folder(), ct_identity)
    return beside.with_name(beside.name.replace(".annotations.", ".keep-out."))


def save_keep_out(dabs: Dabs, ct_identity: str, path: Path) -> None:
    """Write atomically; SessionError says why it cannot be."""
    document = KeepOutFile(ct_identity=ct_identity, dabs=dabs)
    try:
        write_whole(path, (document.model_dump_json(indent=1) + "\n").encode("utf-8"))
    except OSError as error:
        raise SessionError(
            f"the skin kept free cannot be written to {path} ({error.strerror}): "
            "it is lost when the console is closed"
        ) from None


def load_keep_out(path: Path, ct_identity: str) -> Dabs:
    """Read what was painted on the CT at hand; nothing when there is no file.

    SessionError names the key that is wrong, or says that the file is another CT's.
    """
    try:
        document = KeepOutFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise SessionError(f"{path}: {describe_faults(error)}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SessionError(f"{path}: not a file of skin kept free ({error})") from None
    if document.ct_identity != ct_identity:
        raise SessionError(f"{path.name}: this belongs to another CT: paint it again")
    return document.dabs
