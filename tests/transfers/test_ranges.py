import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.object_versions import GAP, version_name
from cos_inspect.transfers.ranges import RangedDownload, accounts_of
from tests.transfers.build import crc64, md5, ranged, seen

DATA = bytes(range(256)) * 4
OTHER = DATA[::-1]


def reading(*flows: Exchange, limits: Limits = UNBOUNDED, judge: bool = True) -> RangedDownload:
    made = RangedDownload(id="x", bucket=None, key="a")
    for flow in flows:
        made.add(seen(flow), (), limits, {} if judge else None)
    made.settle({})
    return made


def test_repeated_ranges_count_once() -> None:
    made = reading(
        ranged("r1", DATA, 0, 600, 0.0),
        ranged("r2", DATA, 0, 600, 1.0),
        ranged("r3", DATA, 600, 1024, 2.0),
    )
    ((name, account),) = accounts_of(made, {})
    assert (account.state, account.bytes_sent_twice, account.size) == ("complete", 600, 1024)
    assert made.coverages[name].closer == "r3"


def test_change_needs_a_short_gap() -> None:
    first = ranged("r1", DATA, 0, 600, 0.0)
    soon = ranged("r2", OTHER, 600, 1024, GAP)
    late = ranged("r2", OTHER, 600, 1024, GAP + 0.2)
    (change,) = reading(first, soon).changes.values()
    assert (change.flow_id, change.before) == ("r2", "r1")
    assert change.etag == (md5(DATA), md5(OTHER))
    assert change.crc64 == (crc64(DATA), crc64(OTHER))
    assert reading(first, late).changes == {}


def test_what_is_read_again_is_another_reading() -> None:
    first = ranged("r1", DATA, 500, 700, 0.0)
    assert reading(first, ranged("r2", OTHER, 500, 700, 1.0)).changes == {}
    at_once = ranged("r2", OTHER, 500, 700, 0.05)
    assert len(reading(first, at_once).changes) == 1
    tail = ranged("r2", OTHER, 900, 1024, 1.0, sent={"Range": "bytes=-124"})
    assert reading(first, tail).changes == {}
    resumed = ranged("r2", OTHER, 700, 1024, 1.0)
    assert len(reading(first, resumed).changes) == 1


def test_appendable_objects_grow() -> None:
    def tail(flow_id: str, data: bytes, first: int, at: float) -> Exchange:
        answered = {
            "ETag": f'"{md5(data)}"',
            "x-cos-object-type": "appendable",
            "Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}",
        }
        return ranged(flow_id, data, first, len(data), at, answered=answered)

    assert reading(tail("r1", DATA, 500, 0.0), tail("r2", DATA + b"x", 1000, 1.0)).changes == {}


def test_what_an_answer_leaves_out_is_no_change() -> None:
    bare = {"Content-Range": "bytes 600-1023/1024", "ETag": f'"{md5(DATA)}"'}
    made = reading(
        ranged("r1", DATA, 0, 600, 0.0), ranged("r2", DATA, 600, 1024, 1.0, answered=bare)
    )
    assert made.changes == {}


def test_boundaries() -> None:
    flow = ranged("r1", DATA, 100, 600, 0.0)
    made = reading(flow)
    name = version_name(seen(flow))
    assert made.boundaries(name, 0, 1024) == [100, 600]
    assert made.boundaries(name, 100, 600) == []
    assert made.boundaries("other", 0, 1024) == []


def test_limits() -> None:
    flows = [ranged(f"r{at}", DATA, at, at + 1, float(at)) for at in range(10)]
    made = reading(*flows, limits=Limits(parts=4))
    assert (made.facts, made.left_out) == (4, 6)
    versions = [ranged(f"v{n}", bytes([n]) * 9, 1, 3, n * 100.0) for n in range(40)]
    assert len(reading(*versions, limits=Limits()).versions) < 40
    assert len(reading(*versions).versions) == 40


FLOWS = [
    *(ranged(f"r{at}", DATA, at, at + 256, at / 100) for at in range(0, 1024, 256)),
    ranged("bad", DATA, 256, 512, 2.0, got=bytes(256)),
    ranged("other", OTHER, 256, 512, 11.0),
    ranged("cut", DATA, 0, 1024, 9.0, cut_at=10),
]


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=False), st.booleans())
def test_any_order_says_the_same(shuffle: random.Random, judge: bool) -> None:
    expected = reading(*FLOWS)
    flows = list(FLOWS)
    shuffle.shuffle(flows)
    found = reading(*flows, judge=judge)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=RangedDownload)
    sent.settle({})
    for one in (found, sent):
        assert one.coverages == expected.coverages
        assert one.changes == expected.changes
        assert dict(accounts_of(one, {})) == dict(accounts_of(expected, {}))


def test_overlaps_are_named_where_nothing_is_missing() -> None:
    made = reading(ranged("r1", DATA, 0, 600, 0.0), ranged("r2", DATA, 500, 1024, 1.0))
    assert dict(made.overlaps({})) == {"r1": [500], "r2": [100]}
    gap = reading(ranged("r1", DATA, 0, 600, 0.0), ranged("r2", DATA, 601, 1024, 1.0))
    assert not dict(gap.overlaps({}))
