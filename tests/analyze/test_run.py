"""``cos-inspect analyze``: several captures, in several processes, to one set of reports."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner, Result

from cos_inspect.analyze import joining, shards, workers, writing
from cos_inspect.analyze.reading import ShardReader
from cos_inspect.cli.commands import main
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.schema import schema
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.saved.flow_files import HOST, cos_flow, saved_file
from tests.saved.hars import REQUEST_ID, Entry, answer_headers, as_base64, download, fields, har

BODY = b"[Object Content]"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def good(number: int = 0) -> Entry:
    return download(BODY, as_base64(BODY), time=number)


def bad(number: int = 0) -> Entry:
    return download(BODY, as_base64(b"[Object Damaged]"), time=number)


def other() -> Entry:
    entry = good()
    entry["request"] |= {"url": "https://www.example.com/", "headers": []}
    entry["response"]["headers"] = []
    return entry


class Run:
    """One call of the command in a folder of its own."""

    def __init__(self, folder: Path, *arguments: object, status: int = 0) -> None:
        self.folder = folder / "reports"
        self.result: Result = CliRunner().invoke(
            main, ["analyze", *map(str, arguments), f"--report-dir={self.folder}"]
        )
        assert self.result.exception is None or isinstance(self.result.exception, SystemExit)
        assert self.result.exit_code == status, self.result.output

    @property
    def reports(self) -> list[dict[str, Any]]:
        found = [json.loads(path.read_text()) for path in sorted(self.folder.glob("flows/*.json"))]
        for report in found:
            VALIDATOR.validate(report)
        return found

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        VALIDATOR.validate(found)
        return found


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "one.har", tmp_path / "two.mitm"
    first.write_bytes(har([good(), bad(), other()]))
    saved_file(second, cos_flow(), cos_flow())
    return first, second


def test_reports_are_in_the_order_of_the_inputs(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path, *two, "--all")
    assert [report["verdict"] for report in run.reports] == ["ok", "error", "ok", "ok"]
    assert [report["sequence"] for report in run.reports] == [1, 2, 3, 4]
    assert run.summary["counts"]["flows"] == 4
    assert run.summary["others"] == 1
    lines = run.result.stdout.splitlines()
    assert lines[0].startswith("02:00:00Z COS ok ")
    assert lines[0].endswith(" examplebucket-1250000000/a b/c.bin  ✓ CRC-64 ✓ ETag ✓ length")
    assert lines[-3:] == [
        "COS summary: 4 COS flows among 5: 1 error, 3 ok",
        "    rules      1 crc64-mismatch, 1 etag-mismatch",
        f"    reports    {run.folder / 'index.html'}",
    ]
    assert "    error: crc64-mismatch: " in run.result.stdout
    assert not run.result.stderr


def test_problems_are_told_and_the_rest_is_counted(two: tuple[Path, Path], tmp_path: Path) -> None:
    flow, detail, *_ = Run(tmp_path, *two).result.stdout.splitlines()
    assert " COS error   GetObject " in flow
    assert f"#2 request id {REQUEST_ID}" in flow
    assert detail.startswith("    error: crc64-mismatch")


def test_quiet_hides_no_error(tmp_path: Path) -> None:
    notice = good()
    del notice["response"]["headers"][:]
    notice["response"]["headers"] += [
        field for field in answer_headers(BODY) if "crc64" not in field["name"]
    ]
    capture = tmp_path / "one.har"
    capture.write_bytes(har([good(), notice, bad()]))
    lines = Run(tmp_path, capture, "--quiet").result.stdout.splitlines()
    (line,) = [line for line in lines if "Z COS " in line]
    assert "Z COS error" in line


def test_the_number_of_lines_is_bounded(tmp_path: Path) -> None:
    capture = tmp_path / "many.har"
    capture.write_bytes(har([bad(number) for number in range(60)]))
    for switches in ((), ("--quiet",)):
        lines = Run(tmp_path, capture, *switches).result.stdout.splitlines()
        assert sum("Z COS error" in line for line in lines) == 40
        assert any(
            line.startswith("… and 20 errors more: ") and line.endswith("index.html has them all")
            for line in lines
        )
    lines = Run(tmp_path, capture, "--all").result.stdout.splitlines()
    assert sum("Z COS error" in line for line in lines) == 60


def test_pages_are_written_without_being_asked_for(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path, *two)
    assert (run.folder / "index.html").exists()
    assert run.result.stdout.rstrip().endswith("index.html")


def test_runs_into_one_directory_are_told_apart(two: tuple[Path, Path], tmp_path: Path) -> None:
    Run(tmp_path, two[0])
    run = Run(tmp_path, *two, "--label", "nightly")
    first, second = run.summary["runs"]
    assert (first["id"], first["name"], first["flows"], first["others"]) == (1, "analyze", 2, 1)
    assert (second["id"], second["name"], second["flows"]) == (2, "nightly", 4)
    assert second["verdict"] == {"ok": 3, "error": 1}
    assert second["started"] <= second["ended"]
    assert [report["run"] for report in run.reports] == [1, 1, 2, 2, 2, 2]
    assert run.summary["other_hosts"] == {"www.example.com": 2}
    rows = (run.folder / "data" / "rows-0001.js").read_text()
    assert rows.count('"run":1') == 2
    assert rows.count('"run":2') == 4


def test_github_has_annotations_and_a_summary(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    run = Run(tmp_path, *two, "--format", "github")
    told = [line for line in run.result.stdout.splitlines() if line.startswith("::")]
    assert len(told) == 2
    assert told[0].startswith("::error title=crc64-mismatch%3A ")
    assert "| error | `crc64-mismatch` | 1 |" in step.read_text()
    assert (run.folder / "index.html").exists()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    run = Run(tmp_path, *two, "--format", "github", "--format", "junit")
    assert "crc64-mismatch" in (run.folder / "step-summary.md").read_text()
    assert (run.folder / "junit.xml").exists()


def test_why_it_fails_is_the_last_line(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path, *two, "--fail-on=error", status=1)
    last = run.result.stdout.splitlines()[-1]
    assert last.startswith("    exit 1     --fail-on error: 2 findings (")
    assert "crc64-mismatch" in last


def test_without_cos_traffic_it_says_what_was_seen(tmp_path: Path) -> None:
    capture = tmp_path / "one.har"
    capture.write_bytes(har([other(), other()]))
    run = Run(tmp_path, capture, "--require-cos", status=1)
    lines = run.result.stdout.splitlines()
    assert "    seen       2 to www.example.com" in lines
    assert any("--hosts 'www.example.com'" in line for line in lines)
    assert lines[-1] == "    exit 1     --require-cos: none of 2 flows is COS traffic"


def test_a_second_run_goes_on_counting(two: tuple[Path, Path], tmp_path: Path) -> None:
    Run(tmp_path, two[1])
    assert [report["sequence"] for report in Run(tmp_path, two[1]).reports] == [1, 2, 3, 4]


def test_no_report_directory(two: tuple[Path, Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["analyze", str(two[0]), "--report-dir="])
    assert result.stdout.splitlines()[-2] == "COS summary: 2 COS flows among 3: 1 error, 1 ok"
    assert sorted(tmp_path.iterdir()) == sorted(two)


def multipart(folder: Path) -> list[Path]:
    """An upload of which two captures have a part each, and one the completion."""
    parts = [bytes([number]) * 1024 * 1024 for number in (1, 2)]
    entries = []
    for number, part in enumerate(parts, start=1):
        entry = download(part, {"text": ""})
        entry["request"] |= {
            "method": "PUT",
            "url": f"https://{HOST}/a?partNumber={number}&uploadId=x",
            "headers": fields(Host=HOST, Content_Length=str(len(part))),
            "postData": {"text": part.decode()},
        }
        entry["response"]["headers"] = [
            *(each for each in answer_headers(part) if each["name"] != "Content-Length"),
            *fields(Content_Length="0"),
        ]
        entries.append(entry)
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(
            (
                each["value"]
                for part in parts
                for each in answer_headers(part)
                if each["name"] == "ETag"
            ),
            start=1,
        )
    )
    asked = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    complete = download(b"", {"text": ""}, startedDateTime="2020-11-13T02:00:00.500Z")
    complete["request"] |= {
        "method": "POST",
        "url": f"https://{HOST}/a?uploadId=x",
        "headers": fields(Host=HOST, Content_Length=str(len(asked))),
        "postData": {"text": asked},
    }
    whole = answer_headers(b"".join(parts))
    complete["response"]["headers"] = [
        each for each in whole if each["name"] not in ("Content-Length", "ETag")
    ]
    paths = []
    for name, held in (("a", [entries[0]]), ("b", [complete]), ("c", [entries[1]])):
        path = folder / f"{name}.har"
        path.write_bytes(har(held))
        paths.append(path)
    return paths


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_upload_in_several_captures_is_one_transfer(jobs: int, tmp_path: Path) -> None:
    run = Run(tmp_path, *multipart(tmp_path), f"--jobs={jobs}")
    (transfer,) = run.summary["transfers"]
    assert (transfer["parts"], transfer["state"], transfer["verdict"]) == (2, "completed", "ok")
    complete = run.reports[1]
    assert complete["transfer"]["id"] == "x"
    found = {check["check"]: check["status"] for check in complete["checks"]}
    assert (found["multipart-crc64"], found["multipart-etags"]) == ("match", "match")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_SMALLEST", 2000)


@pytest.mark.usefixtures("small_pieces")
def test_pieces_give_what_the_whole_gives(tmp_path: Path) -> None:
    flows = [cos_flow(BODY * (number + 1)) for number in range(40)]
    flows[20].server_conn.timestamp_start = 1.0
    flows[20].server_conn.timestamp_tcp_setup = 1.25
    flows[39].server_conn = flows[20].server_conn
    capture = saved_file(tmp_path / "a.mitm", *flows, flows[3])
    entries = tmp_path / "b.har"
    entries.write_bytes(har([good(number) for number in range(40)] + [{}, bad()]))
    one = Run(tmp_path / "one", capture, entries, "--jobs=1", status=2)
    several = Run(tmp_path / "several", capture, entries, "--jobs=3", status=2)
    assert len(one.reports) == 81
    assert one.summary["lost"] == {"count": 1, "reasons": {"cannot be read": 1}}
    assert several.reports == one.reports
    assert several.summary == one.summary
    assert several.result.stdout == one.result.stdout.replace("/one/", "/several/")
    assert several.result.stderr == one.result.stderr
    assert "entry 41, at byte" in one.result.stderr


def test_flows_that_were_saved_twice_count_once(tmp_path: Path) -> None:
    flow = cos_flow()
    flow.id = "3f2a9c1b-0000-4000-8000-000000000000"
    first = saved_file(tmp_path / "a", flow, flow)
    second = saved_file(tmp_path / "b", flow, cos_flow())
    assert len(Run(tmp_path / "r", first, second).reports) == 2
    assert len(Run(tmp_path / "s", first, second, "--jobs=2").reports) == 2


@pytest.mark.parametrize(
    ("level", "status"), [("never", 0), ("notice", 1), ("warning", 1), ("error", 1)]
)
def test_fail_on(level: str, status: int, two: tuple[Path, Path], tmp_path: Path) -> None:
    Run(tmp_path, two[0], f"--fail-on={level}", status=status)
    Run(tmp_path, two[1], f"--fail-on={level}")


def test_known_findings_do_not_fail(two: tuple[Path, Path], tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    Run(tmp_path, two[0], f"--write-baseline={baseline}", "--fail-on=error", status=1)
    run = Run(tmp_path, two[0], f"--baseline={baseline}", "--fail-on=error", "--format=junit")
    assert "2 known findings" in run.result.stdout
    root = ElementTree.parse(run.folder / "junit.xml").getroot()
    assert not list(root.iter("failure"))

    run = Run(tmp_path, two[1], f"--baseline={baseline}", "--fail-on=error")
    assert "0 known findings, 2 entries were not seen" in run.result.stdout
    baseline.write_text("{}]")
    Run(tmp_path, two[1], f"--baseline={baseline}", status=2)


def test_formats(two: tuple[Path, Path], tmp_path: Path) -> None:
    formats = ("jsonl", "junit", "html", "markdown")
    run = Run(tmp_path, *two, "--jobs=2", *(f"--format={name}" for name in formats))
    lines = (run.folder / "flows.jsonl").read_text().splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [1, 2, 3, 4]
    suites = ElementTree.parse(run.folder / "junit.xml").getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "2", "0", "0"]
    assert (run.folder / "index.html").exists()
    assert len(list(run.folder.glob("flows/*.md"))) == 4
    assert not run.reports


def test_require_cos(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_bytes(har([other()]))
    assert "0 COS flows among 1" in Run(tmp_path, path).result.stdout
    Run(tmp_path, path, "--require-cos", status=1)


def test_hosts_and_rules_to_leave_out(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path, two[0], "--hosts=*.example.com", "--ignore=etag-mismatch")
    assert len(run.reports) == 3
    assert [finding["rule"] for finding in run.reports[1]["findings"]] == ["crc64-mismatch"]


def test_secrets_are_masked_unless_asked_for(tmp_path: Path) -> None:
    entry = good()
    entry["request"]["headers"] += fields(x_cos_security_token="a-secret-token")
    path = tmp_path / "a.har"
    path.write_bytes(har([entry]))
    assert "a-secret-token" not in json.dumps(Run(tmp_path / "a", path).reports)
    assert "a-secret-token" in json.dumps(Run(tmp_path / "b", path, "--no-redact").reports)


BROKEN = {
    "cut.har": (har([good(), good(1)])[:-200], 1, "the file ends inside the entry that begins"),
    "cut.har.gz": (gzip.compress(har([good()]), mtime=0)[:-20], 0, "the compressed data end early"),
    "not.har": (b'{"a": 1}', 0, "holds no list of entries"),
    "empty.mitm": (b"", 0, "the file is empty"),
    "what.mitm": (b"hello", 0, "neither a flow file of mitmproxy nor a HAR"),
    "cut.mitm": (b"5000:abc", 0, "the file ends inside the flow that begins"),
}


@pytest.mark.parametrize(("name", "case"), BROKEN.items())
def test_broken_files(name: str, case: tuple[bytes, int, str], tmp_path: Path) -> None:
    content, flows, what = case
    path, fine = tmp_path / name, tmp_path / "fine.har"
    path.write_bytes(content)
    fine.write_bytes(har([good(7)]))
    run = Run(tmp_path, path, fine, status=2)
    (line,) = run.result.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {path}: ")
    assert what in line
    assert "at byte " in line
    assert len(run.reports) == flows + 1


def test_a_flow_that_cannot_be_inspected_costs_its_own_report(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = first_look

    def odd(exchange: Exchange, **more: Any) -> Any:
        if exchange.request.method == "PUT":
            raise RuntimeError("a fault of ours")
        return look(exchange, **more)

    monkeypatch.setattr("cos_inspect.analyze.reading.first_look", odd)
    saved_file(two[1], cos_flow(), cos_flow(method="PUT"), cos_flow())
    begin = len(saved_file(tmp_path / "one", cos_flow()).read_bytes())
    run = Run(tmp_path, *two, status=2)
    assert [report["verdict"] for report in run.reports] == ["ok", "error", "ok", "ok"]
    assert run.summary["lost"] == {"count": 1, "reasons": {"cannot be inspected": 1}}
    (line,) = run.result.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {two[1]}: a flow that cannot be inspected")
    assert line.endswith(f"(RuntimeError: a fault of ours), at byte {begin}")


def test_a_report_that_cannot_be_made_costs_itself_alone(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(report: FlowReport, **_more: Any) -> str:
        if report.verdict == "error":
            raise ValueError("a fault of ours")
        return "line"

    monkeypatch.setattr(writing, "flow_line", odd)
    run = Run(tmp_path, *two, status=2)
    assert [report["verdict"] for report in run.reports] == ["ok", "ok", "ok"]
    assert run.summary["lost"] == {"count": 1, "reasons": {"cannot be inspected": 1}}
    (line,) = run.result.stderr.splitlines()
    assert f"{two[0]}: a flow whose report cannot be made" in line
    assert re.search(r"at byte [1-9][0-9]*$", line)


def test_reports_stay_where_nothing_can_be_said_of_all_together(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_arguments: Any, **_more: Any) -> Any:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(joining, "list_history", odd)
    run = Run(tmp_path, *two, status=2)
    assert len(run.reports) == 4
    (line,) = run.result.stderr.splitlines()
    assert "what flows say together of one object cannot be told" in line


def test_wrong_usage(tmp_path: Path) -> None:
    Run(tmp_path, status=2)
    missing = Run(tmp_path, tmp_path / "none.mitm", status=2)
    assert f"{tmp_path}/none.mitm: No such file or directory" in missing.result.stderr
    Run(tmp_path, tmp_path, status=2)
    Run(tmp_path, "-", "--format=xml", status=2)
    Run(tmp_path, "-", "--hosts=http://a", status=2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_pipes_are_read_once(jobs: int, two: tuple[Path, Path], tmp_path: Path) -> None:
    pipes = []
    for path in two:
        read, write = os.pipe()
        Thread(target=fill, args=(write, path.read_bytes())).start()
        pipes.append(read)
    run = Run(tmp_path, *(f"/dev/fd/{pipe}" for pipe in pipes), two[0], f"--jobs={jobs}")
    for pipe in pipes:
        os.close(pipe)
    # Two files hold the same flows, and which of them counts depends on their names.
    assert sorted(report["verdict"] for report in run.reports) == ["error", "ok", "ok", "ok"]
    assert not run.result.stderr


def fill(pipe: int, data: bytes) -> None:
    with os.fdopen(pipe, "wb") as file:
        file.write(data)


def ended(shard: shards.Shard, settings: AnalysisSettings, folder: str, partitions: int) -> Any:
    """Stands for a process that the system ends."""
    if any(piece.path.endswith("deadly.har") for piece in shard.parts):
        os._exit(1)
    return ShardReader(shard, settings, folder, partitions).read()


@pytest.mark.parametrize("step", [1, 3000])
def test_a_process_that_is_ended_costs_its_input_alone(
    step: int, two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = tmp_path / "deadly.har"
    deadly.write_bytes(har([good()]))
    monkeypatch.setattr(workers, "_read", ended)
    # Whether it is read alone or with others.
    monkeypatch.setattr(shards, "_SMALLEST", step)
    run = Run(tmp_path, deadly, *two, "--jobs=2", status=2)
    assert [report["verdict"] for report in run.reports] == ["ok", "error", "ok", "ok"]
    assert run.summary["lost"] == {"count": 1, "reasons": {"cannot be read": 1}}
    (line,) = run.result.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {deadly}: the process that read it was ended")


def test_devices_are_no_captures(two: tuple[Path, Path], tmp_path: Path) -> None:
    for device in ("/dev/zero", "/dev/null"):
        run = Run(tmp_path / device[5:], device, two[1], status=2)
        assert len(run.reports) == 2
        assert run.result.stderr.startswith(f"cos-inspect: {device}: ")


def test_standard_input_and_start_without_mitmproxy(tmp_path: Path) -> None:
    code = (
        "import sys; from cos_inspect.cli.commands import main; "
        f"sys.argv = ['cos-inspect', 'analyze', '-', '--report-dir', {str(tmp_path / 'r')!r}]; "
        "import atexit; atexit.register(lambda: print('mitmproxy' in sys.modules)); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=har([good()]),
        capture_output=True,
        check=True,
    )
    lines = done.stdout.decode().splitlines()
    assert lines[-3] == "COS summary: 1 COS flows among 1: 1 ok"
    assert lines[-1] == "False"
    assert REQUEST_ID in next((tmp_path / "r" / "flows").iterdir()).read_text()


def test_reports_that_cannot_be_written_are_lost(two: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/flows.jsonl").mkdir()
    run = Run(tmp_path, *two, "--format=json", "--format=jsonl", "--format=junit", status=2)
    assert run.summary["lost"] == {"count": 4, "reasons": {"no file": 4}}
    assert run.summary["counts"]["flows"] == 0
    assert "    lost       4 reports: 4 no file" in run.result.stdout
    assert "COS summary: 4 COS flows among 5: 1 error, 3 ok" in run.result.stdout
    suites = ElementTree.parse(run.folder / "junit.xml").getroot()
    # What was found stands where it could be written.
    assert [suite.get("errors") for suite in suites] == ["0", "0", "0", "0", "1"]
    assert [suite.get("failures") for suite in suites] == ["0", "2", "0", "0", "0"]
    assert "flows.jsonl: is no file; move it away" in run.result.stderr


def test_everything_is_lost_where_there_is_no_directory(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: ReportDirectory, count: int) -> range:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ReportDirectory, "take_sequences", denied)
    run = Run(tmp_path, *two, "--fail-on=error", status=2)
    assert "    error: crc64-mismatch: " in run.result.stdout
    assert "    lost       4 reports: 4 no permission" in run.result.stdout
    assert not run.reports
