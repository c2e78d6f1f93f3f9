import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.history import ObjectHistory, history_name, source_name
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.objects import copy_of
from tests.transfers.build import (
    HOST,
    MIB,
    OTHER_HOST,
    append,
    crc64,
    exchange,
    failure,
    get,
    md5,
    part,
    put,
    ranged,
    seen,
    upload_of,
)

CHUNKS = [b"one", b"two", b"three"]
DATA = bytes(range(256))
COPY = {"x-cos-copy-source": f"{HOST}/a"}


def history(*flows: Exchange, judge: bool = True, limits: Limits = UNBOUNDED) -> ObjectHistory:
    made = ObjectHistory.of(seen(flows[0]))
    for flow in flows:
        made.add(seen(flow), limits=limits, judge=judge)
    made.settle()
    return made


def test_a_complete_is_touched_when_all_of_its_parts_are_there() -> None:
    flows = [seen(flow) for flow in upload_of([bytes([fill]) * MIB for fill in range(3)])]
    made = ObjectHistory.of(flows[0])
    assert made.add(flows[3]) == {flows[3].flow_id}
    assert made.add(flows[0]) == {flows[0].flow_id}
    assert made.add(flows[1]) == {flows[1].flow_id}
    assert made.add(flows[2]) == {flows[2].flow_id, flows[3].flow_id}


@pytest.mark.parametrize(
    "late",
    [
        part("late", 1, b"y" * MIB, 1.0),
        part("late", 1, b"a small one", 1.0),
        part("late", 1, bytes(MIB), 1.0, status=503),
    ],
    ids=["another ETag", "too small", "not stored"],
)
def test_a_complete_is_touched_by_a_part_that_is_not_as_listed(late: Exchange) -> None:
    """Also where others were not seen."""
    done = [seen(flow) for flow in upload_of([bytes(MIB), b"x" * MIB, b"end"])][-1]
    made = ObjectHistory.of(done)
    made.add(done)
    assert made.add(seen(late)) == {"late", done.flow_id}


def test_a_late_write_touches_the_reads_that_it_may_change() -> None:
    made = history(put("w", b"x", 0.0), get("r", b"y", 5.0, took=2.0))
    assert made.add(seen(put("late", b"y", 6.0))) == {"late", "r"}
    assert made.add(seen(put("later", b"y", 9.0))) == {"later"}


def test_what_a_head_tells_touches_who_read_ranges() -> None:
    unknown = {"ETag": f'"{md5(DATA)}"', "Content-Range": "bytes 0-255/*", "Content-Length": "256"}
    made = history(ranged("r", DATA, 0, 256, 0.0, answered=unknown))
    told = {
        "ETag": f'"{md5(DATA)}"',
        "x-cos-hash-crc64ecma": str(crc64(DATA)),
        "Content-Length": "256",
    }
    assert made.add(seen(exchange("h", "HEAD", "/a", 9.0, answered=told))) == {"h", "r"}


def test_a_success_touches_the_try_before_it() -> None:
    made = history(put("1", b"x", 0.0, status=503))
    assert made.add(seen(put("2", b"x", 1.0))) == {"1", "2"}


def test_names() -> None:
    first = seen(get("a", b"x", 0.0))
    assert history_name(first) == history_name(seen(get("b", b"x", 0.0, host=OTHER_HOST)))
    assert history_name(first) != history_name(seen(get("b", b"x", 0.0, key="b")))
    buckets = [
        seen(exchange(name, "GET", target, 0.0)) for name, target in (("a", "/"), ("b", "/?acl"))
    ]
    assert history_name(buckets[0]) != history_name(buckets[1])
    copied = seen(exchange("c", "PUT", "/b", 0.0, sent=COPY))
    assert source_name(copied) == history_name(first)
    assert source_name(first) is None


def test_all_kinds_are_bounded() -> None:
    limits = Limits(parts=5, steps=5, versions=3, tries=4, requests=6, events=4)
    made = ObjectHistory(name="a", bucket=None, key="a")
    for number in range(60):
        at = float(number)
        for flow in (
            part(f"p{number}", number, b"x", at),
            ranged(f"r{number}", bytes([number]) * 4, 1, 3, at),
            append(f"a{number}", b"x", number, at),
            put(f"w{number}", b"x" * number, at, **failure(503, "SlowDown")),
        ):
            made.add(seen(flow), limits=limits)
        made.add_copy(copy_of(seen(exchange(f"c{number}", "PUT", "/b", at, sent=COPY))), limits)
    assert made.facts < 60
    assert made.left_out > 100
    counted = (
        sum(upload.facts for upload in made.uploads.values())
        + sum(reading.facts for reading in made.readings.values())
        + sum(tries.facts for tries in made.requests.by_name.values())
        + made.events.facts
        + (made.appends.facts if made.appends else 0)
    )
    assert made.facts == counted


FLOWS = [
    *upload_of(CHUNKS),
    part("refused", 2, b"two", 1.5, **failure(503, "SlowDown")),
    ranged("r1", DATA, 0, 100, 20.0),
    ranged("r2", DATA, 100, 256, 21.0),
    ranged("other", DATA[::-1], 100, 256, 22.0),
    put("w", DATA, 10.0),
    put("w2", b"else", 30.0, **failure(500, "InternalError")),
    put("w3", b"else", 31.0),
    get("g", b"else", 40.0),
    exchange(
        "h", "HEAD", "/a", 41.0, answered={"ETag": f'"{md5(b"else")}"', "Content-Length": "4"}
    ),
]


def said(made: ObjectHistory) -> object:
    """Everything that a second look asks for."""
    return (
        {name: dict(sorted(upload.parts.items())) for name, upload in made.uploads.items()},
        {name: (reading.coverages, reading.changes) for name, reading in made.readings.items()},
        {name: tries.places for name, tries in made.requests.by_name.items()},
        sorted(made.events.by_flow),
        made.heads,
        made.requests.replaced(),
        made.facts,
    )


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False), st.booleans(), st.integers(0, len(FLOWS)))
def test_any_order_says_the_same(shuffle: random.Random, judge: bool, kept: int) -> None:
    flows = list(FLOWS)
    shuffle.shuffle(flows)
    made = ObjectHistory.of(seen(flows[0]))
    for number, flow in enumerate(flows):
        if number == kept:
            # As when it was on the disk for a while.
            made = msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=ObjectHistory)
        made.add(seen(flow), judge=judge)
    made.settle()
    assert said(made) == said(history(*FLOWS))


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.flow_id)
def test_the_same_flow_twice_changes_nothing(flow: Exchange) -> None:
    made = history(*FLOWS)
    before = said(made)
    made.add(seen(flow))
    made.settle()
    assert said(made) == before
