"""An instrument in words and numbers, as rows of a table."""

from __future__ import annotations

from ir_nav.planning.instruments import (
    Ablation,
    Biopsy,
    Coaxial,
    Drainage,
    Instrument,
    Needle,
    SideNotch,
    Zone,
)
from ir_nav.planning.notch import sample_of
from ir_nav.planning.plan import Plan

Row = tuple[str, str]
_KIND = {
    "needle": "Needle",
    "biopsy": "Biopsy needle",
    "coaxial": "Coaxial biopsy",
    "drainage": "Drainage catheter",
    "ablation": "Ablation",
}


def instrument_title(instrument: Instrument) -> str:
    """One line: "Biopsy needle 18 G x 150 mm"."""
    title = f"{_KIND[instrument.kind]} {_needle(instrument.needle)}"
    if isinstance(instrument, Drainage):
        return f"{_KIND[instrument.kind]} {instrument.catheter.french:g} F"
    if isinstance(instrument, Ablation) and instrument.further:
        return f"{title}, {1 + len(instrument.further)} needles"
    return title


def instrument_rows(plan: Plan) -> list[Row]:
    """Every dimension the plan counts on, by its name."""
    instrument = plan.instrument
    kind = _KIND[instrument.kind]
    rows = [("Kind", f"{kind}, {instrument.device}" if instrument.device else kind)]
    if isinstance(instrument, Coaxial):
        rows += [
            ("Introducer", _needle(instrument.needle)),
            ("Sampler", _needle(instrument.sampler)),
            ("Sampler beyond introducer", f"{instrument.ahead_mm:g} mm"),
        ]
    elif isinstance(instrument, Drainage):
        rows += [("Access needle", _needle(instrument.needle)), *_catheter(instrument)]
    else:
        rows.append(("Needle", _needle(instrument.needle)))
    if isinstance(instrument, Biopsy | Coaxial):
        rows += _sampling(plan, instrument)
    if isinstance(instrument, Ablation):
        rows += _ablation(instrument)
    return rows


def depth_words(plan: Plan) -> str:
    """Where the tip comes to rest, from the aim and from the skin, and how deep it goes then:
    'Tip rests 9.5 mm before the aim · 58 mm from skin · 12.5 mm past the aim when fired'."""
    instrument, path = plan.instrument, plan.path
    return " · ".join(
        (
            _rest_words(instrument),
            f"{path.length_mm:.0f} mm from skin",
            *_deepest_words(plan),
        )
    )


def _rest_words(instrument: Instrument) -> str:
    tip = "Introducer's tip" if isinstance(instrument, Coaxial) else "Tip"
    ahead_mm = instrument.aim_ahead_mm
    if abs(ahead_mm) < 0.05:
        return f"{tip} rests on the aim"
    return f"{tip} rests {abs(ahead_mm):.1f} mm {'before' if ahead_mm > 0.0 else 'past'} the aim"


def _deepest_words(plan: Plan) -> tuple[str, ...]:
    instrument = plan.instrument
    if isinstance(instrument, Ablation):
        return (f"zone reaches {instrument.zone.ahead_mm:g} mm beyond the tip",)
    if isinstance(instrument, Drainage):
        return (f"loop {instrument.catheter.loop_mm:g} mm wide",)
    if not isinstance(instrument, Biopsy | Coaxial):
        return ()
    sample = sample_of(plan.path, instrument)
    if sample is None:
        return ()
    side = "past" if sample.overshoot_mm >= 0.0 else "before"
    return (f"{abs(sample.overshoot_mm):.1f} mm {side} the aim when fired",)


def _needle(needle: Needle) -> str:
    return f"{needle.gauge} G ({needle.outer_diameter_mm:.2f} mm) x {needle.length_mm:g} mm"


def _sampling(plan: Plan, instrument: Biopsy | Coaxial) -> list[Row]:
    tip = "introducer's tip" if isinstance(instrument, Coaxial) else "tip"
    rows = [("Stop", f"{tip} {instrument.stand_off_mm:.1f} mm before the aim")]
    sample = sample_of(plan.path, instrument)
    if instrument.notch is None or sample is None:
        return rows
    side = "past" if sample.overshoot_mm >= 0.0 else "before"
    return [
        *rows,
        ("Throw and notch", _notch(instrument.notch)),
        ("Deepest after firing", f"{abs(sample.overshoot_mm):.1f} mm {side} the aim"),
    ]


def _notch(notch: SideNotch) -> str:
    return f"{notch.throw_mm:g} mm, {notch.notch_mm:g} mm, point {notch.tip_mm:g} mm"


def _catheter(instrument: Drainage) -> list[Row]:
    catheter, holes = instrument.catheter, instrument.catheter.side_holes
    return [
        (
            "Catheter",
            f"{catheter.french:g} F ({catheter.outer_diameter_mm:.2f} mm) x "
            f"{catheter.length_mm:g} mm",
        ),
        ("Loop", f"{catheter.loop_mm:g} mm, begins at the target"),
        ("Side holes", f"{holes.count} over {holes.span_mm:g} mm, first {holes.first_mm:g} mm up"),
    ]


def _ablation(instrument: Ablation) -> list[Row]:
    zones = [instrument.zone, *(one.zone for one in instrument.further)]
    rows = [("Margin wanted", f"{instrument.margin_mm:g} mm")]
    for number, zone in enumerate(zones, start=1):
        rows.append((f"Zone {number}" if len(zones) > 1 else "Zone", _zone(zone)))
    return rows


def _zone(zone: Zone) -> str:
    power = "" if zone.power_w is None else f"{zone.power_w:g} W "
    time = "" if zone.minutes is None else f"{zone.minutes:g} min: "
    words = (
        f"{power}{time}{zone.length_mm:g} x {zone.width_mm:g} mm, {zone.ahead_mm:g} mm ahead of tip"
    )
    return f"{words} ({zone.source})" if zone.source else words
