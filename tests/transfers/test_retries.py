from typing import Any

import msgspec
import pytest

from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.retries import Chain, RetryHistory
from cos_inspect.transfers.tries import try_of
from tests.transfers.build import START, body_of, failure, get, put, ranged, seen


def chains(*flows: Exchange) -> list[Chain]:
    tries = RetryHistory(id="x")
    for flow in flows:
        tries.add(try_of(seen(flow)), UNBOUNDED)
    return tries.chains


FEW = Limits(tries=64)
MARK = {"x-cos-sdk-retry": "true"}


def test_a_refusal_needs_the_mark() -> None:
    refused = put("1", b"x", 0.0, **failure(404, "NoSuchBucket"))
    assert chains(refused, put("2", b"x", 1.0)) == []
    assert len(chains(refused, put("2", b"x", 1.0, sent=MARK))) == 1


@pytest.mark.parametrize("status", [404, 403, 304, 500, None])
@pytest.mark.parametrize("mark", [{}, MARK])
@pytest.mark.parametrize("cut", [False, True])
def test_what_can_be_no_retry_is_not_looked_at(
    status: int | None, mark: dict[str, str], cut: bool
) -> None:
    """And makes no chain where it is."""
    tries = RetryHistory(id="x")
    named = {} if status is None else failure(status, "NoSuchKey")
    first = put("1", b"x", 0.0, **named)
    if cut:
        first = left_off(4)
    for flow in (first, put("2", b"x", 1.0, sent=mark)):
        tries.add(try_of(seen(flow)), UNBOUNDED)
    found = tries.chains
    looked = msgspec.structs.replace(tries, any_followed=True)
    assert looked.chains == found
    assert tries.any_followed or not found


def test_the_mark_allows_a_longer_pause() -> None:
    failed = put("1", b"x", 0.0, status=None, error="e")
    assert chains(failed, put("2", b"x", 60.0)) == []
    assert len(chains(failed, put("2", b"x", 60.0, sent=MARK))) == 1


def test_the_pause_is_counted_from_the_failure() -> None:
    first = put("1", b"x", 0.0, status=None, error="client disconnected")
    late = msgspec.structs.replace(first.timing, response_end=None, failed=START + 32.0)
    patient = msgspec.structs.replace(first, timing=late)
    assert chains(first, put("2", b"x", 33.0)) == []
    assert len(chains(patient, put("2", b"x", 33.0))) == 1
    assert chains(patient, put("2", b"x", 20.0)) == [], "it began while the first was under way"


def test_chains_end_with_a_success() -> None:
    found = chains(
        put("1", b"x", 0.0, status=None, error="e"),
        put("2", b"x", 1.0),
        put("3", b"x", 2.0, status=None, error="e"),
        put("4", b"x", 3.0),
    )
    assert [chain.flows for chain in found] == [("1", "2"), ("3", "4")]


def test_a_chain_that_never_succeeds_names_every_cause() -> None:
    (chain,) = chains(
        put("1", b"x", 0.0, status=None, error=""), put("2", b"x", 1.0, status=None, error="e")
    )
    assert chain.causes == ("no response", "e")
    assert not chain.succeeded


def test_too_many_tries_are_forgotten() -> None:
    tries = RetryHistory(id="x")
    for number in range(FEW.tries * 3):
        tries.add(try_of(seen(get(f"{number:03}", b"x", float(number)))), FEW)
        assert tries.facts <= FEW.tries * 3 // 2
    assert "000" not in tries.tries
    assert set(tries.tries) >= {f"{FEW.tries * 3 - 1 - back:03}" for back in range(FEW.tries)}


def test_a_failure_is_forgotten_with_its_try() -> None:
    tries = RetryHistory(id="x")
    tries.add(try_of(seen(put("000", b"x", 0.0, status=503))), FEW)
    tries.add(try_of(seen(put("001", b"x", 1.0))), FEW)
    assert len(tries.chains) == 1
    for number in range(2, FEW.tries * 2):
        tries.add(try_of(seen(put(f"{number:03}", b"x", float(number)))), FEW)
    assert not tries.chains
    assert not tries.any_failed


def left_off(got: int, at: float = 0.0, **more: Any) -> Exchange:
    """A download of ``WHOLE`` that the client stopped."""
    more.setdefault("error", "client disconnected")
    return get("1", WHOLE, at, answer=body_of(WHOLE[:got], end=BodyEnd.CUT), **more)


WHOLE = b"0123456789" * 100


def test_a_download_that_begins_again_from_the_start() -> None:
    for pause in (1.0, 100.0):
        (chain,) = chains(left_off(400), get("2", WHOLE, pause))
        assert chain.got_before == (400, 1000)
        assert chain.succeeded
    (chain,) = chains(left_off(400), ranged("2", WHOLE, 0, 1000, 5.0, sent={"Range": "bytes=0-"}))
    assert chain.got_before == (400, 1000)


def test_a_range_from_the_first_byte_that_breaks_off_begins_again() -> None:
    asked: dict[str, Any] = {"sent": {"Range": "bytes=0-"}}
    cut = ranged("1", WHOLE, 0, 1000, 0.0, cut_at=400, error="client disconnected", **asked)
    (chain,) = chains(cut, ranged("2", WHOLE, 0, 1000, 5.0, **asked))
    assert chain.got_before == (400, 1000)
    (chain,) = chains(cut, get("2", WHOLE, 5.0))
    assert chain.got_before == (400, 1000)


def test_a_recorder_may_take_what_came_for_all_of_it() -> None:
    short = get("1", WHOLE, 0.0, answer=body_of(WHOLE[:400]), error="client disconnected")
    (chain,) = chains(short, get("2", WHOLE, 5.0))
    assert chain.got_before == (400, 1000)


def test_downloads_that_go_on_where_they_ended() -> None:
    first = seen(left_off(400)).same_request
    assert seen(ranged("2", WHOLE, 400, 1000, 5.0)).same_request != first
    assert seen(get("2", WHOLE, 5.0, client="10.0.0.8")).same_request != first
    assert chains(left_off(400), get("2", WHOLE, 3600.0)) == []
    assert chains(left_off(0), get("2", WHOLE, 5.0)) == [], "nothing had come"
    assert chains(get("1", WHOLE, 0.0), get("2", WHOLE, 5.0)) == []


def test_what_the_network_broke_is_counted_too() -> None:
    (chain,) = chains(left_off(400, error="server closed connection"), get("2", WHOLE, 5.0))
    assert chain.got_before == (400, 1000)
    (chain,) = chains(put("1", b"x", 0.0, status=None, error="e"), put("2", b"x", 1.0))
    assert chain.got_before is None


def test_a_stream_that_is_whole_again_is_one_chain() -> None:
    failed = failure(503, "SlowDown")
    empty: dict[str, Any] = {"sent": {"Content-Length": "0"}, "body": body_of(b"")}
    (chain,) = chains(
        put("1", b"whole", 0.0, **failed),
        put("2", b"", 1.0, **(failed | empty)),
        put("3", b"whole", 2.0),
    )
    assert chain.flows == ("1", "2", "3")
    assert chain.other_body is None
    (lost,) = chains(
        put("1", b"whole", 0.0, **failed),
        put("2", b"", 1.0, **(failed | empty)),
        put("3", b"", 2.0, **empty),
    )
    assert lost.other_body is not None
    assert (lost.other_body.before, lost.other_body.kind) == ("1", "empty")
