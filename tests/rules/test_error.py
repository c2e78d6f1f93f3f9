"""Edges of the rules about failures."""

import pytest

from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import BodyEnd
from cos_inspect.model.flow_report import Severity
from tests.rules.exchanges import CONTENT, HOST, error_xml, exchange, findings, inspected


@pytest.mark.parametrize(
    ("status", "severity"),
    [
        (400, Severity.WARNING),
        (416, Severity.WARNING),
        (500, Severity.ERROR),
        (503, Severity.ERROR),
    ],
)
def test_severity_of_an_error(status: int, severity: Severity) -> None:
    found = findings(exchange(status=status, answer=error_xml()))["error-response"]
    assert found.severity is severity
    assert found.evidence["status"] == status


def test_the_precise_name_may_stand_in_the_message() -> None:
    body = error_xml("AccessDenied").replace(b"what went wrong", b"RequestTimeTooSkewed")
    report = inspected(exchange(status=403, answer=body)).report
    assert report.error is not None
    assert report.error.code == "AccessDenied"
    assert report.error.meaning is not None
    assert "clock" in f"{report.error.meaning} {report.error.cause} {report.error.fix}".lower()


def test_an_error_without_body_is_explained_by_its_status() -> None:
    report = inspected(exchange("HEAD", status=404)).report
    assert report.error is not None
    assert report.error.code is None
    assert report.error.meaning
    assert "404" in findings(exchange("HEAD", status=404))["error-response"].detail


def test_an_unknown_code_is_told_as_it_is() -> None:
    found = findings(exchange(status=418, answer=error_xml("TeapotIsShort")))["error-response"]
    assert "TeapotIsShort" in found.detail
    assert found.fix


@pytest.mark.parametrize(
    ("method", "target", "told"),
    [
        ("POST", "/a?uploadId=1", True),
        ("GET", "/a", False),
        ("POST", "/a?uploads", False),
        ("POST", "/?delete", False),
    ],
)
def test_operations_whose_success_may_be_an_error(method: str, target: str, told: bool) -> None:
    found = findings(exchange(method, target, answer=b"\n  " + error_xml("SlowDown")))
    assert ("error-in-success" in found) is told


def test_a_copy_may_fail_late_and_counts_as_failed() -> None:
    source = (("x-cos-copy-source", "b-1250000000.cos.ap-beijing.myqcloud.com/a"),)
    for target in ("/a", "/a?partNumber=1&uploadId=1"):
        inspection = inspected(
            exchange("PUT", target, headers=source, answer=error_xml("InternalError"))
        )
        assert [found.rule for found in inspection.report.findings] == ["error-in-success"]
        assert not inspection.cos.succeeded
        assert inspection.report.error is not None
        assert inspection.report.error.code == "InternalError"


def test_a_result_is_no_error() -> None:
    result = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
    assert not findings(exchange("POST", "/a?uploadId=1", answer=result))
    assert not findings(exchange("POST", "/a?uploadId=1", answer=b"   "))


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>no</body></html>",
        b"denied",
        b"<Error><Code>A",
        b"<Error></Error>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><Error><Code>&b;</Code></Error>",
    ],
)
def test_bodies_that_are_no_readable_error(body: bytes) -> None:
    assert "error-body-malformed" in findings(exchange(status=403, answer=body))


def test_bodies_that_need_not_be_readable() -> None:
    page = b"<html><body>no</body></html>"
    website = HOST.replace(".cos.", ".cos-website.")
    fine = [
        exchange(status=403, answer=error_xml()),
        exchange(status=403, answer=b""),
        exchange("HEAD", status=403),
        exchange(status=404, host=website, answer=page),
        exchange(status=403, answer=page, answer_end=BodyEnd.NOT_CAPTURED),
        exchange(status=400, host="gz.file.myqcloud.com", answer=b"no"),
        exchange(status=200, answer=page),
    ]
    assert not [one for one in fine if "error-body-malformed" in findings(one)]
    cut = findings(exchange(status=403, answer=b"<Error><Code>A", answer_end=BodyEnd.CUT))
    assert "body-truncated" in cut
    assert "error-body-malformed" not in cut


def test_a_bomb_is_an_error_body_like_any_other_that_cannot_be_read() -> None:
    bomb = b"<!DOCTYPE a [<!ENTITY b '" + b"c" * 1000 + b"'>]><Error><Code>" + b"&b;" * 1000
    found = findings(exchange(status=403, answer=bomb))
    assert "error-body-malformed" in found
    assert len(str(found)) < 10_000


def test_no_answer() -> None:
    one = exchange("PUT", body=CONTENT, status=None, error="timed out")
    found = findings(one)
    assert found.keys() == {"connection-failed"}
    assert "timed out" in found["connection-failed"].detail
    nameless = findings(exchange(status=None, error=""))["connection-failed"]
    assert nameless.detail.endswith("the flow ended.")


def test_an_error_that_echoes_a_signature_keeps_it_hidden() -> None:
    signature = "28e9a4986df11bed0255e97ff90500557e0e057a"
    body = error_xml("SignatureDoesNotMatch").replace(
        b"what went wrong", f"the signature {signature} is invalid".encode()
    )
    one = exchange(
        headers=(("Authorization", f"q-sign-algorithm=sha1&q-ak=AKID&q-signature={signature}"),),
        status=403,
        answer=body,
    )
    inspection = first_look(one)
    assert inspection is not None
    assert signature not in str(inspection.report)
    assert "AKID" in str(inspection.report)


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("location", [None, "https://elsewhere.example/a"])
def test_a_redirect_may_be_an_error(status: int, location: str | None) -> None:
    code = "PermanentRedirect" if status == 301 else "TemporaryRedirect"
    headers = (("Location", location),) if location else ()
    one = exchange(status=status, answer=error_xml(code), answer_headers=headers)
    report = inspected(one).report
    assert report.error is not None
    assert report.error.code == code
    assert report.error.meaning
    found = findings(one)
    if location:
        # Whoever follows it gets what was asked for.
        assert "error-response" not in found
    else:
        assert found["error-response"].severity is Severity.WARNING


def test_the_host_that_a_redirect_s_body_names() -> None:
    right = "examplebucket-1250000000.cos.ap-tokyo.myqcloud.com"
    body = error_xml("PermanentRedirect").replace(
        b"</Error>", f"<Endpoint>{right}</Endpoint></Error>".encode()
    )
    one = exchange("PUT", body=b"a", status=301, answer=body)
    assert findings(one)["endpoint-mistake"].evidence["right"] == right


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (301, b""),
        (302, b"<html><h1>302 Found</h1><li>Code: Found</li><li>RequestId: a</li></html>"),
        (303, error_xml("TemporaryRedirect")),
        (304, b""),
        (307, b'{"code": "TemporaryRedirect"}'),
        (307, b"<ListBucketResult/>"),
    ],
)
def test_other_redirects_are_no_errors(status: int, answer: bytes) -> None:
    one = exchange(status=status, answer=answer, answer_headers=(("x-cos-error-code", "Found"),))
    assert inspected(one).report.error is None
    assert "error-response" not in findings(one)
