"""A registration corrected by hand: how the CT was moved against the patient, and its error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import (
    FloatArray,
    Frame,
    Transform,
    apply,
    read_only,
    rigid,
    rigid_inverse,
    rotation_from_vector,
    vector_from_rotation,
)
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.registration import Method, Registration
from ir_nav.registration.tre import stated_about

# What an eye does not see is left, along and about each axis: misregistrations of 2 mm and more
# are told apart from the truth (Fitzpatrick et al. 1998, IEEE TMI 17:571); 2 mm at the edge of an
# image, 60 mm from its middle, are 2 degrees.
UNSEEN_MM, UNSEEN_DEG = 2.0, 2.0
STILL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Nudge:
    """The CT moved against where a registration has it; never changed after.

    patient_from_ct: (4, 4), from the CT as it was moved to the axes of the CT as it was registered.
    pivot_ct_mm: (3,) a point of the CT: it does not move when the CT is turned.
    """

    pivot_ct_mm: FloatArray
    patient_from_ct: FloatArray

    @classmethod
    def none(cls, pivot_ct_mm: ArrayLike) -> Self:
        """Not moved."""
        return cls(read_only(pivot_ct_mm), read_only(np.eye(4)))

    @classmethod
    def by(cls, pivot_ct_mm: ArrayLike, shift_mm: ArrayLike, turn_deg: ArrayLike) -> Self:
        """Shift (3,) of the pivot and rotation vector (3,) about it; RegistrationError for
        numbers that are none."""
        pivot, shift = read_only(pivot_ct_mm), np.asarray(shift_mm, dtype=np.float64)
        vector = np.radians(np.asarray(turn_deg, dtype=np.float64))
        if not (np.isfinite(shift).all() and np.isfinite(vector).all()):
            raise RegistrationError("a shift and a turn are three finite numbers each")
        rotation = rotation_from_vector(vector)
        return cls(pivot, read_only(rigid(rotation, pivot + shift - rotation @ pivot)))

    @property
    def shift_mm(self) -> FloatArray:
        """(3,) how far the pivot went, in CT axes."""
        return apply(self.patient_from_ct, self.pivot_ct_mm) - self.pivot_ct_mm

    @property
    def turn_deg(self) -> FloatArray:
        """(3,) rotation vector in CT axes."""
        return np.degrees(vector_from_rotation(self.patient_from_ct[:3, :3]))

    @property
    def moved(self) -> bool:
        """Whether the CT lies elsewhere than it was registered."""
        return bool(np.abs(self.patient_from_ct - np.eye(4)).max() > STILL)

    def shifted(self, shift_mm: ArrayLike) -> Self:
        """Moved on by (3,) mm, in the axes of the CT as it was registered."""
        matrix = self.patient_from_ct.copy()
        matrix[:3, 3] += np.asarray(shift_mm, dtype=np.float64)
        return replace(self, patient_from_ct=read_only(matrix))

    def turned(self, angle_deg: float, axis: ArrayLike) -> Self:
        """Turned on about the pivot, where it is now, and a unit axis (3,) in the same axes."""
        rotation = rotation_from_vector(np.radians(angle_deg) * np.asarray(axis, dtype=np.float64))
        middle = apply(self.patient_from_ct, self.pivot_ct_mm)
        turn = rigid(rotation, middle - rotation @ middle)
        return replace(self, patient_from_ct=read_only(turn @ self.patient_from_ct))

    def about(self, pivot_ct_mm: ArrayLike) -> Self:
        """The same motion, turned on from now about another point (3,) of the CT."""
        return replace(self, pivot_ct_mm=read_only(pivot_ct_mm))

    def ct_from_reference(self, start: Registration) -> FloatArray:
        """(4, 4) with the CT as it was moved."""
        return rigid_inverse(self.patient_from_ct) @ start.ct_from_reference.matrix


def moved_registration(
    start: Registration, nudge: Nudge, steps: int, seconds: float, created_s: float
) -> Registration:
    """What a hand made of a registration.

    Its covariance is the start's, for a hand corrects only what it sees, and 2 mm and 2 degrees
    along and about every axis of the pivot that an eye does not see.
    """
    # A motion M' = P^-1 M P of the same error, P the nudge: its axes and its point turn along.
    ct_from_patient = rigid_inverse(nudge.patient_from_ct)
    axes = np.kron(np.eye(2), ct_from_patient[:3, :3])
    carried = replace(
        start,
        covariance=axes @ start.covariance @ axes.T,
        about_ct_mm=apply(ct_from_patient, start.about_ct_mm),
    )
    carried = stated_about(carried, nudge.pivot_ct_mm)
    unseen = np.diag(np.repeat([UNSEEN_MM**2, UNSEEN_DEG**2], 3))
    shift, turn = nudge.shift_mm, nudge.turn_deg
    return Registration(
        Method.MANUAL,
        Transform(Frame.CT, Frame.REFERENCE, nudge.ct_from_reference(start)),
        (),
        carried.covariance + unseen,
        nudge.pivot_ct_mm,
        start.confidence,
        steps,
        seconds,
        created_s,
        True,
        "",
        (
            f"moved by hand from the registration by {start.method}",
            "shift L {:.1f} P {:.1f} H {:.1f} mm".format(*shift),
            "turn about L {:.1f} P {:.1f} H {:.1f} deg".format(*turn),
        ),
    )


def difference_at(
    first: Registration, second: Registration, point_ct_mm: ArrayLike
) -> tuple[float, float]:
    """How far apart two registrations put a point (3,) of the patient that lies there by the
    second, in mm, and how far they are turned against each other, in deg."""
    point = np.asarray(point_ct_mm, dtype=np.float64)
    first_from_second = first.ct_from_reference.matrix @ rigid_inverse(
        second.ct_from_reference.matrix
    )
    off_mm = float(np.linalg.norm(apply(first_from_second, point) - point))
    turned = np.linalg.norm(vector_from_rotation(first_from_second[:3, :3]))
    return off_mm, float(np.degrees(turned))
