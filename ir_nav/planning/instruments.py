"""The instruments that a plan is made for, with the dimensions that the plan must know."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

PointMm = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Length = Annotated[FiniteFloat, Field(gt=0.0, le=400.0)]
Small = Annotated[FiniteFloat, Field(ge=0.0, le=100.0)]
MIN_LENGTH_MM = 5.0
MM_PER_FRENCH = 1.0 / 3.0

# Largest outer diameter of normal-walled tubing, ISO 9626:2016, table 1, mm.
OUTER_MM = {
    10: 3.500,
    11: 3.150,
    12: 2.850,
    13: 2.500,
    14: 2.150,
    15: 1.900,
    16: 1.690,
    17: 1.510,
    18: 1.300,
    19: 1.100,
    20: 0.920,
    21: 0.830,
    22: 0.730,
    23: 0.673,
    24: 0.580,
    25: 0.530,
    26: 0.470,
    27: 0.420,
    28: 0.370,
    29: 0.351,
    30: 0.320,
}


class Strict(BaseModel):
    """Unknown keys are refused; nothing can be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Needle(Strict):
    """The straight part that is guided along the path. length_mm: usable, from hub to tip."""

    gauge: Annotated[int, Field(ge=10, le=30)] = 18
    length_mm: Length = 150.0

    @property
    def outer_diameter_mm(self) -> float:
        """The largest that ISO 9626 allows for this gauge."""
        return OUTER_MM[self.gauge]


class SideNotch(Strict):
    """The sampling end of a side-notch needle.

    throw_mm: how far the stylet runs ahead when it is fired. notch_mm: length of the notch.
    tip_mm: solid point between the notch and the tip, which takes no tissue.
    """

    throw_mm: Annotated[FiniteFloat, Field(gt=0.0, le=60.0)]
    notch_mm: Annotated[FiniteFloat, Field(gt=0.0, le=60.0)]
    tip_mm: Small

    @model_validator(mode="after")
    def _opens(self) -> SideNotch:
        if self.notch_mm + self.tip_mm > self.throw_mm:
            raise ValueError(
                f"a throw of {self.throw_mm:g} mm cannot open a notch of {self.notch_mm:g} mm "
                f"behind a point of {self.tip_mm:g} mm"
            )
        return self


class Straight(Strict):
    """A needle of which nothing more is known, as for fine-needle aspiration: its tip goes to
    what is aimed at."""

    kind: Literal["needle"] = "needle"
    device: str = ""
    needle: Needle = Needle()

    @property
    def aim_ahead_mm(self) -> float:
        """How far beyond the resting tip lies what is aimed at."""
        return 0.0


class Biopsy(Strict):
    """A side-notch needle. stand_off_mm: the tip rests so far short of what is aimed at."""

    kind: Literal["biopsy"] = "biopsy"
    device: str = ""
    needle: Needle
    notch: SideNotch
    stand_off_mm: Small

    @property
    def aim_ahead_mm(self) -> float:
        """How far beyond the resting tip lies what is aimed at."""
        return self.stand_off_mm


class Coaxial(Strict):
    """An introducer that stays, and a thinner needle through it.

    needle: the introducer, which is guided; its tip rests stand_off_mm short of what is aimed at.
    ahead_mm: the sampler's tip is so far beyond the introducer's before it is fired.
    """

    kind: Literal["coaxial"] = "coaxial"
    device: str = ""
    needle: Needle
    sampler: Needle
    ahead_mm: Small
    notch: SideNotch | None = None
    stand_off_mm: Small

    @property
    def aim_ahead_mm(self) -> float:
        """How far beyond the introducer's resting tip lies what is aimed at."""
        return self.stand_off_mm

    @model_validator(mode="after")
    def _goes_through(self) -> Coaxial:
        if self.sampler.gauge <= self.needle.gauge:
            raise ValueError(
                f"a {self.sampler.gauge} G needle does not go through a {self.needle.gauge} G one"
            )
        if self.sampler.length_mm < self.needle.length_mm + self.ahead_mm:
            raise ValueError(
                f"a sampler of {self.sampler.length_mm:g} mm does not come {self.ahead_mm:g} mm "
                f"out of an introducer of {self.needle.length_mm:g} mm"
            )
        return self


class SideHoles(Strict):
    """Holes at equal distances along the catheter. first_mm: arc from the tip to the first;
    span_mm: from the first to the last."""

    count: Annotated[int, Field(ge=1, le=100)]
    first_mm: Small
    span_mm: Annotated[FiniteFloat, Field(ge=0.0, le=300.0)]


class Catheter(Strict):
    """A locking pigtail catheter. loop_mm: outer diameter of the locked loop."""

    french: Annotated[FiniteFloat, Field(ge=3.0, le=30.0)]
    length_mm: Length
    loop_mm: Annotated[FiniteFloat, Field(gt=0.0, le=80.0)]
    side_holes: SideHoles

    @property
    def outer_diameter_mm(self) -> float:
        """One French is a third of a millimetre."""
        return self.french * MM_PER_FRENCH

    @model_validator(mode="after")
    def _curls(self) -> Catheter:
        if self.loop_mm <= 2.0 * self.outer_diameter_mm:
            raise ValueError(
                f"a {self.french:g} F catheter cannot curl into a loop of {self.loop_mm:g} mm"
            )
        return self


class Drainage(Strict):
    """A catheter whose straight part ends at the target, and the needle that opens the way."""

    kind: Literal["drainage"] = "drainage"
    device: str = ""
    needle: Needle
    catheter: Catheter

    @property
    def aim_ahead_mm(self) -> float:
        """How far beyond the needle's resting tip lies what is aimed at."""
        return 0.0


class Zone(Strict):
    """An ellipsoid of ablated tissue about a needle's axis.

    length_mm along the needle, width_mm across it; ahead_mm: how far it reaches beyond the tip.
    source: where the sizes come from; they hold for the tissue that it names.
    """

    length_mm: Annotated[FiniteFloat, Field(gt=0.0, le=150.0)]
    width_mm: Annotated[FiniteFloat, Field(gt=0.0, le=150.0)]
    ahead_mm: Small
    power_w: Annotated[FiniteFloat, Field(gt=0.0, le=500.0)] | None = None
    minutes: Annotated[FiniteFloat, Field(gt=0.0, le=60.0)] | None = None
    source: str = ""

    @model_validator(mode="after")
    def _holds_the_tip(self) -> Zone:
        if self.ahead_mm >= self.length_mm:
            raise ValueError("ahead_mm must be smaller than length_mm: the zone misses the tip")
        return self


class FurtherNeedle(Strict):
    """An ablation needle besides the plan's own, with the path of its own tip."""

    entry_ct_mm: PointMm
    target_ct_mm: PointMm
    needle: Needle
    zone: Zone

    @model_validator(mode="after")
    def _has_a_length(self) -> FurtherNeedle:
        require_length(self.entry_ct_mm, self.target_ct_mm)
        return self


class Ablation(Strict):
    """One or more ablation needles; the plan's entry and target belong to `needle`.

    margin_mm: how far the zones shall reach beyond the target on every side.
    """

    kind: Literal["ablation"] = "ablation"
    device: str = ""
    needle: Needle
    zone: Zone
    margin_mm: Annotated[FiniteFloat, Field(ge=0.0, le=30.0)] = 5.0
    further: Annotated[tuple[FurtherNeedle, ...], Field(max_length=11)] = ()

    @property
    def aim_ahead_mm(self) -> float:
        """The middle of the first zone is aimed at, which lies behind the tip: negative."""
        return self.zone.ahead_mm - self.zone.length_mm / 2.0


Instrument = Annotated[
    Straight | Biopsy | Coaxial | Drainage | Ablation, Field(discriminator="kind")
]
KINDS = ("needle", "biopsy", "coaxial", "drainage", "ablation")


def require_length(entry_ct_mm: PointMm, target_ct_mm: PointMm) -> None:
    """Raise ValueError when both ends are nearly one point."""
    squares = ((a - b) ** 2 for a, b in zip(entry_ct_mm, target_ct_mm, strict=True))
    length_mm = sum(squares) ** 0.5
    if length_mm < MIN_LENGTH_MM:
        raise ValueError(f"entry and target are only {length_mm:.1f} mm apart")
