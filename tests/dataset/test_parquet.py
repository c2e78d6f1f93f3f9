"""What is written is what was given, as pyarrow and DuckDB read it."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect as types

from cos_inspect.dataset import parquet
from cos_inspect.dataset.columns import columns, fields, is_moment, without_null
from cos_inspect.dataset.parquet import DatasetFiles, arrow_schema
from cos_inspect.dataset.rows import day_of, rows_of
from cos_inspect.dataset.schemas import TABLES, VERSION, Row
from cos_inspect.model.plain_text import packed
from tests.report.build import finding, flow_report

DAYS = st.integers(1795305600_000000, 1795305600_000000 + 3 * 86400_000000)


def values(told: types.Type) -> st.SearchStrategy[Any]:
    told, nullable = without_null(told)
    found: st.SearchStrategy[Any]
    if is_moment(told):
        found = DAYS
    else:
        match told:
            case types.StrType():
                found = st.text(max_size=20)
            case types.IntType():
                found = st.integers(-(2**63), 2**63 - 1)
            case types.FloatType():
                found = st.floats(allow_nan=False)
            case types.BoolType():
                found = st.booleans()
            case types.ListType():
                found = st.lists(values(told.item_type), max_size=3)
            case types.DictType():
                found = st.dictionaries(values(told.key_type), values(told.value_type), max_size=3)
            case types.StructType():
                found = rows(told.cls)
            case _:
                raise TypeError(told)
    return st.none() | found if nullable else found


def rows(row: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({field.name: values(field.type) for field in fields(row)}).map(
        lambda given: row(**given)
    )


def expected(row: Row) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in row.__struct_fields__}
    for name, value in plain.items():
        if isinstance(value, dict):
            plain[name] = list(value.items())
        elif isinstance(value, list):
            plain[name] = msgspec.to_builtins(value)
    return plain


def read_back(path: Path) -> list[dict[str, Any]]:
    table = pq.ParquetFile(path).read()
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
    found: list[dict[str, Any]] = table.to_pylist()
    return found


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_is_read_again(name: str, data: st.DataObject) -> None:
    row = TABLES[name]
    given_rows = data.draw(st.lists(rows(row), min_size=1, max_size=6))
    # As they come from the spool.
    given_rows = msgspec.msgpack.decode(packed(given_rows), type=list[row])  # type: ignore[valid-type]
    with tempfile.TemporaryDirectory() as folder:
        files = DatasetFiles(folder, "r")
        for number, each in enumerate(given_rows, 1):
            files.begin(number, 1)
            files.add(each.started if hasattr(each, "started") else None, [each])
        files.write()
        paths = sorted(Path(folder).rglob("*.parquet"))
        found = [each for path in paths for each in read_back(path)]
        days = {path.parent.name.removeprefix("day=") for path in paths}
    by_day = sorted(given_rows, key=lambda each: day_of(getattr(each, "started", None)))
    assert found == [expected(each) for each in by_day]
    assert days == {day_of(getattr(each, "started", None)) for each in given_rows}
    assert files.written[name].rows == len(given_rows)
    assert files.written[name].files == len(paths)


@pytest.mark.parametrize("name", TABLES)
def test_a_file_says_its_schema(name: str, tmp_path: Path) -> None:
    row = TABLES[name]
    DatasetFiles(str(tmp_path), "r").write_empty(row, "2026-11-22")
    path = tmp_path / name / "run=r" / "day=2026-11-22" / "none.parquet"
    schema = pq.read_schema(path)
    assert schema == arrow_schema(row)
    assert schema.metadata == {b"schema": VERSION.encode(), b"table": name.encode()}
    assert path.stat().st_mode & 0o777 == 0o600
    # Another reader sees the same columns.
    told = duckdb.sql(f"DESCRIBE SELECT * FROM read_parquet('{path}', hive_partitioning = false)")
    kinds = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN"}
    kinds["timestamp[us, UTC]"] = "TIMESTAMP WITH TIME ZONE"
    found = {line[0]: line[1] for line in told.fetchall()}
    assert list(found) == [column.name for column in columns(row)]
    for column in columns(row):
        assert found[column.name] == kinds.get(column.type, found[column.name])
        assert column.type in kinds or column.type.startswith(("list<", "map<"))


def many(count: int) -> list[Any]:
    return [
        rows_of(
            flow_report(
                sequence=number,
                flow_id=f"f{number}",
                findings=[finding()] if number % 3 == 0 else None,
                started=f"2026-11-2{number % 2}T10:00:00.000Z",
            ),
            "a.mitm",
        )
        for number in range(1, count + 1)
    ]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def written(folder: Path, given_rows: list[Any]) -> DatasetFiles:
    files = DatasetFiles(str(folder), "r")
    for each in given_rows:
        files.begin(each.flow.sequence, len(packed(each)))
        files.add(each.flow.started, (each.flow, *each.findings, *each.checks))
    files.write()
    return files


def test_the_same_rows_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "one", many(300))
    # However few wait as objects.
    monkeypatch.setattr(parquet, "_PER_ARROW", 7)
    written(tmp_path / "other", many(300))
    written(tmp_path / "other", many(300))
    assert digests(tmp_path / "one") == digests(tmp_path / "other")
    assert len(digests(tmp_path / "one")) == 4


def test_what_is_held_is_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_MOST_BYTES", 20_000)
    files = written(tmp_path, many(300))
    names = sorted(path.stem for path in (tmp_path / "flows").rglob("*.parquet"))
    assert files.written["flows"].rows == 300
    assert len(set(names)) > 4
    assert names[0] == "000000001"
    found = duckdb.sql(f"SELECT sequence FROM '{tmp_path}/flows/*/*/*.parquet' ORDER BY 1")
    assert [number for (number,) in found.fetchall()] == list(range(1, 301))


def test_a_number_beyond_64_bits_is_no_ones_size(tmp_path: Path) -> None:
    report = flow_report()
    body = msgspec.structs.replace(report.request.body, size=2**63)
    request = msgspec.structs.replace(report.request, body=body)
    rows_of_one = rows_of(msgspec.structs.replace(report, request=request), "a.mitm")
    written(tmp_path, [rows_of_one])
    (path,) = (tmp_path / "flows").rglob("*.parquet")
    assert read_back(path)[0]["request_size"] is None


def test_without_pyarrow_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(
        Exception, match=r"^--dataset needs the package pyarrow.*cos-inspect\[fleet\]"
    ):
        parquet.require_pyarrow()
