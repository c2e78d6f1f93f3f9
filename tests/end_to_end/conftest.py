"""What every end-to-end test starts from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Inspected
from tests.origin.server import Origin

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage is that of the unit tests: what is measured here would be slower, and what
    really runs is in processes of its own."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("no_cover")


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
