import pytest

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.objects import (
    Copy,
    ObjectEvents,
    event_of,
    judge_copy,
    read_after_write,
    read_backs,
)
from tests.transfers.build import START, crc64, exchange, failure, get, md5, put, seen


def content(*flows: Exchange, limits: Limits = UNBOUNDED) -> ObjectEvents:
    made = ObjectEvents()
    for flow in flows:
        event = event_of(seen(flow))
        if event is not None:
            made.add(event, limits)
    return made


def verdict(*flows: Exchange) -> bool | None:
    found = read_after_write(content(*flows), "r")
    return None if found is None else found.crc64.same


WRITE = put("w", b"body", 0.0)
READ = get("r", b"body", 5.0)
OTHER = get("r", b"else", 5.0)
DELETE = exchange("d", "DELETE", "/a", 3.0, status=204)


@pytest.mark.parametrize(
    ("flows", "same"),
    [
        ([WRITE, READ], True),
        ([READ, WRITE], True),
        ([WRITE, OTHER], False),
        ([WRITE, put("x", b"else", 2.0), OTHER], True),
        ([WRITE, put("x", b"else", 2.0, status=None), OTHER], None),
        ([WRITE, put("x", b"else", 2.0, **failure(500, "InternalError")), OTHER], None),
        ([WRITE, put("x", b"else", 2.0, **failure(403, "AccessDenied")), OTHER], False),
        ([WRITE, put("x", b"else", 4.9, took=0.5), OTHER], None),
        ([WRITE, put("x", b"else", 0.05), OTHER], None),
        ([WRITE, DELETE, OTHER], None),
        ([put("w", b"body", 0.0, sent={"Pic-Operations": "{}"}), OTHER], None),
        ([WRITE, put("x", b"else", 9.0), READ], True),
        ([READ], None),
    ],
    ids=[
        "same",
        "arrived-late",
        "changed",
        "last-write",
        "unanswered",
        "failed-inside",
        "refused",
        "during-the-read",
        "two-at-once",
        "deleted",
        "reworked",
        "write-after",
        "no-write",
    ],
)
def test_read_after_write(flows: list[Exchange], same: bool | None) -> None:
    assert verdict(*flows) is same


def test_cache_and_old_versions_say_nothing() -> None:
    cached = {
        "ETag": '"e"',
        "x-cos-hash-crc64ecma": "5",
        "X-NWS-LOG-UUID": "1",
        "Content-Length": "4",
    }
    assert verdict(WRITE, get("r", b"else", 5.0, answered=cached)) is None
    old = get("r", b"else", 5.0, key="a?versionId=MTg0")
    assert verdict(WRITE, old) is None


def test_damage_is_told_elsewhere() -> None:
    damaged = put("w", b"body", 0.0, answered={"ETag": '"e"', "x-cos-hash-crc64ecma": "5"})
    assert verdict(damaged, READ) is None
    wrong = {"ETag": '"e"', "x-cos-hash-crc64ecma": "5", "Content-Length": "4"}
    assert verdict(WRITE, get("r", b"body", 5.0, answered=wrong)) is None


def test_read_backs() -> None:
    again = get("again", b"body", 6.0)
    (found,) = read_backs(content(WRITE, READ, again))
    assert (found.write, found.reads, found.same) == ("w", ("r", "again"), True)


def copy(etag: str, crc: int | None) -> Copy:
    return Copy(flow_id="c", started=START + 9, ended=START + 9.1, etag=etag, crc64=crc)


def test_copy() -> None:
    source = content(WRITE)
    same = judge_copy(copy(md5(b"body"), crc64(b"body")), source)
    assert (same.crc64.same, same.etag.same, same.source) == (True, True, "w")
    assert not judge_copy(copy(md5(b"body"), 5), source).crc64.same
    assert judge_copy(copy(md5(b"new"), 5), source).crc64.reason == "copy"
    assert judge_copy(copy(md5(b"kms"), crc64(b"body")), source).crc64.same
    assert judge_copy(copy(md5(b"body"), 5), ObjectEvents()).crc64.reason == "copy"
    assert judge_copy(copy(md5(b"body"), 5), content(WRITE, DELETE)).crc64.reason == "copy"


def test_the_newest_sights_are_kept() -> None:
    writes = [put(f"w{n}", b"x", float(n)) for n in range(64)]
    made = content(*writes, limits=Limits(events=32))
    assert 32 <= made.facts <= 48
    assert "w0" not in made.by_flow
    assert set(made.by_flow) >= {f"w{63 - back}" for back in range(32)}
    assert content(*writes).facts == 64
