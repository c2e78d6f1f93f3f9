import tempfile
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.analyze.spool import (
    PartitionsWriter,
    SpoolWriter,
    hash_of,
    partition_of,
    read_at,
    records,
)
from cos_inspect.model.plain_text import packed

DECODER = msgspec.msgpack.Decoder(list[str])
RECORDS = st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=5))


@given(RECORDS)
def test_records_are_read_in_order_and_by_their_offset(values: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool"
        writer = SpoolWriter(str(path))
        for value in values:
            writer.add(packed(value))
        writer.close()
        assert list(records(str(path), DECODER)) == values
        with path.open("rb") as file:
            found = [read_at(file, offset, DECODER) for offset in reversed(writer.offsets)]
        assert found[::-1] == values


def test_what_bears_one_name_lies_in_one_partition(tmp_path: Path) -> None:
    """However much lies between, and whoever wrote it."""
    names = [f"name-{number % 50}" for number in range(2000)]
    found: dict[str, set[int]] = {}
    for prefix in ("first", "second"):
        writer = PartitionsWriter(str(tmp_path), prefix, 4)
        for name in names:
            writer.add(name, [name, "x" * 1000])
        files = writer.close()
        assert len(files) > 1
        read = [(number, value[0]) for number in files for value in records(files[number], DECODER)]
        assert sorted(name for _, name in read) == sorted(names)
        for number, name in read:
            found.setdefault(name, set()).add(number)
    assert all(len(numbers) == 1 for numbers in found.values())


def test_nothing_written_makes_no_file(tmp_path: Path) -> None:
    assert PartitionsWriter(str(tmp_path), "none", 4).close() == {}
    assert list(tmp_path.iterdir()) == []


@given(st.text(), st.integers(1, 64))
def test_partitions_are_numbered_from_zero(name: str, count: int) -> None:
    assert 0 <= partition_of(name, count) < count
    assert 0 <= hash_of(name) < 2**64


def test_a_hash_is_the_same_in_every_process() -> None:
    assert hash_of("examplebucket-1250000000") == 0x0DFC3C111B329466
