import msgspec

from cos_inspect.transfers.tracker import Tracker, TrackerState
from tests.transfers.build import (
    UPLOAD,
    append,
    crc64,
    get,
    md5,
    part,
    put,
    ranged,
    seen,
    upload_of,
)

CHUNKS = [b"one", b"two", b"three"]


def fed(*flows: object, **limits: int) -> Tracker:
    tracker = Tracker(**limits)
    for flow in flows:
        tracker.add(seen(flow))  # type: ignore[arg-type]
    return tracker


def test_touched_flows() -> None:
    flows = [seen(flow) for flow in upload_of(CHUNKS)]
    tracker = Tracker()
    assert tracker.add(flows[3]) == {flows[3].flow_id}
    assert tracker.add(flows[0]) == {flows[0].flow_id}
    assert tracker.add(flows[1]) == {flows[1].flow_id}
    assert tracker.add(flows[2]) == {flows[2].flow_id, flows[3].flow_id}


def test_upload_ids_are_told_apart_by_object() -> None:
    tracker = fed(part("a", 1, b"x", 0.0, key="a"), part("b", 1, b"y", 0.0, key="b"))
    assert [upload.key for upload in tracker.uploads()] == ["a", "b"]


def test_least_recently_touched_is_closed() -> None:
    tracker = fed(
        part("a1", 1, b"x", 0.0, key="a"),
        part("b1", 1, b"x", 1.0, key="b"),
        part("a2", 2, b"x", 2.0, key="a"),
        part("c1", 1, b"x", 3.0, key="c"),
        max_open=2,
    )
    assert {upload.key for upload in tracker.uploads()} == {"a", "c"}
    closed, _, _ = tracker.take_closed()
    assert [upload.key for upload in closed] == ["b"]
    assert tracker.take_closed() == ([], [], [])


def test_all_kinds_are_bounded() -> None:
    tracker = Tracker(max_open=3, max_parts=5, max_facts=10, max_remembered=7)
    for number in range(40):
        tracker.add(seen(part(f"p{number}", number, b"x", number * 1.0, key=f"k{number % 9}")))
        tracker.add(seen(ranged(f"r{number}", b"data", 1, 3, number * 1.0, key=f"k{number % 9}")))
        tracker.add(seen(append(f"a{number}", b"x", number, number * 1.0)))
        tracker.add(seen(put(f"w{number}", b"x", number * 1.0, key=f"w{number}")))
    state = tracker.state()
    assert len(state.uploads) <= 3
    assert len(state.readings) <= 3
    assert sum(upload.facts for upload in state.uploads.values()) <= 10
    assert all(log.facts <= 5 for log in state.logs.values())
    assert len(state.contents) <= 7
    assert len(state.tries) <= 7
    assert len(tracker._readers) < 80


def test_many_interleaved_uploads_stay_bounded_and_whole() -> None:
    tracker = Tracker(max_open=50)
    parts = [(number, bytes([number])) for number in range(1, 21)]
    for number, data in parts:
        for key in range(50):
            tracker.add(seen(part(f"{key}-{number}", number, data, float(number), key=f"k{key}")))
    assert [len(upload.parts) for upload in tracker.uploads()] == [20] * 50
    assert tracker.take_closed() == ([], [], [])


def test_state_goes_through_bytes() -> None:
    flows = [
        *upload_of(CHUNKS),
        ranged("r1", b"some data", 0, 4, 0.0, key="r"),
        append("x", b"x", 0, 0.0, whole=b"x"),
        put("w", b"x", 0.0, key="w"),
        get("g", b"x", 1.0, key="w"),
    ]
    one, two = fed(*flows[:4]), fed(*flows[4:], ranged("r2", b"some data", 4, 9, 1.0, key="r"))
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(two.state()), type=TrackerState)
    touched = one.merge(sent)
    assert {"r2", "g"} <= touched
    (reading,) = one.readings()
    (coverage,) = reading.coverages.values()
    assert coverage.check.actual == str(crc64(b"some data"))
    assert msgspec.json.decode(msgspec.json.encode(one.state()), type=TrackerState) is not None


def test_merging_the_same_twice_changes_nothing() -> None:
    one, two = fed(*upload_of(CHUNKS)[:2]), fed(*upload_of(CHUNKS))
    encoded = msgspec.msgpack.encode(two.state())
    one.merge(msgspec.msgpack.decode(encoded, type=TrackerState))
    once = msgspec.msgpack.encode(one.state())
    one.merge(msgspec.msgpack.decode(encoded, type=TrackerState))
    assert msgspec.msgpack.encode(one.state()) == once
    assert one.uploads()[0].upload_id == UPLOAD
    assert one.uploads()[0].completes[f"a-{UPLOAD[:6]}-done"].listed == tuple(
        (number, f'"{md5(data)}"') for number, data in enumerate(CHUNKS, 1)
    )
