"""C-arm angles: from a direction in the CT and back, and the views that a planned path asks for.

DICOM PS3.3 C.8.7.5.1.2: the Positioner Primary Angle (0018,1510) is like longitude, in the
transaxial plane: 0 with the detector before the patient's chest, +90 at the patient's left (LAO),
-90 at the right (RAO). The Positioner Secondary Angle (0018,1511) is like latitude: +90 is
cranial. Both say where the detector stands, and both are the patient's, however he lies; the
C-arm's reach is the room's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, angle_between_deg, unit
from ir_nav.registration.errors import RegistrationError

# Square directions are tried in these steps round the path.
SQUARE_STEP_DEG = 1.0
# Nearer than this to the limit is within it: angles are set to whole degrees.
SLACK_DEG = 1e-6


class PatientPosition(StrEnum):
    """How the patient lies, as DICOM's Patient Position (0018,5100) names it."""

    HEAD_FIRST_SUPINE = "HFS"
    HEAD_FIRST_PRONE = "HFP"
    HEAD_FIRST_LEFT_DOWN = "HFDL"
    HEAD_FIRST_RIGHT_DOWN = "HFDR"
    FEET_FIRST_SUPINE = "FFS"
    FEET_FIRST_PRONE = "FFP"
    FEET_FIRST_LEFT_DOWN = "FFDL"
    FEET_FIRST_RIGHT_DOWN = "FFDR"


@dataclass(frozen=True, slots=True)
class CArmAngles:
    """Where the detector stands. primary_deg: LAO above zero. secondary_deg: CRAN above zero."""

    primary_deg: float
    secondary_deg: float

    def __str__(self) -> str:
        side = "LAO" if self.primary_deg >= 0.0 else "RAO"
        end = "CRAN" if self.secondary_deg >= 0.0 else "CAUD"
        return f"{side} {abs(self.primary_deg):.0f}° {end} {abs(self.secondary_deg):.0f}°"


@dataclass(frozen=True, slots=True)
class CArmReach:
    """How far a C-arm turns, as angles of a patient who lies head first and supine.

    The defaults are a cautious choice of ours, no maker's figures: an angiography stand that
    turns a little past lateral and tilts by 45 degrees. Take the room's own from its manual.
    Raises RegistrationError for limits that no C-arm can have.
    """

    rao_deg: float = 100.0
    lao_deg: float = 100.0
    caudal_deg: float = 45.0
    cranial_deg: float = 45.0

    def __post_init__(self) -> None:
        sides, ends = (self.rao_deg, self.lao_deg), (self.caudal_deg, self.cranial_deg)
        if not all(0.0 <= side <= 180.0 for side in sides):
            raise RegistrationError("a C-arm's reach to either side is 0 to 180 degrees")
        if not all(0.0 <= end <= 90.0 for end in ends):
            raise RegistrationError("a C-arm's reach to head and feet is 0 to 90 degrees")


@dataclass(frozen=True, slots=True)
class PlannedView:
    """A view that a path asks for, and the nearest that the C-arm reaches.

    wanted: the exact view. nearest: the same where it is in reach. off_deg: between the two
    beams, 0 when in reach.
    """

    wanted: CArmAngles
    nearest: CArmAngles
    off_deg: float

    @property
    def reachable(self) -> bool:
        """Whether the exact view can be set."""
        return self.off_deg == 0.0


def direction_of(angles: CArmAngles) -> FloatArray:
    """(3,) unit beam in `ct` (LPS), from the focal spot to the detector."""
    primary, secondary = math.radians(angles.primary_deg), math.radians(angles.secondary_deg)
    level = math.cos(secondary)
    return np.array([math.sin(primary) * level, -math.cos(primary) * level, math.sin(secondary)])


def angles_of(beam_ct: ArrayLike) -> CArmAngles:
    """The angles of a beam (3,) in `ct`, any length; a beam along the body has primary 0.

    Raises RegistrationError for a beam of no length.
    """
    beam = _beam(beam_ct)
    level = math.hypot(beam[0], beam[1])
    # Adding zero turns -0.0 into 0.0, which atan2 takes for another side.
    primary = math.degrees(math.atan2(beam[0] + 0.0, -beam[1] + 0.0)) if level > 1e-9 else 0.0
    return CArmAngles(primary, math.degrees(math.atan2(beam[2] + 0.0, level)))


def carm_from_ct(
    angles: CArmAngles, isocentre_ct_mm: ArrayLike, source_isocentre_mm: float
) -> FloatArray:
    """(4, 4), mm: a C-arm at these angles about a point of the patient, image rows from head
    to feet as far as the beam allows.
    """
    if not source_isocentre_mm > 0.0:
        raise RegistrationError("the focal spot stands at a distance above zero from the isocentre")
    beam = direction_of(angles)
    primary = math.radians(angles.primary_deg)
    # Square to the beam in the transaxial plane, also for a beam along the body.
    across = np.array([-math.cos(primary), -math.sin(primary), 0.0])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([across, np.cross(beam, across), beam])
    matrix[:3, 3] = -matrix[:3, :3] @ np.asarray(isocentre_ct_mm, dtype=np.float64)
    matrix[2, 3] += source_isocentre_mm
    return matrix


def view_along(
    beam_ct: ArrayLike,
    reach: CArmReach | None = None,
    position: PatientPosition = PatientPosition.HEAD_FIRST_SUPINE,
) -> PlannedView:
    """The view with the beam (3,), `ct`, source to detector, and the nearest one in reach."""
    beam = _beam(beam_ct)
    wanted = angles_of(beam)
    limits = CArmReach() if reach is None else reach
    table_from_patient = _TABLE_FROM_PATIENT[position]
    there = table_from_patient @ beam
    if _within(angles_of(there), limits):
        return PlannedView(wanted, wanted, 0.0)
    at_table = min(
        _edges(there, limits),
        key=lambda angles: round(angle_between_deg(direction_of(angles), there), 6),
    )
    nearest = table_from_patient.T @ direction_of(at_table)
    return PlannedView(wanted, angles_of(nearest), angle_between_deg(nearest, beam))


def entry_view(
    entry_ct_mm: ArrayLike,
    target_ct_mm: ArrayLike,
    reach: CArmReach | None = None,
    position: PatientPosition = PatientPosition.HEAD_FIRST_SUPINE,
) -> PlannedView:
    """The bull's-eye view: the principal ray runs along the path, which shows as a point.

    The detector may stand before the skin or behind the target. Taken is what the C-arm reaches;
    of two such, the one with the tube below the table, which spares the operator.
    """
    path = _path(entry_ct_mm, target_ct_mm)
    return _easiest((-path, path), reach, position)


def progress_views(
    entry_ct_mm: ArrayLike,
    target_ct_mm: ArrayLike,
    reach: CArmReach | None = None,
    position: PatientPosition = PatientPosition.HEAD_FIRST_SUPINE,
) -> tuple[PlannedView, PlannedView]:
    """Two views square across the path, in which depth shows in full.

    First the one with least cranial or caudal tilt; then, of those in reach, the one that
    differs most from it. Where nothing square is in reach, the nearest to square.
    """
    path, up = _path(entry_ct_mm, target_ct_mm), _up(position)
    level = np.cross(path, [0.0, 0.0, 1.0])
    # A path along the body is square to every transaxial beam: from the front, then.
    level = unit(level) if np.linalg.norm(level) > 1e-6 else np.array([0.0, -1.0, 0.0])
    first = _easiest((level, -level), reach, position)
    shown = direction_of(first.wanted)
    turns = np.radians(np.arange(-90.0, 90.0 + SQUARE_STEP_DEG, SQUARE_STEP_DEG))
    rising = np.cross(path, shown)
    ring = np.cos(turns)[:, None] * shown + np.sin(turns)[:, None] * rising
    beams = np.concatenate([ring, -ring])
    views = [view_along(beam, reach, position) for beam in beams]
    off_deg = np.round([view.off_deg for view in views], 6)
    alike = np.round(np.abs(beams @ shown), 6)
    return first, views[int(np.lexsort((-(beams @ up), alike, off_deg))[0])]


def _easiest(
    beams: Sequence[FloatArray], reach: CArmReach | None, position: PatientPosition
) -> PlannedView:
    up = _up(position)
    views = [(view_along(beam, reach, position), float(beam @ up)) for beam in beams]
    return min(views, key=lambda pair: (round(pair[0].off_deg, 6), -pair[1]))[0]


def _up(position: PatientPosition) -> FloatArray:
    """(3,) the patient's direction away from the floor."""
    return np.asarray(_TABLE_FROM_PATIENT[position].T @ np.array([0.0, -1.0, 0.0]))


def _within(angles: CArmAngles, reach: CArmReach) -> bool:
    return (
        -reach.rao_deg - SLACK_DEG <= angles.primary_deg <= reach.lao_deg + SLACK_DEG
        and -reach.caudal_deg - SLACK_DEG <= angles.secondary_deg <= reach.cranial_deg + SLACK_DEG
    )


def _edges(beam: FloatArray, reach: CArmReach) -> list[CArmAngles]:
    """The nearest place on each of the four edges of what is in reach, and its corners."""
    own = angles_of(beam)
    low, high = -reach.caudal_deg, reach.cranial_deg
    found = []
    if -reach.rao_deg <= own.primary_deg <= reach.lao_deg:
        found = [CArmAngles(own.primary_deg, end) for end in (low, high)]
    found += [
        CArmAngles(side, end) for side in (-reach.rao_deg, reach.lao_deg) for end in (low, high)
    ]
    for side in (-reach.rao_deg, reach.lao_deg):
        forward = float(beam @ direction_of(CArmAngles(side, 0.0)))
        best = math.degrees(math.atan2(beam[2], forward))
        if low <= best <= high:
            found.append(CArmAngles(side, best))
    return found


def _beam(beam_ct: ArrayLike) -> FloatArray:
    beam = np.asarray(beam_ct, dtype=np.float64)
    if beam.shape != (3,) or not np.isfinite(beam).all() or np.linalg.norm(beam) < 1e-12:
        raise RegistrationError("a beam is a direction of three finite numbers, not all zero")
    return unit(beam)


def _path(entry_ct_mm: ArrayLike, target_ct_mm: ArrayLike) -> FloatArray:
    """(3,) unit, from entry to target."""
    way = np.asarray(target_ct_mm, dtype=np.float64) - np.asarray(entry_ct_mm, dtype=np.float64)
    if way.shape != (3,) or not np.isfinite(way).all() or np.linalg.norm(way) < 1.0:
        raise RegistrationError("entry and target lie at one place: plan a path first")
    return unit(way)


def _turned(about_head_deg: float, feet_first: bool) -> FloatArray:
    """(3, 3): patient axes (LPS) to those of a patient head first and supine on the table."""
    angle = math.radians(about_head_deg)
    roll = np.array(
        [
            [math.cos(angle), -math.sin(angle), 0.0],
            [math.sin(angle), math.cos(angle), 0.0],
            [0.0, 0.0, 1.0],
        ]
    )
    turn = np.diag([-1.0, 1.0, -1.0]) if feet_first else np.eye(3)
    return np.asarray(turn @ roll)


# Rolled about his long axis so that his back, left or right side comes to lie on the table.
_TABLE_FROM_PATIENT = {
    PatientPosition.HEAD_FIRST_SUPINE: _turned(0.0, False),
    PatientPosition.HEAD_FIRST_PRONE: _turned(180.0, False),
    PatientPosition.HEAD_FIRST_LEFT_DOWN: _turned(90.0, False),
    PatientPosition.HEAD_FIRST_RIGHT_DOWN: _turned(-90.0, False),
    PatientPosition.FEET_FIRST_SUPINE: _turned(0.0, True),
    PatientPosition.FEET_FIRST_PRONE: _turned(180.0, True),
    PatientPosition.FEET_FIRST_LEFT_DOWN: _turned(90.0, True),
    PatientPosition.FEET_FIRST_RIGHT_DOWN: _turned(-90.0, True),
}
