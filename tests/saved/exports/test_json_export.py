"""What JSON exports have in common."""

from pathlib import Path

from cos_inspect.captures.blob import LARGE
from cos_inspect.captures.exports.json_export import encoded
from tests.saved.exports.test_whistle import BODY, item, read

LONG = "x" * 3_000_000


def test_ids(tmp_path: Path) -> None:
    first = read([item(BODY, BODY), item(BODY, b""), item(BODY, BODY)], tmp_path).flows
    second = read([item(BODY, b""), item(BODY, BODY)], tmp_path).flows
    assert len({flow.flow_id for flow in first}) == 3
    assert [flow.flow_id for flow in second] == [first[1].flow_id, first[0].flow_id]


def test_bodies_too_long_for_memory_are_met_in_pieces(tmp_path: Path) -> None:
    body = bytes(range(256)) * 8192
    assert len(body) > LARGE
    (flow,) = read([item(body, body)], tmp_path).flows
    assert flow.exchange is not None
    assert flow.exchange.response is not None
    assert flow.exchange.response.body.size == len(body)
    assert flow.exchange.response.body.crc64 is not None


def test_names_too_long_for_memory(tmp_path: Path) -> None:
    entry = item(BODY, BODY)
    entry["req"]["headers"]["x-a"] = LONG
    entry["req"]["headers"]["x-b"] = 5
    saved = read([item(BODY, BODY, url=f"https://{LONG}/"), entry], tmp_path)
    assert len(saved.remarks.faults) == 1
    (flow,) = saved.flows
    assert flow.exchange is not None
    headers = flow.exchange.request.headers
    assert "x-a" in headers.unread
    assert headers.get("x-b") == "5"


def test_halves_of_pairs() -> None:
    assert encoded("a\ud800") == "a\ufffd\ufffd\ufffd".encode()
    assert encoded("é") == "é".encode()
