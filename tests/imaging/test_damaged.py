"""Damaged files of every kind: a reader gives an image or an ImagingError, nothing else."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from ir_nav.imaging import (
    ImagingError,
    Volume,
    VolumeInfo,
    index_series,
    read_indexed,
    read_labels,
    read_structures,
    read_volume,
    thumbnails,
    write_segmentation,
)
from tests.imaging import dicom_made, phantom
from tests.imaging.test_structures import SHAPE, made_set, square

PLACE = phantom.affine((12.0, -7.0, 31.0))
LIKE = Volume(np.zeros(SHAPE, np.int16), PLACE, "", VolumeInfo(frame_of_reference_uid="1.2.3.4"))
STORED = (phantom.voxels().astype(np.int32) + 1024).astype(np.int32)
DICOM = ("slice", "rle", "j2k", "jls", "enhanced", "pet", "nm", "dose")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small whole file of every kind."""
    folder = tmp_path_factory.mktemp("samples")
    wide = np.tile(phantom.voxels(), (1, 6, 5))

    def one(data: object, *, packed: object = None) -> bytes:
        if packed is not None:
            data.compress(packed)  # type: ignore[attr-defined]
        return dicom_made.save(folder / "one.dcm", data).read_bytes()  # type: ignore[arg-type]

    def plain() -> object:
        return phantom.dicom_slice(wide, PLACE, 4, phantom.SERIES_UID)

    slices = phantom.dicom_slices(phantom.voxels(), PLACE)
    for data in slices:
        data.StudyInstanceUID = "1.2.55"
    ct = read_volume(phantom.write_dicom(folder / "ct", slices))
    write_segmentation(folder / "seg.dcm", made_set(), ct)
    contours = {"liver": [square(k, 2.5, 7.5) for k in (3, 4)]}
    with zipfile.ZipFile(folder / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (folder / "ct").iterdir():
            archive.write(path, path.name)
    grids = {
        "nii.gz": phantom.write_nifti(folder / "g.nii.gz", phantom.voxels(), PLACE),
        "nii": phantom.write_nifti(folder / "g.nii", phantom.voxels(), PLACE),
        "nrrd": phantom.write_itk(folder / "g.nrrd", phantom.voxels(), PLACE),
        "mha": phantom.write_itk(folder / "g.mha", phantom.voxels(), PLACE),
    }
    return {
        "slice": one(plain()),
        "rle": one(plain(), packed=RLELossless),
        "j2k": one(plain(), packed=JPEG2000Lossless),
        "jls": one(plain(), packed=JPEGLSLossless),
        "enhanced": one(dicom_made.enhanced([phantom.voxels()], PLACE)),
        "pet": one(dicom_made.pet_slices(STORED, PLACE, [1.5] * 9)[0]),
        "nm": one(dicom_made.tomographic_nm(STORED, PLACE, downwards=True)),
        "dose": one(dicom_made.dose(STORED, PLACE, 0.01)),
        "seg": (folder / "seg.dcm").read_bytes(),
        "rtstruct": one(dicom_made.structure_set(contours)),
        "zip": (folder / "z.zip").read_bytes(),
        **{kind: path.read_bytes() for kind, path in grids.items()},
    }


def damage(data: bytes, draw: Callable[[st.SearchStrategy[int]], int]) -> bytes:
    """A few bytes changed, near the header more often, and perhaps the end cut off."""
    changed = bytearray(data)
    near = min(len(data), 3000)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, (near if draw(st.booleans()) else len(data)) - 1))
        changed[at] = draw(st.integers(0, 255))
    if draw(st.integers(0, 3)) == 0:
        del changed[draw(st.integers(1, len(changed) - 1)) :]
    return bytes(changed)


def check(action: Callable[[], object]) -> None:
    said = "read"
    try:
        action()
    except ImagingError as error:
        said = str(error)
    assert said
    assert "Secretname" not in said


def everything_in(path: Path) -> None:
    index = index_series(path)
    list(thumbnails(index, index.series))
    for summary in index.series:
        check(lambda summary=summary: read_indexed(index, summary, lambda _: None))  # type: ignore[misc]


SLOW = settings(
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", DICOM)
@SLOW
@given(draw=st.data())
def test_damaged_dicom_images(
    samples: dict[str, bytes], tmp_path: Path, kind: str, draw: st.DataObject
) -> None:
    broken = damage(samples[kind], draw.draw)
    (tmp_path / "IM0001.dcm").write_bytes(broken)
    (tmp_path / "IM0002.dcm").write_bytes(samples[kind])
    check(lambda: everything_in(tmp_path))
    check(lambda: read_volume(tmp_path))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
@SLOW
@given(draw=st.data())
def test_damaged_structures(
    samples: dict[str, bytes], tmp_path: Path, kind: str, draw: st.DataObject
) -> None:
    path = tmp_path / "structures.dcm"
    path.write_bytes(damage(samples[kind], draw.draw))
    check(lambda: read_structures(path, LIKE))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["zip", "nii.gz", "nii", "nrrd", "mha"])
@SLOW
@given(draw=st.data())
def test_damaged_archives_and_grids(
    samples: dict[str, bytes], tmp_path: Path, kind: str, draw: st.DataObject
) -> None:
    path = tmp_path / f"image.{kind}"
    path.write_bytes(damage(samples[kind], draw.draw))
    check(lambda: read_volume(path))
    if kind != "zip":
        check(lambda: read_labels(path))


@pytest.mark.filterwarnings("ignore::UserWarning")
@SLOW
@given(tail=st.binary(max_size=400))
def test_noise_behind_a_dicom_mark(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "noise.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + tail)
    check(lambda: everything_in(path))
    check(lambda: read_structures(path, LIKE))
    directory = tmp_path / "DICOMDIR"
    directory.write_bytes(path.read_bytes())
    check(lambda: read_volume(directory))
