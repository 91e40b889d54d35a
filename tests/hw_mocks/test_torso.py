"""The digital torso and the anatomy that any CT with labels becomes."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from hw_mocks.anatomy import Anatomy, AnatomyError, TissueMotion, load_anatomy
from hw_mocks.skin import skin_entry, skin_mask
from hw_mocks.torso import Torso, cached_torso, generate_torso
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.registration.skin_markers import find_skin_markers
from tests.data import data_path

SEED = 7
# Portal-venous CT; limits from radiology texts, wide enough for noise and partial volume.
MEAN_HU = {
    "fat": (-115, -75),
    "muscle": (40, 70),
    "rib": (300, 700),
    "spine": (150, 400),
    "lung_left": (-900, -740),
    "lung_right": (-900, -740),
    "liver": (80, 110),
    "portal_vein": (115, 180),
    "hepatic_vein": (115, 180),
    "aorta": (145, 190),
    "gallbladder": (0, 35),
    "kidney_left": (150, 195),
    "kidney_right": (150, 195),
    "lesion": (25, 50),
    "abscess": (10, 45),
    "bowel_gas": (-1000, -750),
    "spleen": (100, 130),
}
MILLILITRES = {
    "liver": (900, 2000),
    "kidney_left": (90, 230),
    "kidney_right": (90, 230),
    "spleen": (90, 350),
    "lung_right": (700, 2500),
    "portal_vein": (15, 100),
    "hepatic_vein": (8, 80),
}


@pytest.fixture(scope="module")
def torso() -> Torso:
    return generate_torso(SEED)


@pytest.fixture(scope="module")
def anatomy(torso: Torso) -> Anatomy:
    return torso.anatomy


def diameter_mm(anatomy: Anatomy, name: str) -> float:
    count = int((anatomy.labels == anatomy.label_id(name)).sum())
    return float((6.0 / np.pi * count * np.prod(anatomy.spacing_mm)) ** (1.0 / 3.0))


def test_every_structure_has_its_ct_number(anatomy: Anatomy) -> None:
    means = {name: anatomy.hu[anatomy.labels == anatomy.label_id(name)].mean() for name in MEAN_HU}
    wrong = {n: m for n, m in means.items() if not MEAN_HU[n][0] <= m <= MEAN_HU[n][1]}
    assert not wrong


def test_organs_have_plausible_volumes(anatomy: Anatomy) -> None:
    voxel_ml = np.prod(anatomy.spacing_mm) / 1000.0
    sizes = {n: (anatomy.labels == anatomy.label_id(n)).sum() * voxel_ml for n in MILLILITRES}
    wrong = {n: v for n, v in sizes.items() if not MILLILITRES[n][0] <= v <= MILLILITRES[n][1]}
    assert not wrong


def test_noise_is_that_of_a_ct(anatomy: Anatomy) -> None:
    """Liver noise 8 to 18 HU (vessels excluded by label), as in routine abdominal scans."""
    inside = ndimage.binary_erosion(anatomy.labels == anatomy.label_id("liver"), iterations=3)
    assert 8.0 < anatomy.hu[inside].std() < 18.0


def test_targets_have_their_size_and_are_one_piece(anatomy: Anatomy) -> None:
    assert diameter_mm(anatomy, "lesion") == pytest.approx(15.0, abs=1.0)
    assert diameter_mm(anatomy, "abscess") == pytest.approx(45.0, abs=3.0)
    for name in ("lesion", "abscess"):
        mask = anatomy.labels == anatomy.label_id(name)
        pieces, _ = ndimage.label(mask)
        assert np.bincount(pieces.ravel())[1:].max() >= 0.98 * mask.sum()


def test_abscess_has_a_bright_rim_around_a_fluid_core(anatomy: Anatomy) -> None:
    whole = anatomy.labels == anatomy.label_id("abscess")
    block = ndimage.find_objects(whole.astype(np.uint8))[0]
    mask, hu = np.pad(whole[block], 1), np.pad(anatomy.hu[block], 1)
    depth = ndimage.distance_transform_edt(mask, sampling=1.5)
    assert hu[depth > 8.0].mean() == pytest.approx(15.0, abs=5.0)
    assert hu[(depth > 1.5) & (depth < 3.2)].mean() > 48.0


def test_lesion_lies_in_the_liver(anatomy: Anatomy) -> None:
    lesion = anatomy.labels == anatomy.label_id("lesion")
    around = ndimage.binary_dilation(lesion, iterations=4) & ~lesion
    assert (anatomy.labels[around] == anatomy.label_id("liver")).mean() > 0.9


def test_a_needle_path_from_the_right_reaches_the_lesion(anatomy: Anatomy) -> None:
    """At least one straight path below 120 mm that meets no bone, lung, bowel or big vessel."""
    target = anatomy.centroid_ct_mm("lesion")
    forbidden = {
        anatomy.label_id(name)
        for name in ("rib", "spine", "lung_right", "bowel", "bowel_gas", "portal_vein",
                     "hepatic_vein", "gallbladder", "kidney_right", "costal_cartilage")
    }  # fmt: skip
    mask = skin_mask(anatomy)
    free = 0
    for azimuth in np.radians(np.arange(-20.0, 91.0, 10.0)):
        for climb in (-0.6, -0.4, -0.2, 0.0, 0.2):
            direction = (-np.cos(azimuth), -np.sin(azimuth), climb)
            entry = skin_entry(anatomy, target, direction, mask)
            if np.linalg.norm(entry - target) > 120.0:
                continue
            path = target + np.linspace(0.0, 1.0, 200)[:, None] * (entry - target)
            free += not forbidden & {anatomy.label_at(point) for point in path}
    assert free >= 3


def test_beads_lie_on_the_skin_well_spread(torso: Torso) -> None:
    beads = torso.fiducials_ct_mm
    assert beads.shape == (6, 3)
    mask = skin_mask(torso.anatomy)
    for i, j, k in np.rint((beads - torso.anatomy.ct_from_voxel[:3, 3]) / 1.5).astype(int):
        near = mask[k - 2 : k + 3, j - 2 : j + 3, i - 2 : i + 3]
        assert near.any()  # body within 3 mm
        assert not near.all()  # and air
    gaps = np.linalg.norm(beads[:, None] - beads[None], axis=2)
    assert gaps.max() >= 100.0
    assert gaps[np.triu_indices(6, 1)].min() > 25.0
    assert np.linalg.svd(beads - beads.mean(axis=0))[1][2] > 10.0
    assert beads[:, 0].max() < 0.0  # on the right


def test_beads_are_radio_opaque_where_they_are_said_to_be(torso: Torso) -> None:
    anatomy = torso.anatomy
    for bead in torso.fiducials_ct_mm:
        i, j, k = np.rint((bead - anatomy.ct_from_voxel[:3, 3]) / 1.5).astype(int)
        block = anatomy.hu[k - 3 : k + 4, j - 3 : j + 4, i - 3 : i + 4].astype(float)
        bright = np.maximum(block - 250.0, 0.0)
        assert block.max() > 700
        offset = [np.sum(bright * axis) / bright.sum() for axis in np.indices(block.shape) - 3]
        found = anatomy.ct_from_voxel[:3, 3] + 1.5 * (np.array([i, j, k]) + offset[::-1])
        assert np.linalg.norm(found - bead) < 0.9  # half a voxel, and air hides its outer side


def test_beads_are_found_as_markers_on_the_skin(torso: Torso) -> None:
    anatomy = torso.anatomy
    volume = Volume(anatomy.hu, anatomy.ct_from_voxel, "torso", VolumeInfo())
    found = np.array([one.centre_ct_mm for one in find_skin_markers(volume)])
    assert len(found) == len(torso.fiducials_ct_mm)
    apart_mm = np.linalg.norm(found[:, None] - torso.fiducials_ct_mm[None], axis=2)
    assert apart_mm.min(axis=1).max() < 0.6


def test_the_cache_holds_the_same_torso_and_is_used_again(torso: Torso, tmp_path: Path) -> None:
    """Also shows that a seed gives one torso: the cache generates it anew."""
    sitk = pytest.importorskip("SimpleITK")
    started = time.process_time()
    files = cached_torso(tmp_path, SEED)
    assert time.process_time() - started < 15.0
    image = sitk.ReadImage(str(files.ct))
    assert np.array_equal(sitk.GetArrayFromImage(image), torso.anatomy.hu)
    assert image.GetOrigin() == pytest.approx(torso.anatomy.ct_from_voxel[:3, 3])
    assert image.GetSpacing() == pytest.approx((1.5, 1.5, 1.5))
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(files.labels)))
    assert np.array_equal(labels, torso.anatomy.labels)
    with files.names_csv.open(encoding="utf-8") as stream:
        names = {int(row["id"]): row["structure"] for row in csv.DictReader(stream)}
    assert names == dict(torso.anatomy.names)
    beads = json.loads(files.fiducials.read_text(encoding="utf-8"))["fiducials_ct_mm"]
    assert np.allclose(beads, torso.fiducials_ct_mm, atol=1e-3)
    written = files.ct.stat().st_mtime_ns
    assert cached_torso(tmp_path, SEED) == files
    assert files.ct.stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [files.ct.parent.name]


def test_another_seed_is_another_patient(torso: Torso) -> None:
    other = generate_torso(SEED + 1).anatomy
    assert (other.labels != torso.anatomy.labels).mean() > 0.02
    assert diameter_mm(other, "lesion") == pytest.approx(15.0, abs=1.0)


def test_skin_follows_the_skin_and_depth_follows_the_depth(torso: Torso) -> None:
    anatomy = torso.anatomy
    motion = TissueMotion(np.array([0.0, -1.0, 2.0]), np.array([0.0, -3.0, 12.0]))
    deep = anatomy.displacement(anatomy.centroid_ct_mm("lesion"), motion)
    assert deep == pytest.approx(motion.deep_mm, abs=1e-6)
    skin = anatomy.displacement(torso.fiducials_ct_mm, motion)
    assert np.abs(skin - motion.skin_mm).max() < 0.5
    entry = skin_entry(anatomy, anatomy.centroid_ct_mm("lesion"), (-1.0, 0.0, 0.0))
    inward = entry + np.linspace(0.0, 60.0, 121)[:, None] * (1.0, 0.0, 0.0)
    head = anatomy.displacement(inward, motion)[:, 2]
    assert np.all(np.diff(head) >= -0.02)
    assert np.abs(np.diff(head)).max() < 0.4  # smooth: no tear in the tissue


def test_rest_position_undoes_the_displacement(anatomy: Anatomy) -> None:
    motion = TissueMotion(np.array([0.5, -1.0, 2.0]), np.array([1.0, -3.0, 12.0]))
    rest = np.array([(-140.0, 0.0, 0.0), (-125.0, 0.0, 0.0), (-60.0, 10.0, 20.0)])
    moved = rest + anatomy.displacement(rest, motion)
    assert anatomy.rest_position(moved, motion) == pytest.approx(rest, abs=0.02)


def test_labels_of_another_shape_are_refused() -> None:
    hu = np.zeros((4, 5, 6), dtype=np.int16)
    with pytest.raises(AnatomyError, match="not on the CT"):
        Anatomy(hu, np.zeros((4, 5, 7), dtype=np.uint8), np.eye(4), {})


def test_the_real_ct_loads_in_lps_with_its_names() -> None:
    """CT numbers of the data's manifest (MANIFEST.md: liver 71, spleen 163, kidney 194, +-8)."""
    folder = data_path("ct")
    anatomy = load_anatomy(
        folder / "chest_LIDC-IDRI-0001_2mm.nii.gz",
        folder / "chest_LIDC-IDRI-0001_2mm_labels.nii.gz",
        folder / "chest_LIDC-IDRI-0001_labels.csv",
    )
    for name, hu in (("liver", 71.0), ("spleen", 163.0), ("kidney_right", 194.0)):
        mask = anatomy.labels == anatomy.label_id(name)
        assert anatomy.hu[mask].mean() == pytest.approx(hu, abs=8.0)
    assert anatomy.centroid_ct_mm("liver")[0] < 0.0 < anatomy.centroid_ct_mm("spleen")[0]
    assert anatomy.centroid_ct_mm("heart")[2] > anatomy.centroid_ct_mm("liver")[2]
    assert anatomy.centroid_ct_mm("vertebrae_T12")[1] > anatomy.centroid_ct_mm("liver")[1]


def test_labels_on_another_grid_are_brought_to_the_ct() -> None:
    folder = data_path("ct")
    names = folder / "chest_LIDC-IDRI-0001_labels.csv"
    ct = folder / "chest_LIDC-IDRI-0001_2mm.nii.gz"
    fine = load_anatomy(ct, folder / "chest_LIDC-IDRI-0001_labels.nii.gz", names)
    same = load_anatomy(ct, folder / "chest_LIDC-IDRI-0001_2mm_labels.nii.gz", names)
    liver = same.label_id("liver")
    both = ((fine.labels == liver) & (same.labels == liver)).sum()
    assert 2.0 * both / ((fine.labels == liver).sum() + (same.labels == liver).sum()) > 0.95
