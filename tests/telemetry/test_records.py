"""Log records and spans, by the conventions."""

import msgspec
import pytest

from cos_inspect.model.flow_report import Severity, TransferReport
from cos_inspect.telemetry.records import error_type, log_records, new_findings, span_of
from cos_inspect.telemetry.signals import LOG_ATTRIBUTES, SPAN_ATTRIBUTES
from tests.report.build import error_report, finding, flow_report
from tests.telemetry.build import HOST, asking, changed


def test_a_record_for_each_finding() -> None:
    found = [finding(), finding("retried", Severity.NOTICE, "transfer")]
    report = changed(flow_report(findings=found), ticket="the ticket line")
    first, second = log_records(report, found)
    assert first.body == "t: d\nthe ticket line"
    assert (first.severity, second.severity) == (Severity.ERROR, Severity.NOTICE)
    assert first.attributes["cos.rule"] == "etag-mismatch"
    assert first.attributes["cos.rule.group"] == "integrity"
    assert second.attributes["cos.ticket"] == "the ticket line"
    assert first.span == span_of(report).span
    assert set(first.attributes) <= set(dict(LOG_ATTRIBUTES))


def test_only_what_is_new_is_logged() -> None:
    one, two = finding("a"), finding("b")
    worse = finding("a", Severity.WARNING)
    said = [("a", "error", "PutObject")]
    assert new_findings((), [one, two]) == [one, two]
    assert new_findings(said, [one, two]) == [two]
    assert new_findings(said, []) == []
    assert new_findings(said, [worse]) == [worse]
    assert new_findings(said, [one, one]) == [one]


def test_a_span() -> None:
    report = asking(f"https://{HOST}/a.txt", {"User-Agent": "lab/1"})
    span = span_of(
        changed(report, transfer=TransferReport(kind="retry", id="x", position=3, attempt=3))
    )
    assert span.name == "PUT PutObject"
    assert set(span.attributes) <= set(dict(SPAN_ATTRIBUTES))
    wanted = {
        "http.request.method": "PUT",
        "http.response.status_code": 200,
        "http.request.resend_count": 2,
        "user_agent.original": "lab/1",
        "network.protocol.version": "1.1",
        "cos.bucket": "examplebucket-1250000000",
        "cos.verdict": "ok",
        "server.address": HOST,
        "server.port": 443,
    }
    assert wanted.items() <= span.attributes.items()
    assert not span.is_error
    assert span.begins is not None
    assert span.ends == span.begins + 1_000_000


def test_a_method_that_http_does_not_know() -> None:
    report = flow_report()
    span = span_of(changed(report, request=msgspec.structs.replace(report.request, method="BREW")))
    assert span.name == "HTTP PutObject"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"


@pytest.mark.parametrize(
    ("version", "shown"),
    [("HTTP/1.1", "1.1"), ("HTTP/1.0", "1.0"), ("HTTP/2.0", "2"), ("HTTP/3", "3")],
)
def test_versions_of_http(version: str, shown: str) -> None:
    report = flow_report()
    request = msgspec.structs.replace(report.request, http_version=version)
    assert span_of(changed(report, request=request)).attributes["network.protocol.version"] == shown


def test_why_a_flow_failed() -> None:
    body = error_report("InternalError")
    gave_up = finding("connection-failed", Severity.WARNING, "connection")
    assert error_type(flow_report()) is None
    assert error_type(flow_report(status=404)) == "404"
    assert error_type(changed(flow_report(), error=body)) == "InternalError"
    assert error_type(flow_report(findings=[finding()])) == "etag-mismatch"
    assert error_type(flow_report(findings=[finding("retried", Severity.NOTICE)])) is None
    assert error_type(flow_report(status=None, findings=[gave_up])) == "connection-failed"
    assert error_type(flow_report(status=None)) is None


def test_halves_of_surrogate_pairs_are_text() -> None:
    found = [finding()]
    report = changed(flow_report(key="a\ud800", findings=found), ticket="\udfff")
    (record,) = log_records(report, found)
    for text in (record.body, record.attributes["cos.key"], record.attributes["cos.ticket"]):
        assert str(text).encode()
