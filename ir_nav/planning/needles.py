"""Several ablation needles in one plan: put one in, take one out, see what they cover."""

from __future__ import annotations

from ir_nav.planning.ablation import Coverage, cover, zones_of
from ir_nav.planning.instruments import MIN_LENGTH_MM, Ablation, FurtherNeedle, PointMm
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import Plan
from ir_nav.planning.plan_errors import PlanError
from ir_nav.planning.target_mask import TargetMask


def with_needle(plan: Plan, path: PlannedPath) -> Plan:
    """The plan with one more needle of the kind of its first, along a path to the middle of the
    zone; its tip rests where that asks. PlanError when the plan is not an ablation's."""
    instrument = _ablation_of(plan)
    rest_mm = path.length_mm - instrument.aim_ahead_mm
    if rest_mm < MIN_LENGTH_MM:
        raise PlanError(f"the path is only {path.length_mm:.0f} mm long: move the entry")
    tip = path.entry_ct_mm + path.direction_ct * rest_mm
    further = FurtherNeedle(
        entry_ct_mm=_point(path.entry_ct_mm.tolist()),
        target_ct_mm=_point(tip.tolist()),
        needle=instrument.needle,
        zone=instrument.zone,
    )
    return _with_further(plan, instrument, (*instrument.further, further))


def without_needle(plan: Plan, index: int) -> Plan:
    """The plan without a needle, counted from 0; the next becomes the first. PlanError for the
    only one."""
    instrument = _ablation_of(plan)
    further = instrument.further
    if not 0 <= index <= len(further):
        raise PlanError(f"the plan has no needle {index + 1}")
    if index > 0:
        return _with_further(plan, instrument, (*further[: index - 1], *further[index:]))
    if not further:
        raise PlanError("the plan has no other needle: approve another path instead")
    first, *rest = further
    own = instrument.model_copy(
        update={"needle": first.needle, "zone": first.zone, "further": tuple(rest)}
    )
    update = {
        "instrument": own,
        "entry_ct_mm": first.entry_ct_mm,
        "target_ct_mm": first.target_ct_mm,
    }
    return plan.model_copy(update=update)


def coverage_of(plan: Plan, target: TargetMask) -> Coverage:
    """What all needles of an ablation cover of the target. PlanError for another instrument."""
    instrument = _ablation_of(plan)
    return cover(target, zones_of(plan.paths, instrument), instrument.margin_mm)


def _ablation_of(plan: Plan) -> Ablation:
    if not isinstance(plan.instrument, Ablation):
        raise PlanError("several needles are for ablation: choose an ablation device first")
    return plan.instrument


def _with_further(plan: Plan, instrument: Ablation, further: tuple[FurtherNeedle, ...]) -> Plan:
    # Made anew, not copied: the number of needles is checked.
    own = Ablation(
        device=instrument.device,
        needle=instrument.needle,
        zone=instrument.zone,
        margin_mm=instrument.margin_mm,
        further=further,
    )
    return plan.model_copy(update={"instrument": own})


def _point(values: list[float]) -> PointMm:
    x, y, z = (round(value, 3) for value in values)
    return x, y, z
