"""Each flow counts once, whatever shards hold it, and in whatever order they are read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.analyze.counting import (
    CountedFlows,
    FlowsCounted,
    count_partition,
    first_on_connections,
)
from cos_inspect.analyze.spool import PartitionsWriter
from cos_inspect.analyze.spooled import OTHER, ConnectionUse, FlowIdentity


def written(folder: Path, prefix: str, records: list[object]) -> list[str]:
    writer = PartitionsWriter(str(folder), prefix, 1)
    for record in records:
        writer.add("", record)
    return list(writer.close().values())


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_flow_in_several_captures_the_best_known_counts(tmp_path: Path, turned: bool) -> None:
    records: list[object] = [
        FlowIdentity(1, (1, 0), 0, 0),
        FlowIdentity(1, (1, 2), 1, 4),
        FlowIdentity(1, (1, 1), 2, 9),
        FlowIdentity(2, (), 0, OTHER, "www.example.com"),
        FlowIdentity(2, (), 1, OTHER, "www.example.com"),
        FlowIdentity(3, (1, 0), 1, 5),
    ]
    found = count_partition(written(tmp_path, "a", records[::-1] if turned else records))
    assert found == FlowsCounted({0: [0], 2: [9]}, 1, {"www.example.com": 1})
    counted = CountedFlows().with_dropped(found)
    assert counted.is_dropped(0, 0)
    assert counted.is_dropped(2, 9)
    assert not counted.is_dropped(1, 4)
    assert not counted.is_dropped(2, 8)
    assert counted.others == 1


@pytest.mark.parametrize("turned", [False, True])
def test_the_first_flow_opened_the_connection(tmp_path: Path, turned: bool) -> None:
    records: list[object] = [
        ConnectionUse(7, (2.0, "b"), 0, 1),
        ConnectionUse(7, (1.0, "a"), 1, 3),
        ConnectionUse(7, (0.5, "dropped"), 2, 0),
        ConnectionUse(8, (9.0, "alone"), 0, 2),
    ]
    counted = CountedFlows().with_dropped(FlowsCounted({2: [0]}, 0, {}))
    paths = written(tmp_path, "c", records[::-1] if turned else records)
    found = counted.with_not_first(first_on_connections(paths, counted))
    later = {
        (shard, index)
        for shard in range(3)
        for index in range(8)
        if found.is_not_first(shard, index)
    }
    assert later == {(0, 1)}


@given(
    st.lists(
        st.dictionaries(
            st.integers(0, 3), st.lists(st.integers(0, 70), unique=True, max_size=5), max_size=4
        )
    )
)
@settings(max_examples=60)
def test_what_any_partition_drops_is_dropped(found: list[dict[int, list[int]]]) -> None:
    counted = CountedFlows()
    for dropped in found:
        counted = counted.with_dropped(FlowsCounted(dropped, 0, {}))
    expected = {(shard, index) for each in found for shard in each for index in each[shard]}
    assert expected == {
        (shard, index)
        for shard in range(4)
        for index in range(80)
        if counted.is_dropped(shard, index)
    }
