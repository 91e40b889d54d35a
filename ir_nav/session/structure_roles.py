"""What a structure is to the path: the role that the protocol gives its name."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ir_nav.imaging.labels import canonical
from ir_nav.planning import Protocol
from ir_nav.planning.protocol import Role, StructureRule


@dataclass(frozen=True, slots=True)
class GivenRole:
    """role, and the margin that an avoided structure keeps. rule: its name in the protocol; ''
    when none matches and the structure may be passed."""

    role: Role
    margin_mm: float = 0.0
    rule: str = ""

    @property
    def words(self) -> str:
        """As the list of structures shows it: 'avoid 5 mm'."""
        if self.role in {Role.AVOID, Role.FORBIDDEN} and self.margin_mm > 0.0:
            return f"{self.role.value} {self.margin_mm:g} mm"
        return "pass" if self.role is Role.TRAVERSABLE else self.role.value


def given_role(name: str, protocol: Protocol) -> GivenRole:
    """The role by the first rule that has a pattern for the name, as planning takes it."""
    rule = _rule_for(name, protocol)
    if rule is None:
        return GivenRole(Role.TRAVERSABLE)
    return GivenRole(rule.role, rule.margin_mm, rule.name)


def _rule_for(name: str, protocol: Protocol) -> StructureRule | None:
    plain = canonical(name)
    for rule in protocol.structures:
        if any(fnmatchcase(plain, canonical(pattern)) for pattern in rule.patterns):
            return rule
    return None
