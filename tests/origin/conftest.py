"""A running server, and a way to talk to it by any host name."""

from collections.abc import Iterator

import pytest

from tests.origin.client import Client
from tests.origin.server import Origin


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
        assert server.faults == []


@pytest.fixture
def client(origin: Origin) -> Client:
    return Client(origin)
