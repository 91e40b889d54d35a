"""What forbids guidance now, and what the user can do about it."""

from __future__ import annotations

from ir_nav.session.inputs import Inputs
from ir_nav.session.state import BreathingState, Refusal, Role, ToolState, ToolStatus

_CURES = {
    ToolState.MISSING: "{name} not seen by the tracker: clear the line of sight",
    ToolState.OUT_OF_VOLUME: "Move the tracker so that the {name} lies in its volume",
    ToolState.INVALID: "The tracker rejects the {name}: check its markers",
    ToolState.STALE: "The tracker sends nothing: check its connection",
    ToolState.NEVER: "Bring the {name} into the tracker's view",
}


def guidance_refusal(
    inputs: Inputs, tools: tuple[ToolStatus, ...], breathing: BreathingState | None
) -> Refusal | None:
    """The first thing that forbids guidance, gravest first."""
    by_role = {tool.role: tool for tool in tools}
    for role in (Role.NEEDLE, Role.REFERENCE):
        tool = by_role.get(role)
        if tool is None:
            return Refusal(f"no {role} in this room", f"Name the {role} in the room file")
        if not tool.usable:
            return Refusal(tool.absence, _CURES[tool.state].format(name=tool.name.lower()))
    if inputs.plan is None:
        return Refusal("no plan", "Approve a path in Plan")
    if inputs.plan_withdrawn is not None:
        return Refusal("plan not allowed any more", f"In Plan: {inputs.plan_withdrawn}")
    missing = inputs.needle.missing()
    if missing is not None:
        return Refusal("needle not calibrated", f"In Set up: {missing}")
    if inputs.registration is None:
        words = "not registered" if inputs.expired is None else f"not registered: {inputs.expired}"
        return Refusal(words, "Register it in Register and accept")
    if breathing is None:
        return Refusal("breathing not watched yet", "Wait while the reference is watched")
    if not breathing.inside:
        return Refusal(
            f"breathing {abs(breathing.phase_mm):.1f} mm from end-expiration",
            "Outside the gate: wait, or ask for a breath-hold after breathing out",
        )
    return None
