"""A report as text."""

import msgspec

from cos_inspect.inspection.flow_text import flow_text
from cos_inspect.model.flow_report import Check, ErrorReport, TransferReport
from cos_inspect.rules.integrity import ETAG_MISMATCH
from tests.report.build import finding, flow_report

REPORT = msgspec.structs.replace(
    flow_report(findings=[finding()], status=503),
    checks=[
        Check(check="etag", body="request", status="mismatch", expected='"a"', actual='"b"'),
        Check(check="crc64", body="request", status="match", expected="7", actual="7"),
        Check(check="content-md5", body="request", status="skipped", reason="no-header"),
    ],
    error=ErrorReport(
        code="SlowDown",
        message="Reduce your request rate.",
        resource=None,
        request_id=None,
        trace_id=None,
        meaning="Too many requests.",
        cause="A burst. " * 20,
        fix="Wait.",
    ),
    ticket="request id: none",
    transfer=TransferReport(kind="multipart-upload", id="u1"),
)


def test_everything_is_told_and_findings_come_first() -> None:
    text = flow_text(REPORT)
    parts = ["COS error: PutObject 503", "error: etag-mismatch:", "error of COS:", "object:"]
    parts += ["checks:", "for a support ticket:\n  request id: none"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "transfer:    multipart-upload u1" in text
    assert "said:    SlowDown Reduce your request rate." in text


def test_the_usual_cause_stands_where_no_more_is_known() -> None:
    usual = ETAG_MISMATCH.finding("d")
    text = " ".join(flow_text(flow_report(findings=[usual])).split())
    assert f"cause: {ETAG_MISMATCH.cause}" in text
    for known in (
        ETAG_MISMATCH.finding("The bytes are whole.", fix="Nothing needs to be sent again."),
        ETAG_MISMATCH.finding("The bytes are whole.", title="The ETag is a gateway's"),
    ):
        assert "cause:" not in flow_text(flow_report(findings=[known]))


def test_checks_name_what_was_compared() -> None:
    text = flow_text(REPORT)
    assert '  MISMATCH  etag of the request:\n            expected "a"' in text
    assert "  match     crc64 of the request: 7\n            (x-cos-hash-crc64ecma, with " in text
    assert "  skipped   content-md5 of the request: no-header" in text


def test_lines_are_wrapped_for_a_narrow_pane() -> None:
    assert max(len(line) for line in flow_text(REPORT).splitlines()) <= 72


def test_what_is_unknown_is_said() -> None:
    text = flow_text(flow_report(status=None, client=None))
    assert text.startswith("COS ok: PutObject no answer\n")
    assert "request id:  none" in text
    assert "client:" not in text
