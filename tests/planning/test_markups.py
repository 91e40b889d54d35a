"""Slicer markups: what is written reads back, and files as Slicer writes them are understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_nav.planning import PlanError
from ir_nav.planning.markups import read_markup_path, write_markups
from tests.planning.test_plan_kinds import plan_of, with_two_needles

ENTRY, TARGET = [10.0, -80.0, 5.0], [12.0, 4.0, 30.0]


def slicer_file(path: Path, points: list[list[float]], **changes: Any) -> Path:
    """A file as 3D Slicer 5 writes it, display properties and all."""
    labels = changes.pop("labels", [f"L-{n + 1}" for n in range(len(points))])
    markup = {
        "type": "Line",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 2,
        "controlPoints": [
            {
                "id": str(number + 1),
                "label": label,
                "description": "",
                "associatedNodeID": "vtkMRMLScalarVolumeNode1",
                "position": point,
                "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
            for number, (label, point) in enumerate(zip(labels, points, strict=True))
        ],
        "measurements": [{"name": "length", "enabled": True, "units": "mm"}],
        "display": {"visibility": True, "opacity": 1.0, "color": [0.4, 1.0, 1.0]},
    }
    document = {
        "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/"
        "Markups/Resources/Schema/markups-schema-v1.0.3.json#",
        "markups": [markup | changes],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_line_is_read_from_entry_to_target(tmp_path: Path) -> None:
    path = read_markup_path(slicer_file(tmp_path / "L.mrk.json", [ENTRY, TARGET]))
    np.testing.assert_array_equal(path.entry_ct_mm, ENTRY)
    np.testing.assert_array_equal(path.target_ct_mm, TARGET)


def test_ras_becomes_lps_at_the_door(tmp_path: Path) -> None:
    ras = [[-x, -y, z] for x, y, z in (ENTRY, TARGET)]
    file = slicer_file(tmp_path / "L.mrk.json", ras, coordinateSystem="RAS")
    path = read_markup_path(file)
    np.testing.assert_array_equal(path.entry_ct_mm, ENTRY)
    np.testing.assert_array_equal(path.target_ct_mm, TARGET)


@pytest.mark.parametrize("units", ["um", ["um", "UCUM", "micrometer"]])
def test_micrometres_are_converted(tmp_path: Path, units: Any) -> None:
    micro = [[1000.0 * value for value in point] for point in (ENTRY, TARGET)]
    path = read_markup_path(slicer_file(tmp_path / "L.mrk.json", micro, coordinateUnits=units))
    np.testing.assert_allclose(path.target_ct_mm, TARGET)


def test_what_slicer_leaves_out_is_lps_and_mm(tmp_path: Path) -> None:
    file = tmp_path / "short.mrk.json"
    points = [{"position": ENTRY}, {"position": TARGET}]
    file.write_text(json.dumps({"markups": [{"type": "Line", "controlPoints": points}]}))
    np.testing.assert_array_equal(read_markup_path(file).entry_ct_mm, ENTRY)


@pytest.mark.parametrize(
    ("labels", "target_first", "turned"),
    [
        (["L-1", "L-2"], False, False),
        (["L-1", "L-2"], True, True),
        (["Target", "Entry"], False, True),
        (["target 1", "L-2"], False, True),
        (["L-1", "skin"], False, True),
        (["Entry", "Target"], True, False),
    ],
)
def test_labels_say_which_end_is_which(
    tmp_path: Path, labels: list[str], target_first: bool, turned: bool
) -> None:
    file = slicer_file(tmp_path / "L.mrk.json", [ENTRY, TARGET], labels=labels)
    path = read_markup_path(file, target_first=target_first)
    np.testing.assert_array_equal(path.entry_ct_mm, TARGET if turned else ENTRY)


def test_a_straight_curve_is_a_path_and_a_bent_one_is_none(tmp_path: Path) -> None:
    middle = (np.array(ENTRY) + TARGET) / 2.0
    file = tmp_path / "C.mrk.json"
    slightly = np.add(middle, (1.0, 0.0, 0.0)).tolist()
    path = read_markup_path(slicer_file(file, [ENTRY, slightly, TARGET], type="Curve"))
    np.testing.assert_array_equal(path.target_ct_mm, TARGET)
    bent = np.add(middle, (9.0, 0.0, 0.0)).tolist()
    with pytest.raises(PlanError, match=r"leaves the straight line by 9\.0 mm"):
        read_markup_path(slicer_file(file, [ENTRY, bent, TARGET], type="Curve"))


def test_two_labelled_points_are_a_path(tmp_path: Path) -> None:
    file = tmp_path / "F.mrk.json"
    labels = ["other", "Target", "Entry"]
    points = [[0.0, 0.0, 0.0], TARGET, ENTRY]
    path = read_markup_path(slicer_file(file, points, labels=labels, type="Fiducial"))
    np.testing.assert_array_equal(path.entry_ct_mm, ENTRY)
    with pytest.raises(PlanError, match="label one point Entry and one Target, found 0 and 0"):
        read_markup_path(slicer_file(file, points, type="Fiducial"))


@pytest.mark.parametrize(
    ("points", "changes", "words"),
    [
        ([ENTRY], {}, "a path needs two points"),
        ([ENTRY, ENTRY], {}, "both ends lie in one place"),
        ([ENTRY, TARGET], {"type": "Plane"}, "a Plane is no path"),
        ([ENTRY, TARGET], {"coordinateUnits": "cm"}, "unit 'cm' is not known"),
        ([ENTRY, TARGET], {"coordinateSystem": "IJK"}, r"coordinateSystem: .*'LPS'"),
        ([ENTRY, [1.0, float("nan"), 0.0]], {}, r"controlPoints\.1\.position\.1: .*finite"),
        ([ENTRY, [1.0, 2.0]], {}, r"controlPoints\.1\.position\.2: Field required"),
        (
            [ENTRY, TARGET],
            {"controlPoints": [{"position": ENTRY}, {"positionStatus": "undefined"}]},
            r"controlPoints\.1: this point was never placed",
        ),
    ],
)
def test_each_fault_is_told_with_its_file_and_key(
    tmp_path: Path, points: list[list[float]], changes: dict[str, Any], words: str
) -> None:
    file = slicer_file(tmp_path / "L.mrk.json", points, **changes)
    with pytest.raises(PlanError, match=words) as refusal:
        read_markup_path(file)
    assert str(refusal.value).startswith(f"{file}: ")


@pytest.mark.parametrize("content", ["", "[]", '{"markups": []}', "[" * 100_000, "\x00"])
def test_what_is_no_markups_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "L.mrk.json"
    file.write_text(content)
    with pytest.raises(PlanError):
        read_markup_path(file)
    with pytest.raises(PlanError, match="there is no such markups file"):
        read_markup_path(tmp_path / "none.mrk.json")


def test_a_plan_survives_the_way_to_slicer_and_back(tmp_path: Path) -> None:
    plan = plan_of("biopsy")
    file = tmp_path / "out" / "plan.mrk.json"
    write_markups(plan, file)
    back = read_markup_path(file)
    np.testing.assert_array_equal(back.entry_ct_mm, plan.entry_ct_mm)
    np.testing.assert_array_equal(back.target_ct_mm, plan.target_ct_mm)
    assert [one.name for one in file.parent.iterdir()] == ["plan.mrk.json"]


def test_every_needle_is_a_line_that_slicer_knows(tmp_path: Path) -> None:
    """The keys and enumerations of markups-schema-v1.0.3."""
    plan = with_two_needles()
    file = tmp_path / "plan.mrk.json"
    write_markups(plan, file)
    document = json.loads(file.read_text())
    assert document["@schema"].endswith("markups-schema-v1.0.3.json#")
    assert [one["name"] for one in document["markups"]] == ["Segment VI 1", "Segment VI 2"]
    for markup, path in zip(document["markups"], plan.paths, strict=True):
        assert (markup["type"], markup["coordinateSystem"]) == ("Line", "LPS")
        assert markup["coordinateUnits"] == "mm"
        assert [point["label"] for point in markup["controlPoints"]] == ["Entry", "Target"]
        np.testing.assert_array_equal(markup["controlPoints"][0]["position"], path.entry_ct_mm)
        assert all(point["positionStatus"] == "defined" for point in markup["controlPoints"])
        assert markup["measurements"][0]["value"] == pytest.approx(path.length_mm)
    with pytest.raises(PlanError, match="2 markups in one file: save the one line alone"):
        read_markup_path(file)
