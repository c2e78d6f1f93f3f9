"""Who ended an exchange, by the recorder's words."""

import pytest

from cos_inspect.recording.break_off import KILLED, broken_off_by, received_of, refusal_of

CUT = (
    "HTTP/1 protocol error: peer closed connection without sending complete message body"
    " (received 5000 bytes, expected 512000)"
)
CHUNKED = (
    "HTTP/1 protocol error: peer closed connection without sending complete message body"
    " (incomplete chunked read)"
)
RESET = "stream reset by client ({})"


@pytest.mark.parametrize(
    ("said", "by"),
    [
        ("Client disconnected.", "client"),
        ("client disconnected", "client"),
        ("net::ERR_ABORTED", "client"),
        ("NS_BINDING_ABORTED", "client"),
        (KILLED, "proxy"),
        ("Request body exceeds mitmproxy's body_size_limit.", "proxy"),
        ("server closed connection", "server"),
        ("[Errno 111] Connect call failed ('127.0.0.1', 1)", "server"),
        ("Certificate verify failed: unable to get local issuer certificate", "server"),
        ("net::ERR_CONNECTION_RESET", "server"),
        (RESET.format("CANCEL"), "client"),
        ("stream closed by client (H3_REQUEST_CANCELLED)", "client"),
        (RESET.format("INTERNAL_ERROR"), None),
        ("peer closed connection", None),
        (CUT, "server"),
        (CHUNKED, "server"),
    ],
)
def test_a_request_that_was_whole(said: str, by: str | None) -> None:
    found = broken_off_by(said, request_whole=True, announced=None, answered=False)
    assert found == by


@pytest.mark.parametrize(
    ("said", "announced", "answered", "by"),
    [
        (CUT, 512000, False, "client"),
        (CUT, None, False, "client"),
        (CHUNKED, None, False, "client"),
        (CUT, 512000, True, "client"),
        # The answer's body is meant.
        (CUT, 19, True, "server"),
        (CHUNKED, None, True, None),
        (RESET.format("CANCEL"), None, False, None),
        ("server closed connection", 19, False, "server"),
    ],
)
def test_a_request_that_was_not(
    said: str, announced: int | None, answered: bool, by: str | None
) -> None:
    found = broken_off_by(said, request_whole=False, announced=announced, answered=answered)
    assert found == by


def test_what_mitmproxy_refuses() -> None:
    said = "Response body exceeds mitmproxy's body_size_limit."
    assert refusal_of(said) == ("body_size_limit", 502)
    said = "Received invalid header from client, refusing to prevent request smuggling attacks. …"
    assert refusal_of(said) == ("validate_inbound_headers", 400)
    assert refusal_of("server closed connection") is None
    assert refusal_of(None) is None


def test_how_much_had_come() -> None:
    assert received_of(CUT) == 5000
    assert received_of(CHUNKED) is None
    assert received_of(None) is None
