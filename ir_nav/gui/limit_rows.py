"""The limits of a path as rows in words: what is broken, what was not checked, what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ir_nav.planning import Ground, PlanFinding, Protocol
from ir_nav.planning.criteria import CLEARANCE_REACH_MM
from ir_nav.planning.findings import CLEARANCE, WORDS, by_group, shared_name
from ir_nav.planning.looked_for import GroupLook, Unmeasured, looked_for, unmeasured
from ir_nav.session.case import Findings


class Standing(StrEnum):
    """Where a limit stands; the first ones come first."""

    BROKEN = "broken"
    UNCHECKED = "unchecked"
    UNMET = "unmet"
    UNMEASURED = "unmeasured"
    KEPT = "kept"


MOODS = {
    Standing.BROKEN: "bad",
    Standing.UNCHECKED: "warn",
    Standing.UNMET: "warn",
    Standing.UNMEASURED: "quiet",
    Standing.KEPT: "good",
}


@dataclass(frozen=True, slots=True)
class LimitRow:
    """What is limited, its value, the limit, and in words whether it is kept."""

    name: str
    value: str
    limit: str
    verdict: str
    standing: Standing

    @property
    def mood(self) -> str:
        return MOODS[self.standing] if self.verdict else ""


def limit_rows(
    found: Findings | None, ground: Ground | None, protocol: Protocol
) -> tuple[LimitRow, ...]:
    """One row for each kind of structure and each criterion, the worst first; none until the
    path is measured."""
    if found is None or found.limits is None or ground is None:
        return ()
    rows = [_row(together) for together in by_group(found.limits) if not _outdone(together, found)]
    near = {one.group for one in found.limits if one.name == CLEARANCE}
    for look in looked_for(ground, protocol):
        rows += _looked(look, look.rule.name in near)
    rows += [_not_measured(one) for one in unmeasured(ground, protocol)]
    order = list(Standing)
    return tuple(sorted(rows, key=lambda row: order.index(row.standing)))


def limits_state(rows: tuple[LimitRow, ...]) -> str:
    """'2 broken', '3 not checked' or '✓ kept': the gravest of them."""
    counts = {which: sum(row.standing is which for row in rows) for which in Standing}
    if counts[Standing.BROKEN]:
        return f"{counts[Standing.BROKEN]} broken"
    if counts[Standing.UNCHECKED]:
        return f"{counts[Standing.UNCHECKED]} not checked"
    return "✓ kept" if rows else ""


def limits_mood(rows: tuple[LimitRow, ...]) -> str:
    """'bad' with a broken limit, 'warn' with one that was not checked, else ''."""
    worst = rows[0].standing if rows else Standing.KEPT
    return MOODS[worst] if worst in {Standing.BROKEN, Standing.UNCHECKED} else ""


def value_words(item: PlanFinding) -> str:
    """'7.2 mm': the value with its unit; 'crossed' where the shaft runs into a structure."""
    if item.group and item.value < 0.0:
        return "crossed"
    unit = item.unit if item.unit in {"°", "%", ""} else f" {item.unit}"
    digits = 1 if item.unit == "mm" else 0
    return f"{item.value:.{digits}f}{unit}".replace("-", "−")


def verdict_words(item: PlanFinding) -> str:
    """Whether a limit is kept, in a word."""
    if item.limit is None:
        return ""
    if item.passes:
        return "kept"
    return "NOT KEPT" if item.hard else "wish not met"


def _row(together: tuple[PlanFinding, ...]) -> LimitRow:
    worst = together[0]
    standing = (
        Standing.KEPT if worst.passes else (Standing.BROKEN if worst.hard else Standing.UNMET)
    )
    return LimitRow(
        _name(together), value_words(worst), worst.limit_words, verdict_words(worst), standing
    )


def _name(together: tuple[PlanFinding, ...]) -> str:
    """'Bone: Right rib 7'; for several that are crossed what they share."""
    worst = together[0]
    if not worst.group:
        return worst.name
    crossed = tuple(one for one in together if one.value < 0.0 and one.hard)
    name = shared_name(crossed) if len(crossed) > 1 else worst.structure
    return name if name == worst.group else f"{worst.group}: {name}"


def _outdone(together: tuple[PlanFinding, ...], found: Findings) -> bool:
    """A criterion's hard limit that is kept says nothing beside its wish that is not met."""
    one = together[0]
    return one.passes and any(
        other.name == one.name and not other.passes and not other.group and not one.group
        for other in found.limits or ()
    )


def _looked(look: GroupLook, near: bool) -> list[LimitRow]:
    rule = look.rule
    if not look.checked:
        return [LimitRow(rule.name, "", "", look.looked.value, Standing.UNCHECKED)]
    if near:
        return []
    beyond = f"over {CLEARANCE_REACH_MM:g} mm"
    return [LimitRow(rule.name, beyond, f"at least {rule.margin_mm:g} mm", "kept", Standing.KEPT)]


def _not_measured(missing: Unmeasured) -> LimitRow:
    standing = Standing.UNCHECKED if missing.hard else Standing.UNMEASURED
    name = WORDS[missing.criterion][0]
    return LimitRow(name, "", f"no {missing.lacking} label", "not measured", standing)
