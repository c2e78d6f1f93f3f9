"""Names of spans and traces, times, hosts and ports."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import TransferReport
from cos_inspect.telemetry.facts import facts_of, host_and_port, nanoseconds
from tests.report.build import flow_report
from tests.telemetry.build import HOST, asking, changed

UPLOAD = f"https://{HOST}/a.txt?partNumber={{}}&uploadId=1234"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_parts_of_one_upload_are_in_one_trace() -> None:
    first = facts_of(asking(UPLOAD.format(1), flow_id="a"))
    second = facts_of(asking(UPLOAD.format(2), flow_id="b"))
    other = facts_of(asking(UPLOAD.format(1).replace("1234", "1235"), flow_id="a"))
    elsewhere = facts_of(asking(UPLOAD.format(1), flow_id="a", key="b.txt"))
    assert first.span.trace_id == second.span.trace_id
    assert first.span.span_id != second.span.span_id
    assert len({each.span.trace_id for each in (first, other, elsewhere)}) == 3
    assert (first.attributes["cos.upload_id"], first.attributes["cos.part_number"]) == ("1234", 1)
    assert first.upload_trace is not None
    assert first.upload_trace.trace_id == first.span.trace_id


def test_the_transfer_names_the_upload_where_the_url_does_not() -> None:
    report = flow_report(operation="InitiateMultipartUpload")
    transfer = TransferReport(kind="multipart-upload", id="1234")
    begun = facts_of(changed(report, transfer=transfer))
    assert begun.span.trace_id == facts_of(asking(UPLOAD.format(1))).span.trace_id


def test_a_span_is_named_alike_each_time() -> None:
    report = flow_report()
    assert facts_of(report).span == facts_of(report).span
    replayed = changed(report, started="2026-11-22T10:00:01.000Z")
    assert facts_of(report).span != facts_of(replayed).span


def test_a_traceparent_is_followed() -> None:
    headers = {"TraceParent": f"00-{TRACE}-{PARENT}-01"}
    facts = facts_of(asking(UPLOAD.format(1), headers))
    assert facts.parent is not None
    assert facts.span.trace_id == facts.parent.trace_id == int(TRACE, 16)
    assert facts.parent.span_id == int(PARENT, 16)
    assert facts.upload_trace is not None
    assert facts.upload_trace.trace_id != facts.span.trace_id


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        "[masked:12345678]",
    ],
)
def test_a_wrong_traceparent_is_passed_over(value: str) -> None:
    assert facts_of(asking(UPLOAD.format(1), {"traceparent": value})).parent is None


def test_a_later_version_of_traceparent_is_followed() -> None:
    assert facts_of(asking("http://x/", {"traceparent": f"01-{TRACE}-{PARENT}-01-more"})).parent


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        (f"https://{HOST}/a?b", HOST, 443),
        ("http://X.example:8080?a", "x.example", 8080),
        ("http://user:word@[::1]:81/", "::1", 81),
        ("http://[::1]/", "::1", 80),
        ("nothing", "", None),
        ("", "", None),
    ],
)
def test_host_and_port(url: str, host: str, port: int | None) -> None:
    assert host_and_port(url) == (host, port)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)))  # noqa: DTZ001
def test_nanoseconds_are_exact(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    wanted = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert nanoseconds(aware.isoformat()) == wanted


@pytest.mark.parametrize(
    "moment", [None, "", "soon", "1960-01-01T00:00:00Z", "9999-01-01T00:00:00Z"]
)
def test_a_time_that_otlp_has_not_is_not_known(moment: str | None) -> None:
    assert nanoseconds(moment) is None


@given(st.text(max_size=60), st.text(max_size=40), st.text(max_size=60), st.floats() | st.none())
def test_whatever_a_report_holds_can_be_said(
    url: str, key: str, value: str, total: float | None
) -> None:
    report = asking(f"http://h/{url}?partNumber={value}&uploadId={key}", {"traceparent": value})
    timing = msgspec.structs.replace(report.timing, total_ms=total)
    facts = facts_of(changed(report, timing=timing))
    assert 0 < facts.span.trace_id < 2**128
    assert 0 < facts.span.span_id < 2**64
    assert facts.begins is not None
    assert facts.ends is not None
    assert facts.begins <= facts.ends < 2**63
    for each in facts.attributes.values():
        assert not isinstance(each, int) or abs(each) < 2**63
        assert not isinstance(each, str) or each.encode()
