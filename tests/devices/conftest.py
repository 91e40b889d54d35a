"""Fixtures of the OpenIGTLink tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devices.openigtlink import OpenIGTLinkServer
from tests.devices.igtl_peers import Peers, build
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


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    found = Peers(build(), tmp_path_factory.mktemp("igtl-peers"))
    yield found
    found.end()
