"""The signature taken apart and rebuilt: the documents' vectors, and the Python SDK as judge."""

import base64
import hashlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.signature import (
    Signature,
    TimeWindow,
    is_beyond_reading,
    policy_string_to_sign,
    policy_text,
    read_signature,
    rebuild,
    sha1_hex,
    sign_key,
    signature_of,
    string_to_sign,
)
from cos_inspect.cos.signature_scheme import read_signed
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers
from tests.cos.signed_requests import (
    HOST,
    SECRET_ID,
    SECRET_KEY,
    WINDOW,
    recomputed,
    request_of,
    signature_in,
    signed_by_hand,
    signed_by_sdk,
)

DOCUMENT_ID = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q"
DOCUMENT_KEY = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"
"""The public sample of the documents, no live key."""
DOCUMENT_HOST = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
DOCUMENT_TIME = "1557989151;1557996351"


def document_request() -> Request:
    names = "content-length;content-md5;content-type;date;host;x-cos-acl;x-cos-grant-read"
    authorization = (
        f"q-sign-algorithm=sha1&q-ak={DOCUMENT_ID}&q-sign-time={DOCUMENT_TIME}"
        f"&q-key-time={DOCUMENT_TIME}&q-header-list={names}&q-url-param-list="
        "&q-signature=3b8851a11a569213c17ba8fa7dcf2abec6935172"
    )
    return request_of(
        "PUT",
        "/exampleobject(%E8%85%BE%E8%AE%AF%E4%BA%91)",
        (
            ("Date", "Thu, 16 May 2019 06:45:51 GMT"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "13"),
            ("Content-MD5", "mQ/fVh815F3k6TAUm8m0eg=="),
            ("x-cos-acl", "private"),
            ("x-cos-grant-read", 'uin="100000000011"'),
            ("Authorization", authorization),
        ),
        host=DOCUMENT_HOST,
    )


def test_the_vector_of_put_object() -> None:
    request = document_request()
    signature = signature_in(request)
    assert signature.problems == ()
    assert signature.secret_id == DOCUMENT_ID
    assert signature.sign_time == signature.key_time == TimeWindow(1557989151, 1557996351)
    wire = rebuild(signature, request)
    assert wire.exact
    assert wire.missing_headers == ()
    assert wire.path == "/exampleobject(腾讯云)"
    assert sha1_hex(wire.text) == "8b2751e77f43a0995d6e9eb9477f4b685cca4172"
    key = sign_key(DOCUMENT_KEY, DOCUMENT_TIME)
    assert key == "eb2519b498b02ac213cb1f3d1a3d27a3b3c9bc5f"
    made = signature_of(key, string_to_sign(DOCUMENT_TIME, wire.text))
    assert made == "3b8851a11a569213c17ba8fa7dcf2abec6935172"
    again = recomputed(request, key=DOCUMENT_KEY)
    assert again is not None
    assert again.same


def test_the_vector_of_post_object() -> None:
    key = sign_key(DOCUMENT_KEY, "1567150692;1567157892")
    assert key == "39acc8c9f34ba5b19bce4e965b370cd3f62d2fba"
    hashed = "d5d903b8360468bc81c1311f134989bc8c8b5b89"
    assert signature_of(key, hashed) == "7758dc9a832e9d301dca704cacbf9d9f8172fdef"


@pytest.mark.parametrize("key", ["a.txt", "a b+c.txt", "目录/腾讯(1)!*'~.txt", "a//b", "%20%2F&=?"])
@pytest.mark.parametrize("params", [{}, {"prefix": "a b/腾+~", "Max-Keys": "5", "acl": ""}])
def test_the_sdk_and_this_agree(key: str, params: dict[str, str]) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8", "x-cos-meta-a": "b c/(d)", "Range": "x"}
    request = signed_by_sdk("PUT", key, params, headers)
    found = recomputed(request)
    assert found is not None
    assert found.same, rebuild(signature_in(request), request).text
    assert signature_in(request).problems == ()


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@given(
    key=TEXT.filter(lambda key: not key.startswith("/")),
    params=st.dictionaries(TEXT.map(str.lower), TEXT, max_size=3),
)
def test_the_sdk_and_this_agree_on_any_text(key: str, params: dict[str, str]) -> None:
    if len({name.lower() for name in params}) < len(params):
        return
    found = recomputed(signed_by_sdk("GET", key, params, {}))
    assert found is not None
    assert found.same


def fields_of(text: str, place: str) -> Request:
    """The same signature in another place."""
    if place == "header":
        return request_of("GET", "/a", (("Authorization", text),))
    if place == "query":
        pairs = [piece.split("=", 1) for piece in text.split("&")]
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
        return request_of("GET", f"/a?{query}", ())
    return request_of("GET", f"/a?sign={quote(text, safe='')}", ())


@pytest.mark.parametrize("place", ["header", "query", "sign"])
def test_every_place(place: str) -> None:
    request = fields_of(signed_by_hand(f"get\n/a\n\nhost={HOST}\n"), place)
    signature = signature_in(request)
    assert signature.place == place
    assert signature.problems == ()
    assert signature.headers == ("host",)
    found = recomputed(request)
    assert found is not None
    assert found.same


def test_the_field_of_a_form() -> None:
    text = signed_by_hand(f"post\n/\n\nhost={HOST}\n")
    form = Headers([("key", "a"), ("Signature", text)])
    request = request_of("POST", "/", ())
    signature = signature_in(request, form)
    assert (signature.place, signature.over_policy, signature.problems) == ("form", False, ())
    found = recomputed(request, form)
    assert found is not None
    assert found.same


def policy_form(**changed: str) -> Headers:
    policy = b'{"expiration": "2020-01-02T10:00:00.000Z", "conditions": [{"key": "a"}]}'
    signed = hashlib.sha1(policy).hexdigest()
    fields = {
        "key": "a",
        "policy": base64.b64encode(policy).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-key-time": WINDOW,
        "q-signature": signature_of(sign_key(SECRET_KEY, WINDOW), signed),
    }
    return Headers({**fields, **changed}.items())


def test_a_policy_is_signed_in_place_of_the_request() -> None:
    form = policy_form()
    text = policy_text(form)
    assert text is not None
    assert policy_string_to_sign(text) == hashlib.sha1(text).hexdigest()
    request = request_of("POST", "/", ())
    signature = signature_in(request, form)
    assert (signature.over_policy, signature.problems) == (True, ())
    found = recomputed(request, form)
    assert found is not None
    assert found.same
    assert policy_text(policy_form(policy="no base64!")) is None
    assert recomputed(request, policy_form(policy="no base64!")) is None


GOOD = signed_by_hand(f"get\n/a\n\nhost={HOST}\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace("&q-key-time=" + WINDOW, ""), "q-key-time is missing"),
        (GOOD + "&q-ak=x", "q-ak stands more than once"),
        (GOOD.replace("sha1&", "sha256&", 1), "q-sign-algorithm is not sha1"),
        (GOOD[:-1], "q-signature is not 40 lower-case hex digits"),
        (GOOD[:-40] + GOOD[-40:].upper(), "q-signature is not 40 lower-case hex digits"),
        (GOOD.replace(SECRET_ID, ""), "q-ak is empty"),
        (GOOD.replace(SECRET_ID, f'"{SECRET_ID}"'), "q-ak holds blanks or quotes"),
        (GOOD.replace(WINDOW, WINDOW.replace(";", ","), 1), "q-sign-time is not start;end in Unix"),
        (GOOD.replace(WINDOW, "1577957984000;1577957985000"), "q-sign-time is not start;end"),
        (GOOD.replace(WINDOW, "20;10"), "q-key-time ends before it begins"),
        (GOOD.replace("q-header-list", "q-headers-list"), "q-headers-list is no field"),
        (f"COS {GOOD}", "there is text before q-sign-algorithm"),
    ],
)
def test_what_cannot_be_read(text: str, problem: str) -> None:
    problems = signature_in(fields_of(text, "header")).problems
    assert any(said.startswith(problem) for said in problems), problems


def test_two_signatures() -> None:
    query = fields_of(GOOD, "query").target
    both = request_of("GET", query, (("Authorization", GOOD),))
    assert "two signatures" in signature_in(both).problems[0]
    twice = request_of("GET", f"{query}&{query.partition('?')[2]}", ())
    assert "q-signature stands more than once" in signature_in(twice).problems
    mixed = request_of("GET", f"/a?sign={quote(GOOD, safe='')}&{query.partition('?')[2]}", ())
    assert "two signatures" in signature_in(mixed).problems[0]


def test_encoded_twice() -> None:
    request = request_of("GET", f"/a?sign={quote(quote(GOOD, safe=''), safe='')}", ())
    assert signature_in(request).problems == ("the value of sign= is percent-encoded twice",)
    query = fields_of(GOOD, "query").target.replace("%3B", "%253B")
    problems = signature_in(request_of("GET", query, ())).problems
    assert problems == (
        "q-sign-time is percent-encoded twice",
        "q-key-time is percent-encoded twice",
    )


def test_others_are_no_signature_of_cos() -> None:
    for value in ("AWS4-HMAC-SHA256 Credential=a/b", "AWS a:b", "Bearer x", ""):
        headers = Headers([("Authorization", value)])
        signed = read_signed(headers, "/a")
        assert read_signature(signed, headers, "/a") is None


def test_what_is_not_there_is_told() -> None:
    text = signed_by_hand("", header_list="date;host;x-cos-acl", parameter_list="acl;prefix")
    request = request_of("GET", "/?acl", (("Authorization", text),))
    wire = rebuild(signature_in(request), request)
    assert wire.missing_headers == ("date", "x-cos-acl")
    assert wire.missing_parameters == ("prefix",)
    assert wire.parameters == (("acl", ""),)


def test_dropped_headers_can_be_put_back() -> None:
    text = signed_by_hand("", header_list="expect;host")
    request = request_of("PUT", "/a", (("Authorization", text),), dropped=(("Expect", "100-c"),))
    signature = signature_in(request)
    assert rebuild(signature, request).missing_headers == ("expect",)
    assert rebuild(signature, request, put_back=True).headers[0] == ("expect", "100-c")


def test_repeated_names_take_one_value_each() -> None:
    text = signed_by_hand("", parameter_list="a;a")
    request = request_of("GET", "/?a=2&a=1", (("Authorization", text),))
    assert rebuild(signature_in(request), request).parameters == (("a", "2"), ("a", "1"))


def test_a_header_that_cannot_be_read_back_is_not_judged() -> None:
    text = signed_by_hand("", header_list="host;x-cos-meta-a")
    request = request_of("GET", "/a", (("x-cos-meta-a", "\ufffd"), ("Authorization", text)))
    assert not rebuild(signature_in(request), request).exact
    assert recomputed(request) is None


@given(st.text(max_size=60), st.sampled_from(["header", "query", "sign", "form"]))
def test_nothing_raises(text: str, place: str) -> None:
    text = text.replace("&", "&q-")
    value = f"q-sign-algorithm={text}&q-signature={text}&q-key-time=1;2&q-sign-time=1;2"
    headers = Headers([("Authorization", value)] if place == "header" else [])
    target = {"query": f"/?{value}", "sign": f"/?sign={value}"}.get(place, f"/{text}?{text}")
    form = Headers([("policy", text), ("q-signature", text)]) if place == "form" else None
    signed = read_signed(headers, target, form)
    signature = read_signature(signed, headers, target, form)
    request = Request(
        method="GET", scheme="https", host=HOST, port=443, target=target,
        http_version="HTTP/1.1", headers=headers,
    )  # fmt: skip
    if isinstance(signature, Signature):
        sha1_hex(rebuild(signature, request).text)
        recomputed(request, form)


@pytest.mark.parametrize(
    ("target", "headers", "lists", "beyond"),
    [
        ("/k", {"x-cos-meta-a": "v" * 4000}, "host;x-cos-meta-a", False),
        ("/k", {"x-cos-meta-a": "v" * 40_000}, "host;x-cos-meta-a", True),
        ("/k", {"x-cos-meta-a": "腾" * 6000}, "host;x-cos-meta-a", True),
        ("/k", {"x-cos-meta-a": "v" * 70_000}, "host;x-cos-meta-a", True),
        ("/k", {"x-cos-meta-a": "v" * 70_000}, "host", False),
        ("/k", {"x-cos-meta-a": "v" * 1000}, "host" + ";x-cos-meta-a" * 2, False),
        ("/k", {"x-cos-meta-a": "v" * 1000}, "host" + ";x-cos-meta-a" * 1000, True),
        ("/k", {}, "host" + ";h" * 20_000, True),
        (f"/k?a={'b' * 4000}", {}, "host&a", False),
        (f"/k?a={'b' * 4000}", {}, "host&" + "a;" * 30, True),
    ],
)
def test_more_than_any_request_has_is_not_rebuilt(
    target: str, headers: dict[str, str], lists: str, beyond: bool
) -> None:
    listed, _, parameters = lists.partition("&")
    value = (
        f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time=1;2&q-key-time=1;2"
        f"&q-header-list={listed}&q-url-param-list={parameters}&q-signature={'0' * 40}"
    )
    fields = Headers([("Host", HOST), *headers.items(), ("Authorization", value)])
    request = Request(
        method="GET", scheme="https", host=HOST, port=443, target=target,
        http_version="HTTP/1.1", headers=fields,
    )  # fmt: skip
    signature = read_signature(read_signed(fields, target, None), fields, target, None)
    assert signature is not None
    assert is_beyond_reading(signature, request) == beyond
