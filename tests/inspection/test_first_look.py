"""The golden vectors of published answers, and what a report says besides findings."""

import base64

import msgspec
import pytest

from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.model.exchange import Change
from cos_inspect.model.flow_report import Check
from tests.captures_reader import judge_crc64, judge_md5
from tests.rules.exchanges import ETAG, HOST, Fields, check, exchange, inspected

SSE = "x-cos-server-side-encryption"
UPLOAD_ID = "1577957984" + "0123456789abcdef" * 4
CUSTOMER_KEYS = [
    ("MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=", "U5L61r7jcwdNvT7frmUG8g=="),
    ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "hRasmdxgYDKV3nvbahU1MA=="),
]
GOLDEN = [
    (b"", "d41d8cd98f00b204e9800998ecf8427e", "1B2M2Y8AsgTpgAmY7PhCfg==", "0"),
    (
        b"123456789",
        "25f9e794323b453885f5181f1b624d0b",
        "JfnnlDI7RTiF9RgfG2JNCw==",
        "11051210869376104954",
    ),
    (
        b"[Object Content]",
        "ee8de918d05640145b18f70f4c3aa602",
        "7o3pGNBWQBRbGPcPTDqmAg==",
        "16749565679157681890",
    ),
    (
        b"[Object Part]",
        "108f528eb63b65e734f27ae331f5ffaa",
        "EI9SjrY7Zec08nrjMfX/qg==",
        "4510578591875220731",
    ),
    (
        b"[Object Content Version 2]",
        "22e024392de860289f0baa7d6cf8a549",
        "IuAkOS3oYCifC6p9bPilSQ==",
        "11596229263574363878",
    ),
    (
        b"[Chunked Content][2nd chunk][3rd chunk][4th chunk]",
        "aa488bb80185a6be87f4a7b936a80752",
        "qkiLuAGFpr6H9Ke5NqgHUg==",
        "7188322482464764960",
    ),
]
_bodies = pytest.mark.parametrize(("body", "md5", "content_md5", "crc64"), GOLDEN)


@_bodies
def test_the_vectors_hold_by_another_implementation(
    body: bytes, md5: str, content_md5: str, crc64: str
) -> None:
    assert judge_md5(body) == md5
    assert base64.b64encode(bytes.fromhex(md5)).decode() == content_md5
    assert str(judge_crc64(body)) == crc64


@_bodies
def test_every_upload_matches(body: bytes, md5: str, content_md5: str, crc64: str) -> None:
    for target in ("/exampleobject", f"/exampleobject?partNumber=1&uploadId={UPLOAD_ID}"):
        one = exchange(
            "PUT",
            target,
            headers=(("Content-Length", str(len(body))), ("Content-MD5", content_md5)),
            body=body,
            answer_headers=(("ETag", f'"{md5}"'), ("x-cos-hash-crc64ecma", crc64)),
        )
        for name in ("content-length", "content-md5", "etag", "crc64"):
            assert check(one, name, "request").status == "match"
        assert not inspected(one).report.findings


@_bodies
def test_every_download_matches(body: bytes, md5: str, content_md5: str, crc64: str) -> None:
    one = exchange(
        answer_headers=(
            ("Content-Length", str(len(body))),
            ("ETag", f'"{md5}"'),
            ("x-cos-hash-crc64ecma", crc64),
        ),
        answer=body,
    )
    for name in ("content-length", "etag", "crc64"):
        assert check(one, name, "response").status == "match"
    assert not inspected(one).report.findings


@_bodies
def test_no_vector_matches_another_body(
    body: bytes, md5: str, content_md5: str, crc64: str
) -> None:
    one = exchange(
        "PUT",
        headers=(("Content-MD5", content_md5),),
        body=body + b"!",
        answer_headers=(("ETag", f'"{md5}"'), ("x-cos-hash-crc64ecma", crc64)),
    )
    for name in ("content-md5", "etag", "crc64"):
        found = check(one, name, "request")
        assert found.status == "mismatch"
    assert check(one, "crc64", "request").actual == str(judge_crc64(body + b"!"))
    assert check(one, "etag", "request").actual == f'"{judge_md5(body + b"!")}"'


def _customer(key: str, md5: str) -> tuple[Fields, Fields]:
    echo = ((f"{SSE}-customer-algorithm", "AES256"), (f"{SSE}-customer-key-MD5", md5))
    return (*echo, (f"{SSE}-customer-key", key)), echo


_KMS = ((SSE, "cos/kms"), (f"{SSE}-cos-kms-key-id", "48ba38aa-26c5-11ea-855c-52540085be76"))


@pytest.mark.parametrize(
    ("asked", "confirmed", "etag", "mode", "etag_check"),
    [
        ((), (), "ee8de918d05640145b18f70f4c3aa602", "none", "match"),
        (
            ((SSE, "AES256"),),
            ((SSE, "AES256"),),
            "ee8de918d05640145b18f70f4c3aa602",
            "SSE-COS",
            "match",
        ),
        (((SSE, "cos/kms"),), _KMS, "840af7c9dcc0f1b2a5c3c9ee3e51ba2c", "SSE-KMS", "sse-kms"),
        (
            *_customer(*CUSTOMER_KEYS[0]),
            "582d9105f71525f3c161984bc005efb5",
            "SSE-C",
            "sse-c",
        ),
    ],
    ids=["none", "SSE-COS", "SSE-KMS", "SSE-C"],
)
def test_one_body_under_every_encryption(
    asked: Fields, confirmed: Fields, etag: str, mode: str, etag_check: str
) -> None:
    body, crc64 = b"[Object Content]", "16749565679157681890"
    answer = (("ETag", f'"{etag}"'), ("x-cos-hash-crc64ecma", crc64), *confirmed)
    upload = exchange("PUT", headers=asked, body=body, answer_headers=answer)
    # Only SSE-C has to be asked for again.
    again = asked if mode == "SSE-C" else ()
    download = exchange(headers=again, answer_headers=answer, answer=body)
    for one, side in ((upload, "request"), (download, "response")):
        assert check(one, "crc64", side).status == "match"
        found = check(one, "etag", side)
        assert etag_check in (found.status, found.reason)
        report = inspected(one).report
        assert report.encryption.mode == mode
        assert not report.findings


def test_a_range_is_not_held_against_the_whole_object() -> None:
    whole = (("ETag", '"ee8de918d05640145b18f70f4c3aa602"'), ("x-cos-hash-crc64ecma", GOLDEN[2][3]))
    one = exchange(
        headers=(("Range", "bytes=8-14"),),
        status=206,
        answer_headers=(("Content-Range", "bytes 8-14/16"), *whole),
        answer=b"Content",
    )
    report = inspected(one).report
    assert check(one, "crc64", "response").reason == "range"
    assert report.response is not None
    assert report.response.body.crc64ecma == "15757293603467250119" == str(judge_crc64(b"Content"))
    assert not report.findings


@pytest.mark.parametrize(("key", "md5"), CUSTOMER_KEYS)
def test_customer_keys(key: str, md5: str) -> None:
    assert base64.b64encode(bytes.fromhex(judge_md5(base64.b64decode(key)))).decode() == md5
    asked, echo = _customer(key, md5)
    one = exchange(headers=asked, answer_headers=echo)
    assert check(one, "sse-customer-key-md5", "request").status == "match"
    assert check(one, "sse-customer-key-md5", "response").status == "match"
    other = next(pair for pair in CUSTOMER_KEYS if pair[0] != key)
    assert check(
        exchange(headers=_customer(key, other[1])[0]), "sse-customer-key-md5", "request"
    ) == Check(
        check="sse-customer-key-md5",
        body="request",
        status="mismatch",
        expected=other[1],
        actual=md5,
    )


def test_traffic_of_others_is_not_reported() -> None:
    assert first_look(exchange(host="www.example.com", marks=(("Server", "nginx"),))) is None
    assert first_look(exchange(host="www.example.com", status=None)) is None
    assert first_look(exchange(host="www.example.com", status=None), hosts=("*.example.com",))


def test_masking_can_be_left_out() -> None:
    one = exchange(headers=(("x-cos-security-token", "a-token-of-some-length"),))

    def shown(inspection: FirstLook | None) -> tuple[str, bool]:
        assert inspection is not None
        header = inspection.report.request.headers[-1]
        return header.value, header.redacted

    assert shown(first_look(one, redact=False)) == ("a-token-of-some-length", False)
    value, redacted = shown(first_look(one))
    assert redacted
    assert value.startswith("[masked:")


SECRETS = ("b5c4d3e2f1" * 4, "a-token-of-sts-0123456789", "an-sse-c-key-in-base64-0123456789==")


@pytest.mark.parametrize("status", [200, 403])
def test_what_the_proxy_changed_is_shown_without_secrets(status: int) -> None:
    """Also in the words of findings; what was saved is masked already, and stays as it is."""
    signature, token, key = SECRETS
    signed = (
        "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1577957984;1577958884"
        "&q-key-time=1577957984;1577958884&q-header-list=host&q-url-param-list="
        f"&q-signature={signature}"
    )
    url = f"https://{HOST}/a?{signed}&x-cos-security-token={token}"
    changes = (
        Change(part="url", client=url, sent=url.replace("/a?", "/b?"), by="map_remote"),
        Change(part="header", name="Authorization", client=signed, sent=None, by="stickyauth"),
        Change(part="header", name="x-cos-security-token", sent=token, by="modify_headers"),
        Change(
            part="header",
            name="x-cos-server-side-encryption-customer-key",
            client=key,
            sent="another-key",
            by="modify_headers",
        ),
    )
    one = exchange(status=status, headers=(("Authorization", signed),), body=b"")
    request = msgspec.structs.replace(one.request, changes=changes)
    look = first_look(msgspec.structs.replace(one, request=request))
    assert look is not None
    report = look.report
    written = msgspec.json.encode(report).decode()
    shown = [secret for secret in (*SECRETS, "another-key") if secret in written]
    assert shown == [], report.request.changes
    assert written.count("[masked:") >= 5
    left = [msgspec.convert(msgspec.to_builtins(each), Change) for each in report.request.changes]
    again = msgspec.structs.replace(one.request, changes=tuple(left))
    later = first_look(msgspec.structs.replace(one, request=again))
    assert later is not None
    assert later.report.request.changes == report.request.changes


BEYOND = tuple((f"x-cos-meta-{number}", "1") for number in range(1000))
TOKEN = "kM2xQ9vT7bLw4Zr8"
ERROR = (
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no access for {}</Message>'
    "<Resource>/a</Resource></Error>"
)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (TOKEN, TOKEN),
        (f"Bearer {TOKEN}", TOKEN),
        (TOKEN.replace("k", "%6B"), TOKEN),
        (TOKEN, "%6B" + TOKEN[1:]),
        (f"a=b; session={TOKEN}", TOKEN.lower()),
    ],
)
@pytest.mark.parametrize("name", ["x-cos-security-token", "Authorization", "X-Anything"])
def test_an_echo_of_a_header_that_is_not_read_is_masked(name: str, value: str, said: str) -> None:
    """Behind too many others, and in a value that is too long."""
    for headers in (
        (*BEYOND, (name, value)),
        ((name, f"{'a,' * 40_000} {value} {'b,' * 40_000}"),),
    ):
        body = ERROR.format(said).encode()
        made = exchange(status=403, headers=headers, answer=body, answer_headers=())
        found = first_look(made)
        assert found is not None
        assert found.report.error is not None
        assert "no access for [masked:" in (found.report.error.message or "")
        text = msgspec.json.encode(found.report).decode()
        assert said not in text
        assert TOKEN not in text
        unmasked = first_look(made, redact=False)
        assert unmasked is not None
        assert said in msgspec.json.encode(unmasked.report).decode()


@pytest.mark.parametrize("side", ["headers", "answer_headers"])
def test_what_is_beyond_is_counted_and_not_shown(side: str) -> None:
    fields = (("ETag", ETAG), *BEYOND, *((f"X-{n}", f"value-{n}") for n in range(5000)))
    found = first_look(exchange(**{side: fields}))  # type: ignore[arg-type]
    assert found is not None
    report = found.report
    assert report.response is not None
    shown = report.request.headers if side == "headers" else report.response.headers
    assert len(shown) < 1110
    assert shown[-1].name == "…"
    assert "more fields" in shown[-1].issues[0]
    assert "value-" not in msgspec.json.encode(report).decode()
