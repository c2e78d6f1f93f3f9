from typing import get_args
from xml.etree import ElementTree

import msgspec
import pytest

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Check, CheckName, Finding, FlowReport, Severity
from cos_inspect.model.summary import Lost, TransferSummary
from cos_inspect.report.baseline import Baseline, BaselineEntry
from cos_inspect.report.junit import (
    connection_suite,
    flow_suite,
    left_out_suite,
    lost_suite,
    transfer_suite,
)
from cos_inspect.report.report_format import FormatSettings
from cos_inspect.rules.registry import CHECKS_OF_RULES
from tests.report.build import finding, flow_report

MATCH = Check(check="crc64", body="request", status="match", expected="1", actual="1")
SKIPPED = Check(check="etag", body="request", status="skipped", reason="sse-kms")
MISMATCH = Check(check="etag", body="request", status="mismatch", expected="a", actual="b")


def suite_of(report: FlowReport, **more: object) -> ElementTree.Element:
    settings = FormatSettings(rule_checks=CHECKS_OF_RULES, **more)  # type: ignore[arg-type]
    return ElementTree.fromstring(flow_suite(report, settings))


def with_checks(report: FlowReport, *checks: Check) -> FlowReport:
    return msgspec.structs.replace(report, checks=list(checks))


def test_a_case_per_check() -> None:
    suite = suite_of(with_checks(flow_report(sequence=7), MATCH, SKIPPED))
    assert suite.get("name") == "000007 PutObject examplebucket-1250000000/a.txt"
    assert suite.get("time") == "0.001"
    assert [
        (case.get("name"), [child.tag for child in case]) for case in suite.iter("testcase")
    ] == [
        ("crc64 (request)", []),
        ("etag (request)", ["skipped"]),
    ]
    assert suite.get("tests") == "2"
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")


def test_a_mismatch_stands_in_its_check() -> None:
    suite = suite_of(with_checks(flow_report(findings=[finding()]), MATCH, MISMATCH))
    (failure,) = suite.iter("failure")
    assert failure.get("type") == "etag-mismatch"
    assert failure.text == "d\nf"
    assert suite.get("tests") == "2"
    assert suite.get("failures") == "1"


@pytest.mark.parametrize("name", get_args(CheckName))
@pytest.mark.parametrize("findings", [[], [finding()]])
def test_every_check_may_fail_with_or_without_a_finding(
    name: CheckName, findings: list[Finding]
) -> None:
    check = msgspec.structs.replace(MISMATCH, check=name)
    suite = suite_of(with_checks(flow_report(findings=findings), check))
    assert f"{name} (request)" in [case.get("name") for case in suite.iter("testcase")]
    assert suite.get("failures") == str(len(findings))


def test_other_findings_have_cases_of_their_own() -> None:
    found = [finding("error-response"), finding("clock-skew"), finding("clock-skew")]
    suite = suite_of(flow_report(findings=found))
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "error-response",
        "clock-skew",
        "2. clock-skew",
    ]
    assert suite.get("failures") == "3"


@pytest.mark.parametrize(
    ("fails_from", "failures"), [(Severity.ERROR, 0), (Severity.WARNING, 1), (Severity.NOTICE, 1)]
)
def test_what_is_less_severe_is_told_as_output(fails_from: Severity, failures: int) -> None:
    report = flow_report(findings=[finding(severity=Severity.WARNING)])
    suite = suite_of(report, fails_from=fails_from)
    assert suite.get("failures") == str(failures)
    assert len(list(suite.iter("system-out"))) == 1 - failures


def test_known_findings_do_not_fail() -> None:
    report = with_checks(flow_report(findings=[finding()]), MISMATCH)
    suite = suite_of(report, baseline=Baseline([BaselineEntry(rule="etag-mismatch")]))
    (skipped,) = suite.iter("skipped")
    assert skipped.get("message") == "known: etag-mismatch"
    assert suite.get("failures") == "0"


def test_hostile_text() -> None:
    key = 'a"<b>&\x00\x1b\ud800]]>\n.txt'
    report = flow_report(key=key, findings=[finding()])
    report = msgspec.structs.replace(
        report, findings=[msgspec.structs.replace(report.findings[0], detail=key)]
    )
    suite = suite_of(report)
    assert 'a"<b>&\\u0000\\u001b\\ud800]]>\\u000a.txt' in (suite.get("name") or "")
    (failure,) = suite.iter("failure")
    assert failure.text == 'a"<b>&\\u0000\\u001b\\ud800]]>\\u000a.txt\nf'


def test_transfers() -> None:
    transfer = TransferSummary(
        kind="multipart-upload",
        id="1",
        bucket="b",
        key="k",
        state="abandoned",
        size=None,
        parts=2,
        duration_ms=1500.0,
        verdict="notice",
        findings=[finding("multipart-abandoned", Severity.NOTICE)],
        flows=[],
    )
    suite = ElementTree.fromstring(
        transfer_suite(transfer, FormatSettings(fails_from=Severity.NOTICE))
    )
    assert suite.get("name") == "multipart-upload b/k 1"
    assert (suite.get("failures"), suite.get("time")) == ("1", "1.500")


def test_lost_reports_are_errors() -> None:
    suite = ElementTree.fromstring(lost_suite(Lost(count=3, reasons={"disk full": 2, "a<b": 1})))
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("2", "2", "0")
    assert [error.get("message") for error in suite.iter("error")] == [
        "1 report lost: a<b",
        "2 reports lost: disk full",
    ]


@pytest.mark.parametrize(("failing", "failures"), [(0, "0"), (2, "1")])
def test_transfers_that_are_not_listed_have_a_suite_together(failing: int, failures: str) -> None:
    suite = ElementTree.fromstring(left_out_suite(7, failing))
    assert (suite.get("tests"), suite.get("failures")) == ("1", failures)
    assert [each.get("message") for each in suite.iter("failure")] == (
        [f"7 transfers are not listed, {failing} of them are as bad as what fails"]
        if failing
        else []
    )


def test_a_transfer_that_failed_as_a_whole_fails_without_a_finding_of_its_own() -> None:
    transfer = TransferSummary(
        kind="multipart-upload",
        id="u",
        bucket="b",
        key="k",
        state="refused",
        size=None,
        parts=1,
        duration_ms=None,
        verdict="error",
        findings=[],
        flows=[],
    )
    suite = ElementTree.fromstring(transfer_suite(transfer))
    assert suite.get("failures") == "1"
    fine = msgspec.structs.replace(transfer, state="completed", verdict="ok")
    assert ElementTree.fromstring(transfer_suite(fine)).get("tests") == "0"


def test_connections_that_failed_have_a_suite() -> None:
    trouble = ConnectionFailureSummary(
        host="h",
        client="10.0.0.5",
        failed="client-refused-certificate",
        count=3,
        findings=[finding("tls-untrusted")],
    )
    suite = ElementTree.fromstring(connection_suite(trouble))
    assert suite.get("failures") == "1"
    assert suite.get("name") == "connection 10.0.0.5 to h"
    (count,) = [each for each in suite.iter("property") if each.get("name") == "count"]
    assert count.get("value") == "3"
