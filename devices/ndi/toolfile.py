"""Tool definition files (.rom) and the PVWR commands that load them.

Source: Polaris Application Program Interface Guide, PVWR: at most 1024 bytes, written in blocks
of 64 as hexadecimal text. The content is the tracker's to check: it answers error 40.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from devices.contract import DeviceError

MAX_SIZE = 1024
_BLOCK = 64
_MIN_SIZE = 72  # where the markers begin


def read_tool_definition(path: Path) -> bytes:
    """The file's bytes, checked. Raises DeviceError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DeviceError(f"tool definition file {path}: {reason}; check the path") from error
    if not data.startswith(b"NDI"):
        raise DeviceError(f"{path} is no tool definition file; choose the .rom file of the tool")
    if not _MIN_SIZE <= len(data) <= MAX_SIZE:
        raise DeviceError(f"{path} has {len(data)} bytes; a tool definition has 72 to {MAX_SIZE}")
    return data


def write_commands(handle: int, data: bytes) -> Iterator[str]:
    """PVWR commands that load a tool definition, last block padded with zeros."""
    for at in range(0, len(data), _BLOCK):
        block = data[at : at + _BLOCK].ljust(_BLOCK, b"\0")
        yield f"PVWR:{handle:02X}{at:04X}{block.hex().upper()}"
