"""Requests signed by us, judged by the verifier of the tests' own server."""

import base64
import json
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.signature import TimeWindow, wire_parameters, wire_path
from cos_inspect.cos.signature_scheme import SignaturePlace
from cos_inspect.cos.signing import (
    Key,
    PolicyError,
    plain_target,
    sign,
    sign_policy,
    without_parameters,
)
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers
from tests.cos.signed_requests import HOST, SECRET_ID, SECRET_KEY
from tests.origin.hosts import parse
from tests.origin.message import OriginRequest
from tests.origin.signing import Verifier

NOW = 1_795_000_000
WINDOW = TimeWindow(NOW - 60, NOW + 3600)
KEY = Key(SECRET_ID, SECRET_KEY)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def _request(target: str, *headers: tuple[str, str]) -> Request:
    return Request(
        method="PUT",
        scheme="https",
        host=HOST,
        port=443,
        target=target,
        http_version="HTTP/1.1",
        headers=Headers([("Host", HOST), *headers]),
    )


def _refusal(request: Request) -> str | None:
    verifier = Verifier({SECRET_ID: SECRET_KEY}, clock=lambda: NOW)
    path, _, query = request.target.partition("?")
    asked = OriginRequest(
        scheme="https",
        method=request.method,
        target=request.target,
        version="HTTP/1.1",
        headers=list(request.headers),
        path=path,
        query=[(n, v) for n, v in wire_parameters(f"/?{query}")],
        host=HOST,
        address=parse(HOST, path, {}),
        request_id="",
        trace_id="",
        moment=NOW,
    )
    refused = verifier(asked)
    return None if refused is None else refused.code


@given(
    key=TEXT,
    query=st.dictionaries(TEXT.filter(bool), TEXT, max_size=4),
    meta=st.text("abc +%/!~", max_size=8),
    place=st.sampled_from(["header", "query", "sign"]),
)
def test_whatever_is_asked_for_is_accepted(
    key: str, query: dict[str, str], meta: str, place: SignaturePlace
) -> None:
    # Names that differ in case alone are one name of the signature's list.
    lower = {name.lower() for name in query}
    pairs = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in query.items())
    target = f"/{quote(key)}{'?' if pairs else ''}{pairs}"
    request = _request(target, ("x-cos-meta-a", meta), ("Accept", "*/*"))
    found = sign(request, KEY, WINDOW, place=place, headers=("accept", "gone"))
    headers = [*request.headers]
    if found.authorization is not None:
        headers.append(("Authorization", found.authorization))
    signed = _request(found.target, *headers[1:])
    if len(lower) == len(query):
        assert _refusal(signed) is None
    assert _refusal(_request(found.target + "x", *headers[1:])) is not None
    assert found.value in found.target + (found.authorization or "")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0?"), max_size=20))
def test_what_a_person_types_becomes_a_target(typed: str) -> None:
    target = plain_target(f"/{typed}")
    assert target.isascii()
    assert target.isprintable()
    assert not set(target) & set(' +"<>\\^`{|}#')
    assert wire_path(target) == unquote_to_bytes(f"/{typed}").decode("utf-8", "surrogateescape")
    assert plain_target(target) == target


def test_a_plus_in_the_query_is_what_its_sender_means() -> None:
    assert plain_target("/a?prefix=a+b") == "/a?prefix=a%2Bb"
    assert plain_target("/a?prefix=a+b", plus_is_blank=True) == "/a?prefix=a%20b"
    assert plain_target("/a?prefix=100%&x=%zz") == "/a?prefix=100%25&x=%25zz"


def test_parameters_are_taken_off_by_name() -> None:
    target = "/a?acl&q-ak=x&Q-Sign-Time=1&sign=y&=z&x%2Dcos%2Dsecurity%2Dtoken=t&b=q-ak"
    left = without_parameters(target, {"q-ak", "q-sign-time", "sign", "x-cos-security-token"})
    assert left == "/a?acl&=z&b=q-ak"
    assert without_parameters("/a?sign=1", {"sign"}) == "/a"


def test_a_policy_keeps_its_conditions() -> None:
    conditions = [
        {"bucket": "b-1"},
        {"key": "old"},
        ["eq", "$x-cos-meta-a", "old"],
        ["starts-with", "$key", ""],
        ["content-length-range", 0, 9],
        {"q-ak": "someone"},
        {"q-sign-time": "1;2"},
        7,
    ]
    policy = base64.b64encode(
        json.dumps({"expiration": "2020-01-01T00:00:00Z", "conditions": conditions}).encode()
    ).decode()
    fields = Headers([("key", "new 你"), ("x-cos-meta-a", "b"), ("q-sign-time", "1;2")])
    signed = sign_policy(policy, KEY, WINDOW, fields)
    document = json.loads(base64.b64decode(signed["policy"]))
    assert document["conditions"] == [
        {"bucket": "b-1"},
        {"key": "new 你"},
        ["eq", "$x-cos-meta-a", "b"],
        ["starts-with", "$key", ""],
        ["content-length-range", 0, 9],
        {"q-ak": SECRET_ID},
        {"q-sign-time": WINDOW.text},
        7,
    ]
    verifier = Verifier({SECRET_ID: SECRET_KEY}, clock=lambda: NOW)
    assert verifier.judge_form(signed) is None
    assert verifier.judge_form({**signed, "policy": policy}) is not None


@pytest.mark.parametrize("text", [b"", b"[]", b'{"conditions": 1}', b"{", b"[" * 100_000])
def test_no_policy_is_said(text: bytes) -> None:
    with pytest.raises(PolicyError):
        sign_policy(base64.b64encode(text).decode(), KEY, WINDOW, Headers())
