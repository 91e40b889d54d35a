"""Where the console publishes: an address of this computer and a port."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ir_nav.session.errors import SessionError

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
DEFAULT_PORT = 18944
READ_ALONG = "anyone on that network can read along"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class PublishAddress:
    """host: an IPv4 address of this computer or its name; 0.0.0.0 for all it has. port: 0 takes a
    free one."""

    host: str = LOOPBACK
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def only_here(self) -> bool:
        """Whether programs on this computer alone can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def words(self) -> str:
        """Where it is, and who can listen there."""
        if self.only_here:
            return f"on port {self.port} of this computer"
        if self.host == EVERYWHERE:
            return (
                f"on port {self.port} at every address of this computer: anyone on its networks "
                "can read along"
            )
        return f"at {self}: {READ_ALONG}"


def read_address(text: str) -> PublishAddress:
    """Of "[HOST:]PORT"; SessionError says what is wrong. Without a host, this computer only."""
    host, colon, port = text.strip().rpartition(":")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise SessionError(
            "a port is a number from 1 to 65535; an address before it ends in a colon, as in "
            f"192.168.0.5:{DEFAULT_PORT}"
        )
    return PublishAddress(_host(host) if colon else LOOPBACK, int(port))


def _host(text: str) -> str:
    host = text.strip()
    if ":" in host or host.startswith("["):
        raise SessionError(f"{host} is an IPv6 address, which is not served: write an IPv4 one")
    numeric = not host.strip("0123456789.")
    try:
        fits = str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        fits = not numeric and _NAME.fullmatch(host) is not None
    if not fits:
        raise SessionError(
            f"'{host}' is no address: write one of this computer's, such as 192.168.0.5, or "
            f"{EVERYWHERE} for all it has"
        )
    return host
