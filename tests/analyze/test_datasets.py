"""A dataset holds what the reports say, wherever it lies and whoever has written it."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import fsspec
import pandas
import pytest
from click.testing import CliRunner

from cos_inspect.analyze import datasets, workers
from cos_inspect.analyze.dask_executor import DaskExecutor
from cos_inspect.analyze.executors import InProcess
from cos_inspect.analyze.outcome import Outcome
from cos_inspect.analyze.run import analyze
from cos_inspect.captures import places
from cos_inspect.captures.places import MissingExtraError
from cos_inspect.cli.commands import main
from cos_inspect.dataset.rows import rows_of as real_rows_of
from cos_inspect.dataset.schemas import TABLES
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.execution import label_of, where_of
from tests.analyze import stories
from tests.analyze.soup import Soup
from tests.analyze.test_any_split import ALL_BAD, ALL_FINE, dealt, saved, small_shards
from tests.analyze.test_dask_executor import MARK, end_once
from tests.captures_at_urls import s3_server

FLEET = Path(__file__).resolve().parents[2] / "cos_inspect" / "FLEET.md"
QUERIES = re.findall(r"```sql\n(.*?)```", FLEET.read_text("utf-8"), re.DOTALL)
_write_flows = datasets.write_flows
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Stories that went wrong, those that went well an hour later, some flows twice."""
    folder = tmp_path_factory.mktemp("captures")
    fine = [flow.copy() for flow in ALL_FINE.flows if "again" in flow.id]
    flows = [*ALL_BAD.flows, *fine]
    for number, flow in enumerate(fine):
        flow.id = f"fine-{number}"
    return saved(folder, dealt(flows, 5, random.Random(4), twice=9))


def analyzed(
    paths: Sequence[Path],
    dataset: str,
    reports: Path | None = None,
    *,
    labelled: bool = True,
    **settings: Any,
) -> Outcome:
    labels = (label_of("{device}.mitm"), label_of("lab=shenzhen")) if labelled else ()
    chosen = AnalysisSettings(
        report_dir=reports,
        formats=("json",),
        quiet=True,
        dataset=dataset,
        labels=labels,
        **settings,
    )
    return analyze([str(path) for path in paths], chosen, lambda _: None, lambda _: None)


def table(dataset: str, name: str) -> Rows:
    """As DuckDB reads it; ``run`` is left out."""
    found = duckdb.sql(
        f"SELECT * EXCLUDE (run) FROM read_parquet('{dataset}/{name}/*/*/*.parquet',"
        " hive_partitioning = true, hive_types_autocast = false)"
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def content(dataset: str, without: Sequence[str] = ("sequence",)) -> dict[str, list[str]]:
    """Rows of all tables, in any order, without what the order of captures decides."""
    return {
        name: sorted(
            json.dumps(row | dict.fromkeys(without), default=str, sort_keys=True)
            for row in table(dataset, name)
        )
        for name in TABLES
    }


class Analyzed(NamedTuple):
    dataset: str
    reports: list[dict[str, Any]]
    summary: dict[str, Any]
    outcome: Outcome


@pytest.fixture(scope="module")
def here(captures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Analyzed:
    folder = tmp_path_factory.mktemp("here")
    outcome = analyzed(captures, str(folder / "lab"), folder / "reports")
    assert outcome.errors == []
    reports = [json.loads(path.read_bytes()) for path in (folder / "reports/flows").iterdir()]
    summary = json.loads((folder / "reports/summary.json").read_bytes())
    return Analyzed(str(folder / "lab"), reports, summary, outcome)


def at(report: Any, path: str) -> Any:
    for name in path.split("."):
        report = None if report is None else report.get(name)
    return report


SAME = {
    "flow_id": "flow_id", "sequence": "sequence", "verdict": "verdict", "ticket": "ticket",
    "operation": "cos.operation", "level": "cos.level", "bucket": "cos.bucket",
    "appid": "cos.appid", "region": "cos.region", "key": "cos.key", "endpoint": "cos.endpoint",
    "client_name": "cos.client.name", "client_version": "cos.client.version",
    "client_platform": "cos.client.platform", "client_wrapper": "cos.client.wrapper",
    "labels": "labels", "device": "labels.device",
    "method": "request.method", "url": "request.url", "http_version": "request.http_version",
    "status": "response.status", "answered_by": "response.by",
    "error_code": "error.code", "error_message": "error.message",
    "request_id": "ids.request_id", "trace_id": "ids.trace_id",
    "transfer_kind": "transfer.kind", "transfer_id": "transfer.id",
    "position": "transfer.position", "attempt": "transfer.attempt",
    **{f"{side}_{name}": f"{side}.body.{name}"
       for side in ("request", "response")
       for name in ("size", "md5", "crc64ecma", "complete", "encoding")},
    **{name: f"timing.{name}"
       for name in ("total_ms", "connect_ms", "tls_ms", "request_ms", "wait_ms", "response_ms")},
    **{name: f"connection.{name}"
       for name in ("client", "server", "sni", "tls", "by_address", "clock_seconds")},
    "encryption": "encryption.mode", "broke_off_by": "broke_off.by",
}  # fmt: skip


def test_flows_are_the_reports(here: Analyzed) -> None:
    reports = {report["sequence"]: report for report in here.reports}
    found = {row["sequence"]: row for row in table(here.dataset, "flows")}
    assert found.keys() == reports.keys()
    assert len(found) > 60
    for number, row in found.items():
        report = reports[number]
        assert {name: row[name] for name in SAME} == {
            name: at(report, path) for name, path in SAME.items()
        }
        assert row["healed"] == bool(at(report, "transfer.healed"))
        assert row["started"].timestamp() == pytest.approx(
            pandas.Timestamp(report["started"]).timestamp(), abs=1e-6
        )
        assert row["day"] == report["started"][:10]
        assert f"https://{row['host']}/" in report["request"]["url"].replace("http:", "https:")
        assert row["capture"].endswith(f"{row['device']}.mitm")
        assert set(row["rules"]) == {finding["rule"] for finding in report["findings"]}
        statuses = Counter(check["status"] for check in report["checks"])
        for column, status in (
            ("checks_matched", "match"),
            ("checks_mismatched", "mismatch"),
            ("checks_skipped", "skipped"),
        ):
            assert row[column] == statuses[status]
        assert row["user_agent"] == next(
            each["value"] for each in report["request"]["headers"] if each["name"] == "User-Agent"
        )


def test_findings_and_checks_are_the_reports(here: Analyzed) -> None:
    findings = {(row["sequence"], row["number"]): row for row in table(here.dataset, "findings")}
    expected = {
        (report["sequence"], number): (report, finding)
        for report in here.reports
        for number, finding in enumerate(report["findings"], 1)
    }
    assert findings.keys() == expected.keys()
    for name, row in findings.items():
        report, finding = expected[name]
        for member in ("rule", "group", "severity", "title", "detail", "fix"):
            assert row[member] == finding[member]
        assert json.loads(row["evidence"]) == finding["evidence"]
        assert (row["flow_id"], row["ticket"]) == (report["flow_id"], report["ticket"])
    members = ("check", "body", "status", "reason", "expected", "actual")
    checks = Counter(
        (row["sequence"], *(row[member] for member in members))
        for row in table(here.dataset, "checks")
    )
    assert checks == Counter(
        (report["sequence"], *(check[member] for member in members))
        for report in here.reports
        for check in report["checks"]
    )


def test_what_flows_say_together_is_the_summary(here: Analyzed) -> None:
    rows = {(row["kind"], row["id"], row["key"]): row for row in table(here.dataset, "transfers")}
    transfers = {
        (each["kind"], each["id"], each["key"]): each for each in here.summary["transfers"]
    }
    assert rows.keys() == transfers.keys()
    members = (
        "bucket", "state", "verdict", "size", "parts", "tries", "bytes_sent_twice", "duration_ms",
        "throughput", "notice", "flows",
    )  # fmt: skip
    for name, row in rows.items():
        transfer = transfers[name]
        assert {member: row[member] for member in members} == {
            member: transfer.get(member) for member in members
        }
        assert [each["rule"] for each in row["findings"]] == [
            each["rule"] for each in transfer["findings"]
        ]
        assert [(each["check"], each["status"]) for each in row["checks"]] == [
            (each["check"], each["status"]) for each in transfer["checks"]
        ]
    parts = {
        (row["transfer_id"], row["number"], row["flow_id"], row["etag"], row["md5"])
        for row in table(here.dataset, "transfer_parts")
    }
    assert parts == {
        (each["id"], part["number"], part["flow"], part["etag"], part["md5"])
        for each in here.summary["transfers"]
        for part in each["part_table"]
    }
    assert parts
    retries = [(row["id"], row["flows"], row["causes"]) for row in table(here.dataset, "retries")]
    assert retries
    assert sorted(retries) == sorted(
        (each["id"], each["flows"], each["causes"]) for each in here.summary["retries"]
    )


def test_connections_and_captures(here: Analyzed) -> None:
    connections = {row["flow_id"]: row for row in table(here.dataset, "connections")}
    failed = [report for report in here.reports if report["broke_off"] is not None]
    assert failed
    assert connections.keys() >= {report["flow_id"] for report in failed}
    for report in failed:
        row, told = connections[report["flow_id"]], report["broke_off"]
        assert (row["failed"], row["said"]) == (told["by"], told["said"])
    members = ("file", "format", "program", "exchanges", "bytes_lost", "packets_lost")
    rows = table(here.dataset, "captures")
    assert sorted(tuple(row[member] for member in members) for row in rows) == sorted(
        tuple(each[member] for member in members) for each in here.summary["captures"]
    )
    flows = Counter(row["capture"] for row in table(here.dataset, "flows"))
    assert {row["file"]: row["flows"] for row in rows} == flows
    for row in rows:
        own = [each for each in table(here.dataset, "flows") if each["capture"] == row["file"]]
        assert row["started"] == min(each["started"] for each in own)


def test_the_summary_counts_what_the_reports_say(here: Analyzed) -> None:
    told = json.loads(places.read(f"{here.dataset}/summary.json"))
    assert told["schema"] == "cos-inspect/dataset/1"
    counts = here.summary["counts"]
    for name in ("flows", "verdict", "rule", "operation", "host", "client", "transfers"):
        assert told["counts"][name] == counts[name], name
    (run,) = told["runs"]
    assert run["whole"]
    for name in TABLES:
        assert run["tables"][name]["rows"] == len(table(here.dataset, name))
    assert here.outcome.dataset == f"{here.dataset}, run={run['run']}"


def test_pandas_reads_every_table(here: Analyzed) -> None:
    for name in TABLES:
        frame = pandas.read_parquet(f"{here.dataset}/{name}")
        assert len(frame) == len(table(here.dataset, name))
        assert set(frame["day"].astype(str)) == {row["day"] for row in table(here.dataset, name)}
    flows = pandas.read_parquet(f"{here.dataset}/flows")
    assert str(flows["started"].dt.tz) == "UTC"
    assert (
        flows.groupby("verdict", observed=True).size().to_dict()
        == here.summary["counts"]["verdict"]
    )


def queried(dataset: str) -> list[Rows]:
    """What the queries of the document say, in order."""
    assert len(QUERIES) == 4
    found = []
    with duckdb.connect() as connection:
        for query in QUERIES:
            result = connection.execute(query.replace("'lab/", f"'{dataset}/"))
            names = [column[0] for column in result.description or ()]
            found.append([dict(zip(names, row, strict=True)) for row in result.fetchall()])
    return found[1:]


def test_what_fails_most_by_client_version(here: Analyzed) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    tickets: dict[tuple[Any, ...], set[str]] = {}
    for report in here.reports:
        if at(report, "transfer.healed"):
            continue
        for finding in report["findings"]:
            if finding["severity"] != "notice":
                client = at(report, "cos.client.name"), at(report, "cos.client.version")
                expected[finding["rule"], *client] += 1
                tickets.setdefault((finding["rule"], *client), set()).add(report["ticket"])
    failing = queried(here.dataset)[0]
    assert {
        (row["rule"], row["client_name"], row["client_version"]): row["flows"] for row in failing
    } == expected
    counts = [row["flows"] for row in failing]
    assert counts == sorted(counts, reverse=True)
    for row in failing:
        known = tickets[row["rule"], row["client_name"], row["client_version"]]
        assert row["ticket"] in known | {None}
    assert len(failing) > 5


def test_which_uploads_are_not_whole(here: Analyzed) -> None:
    expected = {
        each["id"]: (each["state"], each["verdict"], each["parts"])
        for each in here.summary["transfers"]
        if each["kind"] == "multipart-upload"
        and (each["state"] != "completed" or each["verdict"] == "error")
    }
    bad = queried(here.dataset)[1]
    assert {row["id"]: (row["state"], row["verdict"], row["parts"]) for row in bad} == expected
    assert len(bad) == len(expected) > 1
    for row in bad:
        assert row["devices"] == sorted(
            {
                at(report, "labels.device")
                for report in here.reports
                if f"uploadId={row['id']}" in report["request"]["url"]
                or at(report, "transfer.id") == row["id"]
            }
        )


def test_the_95th_percentile_by_region_and_device(here: Analyzed) -> None:
    groups: dict[tuple[Any, ...], list[float]] = {}
    for report in here.reports:
        if report["response"] is not None and report["response"]["status"] < 400:
            name = (
                at(report, "cos.region"),
                at(report, "labels.device"),
                at(report, "cos.operation"),
            )
            groups.setdefault(name, []).append(report["timing"]["total_ms"])
    found = queried(here.dataset)[2]
    assert {(row["region"], row["device"], row["operation"]): row["flows"] for row in found} == {
        name: len(times) for name, times in groups.items()
    }
    for row in found:
        times = pandas.Series(groups[row["region"], row["device"], row["operation"]])
        assert row["p95_ms"] == pytest.approx(times.quantile(0.95), abs=0.06)


def test_queries_leave_out_what_is_not_whole(
    captures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = str(tmp_path / "lab")
    analyzed(captures[:2], dataset)
    before = queried(dataset)

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "write_transfers", fails)
        outcome = analyzed(captures[2:], dataset)
    assert outcome.dataset is None
    assert outcome.errors == [f"the dataset is not whole: {dataset}: No space left on device"]
    assert len(places.names_in(f"{dataset}/flows")) == 2
    assert [sorted(map(str, each)) for each in queried(dataset)] == [
        sorted(map(str, each)) for each in before
    ]
    analyzed(captures[2:], dataset)
    told = json.loads(places.read(f"{dataset}/summary.json"))
    assert len(told["runs"]) == 2
    assert told["counts"]["flows"] == sum(run["flows"] for run in told["runs"])
    assert sum(row["flows"] for row in queried(dataset)[0]) > sum(row["flows"] for row in before[0])


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_captures_changes_no_row(
    order: str, captures: list[Path], here: Analyzed, tmp_path: Path
) -> None:
    paths = captures[::-1]
    if order == "shuffled":
        paths = random.Random(5).sample(captures, len(captures))
    analyzed(paths, str(tmp_path / "lab"))
    assert content(str(tmp_path / "lab")) == content(here.dataset)


def files(dataset: str) -> dict[str, bytes]:
    """But for the run's name."""
    return {
        re.sub(r"run=[^/]+", "run=", str(path.relative_to(dataset))): path.read_bytes()
        for path in sorted(Path(dataset).rglob("*.parquet"))
    }


@pytest.fixture
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cos_inspect.analyze.shards._SMALLEST", 1)
    monkeypatch.setattr("cos_inspect.analyze.shards._LARGEST", 200_000)
    monkeypatch.setattr("cos_inspect.analyze.shards._PARTITION", 1)
    monkeypatch.setattr("cos_inspect.analyze.shards._MOST_PARTITIONS", 5)
    monkeypatch.setattr("cos_inspect.analyze.ordered_writing._PER_CHUNK", 7)
    monkeypatch.setattr(DaskExecutor, "smallest_shard", 1)


@pytest.mark.usefixtures("many_shards")
@pytest.mark.parametrize("jobs", [1, 2])
def test_however_it_is_divided_the_files_are_the_same(
    jobs: int, captures: list[Path], here: Analyzed, tmp_path: Path
) -> None:
    analyzed(captures, str(tmp_path / "lab"), jobs=jobs)
    assert files(str(tmp_path / "lab")) == files(here.dataset)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, s3_server("lab", patch) as client:
        yield client


def copied(place: str, folder: Path) -> str:
    """What lies at a URL, in a folder."""
    for url in places.files_below(place):
        path = folder / url.removeprefix(place).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(places.read(url))
    return str(folder)


def write_and_end(*call: Any) -> Any:
    found = _write_flows(*call)
    end_once()
    return found


@pytest.mark.usefixtures("many_shards")
def test_a_cluster_writes_the_same_files(
    captures: list[Path],
    here: Analyzed,
    tmp_path: Path,
    s3: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when a worker is ended after it has written, and nobody hears of it."""
    dataset = "s3://lab/of-a-cluster"
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    monkeypatch.setattr(datasets, "write_flows", write_and_end)
    outcome = analyzed(captures, dataset, where=where_of("dask:2"), scratch=str(tmp_path / "s"))
    assert outcome.errors == []
    assert (tmp_path / "mark").exists()
    found = copied(dataset, tmp_path / "copy")
    assert files(found) == files(here.dataset)
    told = json.loads((tmp_path / "copy" / "summary.json").read_bytes())
    assert told["counts"]["flows"] == len(here.reports)


class Elsewhere(InProcess):
    """As if other machines did what it does."""

    is_near = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Any:
        self.asked.append(task.__name__)
        return super().submit(task, *arguments)


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_folder_is_written_by_the_machine_that_asks(
    place: str,
    captures: list[Path],
    here: Analyzed,
    tmp_path: Path,
    s3: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What other machines call by the same name is another folder."""
    executor = Elsewhere()
    monkeypatch.setattr("cos_inspect.analyze.run.near_executor", lambda *_: executor)
    dataset = "s3://lab/elsewhere" if place == "s3" else str(tmp_path / "lab")
    analyzed(captures, dataset)
    found = copied(dataset, tmp_path / "copy") if place == "s3" else dataset
    assert files(found) == files(here.dataset)
    assert ("write_flows" in executor.asked) == (place == "s3")


@pytest.mark.parametrize("place", ["s3://lab/dataset", "cos://lab/cos", "memory://dataset"])
def test_a_dataset_at_a_url(
    place: str, captures: list[Path], here: Analyzed, tmp_path: Path, s3: object
) -> None:
    """Two processes: what only one of them sees, one of them writes."""
    outcome = analyzed(captures, place, jobs=2)
    assert outcome.errors == []
    assert files(copied(place, tmp_path / "copy")) == files(here.dataset)
    if place.startswith("s3"):
        # As the document says; read where it lies.
        with duckdb.connect() as connection:
            connection.register_filesystem(fsspec.filesystem("s3"))
            found = connection.sql(
                f"SELECT count(*) FROM read_parquet('{place}/flows/*/*/*.parquet')"
            ).fetchall()
        assert found == [(len(here.reports),)]


def test_nothing_is_renamed_or_deleted_at_a_url(
    captures: list[Path], s3: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    filesystem = fsspec.get_filesystem_class("s3")
    real = filesystem._call_s3

    async def call(self: Any, method: str, *arguments: Any, **more: Any) -> Any:
        asked.append((method, str(more.get("Key") or arguments)))
        return await real(self, method, *arguments, **more)

    monkeypatch.setattr(filesystem, "_call_s3", call)
    analyzed(captures[:1], "s3://lab/asked")
    methods = {method for method, _ in asked}
    assert "put_object" in methods
    assert not [name for name in methods if "delete" in name or "copy" in name]
    puts = [key for method, key in asked if method == "put_object"]
    assert puts[-1].endswith("asked/summary.json")


def twice(task: Callable[..., Any]) -> Callable[..., Any]:
    def done_twice(*arguments: Any) -> Any:
        task(*arguments)
        return task(*arguments)

    return done_twice


def test_tasks_that_run_twice_write_the_same(
    captures: list[Path], here: Analyzed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (datasets, "write_flows"),
        (datasets, "write_transfers"),
        (workers, "write_chunk"),
        (workers, "_join"),
    ):
        monkeypatch.setattr(module, name, twice(getattr(module, name)))
    analyzed(captures, str(tmp_path / "lab"))
    assert files(str(tmp_path / "lab")) == files(here.dataset)


def test_files_hold_so_many_flows(
    captures: list[Path], here: Analyzed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_PER_FILE", 10)
    monkeypatch.setattr("cos_inspect.analyze.ordered_writing._PER_CHUNK", 7)
    dataset = str(tmp_path / "lab")
    analyzed(captures, dataset)
    assert content(dataset) == content(here.dataset)
    names = sorted(path.name for path in Path(dataset, "flows").rglob("*.parquet"))
    assert names == [f"{number:09d}.parquet" for number in range(1, len(here.reports) + 1, 10)]
    assert len(list(Path(dataset, "transfers").rglob("*.parquet"))) > 1


def test_a_later_run_goes_on_counting_in_the_reports_and_joins_all_the_same(
    captures: list[Path], tmp_path: Path
) -> None:
    for _ in range(2):
        analyzed(captures[:1], str(tmp_path / "lab"), tmp_path / "reports")
    rows = table(str(tmp_path / "lab"), "flows")
    numbers = [row["sequence"] for row in rows]
    assert len(set(numbers)) == len(numbers) == 2 * (len(rows) // 2)
    names = {path.name for path in Path(tmp_path, "lab", "flows").rglob("*.parquet")}
    assert names == {"000000001.parquet"}


def test_nothing_but_other_traffic_leaves_tables_without_rows(tmp_path: Path) -> None:
    flow = stories.get("a", b"abc", 1)
    flow.request.url = "https://www.example.com/"
    flow.request.headers["Host"] = "www.example.com"
    flow.response.headers = stories._fields({"Server": "other"})  # type: ignore[union-attr]
    analyzed(saved(tmp_path, [[flow]]), str(tmp_path / "lab"))
    for name in TABLES:
        assert len(table(str(tmp_path / "lab"), name)) == (1 if name == "captures" else 0)
    told = json.loads(places.read(f"{tmp_path}/lab/summary.json"))
    assert (told["others"], told["counts"]["flows"]) == (1, 0)


def test_a_flow_without_a_time_is_of_an_unknown_day(tmp_path: Path) -> None:
    paths = Path(__file__).parents[1] / "saved" / "captures"
    dataset = str(tmp_path / "lab")
    analyzed([paths / "no-start.har", paths / "time-beyond-every-calendar.mitm"], dataset)
    rows = table(dataset, "flows")
    assert {row["started"] is None for row in rows} == {True, False}
    for row in rows:
        assert (row["day"] == "unknown") == (row["started"] is None)


def test_what_cannot_be_read_is_counted(captures: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mitm"
    broken.write_bytes(captures[0].read_bytes()[:-20])
    dataset = str(tmp_path / "lab")
    outcome = analyzed([broken, captures[1]], dataset)
    assert len(outcome.errors) == 1
    told = json.loads(places.read(f"{dataset}/summary.json"))
    assert told["runs"][0]["errors"] == 1
    assert told["lost"]["count"] == told["runs"][0]["lost"] == outcome.lost.count > 0


def test_reports_that_cannot_be_made_leave_the_others(
    captures: list[Path], here: Analyzed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = {report["flow_id"] for report in here.reports if report["sequence"] in (3, 11)}

    def rows_of(report: Any, capture: str) -> Any:
        if report.flow_id in odd:
            raise ValueError("odd")
        return real_rows_of(report, capture)

    monkeypatch.setattr(datasets, "rows_of", rows_of)
    monkeypatch.setattr(datasets, "_PER_FILE", 10)
    outcome = analyzed(captures, str(tmp_path / "lab"))
    assert outcome.lost.count == 2
    found = {row["flow_id"] for row in table(str(tmp_path / "lab"), "flows")}
    assert found == {report["flow_id"] for report in here.reports} - odd


def test_the_command_says_where_it_is(captures: list[Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        ["analyze", str(captures[0]), "--report-dir=", f"--dataset=file://{tmp_path}/lab"],
    )
    assert result.exit_code == 0, result.output
    assert re.search(rf"(?m)^    dataset    {tmp_path}/lab, run=2\S+$", result.output)
    assert (tmp_path / "lab" / "summary.json").exists()
    assert (tmp_path / "lab").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("place", "said"),
    [("nowhere://lab", "nowhere"), ("s3://not-there/x", "not-there"), ("/proc/lab", "/proc")],
)
def test_a_place_where_nothing_can_be_written_is_refused_at_once(
    place: str, said: str, captures: list[Path], tmp_path: Path, s3: object
) -> None:
    result = CliRunner().invoke(
        main,
        ["analyze", str(captures[0]), f"--report-dir={tmp_path}/reports", f"--dataset={place}"],
    )
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith("cos-inspect: ")
    assert said in line
    assert not (tmp_path / "reports").exists()


def test_a_name_that_is_no_text(captures: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.mitm")
    odd.write_bytes(captures[0].read_bytes())
    dataset = str(tmp_path / "lab")
    assert analyzed([odd], dataset).errors == []
    (row,) = table(dataset, "captures")
    assert row["file"].endswith("/\N{REPLACEMENT CHARACTER}.mitm")
    assert row["flows"] == len(table(dataset, "flows")) > 0


@pytest.mark.parametrize("seed", range(4))
def test_however_traffic_is_dealt_the_rows_are_the_same(seed: int, tmp_path: Path) -> None:
    rest = random.Random(seed)
    flows = Soup(rest, 20.0, overlaps=True).flows(80)
    folders = [tmp_path / "one", tmp_path / "many"]
    for folder in folders:
        folder.mkdir()
    whole = saved(folders[0], [flows])
    parted = saved(folders[1], dealt(flows, 4, rest, twice=10))
    analyzed(whole, str(folders[0] / "lab"), labelled=False)
    with small_shards(3000, 3):
        analyzed(parted, str(folders[1] / "lab"), labelled=False)
    one, many = (content(str(folder / "lab"), ("capture", "sequence")) for folder in folders)
    for name in TABLES.keys() - {"captures"}:
        assert one[name] == many[name]
    assert one["flows"]


@pytest.mark.parametrize("where", ["beside", "there already"])
def test_a_report_directory_is_no_dataset(where: str, captures: list[Path], tmp_path: Path) -> None:
    """Both have a ``summary.json``."""
    call = ["analyze", str(captures[0]), f"--report-dir={tmp_path}/reports", "--format=json"]
    if where == "there already":
        CliRunner().invoke(main, call)
        before = (tmp_path / "reports" / "summary.json").read_bytes()
        call[2] = "--report-dir="
    result = CliRunner().invoke(main, [*call, f"--dataset={tmp_path}/reports"])
    assert result.exit_code == 2
    if where == "there already":
        assert result.output == (
            f"cos-inspect: {tmp_path}/reports: its summary.json is of cos-inspect/summary/1, not"
            " of cos-inspect/dataset/1\n"
        )
        assert (tmp_path / "reports" / "summary.json").read_bytes() == before
    else:
        assert "--dataset and --report-dir need places of their own" in result.output
        assert not (tmp_path / "reports").exists()


def test_one_url_is_not_for_both(captures: list[Path], s3: object) -> None:
    call = ["analyze", str(captures[0]), "--report-dir=s3://lab/same", "--dataset=s3://lab/same/"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2
    assert "places of their own" in result.output
    assert places.names_in("s3://lab/same") == []


def test_workers_without_pyarrow_leave_the_reports(
    captures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise MissingExtraError("--dataset", "pyarrow")

    monkeypatch.setattr(datasets, "write_flows", missing)
    outcome = analyzed(captures[:1], str(tmp_path / "lab"), tmp_path / "reports")
    assert outcome.dataset is None
    (line,) = outcome.errors
    assert line.startswith("the dataset is not whole: --dataset needs the package pyarrow")
    assert (tmp_path / "reports" / "summary.json").exists()
    assert not (tmp_path / "lab" / "summary.json").exists()


def test_without_pyarrow_one_line_says_what_is_missing(
    captures: list[Path], tmp_path: Path
) -> None:
    """All else works: nothing else imports it."""
    script = (
        "import sys; sys.modules['pyarrow'] = None; sys.modules['pyarrow.parquet'] = None;"
        "from cos_inspect.cli.commands import main; main()"
    )
    call = [sys.executable, "-c", script, "analyze", str(captures[0]), "--report-dir="]
    done = subprocess.run(call, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    call.append(f"--dataset={tmp_path / 'lab'}")
    done = subprocess.run(call, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "cos-inspect: --dataset needs the package pyarrow: pip install 'cos-inspect[fleet]'"
        " brings it\n"
    )


@pytest.mark.parametrize("within", ["", "/deeper/still"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_is_no_place_for_a_dataset(captures: list[Path], scheme: str, within: str) -> None:
    before = captures[0].read_bytes()
    call = [
        "analyze",
        str(captures[0]),
        "--report-dir=",
        f"--dataset={scheme}{captures[0]}{within}",
    ]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2
    assert "Invalid value for '--dataset'" in result.output
    assert f"{captures[0]} is not a directory" in result.output
    assert captures[0].read_bytes() == before
