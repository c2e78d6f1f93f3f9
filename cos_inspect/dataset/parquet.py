"""Files of Parquet, by pyarrow, an extra: ``pip install 'cos-inspect[fleet]'``.

A file is named by the number of the first flow, or transfer, that was put into it, and has the
same bytes whoever writes it: a task that is done twice writes it twice. One is open at a time.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as types

from cos_inspect.captures import places
from cos_inspect.dataset.columns import fields, is_moment, without_null
from cos_inspect.dataset.rows import day_of
from cos_inspect.dataset.schemas import NAMES, TABLES, VERSION, Row

_PER_ARROW = 2_000
"""Rows that wait as objects, of all tables and days together."""
_ROW_GROUP = 50_000
_MOST_BYTES = 64 * 1024 * 1024
"""Of rows, as they are handed on, that are held before files are written."""
_LEAST, _MOST = -(2**63), 2**63 - 1


def require_pyarrow() -> None:
    """:raises MissingExtraError: when it is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        package = (error.name or "pyarrow").partition(".")[0]
        raise places.MissingExtraError("--dataset", package) from None


class RowsWritten(msgspec.Struct, kw_only=True):
    """How much of a table was written."""

    rows: int = 0
    files: int = 0

    def merge(self, other: "RowsWritten") -> None:
        """Adds what others have written."""
        self.rows += other.rows
        self.files += other.files


def arrow_schema(row: type[Row]) -> Any:
    """pyarrow's schema of a table, with the version in its metadata."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.schema(
        [
            pa.field(field.name, _arrow_type(told), nullable)
            for field in fields(row)
            for told, nullable in [without_null(field.type)]
        ],
        {"schema": VERSION, "table": NAMES[row]},
    )


def _arrow_type(told: types.Type) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if is_moment(told):
        return pa.timestamp("us", "UTC")
    match told:
        case types.StrType():
            return pa.string()
        case types.IntType():
            return pa.int64()
        case types.FloatType():
            return pa.float64()
        case types.BoolType():
            return pa.bool_()
        case types.ListType():
            return pa.list_(_arrow_type(told.item_type))
        case types.DictType():
            return pa.map_(_arrow_type(told.key_type), _arrow_type(told.value_type))
        case types.StructType():
            inner = [(each.name, *without_null(each.type)) for each in fields(told.cls)]
            return pa.struct([pa.field(name, _arrow_type(of), null) for name, of, null in inner])
    raise TypeError(told)


def arrow_table(row: type[Row], rows: Sequence[Row]) -> Any:
    """Rows of one table as pyarrow has them."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    schema = arrow_schema(row)
    return pa.Table.from_arrays(
        [
            pa.array(
                _plain([getattr(each, field.name) for each in rows], without_null(field.type)[0]),
                schema.field(field.name).type,
            )
            for field in fields(row)
        ],
        schema=schema,
    )


def _plain(values: list[Any], told: types.Type) -> list[Any]:
    """What pyarrow takes."""
    match told:
        case types.IntType():
            # No other number has 64 bits; what is beyond is nobody's size.
            return [
                None if value is None or not _LEAST <= value <= _MOST else value for value in values
            ]
        case types.DictType():
            return [list(value.items()) for value in values]
        case types.ListType(item_type=types.StructType()):
            return msgspec.to_builtins(values)  # type: ignore[no-any-return]
    return values


class DatasetFiles:
    """Takes rows and writes them, by table and day, below ``place`` and under ``run``."""

    def __init__(self, place: str, run: str) -> None:
        self._place = place
        self._run = run
        self._number = 1
        self._bytes = 0
        self._rows: dict[tuple[type[Row], str], list[Row]] = {}
        self._waiting = 0
        self._tables: dict[tuple[type[Row], str], list[Any]] = {}
        self.written = {name: RowsWritten() for name in TABLES}

    def begin(self, number: int, size: int) -> None:
        """To be called before the rows of each flow, or transfer: its number, from 1, and the
        bytes that its rows had as they were handed on."""
        if self._bytes > _MOST_BYTES:
            self.write()
        if not self._bytes:
            self._number = number
        self._bytes += size

    def add(self, moment: int | None, rows: Iterable[Row]) -> None:
        """Rows of the day of this moment; in microseconds since 1970."""
        day = day_of(moment)
        for row in rows:
            self._rows.setdefault((type(row), day), []).append(row)
            self._waiting += 1
        if self._waiting >= _PER_ARROW:
            self._convert()

    def _convert(self) -> None:
        for (row, day), rows in self._rows.items():
            self._tables.setdefault((row, day), []).append(arrow_table(row, rows))
        self._rows.clear()
        self._waiting = 0

    def write(self) -> None:
        """Writes all that was taken.

        :raises OSError: when a file cannot be written.
        """
        import pyarrow as pa  # noqa: PLC0415 - an extra

        self._convert()
        for row, day in sorted(self._tables, key=lambda each: (NAMES[each[0]], each[1])):
            table = pa.concat_tables(self._tables.pop((row, day))).combine_chunks()
            self._write(row, day, table, f"{self._number:09d}")
        self._bytes = 0

    def write_empty(self, row: type[Row], day: str) -> None:
        """A file without rows, so that who reads the table finds one."""
        self._write(row, day, arrow_table(row, []), "none")

    def _write(self, row: type[Row], day: str, table: Any, name: str) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        folder = f"{NAMES[row]}/run={self._run}/day={day}"
        with places.NewFile(places.join(self._place, folder, f"{name}.parquet")) as file:
            # For its owner alone, as reports are.
            Path(file.path).touch(mode=0o600)
            pq.write_table(table, file.path, compression="zstd", row_group_size=_ROW_GROUP)
        written = self.written[NAMES[row]]
        written.rows += table.num_rows
        written.files += 1
