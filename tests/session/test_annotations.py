"""Annotations stay with their CT, and only with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ir_nav.session.annotations import (
    AnnotationBook,
    Arrow,
    Ball,
    Curve,
    Distance,
    Ellipse,
    Polygon,
    Probe,
    file_of,
    load_annotations,
    point_mm,
)
from ir_nav.session.errors import SessionError

CT = "blake2b:0123"
LINE = Distance(points_ct_mm=((0.0, 0.0, 0.0), (3.0, 4.0, 0.0)), name="lesion")


def book(folder: Path, identity: str | None = CT) -> AnnotationBook:
    made = AnnotationBook(folder)
    made.open(identity)
    return made


def test_what_was_drawn_is_there_when_the_ct_is_opened_again(tmp_path: Path) -> None:
    first = book(tmp_path)
    items = (
        LINE,
        Probe(points_ct_mm=((1.0, 2.0, 3.0),)),
        Ellipse(points_ct_mm=((0, 0, 0), (5, 0, 0), (0, 3, 0))),
        Polygon(points_ct_mm=((0, 0, 1), (5, 0, 1), (0, 3, 1))),
        Ball(points_ct_mm=((0, 0, 0), (5, 0, 0))),
        Arrow(points_ct_mm=((0, 0, 0), (5, 0, 0)), name="this one"),
        Curve(points_ct_mm=((0, 0, 0), (5, 0, 0), (9, 2, 8))),
    )
    for item in items:
        first.add(item)
    assert book(tmp_path).items == items
    assert book(tmp_path, "blake2b:other").items == ()
    assert not list(tmp_path.glob("*.part"))


def test_change_delete_undo_redo_are_saved_too(tmp_path: Path) -> None:
    made = book(tmp_path)
    made.add(LINE)
    moved = LINE.model_copy(update={"points_ct_mm": ((0.0, 0.0, 0.0), (0.0, 0.0, 9.0))})
    made.replace(moved)
    made.delete(LINE.id)
    assert book(tmp_path).items == ()
    made.undo()
    assert book(tmp_path).items == (moved,)
    made.undo()
    assert made.items == (LINE,)
    made.redo()
    assert book(tmp_path).items == (moved,)
    made.undo()
    made.undo()
    with pytest.raises(SessionError, match="undo"):
        made.undo()
    made.redo()
    made.add(Probe(points_ct_mm=((1.0, 2.0, 3.0),)))
    with pytest.raises(SessionError, match="redo"):
        made.redo()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d["items"][0].update(points_ct_cm=[]), "points_ct_cm"),
        (lambda d: d["items"][0].update(kind="square"), "kind"),
        (lambda d: d["items"][0].update(points_ct_mm=[[1, 2, 3]]), "points_ct_mm"),
        (lambda d: d["items"][0]["points_ct_mm"][0].__setitem__(0, "NaN"), "points_ct_mm"),
        (lambda d: d["items"].append(d["items"][0]), "same id"),
        (lambda d: d["items"][0].update(down_ct=[1, 0, 0]), "right angles"),
        (lambda d: d.update(ct_identity="blake2b:other"), "another CT"),
        (lambda d: d.update(format=2), "format"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_key(
    tmp_path: Path, change: object, said: str
) -> None:
    made = book(tmp_path)
    made.add(LINE)
    path = file_of(tmp_path, CT)
    document = json.loads(path.read_text())
    change(document)  # type: ignore[operator]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    with pytest.raises(SessionError, match=said):
        made.load_from(other)
    assert made.items == (LINE,)


def test_a_damaged_file_is_kept_and_said(tmp_path: Path) -> None:
    path = file_of(tmp_path, CT)
    path.write_text('{"format": 1, "items": [')
    made = AnnotationBook(tmp_path)
    with pytest.raises(SessionError, match="not a file of annotations"):
        made.open(CT)
    made.add(LINE)
    assert load_annotations(path, CT).items == (LINE,)
    assert path.with_name(f"{path.name}.damaged").read_text().startswith('{"format": 1, "items')


def test_a_place_that_cannot_be_written_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    made = AnnotationBook(blocked)
    made.open(CT)
    with pytest.raises(SessionError, match="cannot be written"):
        made.add(LINE)
    assert made.items == (LINE,)
    assert made.unsaved


def test_copies_go_where_they_are_told_and_come_back(tmp_path: Path) -> None:
    made = book(tmp_path / "one")
    made.add(LINE)
    made.save_to(tmp_path / "copy.json")
    other = book(tmp_path / "two")
    other.load_from(tmp_path / "copy.json")
    assert other.items == (LINE,)
    other.undo()
    assert other.items == ()


def test_no_ct_no_annotations(tmp_path: Path) -> None:
    made = book(tmp_path, None)
    with pytest.raises(SessionError, match="open a CT"):
        made.add(LINE)
    assert made.items == ()
    assert point_mm((1.23456, -2.0, 3)) == (1.235, -2.0, 3.0)
