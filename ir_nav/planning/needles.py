"""Several ablation needles in one plan: put one in, take one out, see what they cover."""

from __future__ import annotations

from ir_nav.planning.ablation import Coverage, Ellipsoid, cover, zones_of
from ir_nav.planning.instruments import MIN_LENGTH_MM, Ablation, FurtherNeedle, PointMm
from ir_nav.planning.needle_pairs import needle_pairs
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import Plan
from ir_nav.planning.plan_errors import PlanError
from ir_nav.planning.target_mask import TargetMask


def with_needle(plan: Plan, path: PlannedPath, spacing_mm: float = 0.0) -> Plan:
    """The plan with one more needle of the kind of its first, along a path to the middle of the
    zone; its tip rests where that asks. spacing_mm: to the shafts of the others. PlanError when it
    is nearer than that, or when the plan is not an ablation's."""
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
    widened = _with_further(plan, instrument, (*instrument.further, further))
    _require_apart(widened, spacing_mm)
    return widened


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


def planned_zones(plan: Plan | None) -> tuple[Ellipsoid, ...]:
    """The zone of every needle; none without a plan, or of another instrument."""
    if plan is None or not isinstance(plan.instrument, Ablation):
        return ()
    return zones_of(plan.paths, plan.instrument)


def aimed_paths(plan: Plan) -> tuple[PlannedPath, ...]:
    """The path of every needle from its entry to what it is aimed at, as it was drawn."""
    ahead_mm = plan.instrument.aim_ahead_mm
    return tuple(
        PlannedPath.between(one.entry_ct_mm, one.target_ct_mm + ahead_mm * one.direction_ct)
        for one in plan.paths
    )


def _require_apart(plan: Plan, spacing_mm: float) -> None:
    newest = len(plan.paths)
    for pair in needle_pairs(plan):
        if pair.second == newest and pair.shafts_mm < spacing_mm:
            raise PlanError(
                f"needle {newest} comes to {pair.shafts_mm:.1f} mm of needle {pair.first}; at "
                f"least {spacing_mm:g} mm are needed between shafts and between holes in the "
                "skin: move the entry or the target"
            )


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
