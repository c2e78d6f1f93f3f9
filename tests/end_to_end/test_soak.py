"""A short soak, and what it notices of an addon that is not as good."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.soak_run import OUTPUT, Soak
from scripts.soak_table import too_much
from tests.end_to_end.node_steps import missing

pytestmark = pytest.mark.end_to_end


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The SDKs log each fault that they meet."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


OVERLOOKED = (
    "crc64-mismatch",
    "body-truncated",
    "trace-id-missing",
    "signature-expired",
    "header-malformed",
)
WORSE = f'''
"""Makes the addon overlook some kinds of fault, and accuse one clean flow."""

from cos_inspect.rules import integrity, registry

OVERLOOKED = {OVERLOOKED!r}
accused = []


def find_nothing(cos, checks):
    return iter(())


def accuse_one(cos, checks):
    if not accused and cos.operation.name == "DeleteObject":
        accused.append(cos.exchange.flow_id)
        yield integrity.ETAG_MISSING.finding("made up")


registry.FLOW_RULES = (
    *(
        (rule, find_nothing if rule.id in OVERLOOKED else find)
        for rule, find in registry.FLOW_RULES
    ),
    (integrity.ETAG_MISSING, accuse_one),
)
'''


def test_everything_once(tmp_path: Path) -> None:
    """Each scenario, and each fault of it, while options change and the addon is loaded anew."""
    result = Soak(tmp_path, seed=1, seconds=None, reload_seconds=8, option_seconds=1).run()
    assert [*result.wrong, *too_much(result)] == []
    assert result.reloads
    assert result.changes
    assert "Traceback" not in (tmp_path / OUTPUT).read_text("utf-8")
    outcome = result.outcome
    assert outcome.faults > 90
    assert outcome.found + outcome.cut_by_reload + outcome.streamed_midway == outcome.faults
    if missing() is None:
        assert result.acts > 110


def test_an_addon_that_is_worse_is_noticed(tmp_path: Path) -> None:
    script = tmp_path / "worse.py"
    script.write_text(WORSE)
    folder = tmp_path / "soak"
    folder.mkdir()
    scenarios = ["python-small", "python-large", "python-signature"]
    result = Soak(
        folder,
        seed=1,
        seconds=None,
        scenarios=scenarios,
        scripts=[script],
        reload_seconds=None,
        option_seconds=1e9,
    ).run()
    for rule in OVERLOOKED:
        assert [line for line in result.wrong if rule in line.partition(", not ")[2]], rule
    (alarm,) = (line for line in result.wrong if "accused of" in line)
    assert "DeleteObject" in alarm
    assert "etag-missing notice" in alarm
    assert result.outcome.false_alarms == 1
    missed = result.outcome.faults - result.outcome.found
    assert len(result.wrong) == missed + 1
