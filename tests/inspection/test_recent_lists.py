"""Lists that came before the Complete of which they tell."""

import pytest

from cos_inspect.cos.cos_exchange import CosExchange, read_exchange
from cos_inspect.inspection import recent_lists
from cos_inspect.inspection.recent_lists import RecentLists
from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.observe import observe
from tests.inspection.test_session import Run
from tests.transfers.build import (
    UPLOAD,
    body_of,
    complete,
    crc64,
    exchange,
    md5,
    part,
)

DATA = b"the one part"
KEY = "a"


def a_list(at: float, name: str = "list") -> Exchange:
    entry = f"<Key>{KEY}</Key><ETag>&quot;{md5(b'x')}-1&quot;</ETag><Size>{len(DATA)}</Size>"
    text = f"<ListBucketResult><Contents>{entry}</Contents></ListBucketResult>"
    return exchange(name, "GET", "/?prefix=a", at, answer=body_of(text.encode(), sample=True))


def read(flow: Exchange) -> CosExchange:
    cos = read_exchange(flow)
    assert cos is not None
    return cos


def held_of(lists: RecentLists, moment: float) -> list[str]:
    return [seen.flow_id for _, seen in lists.since(moment)]


def test_what_is_held_and_what_is_dropped() -> None:
    lists = RecentLists(2)
    made = [read(a_list(float(at), f"{at}")) for at in range(1, 4)]
    for cos in made:
        lists.add(cos, observe(cos))
    started = [observe(cos).started for cos in made]
    assert held_of(lists, 0.0) == ["2", "3"]
    assert held_of(lists, started[2]) == ["3"]
    assert lists.dropped_until == started[0]


def test_they_hold_so_many_bytes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    cos = read(a_list(1.0))
    monkeypatch.setattr(recent_lists, "_MOST_BYTES", 3 * recent_lists._size(cos))
    lists = RecentLists(100)
    for _ in range(10):
        lists.add(cos, observe(cos))
    assert len(held_of(lists, 0.0)) == 3


def _unheard() -> list[Exchange]:
    """In the order in which they were made."""
    listed = [(1, md5(DATA))]
    return [
        part("part", 1, DATA, 1.0),
        complete("lost", listed, crc64(DATA), 2.0, status=None, error="connection lost"),
        a_list(9.0),
    ]


def test_a_list_that_is_read_before_the_complete_tells_of_it() -> None:
    flows = _unheard()
    told = []
    for ordered in (flows, flows[::-1], [flows[2], flows[0], flows[1]]):
        run = Run(ordered)
        summary = run.close()
        (transfer,) = summary.transfers
        assert summary.forgotten == 0
        assert transfer.id == UPLOAD
        told.append((transfer.state, transfer.verdict, transfer.notice, run.rules()))
    assert told[0] == told[1] == told[2]
    assert "though no answer said so" in (told[0][2] or "")


def test_a_list_that_is_held_no_more_is_counted() -> None:
    flows = _unheard()
    others = [a_list(float(at), f"{at}") for at in range(20, 23)]
    session = Session(bounds=Bounds(lists=2))
    assert Run([flows[2], *others, *flows[:2]], session).close().forgotten == 1
