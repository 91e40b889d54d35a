"""What a plan's instrument does at the target, as findings with their limits."""

from __future__ import annotations

from ir_nav.planning.ablation import Coverage, cover, zones_of
from ir_nav.planning.drainage import DrainageFit, fit_catheter
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.instruments import Ablation, Biopsy, Coaxial, Drainage
from ir_nav.planning.notch import sample_of, share_inside
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import Plan
from ir_nav.planning.target_mask import TargetMask


def deepest_paths(plan: Plan) -> tuple[PlannedPath, ...]:
    """For every needle the line that it takes up when it is deepest: fired, or with its loop.

    Clearances are to be checked along these, not only along Plan.paths.
    """
    instrument, path = plan.instrument, plan.path
    if isinstance(instrument, Biopsy | Coaxial):
        sample = sample_of(path, instrument)
        return (path if sample is None else _longer(path, sample.deepest),)
    if isinstance(instrument, Drainage):
        beyond = path.direction_ct * (instrument.catheter.loop_mm / 2.0)
        return (PlannedPath.between(path.entry_ct_mm, path.target_ct_mm + beyond),)
    return plan.paths


def instrument_findings(plan: Plan, target: TargetMask | None) -> tuple[PlanFinding, ...]:
    """Whether the needles reach, and what they do in the target; the latter needs its mask."""
    findings = _reaches(plan)
    instrument = plan.instrument
    if isinstance(instrument, Biopsy | Coaxial):
        findings += _sample(plan, instrument, target)
    elif isinstance(instrument, Drainage) and target is not None:
        findings += _drainage(fit_catheter(plan.path, instrument.catheter, target))
    elif isinstance(instrument, Ablation) and target is not None:
        zones = zones_of(plan.paths, instrument)
        findings += _coverage(cover(target, zones, instrument.margin_mm))
    return findings


def _longer(first: PlannedPath, second: PlannedPath) -> PlannedPath:
    return first if first.length_mm >= second.length_mm else second


def _reaches(plan: Plan) -> tuple[PlanFinding, ...]:
    instrument = plan.instrument
    needles = [instrument.needle]
    if isinstance(instrument, Ablation):
        needles += [one.needle for one in instrument.further]
    found = []
    for number, (needle, path) in enumerate(zip(needles, plan.paths, strict=True), start=1):
        spare_mm = needle.length_mm - path.length_mm
        name = "Needle left outside" if len(needles) == 1 else f"Needle {number} left outside"
        found.append(PlanFinding(name, "", spare_mm, "mm", 0.0, hard=True, passes=spare_mm >= 0.0))
    if isinstance(instrument, Drainage):
        spare_mm = instrument.catheter.length_mm - plan.path.length_mm
        found.append(
            PlanFinding("Catheter left outside", "", spare_mm, "mm", 0.0, True, spare_mm >= 0.0)
        )
    return tuple(found)


def _sample(
    plan: Plan, instrument: Biopsy | Coaxial, target: TargetMask | None
) -> tuple[PlanFinding, ...]:
    sample = sample_of(plan.path, instrument)
    if sample is None:
        return ()
    found = [
        PlanFinding("Middle of the sample past aim", "", sample.offset_mm, "mm", None, False, True),
        PlanFinding("Deepest point past aim", "", sample.overshoot_mm, "mm", None, False, True),
    ]
    if target is not None:
        share = 100.0 * share_inside(sample, target)
        found.append(PlanFinding("Sample inside the target", "", share, "%", None, False, True))
    return tuple(found)


def _drainage(fit: DrainageFit) -> tuple[PlanFinding, ...]:
    holes, loop = 100.0 * fit.holes_inside, 100.0 * fit.loop_inside
    return (
        PlanFinding(
            "Side holes inside the collection", "", holes, "%", 100.0, True, fit.holes_inside == 1.0
        ),
        PlanFinding(
            "Loop inside the collection", "", loop, "%", 100.0, False, fit.loop_inside == 1.0
        ),
        PlanFinding("Widest ball in the collection", "", fit.widest_mm, "mm", None, False, True),
    )


def _coverage(found: Coverage) -> tuple[PlanFinding, ...]:
    least, wanted = found.least_margin_mm, found.wanted_margin_mm
    return (
        PlanFinding(
            "Target covered", "", 100.0 * found.covered, "%", 100.0, True, found.covered == 1.0
        ),
        PlanFinding("Least margin (A0)", "", least, "mm", wanted, False, found.complete),
        PlanFinding(
            "Surface with the margin", "", 100.0 * found.margin_reached, "%", None, False, True
        ),
        PlanFinding("Ablated volume", "", found.zones_mm3 / 1000.0, "ml", None, False, True),
    )
