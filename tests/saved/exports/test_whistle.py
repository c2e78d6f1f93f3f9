"""Whistle's JSON: codings are off while the headers tell of them, and long bodies are dropped."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.exports.json_export import JsonExport
from cos_inspect.captures.exports.whistle import WHISTLE, WhistleFile
from cos_inspect.captures.formats import find_format, find_in_folder
from cos_inspect.captures.source import Stream
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.flow_report import Severity
from tests.saved.exports.archives import HOST, URL, Saved, checks, digests, report

BODY = bytes(range(256)) * 5
TEXT = b"Some lines of text that can be packed well. " * 40


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def item(
    body: bytes,
    kept: bytes | None,
    *,
    sent: bool = False,
    size: int | None = None,
    fields: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """``kept``: what is left of the body."""
    length = {"content-length": str(len(body))} | (fields or {})
    held = {
        "size": len(body) if size is None else size,
        **({"base64": b64(kept)} if kept else {"body": None}),
    }
    named = {name.lower(): value for name, value in digests(body).items()}
    nothing = {"size": 0, "body": ""}
    return {
        "useH2": False,
        "startTime": 1605232800267,
        "dnsTime": 1605232800268,
        "requestTime": 1605232800400,
        "responseTime": 1605232800300,
        "endTime": 1605232800500,
        "id": "1605232800258-000",
        "url": URL,
        "version": "2.10.10",
        "req": {
            "method": "PUT" if sent else "GET",
            "httpVersion": "1.1",
            "ip": "::ffff:10.0.0.5",
            "port": 41234,
            "rawHeaderNames": {"host": "Host", "content-length": "Content-Length"},
            "headers": {"host": HOST} | (length if sent else {}),
            **(held if sent else nothing),
        },
        "res": {
            "ip": "203.0.113.9:8080",
            "port": "443",
            "statusCode": 200,
            "statusMessage": "OK",
            "rawHeaderNames": {"etag": "ETag"},
            "headers": named | ({"content-length": "0"} if sent else length),
            **(nothing if sent else held),
        },
    } | more


def read(content: object, folder: Path, reader: type[JsonExport] = WhistleFile) -> Saved:
    path = folder / "a.txt"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    remarks = InputRemarks("a.txt")
    flows: list[CapturedFlow] = []
    stream = Stream(str(path))
    try:
        flows.extend(reader(stream, ()).saved(remarks))
    except CaptureError as error:
        return Saved(flows, remarks, error.what)
    finally:
        stream.close()
    return Saved(flows, remarks, None)


def exchange(entry: object, folder: Path, reader: type[JsonExport] = WhistleFile) -> Exchange:
    saved = read([entry], folder, reader)
    assert not saved.remarks.faults
    (flow,) = saved.flows
    assert flow.exchange is not None
    return flow.exchange


def rules(found: Exchange) -> list[str]:
    return [each.rule for each in report(found).findings if each.severity is not Severity.NOTICE]


def test_it_is_recognised() -> None:
    head = json.dumps([item(BODY, BODY)]).encode()[:4096]
    assert find_format(head) is WHISTLE
    assert find_in_folder(json.dumps([item(BODY, BODY)], indent=2).encode()[:4096]) is WHISTLE


@pytest.mark.parametrize("sent", [False, True])
def test_bodies_are_checked(sent: bool, tmp_path: Path) -> None:
    found = exchange(item(BODY, BODY, sent=sent), tmp_path)
    side = "request" if sent else "response"
    assert checks(report(found))["crc64", side] == "match"
    assert not rules(found)
    damaged = exchange(item(BODY, BODY[:-1] + b"x", sent=sent), tmp_path)
    assert "crc64-mismatch" in rules(damaged)


KEPT = {
    "dropped": (BODY, b"", {}, BodyEnd.NOT_CAPTURED),
    "the last piece alone": (BODY, BODY[-9:], {}, BodyEnd.NOT_CAPTURED),
    "unpacked": (gzip.compress(TEXT), TEXT, {"content-encoding": "gzip"}, BodyEnd.RE_ENCODED),
    "unpacked, header gone": (gzip.compress(TEXT), TEXT, {}, BodyEnd.RE_ENCODED),
    "as long as before": (BODY, BODY, {"content-encoding": "br"}, BodyEnd.RE_ENCODED),
    "another coding": (BODY, BODY, {"content-encoding": "identity"}, BodyEnd.COMPLETE),
}


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_of_the_wire_accuses_nobody(name: str, sent: bool, tmp_path: Path) -> None:
    body, kept, fields, end = KEPT[name]
    found = exchange(item(body, kept, sent=sent, fields=fields), tmp_path)
    assert found.response is not None
    assert (found.request.body if sent else found.response.body).end is end
    assert not rules(found)


def test_it_says_that_it_unpacked(tmp_path: Path) -> None:
    for more in ({"unzipSize": 5}, {"hasGzipError": True}):
        entry = item(BODY, BODY)
        entry["res"] |= more
        found = exchange(entry, tmp_path)
        assert found.response is not None
        assert found.response.body.end is BodyEnd.RE_ENCODED


def test_facts(tmp_path: Path) -> None:
    saved = read([item(BODY, BODY)], tmp_path)
    assert saved.remarks.facts.program == "Whistle 2.10.10"
    found = saved.flows[0].exchange
    assert found is not None
    assert found.request.headers.fields == (("Host", HOST),)
    assert found.connection is not None
    assert found.connection.client == "10.0.0.5:41234"
    assert found.connection.server == "203.0.113.9:443"
    assert found.server_address == "203.0.113.9"
    assert found.timing.request_start == 1605232800.267
    assert found.timing.request_end == found.timing.response_start == 1605232800.3


def test_values_that_are_lists(tmp_path: Path) -> None:
    entry = item(BODY, BODY)
    entry["res"]["headers"]["x-a"] = ["1", "2"]
    found = exchange(entry, tmp_path)
    assert found.response is not None
    assert found.response.headers.all("x-a") == ("1", "2")


def test_how_it_ended(tmp_path: Path) -> None:
    open_ = item(BODY, b"", res={})
    assert exchange(open_, tmp_path).stopped
    assert not rules(exchange(open_, tmp_path))
    left = item(BODY, b"", reqError=True)
    left["res"] |= {"statusCode": "aborted", "headers": {}}
    assert exchange(left, tmp_path).broken_by_client
    assert exchange(left, tmp_path).response is None
    left["res"] |= {"statusCode": "aborted (200)", "headers": {"server": "tencent-cos"}}
    found = exchange(left, tmp_path)
    assert found.response is not None
    assert (found.response.status, found.response.body.end) == (200, BodyEnd.CUT)
    assert found.broken_by_client
    failed = item(BODY, b"", resError=True)
    failed["res"] |= {"statusCode": 502, "headers": {}, "body": "Error: connect ECONNREFUSED"}
    assert rules(exchange(failed, tmp_path)) == ["connection-failed"]


def test_what_is_no_exchange_is_counted(tmp_path: Path) -> None:
    tunnel = item(BODY, b"", url=f"{HOST}:443", isHttps=True)
    saved = read([tunnel, item(BODY, BODY, url=f"wss://{HOST}/")], tmp_path)
    assert saved.remarks.facts.left_out == {"tunnel (CONNECT)": 1, "WebSocket": 1}
    assert not saved.flows


def test_an_odd_entry_costs_itself_alone(tmp_path: Path) -> None:
    good = item(BODY, BODY)
    odd: list[Any] = [{}, {"req": 1}, item(BODY, b"", url=5), item(BODY, b"", url="x")]
    odd.append(good | {"res": good["res"] | {"statusCode": "x"}})
    saved = read([*odd, good], tmp_path)
    assert len(saved.remarks.faults) == len(odd)
    assert [flow.entry for flow in saved.flows] == [len(odd) + 1]


def test_a_file_that_is_cut_gives_what_came_before(tmp_path: Path) -> None:
    whole = json.dumps([item(BODY, BODY)] * 2).encode()
    saved = read(whole[:-100], tmp_path)
    assert len(saved.flows) == 1
    assert saved.ended is not None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_anything_may_stand_in_an_entry(data: st.DataObject, tmp_path: Path) -> None:
    entry = item(BODY, BODY, sent=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = entry
        for name in data.draw(st.sampled_from([(), ("req",), ("res",), ("res", "headers")])):
            inner = place.get(name)
            place = inner if isinstance(inner, dict) else place
        name = data.draw(st.sampled_from(sorted(place))) if place else "x"
        place[name] = data.draw(ANYTHING)
    saved = read([entry, item(BODY, BODY)], tmp_path)
    assert saved.flows[-1].exchange is not None
    for flow in saved.flows:
        if flow.exchange is not None:
            report(flow.exchange)
