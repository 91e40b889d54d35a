"""An NDI tracker that speaks the combined API on a pty or TCP."""

from hw_mocks.ndi.device import MockTracker, Mode, Sighting, ndi_pose
from hw_mocks.ndi.faults import Faults
from hw_mocks.ndi.lines import PtyLine, TcpServer
from hw_mocks.ndi.rom import part_number, tool_definition

__all__ = [
    "Faults",
    "MockTracker",
    "Mode",
    "PtyLine",
    "Sighting",
    "TcpServer",
    "ndi_pose",
    "part_number",
    "tool_definition",
]
