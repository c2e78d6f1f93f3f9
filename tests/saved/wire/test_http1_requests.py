"""What the client sends, with holes in it."""

import pytest

from cos_inspect.captures.wire import http1_requests
from cos_inspect.model.capture_account import TOO_MANY_OPEN
from tests.saved.wire.exchanges_made import (
    HOST,
    Made,
    converse,
    get,
    put,
    read_whole,
    refused,
    statuses,
)
from tests.saved.wire.packets_made import Conversation


def test_bytes_of_a_body_that_look_like_a_request_are_none() -> None:
    """The head of an upload is lost, and what it uploads is a capture of HTTP itself."""
    inner = get("invented", b"").request.ljust(300, b"\n")
    body = inner * 40
    made = Conversation(size=300)
    converse(made, [get("a", b"x" * 300), put("b", body), get("c", b"x" * 300)])
    made.close()
    lost = next(n for n, each in enumerate(made.packets) if each.data[:5] == b"PUT /")
    found = read_whole([each for n, each in enumerate(made.packets) if n != lost])
    assert "/invented" not in {target for _, target, _ in statuses(found)}
    assert len(found.flows) + found.left_out <= 3


def test_a_proxy_is_asked_by_whole_urls() -> None:
    made = Conversation()
    asked = f"GET http://{HOST}/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    converse(made, [Made(asked, get("a", b"x").answer)])
    made.close()
    assert statuses(read_whole(made.packets)) == [("GET", "/a", 200)]


def test_a_hole_in_a_body_is_not_captured() -> None:
    made = Conversation()
    converse(made, [put("a", b"a" * 9000), get("a", b"a" * 9000), refused("b")])
    made.close()
    of_client = [n for n, each in enumerate(made.packets) if each.data[:4] == b"aaaa"]
    for lost in of_client:
        found = read_whole([each for n, each in enumerate(made.packets) if n != lost])
        assert len(found.flows) == 3
        assert not found.left_out
        reasons = {
            check.reason
            for report in found.reports.values()
            for check in report.checks
            if check.check in ("crc64", "content-length")
        }
        assert "not-captured" in reasons
        assert "body-truncated" not in {rule for _, rule in found.findings}


def test_what_follows_a_tunnel_that_nobody_grants_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1_requests, "_MOST_HELD", 10_000)
    made = Conversation()
    made.send("client", b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
    made.send("client", bytes(50_000))
    found = read_whole(made.packets)
    assert found.account.unread == {TOO_MANY_OPEN: 1}
