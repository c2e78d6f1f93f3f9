"""Leave to do things: keys on devices, forms, browsers, hosts, S3 clients."""

import base64
import inspect
import json
import re
from typing import Any, get_args

import pytest

from cos_inspect.cos.misspelt_host import HostMistake
from cos_inspect.cos.tables import rows
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Finding
from cos_inspect.rules import addressing
from tests.captures_reader import judge_crc64, judge_md5
from tests.cos.signed_requests import SECRET_ID, WINDOW
from tests.rules.exchanges import (
    CRC64,
    ETAG,
    HOST,
    MARKS,
    REQUEST_ID,
    TRACE_ID,
    Fields,
    error_xml,
    exchange,
    findings,
)

SIGNED = (
    f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={WINDOW}&q-key-time={WINDOW}"
    f"&q-header-list=host&q-url-param-list=&q-signature={'a' * 40}"
)
SIGNATURE = (("Authorization", SIGNED),)
ANDROID = (("User-Agent", "cos-android-sdk-5.9.51"),)
TOKEN = (("x-cos-security-token", "token-abcdefgh"),)
TRACE = (("x-cos-trace-id", TRACE_ID),)
DONE = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))
CONTENT = b"[Object Content]"
ORIGIN = "https://page.example"


def error(code: str, extra: str = "") -> bytes:
    return (
        f"<Error><Code>{code}</Code><Message>no</Message>{extra}"
        f"<RequestId>{REQUEST_ID}</RequestId><TraceId>{TRACE_ID}</TraceId></Error>"
    ).encode()


def group(one: Exchange) -> dict[str, Finding]:
    found = first_look(one)
    assert found is not None
    return {f.rule: f for f in found.report.findings if f.group == "access"}


def only(one: Exchange, rule: str) -> Finding:
    found = group(one)
    assert list(found) == [rule]
    return found[rule]


def test_permanent_key_on_device() -> None:
    found = only(exchange(headers=(*SIGNATURE, *ANDROID)), "permanent-key-on-device")
    assert found.evidence == {"client": "cos-android-sdk", "secret_id": SECRET_ID}


@pytest.mark.parametrize(
    "how",
    [
        {"headers": SIGNATURE},
        {"headers": (*SIGNATURE, *ANDROID, *TOKEN)},
        {"headers": ANDROID},
        {"headers": ANDROID, "target": f"/a?{SIGNED.replace(';', '%3B')}"},
        {"headers": (("Authorization", SIGNED.replace(SECRET_ID, "AKID" + "x" * 60)), *ANDROID)},
    ],
)
def test_no_permanent_key_on_a_device(how: dict[str, Any]) -> None:
    assert not group(exchange(**how))


def test_credentials_in_clear() -> None:
    found = only(exchange(headers=(*SIGNATURE, *TOKEN), scheme="http"), "credentials-in-clear")
    assert found.evidence["exposed"] == ["signature", "token"]
    url = f"/a?{SIGNED.replace(';', '%3B')}"
    assert only(exchange("GET", url, scheme="http"), "credentials-in-clear")
    assert not group(exchange(scheme="http"))
    assert not group(exchange(headers=(*SIGNATURE, *TOKEN)))


def form(conditions: list[Any], key: str = "user/a.txt", *, status: int = 403) -> Exchange:
    document = {"expiration": "2020-01-02T10:00:00.000Z", "conditions": conditions}
    fields = {
        "key": key,
        "policy": base64.b64encode(json.dumps(document).encode()).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-key-time": WINDOW,
        "q-signature": "a" * 40,
    }
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    body = f'{parts}--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n'
    return exchange(
        "POST",
        "/",
        headers=(("Content-Type", "multipart/form-data; boundary=x"),),
        body=body.encode(),
        status=status,
        answer_headers=TRACE if status >= 400 else (),
        answer=error("AccessDenied") if status >= 400 else b"",
    )


def test_post_policy_failed() -> None:
    found = only(form([["starts-with", "$key", "other/"]]), "post-policy-failed")
    assert (found.evidence["kind"], found.evidence["field"]) == ("starts-with", "key")
    assert found.evidence["found"] == "user/a.txt"
    found = only(form([{"bucket": "other-1250000000"}, {"key": "x"}]), "post-policy-failed")
    assert found.evidence["field"] == "bucket"
    assert len(found.evidence["failed"]) == 2
    assert only(form([]), "post-policy-failed").evidence["kind"] == "malformed"


def test_a_policy_that_holds_or_was_taken() -> None:
    assert not group(form([["starts-with", "$key", "user/"], ["content-length-range", 5, 5]]))
    assert not group(form([["starts-with", "$key", "other/"]], status=204))


def preflight(asked: str = "", /, *, status: int = 200, **allowed: str) -> Exchange:
    headers = [("Origin", ORIGIN), ("Access-Control-Request-Method", "PUT")]
    if asked:
        headers.append(("Access-Control-Request-Headers", asked))
    answer_headers = [(f"Access-Control-Allow-{k.capitalize()}", v) for k, v in allowed.items()]
    return exchange(
        "OPTIONS",
        headers=tuple(headers),
        status=status,
        answer_headers=(*answer_headers, *(TRACE if status >= 400 else ())),
        answer=error("AccessForbidden") if status >= 400 else b"",
    )


def test_cors_refused() -> None:
    found = only(preflight("authorization", status=403), "cors-refused")
    assert found.evidence["asked"]["headers"] == ["authorization"]
    assert found.evidence["allowed"]["origin"] is None


@pytest.mark.parametrize(
    ("allowed", "lacking"),
    [
        ({"methods": "PUT", "headers": "*"}, ["the origin"]),
        ({"origin": "https://other.example", "methods": "PUT", "headers": "*"}, ["the origin"]),
        ({"origin": "*", "methods": "GET,POST", "headers": "*"}, ["the method PUT"]),
        (
            {"origin": ORIGIN, "methods": "PUT", "headers": "Authorization"},
            ["the header x-cos-acl"],
        ),
    ],
)
def test_cors_does_not_allow(allowed: dict[str, Any], lacking: list[str]) -> None:
    found = only(preflight("authorization, x-cos-acl", **allowed), "cors-refused")
    assert found.evidence["lacking"] == lacking


def test_cors_allows() -> None:
    asked = "authorization,X-Cos-Acl,accept"
    good: dict[str, Any] = {
        "origin": ORIGIN,
        "methods": "put, GET",
        "headers": "Authorization, x-cos-acl",
    }
    assert not group(preflight(asked, **good))
    assert not group(preflight(asked, origin="*", methods="*", headers="*"))
    assert not group(exchange("OPTIONS"))


def upload(expose: str | None, origin: str = ORIGIN, **how: Any) -> Exchange:
    headers = [("Access-Control-Allow-Origin", "*")]
    if expose is not None:
        headers.append(("Access-Control-Expose-Headers", expose))
    return exchange(
        "PUT",
        "/a?partNumber=1&uploadId=2",
        headers=(("Origin", origin),),
        body=CONTENT,
        answer_headers=(*DONE, *headers),
        **how,
    )


@pytest.mark.parametrize("expose", [None, "", "Content-Length, x-cos-request-id"])
def test_cors_etag_hidden(expose: str | None) -> None:
    assert only(upload(expose), "cors-etag-hidden").evidence["origin"] == ORIGIN


def test_cors_etag_shown() -> None:
    for expose in ("etag", "Content-Length, ETag", "*"):
        assert not group(upload(expose))
    assert not group(upload(None, origin=f"https://{HOST}"))
    assert not group(exchange("PUT", body=CONTENT, answer_headers=DONE))


FRAMED = b"10\r\n[Object Content]\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
CHUNKED = (
    ("Content-Encoding", "aws-chunked"),
    ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ("x-amz-decoded-content-length", "16"),
    ("x-amz-trailer", "x-amz-checksum-crc32"),
)


def test_s3_framing_refused() -> None:
    one = exchange(
        "PUT",
        headers=CHUNKED,
        body=FRAMED,
        status=411,
        answer_headers=TRACE,
        answer=error("MissingContentLength"),
    )
    found = only(one, "s3-framing")
    assert found.evidence["how"] == "refused"
    assert "request_checksum_calculation" in found.detail
    assert "response_checksum_validation" in found.detail
    denied = exchange(
        "PUT",
        headers=CHUNKED,
        body=FRAMED,
        status=403,
        answer_headers=TRACE,
        answer=error("AccessDenied"),
    )
    assert not group(denied)


def test_s3_framing_stored_by_its_digests() -> None:
    crc = (("ETag", f'"{judge_md5(FRAMED)}"'), ("x-cos-hash-crc64ecma", str(judge_crc64(FRAMED))))
    one = exchange("PUT", headers=CHUNKED, body=FRAMED, answer_headers=crc)
    assert only(one, "s3-framing").evidence["by"] == "CRC-64"
    good = exchange("PUT", headers=CHUNKED, body=FRAMED, answer_headers=DONE)
    assert not group(good)


def download(body: bytes, *headers: tuple[str, str]) -> Exchange:
    return exchange(answer=body, answer_headers=(("ETag", f'"{judge_md5(body)}"'), *headers))


def test_s3_framing_stored_in_what_is_read() -> None:
    assert only(download(FRAMED), "s3-framing").evidence["by"] == "body"
    signed = b"10;chunk-signature=" + b"a" * 64 + b"\r\n" + CONTENT + b"\r\n0;chunk-signature="
    assert only(download(signed + b"a" * 64 + b"\r\n\r\n"), "s3-framing")
    big = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n100000\r\n" + b"x" * (1 << 20) + b"\r\n0\r\n\r\n"
    assert only(download(big), "s3-framing")
    long = b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    assert only(download(long), "s3-framing")
    coded = download(b"x", ("Content-Encoding", "gzip,aws-chunked"))
    assert only(coded, "s3-framing").evidence["by"] == "header"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"8\r\n",
        b"10\r\n20\r\n30\r\n",
        b"1\r\n2\r\n0\r\n3\r\n4\r\n",
        b"abc\r\n" + b"x" * 3000,
        b"10\r\n" + b"x" * 23,
    ],
)
def test_text_is_no_framing(body: bytes) -> None:
    assert not group(download(body))


def failing(code: str, status: int, host: str = HOST, **how: Any) -> Exchange:
    how.setdefault("answer", error(code))
    headers = (*TRACE, *how.pop("answer_headers", ()))
    return exchange(host=host, status=status, answer_headers=headers, **how)


BARE = "examplebucket.cos.ap-beijing.myqcloud.com"


@pytest.mark.parametrize(
    ("one", "mistake"),
    [
        (failing("InvalidURI", 400, BARE), "no-appid"),
        (failing("NoSuchBucket", 404, BARE), "no-appid"),
        (failing("InvalidURI", 400, "cos.ap-beijing.myqcloud.com", target="/"), "no-bucket"),
        (
            failing("NoSuchBucket", 404, HOST.replace("-1250000000", "-1250000000-1250000000")),
            "appid-twice",
        ),
        (
            failing(
                "PathStyleDomainForbidden",
                403,
                "cos.ap-beijing.myqcloud.com",
                target="/examplebucket-1250000000/a",
            ),
            "path-style",
        ),
        (failing("InvalidRegionName", 400), "region"),
        (
            failing("NoSuchBucket", 404, answer_headers=(("x-cos-bucket-region", "ap-shanghai"),)),
            "region",
        ),
        (
            failing(
                "PermanentRedirect",
                301,
                answer_headers=(("Location", f"https://{HOST.replace('beijing', 'shanghai')}/a"),),
            ),
            "region",
        ),
        (
            failing(
                "PermanentRedirect",
                403,
                answer=error(
                    "PermanentRedirect",
                    f"<Endpoint>{HOST.replace('beijing', 'shanghai')}</Endpoint>",
                ),
            ),
            "region",
        ),
        (
            failing(
                "MethodNotAllowed",
                405,
                HOST.replace(".cos.", ".cos-website."),
                method="PUT",
                body=CONTENT,
            ),
            "website-write",
        ),
        (
            failing(
                "MethodNotAllowed",
                405,
                "examplebucket-1250000000.file.myqcloud.com",
                method="PUT",
                body=CONTENT,
            ),
            "cdn-write",
        ),
    ],
)
def test_endpoint_mistake(one: Exchange, mistake: str) -> None:
    assert only(one, "endpoint-mistake").evidence["mistake"] == mistake


@pytest.mark.parametrize(
    "one",
    [
        failing("NoSuchBucket", 404),
        failing("NoSuchKey", 404, BARE),
        failing("NoSuchBucket", 404, answer_headers=(("x-cos-bucket-region", "ap-beijing"),)),
        failing("", 302, answer=b"", answer_headers=(("Location", "https://origin.example/a"),)),
        failing("", 301, answer=b"", answer_headers=(("Location", f"https://{HOST}/a/"),)),
        failing("AccessDenied", 403),
        exchange(host=BARE),
    ],
)
def test_no_endpoint_mistake(one: Exchange) -> None:
    assert "endpoint-mistake" not in group(one)


def test_a_bucket_whose_name_ends_in_its_appid_may_be_right() -> None:
    twice = HOST.replace("-1250000000", "-1250000000-1250000000")
    assert not group(failing("AccessDenied", 403, twice)).get("endpoint-mistake")
    other = HOST.replace("-1250000000", "-1250000001-1250000000")
    assert not group(failing("NoSuchBucket", 404, other)).get("endpoint-mistake")


def test_every_mistake_in_a_host_is_told() -> None:
    source = inspect.getsource(addressing)
    values = {*get_args(HostMistake), *re.findall(r'mistake="([a-z-]+)"', source)}
    values |= {"no-appid", "no-bucket", "website-write", "cdn-write"}
    assert values == {row["mistake"] for row in rows("host_mistakes")}


@pytest.mark.parametrize(
    "bucket", ["undefined", "undefined-undefined", "null-1250000000", "name-undefined"]
)
@pytest.mark.parametrize("marks", [(), MARKS])
def test_a_bucket_that_was_never_filled_in_needs_no_code(bucket: str, marks: Fields) -> None:
    host = f"{bucket}.cos.ap-guangzhou.myqcloud.com"
    signed = (("Authorization", "q-sign-algorithm=sha1&q-ak=AKID&q-signature=0"),)
    found = findings(exchange("HEAD", host=host, headers=signed, status=404, marks=marks))
    assert "never filled in" in found["endpoint-mistake"].detail
    for status, answer in ((200, b""), (404, error_xml("NoSuchKey"))):
        one = exchange(host=host, headers=signed, status=status, answer=answer)
        assert "endpoint-mistake" not in findings(one)
