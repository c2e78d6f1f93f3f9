from cos_inspect.transfers.fetched_ranges import FetchedRange
from cos_inspect.transfers.object_versions import (
    GAP,
    Version,
    VersionHead,
    better_head,
    total_of,
)


def fetched(flow_id: str, first: int, end: int, at: float, seconds: float = 1.0) -> FetchedRange:
    return FetchedRange(flow_id=flow_id, started=at, ended=at + seconds, first=first, end=end)


def test_what_one_answer_leaves_out_is_no_other_version() -> None:
    one = Version(etag="a", crc64=1)
    assert not one.differs(Version(etag="a"))
    assert not one.differs(Version(version_id="v"))
    assert one.differs(Version(etag="b", crc64=1))
    assert one.differs(Version(etag="a", crc64=2))


def test_bytes_are_whole_in_any_order_and_overlap() -> None:
    version = Version()
    version.add(fetched("c", 600, 1000, 0.0))
    version.add(fetched("a", 0, 300, 1.0))
    assert not version.times.are_whole(1000)
    assert [version.times.have(byte) for byte in (0, 299, 300, 600)] == [True, True, False, True]
    version.add(fetched("b", 250, 600, 2.0))
    assert version.times.are_whole(1000)
    assert not version.times.are_whole(1001)


def test_what_came_last_before_a_moment_may_have_ended_a_while_ago() -> None:
    version = Version()
    version.add(fetched("long", 0, 10, 0.0, seconds=100.0))
    version.add(fetched("short", 10, 20, 5.0))
    last = version.times.last_before(50.0)
    assert last is not None
    assert last.flow_id == "short"
    last = version.times.last_before(6.0 + GAP + 1)
    assert last is not None
    assert last.flow_id == "long"
    assert version.times.last_before(100.0 + GAP + 1) is None
    assert version.times.last_before(0.0) is None


def test_the_newest_head_with_a_crc_counts() -> None:
    old, new = VersionHead(1.0, 10, 7), VersionHead(2.0, 10, None, appendable=True)
    for known, head in ((old, new), (new, old)):
        assert better_head(known, head) == VersionHead(1.0, 10, 7, appendable=True)
    assert better_head(None, new) is new
    assert better_head(old, VersionHead(2.0, 10, 8)).crc64 == 8
    assert total_of(Version(etag="e"), {"e": new}) == 10
    assert total_of(Version(etag="e", total=5), {"e": new}) == 5
    assert total_of(Version(), {"e": new}) is None
