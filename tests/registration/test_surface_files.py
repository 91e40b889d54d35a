"""Meshes and points from files, and `ir-nav register surface`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav.cli import main
from ir_nav.geometry import apply, rigid, rigid_inverse, rotation_from_vector
from ir_nav.imaging import Mesh
from ir_nav.registration import RegistrationError
from ir_nav.registration.point_files import read_points
from ir_nav.registration.surface import read_mesh
from tests.registration.surfaces_made import meshed, off_mm, pushed, swiped, table, torso

CT_FROM_REFERENCE = rigid(rotation_from_vector([0.4, -0.8, 1.1]), [120.0, -45.0, 300.0])
KINDS = (".stl", ".ply", ".obj", ".vtk", ".vtp")


def write_mesh(path: Path, mesh: Mesh, header: str = "") -> None:
    """By VTK, as other programs do."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOPLY import vtkPLYWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    points, cells, poly = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.array(mesh.points_ct_mm), deep=True))
    count = len(mesh.triangles)
    corners = mesh.triangles.astype(np.int64).ravel()
    offsets = np.arange(count + 1, dtype=np.int64) * 3
    cells.SetData(*(numpy_to_vtkIdTypeArray(one, deep=True) for one in (offsets, corners)))
    poly.SetPoints(points)
    poly.SetPolys(cells)
    writers = (vtkSTLWriter, vtkPLYWriter, vtkOBJWriter, vtkPolyDataWriter, vtkXMLPolyDataWriter)
    writer = dict(zip(KINDS, writers, strict=True))[path.suffix]()
    if header:
        writer.SetHeader(header)
    writer.SetFileName(str(path))
    writer.SetInputData(poly)
    writer.Write()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mesh_comes_back_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    mesh = meshed(table, 8, 9)
    write_mesh(tmp_path / f"mesh{kind}", mesh)
    read = read_mesh(tmp_path / f"mesh{kind}")
    ours, theirs = (one.points_ct_mm[one.triangles].mean(axis=1) for one in (mesh, read))
    np.testing.assert_allclose(
        np.array(sorted(theirs.round(2).tolist())),
        np.array(sorted(ours.round(2).tolist())),
        atol=0.02,
    )


def test_a_mesh_that_says_ras_is_turned(tmp_path: Path) -> None:
    mesh = meshed(torso, 20, 20)
    for space in ("RAS", "LPS"):
        write_mesh(tmp_path / f"{space}.stl", mesh, f"3D Slicer output. SPACE={space}")
    ras, lps = (read_mesh(tmp_path / f"{space}.stl").points_ct_mm for space in ("RAS", "LPS"))
    np.testing.assert_allclose(ras, lps * [-1.0, -1.0, 1.0], atol=1e-4)
    assert abs(lps[:, 0]).max() > 100.0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mesh.stl", None, "cannot be read"),
        ("mesh.step", b"x", "not a mesh that can be read: give .stl"),
        ("mesh.ply", b"no ply at all", "damaged, or no mesh|holds no triangles"),
        ("mesh.vtk", b"# vtk DataFile Version 3.0\nx\nASCII\nDATASET", "damaged|no triangles"),
        ("mesh.vtp", b"<VTKFile", "damaged, or no mesh"),
        ("mesh.obj", b"v 0 0 0\nv 1 0 0\n", "holds no triangles"),
    ],
)
def test_a_bad_mesh_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RegistrationError, match=words):
        read_mesh(path)


SURFACE = ("register", "surface")
POINTS = [[1.0, 2.0, 3.0], [-4.0, 5.5, 6.0]]


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.json", json.dumps(POINTS), ("1", "2")),
        ("a.json", json.dumps({"points": {"tip": POINTS[0], "rib": POINTS[1]}}), ("tip", "rib")),
        ("a.json", json.dumps([{"name": "tip", "position": p} for p in POINTS[:1]]), ("tip",)),
        ("a.csv", "name,x,y,z\ntip,1,2,3\nrib,-4,5.5,6\n", ("tip", "rib")),
        ("a.csv", "\ufeffx,y,z\n1,2,3\n\n-4, 5.5 ,6", ("1", "2")),
        ("a.csv", "# swiped\n1,2,3\n-4,5.5,6\n", ("1", "2")),
    ],
)
def test_points_of_every_kind(
    tmp_path: Path, name: str, content: str, names: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = read_points(tmp_path / name)
    assert found.names == names
    np.testing.assert_array_equal(found.points, POINTS[: len(names)])


def markups(system: str = "RAS", **more: object) -> str:
    control = [
        {"label": "one", "position": POINTS[0], "positionStatus": "defined"},
        {"label": "two", "position": POINTS[1]},
        {"label": "three", "position": None, "positionStatus": "undefined"},
    ]
    one = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": control, **more}
    return json.dumps({"markups": [one]})


def test_slicer_markups_in_ras_are_turned_and_undefined_points_left_out(tmp_path: Path) -> None:
    for system, turn in (("RAS", [-1.0, -1.0, 1.0]), ("LPS", [1.0, 1.0, 1.0])):
        (tmp_path / "p.mrk.json").write_text(markups(system))
        found = read_points(tmp_path / "p.mrk.json")
        assert found.names == ("one", "two")
        np.testing.assert_array_equal(found.points, np.array(POINTS) * turn)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "1,2\n", "line 1: give name,x,y,z"),
        ("a.csv", "x,y,z\n1,2,three\n", "line 2: needs three numbers"),
        ("a.csv", "1,2,inf\n", "line 1: needs three numbers"),
        ("a.csv", "r,a,s\n1,2,3\n", "give X,Y,Z in LPS"),
        ("a.csv", "", "holds no points"),
        ("a.json", "{", "not a JSON file"),
        ("a.json", "3", "give a list of points"),
        ("a.json", "[[1, 2]]", "point 1: needs three numbers"),
        ("a.json", '[[1, 2, "3"]]', "point 1: needs three numbers"),
        ("a.json", "[[1, 2, NaN]]", "needs three finite numbers"),
        ("a.json", '[{"name": "a", "position": [1,2,3]}, {"name": "a", "position": [1,2,3]}]',
         "two points are named 'a'"),
        ("a.json", '{"markups": 3}', "markups: not a list"),
        ("a.json", markups("IJK"), "coordinateSystem: neither LPS nor RAS"),
        ("a.json", markups(coordinateUnits="cm"), "export the points in mm"),
        ("a.txt", "1 2 3", "not a points file"),
    ],
)  # fmt: skip
def test_bad_points_are_refused_in_words(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RegistrationError, match=words):
        read_points(tmp_path / name)


def test_a_points_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="cannot be read"):
        read_points(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(RegistrationError, match="not a text file"):
        read_points(tmp_path / "bytes.csv")


def points_file(path: Path, points_ct: np.ndarray) -> Path:
    points = apply(rigid_inverse(CT_FROM_REFERENCE), points_ct)
    path.write_text("\n".join(",".join(f"{v:.4f}" for v in point) for point in points))
    return path


def test_the_command_registers_to_a_mesh_from_a_start(tmp_path: Path) -> None:
    write_mesh(tmp_path / "skin.ply", meshed(torso))
    points_ct = swiped(torso, 400, seed=1)
    points = points_file(tmp_path / "swipe.csv", points_ct)
    start = pushed(points_ct.mean(axis=0), 25.0, 15.0, 3) @ CT_FROM_REFERENCE
    init = tmp_path / "init.json"
    init.write_text(json.dumps({"ct_from_reference": start.tolist()}))
    out = tmp_path / "r.json"
    code = main(
        [
            *SURFACE,
            "--mesh",
            str(tmp_path / "skin.ply"),
            "--points",
            str(points),
            "--init",
            str(init),
            "--target",
            "40,10,20",
            "--out",
            str(out),
        ]
    )
    assert code == 0
    written = json.loads(out.read_text())
    assert written["method"] == "surface"
    assert written["accepted"] is True
    assert written["about_ct_mm"] == [40.0, 10.0, 20.0]
    assert 0.02 < written["predicted_tre_mm"] < 0.6
    found = np.array(written["ct_from_reference"])
    assert off_mm(found, CT_FROM_REFERENCE, apply(rigid_inverse(CT_FROM_REFERENCE), points_ct)) < 1


def outline_round(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the torso's outline in the direction of each voxel."""
    across, deep = np.full(x.shape, 150.0), np.full(x.shape, 105.0)
    for _ in range(6):
        angle = np.arctan2(y / deep, x / across)
        points = torso((0.5 - z / 320.0).ravel(), (angle / (2.0 * np.pi) % 1.0).ravel())
        out_x, out_y = points[:, 0].reshape(x.shape), points[:, 1].reshape(x.shape)
        across = np.where(np.abs(np.cos(angle)) > 0.1, out_x / np.cos(angle), across)
        deep = np.where(np.abs(np.sin(angle)) > 0.1, out_y / np.sin(angle), deep)
    return out_x, out_y


def test_the_command_registers_to_the_skin_of_a_ct(tmp_path: Path) -> None:
    """A CT made of the same formula: water in the shape, air round it, a gap below the head."""
    z, y, x = np.meshgrid(*(np.arange(n) * 4.0 for n in (76, 66, 96)), indexing="ij")
    x, y, z = x - 190.0, y - 130.0, z - 150.0
    edge = np.hypot(*outline_round(x, y, z))
    hu = np.clip(-300.0 - 260.0 * (np.hypot(x, y) - edge) / 4.0, -1000.0, 40.0)
    image = sitk.GetImageFromArray(hu.astype(np.int16))
    image.SetSpacing((4.0, 4.0, 4.0))
    image.SetOrigin((-190.0, -130.0, -150.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    points_ct = swiped(torso, 400, seed=1)
    points = points_file(tmp_path / "swipe.csv", points_ct)
    init = tmp_path / "init.json"
    start = pushed(points_ct.mean(axis=0), 25.0, 15.0, 3) @ CT_FROM_REFERENCE
    init.write_text(json.dumps({"ct_from_reference": start.tolist()}))
    out = tmp_path / "r.json"
    arguments = ["--points", str(points), "--init", str(init), "--out", str(out)]
    code = main([*SURFACE, "--ct", str(tmp_path / "ct.nii.gz"), "--noise", "2", *arguments])
    written = json.loads(out.read_text())
    assert code == 0, written["reason"]
    found = np.array(written["ct_from_reference"])
    inside = apply(rigid_inverse(CT_FROM_REFERENCE), points_ct)
    assert off_mm(found, CT_FROM_REFERENCE, inside) < 1.2


def test_the_command_refuses_a_plane_with_exit_code_3(tmp_path: Path) -> None:
    write_mesh(tmp_path / "table.stl", meshed(table))
    points = points_file(tmp_path / "swipe.csv", swiped(table, 200, seed=1))
    init = tmp_path / "init.json"
    init.write_text(json.dumps({"ct_from_reference": CT_FROM_REFERENCE.tolist()}))
    out = tmp_path / "r.json"
    code = main(
        [
            *SURFACE,
            "--mesh",
            str(tmp_path / "table.stl"),
            "--points",
            str(points),
            "--init",
            str(init),
            "--out",
            str(out),
        ]
    )
    assert code == 3
    written = json.loads(out.read_text())
    assert written["accepted"] is False
    assert "do not hold sliding" in written["reason"]


def test_the_command_says_what_is_wrong_with_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        [
            *SURFACE,
            "--mesh",
            str(tmp_path / "no.stl"),
            "--points",
            "no.csv",
            "--out",
            str(tmp_path / "r.json"),
        ]
    )
    assert code == 1
    assert "no.csv: cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*SURFACE, "--points", "p.csv", "--out", "r.json"])
    with pytest.raises(SystemExit):
        main([*SURFACE, "--mesh", "m.stl", "--points", "p.csv", "--noise", "0", "--out", "r.json"])
