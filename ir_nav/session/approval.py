"""Which paths may become the plan: hard limits are never outvoted, and what was not checked is
said and confirmed."""

from __future__ import annotations

from ir_nav.planning import Ground, PlanFinding, Protocol
from ir_nav.planning.findings import CLEARANCE, broken
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
    faults = broken(found)
    if not faults:
        return
    told = "; ".join(fault_words(fault) for fault in faults[:MOST_TOLD])
    more = len(faults) - MOST_TOLD
    rest = f"; and {more} more" if more > 0 else ""
    raise SessionError(f"{protocol.name} does not allow this path: {told}{rest}. Move it")


def fault_words(fault: PlanFinding) -> str:
    """'1.2 mm to Right rib 9, at least 2 mm is needed'."""
    digits = 1 if fault.unit == "mm" else 0
    unit = fault.unit if fault.unit in {"°", "%", ""} else f" {fault.unit}"
    value = f"{fault.value:.{digits}f}{unit}"
    allowed = "is allowed" if fault.most else "is needed"
    if fault.name.startswith(CLEARANCE):
        if fault.value < 0.0:
            return f"it goes into {fault.structure} ({fault.limit_words} {allowed})"
        return f"{value} to {fault.structure}, {fault.limit_words} {allowed}"
    if fault.name == IN_KEPT_FREE:
        return f"the entry lies {value} within the skin that is kept free"
    return f"{fault.name}: {value}, {fault.limit_words} {allowed}"


def unchecked(found: Findings, ground: Ground | None, protocol: Protocol) -> tuple[str, ...]:
    """What of the protocol could not be held against a path: kinds of structures that neither
    this patient's labels nor CT numbers show, or everything while no distances are known."""
    if ground is None or found.limits is None:
        return (EVERYTHING,)
    seen = {known.group for known in ground.structures.known}
    return tuple(
        rule.name
        for number, rule in enumerate(protocol.kept)
        # What is found by CT number was looked for: where there is none, none is in the way.
        if number not in seen and rule.without_label is None
    )
