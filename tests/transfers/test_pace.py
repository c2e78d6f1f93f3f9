import msgspec

from cos_inspect.model.exchange import Timing
from cos_inspect.transfers.pace import judge_pace
from tests.transfers.build import MIB, START, failure, get, put, seen

BIG = bytes(MIB + 1)


def test_limits_are_as_told() -> None:
    fast = seen(put("f", BIG, 0.0, took=20.0))
    assert judge_pace(fast) is None
    assert judge_pace(seen(put("f", bytes(MIB), 0.0, took=200.0))) is None
    assert judge_pace(seen(put("f", b"x", 0.0, wait=3.0))) is None
    slow = judge_pace(seen(put("f", BIG, 0.0, took=22.0)))
    assert slow is not None
    assert (slow.reason, slow.side, slow.size) == ("client-stall", "request", MIB + 1)


def test_a_traffic_limit_explains_only_what_is_near_it() -> None:
    for limit, reason in ((819_200, "traffic-limit"), (600_000, "client-stall")):
        sent = {"x-cos-traffic-limit": str(limit)}
        slow = judge_pace(seen(put("f", BIG, 0.0, took=21.0, sent=sent)))
        assert slow is not None
        assert slow.reason == reason


def test_wait_is_told_with_a_slow_body_too() -> None:
    slow = judge_pace(seen(get("g", BIG, 0.0, took=60.0, wait=5.0)))
    assert slow is not None
    assert slow.side == "response"
    assert slow.wait == 5.0


def test_an_upload_that_broke_off_was_slow_until_then() -> None:
    one = put("f", BIG, 0.0, status=None, error="client disconnected")
    timing = Timing(request_start=START, failed=START + 60.0)
    slow = judge_pace(seen(msgspec.structs.replace(one, timing=timing)))
    assert slow is not None
    assert (slow.reason, slow.side) == ("client-stall", "request")
    timing = Timing(request_start=START, failed=START + 5.0)
    assert judge_pace(seen(msgspec.structs.replace(one, timing=timing))) is None


def test_unknown_times_say_nothing() -> None:
    one = seen(put("f", BIG, 0.0, took=60.0))
    unknown = msgspec.structs.replace(one, sent=None, answered=None)
    assert judge_pace(unknown) is None


def test_a_server_that_waited_for_the_body_was_not_slow() -> None:
    """The client was: COS gave up on it."""
    late = put("f", b"x", 0.0, wait=60.0, **failure(400, "RequestTimeout"))
    assert judge_pace(seen(late)) is None
    short = put("f", b"x", 0.0, wait=60.0, sent={"Content-Length": "9"}, **failure(400, "Other"))
    assert judge_pace(seen(short)) is None
    other = judge_pace(seen(put("f", b"x", 0.0, wait=60.0, **failure(400, "Other"))))
    assert other is not None
