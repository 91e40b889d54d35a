"""Every transfer syntax decodes to what went in; the encoders are not the reader's decoders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ir_nav.imaging import ImagingError, read_volume
from tests.imaging import phantom
from tests.imaging.peers import program

PLACE = phantom.affine((12.0, -7.0, 31.0))
# Encoders of JPEG 2000 refuse pictures of a few pixels.
HU = np.tile(phantom.voxels(), (1, 6, 5))


def signed_slices() -> list[pydicom.FileDataset]:
    """HU stored as they are, with a sign, in all sixteen bits."""
    made = phantom.dicom_slices(HU, PLACE)
    for data, values in zip(made, HU, strict=True):
        data.PixelRepresentation, data.BitsStored, data.HighBit = 1, 16, 15
        data.RescaleIntercept = "0"
        data.PixelData = values.astype("<i2").tobytes()
    return made


def slices(*, signed: bool) -> list[pydicom.FileDataset]:
    return signed_slices() if signed else phantom.dicom_slices(HU, PLACE)


def read_back(folder: Path) -> np.ndarray:
    volume = read_volume(folder)
    np.testing.assert_allclose(volume.ct_from_voxel, PLACE, atol=1e-6)
    return volume.voxels


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed(tmp_path: Path, syntax: UID, signed: bool) -> None:
    made = slices(signed=signed)
    for data in made:
        data.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
            data["PixelData"].VR = "OW"
    assert np.array_equal(read_back(phantom.write_dicom(tmp_path, made)), HU)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_lossless(tmp_path: Path, syntax: UID, signed: bool) -> None:
    made = slices(signed=signed)
    for data in made:
        data.compress(syntax)
    assert np.array_equal(read_back(phantom.write_dicom(tmp_path, made)), HU)


def test_high_throughput_jpeg_2000(tmp_path: Path) -> None:
    made = slices(signed=False)
    for data in made:
        stored = np.frombuffer(data.PixelData, "<u2").reshape(data.Rows, data.Columns)
        data.PixelData = encapsulate([imagecodecs.htj2k_encode(stored, reversible=True)])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = HTJ2KLossless
    assert np.array_equal(read_back(phantom.write_dicom(tmp_path, made)), HU)


def test_near_lossless_jpeg_ls_keeps_its_bound(tmp_path: Path) -> None:
    made = slices(signed=False)
    for data in made:
        data.compress(JPEGLSNearLossless, jls_error=3)
    found = read_back(phantom.write_dicom(tmp_path, made)).astype(int)
    assert 0 < np.abs(found - HU).max() <= 3


@pytest.mark.parametrize("option", ["+e1", "+el"])
def test_lossless_jpeg_of_dcmtk(tmp_path: Path, option: str) -> None:
    folder = phantom.write_dicom(tmp_path / "plain", slices(signed=False))
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in folder.iterdir():
        subprocess.run([program("dcmcjpeg"), option, path, packed / path.name], check=True)
    assert np.array_equal(read_back(packed), HU)


@pytest.mark.parametrize(
    ("option", "syntax"), [("+ee", ".4.51"), ("+es", ".4.53"), ("+ep", ".4.55"), ("+eb", ".4.50")]
)
def test_lossy_jpeg_is_what_dcmtk_decodes(tmp_path: Path, option: str, syntax: str) -> None:
    """DCMTK changes the rescale so that the picture fills the bits; both sides follow it."""
    folder = phantom.write_dicom(tmp_path / "plain", slices(signed=False))
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    packed.mkdir()
    unpacked.mkdir()
    for path in folder.iterdir():
        lossy = packed / path.name
        subprocess.run([program("dcmcjpeg"), option, "+un", path, lossy], check=True)
        assert pydicom.dcmread(lossy).file_meta.TransferSyntaxUID.endswith(syntax)
        subprocess.run([program("dcmdjpeg"), lossy, unpacked / path.name], check=True)
    found = read_back(packed).astype(int)
    assert np.abs(found - read_back(unpacked)).max() <= 1
    # Edges of 400 HU ring; a wrong sign or shift would be far off.
    assert np.abs(found - HU).mean() < 12.0


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_picture_without_its_end(tmp_path: Path, syntax: UID) -> None:
    made = slices(signed=False)
    for data in made:
        data.compress(syntax)
    frame = next(pydicom.encaps.generate_frames(made[4].PixelData, number_of_frames=1))
    made[4].PixelData = encapsulate([frame[: len(frame) // 2]])
    made[4]["PixelData"].is_undefined_length = True
    with pytest.raises(ImagingError, match="end too early"):
        read_volume(phantom.write_dicom(tmp_path, made))


def test_an_unknown_compression(tmp_path: Path) -> None:
    made = slices(signed=False)
    for data in made:
        data.compress(RLELossless)
        data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")
    with pytest.raises(ImagingError, match="export the series uncompressed"):
        read_volume(phantom.write_dicom(tmp_path, made))


@pytest.mark.parametrize(
    ("stored", "written", "intercept"), [(3000, 3000, 0), (-2000, 63536, 1500)]
)
def test_padding_is_air_whatever_its_sign(
    tmp_path: Path, stored: int, written: int, intercept: int
) -> None:
    """Pixel Padding Value is often written unsigned beside signed pixels."""
    made = signed_slices()
    for data in made:
        values = np.frombuffer(data.PixelData, "<i2").copy()
        values[:5] = stored
        data.PixelData, data.RescaleIntercept = values.tobytes(), str(intercept)
        data.add_new(0x00280120, "US", written)
    found = read_back(phantom.write_dicom(tmp_path, made))
    assert (found[:, 0, :5] == -1024).all()
    assert np.array_equal(found[:, 1:], HU[:, 1:] + intercept)
