"""Asking the simulated operator of a room to move its tools."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from devices.contract import Device, DeviceError, Sample, Sink, TextSample
from devices.openigtlink import OpenIGTLinkClient
from ir_nav.session.errors import SessionError
from ir_nav.session.link import DeviceLink
from ir_nav.session.room import OperatorEntry

KEPT_SAYINGS = 64


class OperatorLine:
    """A line to the operator: requests go out, what is said comes back."""

    def __init__(self, entry: OperatorEntry) -> None:
        self._entry = entry
        self._client: OpenIGTLinkClient | None = None
        self._said: deque[str] = deque(maxlen=KEPT_SAYINGS)
        self._link = DeviceLink("Operator", self._open, self._hear, lambda *_: None)

    @property
    def said(self) -> tuple[str, ...]:
        """The last sayings, oldest first."""
        return tuple(self._said)

    @property
    def listening(self) -> bool:
        """Whether a request would reach the operator."""
        return self._client is not None and self._client.fault() is None

    def forget(self) -> None:
        """Start listening anew."""
        self._said.clear()

    def ask(self, do: str, **details: Any) -> None:
        """Send a request, such as "pivot needle"; SessionError when nobody listens."""
        client = self._client
        if client is None or not self.listening:
            raise SessionError("the simulated operator cannot be reached: is the room running?")
        try:
            client.send_text("Request", json.dumps({"do": do, **details}))
        except DeviceError as error:
            raise SessionError(
                f"the simulated operator did not take the request: {error}"
            ) from error

    def close(self) -> None:
        self._link.close()

    def _open(self, sink: Sink) -> Device:
        self._client = OpenIGTLinkClient("Operator", self._entry.host, self._entry.port, sink)
        return self._client

    def _hear(self, sample: Sample) -> None:
        if isinstance(sample, TextSample):
            self._said.append(sample.text)
