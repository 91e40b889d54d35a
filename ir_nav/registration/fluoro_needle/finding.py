"""A needle in one fluoro frame: which line is it, and which end is the tip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, read_only, unit
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame
from ir_nav.registration.fluoro_needle.line import ImageLine, candidate_lines, same_line
from ir_nav.registration.fluoro_needle.ridges import (
    Float32,
    RidgePoints,
    absorbed,
    ridge_points,
)
from ir_nav.registration.fluoro_needle.strip import (
    Stretch,
    Strip,
    longest_stretch,
    strip_along,
)
from ir_nav.registration.fluoro_needle.tip import (
    End,
    LineFit,
    end_of,
    refined_line,
    width_seen_px,
)

LEAST_LENGTH_PX = 40.0
LEAST_LENGTH_WIDTHS = 10.0
LEAST_FILLED = 0.8
LEAST_Z = 2.0
# Of a ridge's own places about the needle's curve: clutter wanders.
MOST_WANDER_PX = 0.4
MOST_RMS_PX = 1.0
WIDTHS_SEEN = (0.35, 1.5)
BLUR_SEEN_PX = 1.5
# A second line this nearly as long and as dark leaves open which one is the needle.
RIVAL_SHARE = 0.6
MOST_Z = 6.0
# An end this sure is where the contrast's step is; a less sure one may be another step.
SURE_END_PX, MOST_END_PX = 4.0, 12.0
GUIDED_DEG = 12.0
# A frame later: further than a needle is pushed in a second, nearer than another instrument.
NEXT_FRAME_PX = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class NeedleGuide:
    """Where the needle is expected. tip_px (2,); along (2,) unit, hub to tip; tolerance_px: how
    far off the line, tolerance_deg: how far turned."""

    tip_px: FloatArray
    along: FloatArray
    tolerance_px: float
    tolerance_deg: float = GUIDED_DEG

    def fits(self, line: ImageLine) -> bool:
        """Whether a line passes the expected tip closely enough, at about the expected angle."""
        turn = abs(float(line.along @ self.along))
        if turn < np.cos(np.radians(self.tolerance_deg)):
            return False
        return abs(float(line.distance_px(self.tip_px[None])[0])) <= self.tolerance_px


@dataclass(frozen=True, slots=True, eq=False)
class FoundNeedle:
    """tip_px, end_px: (2,) the tip and the other end seen. along: (2,) unit, towards the tip.

    Standard errors: across_px of the line at the tip, angle_deg of the line, tip_error_px along
    it. rms_px: of the needle about the straight line (a bent one shows here). contrast_z: over
    the frame's noise. confidence: 0 to 1, that this is the needle and not another line.
    """

    tip_px: FloatArray
    end_px: FloatArray
    along: FloatArray
    across_px: float
    angle_deg: float
    tip_error_px: float
    rms_px: float
    contrast_z: float
    width_px: float
    confidence: float

    @property
    def length_px(self) -> float:
        return float(np.linalg.norm(self.tip_px - self.end_px))


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    fit: LineFit
    stretch: Stretch
    ends: tuple[End, End]
    width_px: float

    @property
    def length_px(self) -> float:
        return self.ends[1].along_px - self.ends[0].along_px

    @property
    def evidence(self) -> float:
        """Length times contrast, the contrast counted up to MOST_Z."""
        return self.length_px * min(self.stretch.z, MOST_Z) * self.stretch.filled


def needle_width_px(view: CArmView, diameter_mm: float, depth_mm: float) -> float:
    """How wide a needle looks. depth_mm: of the needle from the focal spot along the beam."""
    if not 0.2 <= diameter_mm <= 6.0:
        raise RegistrationError(f"a needle is 0.2 to 6 mm thick, not {diameter_mm:g} mm")
    if not 0.0 < depth_mm < view.geometry.sid_mm:
        raise RegistrationError(
            f"the needle lies between focal spot and detector: depth 0 to "
            f"{view.geometry.sid_mm:g} mm, not {depth_mm:g} mm"
        )
    pitch = float(np.mean(view.geometry.pixel_mm))
    return diameter_mm * view.geometry.sid_mm / depth_mm / pitch


def guided(tip_px: ArrayLike, back_px: ArrayLike, tolerance_px: float) -> NeedleGuide:
    """A guide from two places (2,) on the expected needle, tip and further back."""
    tip = np.asarray(tip_px, dtype=np.float64)
    along = unit(np.append(tip - np.asarray(back_px, dtype=np.float64), 0.0))[:2]
    return NeedleGuide(read_only(tip), read_only(along), tolerance_px)


def guide_after(found: FoundNeedle, tolerance_px: float = NEXT_FRAME_PX) -> NeedleGuide:
    """Where to look in the next frame."""
    return NeedleGuide(found.tip_px, found.along, tolerance_px)


def find_needle(
    frame: FluoroFrame, width_px: float, guide: NeedleGuide | None = None
) -> FoundNeedle:
    """The needle's line and tip in a frame, a needle about width_px wide.

    Without a guide its other end must be cut by the image's border, which tells tip from hub.
    Raises RegistrationError when no line is sure, when two are equally good, or when either end
    could be the tip.
    """
    if not 0.5 <= width_px <= 40.0:
        raise RegistrationError(
            f"a needle {width_px:.1f} px wide cannot be looked for: check its diameter and the "
            "geometry's pixel size"
        )
    absorbing = absorbed(frame.image, frame.view.pixels)
    if not np.isfinite(absorbing).all():
        raise RegistrationError("the frame holds values that are not finite")
    ridges = ridge_points(absorbing, width_px)
    if guide is not None:
        ridges = _near(ridges, guide, width_px)
    size = (absorbing.shape[1], absorbing.shape[0])
    found: list[_Candidate] = []
    for line in candidate_lines(ridges, size):
        if guide is not None and not guide.fits(line):
            continue
        one = _judged(absorbing, line, ridges, width_px)
        if one is not None and not any(same_line(one.fit.line, other.fit.line) for other in found):
            found.append(one)
    if not found:
        where = "" if guide is None else " near the expected line"
        raise RegistrationError(
            f"no needle stands out{where}: bring it into the frame, or check its diameter"
        )
    found.sort(key=lambda one: -one.evidence)
    best = found[0]
    rival = found[1].evidence / best.evidence if len(found) > 1 else 0.0
    if rival > RIVAL_SHARE:
        raise RegistrationError(
            "two lines look equally like the needle: give the expected line, from the plan or "
            "the tracked needle"
        )
    return _result(best, rival, guide)


def _near(ridges: RidgePoints, guide: NeedleGuide, width_px: float) -> RidgePoints:
    """The points within the fan that the guide's tolerances leave."""
    away = ridges.points_px - guide.tip_px
    along = np.abs(away @ guide.along)
    across = np.abs(away @ np.array([-guide.along[1], guide.along[0]]))
    fan = guide.tolerance_px + 2.0 * width_px + along * np.tan(np.radians(guide.tolerance_deg))
    chosen = across <= fan
    return RidgePoints(ridges.points_px[chosen], ridges.normal[chosen], ridges.z[chosen])


def _judged(
    absorbing: Float32, line: ImageLine, ridges: RidgePoints, width_px: float
) -> _Candidate | None:
    """The candidate with its stretch, or None when it is no thin straight dark line."""
    seen = _stretched(absorbing, line, ridges, width_px, rough=True)
    for _ in range(2):
        if seen is None:
            return None
        fit = refined_line(*seen)
        seen = _stretched(absorbing, fit.line, ridges, width_px)
    if seen is None:
        return None
    strip, stretch = seen
    width = width_seen_px(strip, stretch)
    low, high = WIDTHS_SEEN
    if (
        stretch.filled < LEAST_FILLED
        or stretch.z < LEAST_Z
        or fit.wander_px > MOST_WANDER_PX
        or fit.rms_px > MOST_RMS_PX
        or not low * width_px <= width <= high * width_px + BLUR_SEEN_PX
    ):
        return None
    ends = end_of(strip, stretch, forward=False), end_of(strip, stretch, forward=True)
    return _Candidate(fit, stretch, ends, width)


def _stretched(
    absorbing: Float32,
    line: ImageLine,
    ridges: RidgePoints,
    width_px: float,
    *,
    rough: bool = False,
) -> tuple[Strip, Stretch] | None:
    """The frame along a line and the stretch of it that is long enough."""
    strip = strip_along(absorbing, line, width_px, rough=rough)
    at = (ridges.points_px - line.through_px) @ line.along
    on_it = np.abs(line.distance_px(ridges.points_px)) < 1.5 + 0.25 * width_px
    stretch = longest_stretch(strip, at[on_it])
    least = max(LEAST_LENGTH_PX, LEAST_LENGTH_WIDTHS * width_px)
    if stretch is None or _length_px(strip, stretch) < least:
        return None
    return strip, stretch


def _result(best: _Candidate, rival: float, guide: NeedleGuide | None) -> FoundNeedle:
    line, (first, last) = best.fit.line, best.ends
    forward = _tip_forward(best, guide)
    tip, other, along = (last, first, line.along) if forward else (first, last, -line.along)
    if tip.at_border:
        raise RegistrationError("the needle's tip lies outside the frame: move the C-arm or table")
    stretch = best.stretch
    z, spread = stretch.z, stretch.last_spread_px if forward else stretch.first_spread_px
    if spread > MOST_END_PX:
        raise RegistrationError(
            f"the needle is found but not where it ends, to about {spread:.0f} px: less scatter "
            "(collimate) or another view shows its tip"
        )
    sure = (1.0 - rival) * best.stretch.filled * (1.0 - np.exp(-z / 3.0))
    return FoundNeedle(
        tip_px=read_only(line.through_px + tip.along_px * line.along),
        end_px=read_only(line.through_px + other.along_px * line.along),
        along=read_only(along),
        across_px=float(np.hypot(best.fit.across_px, best.fit.slope * tip.along_px)),
        angle_deg=float(np.degrees(best.fit.slope)),
        tip_error_px=float(np.hypot(tip.error_px, spread if spread > SURE_END_PX else 0.0)),
        rms_px=best.fit.rms_px,
        contrast_z=z,
        width_px=best.width_px,
        confidence=float(np.clip(sure, 0.0, 1.0)),
    )


def _tip_forward(best: _Candidate, guide: NeedleGuide | None) -> bool:
    first, last = best.ends
    if guide is not None:
        return bool(best.fit.line.along @ guide.along > 0.0)
    if first.at_border != last.at_border:
        return first.at_border
    if first.at_border:
        raise RegistrationError("the line crosses the whole frame: no tip is seen")
    raise RegistrationError(
        "both ends of the needle lie in the frame: give the expected line, which tells tip from hub"
    )


def _length_px(strip: Strip, stretch: Stretch) -> float:
    return float(strip.along_px[stretch.last] - strip.along_px[stretch.first])
