"""Structures saved and loaded; TotalSegmentator as a program on the PATH."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ir_nav.imaging import ImagingError, Volume, VolumeInfo, read_labels
from ir_nav.imaging.segmentation import (
    Origin,
    Segmentation,
    has_segments,
    read_segments,
    run_total_segmentator,
    write_segments,
)
from tests.imaging.phantom import affine
from tests.imaging.segmentation_phantoms import full, segment, segmentation

SHAPE = (9, 12, 14)


@pytest.fixture
def volume() -> Volume:
    hu = np.random.default_rng(1).integers(-100, 100, SHAPE).astype(np.int16)
    return Volume(hu, affine((0.0, 12.0, -7.0)), "blake2b:t", VolumeInfo())


@pytest.fixture
def structures(volume: Volume) -> Segmentation:
    """Three, of which each overlaps another."""
    rng = np.random.default_rng(4)
    skin = np.ones(SHAPE, np.bool_)
    liver, lesion = rng.random(SHAPE) < 0.4, rng.random(SHAPE) < 0.1
    return segmentation(
        volume.ct_from_voxel,
        segment(3, "skin", skin, "#d9b8a2"),
        segment(7, 'liver, "right" lobe', liver, "#9A6a55"),
        segment(300, "lesion", lesion, "#56b4e9"),
        shape=SHAPE,
    )


def test_structures_come_back_exactly(
    tmp_path: Path, volume: Volume, structures: Segmentation
) -> None:
    files = write_segments(tmp_path / "case.nii.gz", structures)
    assert files[-1].name == "case_labels.csv"
    assert has_segments(tmp_path / "case.nii.gz")
    again = read_segments(tmp_path / "case.nii.gz", volume)
    assert len(again.segments) == 3
    for before, after in zip(structures.segments, again.segments, strict=True):
        assert (before.number, before.name, before.colour, before.origin) == (
            after.number,
            after.name,
            after.colour,
            after.origin,
        )
        assert np.array_equal(full(before, SHAPE), full(after, SHAPE))
    assert not list(tmp_path.glob("*part*"))


def test_another_program_reads_the_first_layer_with_its_names(
    tmp_path: Path, volume: Volume, structures: Segmentation
) -> None:
    files = write_segments(tmp_path / "case.nii.gz", structures)
    labels = read_labels(files[0], like=volume)
    liver = structures.segments[1]
    assert np.array_equal(labels.mask(7), full(liver, SHAPE))
    image = nibabel.load(files[0])
    ras_from_voxel = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ct_from_voxel
    assert np.abs(image.affine - ras_from_voxel).max() < 1e-4


def test_what_cannot_be_used_is_refused_in_words(
    tmp_path: Path, volume: Volume, structures: Segmentation
) -> None:
    path = tmp_path / "case.nii.gz"
    write_segments(path, structures)
    table = tmp_path / "case_labels.csv"
    good = table.read_text()
    moved = affine((0.0, 12.0, -7.0))
    moved[:3, 3] += 3.0
    other = Volume(np.array(volume.voxels), moved, "blake2b:o", VolumeInfo())
    with pytest.raises(ImagingError, match="another CT"):
        read_segments(path, other)
    for bad, words in (
        (good.replace("#56b4e9", "blue"), "no colour"),
        (good.replace(",drawn,", ",guessed,"), "cannot be used"),
        (good.replace("300,", "7,"), "twice"),
        (good.replace("layer", "lair"), "columns"),
        (good.replace("300,", "70000,"), "out of range"),
    ):
        table.write_text(bad)
        with pytest.raises(ImagingError, match=words):
            read_segments(path, volume)
    table.unlink()
    with pytest.raises(ImagingError, match="cannot be read"):
        read_segments(path, volume)
    with pytest.raises(ImagingError, match="saved as"):
        write_segments(tmp_path / "case.mha", structures)
    (tmp_path / "file").write_text("")
    with pytest.raises(ImagingError, match="cannot be written"):
        write_segments(tmp_path / "file" / "case.nii.gz", structures)


PROGRAM = """#!{python}
import sys, time
from pathlib import Path
import nibabel, numpy as np
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
Path({seen!r}).write_text(" ".join(sys.argv[1:]))
mode = {mode!r}
ct = nibabel.load(arguments["-i"])
if mode == "fails":
    sys.exit("no weights for this task")
for percent in (10, 55, 90):
    print(f"{{percent:3d}}%|###  | 3/10", end="\\r", file=sys.stderr, flush=True)
    time.sleep(0.15)
if mode == "slow":
    time.sleep(60)
    Path({seen!r}).write_text("ran to its end")
hu = np.asarray(ct.dataobj)
labels = np.where(hu > 50, 5, np.where(hu < -50, 52, 0)).astype(np.uint8)
out = nibabel.Nifti1Image(labels, ct.affine)
xml = ('<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><VolumeInformation Index="0">'
       '<LabelTable><Label Key="5" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[liver]]></Label>'
       '<Label Key="52" Red="0" Green="1" Blue="0" Alpha="1"><![CDATA[aorta]]></Label>'
       '</LabelTable></VolumeInformation></CaretExtension>')
out.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, xml.encode()))
if mode != "silent":
    nibabel.save(out, arguments["-o"])
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str = "works") -> Path:
    """A real program of that name, first on the PATH; the file it notes its arguments in."""
    folder.mkdir()
    seen = folder / "seen.txt"
    program = folder / "TotalSegmentator"
    program.write_text(PROGRAM.format(python=sys.executable, seen=str(seen), mode=mode))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return seen


def test_total_segmentator_is_run_and_its_labels_are_taken(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = install(tmp_path / "bin", monkeypatch)
    told: list[float] = []
    found = run_total_segmentator(volume, told.append)
    assert [(item.name, item.origin) for item in found.segments] == [
        ("liver", Origin.IMPORTED),
        ("aorta", Origin.IMPORTED),
    ]
    liver, aorta = (full(item, SHAPE) for item in found.segments)
    assert np.array_equal(liver, volume.voxels > 50)
    assert np.array_equal(aorta, volume.voxels < -50)
    assert {0.1, 0.55, 0.9} <= set(told)
    assert "--ml" in seen.read_text()
    assert "--fast" in seen.read_text()


def test_total_segmentator_absent_failing_or_silent_is_said(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImagingError, match="not installed"):
        run_total_segmentator(volume)
    monkeypatch.undo()
    install(tmp_path / "fails", monkeypatch, "fails")
    with pytest.raises(ImagingError, match="no weights for this task"):
        run_total_segmentator(volume)
    install(tmp_path / "silent", monkeypatch, "silent")
    with pytest.raises(ImagingError, match="without writing"):
        run_total_segmentator(volume)


def test_cancelling_stops_the_program(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopError(Exception):
        pass

    seen = install(tmp_path / "bin", monkeypatch, "slow")

    def progress(fraction: float) -> None:
        if fraction >= 0.9:
            raise StopError

    started_s = time.monotonic()
    with pytest.raises(StopError):
        run_total_segmentator(volume, progress)
    assert time.monotonic() - started_s < 15.0
    assert "ran to its end" not in seen.read_text()
