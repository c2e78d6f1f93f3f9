"""Refused signatures: each is explained by one rule of the group, and no other."""

import hashlib
from email.utils import formatdate
from html import escape
from typing import Any

import msgspec
import pytest

from cos_inspect.cos.signature import encode
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Finding, FlowReport
from tests.cos.signed_requests import (
    HOST,
    SECRET_ID,
    SECRET_KEY,
    START,
    WINDOW,
    Fields,
    signed_by_hand,
    signed_by_sdk,
)
from tests.cos.test_signature import policy_form
from tests.rules.exchanges import CLOCK, CONTENT, CRC64, ETAG, MARKS, REQUEST_ID, TRACE_ID, exchange

HTTP_STRING = f"get\n/exampleobject\n\nhost={HOST}\n"
SIGNED = signed_by_hand(HTTP_STRING)
KEYS = {SECRET_ID: SECRET_KEY}
TEMPORARY = "AKID" + "x" * 60


def refusal(
    code: str = "SignatureDoesNotMatch",
    message: str = "no",
    *,
    text: str | None = None,
    string: str | None = None,
    server_time: str | None = None,
) -> bytes:
    extra = ""
    if text is not None:
        extra += f"<FormatString>{escape(text)}</FormatString>"
    if string is not None:
        extra += f"<StringToSign>{escape(string)}</StringToSign>"
    if server_time is not None:
        extra += f"<ServerTime>{server_time}</ServerTime>"
    return (
        f"<Error><Code>{code}</Code><Message>{message}</Message>{extra}"
        f"<RequestId>{REQUEST_ID}</RequestId><TraceId>{TRACE_ID}</TraceId></Error>"
    ).encode()


def refused(
    signed: str = SIGNED,
    answer: bytes | None = None,
    *,
    headers: Fields = (),
    dropped: Fields = (),
    status: int = 403,
    **how: Any,
) -> Exchange:
    one = exchange(
        headers=(*headers, ("Authorization", signed)),
        status=status,
        answer_headers=(("x-cos-trace-id", TRACE_ID),),
        answer=refusal() if answer is None else answer,
        **how,
    )
    request = msgspec.structs.replace(one.request, dropped_headers=dropped)
    return msgspec.structs.replace(one, request=request)


def report_of(one: Exchange, **how: Any) -> FlowReport:
    found = first_look(one, **how)
    assert found is not None
    return found.report


def group(one: Exchange, **how: Any) -> dict[str, Finding]:
    """Findings of the group by rule."""
    return {f.rule: f for f in report_of(one, **how).findings if f.group == "signature"}


def only(one: Exchange, rule: str, **how: Any) -> Finding:
    found = group(one, **how)
    assert list(found) == [rule]
    return found[rule]


def string_of(text: str) -> str:

    return f"sha1\n{WINDOW}\n{hashlib.sha1(text.encode()).hexdigest()}\n"


def test_malformed() -> None:
    found = only(refused(SIGNED.replace("q-key-time", "q-keytime")), "signature-malformed")
    assert "q-key-time is missing" in found.evidence["problems"]
    cut = SIGNED.removeprefix("q-sign-algorithm=sha1&")
    found = only(refused(cut), "signature-malformed")
    assert found.evidence["problems"] == ["q-sign-algorithm is missing"]
    assert not group(refused(SIGNED.replace("q-key-time", "q-keytime"), status=404))


def at(shift: float, **how: Any) -> Exchange:
    """The request comes so many seconds after the signature begins, by all clocks."""
    moment = START + shift
    marks = tuple((n, formatdate(moment + 1, usegmt=True) if n == "Date" else v) for n, v in MARKS)
    return refused(clock=moment, marks=marks, **how)


EXPIRED = refusal("AccessDenied", "Request has expired")


def test_expired() -> None:
    found = only(at(1000, answer=EXPIRED), "signature-expired")
    assert found.evidence["late_seconds"] == 101
    assert found.evidence["whole_hours"] is None


def test_expired_by_a_time_zone() -> None:
    found = only(at(8 * 3600 + 20, answer=EXPIRED), "signature-expired")
    assert found.evidence["whole_hours"] == -8
    assert "8 h behind" in found.detail


def test_expired_by_the_servers_clock_alone() -> None:
    late = refusal("AccessDenied", "Request has expired", server_time="2020-01-02T10:39:44Z")
    found = only(refused(answer=late), "signature-expired")
    assert found.evidence["server_time"] == START + 3600
    assert found.evidence["sent"] == round(CLOCK)


def test_the_proxys_clock_alone_expires_nothing() -> None:
    assert not group(refused(clock=START + 5000, answer=refusal("AccessDenied", "Access Denied.")))


@pytest.mark.parametrize("status", [200, 304, 404, 206])
def test_what_cos_took_is_not_expired(status: int) -> None:
    assert not group(at(5000, answer=b"", status=status))


def test_expired_without_an_answer() -> None:
    headers = (("Authorization", SIGNED),)
    late = exchange(headers=headers, status=None, clock=START + 2000, error="reset")
    assert list(group(late)) == ["signature-expired"]
    assert not group(exchange(headers=headers, status=None, error="reset"))


def test_not_yet_valid() -> None:
    skewed = refusal("RequestTimeTooSkewed", "too large")
    found = only(at(-8 * 3600, answer=skewed), "signature-not-yet-valid")
    assert found.evidence["whole_hours"] == 8
    assert found.evidence["skew_seconds"] == 8 * 3600 - 1
    found = only(at(-1234, answer=EXPIRED), "signature-not-yet-valid")
    assert found.evidence["whole_hours"] is None


def test_a_start_a_little_ahead_is_no_reason() -> None:
    assert not group(at(-60, answer=refusal("AccessDenied", "Access Denied.")))


def test_incomplete() -> None:
    signed = signed_by_hand(HTTP_STRING, header_list="content-md5;host", parameter_list="acl")
    found = only(refused(signed), "signature-incomplete")
    assert found.evidence == {"headers": ["content-md5"], "parameters": ["acl"]}


def test_wrong_key_by_the_hash() -> None:
    answer = refusal(string=string_of(HTTP_STRING))
    found = only(refused(answer=answer), "signature-wrong-key")
    assert SECRET_ID in found.detail


def test_wrong_key_with_the_key_at_hand() -> None:
    other = signed_by_hand(HTTP_STRING, key="another")
    answer = refusal(string=string_of(HTTP_STRING), text=HTTP_STRING)
    found = only(refused(other, answer), "signature-wrong-key", keys=KEYS)
    assert "not the key at hand" in found.detail
    same = only(refused(answer=answer), "signature-wrong-key", keys=KEYS)
    assert "the same signature" in same.detail
    assert same.title == "COS has another SecretKey for the SecretId"


@pytest.mark.parametrize(
    ("target", "text", "parameter_list", "special"),
    [
        ("/a%2Bb.txt", f"get\n/a+b.txt\n\nhost={HOST}\n", "", "the path (it holds +)"),
        ("/a%20b", f"get\n/a b\n\nhost={HOST}\n", "", "the path (it holds blanks)"),
        ("/%E8%85%BE", f"get\n/腾\n\nhost={HOST}\n", "", "(it holds letters beyond ASCII)"),
        (
            "/a.png?imageMogr2/thumbnail/!50p",
            f"get\n/a.png\nimagemogr2%2fthumbnail%2f%2150p=\nhost={HOST}\n",
            "imagemogr2%2fthumbnail%2f%2150p",
            "the parameter imageMogr2/thumbnail/!50p (it holds !)",
        ),
        ("/?prefix=a%7Cb", f"get\n/\nprefix=a%7Cb\nhost={HOST}\n", "prefix", "parameter prefix"),
        ("/a-b_c.~1/d", f"get\n/a-b_c.~1/d\n\nhost={HOST}\n", "", None),
        ("/a?prefix=b%20c", f"get\n/a\n\nhost={HOST}\n", "", None),
    ],
)
def test_what_is_often_signed_otherwise_is_named_before_the_key(
    target: str, text: str, parameter_list: str, special: str | None
) -> None:
    signed = signed_by_hand("any", parameter_list=parameter_list)
    one = refused(signed, refusal(text=text, string=string_of(text)), target=target)
    found = only(one, "signature-wrong-key")
    assert "SecretKey does not belong" not in found.title
    if special is None:
        assert found.evidence["likely"] == "key"
        assert found.detail.index("SecretKey does not") < found.detail.index("the client signed")
    else:
        assert found.evidence["likely"] == "client"
        assert special in found.detail
        assert found.detail.index("SecretKey does not") > found.detail.index("the client signed")


def test_a_key_that_does_not_fit_what_cos_accepted_is_a_notice() -> None:
    other = signed_by_hand(HTTP_STRING, key="another")
    for status, answer in ((200, CONTENT), (404, refusal("NoSuchKey"))):
        one = refused(other, answer, status=status)
        found = only(one, "signature-mismatch", keys=KEYS)
        assert found.severity == "notice"
        assert "COS accepted it" in found.detail
        assert found.title == "The key at hand does not give the signature"
    for code in ("AccessDenied", "NoSuchBucket"):
        one = refused(other, refusal(code), status=403 if code == "AccessDenied" else 404)
        assert only(one, "signature-mismatch", keys=KEYS).severity == "error"


def test_a_known_mistake_that_cos_accepted_is_a_notice() -> None:
    signed = signed_by_hand(HTTP_STRING.replace("get", "GET"))
    found = only(refused(signed, CONTENT, status=200), "signature-mismatch", keys=KEYS)
    assert (found.severity, found.evidence["mistake"]) == ("notice", "method-case")


PLUS_TARGET = "/?prefix=a+b%2F%2B"
PLUS_TEXT = f"get\n/\nprefix={{}}b%2F%2B\nhost={HOST}\n"


@pytest.mark.parametrize("sent", ["%20", "%2B"])
@pytest.mark.parametrize("read", ["%20", "%2B", None])
def test_a_blank_sent_as_plus_beside_a_plus(sent: str, read: str | None) -> None:
    """As the Python SDK sends it; how COS reads it, COS alone shows."""
    signed = signed_by_hand(PLUS_TEXT.format(f"a{sent}"), parameter_list="prefix")
    accepted = refused(signed, b"<a/>", status=200, target=PLUS_TARGET)
    assert not group(accepted, keys=KEYS)
    theirs = PLUS_TEXT.format(f"a{read}")
    answer = refusal() if read is None else refusal(text=theirs, string=string_of(theirs))
    one = refused(signed, answer, target=PLUS_TARGET)
    found = group(one, keys=KEYS)
    mistakes = {
        ("%20", "%2B"): "parameters-plus-for-space",
        ("%20", None): "parameters-plus-for-space",
        ("%2B", "%20"): "parameters-plus-kept",
    }
    wanted = mistakes.get((sent, read))
    if wanted is not None:
        assert found["signature-mismatch"].evidence["mistake"] == wanted
    elif read is not None:
        assert list(found) == ["signature-wrong-key"]
    without = group(one)
    assert list(without) == ([] if read is None else ["signature-wrong-key"])


def test_names_in_the_list_that_are_not_encoded() -> None:
    text = f"get\n/a.png\nimagemogr2%2fthumbnail%2f%2150p=\nhost={HOST}\n"
    signed = signed_by_hand(text, parameter_list="imagemogr2/thumbnail/!50p")
    answer = refusal(text=text, string=string_of(text))
    one = refused(signed, answer, target="/a.png?imageMogr2/thumbnail/!50p")
    for keys in ({}, KEYS):
        found = only(one, "signature-mismatch", keys=keys)
        assert found.evidence["mistake"] == "parameter-names-not-encoded"
    assert not group(refused(signed, CONTENT, status=200, target=one.request.target), keys=KEYS)


def test_mismatch_by_the_first_difference() -> None:
    theirs = f"get\n/a b.txt\n\nhost={HOST}\n"
    answer = refusal(text=theirs, string=string_of(theirs))
    found = only(refused(answer=answer, target="/a+b.txt"), "signature-mismatch")
    evidence = found.evidence
    assert (evidence["line"], evidence["difference"]) == ("path", "plus-for-space")
    assert (evidence["cos_has"], evidence["wire_has"], evidence["at"]) == (
        "/a b.txt",
        "/a+b.txt",
        2,
    )
    assert evidence["changed_by"] == "behind-proxy"
    assert found.title == "COS got another request than the one that passed here"
    assert "COS reads it otherwise" in found.detail
    assert evidence["http_string"] == theirs.replace("a b", "a+b")


def test_mismatch_by_the_hash_alone() -> None:
    found = only(refused(answer=refusal(string=string_of("other"))), "signature-mismatch")
    assert "line" not in found.evidence


def test_a_mismatch_that_nothing_explains_is_left_to_the_error() -> None:
    assert not group(refused())


def test_the_mistake_is_named_with_the_key() -> None:
    signed = signed_by_hand(HTTP_STRING.replace("/exampleobject", "/example%20object"))
    theirs = HTTP_STRING.replace("exampleobject", "example object")
    one = refused(
        signed, refusal(text=theirs, string=string_of(theirs)), target="/example%20object"
    )
    assert only(one, "signature-wrong-key").severity == "error"
    found = only(one, "signature-mismatch", keys=KEYS)
    assert found.evidence["mistake"] == "path-encoded"
    assert "path with its percent escapes" in found.detail


def test_who_changed_it_with_the_key() -> None:
    theirs = HTTP_STRING.replace("/exampleobject", "/another")
    answer = refusal(text=theirs, string=string_of(theirs))
    alone = only(refused(answer=answer), "signature-mismatch")
    found = only(refused(answer=answer), "signature-mismatch", keys=KEYS)
    for one in (alone, found):
        assert one.evidence["changed_by"] == "behind-proxy"
        assert "behind this proxy" in one.detail
    assert "The client signed what it sent." in found.detail
    other = signed_by_hand(HTTP_STRING, key="another")
    found = only(refused(other, answer), "signature-mismatch", keys=KEYS)
    assert "The key at hand does not give the signature either." in found.detail


def test_broken_by_proxy() -> None:
    text = f"get\n/exampleobject\n\nexpect=100-continue&host={HOST}\n"
    signed = signed_by_hand(text, header_list="expect;host")
    dropped = (("Expect", "100-continue"),)
    answer = refusal(string=string_of(HTTP_STRING), text=HTTP_STRING)
    found = only(refused(signed, answer, dropped=dropped), "signature-broken-by-proxy")
    assert found.evidence == {"headers": ["expect"], "proved": False}
    # The advice beside it is no other.
    looked = first_look(refused(signed, answer, dropped=dropped))
    assert looked is not None
    (told,) = [each for each in looked.report.findings if each.rule == "error-response"]
    assert "This proxy broke the signature" in told.detail
    assert "Likely" not in told.detail
    assert told.fix.startswith("Have the proxy leave alone")
    found = only(refused(signed, answer, dropped=dropped), "signature-broken-by-proxy", keys=KEYS)
    assert found.evidence["proved"]
    assert not group(refused(SIGNED, refusal(), dropped=dropped))
    taken = refused(signed, b"", dropped=dropped, status=200)
    assert not group(taken)
    only(taken, "signature-broken-by-proxy", keys=KEYS)


def test_broken_by_another_host_in_reverse_mode() -> None:
    answer = refusal(string=string_of(HTTP_STRING), text=HTTP_STRING)
    found = only(refused(answer=answer, dropped=(("Host", ""),)), "signature-broken-by-proxy")
    assert found.evidence["headers"] == ["host"]


def test_header_unsigned() -> None:
    headers = (("Content-Type", "text/plain"), ("x-cos-meta-a", "b"), ("Accept", "*/*"))
    found = only(refused(headers=headers), "signature-header-unsigned")
    assert found.evidence["headers"] == ["Content-Type", "x-cos-meta-a"]
    denied = refusal("AccessDenied", "Access Denied.")
    only(refused(headers=headers, answer=denied), "signature-header-unsigned")
    expired = group(at(5000, answer=EXPIRED, headers=headers))
    assert list(expired) == ["signature-expired"]
    referer = refusal("AccessDenied", "refused by referer rule")
    assert not group(refused(headers=headers, answer=referer))


def test_long_lived() -> None:
    week = f"{START};{START + 7 * 86400}"
    signed = signed_by_hand(HTTP_STRING, sign_time=week, key_time=week)
    found = only(exchange(headers=(("Authorization", signed),)), "signature-long-lived")
    assert found.evidence["seconds"] == 7 * 86400
    day = f"{START};{START + 86400}"
    signed = signed_by_hand(HTTP_STRING, sign_time=day, key_time=day)
    assert not group(exchange(headers=(("Authorization", signed),)))


def test_token_under_another_name() -> None:
    token = (("x-ci-security-token", "token-abcdefgh"),)
    signed = signed_by_hand(HTTP_STRING, secret_id=TEMPORARY)
    answer = refusal("InvalidAccessKeyId")
    found = only(refused(signed, answer, headers=token), "token-missing")
    assert found.evidence == {"wanted": "x-cos-security-token", "sent": ["x-ci-security-token"]}
    right = (("x-cos-security-token", "token-abcdefgh"),)
    assert "token-missing" not in group(refused(signed, answer, headers=right))


def test_token_missing() -> None:
    denied = refusal("AccessDenied", "Access Denied.")
    assert not group(refused(answer=denied))
    look = first_look(refused(answer=denied))
    assert look is not None
    (pending,) = look.pending
    assert pending.shown == "with-token"
    assert "seen with a token" in pending.finding.detail
    long = refused(signed_by_hand(HTTP_STRING, secret_id=TEMPORARY), refusal("InvalidAccessKeyId"))
    assert "longer" in only(long, "token-missing").detail


def signature_check(one: Exchange, **how: Any) -> tuple[str, str | None]:
    (check,) = (c for c in report_of(one, **how).checks if c.check == "signature")
    return check.status, check.reason


def test_the_check() -> None:
    good = exchange(headers=(("Authorization", SIGNED),))
    assert signature_check(good) == ("skipped", "no-credentials")
    assert signature_check(good, keys={"other": "x"}) == ("skipped", "no-credentials")
    assert signature_check(good, keys=KEYS) == ("match", None)
    assert not group(good, keys=KEYS)
    assert signature_check(good, keys={SECRET_ID: "other"}) == ("mismatch", None)
    only(good, "signature-mismatch", keys={SECRET_ID: "other"})
    broken = exchange(headers=(("Authorization", SIGNED.replace("q-key-time", "x")),))
    assert signature_check(broken, keys=KEYS) == ("skipped", "unsupported")
    s3 = exchange(headers=(("Authorization", "AWS4-HMAC-SHA256 Credential=a"),))
    assert signature_check(s3, keys=KEYS) == ("skipped", "unsupported")


def test_traffic_of_the_sdk_is_clean() -> None:
    request = signed_by_sdk("GET", "a b/腾.txt", {"response-expires": "0"}, {"If-Match": "x"})
    good = exchange(
        "GET",
        request.target,
        headers=request.headers.fields[1:],
        answer=CONTENT,
        answer_headers=(("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64)),
    )
    report = report_of(good, keys=KEYS)
    assert report.verdict == "ok"
    assert signature_check(good, keys=KEYS) == ("match", None)
    assert report.ticket is None


def test_no_secret_is_in_a_report() -> None:
    token, key = "token-abcdefghijklmnop", "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="
    headers = (
        ("x-cos-security-token", token),
        ("x-cos-server-side-encryption-customer-key", key),
    )

    listed = "host;x-cos-security-token;x-cos-server-side-encryption-customer-key"
    line = (
        f"host={HOST}&x-cos-security-token={token}"
        f"&x-cos-server-side-encryption-customer-key={encode(key)}"
    )
    text = f"get\n/exampleobject\n\n{line}\n"
    for theirs in (text, text.replace(token, "token-qrstuvwxyz"), text.replace("object", "obj")):
        signed = signed_by_hand(text, header_list=listed)
        one = refused(signed, refusal(text=theirs, string=string_of(theirs)), headers=headers)
        for keys in ({}, KEYS, {SECRET_ID: "other"}):
            written = msgspec.json.encode(report_of(one, keys=keys)).decode()
            for secret in (token, "token-qrstuvwxyz", key, encode(key), SECRET_KEY, signed[-40:]):
                assert secret not in written


def test_a_form_with_a_wrong_signature() -> None:
    form = policy_form(**{"q-signature": "0" * 40})
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.fields
    )
    body = f'{parts}--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n'
    one = exchange(
        "POST",
        "/",
        headers=(("Content-Type", "multipart/form-data; boundary=x"),),
        body=body.encode(),
        status=403,
        answer_headers=(("x-cos-trace-id", TRACE_ID),),
        answer=refusal(),
    )
    assert not group(one)
    assert signature_check(one, keys=KEYS) == ("mismatch", None)
    only(one, "signature-mismatch", keys=KEYS)
