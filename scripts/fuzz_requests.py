"""Fuzzed: what a request says in its line, its signature and its policy."""

import base64
import json
from typing import Any
from urllib.parse import quote, unquote

from mitmproxy.net.http import url

from cos_inspect.cos.client import read_client
from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.post_policy import Policy, evaluate_policy
from cos_inspect.cos.signature import FIELDS, Signature, read_signature, rebuild
from cos_inspect.cos.signature_scheme import read_signed
from cos_inspect.cos.target import parse_query, read_query, split_target
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers
from cos_inspect.model.target_bounds import without_mark
from cos_inspect.recording.message_heads import (
    RequestHead,
    headers_of,
    parse_authority,
    request_of,
)
from scripts.fuzz_judge import Target, agree, demand

_HOST = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
_BUCKET = "examplebucket-1250000000"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _signature(data: bytes) -> None:
    """A signature in each place where it may stand."""
    text = _text(data)
    header = _read(Headers([("Authorization", text)]), "/a?b=c")
    _read(Headers(), f"/a?{text}")
    _read(Headers(), f"/a?sign={text}")
    fields = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&"))]
    _read(Headers(), "/", Headers(fields))
    if header is None or header.problems:
        return
    written = _written(header)
    again = _read(Headers([("Authorization", written)]), "/a?b=c")
    agree("a signature written and read", again, header)
    in_url = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, _, value in (piece.partition("=") for piece in written.split("&"))
    )
    in_query = _read(Headers(), f"/a?{in_url}")
    if "%" not in written:
        demand(in_query is not None, "the same signature is not read from the URL")
        agree("the same signature in the URL", _written(in_query or header), written)


def _read(headers: Headers, target: str, form: Headers | None = None) -> Signature | None:
    signed = read_signed(headers, target, form)
    found = read_signature(signed, headers, target, form)
    agree("the same signature again", read_signature(signed, headers, target, form), found)
    if found is None:
        return None
    demand(all(found.problems), "a problem without words")
    demand(all(name == name.lower() for name in found.headers), "a name is not in lower case")
    wanted = ("q-sign-algorithm", "q-ak", "q-key-time", "q-signature")
    if not found.problems:
        value = found.value or ""
        is_digest = len(value) == 40 and set(value) <= set("0123456789abcdef")
        demand(is_digest, f"accepts the signature {value!r:.60}")
        demand(found.secret_id and found.key_time, f"{wanted} are not all there")
    request = Request(
        method="GET", scheme="https", host=_HOST, port=443, target=target,
        http_version="HTTP/1.1", headers=headers,
    )  # fmt: skip
    rebuilt = rebuild(found, request)
    listed = len(found.headers)
    agree("listed headers", len(rebuilt.headers) + len(rebuilt.missing_headers), listed)
    return found


def _written(found: Signature) -> str:
    values = {
        "q-sign-algorithm": "sha1",
        "q-ak": found.secret_id or "",
        "q-sign-time": found.sign_time.text if found.sign_time else "",
        "q-key-time": found.key_time.text if found.key_time else "",
        "q-header-list": ";".join(found.headers),
        "q-url-param-list": ";".join(found.parameters),
        "q-signature": found.value or "",
    }
    return "&".join(f"{name}={values[name]}" for name in FIELDS)


def _policy(data: bytes) -> None:
    """A policy, held against a form; a line before it says what the form has."""
    line, _, document = data.partition(b"\n")
    fields = [("key", "folder/a.txt"), ("Content-Type", "text/plain"), ("acl", _text(line)[:80])]
    encoded = base64.b64encode(document).decode()
    form = Headers([*fields, ("policy", encoded)])
    found = _evaluated(form)
    demand(found is not None, "a policy that is there is not found")
    folded = "\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    agree("the policy in lines", _evaluated(Headers([*fields, ("policy", folded)])), found)
    if found is None:
        return
    demand(all(failed.words for failed in found.failed), "a condition fails without words")
    if not found.failed:
        demand(_holds(document, dict(form.fields)), f"accepts the policy {document!r:.200}")
    if encoded:
        _evaluated(Headers([*fields, ("policy", _text(data))]))


def _evaluated(form: Headers) -> Policy | None:
    return evaluate_policy(form, bucket=_BUCKET, size=10, file_name="a.txt", moment=1577957984.0)


def _holds(document: bytes, form: dict[str, str]) -> bool:
    """The same question, asked in the plainest way; True where there is a doubt."""
    policy = json.loads(document)
    known = {name.lower(): value for name, value in form.items()} | {"bucket": _BUCKET}
    if len(policy["conditions"]) > 200:
        return True
    return all(_one_holds(condition, known) for condition in policy["conditions"])


def _one_holds(condition: Any, known: dict[str, str]) -> bool:
    if isinstance(condition, dict):
        return all(known.get(name.lower()) == str(value) for name, value in condition.items())
    kind, name, value = condition
    if kind.lower() == "content-length-range":
        return int(name) <= 10 <= int(value)
    text = known.get(name.removeprefix("$").lower())
    if kind.lower() == "eq":
        return text == str(value)
    return kind.lower() == "starts-with" and (text or "").startswith(str(value))


def _authority(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = parse_authority(text)
    foreign_digits = any(sign >= "\x80" and sign.isdigit() for sign in text)
    if len(text) < 256 and "\n" not in text and not foreign_digits:
        # Its own expressions let line ends and digits of every script pass.
        agree("as mitmproxy reads it", found, url.parse_authority(text, check=False))
    for version in (b"HTTP/1.1", b"HTTP/2.0"):
        head = RequestHead(
            ((b"Host", data),), b"get", b"https", data, "peer.example", 443, b"/a", version
        )
        line = request_of(head, headers_of(head.fields))
        line.host.encode()
        demand(line.host == line.host.lower(), f"the host {line.host!r} is not in lower case")
        demand(0 <= line.port <= 65535, f"the port {line.port}")


def _line(data: bytes) -> None:
    """Host, then target: where a request goes and what it asks for."""
    first, _, rest = data.partition(b" ")
    host, target = _text(first).lower(), _text(rest)
    path, query = split_target(target)
    demand("?" not in path, "a path with a query")
    pairs = parse_query(target)
    agree("the query read again", read_query(target).pairs, pairs)
    wanted = []
    for piece in without_mark(query).split("&"):
        name, _, value = piece.partition("=")
        if piece:
            wanted.append((unquote(name), unquote(value)))
    agree("the query as urllib reads it", list(pairs), wanted)
    for patterns in ((), ("*",)):
        found = read_endpoint(host, target, patterns)
        agree("the endpoint again", read_endpoint(host, target, patterns), found)
        if found is not None and found.region is not None:
            demand(found.kind != "custom", "a custom domain with a region")
        if found is not None and found.appid is not None:
            demand(found.appid.isascii() and found.appid.isdigit(), f"the APPID {found.appid!r}")
    for method in ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"):
        recognise(host, method, target, Headers([("Host", host)]), None, ())


def _client(data: bytes) -> None:
    agent, _, referer = _text(data).partition("\n")
    found = read_client(agent, referer)
    agree("the same client again", read_client(agent, referer), found)
    if found is None:
        return
    demand(found.name, "a client without a name")
    for part in (found.name, found.version, found.platform, found.wrapper):
        demand(len(part or "") <= 512, "a part of a client's name is without bound")


TARGETS = (
    Target(
        name="signature",
        parses="signatures in Authorization, the URL, `sign=` and forms",
        check=_signature,
        words=(
            b"&", b"=", b";", b"%3B", b"%253B", *(f"&{name}=".encode() for name in FIELDS),
            b"1577957984;1577961584", b"sha1", b"AWS4-HMAC-SHA256", b"sign=", b"\xc3\xa9",
        ),
    ),
    Target(
        name="policy",
        parses="the policy of a form upload",
        check=_policy,
        words=(
            b'"conditions":[', b'["eq","$key","a"]', b'["starts-with","$acl",""]', b"],", b"{}",
            b'["content-length-range",0,20]', b'"expiration":"2030-01-01T00:00:00Z"', b"null",
            b'{"bucket":"examplebucket-1250000000"}', b'"\\u0000"', b"1e400", b"NaN", b"[[[[",
        ),
    ),
    Target(
        name="authorities",
        parses="Host headers and `:authority`",
        check=_authority,
        words=(b":", b"[", b"]", b"::1", b"65535", b"65536", b".", b"xn--", b"\xe4\xb8\xad", b"_"),
    ),
    Target(
        name="request-lines",
        parses="hosts and request targets: endpoint, bucket, key, operation",
        check=_line,
        words=(
            b".cos.", b".myqcloud.com", b"ap-beijing", b"-1250000000", b"?", b"&", b"=", b"%2F",
            b"uploadId=", b"partNumber=", b"?acl", b"ci-process=", b"http://", b"//", b"%", b"+",
            b"\xe4\xb8\xad", b"response-", b"?uploads", b"/", b"%E4%B8", b"x-cos-",
        ),
        pump_every=8,
        short=5000,
    ),
    Target(
        name="clients",
        parses="User-Agent and Referer",
        check=_client,
        words=(b"cos-", b"-sdk-v", b"5.1.9", b"Mozilla/5.0 (", b";", b")", b"/", b"aws-sdk", b"\n"),
    ),
)  # fmt: skip
