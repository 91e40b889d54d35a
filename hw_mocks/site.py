"""Where the simulated room puts its things round a patient: chosen once, from the anatomy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw_mocks.anatomy import Anatomy, AnatomyError
from hw_mocks.operator import Site
from hw_mocks.placement import Placement
from hw_mocks.skin import skin_entry, skin_normal
from ir_nav.geometry import (
    CArmGeometry,
    FloatArray,
    angle_between_deg,
    perpendicular_basis,
    rigid,
    rotation_along,
    rotation_from_vector,
    unit,
)

SOURCE_TO_PATIENT_MM = 700.0
BONE_HU = 220.0
GAS_HU = -300.0
APART_DEG = 30.0
CARM = CArmGeometry(1020.0, (0.6, 0.6), (512, 512), (255.5, 255.5))


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """The patient's surface: where rays leave it and which way it faces."""

    anatomy: Anatomy
    body: NDArray[np.bool_]

    def crossing(self, inside_ct_mm: FloatArray, outward: FloatArray) -> FloatArray:
        return skin_entry(self.anatomy, inside_ct_mm, outward, self.body)

    def normal(self, point_ct_mm: FloatArray) -> FloatArray:
        return skin_normal(self.anatomy, point_ct_mm, self.body)


def tracker_from_rest(generator: np.random.Generator, focus_mm: FloatArray) -> FloatArray:
    """Tracker about a metre and a half above the foot end, turned by some odd angles."""
    turn = rotation_from_vector(generator.normal(0.0, 0.5, 3) + np.array([2.0, 0.3, 0.0]))
    centre_tracker = np.array([40.0, -60.0, 1500.0])
    return rigid(turn, centre_tracker - turn @ focus_mm)


def lay_out(skin: Skin, fiducials_mm: FloatArray, focus_mm: FloatArray) -> Site:
    """Trays beside the patient, the divot on the table, and the way into the skin at each
    fiducial."""
    inward = np.array([-skin.normal(point) for point in fiducials_mm])
    tray = focus_mm + np.array([-330.0, 0.0, -60.0])
    return Site(
        needle_tray=Placement.at(tray, (0.2, 0.3, 1.0)),
        stylus_tray=Placement.at(tray + np.array([0.0, 0.0, -90.0]), (0.2, 0.3, 1.0)),
        divot_mm=tray + np.array([-20.0, 60.0, 40.0]),
        fiducials_mm=fiducials_mm,
        inward=inward,
    )


def slipped(
    skin: Skin, fiducials_mm: FloatArray, slip_mm: float, generator: np.random.Generator
) -> FloatArray:
    """(n, 3) where markers lie on the patient that the CT shows at `fiducials_mm` (n, 3): moved
    along the skin by slip_mm rms, half of the variance alike for all."""
    if slip_mm <= 0.0:
        return fiducials_mm
    deviation = slip_mm / 2.0  # of two axes along the skin, and two equal parts
    alike = generator.normal(0.0, deviation, 3)
    moved = []
    for point in fiducials_mm:
        normal = skin.normal(point)
        step = alike + generator.normal(0.0, deviation, 3)
        moved.append(point + step - np.dot(step, normal) * normal)
    return np.array(moved)


def reference_on_skin(skin: Skin, focus_mm: FloatArray) -> FloatArray:
    """Pose (4, 4) of the reference body, stuck on the skin in front and towards the midline."""
    for outward in ((0.55, -0.8, 0.25), (0.3, -1.0, 0.0), (0.0, -1.0, 0.0), (0.5, -1.0, 0.4)):
        try:
            point = skin.crossing(focus_mm, np.array(outward))
            normal = skin.normal(point)
        except AnatomyError:
            continue
        return rigid(rotation_along(normal), point + 18.0 * normal)
    raise AnatomyError("no skin in front of the focus to stick the reference on")


def carm_from_rest(focus_mm: FloatArray, orbit_deg: float = 0.0) -> FloatArray:
    """Frontal view, source in front: columns to the patient's left, rows to the feet.

    orbit_deg: turned about the patient's long axis through the focus, the source to the left.
    """
    frontal = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    rotation = frontal @ rotation_from_vector(np.radians([0.0, 0.0, -orbit_deg]))
    return rigid(rotation, -rotation @ focus_mm + np.array([0.0, 0.0, SOURCE_TO_PATIENT_MM]))


@dataclass(frozen=True, slots=True, eq=False)
class Contact:
    """Where the probe stands: middle of its face (3,) mm, beam axis and lateral direction (3,)."""

    point_mm: FloatArray
    beam: FloatArray
    lateral: FloatArray


def acoustic_window(
    skin: Skin,
    target_mm: FloatArray,
    path_out: FloatArray | None,
    apart_from: FloatArray | None = None,
) -> Contact:
    """Where a sonographer would put the probe to see the target.

    path_out (3,): from the target back to a needle's entry; the image plane then holds that
    line, and the probe stands 25 to 60 degrees beside it. Of all places the one with the least
    bone and gas in the way and the face flattest on the skin is taken. apart_from (3,): a beam
    that this one must differ from by 30 degrees or more.
    """
    best: tuple[float, Contact] | None = None
    for outward, lateral in _directions(path_out):
        if apart_from is not None and angle_between_deg(-outward, apart_from) < APART_DEG:
            continue
        try:
            point = skin.crossing(target_mm, outward)
            slant_deg = angle_between_deg(skin.normal(point), outward)
        except AnatomyError:
            continue
        blocked = sum(
            _blocked(skin.anatomy, target_mm, point + offset * lateral)
            for offset in (-18.0, 0.0, 18.0)
        )
        cost = blocked + 0.03 * slant_deg + 0.01 * float(np.linalg.norm(point - target_mm))
        if best is None or cost < best[0]:
            # Pressed on, as a sonographer does: the convex face touches along its whole width.
            best = (cost, Contact(point - 3.0 * outward, -outward, lateral))
    if best is None:
        raise AnatomyError("the focus has no skin round it for the probe")
    return best[1]


def _directions(path_out: FloatArray | None) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Ways out of the patient to try, each with the image's lateral direction."""
    if path_out is None:
        for turn in np.radians(np.arange(-60.0, 61.0, 15.0)):
            for lift in (-0.3, 0.0, 0.3):
                outward = unit((np.sin(turn) - 0.4, -np.cos(turn), lift))
                yield outward, unit(np.cross(np.cross(outward, (0.0, 0.0, 1.0)), outward))
        return
    axis = unit(path_out)
    right, up = perpendicular_basis(axis, (0.0, 0.0, 1.0))
    for around in np.radians(np.arange(0.0, 360.0, 20.0)):
        aside = np.cos(around) * right + np.sin(around) * up
        for away in np.radians((25.0, 37.0, 48.0, 60.0)):
            outward = unit(np.cos(away) * axis + np.sin(away) * aside)
            if outward[1] < 0.5:
                yield outward, unit(axis - np.dot(axis, outward) * outward)


def _blocked(anatomy: Anatomy, inside_mm: FloatArray, outside_mm: FloatArray) -> float:
    """Millimetres of bone and gas on the way, the last 4 mm at the skin left out."""
    length = float(np.linalg.norm(outside_mm - inside_mm))
    steps = np.arange(0.0, max(length - 4.0, 1.0), 1.0)[:, None] / max(length, 1.0)
    hu = anatomy.sample_hu(inside_mm + steps * (outside_mm - inside_mm))
    return float(np.count_nonzero((hu > BONE_HU) | (hu < GAS_HU)))
