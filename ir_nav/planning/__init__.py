"""Plans, protocols, and a first search for a path."""

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
from ir_nav.planning.protocol import Avoid, Protocol, read_protocol, shipped_protocol
from ir_nav.planning.search import (
    Clearance,
    NoPathError,
    Proposal,
    RoomMap,
    clearance,
    propose_path,
    room_map,
)

__all__ = [
    "Avoid",
    "Clearance",
    "Needle",
    "NoPathError",
    "Plan",
    "PlanError",
    "PlannedPath",
    "Proposal",
    "Protocol",
    "RoomMap",
    "clearance",
    "describe_faults",
    "load_plan",
    "propose_path",
    "read_protocol",
    "require_same_ct",
    "room_map",
    "save_plan",
    "shipped_protocol",
]
