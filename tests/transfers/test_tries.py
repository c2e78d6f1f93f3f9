"""What counts of an exchange as a try, and why it failed."""

import pytest

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.tries import Try, may_be_retried, try_of
from tests.transfers.build import exchange, failure, get, put, ranged, seen
from tests.transfers.test_retries import chains, left_off


def one_try(flow: Exchange) -> Try:
    return try_of(seen(flow))


@pytest.mark.parametrize(
    ("flow", "cause", "refused"),
    [
        (put("1", b"x", 0.0), None, None),
        (put("1", b"x", 0.0, **failure(503, "SlowDown")), "503 SlowDown", None),
        (put("1", b"x", 0.0, **failure(408, "RequestTimeout")), "408 RequestTimeout", None),
        (put("1", b"x", 0.0, **failure(404, "NoSuchBucket")), None, "404 NoSuchBucket"),
        (put("1", b"x", 0.0, **failure(403, "AccessDenied")), None, "403 AccessDenied"),
        (exchange("1", "HEAD", "/a", 0.0, status=403), None, "403"),
        (exchange("1", "GET", "/a", 0.0, status=304), None, "304"),
        (exchange("1", "GET", "/a", 0.0, status=502, from_cos=False), "502, not from COS", None),
    ],
)
def test_how_it_ended(flow: Exchange, cause: str | None, refused: str | None) -> None:
    one = one_try(flow)
    assert (one.cause, one.refused) == (cause, refused)
    assert may_be_retried(one) is (cause is not None or refused is not None)
    assert one.succeeded is (cause is None and refused is None)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (put("1", b"x", 0.0, **failure(403, "RequestTimeTooSkewed")), True),
        (put("1", b"x", 0.0, **failure(403, "AccessDenied", "Request has expired")), True),
        (put("1", b"x", 0.0, **failure(403, "AccessDenied")), False),
        (exchange("1", "HEAD", "/a", 0.0, status=403), True),
        (exchange("1", "HEAD", "/a", 0.0, status=404), False),
    ],
)
def test_a_refusal_of_the_signing_time(flow: Exchange, expected: bool) -> None:
    assert one_try(flow).clock is expected


def test_what_came_of_a_download_that_broke_off() -> None:
    one = one_try(left_off(3))
    assert one.got == 3
    assert one.of is not None
    assert one_try(get("1", b"whole", 0.0)).got == 0
    assert one_try(ranged("1", b"long enough", 1, 9, 0.0, cut_at=2)).got == 0


@pytest.mark.parametrize(
    ("first", "cause"),
    [
        (put("1", b"x", 0.0, **failure(500, "InternalError")), "500 InternalError"),
        (put("1", b"x", 0.0, **failure(429, "TooManyRequests")), "429 TooManyRequests"),
        (put("1", b"x", 0.0, **failure(400, "BadDigest")), "400 BadDigest"),
        (put("1", b"x", 0.0, status=None, error="reset by peer"), "reset by peer"),
        (put("1", b"x", 0.0, status=None, error=""), "no response"),
        (put("1", b"x", 0.0, status=302, from_cos=False, answered={}), "302, not from COS"),
        (ranged("1", b"long enough", 1, 9, 0.0, cut_at=2, error="peer closed"), "peer closed"),
        (put("1", b"x", 0.0, **failure(403, "RequestTimeTooSkewed")), "403 RequestTimeTooSkewed"),
    ],
)
def test_causes(first: Exchange, cause: str) -> None:
    second = put("2", b"x", 1.0)
    if first.request.method == "GET":
        second = ranged("2", b"long enough", 1, 9, 1.0)
    (chain,) = chains(first, second)
    assert chain.causes == (cause,)
    assert chain.succeeded


def test_a_user_who_stops_reading_has_not_failed() -> None:
    stopped = ranged("1", b"long enough", 1, 9, 0.0, cut_at=2, error="Client disconnected.")
    again = ranged("2", b"long enough", 1, 9, 1.0)
    assert chains(stopped, again) == []


def test_the_digest_of_a_piece_says_nothing_of_the_whole() -> None:
    """A recorder may take what came for all of it."""
    cut = put("1", b"who", 0.0, status=None, error="peer closed", sent={"Content-Length": "5"})
    (chain,) = chains(cut, put("2", b"whole", 1.0))
    assert chain.succeeded
    assert chain.other_body is None
    (rest,) = chains(cut, put("2", b"le", 1.0))
    assert rest.other_body is not None
    assert (rest.other_body.kind, rest.other_body.sizes) == ("shorter", (5, 2))


def test_a_cause_stands_inside_a_sentence() -> None:
    first = put("1", b"x", 0.0, status=None, error="Client disconnected.")
    (chain,) = chains(first, put("2", b"x", 1.0))
    assert chain.causes == ("Client disconnected",)
