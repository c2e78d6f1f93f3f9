"""What a report tells of an exchange besides checks and findings."""

import msgspec
import pytest

from cos_inspect.inspection.flow_report_of import verdict_of
from cos_inspect.model.exchange import Timing
from cos_inspect.model.flow_report import Finding, Severity
from tests.rules.exchanges import CLOCK, HOST, error_xml, exchange, inspected

SSE = "x-cos-server-side-encryption"


_KMS = ((SSE, "cos/kms"), (f"{SSE}-cos-kms-key-id", "48ba38aa-26c5-11ea-855c-52540085be76"))


def test_a_failure_shows_the_encryption_that_was_asked_for() -> None:
    one = exchange("PUT", headers=_KMS, status=400, answer=error_xml("KmsException"))
    assert inspected(one).report.encryption.mode == "SSE-KMS"
    dropped = exchange("PUT", headers=_KMS)
    assert inspected(dropped).report.encryption.mode == "none"


def test_times_and_places() -> None:
    report = inspected(exchange(took=0.4)).report
    assert report.started == "2020-01-02T09:39:44.000Z"
    assert report.ids.request_id_time == "2020-01-02T09:39:44Z"
    assert report.timing.total_ms == pytest.approx(400, abs=1)
    assert report.timing.request_ms == pytest.approx(100, abs=1)
    assert report.timing.wait_ms == pytest.approx(200, abs=1)
    assert report.timing.response_ms == pytest.approx(100, abs=1)
    assert report.timing.connect_ms is None
    assert report.request.url == f"https://{HOST}/exampleobject"
    assert (report.cos.bucket, report.cos.appid) == ("examplebucket-1250000000", "1250000000")
    assert (report.cos.region, report.cos.level) == ("ap-beijing", "object")


def test_without_an_answer_only_what_was_seen_is_told() -> None:
    report = inspected(exchange(status=None)).report
    assert report.response is None
    assert report.timing.wait_ms is None
    assert report.timing.response_ms is None
    assert report.ids.request_id is None


def test_nothing_is_said_of_clocks_where_the_time_is_unknown() -> None:
    for kind, status, window in (
        ("clock-skew", 200, "9999999990;9999999999"),
        ("signature-expired", 403, "1;2"),
    ):
        expired = (
            f"q-sign-algorithm=sha1&q-ak=AKID&q-sign-time={window}&q-key-time={window}"
            "&q-header-list=&"
        )
        dated = exchange(
            headers=(("Authorization", f"{expired}q-url-param-list=&q-signature={'0' * 40}"),),
            status=status,
            marks=(("Server", "tencent-cos"),),
        )
        undated = msgspec.structs.replace(dated, timing=Timing(request_start=None))
        assert kind in {finding.rule for finding in inspected(dated).report.findings}
        report = inspected(undated).report
        assert kind not in {finding.rule for finding in report.findings}
        assert report.started is None
        assert report.timing.total_ms is None


def test_an_exchange_without_an_answer_ends_when_it_was_given_up() -> None:
    one = exchange("PUT", body=b"x", status=None, error="client disconnected")
    timing = Timing(request_start=CLOCK, request_end=CLOCK + 0.1, failed=CLOCK + 32)
    report = inspected(msgspec.structs.replace(one, timing=timing)).report
    assert report.timing.total_ms == 32000


def test_headers_keep_their_order_and_duplicates() -> None:
    one = exchange(headers=(("X-A", "1"), ("x-b", "2"), ("X-A", "1")))
    shown = [(header.name, header.value) for header in inspected(one).report.request.headers]
    assert shown == [("Host", HOST), ("X-A", "1"), ("x-b", "2"), ("X-A", "1")]


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ([], "ok"),
        ([Severity.NOTICE], "notice"),
        ([Severity.WARNING, Severity.NOTICE], "warning"),
        ([Severity.NOTICE, Severity.ERROR, Severity.WARNING], "error"),
    ],
)
def test_the_verdict_is_the_highest_severity(severities: list[Severity], verdict: str) -> None:
    findings = [
        Finding(rule="r", group="error", severity=severity, title="", detail="", fix="")
        for severity in severities
    ]
    assert verdict_of(findings) == verdict


def test_headers_beyond_all_bounds_are_reported_with_the_reason() -> None:
    many = tuple((f"x-cos-meta-{number}", "v") for number in range(10_000))
    one = exchange(
        headers=(("Authorization", "q-sign-algorithm=sha1&" * 5_000),),
        answer_headers=(*many, ("Set-Cookie", "session=verysecret")),
    )
    report = inspected(one).report
    assert report.response is not None
    last = report.response.headers[-1]
    assert (last.name, last.value) == ("…", "")
    named = len(report.response.headers) - 1
    assert named < 2_000
    assert one.response is not None
    total = len(one.response.headers.fields) + len(one.response.headers.beyond)
    assert total > 10_000
    assert last.issues == (f"{total - named:,} more fields, not inspected and left out",)
    assert b"verysecret" not in msgspec.json.encode(report)
    signature = next(found for found in report.request.headers if found.name == "Authorization")
    assert "64 KiB" in signature.issues[0]
    assert "header-malformed" not in [finding.rule for finding in report.findings]
    reasons = {found.check: found.reason for found in report.checks}
    assert reasons["signature"] == "not-inspected"


def test_nothing_is_missing_that_is_beyond_all_bounds() -> None:
    sse = ("x-cos-server-side-encryption", "AES256")
    ids = (("Server", "tencent-cos"), ("x-cos-request-id", "a" * 70_000))
    one = exchange(
        "PUT",
        headers=(sse,),
        body=b"[Object Content]",
        answer_headers=(*ids, *((f"x-a-{number}", "") for number in range(10_000)), sse),
        marks=(),
    )
    assert [finding.rule for finding in inspected(one).report.findings] == [
        "crc64-missing",
        "etag-missing",
    ]
