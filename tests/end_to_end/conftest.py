"""What every end-to-end test starts from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Inspected
from tests.origin.server import Origin


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
        assert not server.faults


@pytest.fixture
def proxy(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inspected]:
    """mitmdump with the addon's defaults; its CA is trusted by requests."""
    with Inspected(origin, tmp_path) as inspected:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", inspected.ca_pem)
        yield inspected
