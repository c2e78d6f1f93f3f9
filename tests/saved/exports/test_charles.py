"""Charles's JSON session: what ``decoded`` does to bodies is heeded."""

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cos_inspect.captures.exports.charles import CHARLES, CharlesFile
from cos_inspect.captures.formats import find_format
from cos_inspect.model.exchange import BodyEnd, Exchange
from tests.saved.exports.archives import HOST, Saved, checks, digests, report
from tests.saved.exports.test_whistle import ANYTHING, BODY, TEXT, rules
from tests.saved.exports.test_whistle import exchange as exchange_of
from tests.saved.exports.test_whistle import read as read_by


def encoded(data: bytes, **more: Any) -> dict[str, Any]:
    return {"encoded": base64.b64encode(data).decode(), **more}


def named(fields: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in fields.items()]


def transaction(
    body: bytes,
    kept: dict[str, Any] | None,
    *,
    sent: bool = False,
    fields: dict[str, str] | None = None,
    target: str = "/a%20b/c.bin",
    coding: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    length = {"Content-Length": str(len(body))} | (fields or {})
    if coding is not None:
        length["Content-Encoding"] = coding
    held = {"sizes": {"headers": 300, "body": len(body)}, "contentEncoding": coding}
    if kept is not None:
        held["body"] = kept
    nothing = {"sizes": {"headers": 300, "body": 0}, "contentEncoding": None}
    path, mark, query = target.partition("?")
    return {
        "status": "COMPLETE",
        "method": "PUT" if sent else "GET",
        "protocolVersion": "HTTP/1.1",
        "scheme": "https",
        "host": HOST,
        "port": None,
        "actualPort": 443,
        "path": path,
        "query": query if mark else None,
        "tunnel": False,
        "keptAlive": False,
        "webSocket": False,
        "remoteAddress": f"{HOST}/203.0.113.9:443",
        "clientAddress": "/10.0.0.5:41234",
        "times": {
            "start": "2020-11-13T10:00:00.267+08:00",
            "requestBegin": "2020-11-13T10:00:00.280+08:00",
            "requestComplete": "2020-11-13T10:00:00.290+08:00",
            "responseBegin": "2020-11-13T10:00:00.300+08:00",
            "end": "2020-11-13T10:00:00.500+08:00",
        },
        "durations": {"total": 233, "dns": 1, "connect": 12, "ssl": 34, "latency": 10},
        "ssl": {"protocol": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
        "request": {
            "header": {
                "firstLine": f"{'PUT' if sent else 'GET'} {target} HTTP/1.1",
                "headers": named({"Host": HOST} | (length if sent else {})),
            },
            **(held if sent else nothing),
        },
        "response": {
            "status": 200,
            "header": {
                "firstLine": "HTTP/1.1 200 OK",
                "headers": named(digests(body) | ({"Content-Length": "0"} if sent else length)),
            },
            **(nothing if sent else held),
        },
    } | more


def exchange(entry: object, folder: Path) -> Exchange:
    return exchange_of(entry, folder, CharlesFile)


def read(content: object, folder: Path) -> Saved:
    return read_by(content, folder, CharlesFile)


def test_it_is_recognised() -> None:
    import json  # noqa: PLC0415

    assert find_format(json.dumps([transaction(BODY, None)]).encode()[:4096]) is CHARLES


@pytest.mark.parametrize("sent", [False, True])
def test_bodies_are_checked(sent: bool, tmp_path: Path) -> None:
    found = exchange(transaction(BODY, encoded(BODY), sent=sent), tmp_path)
    side = "request" if sent else "response"
    assert checks(report(found))["crc64", side] == "match"
    assert not rules(found)
    damaged = transaction(BODY, encoded(BODY[:-1] + b"x"), sent=sent)
    assert "crc64-mismatch" in rules(exchange(damaged, tmp_path))


LATIN = "Größe: viel\n".encode("latin-1")
PACKED = gzip.compress(TEXT)
KEPT: dict[str, tuple[bytes, dict[str, Any] | None, str | None, BodyEnd]] = {
    "none": (BODY, None, None, BodyEnd.NOT_CAPTURED),
    "empty": (b"", None, None, BodyEnd.COMPLETE),
    "a part": (BODY, encoded(BODY[:9]), None, BodyEnd.NOT_CAPTURED),
    "no base64": (BODY, {"encoded": "!"}, None, BodyEnd.NOT_CAPTURED),
    "text": (TEXT, {"text": TEXT.decode()}, None, BodyEnd.COMPLETE),
    "text in Latin-1": (
        LATIN,
        {"text": LATIN.decode("latin-1"), "charset": "ISO-8859-1"},
        None,
        BodyEnd.COMPLETE,
    ),
    "text that lost bytes": (b"\xff\xfe" * 3, {"text": "\ufffd" * 6}, None, BodyEnd.RE_ENCODED),
    "decoded": (PACKED, encoded(TEXT, decoded=True), "gzip", BodyEnd.RE_ENCODED),
    "decoded text": (PACKED, {"text": TEXT.decode(), "decoded": True}, "gzip", BodyEnd.RE_ENCODED),
    "coded, and it does not say": (PACKED, encoded(PACKED), "gzip", BodyEnd.RE_ENCODED),
    "as it came": (PACKED, encoded(PACKED, decoded=False), "gzip", BodyEnd.COMPLETE),
    "decoded without a coding": (BODY, encoded(BODY, decoded=True), None, BodyEnd.RE_ENCODED),
}


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_of_the_wire_accuses_nobody(name: str, sent: bool, tmp_path: Path) -> None:
    body, kept, coding, end = KEPT[name]
    found = exchange(transaction(body, kept, sent=sent, coding=coding), tmp_path)
    assert found.response is not None
    assert (found.request.body if sent else found.response.body).end is end
    assert not rules(found)


def test_facts(tmp_path: Path) -> None:
    found = exchange(transaction(BODY, encoded(BODY)), tmp_path)
    assert found.request.url == f"https://{HOST}/a%20b/c.bin"
    assert found.connection is not None
    assert found.connection.client == "10.0.0.5:41234"
    assert found.connection.server == "203.0.113.9:443"
    assert found.connection.tls == "TLSv1.3"
    assert (found.timing.request_start, found.timing.response_end) == (1605232800.28, 1605232800.5)
    assert (found.timing.connect_ms, found.timing.tls_ms) == (12, 34)


@pytest.mark.parametrize("target", ["/a?", "/a", "/a?uploads", "/", "/?a=b%20c", "/a?x=?"])
def test_the_target_is_the_one_that_was_sent(target: str, tmp_path: Path) -> None:
    entry = transaction(BODY, encoded(BODY), target=target)
    assert exchange(entry, tmp_path).request.target == target
    absolute = f"GET https://{HOST}{target} HTTP/1.1"
    entry["request"]["header"]["firstLine"] = absolute
    assert exchange(entry, tmp_path).request.target == target
    del entry["request"]["header"]["firstLine"]
    assert exchange(entry, tmp_path).request.target == target


def test_http_2(tmp_path: Path) -> None:
    entry = transaction(BODY, encoded(BODY), protocolVersion="HTTP/2", host="203.0.113.9")
    entry["request"]["header"] = {
        "headers": named(
            {":method": "GET", ":authority": HOST, ":path": "/k?a", ":scheme": "https"}
        )
    }
    found = exchange(entry, tmp_path)
    assert found.request.url == f"https://{HOST}/k?a"
    assert found.request.http_version == "HTTP/2.0"
    assert not found.request.headers.fields


def test_how_it_ended(tmp_path: Path) -> None:
    failed = transaction(BODY, None, status="FAILED", response=None, errorMessage="Reset")
    assert exchange(failed, tmp_path).error == "Charles: Reset"
    assert rules(exchange(failed, tmp_path)) == ["connection-failed"]
    broken = exchange(transaction(BODY, encoded(BODY[:9]), status="FAILED"), tmp_path)
    assert broken.response is not None
    assert broken.response.body.end is BodyEnd.CUT
    assert rules(broken) == ["body-truncated"]
    under_way = exchange(
        transaction(BODY, encoded(BODY[:9]), status="RECEIVING_RESPONSE_BODY"), tmp_path
    )
    assert under_way.response is not None
    assert under_way.response.body.end is BodyEnd.NOT_CAPTURED
    assert not rules(under_way)
    waiting = exchange(transaction(BODY, None, status="WAITING", response=None), tmp_path)
    assert waiting.stopped
    assert not rules(waiting)


def test_what_is_no_exchange_is_counted(tmp_path: Path) -> None:
    entries = [
        transaction(BODY, None, tunnel=True),
        transaction(BODY, None, method="CONNECT"),
        transaction(BODY, None, webSocket=True),
        transaction(BODY, None, scheme="wss"),
        transaction(BODY, None, scheme="ftp"),
        transaction(BODY, encoded(BODY)),
    ]
    saved = read(entries, tmp_path)
    assert saved.remarks.facts.left_out == {
        "tunnel (CONNECT)": 2,
        "WebSocket": 2,
        "of another scheme than HTTP": 1,
    }
    assert len(saved.flows) == 1
    assert saved.remarks.facts.program == "Charles"


def test_peers(tmp_path: Path) -> None:
    for address, port, shown in (
        ("203.0.113.9:443", None, "203.0.113.9:443"),
        ("203.0.113.9", 443, "203.0.113.9:443"),
        ("name/2001:db8::1", None, "[2001:db8::1]"),
        ("name/[2001:db8::1]:443", None, "[2001:db8::1]:443"),
        (None, None, None),
        (5, "x", None),
    ):
        entry = transaction(BODY, None, remoteAddress=address, remotePort=port)
        found = exchange(entry, tmp_path)
        assert found.connection is not None
        assert found.connection.server == shown


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_anything_may_stand_in_an_entry(data: st.DataObject, tmp_path: Path) -> None:
    entry = transaction(BODY, encoded(BODY), sent=data.draw(st.booleans()))
    places = [(), ("request",), ("response",), ("response", "body"), ("times",), ("durations",)]
    for _ in range(data.draw(st.integers(1, 4))):
        place = entry
        for name in data.draw(st.sampled_from([*places, ("request", "header")])):
            inner = place.get(name)
            place = inner if isinstance(inner, dict) else place
        name = data.draw(st.sampled_from(sorted(place))) if place else "x"
        place[name] = data.draw(ANYTHING)
    saved = read([entry, transaction(BODY, encoded(BODY))], tmp_path)
    assert saved.flows[-1].exchange is not None
    for flow in saved.flows:
        if flow.exchange is not None:
            report(flow.exchange)
