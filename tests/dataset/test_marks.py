"""``summary.json`` names what is whole, whoever else writes it."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cos_inspect.captures import places
from cos_inspect.dataset.marks import (
    DatasetRun,
    DatasetSummary,
    check_place,
    new_run,
    write_run,
    write_summary,
)
from cos_inspect.model.summary import Counts, Lost


def told(run: str, *, whole: bool = True, flows: int = 2) -> DatasetSummary:
    return DatasetSummary(
        counts=Counts(flows=flows, verdict={"ok": flows}),
        others=1,
        lost=Lost(count=1, reasons={"disk full": 1}),
        runs=[
            DatasetRun(run=run, name="analyze", program="1", masked=True, whole=whole, flows=flows)
        ],
    )


def summary_in(place: str) -> DatasetSummary:
    return msgspec.json.decode(places.read(f"{place}/summary.json"), type=DatasetSummary)


def test_a_run_has_a_name_of_its_own_that_sorts_by_time() -> None:
    early = new_run(datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC))
    assert early.startswith("20261122T100000Z-")
    assert early != new_run(datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC))
    assert early < new_run(datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC))


@pytest.mark.parametrize("place", ["path", "memory://marks"])
def test_what_is_whole_is_counted_once(place: str, tmp_path: Path) -> None:
    place = str(tmp_path) if place == "path" else place
    write_run(place, told("b", whole=False))
    write_summary(place)
    assert "summary.json" not in places.names_in(place)
    write_run(place, told("b"))
    write_summary(place)
    write_run(place, told("a", flows=3))
    write_run(place, told("c", whole=False))
    write_summary(place)
    write_summary(place)
    found = summary_in(place)
    assert [run.run for run in found.runs] == ["a", "b"]
    assert found.counts.flows == 5
    assert found.counts.verdict == {"ok": 5}
    assert found.others == 2
    assert found.lost == Lost(count=2, reasons={"disk full": 2})


def test_a_run_that_becomes_whole_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one is written, and its summary, after this one has looked and before it writes."""
    place = str(tmp_path)
    real = places.write
    waiting = [lambda: write_run(place, told("b")), lambda: write_summary(place)]

    def write(path: str, content: bytes) -> None:
        if path.endswith("summary.json"):
            while waiting:
                waiting.pop(0)()
        real(path, content)

    write_run(place, told("a"))
    monkeypatch.setattr(places, "write", write)
    write_summary(place)
    assert [run.run for run in summary_in(place).runs] == ["a", "b"]
    assert summary_in(place).counts.flows == 4


def test_many_at_once_are_all_named(tmp_path: Path) -> None:
    def end(number: int) -> None:
        write_run(str(tmp_path), told(f"r{number}"))
        write_summary(str(tmp_path))

    threads = [threading.Thread(target=end, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = summary_in(str(tmp_path))
    assert [run.run for run in found.runs] == [f"r{number}" for number in range(8)]
    assert found.counts.flows == 16


def test_a_summary_that_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    write_run(str(tmp_path), told("a"))
    (tmp_path / "summary.json").write_bytes(b"{")
    (tmp_path / "runs" / "odd.json").write_bytes(b"\xff")
    write_summary(str(tmp_path))
    assert [run.run for run in summary_in(str(tmp_path)).runs] == ["a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": "cos-inspect/summary/1"}', "its summary.json is of cos-inspect/summary/1"),
        (b'{"schema": "cos-inspect/dataset/2"}', "its summary.json is of cos-inspect/dataset/2"),
        (b'{"counts": {}}', "its summary.json is of something else"),
    ],
)
def test_what_something_else_has_written_is_left(content: bytes, said: str, tmp_path: Path) -> None:
    check_place(str(tmp_path))
    write_run(str(tmp_path), told("a"))
    write_summary(str(tmp_path))
    check_place(str(tmp_path))
    (tmp_path / "summary.json").write_bytes(content)
    with pytest.raises(places.PlaceError, match=said):
        check_place(str(tmp_path))
