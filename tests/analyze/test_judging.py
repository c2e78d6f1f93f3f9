"""Findings on transfers, as the outcome counts them."""

from cos_inspect.analyze.judging import TransfersJudged
from cos_inspect.model.flow_report import Severity
from cos_inspect.model.summary import TransferSummary
from cos_inspect.report.baseline import Baseline, BaselineEntry
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.report.build import finding

ENTRY = BaselineEntry(rule="etag-mismatch", operation="multipart-upload", bucket="b", key="k")


def _transfer() -> TransferSummary:
    return TransferSummary.judged(
        kind="multipart-upload",
        id="u",
        bucket="b",
        key="k",
        state="completed",
        size=1,
        parts=1,
        duration_ms=1.0,
        findings=[finding(), finding("slow-transfer", Severity.NOTICE)],
        flows=[],
    )


def _judged(settings: AnalysisSettings) -> TransfersJudged:
    together = TransfersJudged()
    for _ in range(2):
        one = TransfersJudged()
        one.add([_transfer()], settings)
        together.merge(one)
    return together


def test_as_bad_as_what_fails() -> None:
    assert _judged(AnalysisSettings()).failing == 2
    assert _judged(AnalysisSettings(fail_on=Severity.NOTICE)).failing == 4
    assert not _judged(AnalysisSettings()).found


def test_what_is_known_does_not_fail() -> None:
    judged = _judged(AnalysisSettings(baseline=Baseline([ENTRY])))
    assert (judged.failing, judged.known) == (0, 2)


def test_what_was_found_is_named_where_it_is_wanted() -> None:
    assert _judged(AnalysisSettings(keeps_findings=True)).found[ENTRY] == 2
