"""Plans, protocols, and the search for paths."""

from ir_nav.planning.blocking import NoPathError
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.findings import findings, limiting
from ir_nav.planning.ground import Ground, prepare
from ir_nav.planning.path import PlannedPath
from ir_nav.planning.plan import (
    Needle,
    Plan,
    PlanError,
    describe_faults,
    load_plan,
    require_same_ct,
    save_plan,
)
from ir_nav.planning.proposals import Proposal, Proposals, propose
from ir_nav.planning.protocol import (
    Criterion,
    Limit,
    Protocol,
    Role,
    StructureRule,
    read_protocol,
    shipped_protocol,
    shipped_protocols,
)
from ir_nav.planning.search import SkinMap, search
from ir_nav.planning.warming import compile_planning

__all__ = [
    "Criterion",
    "Ground",
    "Limit",
    "Needle",
    "NoPathError",
    "Plan",
    "PlanError",
    "PlanFinding",
    "PlannedPath",
    "Proposal",
    "Proposals",
    "Protocol",
    "Role",
    "SkinMap",
    "StructureRule",
    "compile_planning",
    "describe_faults",
    "findings",
    "limiting",
    "load_plan",
    "prepare",
    "propose",
    "read_protocol",
    "require_same_ct",
    "save_plan",
    "search",
    "shipped_protocol",
    "shipped_protocols",
]
