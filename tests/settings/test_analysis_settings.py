"""What follows from the settings of an analysis."""

import pytest

from cos_inspect.model.flow_report import Severity
from cos_inspect.settings.analysis_settings import AnalysisSettings


@pytest.mark.parametrize(
    ("quiet", "all_flows", "shown"),
    [(False, False, "problems"), (False, True, "all"), (True, False, "errors")],
)
def test_which_flows_are_told(quiet: bool, all_flows: bool, shown: str) -> None:
    assert AnalysisSettings(quiet=quiet, all_flows=all_flows).shown == shown


def test_a_test_fails_for_errors_unless_less_is_asked_for() -> None:
    assert AnalysisSettings().fails_from is Severity.ERROR
    assert AnalysisSettings(fail_on=Severity.NOTICE).fails_from is Severity.NOTICE
