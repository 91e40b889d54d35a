"""Structures beside SimpleITK: time and agreement, on the LIDC-IDRI CT and on phantoms.

    .venv/bin/python benchmarks/structures.py --data ../shared/data --runs 5

Prints Markdown tables: medians of wall time, and Dice, recall and precision against the label map
of 89 structures. Nothing else should run meanwhile; the load average is shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ir_nav.imaging import LabelMap, Volume, VolumeInfo, read_labels, read_volume
from ir_nav.imaging.segmentation import automatic_structures, grow_lesion, vessels

BONES = (*range(25, 51), *range(69, 79), *range(92, 117))
VESSELS = tuple(range(51, 65))
SPACING_MM = (0.7, 0.7, 2.5)
Result = TypeVar("Result")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    folder = options.data / "ct"
    ct = read_volume(folder / "chest_LIDC-IDRI-0001_dicom.zip")
    names = folder / "chest_LIDC-IDRI-0001_labels.csv"
    labels = read_labels(folder / "chest_LIDC-IDRI-0001_labels.nii.gz", names, like=ct)
    print(f"Load average before: {os.getloadavg()[0]:.1f}\n")
    _automatic(ct, labels, options.runs)
    _lesions(options.runs)
    _vessels(ct, labels, options.runs)
    print(f"Load average after: {os.getloadavg()[0]:.1f}")
    return 0


def _automatic(ct: Volume, labels: LabelMap, runs: int) -> None:
    seconds, found = _timed(lambda: automatic_structures(ct), runs)
    ours = {item.name: item for item in found}
    masks = {}
    for name, item in ours.items():
        masks[name] = np.zeros(ct.voxels.shape, np.bool_)
        masks[name][item.structure.box] = item.structure.part
    image = sitk.GetImageFromArray(ct.voxels)
    peer_s, peer = _timed(lambda: _largest_above(image, 200), runs)
    lung_s, lung = _timed(lambda: _lungs_by_threshold(image), runs)
    print("| structure | method | s | Dice | recall | precision | heart and vessels taken |")
    print("|---|---|---|---|---|---|---|")
    print(f"| all six | console | {seconds:.2f} | | | | |")
    bone, vessel = labels.mask(BONES), labels.mask(VESSELS)
    _row("bone", "console", "", masks["bone"], bone, vessel)
    _row("bone", "SimpleITK threshold 200 HU + largest", f"{peer_s:.2f}", peer, bone, vessel)
    lungs = labels.mask("lung_*")
    both = masks["lung_left"] | masks["lung_right"]
    _row("lungs", "console", "", both, lungs, vessel)
    _row("lungs", "SimpleITK threshold + components", f"{lung_s:.2f}", lung, lungs, vessel)
    for side, ids in (("left", (10, 11)), ("right", (12, 13, 14))):
        _row(f"lung {side}", "console", "", masks[f"lung_{side}"], labels.mask(ids), vessel)
    if "trachea" in masks:
        _row("trachea", "console", "", masks["trachea"], labels.mask(16), vessel)
    unnamed = masks["bone"] & (labels.voxels == 0)
    print(
        f"\nOf the console's bone {unnamed.sum() / masks['bone'].sum():.1%} has no label at all.\n"
    )


def _row(
    what: str, how: str, seconds: str, found: np.ndarray, truth: np.ndarray, vessel: np.ndarray
) -> None:
    both = float((found & truth).sum())
    dice = 2.0 * both / float(found.sum() + truth.sum())
    print(
        f"| {what} | {how} | {seconds} | {dice:.3f} | {both / truth.sum():.3f} "
        f"| {both / found.sum():.3f} | {found[vessel].mean():.3f} |"
    )


def _largest_above(image: sitk.Image, level_hu: float) -> np.ndarray:
    parts = sitk.ConnectedComponent(image > level_hu)
    largest = sitk.RelabelComponent(parts, sortByObjectSize=True) == 1
    return sitk.GetArrayViewFromImage(largest).astype(np.bool_)


def _lungs_by_threshold(image: sitk.Image) -> np.ndarray:
    """Air that does not touch the image's border in its slices, the two largest pieces."""
    air = sitk.GetArrayFromImage(image < -400)
    neighbours = ndimage.generate_binary_structure(3, 1)
    neighbours[0] = neighbours[2] = False
    pieces, _ = ndimage.label(air, neighbours)
    edges = (pieces[:, 0], pieces[:, -1], pieces[:, :, 0], pieces[:, :, -1])
    outside = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    inner = sitk.GetImageFromArray((air.astype(bool) & ~np.isin(pieces, outside)).astype(np.uint8))
    sizes = sitk.RelabelComponent(sitk.ConnectedComponent(inner), sortByObjectSize=True)
    kept = sitk.And(sizes >= 1, sizes <= 2)
    return sitk.GetArrayViewFromImage(kept).astype(np.bool_)


def _ball(radius_mm: float, inside_hu: float, noise_hu: float) -> tuple[Volume, np.ndarray]:
    size = np.array((150, 140, 44))
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = -(size - 1.0) * SPACING_MM / 2.0
    x, y, z = (
        np.arange(n) * s + o for n, s, o in zip(size, SPACING_MM, affine[:3, 3], strict=True)
    )
    away = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    truth = away <= radius_mm**2
    hu = ndimage.gaussian_filter(np.where(truth, inside_hu, 100.0), (0.4, 0.7, 0.7))
    hu += np.random.default_rng(1).normal(0.0, noise_hu, hu.shape)
    return Volume(np.rint(hu).astype(np.int16), affine, "blake2b:bench", VolumeInfo()), truth


def _lesions(runs: int) -> None:
    print("| ball | noise | method | ms | Dice |")
    print("|---|---|---|---|---|")
    for radius_mm, inside_hu, noise_hu in ((8, 40, 15), (15, 60, 25), (25, 40, 15), (30, 60, 20)):
        volume, truth = _ball(radius_mm, inside_hu, noise_hu)
        radius = min(1.15 * radius_mm, 30.0)
        seconds, grown = _timed(lambda v=volume, r=radius: grow_lesion(v, (0, 0, 0), r), 3 * runs)
        mask = np.zeros(truth.shape, np.bool_)
        k, j, i = (slice(a, a + n) for a, n in zip(grown.corner_kji, grown.part.shape, strict=True))
        mask[k, j, i] = grown.part
        _lesion_row(radius_mm, inside_hu, noise_hu, "console", seconds, mask, truth)
        image = sitk.GetImageFromArray(volume.voxels)
        seed = [size // 2 for size in volume.size_ijk]
        peer_s, peer = _timed(
            lambda im=image, s=seed: sitk.ConfidenceConnected(
                sitk.CurvatureFlow(sitk.Cast(im, sitk.sitkFloat32), 0.05, 5),
                [s],
                numberOfIterations=3,
                multiplier=2.5,
                initialNeighborhoodRadius=2,
            ),
            runs,
        )
        mask = sitk.GetArrayViewFromImage(peer).astype(np.bool_)
        how = "SimpleITK ConfidenceConnected after CurvatureFlow"
        _lesion_row(radius_mm, inside_hu, noise_hu, how, peer_s, mask, truth)
    print()


def _lesion_row(
    radius_mm: float,
    inside_hu: float,
    noise_hu: float,
    how: str,
    seconds: float,
    mask: np.ndarray,
    truth: np.ndarray,
) -> None:
    dice = 2.0 * float((mask & truth).sum()) / float(mask.sum() + truth.sum())
    what = f"{radius_mm} mm, {inside_hu} in 100 HU | {noise_hu} HU"
    print(f"| {what} | {how} | {seconds * 1e3:.1f} | {dice:.3f} |")


def _vessels(ct: Volume, labels: LabelMap, runs: int) -> None:
    aorta = labels.mask("aorta")
    # A slice below the heart, so that neither method runs into it first.
    k = int(np.flatnonzero(aorta.any(axis=(1, 2)))[8])
    depth = ndimage.distance_transform_edt(aorta[k])
    j, i = np.unravel_index(int(depth.argmax()), depth.shape)
    seed = (ct.ct_from_voxel @ (i, j, k, 1.0))[:3]
    seconds, found = _timed(lambda: vessels(ct, seed), runs)
    image = sitk.GetImageFromArray(ct.voxels)
    place = (int(i), int(j), int(k))

    def peer() -> sitk.Image:
        return sitk.ConnectedThreshold(image, [place], found.low_hu, found.high_hu)

    peer_s, theirs = _timed(peer, runs)
    ours_ml = found.part.sum() * np.prod(ct.spacing_mm) / 1000.0
    theirs_ml = sitk.GetArrayViewFromImage(theirs).sum() * np.prod(ct.spacing_mm) / 1000.0
    print("| vessel | method | s | ml | ended |")
    print("|---|---|---|---|---|")
    print(f"| aorta | console | {seconds:.2f} | {ours_ml:.0f} | {found.ending} |")
    print(f"| aorta | SimpleITK ConnectedThreshold | {peer_s:.2f} | {theirs_ml:.0f} | |\n")


def _timed(work: Callable[[], Result], runs: int) -> tuple[float, Result]:
    """Median wall time after one run that is not counted, and the result."""
    result = work()
    times = []
    for _ in range(runs):
        start_s = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start_s)
    return statistics.median(times), result


if __name__ == "__main__":
    sys.exit(main())
