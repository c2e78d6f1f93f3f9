"""Options of the addon on a real mitmdump: wrong values are refused, right ones work."""

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import BUCKET, read_reports
from tests.end_to_end.lab import (
    ADDON_ARGUMENT,
    CUSTOM_HOST,
    Lab,
    found,
    get,
    mitmdump,
    put,
    saved_flows,
)
from tests.origin.effects import drop_headers, no_marks_of_cos, wrong_etag
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

TOKEN = "dG9rZW4tdGhhdC1pcy1zaG93bi1vbmx5LW9uLWRlbWFuZA"
FLOWS = 24

WRONG = [
    ("cos_stream=abc", "cos_stream", "abc"),
    ("cos_stream=-1", "cos_stream", "-1"),
    ("cos_redact=maybe", "cos_redact", "maybe"),
    ("cos_report_format=pdf", "cos_report_format", "pdf"),
    ("cos_ignore=nonsense", "cos_ignore", "nonsense"),
    ("cos_fail_on=fatal", "cos_fail_on", "fatal"),
    ("cos_report_dir=/dev/null/x", "cos_report_dir", "/dev/null/x"),
    ("cos_hosts=a/b", "cos_hosts", "a/b"),
    ("cos_annotate=x", "cos_annotate", "x"),
    ("cos_credentials=something", "cos_credentials", "something"),
]


def complaint(setting: str) -> tuple[int, list[str]]:
    """Exit status, and the lines that mitmdump printed about the option."""
    done = mitmdump("--no-server", ADDON_ARGUMENT, f"--set={setting}")
    assert "Traceback" not in done.stdout
    name = setting.partition("=")[0]
    return done.returncode, [line for line in done.stdout.splitlines() if name in line]


@pytest.mark.parametrize(("setting", "name", "value"), WRONG, ids=[item[0] for item in WRONG])
def test_wrong_value_stops_mitmdump(setting: str, name: str, value: str) -> None:
    status, lines = complaint(setting)
    assert status == 1
    (line,) = lines
    assert name in line
    if name == "cos_credentials":
        return
    assert repr(value) in line
    assert "allowed:" in line


def test_option_given_twice_does_not_take_the_addon_away_in_silence() -> None:
    done = mitmdump("--no-server", ADDON_ARGUMENT, "--set=cos_stream=0", "--set=cos_stream=1m")
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "cos_stream" in line)
    assert "cos_stream: given 2 times (0, 1m)" in line


def test_wrong_value_writes_nothing(capture: Path, tmp_path: Path) -> None:
    """Neither where the option said, nor where the default says."""
    done = mitmdump(
        ADDON_ARGUMENT,
        "--set=cos_redact=maybe",
        "--no-server",
        f"--rfile={capture}",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live run with several findings, secrets and a custom domain."""
    folder = tmp_path_factory.mktemp("capture")
    path = folder / "live.mitm"
    arguments = (
        "--set=cos_report_dir=",
        "--set=cos_annotate=false",
        f"--save-stream-file={path}",
    )
    with Origin() as origin:
        origin.custom_domains[CUSTOM_HOST] = BUCKET
        with Lab(origin, folder, *arguments) as lab:
            lab.damage("etag", wrong_etag())
            put()(lab, "etag")
            lab.damage("crc", drop_headers("x-cos-hash-crc64ecma"))
            put()(lab, "crc")
            lab.origin.put_object(BUCKET, "token", b"abc")
            lab.send("GET", "token", headers={"x-cos-security-token": TOKEN})
            for number in range(FLOWS - 3):
                get()(lab, f"clean-{number}")
            lab.stop()
            assert lab.status == 0
            assert not lab.report_dir.exists()
            assert lab.output.count(" COS ") >= FLOWS
        assert not origin.faults
    assert not list(folder.glob("cos-*"))
    return path


def read(capture: Path, folder: Path, *settings: str) -> Any:
    done = mitmdump(
        ADDON_ARGUMENT,
        f"--set=cos_report_dir={folder}",
        *(f"--set={setting}" for setting in settings),
        "--no-server",
        f"--rfile={capture}",
    )
    assert done.returncode == 0, done.stdout
    return done


def by_key(folder: Path, key: str) -> dict[str, Any]:
    (report,) = (report for report in read_reports(folder) if report["cos"]["key"] == key)
    return report


def test_defaults(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "reports"
    done = read(capture, folder)
    assert found(by_key(folder, "etag")) == {"etag-mismatch warning"}
    assert found(by_key(folder, "crc")) == {"crc64-missing notice"}
    assert TOKEN not in done.stdout + json.dumps(read_reports(folder))
    assert [report["sequence"] for report in read_reports(folder)] == list(range(1, FLOWS + 1))


def test_ignored_rule_redaction_off_and_jsonl(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    settings = ("cos_ignore=etag-mismatch", "cos_redact=false", "cos_report_format=jsonl")
    read(capture, folder, *settings)
    lines = [json.loads(line) for line in (folder / "flows.jsonl").read_text().splitlines()]
    assert len(lines) == FLOWS
    assert not list((folder / "flows").glob("*"))
    reports = {line["cos"]["key"]: line for line in lines}
    assert found(reports["etag"]) == frozenset()
    assert found(reports["crc"]) == {"crc64-missing notice"}
    headers = {item["name"]: item for item in reports["token"]["request"]["headers"]}
    assert headers["x-cos-security-token"]["value"] == TOKEN
    assert "redacted" not in headers["x-cos-security-token"]


def test_several_ignored_rules_and_two_formats(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    read(
        capture,
        folder,
        "cos_ignore=etag-mismatch",
        "cos_ignore=crc64-missing",
        "cos_report_format=json",
        "cos_report_format=jsonl",
    )
    assert {report["verdict"] for report in read_reports(folder)} <= {"ok"}
    assert len(read_reports(folder)) == FLOWS
    lines = [json.loads(line) for line in (folder / "flows.jsonl").read_text().splitlines()]
    assert sorted(lines, key=lambda line: int(line["sequence"])) == read_reports(folder)


def test_annotation_off_leaves_no_mark(capture: Path) -> None:
    flows = saved_flows(capture)
    assert len(flows) == FLOWS
    assert {(flow.marked, flow.comment) for flow in flows} == {("", "")}
    assert all("cos" in flow.metadata for flow in flows)


def test_second_run_goes_on_counting(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    read(capture, folder)
    first = {path.name: path.read_bytes() for path in (folder / "flows").iterdir()}
    read(capture, folder)
    reports = read_reports(folder)
    assert [report["sequence"] for report in reports] == list(range(1, 2 * FLOWS + 1))
    for name, content in first.items():
        assert (folder / "flows" / name).read_bytes() == content
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["counts"]["flows"] == 2 * FLOWS


def test_two_at_once_lose_nothing(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda _: read(capture, folder), range(2)):
            assert "cannot be written" not in done.stdout
    reports = read_reports(folder)
    assert sorted(report["sequence"] for report in reports) == list(range(1, 2 * FLOWS + 1))
    assert json.loads((folder / "summary.json").read_text())["counts"]["flows"] == 2 * FLOWS


def test_files_are_for_their_owner_only(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    read(capture, folder, "cos_report_format=json", "cos_report_format=jsonl")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "flows").stat().st_mode) == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > FLOWS
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not list(folder.rglob("*.tmp"))


def test_custom_host_is_cos_by_its_pattern(tmp_path: Path) -> None:
    """Without marks of COS on either side, only the option can tell."""
    with Origin() as origin:
        origin.custom_domains[CUSTOM_HOST] = BUCKET
        with Lab(
            origin, tmp_path, "--set=cos_hosts=*.EXAMPLE.com", "--set=cos_stream=never"
        ) as lab:
            body = b"x" * 3_000_000
            origin.put_object(BUCKET, "at-custom", body)
            lab.damage("at-custom", no_marks_of_cos())
            assert lab.send("GET", "at-custom", host=CUSTOM_HOST).content == body
            lab.send("GET", "at-custom", host="www.example.org", scheme="http")
            report = lab.report_on("at-custom")
            assert report["cos"]["endpoint"] == "custom"
            lab.stop()
            assert lab.summary["others"] == 1
            assert "Streaming" not in lab.output


def test_options_are_listed() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mitmdump")), ADDON_ARGUMENT, "--options"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for _, name, _ in WRONG:
        assert f"\n{name}:" in done.stdout
