"""DICOM SEG and RTSTRUCT on the CT's grid, overlapping structures, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from ir_nav.imaging import (
    ImagingError,
    Structure,
    StructureSet,
    Volume,
    VolumeInfo,
    read_labels,
    read_structures,
    read_volume,
    structures_of,
    write_segmentation,
)
from ir_nav.imaging.polygons import fill_even_odd
from tests.imaging import dicom_made, phantom
from tests.imaging.peers import program

PLACE = phantom.affine((12.0, -7.0, 31.0))
SHAPE = (9, 12, 14)


def ball(centre_kji: tuple[float, float, float], radius: float) -> np.ndarray:
    away = np.indices(SHAPE).T - np.array(centre_kji)
    return np.asarray(radius**2 >= (away**2).sum(axis=-1).T)


LIVER, LESION, KIDNEY = ball((4, 5, 5), 3.6), ball((4, 5, 6), 1.5), ball((6, 8, 11), 2.0)


def made_set() -> StructureSet:
    masks = {"liver": LIVER, "lesion": LESION, "Right kidney": KIDNEY}
    structures = tuple(
        Structure.of_mask(n, name, mask) for n, (name, mask) in enumerate(masks.items(), 1)
    )
    return StructureSet(structures, SHAPE, PLACE)


@pytest.fixture
def ct(tmp_path: Path) -> Volume:
    made = phantom.dicom_slices(phantom.voxels(), PLACE)
    for data in made:
        data.StudyInstanceUID = "1.2.55"
    return read_volume(phantom.write_dicom(tmp_path / "ct", made))


def test_overlapping_structures_keep_their_voxels() -> None:
    found = made_set()
    assert np.array_equal(found.mask("liver"), LIVER)
    assert np.array_equal(found.mask((1, 3)), LIVER | KIDNEY)
    assert found.overlaps() == (("liver", "lesion", int((LIVER & LESION).sum())),)
    shown = found.label_map()
    assert np.array_equal(shown.voxels == 2, LESION)
    assert np.array_equal(shown.voxels == 1, LIVER & ~LESION)
    again = structures_of(shown)
    assert again.overlaps() == ()
    assert np.array_equal(again.mask("right_kidney"), KIDNEY)
    with pytest.raises(ImagingError, match="spleen"):
        found.mask("spleen")


def test_a_segmentation_comes_back_and_others_read_it(ct: Volume, tmp_path: Path) -> None:
    path = tmp_path / "out" / "target.dcm"
    write_segmentation(path, made_set(), ct, description="Plan")
    found = read_structures(path, ct)
    assert dict(found.names) == {1: "liver", 2: "lesion", 3: "Right kidney"}
    for number, mask in enumerate((LIVER, LESION, KIDNEY), 1):
        assert np.array_equal(found.mask(number), mask)
    assert found.notes == ()
    # Independently: each frame set by its own position through plain pydicom.
    data = pydicom.dcmread(path)
    assert (data.PatientID, data.StudyInstanceUID) == ("P-7", "1.2.55")
    pixels = data.pixel_array
    seen = np.zeros((3, *SHAPE), bool)
    for frame, groups in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        k = np.linalg.solve(PLACE[:3, :3], position - PLACE[:3, 3])[2]
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        seen[segment - 1, round(k)] = frame
    assert np.array_equal(seen, np.stack([LIVER, LESION, KIDNEY]))
    meanings = [s.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for s in data.SegmentSequence]
    assert meanings == ["Tissue", "Lesion", "Tissue"]


def test_the_segmentation_is_valid_to_dicom3tools(ct: Volume, tmp_path: Path) -> None:
    judge = program("dciodvfy", "dicom3tools")
    path = tmp_path / "target.dcm"
    write_segmentation(path, made_set(), ct)
    said = subprocess.run([judge, path], capture_output=True, text=True, check=False).stderr
    assert "Segmentation" in said
    assert not [line for line in said.splitlines() if line.startswith("Error")], said


def test_a_segmentation_on_a_tilted_ct(tmp_path: Path) -> None:
    """The resampled grid is not the scanner's: the segmentation carries its own geometry."""
    made = phantom.dicom_slices(phantom.voxels(), phantom.affine())
    for k, data in enumerate(made):
        data.StudyInstanceUID = "1.2.55"
        data.ImagePositionPatient[1] = float(data.ImagePositionPatient[1]) + 0.7 * k
    ct = read_volume(phantom.write_dicom(tmp_path / "ct", made))
    mask = np.zeros(ct.voxels.shape, np.bool_)
    mask[2:5, 3:7, 4:6] = True
    structures = StructureSet((Structure.of_mask(1, "target", mask),), mask.shape, ct.ct_from_voxel)
    write_segmentation(tmp_path / "seg.dcm", structures, ct)
    assert np.array_equal(read_structures(tmp_path / "seg.dcm", ct).mask(1), mask)


def test_what_cannot_be_written_is_refused(ct: Volume, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    elsewhere = PLACE.copy()
    elsewhere[0, 3] += 1.0
    with pytest.raises(ImagingError, match="do not lie on the voxels"):
        write_segmentation(path, StructureSet(made_set().structures, SHAPE, elsewhere), ct)
    with pytest.raises(ImagingError, match="no structure"):
        write_segmentation(path, StructureSet((), SHAPE, PLACE), ct)
    plain = Volume(phantom.voxels(), PLACE, "", VolumeInfo())
    with pytest.raises(ImagingError, match="needs a DICOM series"):
        write_segmentation(path, made_set(), plain)
    shutil.rmtree(tmp_path / "ct")
    with pytest.raises(ImagingError, match="is gone"):
        write_segmentation(path, made_set(), ct)
    assert not path.exists()


def write_by_highdicom(
    path: Path, ct_folder: Path, masks: np.ndarray, kind: str, packed: bool = False
) -> Path:
    """masks: (k, j, i) or with a last axis of segments; as another program writes it."""
    sources = [pydicom.dcmread(p) for p in ct_folder.iterdir()]
    for data in sources:
        data.AccessionNumber = data.PatientBirthDate = data.PatientSex = ""
        data.StudyID = data.StudyTime = data.ReferringPhysicianName = ""
        data.StudyInstanceUID, data.SliceThickness = "1.2.55", "2.5"
    axis = PLACE[:3, 2]
    sources.sort(key=lambda d: float(np.array(d.ImagePositionPatient, float) @ axis))
    count = masks.shape[3] if masks.ndim == 4 else int(masks.max()) if kind == "LABELMAP" else 1
    made = highdicom.seg.Segmentation(
        sources,
        masks,
        kind,
        [
            highdicom.seg.SegmentDescription(
                n, f"part {n}", codes.SCT.AnatomicalStructure, codes.SCT.Tissue, "MANUAL"
            )
            for n in range(1, count + 1)
        ],
        highdicom.UID(),
        1,
        highdicom.UID(),
        1,
        "Another",
        "Program",
        "1",
        "1",
        max_fractional_value=200,
        transfer_syntax_uid=RLELossless if packed else "1.2.840.10008.1.2.1",
    )
    made.save_as(path)
    return path


def test_fractional_segments_count_from_one_half(ct: Volume, tmp_path: Path) -> None:
    shares = np.zeros(SHAPE)
    shares[4, 5, 3:8] = (0.2, 0.45, 0.55, 0.8, 1.0)
    path = write_by_highdicom(tmp_path / "f.dcm", tmp_path / "ct", shares, "FRACTIONAL", True)
    found = read_structures(path, ct)
    assert found.mask(1).nonzero()[2].tolist() == [5, 6, 7]
    assert "50%" in found.notes[0]


def test_label_map_segmentations(ct: Volume, tmp_path: Path) -> None:
    numbers = (LIVER + 2 * KIDNEY).astype(np.uint8)
    path = write_by_highdicom(tmp_path / "l.dcm", tmp_path / "ct", numbers, "LABELMAP", True)
    found = read_structures(path, ct)
    assert np.array_equal(found.mask("part 1"), LIVER)
    assert np.array_equal(found.mask("part 2"), KIDNEY)
    assert np.array_equal(read_labels(path, like=ct).mask("part 1"), LIVER)


def test_a_segmentation_on_other_voxels_is_put_on_the_cts(ct: Volume, tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", made_set(), ct)
    finer = PLACE.copy()
    finer[:3, :3] *= 0.5
    finer[:3, 3] = (PLACE @ (-0.25, -0.25, -0.25, 1.0))[:3]
    like = Volume(np.zeros((18, 24, 28), np.int16), finer, "", ct.description)
    found = read_structures(tmp_path / "seg.dcm", like)
    doubled = np.repeat(np.repeat(np.repeat(LIVER, 2, 0), 2, 1), 2, 2)
    assert np.array_equal(found.mask("liver"), doubled)
    assert "nearest voxel" in found.notes[0]


def test_another_frame_of_reference_is_refused(ct: Volume, tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", made_set(), ct)
    rtstruct = dicom_made.structure_set({"a": [square(4, 2, 6)]}, reference="9.9")
    dicom_made.save(tmp_path / "rt.dcm", rtstruct)
    other = VolumeInfo(frame_of_reference_uid="9.9.9")
    for name in ("seg.dcm", "rt.dcm"):
        for info, why in ((other, "another Frame of Reference"), (VolumeInfo(), "does not say")):
            with pytest.raises(ImagingError, match=why):
                read_structures(tmp_path / name, Volume(ct.voxels, PLACE, "", info))
    with pytest.raises(ImagingError, match="open the CT first"):
        read_labels(tmp_path / "seg.dcm")
    some_slice = next((tmp_path / "ct").iterdir())
    with pytest.raises(ImagingError, match="is CT, not a segmentation"):
        read_structures(some_slice, ct)


def on_slice(points_ij: np.ndarray, k: float) -> np.ndarray:
    """(n, 3) LPS mm of corners given in voxels."""
    full = np.column_stack([points_ij, np.full(len(points_ij), k), np.ones(len(points_ij))])
    return np.asarray((PLACE @ full.T).T[:, :3])


def square(k: float, low: float, high: float) -> np.ndarray:
    corners = np.array([[low, low], [high, low], [high, high], [low, high]], float)
    return on_slice(corners, k)


def rtstruct(path: Path, rois: dict[str, list[np.ndarray]], **options: str) -> Path:
    return dicom_made.save(path, dicom_made.structure_set(rois, **options))


def test_contours_are_filled_with_holes_and_pieces(ct: Volume, tmp_path: Path) -> None:
    rois = {
        "ring": [square(k, 1.5, 9.5) for k in (3, 4)] + [square(k, 3.5, 6.5) for k in (3, 4)],
        "two": [square(2, 0.5, 3.5), square(6, 7.5, 9.5)],
        "inside": [square(3, 4.0, 6.0)],
    }
    found = read_structures(rtstruct(tmp_path / "rt.dcm", rois), ct)
    ring = np.zeros(SHAPE, bool)
    ring[3:5, 2:10, 2:10] = True
    ring[3:5, 4:7, 4:7] = False
    assert np.array_equal(found.mask("ring"), ring)
    two = found.mask("two")
    # Drawn on slices 2 and 6: a structure in two pieces on slices four apart is coarse.
    assert two[2].sum() == 9
    assert two[6].sum() == 4
    assert dict(found.names)[3] == "inside"


def test_pieces_on_neighbouring_slices_are_not_joined(ct: Volume, tmp_path: Path) -> None:
    ks = [1, 2, 3, 6, 7, 8]
    rois = {"vessel": [square(k, 2.5, 5.5) for k in ks]}
    found = read_structures(rtstruct(tmp_path / "rt.dcm", rois), ct)
    assert np.flatnonzero(found.mask("vessel").any(axis=(1, 2))).tolist() == ks
    assert found.notes == ()


def test_contours_on_coarser_slices_are_interpolated(ct: Volume, tmp_path: Path) -> None:
    """Drawn on every second slice, growing: the slices between lie between."""
    sizes = {0: 2.0, 2: 3.0, 4: 4.0, 6: 4.0, 8: 4.0}
    rois = {"cone": [square(k, 6.0 - s + 0.01, 6.0 + s - 0.01) for k, s in sizes.items()]}
    found = read_structures(rtstruct(tmp_path / "rt.dcm", rois), ct)
    areas = found.mask("cone").sum(axis=(1, 2))
    assert areas[0] <= areas[1] <= areas[2] <= areas[3] <= areas[4]
    assert areas[1] > 0
    assert areas[5] == areas[4] == areas[7]
    assert "interpolated by shape" in found.notes[0]


def test_contours_between_the_slices_are_interpolated(ct: Volume, tmp_path: Path) -> None:
    rois = {"shifted": [square(k + 0.5, 2.5, 7.5) for k in range(2, 6)]}
    found = read_structures(rtstruct(tmp_path / "rt.dcm", rois), ct)
    filled = np.flatnonzero(found.mask("shifted").any(axis=(1, 2)))
    assert filled.tolist() == [2, 3, 4, 5]
    assert found.mask("shifted")[4].sum() == 25


def test_contours_across_the_slices_are_refused(ct: Volume, tmp_path: Path) -> None:
    leaning = square(4, 2.5, 7.5)
    leaning[0] += 2.0 * PLACE[:3, 2]
    with pytest.raises(ImagingError, match="drawn across the slices"):
        read_structures(rtstruct(tmp_path / "rt.dcm", {"a": [leaning]}), ct)


def test_points_and_structures_without_contours_are_said(ct: Volume, tmp_path: Path) -> None:
    rois = {"liver": [square(4, 2.5, 7.5)], "nothing": []}
    found = read_structures(rtstruct(tmp_path / "rt.dcm", rois), ct)
    assert "nothing" in found.notes[-1]
    points = rtstruct(tmp_path / "points.dcm", {"a": [square(4, 2.5, 7.5)]}, geometry="POINT")
    with pytest.raises(ImagingError, match="no closed contours"):
        read_structures(points, ct)


def test_filling_against_a_winding_count() -> None:
    """Every pixel centre by brute force, for star-shaped and self-crossing polygons."""
    random = np.random.default_rng(4)
    for _ in range(20):
        polygons = [random.uniform(-3.0, 33.0, (random.integers(3, 12), 2)) for _ in range(2)]
        found = fill_even_odd(polygons, 28, 31)
        for row, column in random.integers(0, 28, (60, 2)):
            crossings = 0
            for corners in polygons:
                for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                    if (a[1] <= row < b[1]) or (b[1] <= row < a[1]):
                        x = a[0] + (row - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
                        crossings += x <= column
            assert found[row, column] == crossings % 2


def test_the_area_of_a_circle() -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 400, endpoint=False)
    circle = np.column_stack([100.3 + 80.0 * np.cos(angle), 99.6 + 80.0 * np.sin(angle)])
    area = fill_even_odd([circle], 200, 200).sum()
    assert area == pytest.approx(np.pi * 80.0**2, rel=1e-3)
