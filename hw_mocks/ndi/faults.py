"""What can be made to go wrong with the mock tracker and its line."""

from __future__ import annotations

from dataclasses import dataclass, field

from devices.ndi import SystemStatus


@dataclass(slots=True)
class Faults:
    """Set by a test at any time.

    system: bits reported with every tracking reply. refuse, warn: error code or nothing by
    command name, such as {"TSTART": 0x12}. corrupt, cut: so many replies get a wrong bit, or lose
    their second half. silent: nothing is answered any more.
    """

    system: SystemStatus = field(default=SystemStatus(0))
    refuse: dict[str, int] = field(default_factory=dict)
    warn: set[str] = field(default_factory=set)
    corrupt: int = 0
    cut: int = 0
    silent: bool = False

    def spoil(self, reply: bytes) -> bytes:
        """What is left of a reply on its way."""
        if self.silent:
            return b""
        if self.corrupt > 0:
            self.corrupt -= 1
            middle = len(reply) // 2
            return reply[:middle] + bytes([reply[middle] ^ 0x01]) + reply[middle + 1 :]
        if self.cut > 0:
            self.cut -= 1
            return reply[: len(reply) // 2]
        return reply
