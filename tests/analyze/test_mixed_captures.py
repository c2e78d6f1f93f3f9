"""Captures that overlap in ways of their own: cut in the middle of a flow, and the same session as
a flow file and as a HAR, whose entries have other ids."""

from pathlib import Path

import pytest

from cos_inspect.analyze.run import analyze
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.analyze.test_any_split import (
    ALL_BAD,
    ALL_FINE,
    NOTICES,
    Session,
    answer,
    entry_of,
    saved,
)
from tests.saved.hars import har


@pytest.mark.parametrize("whole", [ALL_BAD, ALL_FINE], ids=["bad", "fine"])
def test_a_session_as_flow_file_and_as_har(whole: Session, tmp_path: Path) -> None:
    """All is there twice: nothing more is accused by that, and no damage is hidden."""
    (mitm,) = saved(tmp_path, [whole.flows])
    other = tmp_path / "session.har"
    other.write_bytes(har([entry_of(flow) for flow in whole.flows]))
    alone, both = answer([mitm]), answer([mitm, other])
    assert answer([other, mitm]) == both
    assert set(both.damage) <= set(alone.damage)
    assert {
        each for each in set(alone.damage) - set(both.damage) if each[2] not in NOTICES
    } == set()


@pytest.mark.parametrize("thirds", [1, 2])
def test_a_flow_file_that_ends_in_the_middle_of_a_flow(thirds: int, tmp_path: Path) -> None:
    (mitm,) = saved(tmp_path, [ALL_FINE.flows])
    cut = tmp_path / "cut.mitm"
    content = mitm.read_bytes()
    cut.write_bytes(content[: len(content) * thirds // 3])
    expected = answer([mitm]).summary["counts"]
    for paths in ([cut, mitm], [mitm, cut]):
        chosen = AnalysisSettings(report_dir=None, quiet=True)
        told: list[str] = []
        outcome = analyze([str(path) for path in paths], chosen, told.append, told.append)
        assert dict(outcome.rules) == expected["rule"]
        assert outcome.flows == expected["flows"]
        (fault,) = outcome.errors
        assert "the file ends inside the flow that begins" in fault
