"""Tracked liver sweeps with a known pose: the room's B-mode simulator on a real CT or the torso.

Shares nothing with the registration. What it sees comes from a label map and tissue tables; its
frames carry speckle, attenuation, shadow, reverberation behind gas, mirror images behind the
diaphragm, other gain in every window, and poses with noise. The tissue may have breathed since
the CT was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hw_mocks.anatomy import Anatomy, AnatomyError, TissueMotion, WeightField, load_anatomy
from hw_mocks.bmode import BModeRenderer, ConvexGeometry
from hw_mocks.skin import skin_entry, skin_mask, skin_normal
from hw_mocks.torso import cached_torso
from ir_nav.geometry import FloatArray, apply, rigid, rigid_inverse, rotation_from_vector, unit

POSE_NOISE_MM = 0.2
POSE_NOISE_DEG = 0.15
TILT_DEG = 20.0
GRID_MM = 4.0
MOVED_BEYOND_MM = 30.0
BONE_HU, GAS_HU = 220.0, -300.0
# Way out of the liver, and the image's lateral direction; DICOM LPS.
WINDOWS = {
    "subcostal": ((-0.25, -0.85, -0.45), (-1.0, 0.0, 0.15)),
    "intercostal": ((-0.95, -0.25, 0.0), (0.25, -0.9, -0.35)),
    "epigastric": ((0.25, -0.95, -0.1), (0.1, 0.0, -1.0)),
}


@dataclass(frozen=True, slots=True, eq=False)
class TruthSweep:
    """images (n, rows, columns) uint8. reference_from_image (n, 4, 4): px to mm, as a tracker
    gives it. ct_from_reference: (4, 4), true at rest. target_ct_mm (3,), where the CT shows it;
    target_reference_mm (3,), where it is during the sweep. liver_ct_mm (m, 3) and
    liver_reference_mm: points of the liver the frames pass, likewise. window (n,): its name."""

    images: NDArray[np.uint8]
    reference_from_image: FloatArray
    ct_from_reference: FloatArray
    target_ct_mm: FloatArray
    target_reference_mm: FloatArray
    liver_ct_mm: FloatArray
    liver_reference_mm: FloatArray
    window: tuple[str, ...]

    def error_mm(self, ct_from_reference: FloatArray) -> float:
        """TRE at the target."""
        moved = apply(ct_from_reference, self.target_reference_mm) - self.target_ct_mm
        return float(np.linalg.norm(moved))

    def liver_error_mm(self, ct_from_reference: FloatArray) -> float:
        """Mean TRE over the liver that the frames pass."""
        moved = apply(ct_from_reference, self.liver_reference_mm) - self.liver_ct_mm
        return float(np.linalg.norm(moved, axis=1).mean())


def real_anatomy(data: Path) -> Anatomy:
    """The LIDC CT at full resolution with its 89 labels."""
    stem = data / "ct" / "chest_LIDC-IDRI-0001"
    return load_anatomy(
        Path(f"{stem}_dicom.zip"), Path(f"{stem}_labels.nii.gz"), Path(f"{stem}_labels.csv")
    )


def torso_anatomy(cache: Path, seed: int) -> Anatomy:
    files = cached_torso(cache, seed)
    return load_anatomy(files.ct, files.labels, files.names_csv)


class Patient:
    """An anatomy with what the sweeps need of it, worked out once."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.body = skin_mask(anatomy)
        self.geometry = ConvexGeometry()
        liver = anatomy.labels == anatomy.label_id("liver")
        depth = ndimage.distance_transform_edt(liver, sampling=anatomy.spacing_mm[::-1])
        self.inner_ct_mm = self._points(depth > 15.0)
        self.liver_ct_mm = self._points(depth > 4.0)
        gas = [n for n, name in anatomy.names.items() if name.startswith("lung")]
        self.lung = np.isin(anatomy.labels, gas)
        self.moving = _with_moving_liver(anatomy, liver)

    def _points(self, mask: NDArray[np.bool_]) -> FloatArray:
        return apply(self.anatomy.ct_from_voxel, np.argwhere(mask)[::7, ::-1])

    def sweep(
        self,
        seed: int,
        *,
        frames: int = 24,
        breathing_mm: float = 0.0,
        windows: tuple[str, ...] = tuple(WINDOWS),
    ) -> TruthSweep:
        """A sweep from each window, `frames` in all; another seed, other places and speckle.

        breathing_mm: how far the deep tissue has moved to the feet since the CT.
        """
        rng = np.random.default_rng(seed)
        renderer = BModeRenderer(self.moving, self.geometry, seed)
        motion = TissueMotion(np.zeros(3), np.array([0.0, -0.25, -0.97]) * breathing_mm)
        focus = self.inner_ct_mm[rng.integers(len(self.inner_ct_mm))]
        images, poses, names = [], [], []
        for window, count in zip(windows, _shared(frames, len(windows)), strict=True):
            face = self._contact(window, focus, rng)
            gain, contrast = rng.normal(0.0, 12.0), rng.uniform(0.85, 1.15)
            for turn in _sweep(rng, count):
                pose = face @ turn @ self.geometry.image_mm_from_px
                image = renderer.render(pose, motion, None)
                image = self._mirrored(image, pose, motion)
                images.append(regained(image, gain, contrast))
                poses.append(pose)
                names.append(window)
        return self.as_tracked(rng, images, poses, names, focus, motion)

    def _contact(self, window: str, focus: FloatArray, rng: np.random.Generator) -> FloatArray:
        """(4, 4) pose of the probe's face: x lateral, y down the central beam; of the ways out
        near the window's own, the one with the least bone and gas on the way."""
        best: tuple[float, FloatArray] | None = None
        for outward in _near(WINDOWS[window][0], rng):
            try:
                point = skin_entry(self.anatomy, focus, outward, self.body)
                normal = skin_normal(self.anatomy, point, self.body)
            except AnatomyError:
                continue
            lateral = np.asarray(WINDOWS[window][1]) + rng.normal(0.0, 0.1, 3)
            lateral = unit(lateral - np.dot(lateral, outward) * outward)
            blocked = sum(
                self._blocked(focus, point + offset * lateral) for offset in (-18.0, 0.0, 18.0)
            )
            cost = blocked + 20.0 * float(1.0 - normal @ outward)
            if best is None or cost < best[0]:
                rotation = np.column_stack([lateral, -outward, np.cross(lateral, -outward)])
                best = cost, rigid(rotation, point - 3.0 * outward)
        if best is None:
            raise AnatomyError(f"no skin for the {window} window")
        return best[1]

    def _blocked(self, inside: FloatArray, outside: FloatArray) -> float:
        length = float(np.linalg.norm(outside - inside))
        steps = np.arange(0.0, max(length - 4.0, 1.0), 1.0)[:, None] / max(length, 1.0)
        hu = self.anatomy.sample_hu(inside + steps * (outside - inside))
        return float(np.count_nonzero((hu > BONE_HU) | (hu < GAS_HU)))

    def _mirrored(
        self, image: NDArray[np.uint8], ct_from_image: FloatArray, motion: TissueMotion
    ) -> NDArray[np.uint8]:
        """The liver once more behind the diaphragm, where the lung throws the beam back."""
        geometry = self.geometry
        depth_mm = np.arange(0.0, geometry.depth_mm, 0.75)
        angle_deg = np.linspace(-0.5, 0.5, 200) * geometry.fov_deg
        places = geometry.pixel(*np.meshgrid(depth_mm, angle_deg))  # (lines, depths, 2)
        flat = np.column_stack([places.reshape(-1, 2), np.zeros(places[..., 0].size)])
        rest = apply(ct_from_image, flat) - motion.deep_mm
        ijk = np.rint(apply(self.anatomy.voxel_from_ct, rest)).astype(int)
        inside = np.all((ijk >= 0) & (ijk < np.array(self.lung.shape[::-1])), axis=1)
        lung = np.zeros(len(ijk), dtype=bool)
        lung[inside] = self.lung[tuple(ijk[inside, ::-1].T)]
        lung = lung.reshape(places.shape[:2])
        hit = np.where(lung.any(axis=1), lung.argmax(axis=1), len(depth_mm))
        hit[hit * 0.75 < 40.0] = len(depth_mm)  # ribs' lung, not the dome
        polar = ndimage.map_coordinates(image, places[..., ::-1].transpose(2, 0, 1), order=1)
        at = 2 * hit[:, None] - np.arange(len(depth_mm))
        behind = (np.arange(len(depth_mm)) > hit[:, None] + 2) & (at >= 0)
        folded = np.take_along_axis(polar, np.clip(at, 0, len(depth_mm) - 1), axis=1)
        mirror = np.where(behind, np.clip(folded.astype(float) - 30.0, 0.0, 255.0), 0.0)
        v, u = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
        d, a = geometry.polar(np.stack([u, v], axis=-1))
        line = (a / geometry.fov_deg + 0.5) * 199.0
        drawn = ndimage.map_coordinates(mirror, [line, d / 0.75], order=1, cval=0.0)
        return np.maximum(image, drawn.astype(np.uint8))

    def as_tracked(
        self,
        rng: np.random.Generator,
        images: list[NDArray[np.uint8]],
        poses: list[FloatArray],
        names: list[str],
        focus: FloatArray,
        motion: TissueMotion,
    ) -> TruthSweep:
        truth = rigid(
            rotation_from_vector(rng.normal(0.0, 0.8, 3)), focus + rng.normal(0.0, 60.0, 3)
        )
        reference_from_ct = rigid_inverse(truth)
        noisy = []
        for pose in poses:
            face_mm = apply(pose, np.array([*self.geometry.face_px, 0.0]))
            turn = rotation_from_vector(rng.normal(0.0, np.radians(POSE_NOISE_DEG), 3))
            shake = rigid(turn, face_mm - turn @ face_mm + rng.normal(0.0, POSE_NOISE_MM, 3))
            noisy.append(reference_from_ct @ shake @ pose)
        liver = self._passed(poses, motion)
        return TruthSweep(
            np.stack(images),
            np.stack(noisy),
            truth,
            focus,
            apply(reference_from_ct, focus + self.moving.displacement(focus, motion)),
            liver,
            apply(reference_from_ct, liver + self.moving.displacement(liver, motion)),
            tuple(names),
        )

    def _passed(self, poses: list[FloatArray], motion: TissueMotion) -> FloatArray:
        """Liver points within 3 mm of any frame's fan."""
        moved = self.liver_ct_mm + motion.deep_mm
        seen = np.zeros(len(moved), dtype=bool)
        for pose in poses:
            u, v, w = apply(np.linalg.inv(pose), moved).T
            depth_mm, angle_deg = self.geometry.polar(np.stack([u, v], axis=-1))
            fan = (np.abs(angle_deg) < self.geometry.fov_deg / 2.0) & (depth_mm > 0.0)
            near = np.abs(w) * self.geometry.mm_per_px < 3.0
            seen |= fan & near & (depth_mm < self.geometry.depth_mm)
        return self.liver_ct_mm[seen]


def _with_moving_liver(anatomy: Anatomy, liver: NDArray[np.bool_]) -> Anatomy:
    """The same patient, whose breathing moves the liver as a whole, what lies round it less with
    distance, and spine, ribs and skin beyond MOVED_BEYOND_MM not at all."""
    steps = np.maximum(1, np.rint(GRID_MM / anatomy.spacing_mm)).astype(int)
    coarse = liver[:: steps[2], :: steps[1], :: steps[0]]
    away_mm = ndimage.distance_transform_edt(~coarse, sampling=(steps * anatomy.spacing_mm)[::-1])
    share = 1.0 - np.clip(away_mm / MOVED_BEYOND_MM, 0.0, 1.0)
    values = (share * share * (3.0 - 2.0 * share)).astype(np.float32)
    scale = np.diag([*steps.astype(float), 1.0])
    moving = Anatomy(anatomy.hu, anatomy.labels, anatomy.ct_from_voxel, anatomy.names)
    field = WeightField(values, np.linalg.inv(anatomy.ct_from_voxel @ scale))
    object.__setattr__(moving, "depth_weight", field)
    return moving


def start_off(
    sweep: TruthSweep, rng: np.random.Generator, most_mm: float, most_deg: float = 10.0
) -> FloatArray:
    """A start (4, 4) whose error at the target is drawn evenly from 0 to `most_mm`."""
    turn = rotation_from_vector(
        unit(rng.normal(0.0, 1.0, 3)) * np.radians(rng.uniform(0.0, most_deg))
    )
    away = unit(rng.normal(0.0, 1.0, 3)) * rng.uniform(0.0, most_mm)
    pivot = sweep.target_ct_mm
    return rigid(turn, pivot - turn @ pivot + away) @ sweep.ct_from_reference


def _shared(total: int, parts: int) -> list[int]:
    return [total // parts + (n < total % parts) for n in range(parts)]


def _near(nominal: tuple[float, float, float], rng: np.random.Generator) -> Iterator[FloatArray]:
    axis = unit(np.asarray(nominal))
    for _ in range(40):
        yield unit(axis + rng.normal(0.0, 0.22, 3))


def _sweep(rng: np.random.Generator, count: int) -> Iterator[FloatArray]:
    """The probe's face (4, 4) in its first place: tilted fore and aft, rocked and slid a bit."""
    for tilt_deg in np.linspace(-TILT_DEG, TILT_DEG, count):
        turn_deg = np.array([tilt_deg, rng.normal(0.0, 4.0), rng.normal(0.0, 4.0)])
        slide_mm = np.array([rng.normal(0.0, 3.0), rng.normal(0.0, 0.5), 0.15 * tilt_deg])
        yield rigid(rotation_from_vector(np.radians(turn_deg)), slide_mm)


def regained(image: NDArray[np.uint8], gain: float, contrast: float) -> NDArray[np.uint8]:
    """The same with another gain and dynamic range; outside the fan stays black."""
    grey = np.clip((image.astype(float) - 110.0) * contrast + 110.0 + gain, 0.0, 255.0)
    return np.where(image > 0, grey, 0.0).astype(np.uint8)
