"""Skin, bone, lung and gas: a phantom with a known answer, and the LIDC-IDRI CT."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ir_nav.imaging import ImagingError, LabelMap, Volume, body_mask, read_labels, read_volume
from ir_nav.imaging.segmentation import Segment, automatic_structures
from tests.data import data_path
from tests.imaging.segmentation_phantoms import dice, full, grid, volume_of

BONES = (*range(25, 51), *range(69, 79), *range(92, 117))
VESSELS = tuple(range(51, 65))
SIZE_IJK, SPACING_MM = (180, 150, 50), (2.0, 2.0, 4.0)


def _body() -> tuple[Volume, dict[str, np.ndarray]]:
    """A trunk with lungs, a tube of bone with marrow, an even vessel as dense that
    touches it, gas, a table."""
    affine, x, y, z = grid(SIZE_IJK, SPACING_MM)
    body = (x / 150.0) ** 2 + (y / 100.0) ** 2 <= 1.0
    parts = {
        "lung_right": ((x + 75.0) / 50.0) ** 2 + (y / 65.0) ** 2 + ((z - 40.0) / 55.0) ** 2 <= 1.0,
        "lung_left": ((x - 75.0) / 50.0) ** 2 + (y / 65.0) ** 2 + ((z - 40.0) / 55.0) ** 2 <= 1.0,
        "bowel_gas": (x - 40.0) ** 2 + (y + 40.0) ** 2 + (z + 70.0) ** 2 <= 15.0**2,
    }
    spine = x**2 + (y - 60.0) ** 2 <= 18.0**2
    vessel = x**2 + (y - 32.0) ** 2 <= 11.0**2
    rng = np.random.default_rng(8)
    hu = np.where(body, 50.0, -1000.0)
    hu[(y > 112.0) & (y < 120.0) & (abs(x) < 160.0)] = 200.0
    hu[spine] = rng.normal(420.0, 160.0, int(spine.sum()))
    shell = spine & (x**2 + (y - 60.0) ** 2 > 14.0**2)
    hu[shell] = 800.0
    hu[vessel] = 400.0
    lungs = parts["lung_right"] | parts["lung_left"]
    hu[lungs] = -850.0 + rng.normal(0.0, 50.0, int(lungs.sum()))
    hu[parts["bowel_gas"]] = -990.0
    hu += rng.normal(0.0, 12.0, hu.shape)
    return volume_of(hu, affine), parts | {"skin": body, "bone": spine & ~vessel, "vessel": vessel}


def test_a_made_up_trunk_comes_apart() -> None:
    volume, truth = _body()
    told: list[float] = []
    found = {item.name: item for item in automatic_structures(volume, told.append)}
    assert set(found) == {"skin", "bone", "lung_right", "lung_left", "bowel_gas"}
    masks = {name: full(item, volume.voxels.shape) for name, item in found.items()}
    least = {"skin": 0.99, "bone": 0.93, "lung_right": 0.95, "lung_left": 0.95, "bowel_gas": 0.9}
    for name, wanted in least.items():
        assert dice(masks[name], truth[name]) > wanted, name
    # The vessel is as dense as bone, but even; the table is as dense, but outside.
    assert masks["bone"][truth["vessel"]].mean() < 0.1
    assert not masks["skin"][:, -10:].any()
    assert told == sorted(told)


def test_an_empty_image_is_refused_and_the_work_can_be_stopped() -> None:
    affine, x, *_ = grid(SIZE_IJK, SPACING_MM)
    with pytest.raises(ImagingError, match="no body"):
        automatic_structures(volume_of(np.full(x.shape, -1000.0), affine))

    class StopError(Exception):
        pass

    def stop(fraction: float) -> None:
        if fraction > 0.2:
            raise StopError

    with pytest.raises(StopError):
        automatic_structures(_body()[0], stop)


@pytest.fixture(scope="module")
def ct() -> Volume:
    return read_volume(data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip"))


@pytest.fixture(scope="module")
def truth(ct: Volume) -> LabelMap:
    path = data_path("ct", "chest_LIDC-IDRI-0001_labels.nii.gz")
    return read_labels(path, data_path("ct", "chest_LIDC-IDRI-0001_labels.csv"), like=ct)


@pytest.fixture(scope="module")
def found(ct: Volume) -> dict[str, Segment]:
    return {item.name: item for item in automatic_structures(ct)}


def test_lungs_of_a_real_ct(ct: Volume, truth: LabelMap, found: dict[str, Segment]) -> None:
    """Measured: 0.98 each."""
    shape = ct.voxels.shape
    for side, ids in (("left", (10, 11)), ("right", (12, 13, 14))):
        assert dice(full(found[f"lung_{side}"], shape), truth.mask(ids)) > 0.965


def test_bone_of_a_real_ct_with_dense_contrast(
    ct: Volume, truth: LabelMap, found: dict[str, Segment]
) -> None:
    """The aorta is at 400 HU and the superior vena cava at 1260. Measured: 82 % of the labels'
    bone found, 3.8 % of heart and vessels taken for bone; a threshold of 200 HU finds 62 % and
    takes 70 % of the vessels."""
    bone = full(found["bone"], ct.voxels.shape)
    assert bone[truth.mask(BONES)].mean() > 0.79
    assert bone[truth.mask(VESSELS)].mean() < 0.05
    assert bone[truth.mask((1, 2, 3, 4, 5, 6, 7))].mean() < 0.005


def test_skin_and_gas_of_a_real_ct(ct: Volume, truth: LabelMap, found: dict[str, Segment]) -> None:
    shape = ct.voxels.shape
    assert dice(full(found["skin"], shape), body_mask(ct)) > 0.999
    gas = full(found["bowel_gas"], shape)
    in_gut = truth.mask((6, 18, 19, 20)) & (ct.voxels < -400)
    assert gas[in_gut].mean() > 0.97
    assert not gas[truth.mask(tuple(range(10, 15)))].mean() > 0.001


def test_a_real_ct_takes_under_two_seconds(ct: Volume, found: dict[str, Segment]) -> None:
    """Measured: 1.1 s, of both cores together 1.1 to 1.4 s. Processor time does not count who else
    works on the machine."""
    times_s = []
    for _ in range(2):
        start_s = time.process_time()
        automatic_structures(ct)
        times_s.append(time.process_time() - start_s)
    assert min(times_s) < 2.5
