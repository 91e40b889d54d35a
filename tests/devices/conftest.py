"""Fixtures of the OpenIGTLink tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devices.openigtlink import OpenIGTLinkServer
from tests.devices.support import Collected, RawPeer


@pytest.fixture
def peer() -> Iterator[RawPeer]:
    with RawPeer() as raw:
        yield raw


@pytest.fixture
def sink() -> Collected:
    return Collected()


@pytest.fixture
def server() -> Iterator[OpenIGTLinkServer]:
    with OpenIGTLinkServer("room") as room:
        yield room
