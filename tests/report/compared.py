"""Pairs of flows of which one failed, each with the one difference that matters."""

from typing import Any, NamedTuple

import msgspec

from cos_inspect.model.flow_report import (
    Check,
    FlowReport,
    HeaderReport,
)
from tests.report.build import error_report, flow_report

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
AT = 1_795_341_600  # 2026-11-22T10:00:00Z
DIGITS = "0123456789abcdef0123456789abcdef01234567"


def authorization(
    *,
    secret_id: str = "AKIDone",
    start: int = AT - 1,
    seconds: int = 900,
    headers: str = "content-md5;host;x-cos-acl",
    parameters: str = "",
) -> str:
    window = f"{start};{start + seconds}"
    return (
        f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={window}&q-key-time={window}"
        f"&q-header-list={headers}&q-url-param-list={parameters}&q-signature={DIGITS}"
    )


def sent(
    *,
    url: str = f"https://{HOST}/a.txt",
    method: str = "PUT",
    status: int | None = 200,
    code: str | None = None,
    sequence: int = 1,
    started: str = "2026-11-22T10:00:00.000Z",
    signed: str | None = None,
    headers: dict[str, str] | None = None,
    body: tuple[int, str | None] = (3, "900150983cd24fb0d6963f7d28e17f72"),
    checks: list[Check] | None = None,
    **cos: Any,
) -> FlowReport:
    """A flow with a header signature, but for what is said otherwise."""
    base = flow_report(status=status, sequence=sequence, flow_id=f"{sequence:08x}-0000")
    fields = {
        "Host": url.partition("://")[2].partition("/")[0],
        "Content-MD5": "kAFQmDzST7DWlj99KOF/cg==",
        "x-cos-acl": "private",
        "User-Agent": "cos-python-sdk-v5.1.9.44",
        "Authorization": authorization() if signed is None else signed,
        **(headers or {}),
    }
    described = [
        HeaderReport(name, value, "http", "", ()) for name, value in fields.items() if value
    ]
    request = msgspec.structs.replace(
        base.request,
        method=method,
        url=url,
        headers=described,
        body=msgspec.structs.replace(base.request.body, size=body[0], md5=body[1]),
    )
    error = None
    if code is not None:
        error = error_report(code)
    return msgspec.structs.replace(
        base,
        started=started,
        request=request,
        error=error,
        verdict="error" if code else "ok",
        checks=checks or [],
        cos=msgspec.structs.replace(base.cos, **cos),
    )


def http2(report: FlowReport) -> FlowReport:
    request = msgspec.structs.replace(report.request, http_version="HTTP/2.0")
    return msgspec.structs.replace(report, request=request)


class Pair(NamedTuple):
    name: str
    failed: FlowReport
    worked: FlowReport
    kind: str
    """Of the difference that the first line names; empty: that there is none."""
    says: tuple[str, ...]
    """What stands in the first line."""


LATER: dict[str, Any] = {"sequence": 2, "started": "2026-11-22T10:00:05.000Z"}
WRONG: dict[str, Any] = {"status": 403, "code": "SignatureDoesNotMatch"}
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}
ODD = f"https://{HOST}/"

PAIRS = [
    Pair(
        "clock",
        sent(status=403, code="RequestTimeTooSkewed", signed=authorization(start=AT + 2400)),
        sent(**LATER),
        "clock",
        ("begins 40 min after it was sent", "clock"),
    ),
    Pair(
        "expired",
        sent(**DENIED, signed=authorization(start=AT - 7200)),
        sent(**LATER),
        "validity",
        ("ended 105 min before it was sent",),
    ),
    Pair(
        "key",
        sent(**WRONG, signed=authorization(secret_id="AKIDother")),
        sent(**LATER),
        "secret-id",
        ("AKIDother in the one that failed", "AKIDone in the one that worked"),
    ),
    Pair(
        "path-escape",
        sent(**WRONG, url=f"{ODD}a%2Bb", key="a+b"),
        sent(**LATER, url=f"{ODD}a+b", key="a+b"),
        "escape",
        ("/a%2Bb", "/a+b"),
    ),
    Pair(
        "characters",
        sent(**WRONG, url=f"{ODD}%E4%BD%A0%20b", key="你 b"),
        sent(**LATER),
        "characters",
        ("你 b",),
    ),
    Pair(
        "unsigned-header",
        sent(**DENIED, signed=authorization(headers="content-md5;host")),
        sent(**LATER),
        "unsigned-header",
        ("x-cos-acl", "(not signed) in the one that failed"),
    ),
    Pair(
        "host",
        sent(
            **WRONG,
            url="https://examplebucket-1250000000.cos.accelerate.myqcloud.com/a.txt",
            endpoint="accelerate",
        ),
        sent(**LATER),
        "host",
        ("cos.accelerate.myqcloud.com in the one that failed",),
    ),
    Pair(
        "body",
        sent(status=400, code="MalformedXML", body=(5, "5d41402abc4b2a76b9719d911017c592")),
        sent(**LATER),
        "body",
        ("5 bytes", "3 bytes"),
    ),
    Pair(
        "damaged-body",
        sent(
            status=400,
            code="BadDigest",
            body=(5, "5d41402abc4b2a76b9719d911017c592"),
            checks=[Check(check="content-md5", body="request", status="mismatch")],
        ),
        sent(**LATER, checks=[Check(check="content-md5", body="request", status="match")]),
        "check",
        ("content-md5: mismatch",),
    ),
    Pair(
        "token",
        sent(**DENIED),
        sent(**LATER, headers={"x-cos-security-token": "[masked:1a2b3c4d]"}),
        "token",
        ("none in the one that failed", "[masked:1a2b3c4d]"),
    ),
    Pair(
        "region",
        sent(
            status=404,
            code="NoSuchBucket",
            url="https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/a.txt",
            region="ap-beijing",
        ),
        sent(**LATER),
        "region",
        ("ap-beijing in the one that failed", "ap-guangzhou"),
    ),
    Pair(
        "expect",
        sent(**WRONG, signed=authorization(headers="content-md5;expect;host;x-cos-acl")),
        sent(**LATER),
        "expect",
        ("signed, but not in the request", "100-continue"),
    ),
    Pair(
        "parameter-order",
        sent(status=500, code="InternalError", url=f"{ODD}a.txt?acl&prefix=b"),
        sent(**LATER, url=f"{ODD}a.txt?prefix=b&acl"),
        "",
        ("Nothing that matters differs", "lies at COS"),
    ),
    Pair("nothing", sent(status=503, code="SlowDown"), sent(sequence=2), "", ("Nothing",)),
    Pair("only-time", sent(**LATER), sent(), "", ("Nothing that matters differs",)),
    Pair(
        "expired-in-the-url",
        sent(
            **DENIED,
            url=f"{ODD}a.txt?{authorization(start=AT - 7200, headers='host')}",
            headers={"Authorization": ""},
        ),
        sent(**LATER),
        "validity",
        ("ended 105 min before it was sent",),
    ),
    Pair(
        "form",
        sent(**DENIED, method="POST", headers={"Authorization": ""}, operation="PostObject"),
        sent(**LATER),
        "method",
        ("POST in the one that failed",),
    ),
    Pair(
        "http-version",
        http2(sent(**WRONG)),
        sent(**LATER),
        "",
        ("Nothing that matters differs", "SecretKey"),
    ),
    Pair(
        "range",
        sent(status=416, code="InvalidRange", headers={"Range": "bytes=100-"}),
        sent(**LATER),
        "header",
        ("range: bytes=100-",),
    ),
    Pair(
        "upload-id",
        sent(status=404, code="NoSuchUpload", url=f"{ODD}b.txt?uploadId=17", key="b.txt"),
        sent(**LATER, url=f"{ODD}a.txt?uploadId=18"),
        "parameter",
        ("uploadId: 17",),
    ),
    Pair(
        "both-failed",
        sent(**DENIED),
        sent(sequence=2, status=503, code="SlowDown"),
        "",
        ("AccessDenied, SlowDown",),
    ),
    Pair(
        "anonymous",
        sent(**DENIED, headers={"Authorization": ""}),
        sent(**LATER),
        "signing",
        ("not signed in the one that failed",),
    ),
    Pair(
        "object",
        sent(status=404, code="NoSuchKey", url=f"{ODD}b.txt", key="b.txt", headers={"Range": "a"}),
        sent(**LATER),
        "path",
        ("/b.txt in the one that failed",),
    ),
    Pair(
        "referer",
        sent(**DENIED, headers={"Referer": "https://elsewhere.example/"}),
        sent(**LATER),
        "header",
        ("referer: https://elsewhere.example/",),
    ),
    Pair(
        "presigned",
        sent(
            **WRONG,
            url=f"{ODD}a.txt?{authorization()}&response-content-type=text%2Fhtml",
            headers={"Authorization": ""},
        ),
        sent(
            **LATER,
            url=f"{ODD}a.txt?{authorization(start=AT - 60)}",
            headers={"Authorization": ""},
        ),
        "parameter",
        ("response-content-type: text%2Fhtml",),
    ),
]
