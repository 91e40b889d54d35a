"""Tracked sweeps over ribs and spine with a known pose.

Frames by the room's B-mode simulator. The probe stays square to the skin and slides: round the
chest with its plane across the ribs, or along the spine with its plane across the body. Truth as in
`ultrasound_truth`.
"""

from __future__ import annotations

import numpy as np
from ultrasound_truth import Patient, TruthSweep, regained

from hw_mocks.anatomy import Anatomy, AnatomyError, TissueMotion
from hw_mocks.bmode import BModeRenderer
from hw_mocks.skin import skin_entry
from hw_mocks.tissue import BONE, tissue_of
from ir_nav.geometry import FloatArray, apply, rigid, rotation_from_vector, unit

SITES = ("ribs", "spine")
FRAMES = 24
# Ways out of the body's middle that the probe slides round: 0 right, 90 front, 180 left.
RIB_WINDOWS_DEG = ((-25.0, 5.0), (15.0, 45.0), (150.0, 185.0))
RIB_HEIGHTS_MM = (10.0, -25.0, 5.0)
SPINE_REACH_MM = 45.0
SPINE_TILT_DEG = (0.0, 25.0, -25.0)
PRESSED_MM = 3.0
HEAD = np.array([0.0, 0.0, 1.0])
SOLID_HU = 500


def solid(anatomy: Anatomy) -> Anatomy:
    """The same patient, whose bones let no sound through: the simulator takes marrow by its HU
    and would show the lung behind a thin rib. The bone then begins where its label does."""
    bones = [n for n, name in anatomy.names.items() if name and tissue_of(name) is BONE]
    hu = np.where(np.isin(anatomy.labels, bones), np.maximum(anatomy.hu, SOLID_HU), anatomy.hu)
    return Anatomy(hu.astype(np.int16), anatomy.labels, anatomy.ct_from_voxel, anatomy.names)


def bone_sweep(patient: Patient, site: str, seed: int, frames: int = FRAMES) -> TruthSweep:
    """Three slides over the ribs, or along the spine, of `frames` frames in all; at rest.

    site: "ribs", the target within the liver, or "spine", the target within a vertebra.
    """
    rng = np.random.default_rng(seed)
    renderer = BModeRenderer(patient.moving, patient.geometry, seed)
    rest = TissueMotion.rest()
    if site == "ribs":
        target = patient.inner_ct_mm[rng.integers(len(patient.inner_ct_mm))]
        faces = _round_the_chest(patient, target, rng, frames)
    else:
        target = _vertebra(patient, rng)
        faces = _along_the_spine(patient, target, rng, frames)
    images, poses, names = [], [], []
    for name, slide in faces.items():
        gain, contrast = rng.normal(0.0, 12.0), rng.uniform(0.85, 1.15)
        for face in slide:
            pose = face @ patient.geometry.image_mm_from_px
            images.append(regained(renderer.render(pose, rest, None), gain, contrast))
            poses.append(pose)
            names.append(name)
    return patient.as_tracked(rng, images, poses, names, target, rest)


def _round_the_chest(
    patient: Patient, target: FloatArray, rng: np.random.Generator, frames: int
) -> dict[str, list[FloatArray]]:
    middle = _middle(patient)
    found = {}
    for number, ((first, last), height) in enumerate(
        zip(RIB_WINDOWS_DEG, RIB_HEIGHTS_MM, strict=True)
    ):
        inside = np.array([middle[0], middle[1], target[2] + height + rng.normal(0.0, 5.0)])
        slide = []
        for angle in np.radians(np.linspace(first, last, frames // len(RIB_WINDOWS_DEG))):
            outward = np.array([-np.cos(angle), -np.sin(angle), 0.0])
            slide.append(_face(patient, inside, outward, HEAD, rng))
        found[f"ribs {number + 1}"] = [face for face in slide if face is not None]
    return found


def _along_the_spine(
    patient: Patient, target: FloatArray, rng: np.random.Generator, frames: int
) -> dict[str, list[FloatArray]]:
    found = {}
    for tilt_deg in SPINE_TILT_DEG:
        angle = np.radians(tilt_deg)
        outward = np.array([np.sin(angle), np.cos(angle), 0.0])
        slide = []
        for shift in np.linspace(-SPINE_REACH_MM, SPINE_REACH_MM, frames // len(SPINE_TILT_DEG)):
            inside = target + np.array([0.0, 0.0, shift])
            lateral = np.array([np.cos(angle), -np.sin(angle), 0.0])
            slide.append(_face(patient, inside, outward, lateral, rng))
        found[f"spine {tilt_deg:+.0f} deg"] = [face for face in slide if face is not None]
    return found


def _face(
    patient: Patient,
    inside: FloatArray,
    outward: FloatArray,
    lateral: FloatArray,
    rng: np.random.Generator,
) -> FloatArray | None:
    """(4, 4) pose of the face where a way out meets the skin; None beyond the CT."""
    try:
        point = skin_entry(patient.anatomy, inside, outward, patient.body)
    except AnatomyError:
        return None
    across = unit(lateral - np.dot(lateral, outward) * outward)
    rotation = np.column_stack([across, -outward, np.cross(across, -outward)])
    shaken = rotation_from_vector(np.radians(rng.normal(0.0, 4.0, 3)))
    return rigid(rotation @ shaken, point - PRESSED_MM * outward)


def _middle(patient: Patient) -> FloatArray:
    return _mean_mm(patient, patient.body[::4, ::4, ::4], 4)


def _vertebra(patient: Patient, rng: np.random.Generator) -> FloatArray:
    """Some point of the spine with room above and below it in the CT."""
    names = patient.anatomy.names
    spine = [n for n, name in names.items() if name.startswith(("vertebra", "spine"))]
    places = np.argwhere(np.isin(patient.anatomy.labels, spine))[::11, ::-1]
    points = apply(patient.anatomy.ct_from_voxel, places)
    low, high = points[:, 2].min(), points[:, 2].max()
    margin = SPINE_REACH_MM + 20.0
    inner = points[(points[:, 2] > low + margin) & (points[:, 2] < high - margin)]
    return np.asarray((inner if len(inner) else points)[rng.integers(max(len(inner), 1))])


def _mean_mm(patient: Patient, mask: FloatArray, step: int) -> FloatArray:
    return apply(patient.anatomy.ct_from_voxel, step * np.argwhere(mask).mean(axis=0)[::-1])
