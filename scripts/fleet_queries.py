"""Asks DuckDB of a dataset what the reports say, and the queries of FLEET.md."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from scripts.fleet_compare import Reports

FLEET = Path(__file__).resolve().parent.parent / "cos_inspect" / "FLEET.md"
_SQL = re.compile(r"```sql\n(.*?)```", re.DOTALL)


class Asked(NamedTuple):
    """A query of FLEET.md and its answer."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def ask(dataset: Path) -> tuple[duckdb.DuckDBPyConnection, list[Asked]]:
    """The answers of all queries of FLEET.md, in their order; the views are there then."""
    connection = duckdb.connect()
    asked: list[Asked] = []
    for text in _SQL.findall(FLEET.read_text(encoding="utf-8")):
        connection.execute(text.replace("'lab/", f"'{dataset}/"))
        if "CREATE VIEW" not in text:
            columns = [str(column[0]) for column in connection.description or ()]
            asked.append(Asked(columns, connection.fetchall()))
    return connection, asked


def odd_in(connection: duckdb.DuckDBPyConnection, reports: Reports) -> Iterator[str]:
    """What the tables say otherwise than the reports."""
    flows = list(reports.by_flow.values())
    for what, query, expected in (
        (
            "flows by verdict",
            "SELECT verdict, count(*) FROM flows GROUP BY verdict",
            Counter(each["verdict"] for each in flows),
        ),
        (
            "findings by rule",
            "SELECT rule, count(*) FROM findings GROUP BY rule",
            Counter(found["rule"] for each in flows for found in each["findings"]),
        ),
        (
            "findings by device",
            "SELECT flows.device, count(*) FROM findings JOIN flows USING (run, sequence)"
            " GROUP BY flows.device",
            Counter(each["labels"]["device"] for each in flows for _ in each["findings"]),
        ),
        (
            "transfers by state",
            "SELECT state, count(*) FROM transfers GROUP BY state",
            Counter(each["state"] for each in reports.summary["transfers"]),
        ),
    ):
        found = Counter(dict(connection.execute(query).fetchall()))
        if found != expected:
            yield f"{what}: {dict(found)} in the tables, {dict(expected)} in the reports"
