"""Counting flows, and adding one run's counts to another's."""

import msgspec

from cos_inspect.model.flow_report import Severity
from cos_inspect.model.summary_delta import CountedFlow, SummaryDelta, count_host
from cos_inspect.model.summary_merging import merged
from tests.report.build import finding, flow_report, healed_try


def test_a_rule_counts_once_a_flow() -> None:
    tally = SummaryDelta()
    tally.add(flow_report(findings=[finding(), finding()]))
    tally.add(flow_report(findings=[finding("clock-skew", Severity.WARNING)], client=None))
    summary = merged(None, tally)
    assert summary.counts.rule == {"etag-mismatch": 1, "clock-skew": 1}
    assert summary.counts.verdict == {"error": 2}
    assert summary.counts.client == {"cos-python-sdk-v5": 1, "unknown": 1}
    assert summary.counts.host == {"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com": 2}


def test_a_flow_that_went_wrong_counts_under_its_worst_rule_unless_it_was_healed() -> None:
    notice, warning = finding("retried", Severity.NOTICE), finding("clock-skew", Severity.WARNING)
    tally = SummaryDelta()
    for report in (
        flow_report(findings=[notice, finding("etag-mismatch"), warning]),
        msgspec.structs.replace(flow_report(findings=[notice]), verdict="notice"),
        healed_try(),
        flow_report(status=None),
    ):
        tally.add(report)
    counts = merged(None, tally).counts
    assert (counts.error_rule, counts.warning_rule) == ({"etag-mismatch": 1}, {})
    assert counts.healed == {"error": 1}
    assert counts.status == {"200": 2, "503": 1, "none": 1}
    assert counts.region == {"ap-guangzhou": 4}


def test_a_revision_moves_a_flow_from_one_count_to_another() -> None:
    failed = flow_report(status=503, findings=[finding("error-response")])
    first, then = SummaryDelta(), SummaryDelta()
    first.add(failed)
    then.replace(CountedFlow.of(failed), CountedFlow.of(healed_try()))
    assert then
    summary = merged(merged(None, first), then)
    assert (summary.counts.error_rule, summary.counts.healed) == ({}, {"error": 1})
    (bar,) = summary.time_line.bars.values()
    assert bar == [1, 0, 0, 0]
    anew = SummaryDelta()
    anew.replace(CountedFlow.of(healed_try()), CountedFlow.of(flow_report()))
    summary = merged(summary, anew)
    assert (summary.counts.healed, summary.counts.verdict) == ({}, {"ok": 1})
    (bar,) = summary.time_line.bars.values()
    assert bar == [0, 0, 0, 1]


def test_names_are_bounded() -> None:
    tally = SummaryDelta()
    for number in range(1500):
        tally.add(flow_report(host=f"b{number}-1250000000.cos.ap-guangzhou.myqcloud.com"))
    hosts = merged(None, tally).counts.host
    assert len(hosts) == 1001
    assert hosts["(others)"] == 500


def test_a_flow_counts_in_the_second_in_which_it_began() -> None:
    report = flow_report(started="2026-11-22T10:00:00.999Z")
    assert CountedFlow.of(report).at == 1795341600
    assert CountedFlow.of(msgspec.structs.replace(report, started=None)).at is None


def test_hosts_that_are_not_cos_are_counted_by_name_up_to_a_bound() -> None:
    tally = SummaryDelta()
    for number in range(150):
        count_host(tally.other_hosts, f"h{number}.example.com")
    count_host(tally.other_hosts, "h0.example.com")
    tally.others = 151
    hosts = merged(None, tally).other_hosts
    assert (len(hosts), hosts["h0.example.com"]) == (100, 2)
