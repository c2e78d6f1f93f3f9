"""Captures are cut into parts and put together into shards; none is lost, and none moves."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.analyze import shards
from cos_inspect.analyze.shards import partitions_for, parts_of, shards_of, step_of
from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.inputs import Input
from cos_inspect.captures.mitm import MITM
from tests.saved.flow_files import cos_flow, saved_file


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20), st.integers(1, 99))
def test_shards_hold_all_parts_in_their_order(spans: list[tuple[int, int]], step: int) -> None:
    parts = [
        CapturePart(path=str(n), name=str(n), format=MITM, begin=begin, end=begin + size)
        for n, (begin, size) in enumerate(spans)
    ]
    made = shards_of(parts, step)
    assert [part for shard in made for part in shard.parts] == parts
    assert [shard.number for shard in made] == list(range(len(made)))
    for shard in made:
        sizes = [(part.end or 0) - part.begin for part in shard.parts]
        assert sum(sizes[:-1]) < step, "each but the last part leaves room for one more"
    for shard in made[:-1]:
        assert sum((part.end or 0) - part.begin for part in shard.parts) >= step


def test_a_large_file_is_cut_between_flows_and_a_small_one_is_not(tmp_path: Path) -> None:
    path = saved_file(tmp_path / "a.mitm", *[cos_flow(bytes(1000)) for _ in range(6)])
    size = path.stat().st_size
    given_ = Input(path=str(path), name="a.mitm")
    cut = list(parts_of(given_, size // 3))
    assert len(cut) > 1
    assert (cut[0].begin, cut[-1].end) == (0, size)
    assert [part.end for part in cut[:-1]] == [part.begin for part in cut[1:]]
    (whole,) = parts_of(given_, size)
    assert (whole.begin, whole.end) == (0, None)


def test_a_step_is_bounded_from_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_SMALLEST", 10)
    monkeypatch.setattr(shards, "_LARGEST", 100)
    (tmp_path / "a").write_bytes(bytes(400))
    given_ = [str(tmp_path / "a")]
    assert step_of(given_, 1) == 100
    assert step_of(given_, 2) == 400 // 8
    assert step_of(given_, 1000) == 10
    assert step_of(given_, 1000, smallest=30) == 30


def test_partitions_grow_with_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_PARTITION", 100)
    monkeypatch.setattr(shards, "_MOST_PARTITIONS", 5)
    for size, count in ((0, 1), (100, 1), (101, 2), (10_000, 5)):
        (tmp_path / "a.har").write_bytes(bytes(size))
        assert partitions_for([str(tmp_path / "a.har")]) == count
    assert partitions_for([], least=3) == 3
