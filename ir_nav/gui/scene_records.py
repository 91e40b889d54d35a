"""What the views are given to draw: immutable, made anew when something changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ir_nav.geometry import FloatArray
from ir_nav.imaging import LabelMap, Volume
from ir_nav.planning import PlannedPath
from ir_nav.planning.ablation import Ellipsoid
from ir_nav.session.state import TipState

# Drawn from the tip backwards: the tracker does not tell how long the needle is.
NEEDLE_DRAWN_MM = 150.0


class Handle(StrEnum):
    """Points of a plan that can be placed and dragged."""

    TARGET = "target"
    ENTRY = "entry"


class MarkState(StrEnum):
    """How a marked point is drawn."""

    OPEN = "open"
    CURRENT = "current"
    DONE = "done"


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A named point (3,) in `ct`, mm: a fiducial."""

    point_ct_mm: FloatArray
    name: str
    state: MarkState = MarkState.OPEN


@dataclass(frozen=True, slots=True, eq=False)
class CaseImages:
    """The CT and its structures. outlined: (label id, colour) of contours to draw; bold: those
    of them drawn wider; filled: (id of a filling, id of what its outline goes round with it).
    body_ct_mm: lower and upper corner (3,) of the box round the body."""

    volume: Volume | None = None
    labels: LabelMap | None = None
    outlined: tuple[tuple[int, str], ...] = ()
    bold: frozenset[int] = frozenset()
    filled: tuple[tuple[int, int], ...] = ()
    body_ct_mm: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Overlays:
    """What lies over a view of the patient, all in `ct` mm.

    error_mm: radius that holds the tip in 95 % of cases. tolerance_mm: ring round the target.
    achieved: where the needle went, for review. stylus_ct_mm (3,): tip of the stylus.
    approved: needles of the plan while another path is drafted. zones: what its needles ablate.
    swiped_ct_mm (n, 3): points that the stylus was swiped over.
    """

    target_ct_mm: FloatArray | None = None
    entry_ct_mm: FloatArray | None = None
    tip: TipState | None = None
    error_mm: float | None = None
    tolerance_mm: float | None = None
    marks: tuple[Mark, ...] = ()
    stylus_ct_mm: FloatArray | None = None
    achieved: PlannedPath | None = None
    approved: tuple[PlannedPath, ...] = ()
    zones: tuple[Ellipsoid, ...] = ()
    swiped_ct_mm: FloatArray | None = None

    @property
    def hub_ct_mm(self) -> FloatArray | None:
        """(3,) where drawing of the needle starts."""
        if self.tip is None:
            return None
        return self.tip.tip_ct_mm - self.tip.shaft_ct * NEEDLE_DRAWN_MM


def path_overlays(path: PlannedPath | None) -> Overlays:
    """Overlays with nothing but a plan."""
    if path is None:
        return Overlays()
    return Overlays(target_ct_mm=path.target_ct_mm, entry_ct_mm=path.entry_ct_mm)
