"""The table of rules, and that no exchange whatsoever upsets them."""

import inspect as introspection
import pkgutil
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect import rules
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.headers import describe
from cos_inspect.inspection.first_look import first_look
from cos_inspect.inspection.flow_report_of import verdict_of
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.flow_report import Check, CheckName, Finding
from cos_inspect.rules.registry import CHECKS_OF_RULES, FLOW_RULES, RULE_IDS, RULES
from cos_inspect.rules.rule import Rule
from tests.rules.exchanges import CRC64, ETAG, HOST, REQUEST_ID, TRACE_ID, Fields, exchange
from tests.test_captures import valid

_FINDINGS = Iterator[Finding]


def test_ids_are_unique() -> None:
    assert len(RULES) == len(RULE_IDS)


def test_each_check_that_can_fail_is_told_by_a_rule() -> None:
    told = {check for checks in CHECKS_OF_RULES.values() for check in checks}
    assert told == set(get_args(CheckName))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_text_is_there(rule: Rule) -> None:
    for name in ("title", "when", "cause", "fix", "example"):
        text = getattr(rule, name)
        assert text.strip() == text != ""
        assert "  " not in text, f"{name}: two blanks where pieces were joined"
    assert not rule.title.endswith(".")
    assert rule.fix.endswith(".")
    assert rule.cause.endswith(".")


def _modules() -> list[ModuleType]:
    return [
        import_module(f"{rules.__name__}.{found.name}")
        for found in pkgutil.iter_modules(rules.__path__)
        if found.name not in ("registry", "rule")
    ]


@pytest.mark.parametrize("module", _modules(), ids=lambda module: module.__name__)
def test_everything_in_a_module_of_rules_is_registered(module: ModuleType) -> None:
    finders = {
        name: function
        for name, function in introspection.getmembers(module, introspection.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and list(get_type_hints(function).values()) == [CosExchange, Sequence[Check], _FINDINGS]
    }
    rule_of = {find: rule for rule, find in FLOW_RULES}
    # A finder is named after its rule, so that one is found from the other.
    assert {name.replace("_", "-") for name in finders} == {
        rule_of[find].id for find in finders.values() if find in rule_of
    }
    known = [rule for name, rule in introspection.getmembers(module) if isinstance(rule, Rule)]
    assert all(rule in RULES for rule in known)


def test_no_other_room_names_a_rule_by_its_id() -> None:
    """What is to be known of a rule stands in its record; where one rule is meant, the record is
    named, so that it can be found."""
    package = Path(rules.__path__[0]).parent
    named = re.compile(rf"""["']({"|".join(map(re.escape, sorted(RULE_IDS)))})["']""")
    found = {
        f"{path.relative_to(package)}: {name}"
        for path in package.rglob("*.py")
        if path.parent.name != "rules"
        for name in named.findall(path.read_text())
    }
    assert found == set()


def test_what_damages_data_is_told_before_what_is_odd() -> None:
    order = [rule.id for rule in RULES]
    assert order.index("body-truncated") < order.index("crc64-mismatch")
    assert order.index("crc64-mismatch") < order.index("etag-mismatch")
    assert order.index("error-response") < order.index("trace-id-missing")
    assert max(order.index(rule) for rule in ("etag-mismatch", "sse-not-applied")) < min(
        order.index(rule) for rule in ("header-malformed", "crc64-missing", "etag-missing")
    )


_NAMES = [
    "Authorization",
    "Content-Encoding",
    "Content-Length",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Range",
    "Server",
    "Via",
    "Age",
    "Transfer-Encoding",
    "User-Agent",
    "X-ErrNo",
    "x-amz-request-id",
    "x-cos-acl",
    "x-amz-decoded-content-length",
    "x-amz-content-sha256",
    "x-amz-server-side-encryption",
    "x-ci-request-id",
    "x-cos-callback",
    "x-cos-copy-source",
    "x-cos-error-code",
    "x-cos-error-message",
    "x-cos-hash-crc64ecma",
    "x-cos-meta-a_b",
    "x-cos-object-type",
    "x-cos-request-id",
    "x-cos-trace-id",
    "x-cos-security-token",
    "x-cos-server-side-encryption",
    "x-cos-traffic-limit",
    "x-cos-restore",
    "x-cos-server-side-encryption-context",
    "x-cos-server-side-encryption-cos-kms-key-id",
    "x-cos-server-side-encryption-customer-algorithm",
    "x-cos-server-side-encryption-customer-key",
    "x-cos-server-side-encryption-customer-key-MD5",
    "x-cos-version-id",
    "Pic-Operations",
]
_VALUES = [
    "",
    " ",
    "0",
    "16",
    "9" * 5000,
    "²",
    "-1",
    ETAG,
    f"W/{ETAG}",
    ETAG.strip('"'),
    CRC64,
    REQUEST_ID,
    TRACE_ID,
    "AES256",
    "cos/kms",
    "aws-chunked",
    "aws-chunked, gzip",
    "chunked",
    "gzip",
    "bytes 0-15/16",
    "bytes 0-²/²",
    "bytes */*",
    "bytes=0-",
    "tencent-cos",
    "appendable",
    "Thu, 02 Jan 2020 09:39:45 GMT",
    "Thu, 32 Jan 2020 09:39:45 GMT",
    "Mon, 01 Jan 0000 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=",
    "7o3pGNBWQBRbGPcPTDqmAg==",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/xml",
    "application/json",
    "text/html",
    "{}",
    "e30=",
    "q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1;2&q-key-time=;&q-header-list=host&q-signature=0",
    "q-sign-algorithm=sha1&q-sign-time=99999999999;²",
    "AWS4-HMAC-SHA256 x",
    "AWS a:b",
    "\x00",
]
_TARGETS = [
    "",
    "*",
    "/",
    "/a",
    "//",
    "/a?acl",
    "/?uploads",
    "/?delete",
    "/a?uploadId=1",
    "/a?partNumber=1&uploadId=1",
    "/a?append&position=0",
    "/a?append&position=" + "9" * 5000,
    "/a?append&position=²",
    "/?",
    "/a!small",
    "/a?imageMogr2/x",
    "/a?ci-process=snapshot",
    "http://other/a",
    "/%ff%00",
    "/a?sign=%",
    "/?cors",
    "/a?q-sign-algorithm=sha1&q-signature=0&q-sign-time=1%3B2",
    "/files/v2/1/b/k",
    "/jobs",
]
_HOSTS = [
    HOST,
    "",
    "www.example.com",
    "examplebucket-1250000000.cos-website.ap-beijing.myqcloud.com",
    "ci.ap-beijing.myqcloud.com",
    "gz.file.myqcloud.com",
    "service.cos.myqcloud.com",
    "1.cos-control.ap-beijing.myqcloud.com",
    "ap-beijing.migration.myqcloud.com",
    "cos.ap-beijing.myqcloud.com",
    "examplebucket-1250000000.file.myqcloud.com",
    "vectors.ap-beijing.coslake.com",
]
_BODIES = [
    b"",
    b"[Object Content]",
    b"\xff\xfe\x00",
    b"<Error",
    b"<Error/>",
    b"<Error><Code>X</Code></Error>",
    b"<Error><Code>" + b"A" * 2000 + b"</Code></Error>",
    b"<html>",
    b"{",
    b'{"code":-1}',
    b"[" * 500,
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><Error>&b;</Error>",
    b"8\r\n[Object \r\n0\r\n\r\n",
    b"--x\r\n\r\n--x--",
    b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n--x\r\n'
    b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\nb\r\n--x--\r\n',
]
_headers: st.SearchStrategy[Fields] = st.lists(
    st.tuples(
        st.sampled_from(_NAMES) | st.text(max_size=20),
        st.sampled_from(_VALUES) | st.text(max_size=40),
    ),
    max_size=8,
).map(tuple)
_contents = st.sampled_from(_BODIES) | st.binary(max_size=60)
_ends = st.sampled_from(list(BodyEnd))
_exchanges: st.SearchStrategy[Exchange] = st.builds(
    exchange,
    st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "get", "", "BREW"]),
    st.sampled_from(_TARGETS) | st.text(max_size=30),
    host=st.sampled_from(_HOSTS),
    scheme=st.sampled_from(["http", "https"]),
    headers=_headers,
    body=_contents,
    body_end=_ends,
    status=st.none()
    | st.sampled_from([100, 199, 200, 204, 206, 301, 304, 400, 403, 404, 500, 599, 999]),
    answer_headers=_headers,
    answer=_contents,
    answer_end=_ends,
    marks=st.sampled_from([(), (("Server", "tencent-cos"),), (("x-cos-request-id", REQUEST_ID),)]),
    clock=st.floats(0, 4e9),
    took=st.floats(0, 1e6),
    error=st.none() | st.text(max_size=20),
)


@settings(max_examples=400, deadline=None)
@given(one=_exchanges, redact=st.booleans())
def test_no_exchange_upsets_an_inspection(one: Exchange, redact: bool) -> None:
    inspection = first_look(one, redact=redact)
    if inspection is None:
        return
    report = inspection.report
    written = valid(report)
    assert written["verdict"] == verdict_of(report.findings)
    assert all(finding.rule in RULE_IDS for finding in report.findings)
    for check in report.checks:
        assert (check.status == "skipped") == (check.reason is not None)
        if check.status != "skipped":
            assert check.expected is not None
            assert check.actual is not None
    again = first_look(one, redact=redact)
    assert again is not None
    assert again.report == report


@settings(max_examples=100, deadline=None)
@given(one=_exchanges)
def test_an_ignored_rule_is_silent_and_the_others_are_not(one: Exchange) -> None:
    inspection = first_look(one)
    if inspection is None or not inspection.report.findings:
        return
    left_out = inspection.report.findings[0].rule
    other = first_look(one, ignore=frozenset({left_out}))
    assert other is not None
    assert other.report.findings == [
        finding for finding in inspection.report.findings if finding.rule != left_out
    ]


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(
        [name for name in _NAMES if describe(name.lower(), "request").secret == "1"]
    ),
    secret=st.from_regex(r"Secret[A-Za-z0-9+/]{6,60}={0,2}", fullmatch=True),
    target=st.sampled_from(["/a", "/?cors"]),
    status=st.sampled_from([200, 403]),
)
def test_a_secret_header_stands_nowhere_in_the_report(
    name: str, secret: str, target: str, status: int
) -> None:
    one = exchange(
        "PUT",
        target,
        headers=((name, secret),),
        status=status,
        answer=f"<Error><Code>X</Code><Message>{secret}</Message></Error>".encode(),
    )
    inspection = first_look(one)
    assert inspection is not None
    assert secret not in str(valid(inspection.report))
