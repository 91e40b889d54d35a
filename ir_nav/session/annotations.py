"""Measurements and notes in a CT: they belong to it, and are kept between procedures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike
from platformdirs import user_data_path
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
from ir_nav.geometry import FloatArray
from ir_nav.session.errors import SessionError
from ir_nav.whole_file import write_whole

PointMm = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
MOST_ITEMS = 2_000
MOST_UNDOS = 200
# Points clicked in one plane; rounding apart they stay in it.
FLAT_MM = 0.5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Item(_Strict):
    """id: the same through every change. right_ct, down_ct: the plane it was drawn in."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] = Field(
        default_factory=lambda: uuid4().hex[:12]
    )
    name: Annotated[str, Field(max_length=200)] = ""
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    right_ct: PointMm = (1.0, 0.0, 0.0)
    down_ct: PointMm = (0.0, 1.0, 0.0)

    @model_validator(mode="after")
    def _has_a_plane(self) -> _Item:
        if float(np.linalg.norm(np.cross(self.right_ct, self.down_ct))) < 0.5:
            raise ValueError("right_ct and down_ct are two unit directions at right angles")
        return self


class Probe(_Item):
    """The CT number at a point."""

    kind: Literal["probe"] = "probe"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=1, max_length=1)]


class Distance(_Item):
    kind: Literal["distance"] = "distance"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=2, max_length=2)]


class Angle(_Item):
    """The second point is where the arms meet."""

    kind: Literal["angle"] = "angle"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=3, max_length=3)]


class Ellipse(_Item):
    """Centre, and the ends of two half-axes."""

    kind: Literal["ellipse"] = "ellipse"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=3, max_length=3)]


class Polygon(_Item):
    """Corners of a flat area."""

    kind: Literal["polygon"] = "polygon"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=3, max_length=400)]

    @model_validator(mode="after")
    def _is_flat(self) -> Polygon:
        normal = np.cross(self.right_ct, self.down_ct)
        off = (np.array(self.points_ct_mm) - self.points_ct_mm[0]) @ normal
        if float(np.abs(off).max()) > FLAT_MM:
            raise ValueError("the corners do not lie in the plane right_ct, down_ct")
        return self


class Ball(_Item):
    """Centre and a point on the surface."""

    kind: Literal["ball"] = "ball"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=2, max_length=2)]


class Arrow(_Item):
    """Tip and tail of an arrow; its words stand at the tail."""

    kind: Literal["arrow"] = "arrow"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=2, max_length=2)]


class Curve(_Item):
    """Points on a vessel, a duct or the bowel, for its straightened picture."""

    kind: Literal["curve"] = "curve"
    points_ct_mm: Annotated[tuple[PointMm, ...], Field(min_length=2, max_length=400)]


Annotation = Probe | Distance | Angle | Ellipse | Polygon | Ball | Arrow | Curve
AnyAnnotation = Annotated[Annotation, Field(discriminator="kind")]


class AnnotationFile(_Strict):
    """All annotations of one CT, LPS mm."""

    format: Literal[1] = 1
    ct_identity: Annotated[str, Field(min_length=1)]
    items: Annotated[tuple[AnyAnnotation, ...], Field(max_length=MOST_ITEMS)] = ()
    saved: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    software: str = f"ir-nav {__version__}"
    label: str = RESEARCH_LABEL

    @model_validator(mode="after")
    def _names_each_once(self) -> AnnotationFile:
        if len({item.id for item in self.items}) != len(self.items):
            raise ValueError("two annotations have the same id")
        return self


def point_mm(point_ct_mm: ArrayLike) -> PointMm:
    """A point (3,) as it is stored: mm, to a thousandth."""
    x, y, z = (round(float(value), 3) for value in np.asarray(point_ct_mm, np.float64))
    return x, y, z


def points_of(item: Annotation) -> FloatArray:
    """(n, 3) points in `ct`, mm."""
    return np.array(item.points_ct_mm, dtype=np.float64)


def default_folder() -> Path:
    """Where annotations of every CT are kept, for this user."""
    return user_data_path("ir-nav", appauthor=False) / "annotations"


def file_of(folder: Path, ct_identity: str) -> Path:
    """One file a CT; its identity is hashed, for it may hold signs no file name has."""
    digest = hashlib.blake2b(ct_identity.encode("utf-8"), digest_size=16).hexdigest()
    return folder / f"{digest}.annotations.json"


def save_annotations(document: AnnotationFile, path: Path) -> None:
    """Write atomically; SessionError says why it cannot be."""
    try:
        write_whole(path, (document.model_dump_json(indent=1) + "\n").encode("utf-8"))
    except OSError as error:
        raise SessionError(
            f"the annotations cannot be written to {path} ({error.strerror}): "
            "they are lost when the console is closed"
        ) from None


def load_annotations(path: Path, ct_identity: str) -> AnnotationFile:
    """Read the annotations of the CT at hand.

    Raises SessionError that names the key that is wrong, or says that they are another CT's.
    """
    try:
        document = AnnotationFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SessionError(f"{path}: there is no such file") from None
    except ValidationError as error:
        raise SessionError(f"{path}: {_faults(error)}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SessionError(f"{path}: not a file of annotations ({error})") from None
    if document.ct_identity != ct_identity:
        raise SessionError(
            f"{path.name}: these annotations belong to another CT: open that CT first"
        )
    return document


class AnnotationBook:
    """The annotations of the CT at hand, with undo; every change is saved at once.

    folder: where files are kept. changed: called after every change.
    """

    def __init__(
        self, folder: Path | None = None, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._path: Path | None = None
        self._identity: str | None = None
        self._unsaved = False
        self.items: tuple[Annotation, ...] = ()
        self._before: list[tuple[Annotation, ...]] = []
        self._after: list[tuple[Annotation, ...]] = []

    @property
    def can_undo(self) -> bool:
        return bool(self._before)

    @property
    def unsaved(self) -> bool:
        """Whether the last change could not be written."""
        return self._unsaved

    def open(self, ct_identity: str | None) -> None:
        """Take up another CT with what was annotated in it; None for no CT.

        Raises SessionError for a damaged file, which is put aside under another name.
        """
        if ct_identity == self._identity:
            return
        self._identity, self.items, self._unsaved = ct_identity, (), False
        self._before, self._after, self._path = [], [], None
        try:
            if ct_identity is not None:
                self._path = file_of(self._folder or default_folder(), ct_identity)
                if self._path.exists():
                    self.items = load_annotations(self._path, ct_identity).items
        except SessionError:
            self._put_aside()
            raise
        finally:
            self._changed()

    def add(self, item: Annotation) -> None:
        """Add one."""
        if len(self.items) >= MOST_ITEMS:
            raise SessionError(f"a CT holds at most {MOST_ITEMS} annotations: delete some first")
        self._take((*self.items, item))

    def replace(self, item: Annotation) -> None:
        """Put a changed one in the place of the one with its id."""
        self._require(item.id)
        self._take(tuple(item if kept.id == item.id else kept for kept in self.items))

    def delete(self, item_id: str) -> None:
        """Remove one."""
        self._require(item_id)
        self._take(tuple(kept for kept in self.items if kept.id != item_id))

    def find(self, item_id: str | None) -> Annotation | None:
        """The one with an id, or None."""
        return next((item for item in self.items if item.id == item_id), None)

    def undo(self) -> None:
        """Take back the last change."""
        if not self._before:
            raise SessionError("no annotation to undo")
        self._after.append(self.items)
        self._put(self._before.pop())

    def redo(self) -> None:
        """Make the change again that was taken back."""
        if not self._after:
            raise SessionError("no annotation to redo")
        self._before.append(self.items)
        self._put(self._after.pop())

    def save_to(self, path: Path) -> None:
        """Write a copy elsewhere."""
        save_annotations(self._document(), path)

    def load_from(self, path: Path) -> None:
        """Take those of a file in place of the ones at hand; can be undone."""
        if self._identity is None:
            raise SessionError("open a CT first")
        self._take(load_annotations(path, self._identity).items)

    def _document(self) -> AnnotationFile:
        if self._identity is None:
            raise SessionError("open a CT first")
        return AnnotationFile(ct_identity=self._identity, items=self.items)

    def _require(self, item_id: str) -> None:
        if self.find(item_id) is None:
            raise SessionError("that annotation is gone")

    def _take(self, items: tuple[Annotation, ...]) -> None:
        if self._identity is None:
            raise SessionError("open a CT first")
        self._before = [*self._before[-MOST_UNDOS:], self.items]
        self._after = []
        self._put(items)

    def _put(self, items: tuple[Annotation, ...]) -> None:
        self.items = items
        try:
            if self._path is not None:
                save_annotations(self._document(), self._path)
            self._unsaved = False
        except SessionError:
            self._unsaved = True
            raise
        finally:
            self._changed()

    def _put_aside(self) -> None:
        """Keep a file that cannot be read beside the one that is written from now on."""
        if self._path is None:
            return
        try:
            os.replace(self._path, self._path.with_name(f"{self._path.name}.damaged"))
        except OSError:
            self._path = None


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)
    )
