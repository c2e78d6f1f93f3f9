"""Edges of the rules about headers, and where else than in headers they stand."""

import pytest
from urllib3.filepost import encode_multipart_formdata

from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Finding, Severity
from tests.rules.exchanges import CONTENT, CRC64, ETAG, Fields, exchange, findings, inspected

GOOD = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))


def test_a_secret_is_not_repeated_as_evidence() -> None:
    key = "x-cos-server-side-encryption-customer-key"
    found = findings(exchange(headers=((key, "too short"),)))["header-malformed"]
    assert found.evidence["header"] == key
    assert "value" not in found.evidence
    twice = findings(
        exchange(headers=(("x-cos-security-token", "a"), ("x-cos-security-token", "b")))
    )
    assert "values" not in twice["header-duplicated"].evidence


def test_headers_of_others_are_not_judged() -> None:
    one = exchange(
        answer_headers=(*GOOD, ("X-Cache-Lookup", "\t?"), ("X-Foo", "a"), ("X-Foo", "b")),
        answer=CONTENT,
    )
    assert not findings(one)


def test_the_malformed_header_is_named_as_it_was_sent() -> None:
    found = findings(exchange(answer_headers=(("eTaG", ETAG.strip('"')),), answer=CONTENT))
    assert found["header-malformed"].evidence["header"] == "eTaG"
    assert found["header-malformed"].evidence["side"] == "response"
    assert found["header-malformed"].severity is Severity.WARNING


@pytest.mark.parametrize(("status", "is_wrong"), [(101, False), (200, True)])
def test_an_answer_may_say_upgrade_where_it_does(status: int, is_wrong: bool) -> None:
    one = exchange("GET", status=status, answer_headers=(("Connection", "Upgrade"),))
    assert ("header-malformed" in findings(one)) is is_wrong


def form(fields: Fields, *behind: tuple[str, str]) -> Exchange:
    """An upload by a form whose fields stand in front of the file."""
    file = ("file", ("a.txt", CONTENT.decode(), "text/plain"))
    body, content_type = encode_multipart_formdata(
        [("key", "exampleobject"), *fields, file, *behind], boundary="XBoundary"
    )
    headers = (("Content-Type", content_type), ("Content-Length", str(len(body))))
    return exchange("POST", "/", headers=headers, body=body, status=204, answer_headers=GOOD)


def malformed(one: Exchange) -> list[Finding]:
    found = inspected(one).report.findings
    assert {finding.rule for finding in found} <= {"header-malformed"}
    return found


@pytest.mark.parametrize(
    ("fields", "issues"),
    [
        ((), []),
        ((("x-cos-meta-a", "é" * 1024), ("X-Cos-Meta-B", "b" * 2048)), []),
        ((("x-cos-meta-a", "é" * 1024 + "!"),), ["2049 bytes, more than 2 KB"]),
        ((("x-cos-meta-a", "a" * 70_000),), ["64 KB or more, more than 2 KB"]),
        (
            (("x-cos-meta-a", "a" * 2048), ("x-cos-meta-b", "b" * 2048), ("x-cos-meta-c", "c")),
            ["all x-cos-meta- fields together have 4097 bytes, more than 4 KB"],
        ),
        ((("x-cos-meta-a_b", "c"),), ["underscore in the name"]),
        ((("x-cos-traffic-limit", "1024"),), ["outside 819200-838860800 bit/s"]),
        ((("x-cos-storage-class", "STAND ARD"),), ["not a word"]),
        (
            (("Content-Type", "jpeg"), ("Content-MD5", "no")),
            ["not a media type", "not base64 (24 characters)"],
        ),
        ((("Content-Type", ""), ("date", "any field of mine"), ("range", "of colours")), []),
    ],
)
def test_a_form_has_headers_as_fields(fields: Fields, issues: list[str]) -> None:
    found = malformed(form(fields))
    # A field longer than is kept is told of as a remark on the form as well.
    assert [finding.evidence["issue"] for finding in found] == issues
    for finding in found:
        assert (finding.evidence["side"], finding.evidence["place"]) == ("request", "form")
        assert "in the form" in finding.detail
        assert len(finding.evidence["value"]) <= 201


def test_fields_behind_the_file_are_not_read() -> None:
    assert not malformed(form((), ("x-cos-meta-a_b", "c")))


def test_a_secret_field_is_not_repeated_as_evidence() -> None:
    key = "x-cos-server-side-encryption-customer-key"
    found = findings(form(((key, "too short"),)))["header-malformed"]
    assert found.evidence["header"] == key
    assert "value" not in found.evidence
