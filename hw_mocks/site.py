"""Where the simulated room puts its things round a patient: chosen once, from the anatomy."""

from __future__ import annotations

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
    rigid,
    rotation_along,
    rotation_from_vector,
    unit,
)

SOURCE_TO_PATIENT_MM = 700.0
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


def carm_from_rest(focus_mm: FloatArray) -> FloatArray:
    """Frontal view, source in front: columns to the patient's left, rows to the feet."""
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return rigid(rotation, -rotation @ focus_mm + np.array([0.0, 0.0, SOURCE_TO_PATIENT_MM]))


def probe_contact(
    skin: Skin, focus_mm: FloatArray, outward: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Point on the skin and direction (3,) of the beam's axis towards the focus."""
    point = skin.crossing(focus_mm, unit(outward))
    beam = unit(focus_mm - point)
    # Pressed on, as a sonographer does: the convex face touches along its whole width.
    return point + 3.0 * beam, beam
