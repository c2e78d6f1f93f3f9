"""Counting flows, and adding one run's counts to another's."""

from cos_inspect.report.model import Severity
from cos_inspect.report.summary import Tally, merged
from tests.report.build import finding, flow_report


def test_a_rule_counts_once_a_flow() -> None:
    tally = Tally()
    tally.add(flow_report(findings=[finding(), finding()]))
    tally.add(flow_report(findings=[finding("clock-skew", Severity.WARNING)], client=None))
    summary = merged(None, tally)
    assert summary.counts.rule == {"etag-mismatch": 1, "clock-skew": 1}
    assert summary.counts.verdict == {"error": 2}
    assert summary.counts.client == {"cos-python-sdk-v5": 1, "unknown": 1}
    assert summary.counts.host == {"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com": 2}


def test_runs_add_up() -> None:
    first, second = Tally(), Tally()
    first.add(flow_report())
    second.add(flow_report(operation="GetObject"))
    second.others = 3
    summary = merged(merged(None, first), second)
    assert summary.counts.flows == 2
    assert summary.counts.operation == {"PutObject": 1, "GetObject": 1}
    assert summary.others == 3


def test_names_are_bounded() -> None:
    tally = Tally()
    for number in range(1500):
        tally.add(flow_report(host=f"b{number}-1250000000.cos.ap-guangzhou.myqcloud.com"))
    hosts = merged(None, tally).counts.host
    assert len(hosts) == 1001
    assert hosts["(others)"] == 500
