"""Which paths may become the plan: hard limits are never outvoted, and what was not checked is
said and confirmed."""

from __future__ import annotations

from ir_nav.planning import Ground, Plan, PlanFinding, Protocol
from ir_nav.planning.findings import CLEARANCE, WORDS, broken, by_group, shared_name
from ir_nav.planning.looked_for import Looked, looked_for, unmeasured
from ir_nav.planning.plan_findings import plan_findings
from ir_nav.session.case import IN_KEPT_FREE, Findings
from ir_nav.session.errors import SessionError

MOST_TOLD = 3
EVERYTHING = "every distance and angle of the protocol"


class UncheckedError(SessionError):
    """A path that could not be held against all limits. unchecked: what was not checked."""

    def __init__(self, unchecked: tuple[str, ...]) -> None:
        self.unchecked = unchecked
        super().__init__(
            f"not checked: {', '.join(unchecked)}. Open or find the structures, or confirm that "
            "you have checked this path yourself"
        )


def require_kept(found: tuple[PlanFinding, ...], protocol: Protocol) -> None:
    """SessionError that names each hard limit that is not kept, with its value."""
    faults = by_group(broken(found))
    if not faults:
        return
    told = "; ".join(_told(together, protocol) for together in faults[:MOST_TOLD])
    more = len(faults) - MOST_TOLD
    rest = f"; and {more} more" if more > 0 else ""
    raise SessionError(f"{protocol.name} does not allow this path: {told}{rest}. Move it")


def require_plan_kept(ground: Ground, protocol: Protocol, plan: Plan) -> None:
    """Every needle, as deep as its instrument goes; SessionError as `require_kept`."""
    require_kept(plan_findings(ground, protocol, plan, None), protocol)


def _told(faults: tuple[PlanFinding, ...], protocol: Protocol) -> str:
    """Limits of one kind that are broken together, once: 'Right lung: crossed'."""
    if len(faults) > 1 and all(fault.value < 0.0 for fault in faults):
        return f"{shared_name(faults)}: crossed"
    more = f" (and {len(faults) - 1} more of {faults[0].group})" if len(faults) > 1 else ""
    return fault_words(faults[0], protocol) + more


def fault_words(fault: PlanFinding, protocol: Protocol) -> str:
    """'1.2 mm to Right rib 9, at least 2 mm is needed'."""
    digits = 1 if fault.unit == "mm" else 0
    unit = fault.unit if fault.unit in {"°", "%", ""} else f" {fault.unit}"
    value = f"{fault.value:.{digits}f}{unit}"
    allowed = "is allowed" if fault.most else "is needed"
    if fault.name.startswith(CLEARANCE):
        if fault.value < 0.0 and not fault.limit:
            through = fault.structure[:1].lower() + fault.structure[1:]
            return f"it goes through the {through}, which {protocol.name} forbids"
        if fault.value < 0.0:
            return f"it goes into {fault.structure} ({fault.limit_words} {allowed})"
        return f"{value} to {fault.structure}, {fault.limit_words} {allowed}"
    if fault.name == IN_KEPT_FREE:
        return f"the entry lies {value} within the skin that is kept free"
    return f"{fault.name}: {value}, {fault.limit_words} {allowed}"


def unchecked(found: Findings, ground: Ground | None, protocol: Protocol) -> tuple[str, ...]:
    """What of the protocol could not be held against a path: kinds of structures that neither
    this patient's labels nor CT numbers show, hard limits that cannot be measured without a label,
    or everything while no distances are known."""
    if ground is None or found.limits is None:
        return (EVERYTHING,)
    kinds = tuple(
        f"{one.rule.name} (gas only)" if one.looked is Looked.GAS_ONLY else one.rule.name
        for one in looked_for(ground, protocol)
        if not one.checked
    )
    limits = tuple(
        f"{WORDS[one.criterion][0]} (no {one.lacking} label)"
        for one in unmeasured(ground, protocol)
        if one.hard
    )
    return kinds + limits
