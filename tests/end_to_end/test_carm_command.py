"""`ir-nav carm`: files in, files out, and what is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

from ir_nav.cli import main
from ir_nav.registration.carm_calibration import write_view
from ir_nav.registration.fluoro.view import CArmView, read_view
from tests.registration.needle_scene import add_needle, exposed, project, view_at
from tests.registration.plate_scene import bead_integrals, grid, two_planes, write_plate

TIP, HUB = np.array([12.0, -8.0, 10.0]), np.array([190.0, -130.0, 150.0])


def _xa(path: Path, **changes: object) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
    dataset.SOPClassUID = XRayAngiographicImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = 30, 40
    dataset.ImagerPixelSpacing = [0.3, 0.3]
    dataset.DistanceSourceToDetector, dataset.DistanceSourceToPatient = 1200.0, 800.0
    dataset.PositionerPrimaryAngle, dataset.PositionerSecondaryAngle = 30.0, -10.0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    pixels = np.zeros((30, 40), dtype=np.uint16)
    pixels[5, 38] = 9
    dataset.PixelData = pixels.tobytes()
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _write(path: Path, image: np.ndarray) -> str:
    sitk.WriteImage(sitk.GetImageFromArray(image), str(path))
    return str(path)


def _needle_frames(folder: Path, views: tuple[CArmView, ...]) -> list[str]:
    """Frames of a needle in water, and their geometries, as arguments."""
    arguments = []
    for index, view in enumerate(views):
        v, u = np.mgrid[0:512, 0:512]
        total = 2.0 + 0.4 * np.sin(u / 80.0) * np.cos(v / 60.0)
        add_needle(total, view, TIP, HUB, 1.27)
        frame = exposed(total, view, np.random.default_rng(index))
        geometry = folder / f"{index}.json"
        write_view(geometry, view)
        arguments += ["--frame", _write(folder / f"{index}.mha", frame.image)]
        arguments += ["--geometry", str(geometry)]
    return arguments


def test_a_header_gives_a_geometry_that_the_others_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "g.json", tmp_path / "f.mha"
    image = _xa(tmp_path / "f.dcm")
    command = ["carm", "header", str(image), "--out", str(out), "--picture", str(picture)]
    assert main(command) == 0
    view = read_view(out)
    assert view.geometry.size_px == (40, 30)
    source = -view.carm_from_world[:3, :3].T @ view.carm_from_world[:3, 3]
    assert np.linalg.norm(source) == pytest.approx(800.0)
    assert source[0] < 0 < source[1]  # LAO: the focal spot lies behind, to the patient's right
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(picture)))
    assert np.argwhere(stored == 9).tolist() == [[5, 1]]
    assert "heads up" in capsys.readouterr().out


def test_every_frame_of_a_run_is_written_with_its_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.zeros((5, 30, 40), dtype=np.uint16)
    pixels[np.arange(5), 7, 3] = np.arange(1, 6)
    image = _xa(
        tmp_path / "run.dcm",
        NumberOfFrames=5,
        PositionerPrimaryAngleIncrement=[0.0, 10.0, 20.0, 30.0, 40.0],
        PixelData=pixels.tobytes(),
    )
    folder = tmp_path / "run"
    command = ["carm", "header", str(image), "--each", str(folder)]
    assert main([*command, "--number", "2", "--step", "2"]) == 0
    names = sorted(one.name for one in folder.iterdir())
    assert names == [f"frame-000{n}.{kind}" for n in (2, 4) for kind in ("json", "mha")]
    for number, angle_deg in ((2, 40.0), (4, 60.0)):
        view = read_view(folder / f"frame-000{number}.json")
        beam = view.carm_from_world[2, :3]
        assert np.degrees(np.arctan2(beam[0], -beam[1])) == pytest.approx(angle_deg)
        stored = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"frame-000{number}.mha")))
        assert stored[7, 36] == number  # mirrored
    shown = capsys.readouterr().out
    assert "2 of 5" in shown
    assert "+40.0° to +60.0°" in shown
    assert main([*command, "--step", "0"]) == 1
    assert "--step from 1" in capsys.readouterr().err
    assert main([*command, "--picture", "p.mha"]) == 1
    assert "--picture is for one frame" in capsys.readouterr().err
    short = _xa(
        tmp_path / "short.dcm", NumberOfFrames=5, PositionerPrimaryAngleIncrement=[0.0, 1.0]
    )
    assert main(["carm", "header", str(short), "--each", str(tmp_path / "no")]) == 1
    assert "frame 1: PositionerPrimaryAngleIncrement holds 2 values" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_header_without_distance_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = _xa(tmp_path / "f.dcm", DistanceSourceToDetector=None)
    assert main(["carm", "header", str(image), "--out", str(tmp_path / "g.json")]) == 1
    assert "has no Distance Source to Detector" in capsys.readouterr().err
    assert not (tmp_path / "g.json").exists()


def test_a_file_that_is_no_dicom_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f.dcm").write_bytes(b"nothing")
    assert main(["carm", "header", str(tmp_path / "f.dcm"), "--out", str(tmp_path / "g")]) == 1
    assert "cannot be read as DICOM" in capsys.readouterr().err


def test_a_plate_gives_a_geometry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view = view_at(np.array([4.0, -6.0, 45.0]), 20.0, 81.0)
    total = 1.0 + bead_integrals(view, two_planes())
    frame = _write(tmp_path / "f.mha", exposed(total, view, np.random.default_rng(1)).image)
    plate = write_plate(tmp_path / "plate.json", two_planes())
    out = tmp_path / "g.json"
    command = ["carm", "plate", frame, "--plate", str(plate), "--pixel-mm", "0.6"]
    assert main([*command, "--out", str(out)]) == 0
    found = read_view(out)
    for point in ([0.0, 0.0, 0.0], [40.0, 40.0, 100.0], [-40.0, 40.0, 50.0]):
        miss = project(found, np.array(point)) - project(view, np.array(point))
        assert np.linalg.norm(miss) < 0.3
    assert "Residual, rms" in capsys.readouterr().out
    flat = write_plate(tmp_path / "flat.json", two_planes(flat=True))
    command = ["carm", "plate", frame, "--plate", str(flat), "--pixel-mm", "0.6"]
    assert main([*command, "--out", str(tmp_path / "no.json")]) == 1
    assert "flat plate" in capsys.readouterr().err


def test_a_distortion_is_written_and_used(tmp_path: Path) -> None:
    pose = np.eye(4)
    pose[2, 3] = 1100.0
    view = CArmView(view_at(np.zeros(3), 0.0).geometry, pose, view_at(np.zeros(3), 0.0).pixels)
    total = 0.5 + bead_integrals(view, grid())
    frame = _write(tmp_path / "f.mha", exposed(total, view, np.random.default_rng(1)).image)
    plate = write_plate(tmp_path / "grid.json", grid())
    out = tmp_path / "d.json"
    command = ["carm", "distortion", frame, "--grid", str(plate), "--pixel-mm", "0.6"]
    assert main([*command, "--out", str(out)]) == 0
    assert json.loads(out.read_text())["largest_px"] < 0.5
    views = (view_at(np.zeros(3), 0.0),)
    needle = _needle_frames(tmp_path, views)
    found = tmp_path / "n.json"
    assert main(["carm", "needle", *needle, "--distortion", str(out), "--out", str(found)]) == 0
    tip = json.loads(found.read_text())["frames"][0]["tip_px"]
    assert np.linalg.norm(np.array(tip) - project(views[0], TIP)) < 2.0


def test_two_frames_give_the_needle_in_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = _needle_frames(tmp_path, (view_at(np.zeros(3), 0.0), view_at(np.zeros(3), 70.0)))
    out = tmp_path / "n.json"
    assert main(["carm", "needle", *frames, "--out", str(out)]) == 0
    document = json.loads(out.read_text())
    assert document["accepted"]
    assert np.linalg.norm(np.array(document["needle"]["tip_mm"]) - TIP) < 0.5
    true = (TIP - HUB) / np.linalg.norm(TIP - HUB)
    assert np.array(document["needle"]["along"]) @ true > 0.9999
    assert "Tip, standard error" in capsys.readouterr().out


def test_a_needle_expected_elsewhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = _needle_frames(tmp_path, (view_at(np.zeros(3), 0.0),))
    command = ["carm", "needle", *frames, "--out", str(tmp_path / "n.json")]
    assert main([*command, "--tip=-40,0,-60", "--back=-60,0,20"]) == 1
    assert "near the expected line" in capsys.readouterr().err
    assert main([*command, "--tip=12,-8,10"]) == 1
    assert "--tip and --back" in capsys.readouterr().err


def test_a_frame_of_another_size_than_its_geometry_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = _needle_frames(tmp_path, (view_at(np.zeros(3), 0.0),))
    _write(tmp_path / "0.mha", np.ones((100, 120), dtype=np.float32))
    assert main(["carm", "needle", *frames, "--out", str(tmp_path / "n.json")]) == 1
    assert "its geometry says 512 x 512" in capsys.readouterr().err
