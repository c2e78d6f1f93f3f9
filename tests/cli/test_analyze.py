"""The switches of ``cos-inspect analyze``, and its exit status."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main
from tests.analyze.runs import BODY, Run, bad, good, other
from tests.saved.hars import REQUEST_ID, answer_headers, fields, har


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


def test_pages_are_written_without_being_asked_for(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path, *two)
    assert (run.folder / "index.html").exists()
    assert run.result.stdout.rstrip().endswith("index.html")


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


def test_no_report_directory(two: tuple[Path, Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["analyze", str(two[0]), "--report-dir="])
    assert result.stdout.splitlines()[-2] == "COS summary: 2 COS flows among 3: 1 error, 1 ok"
    assert sorted(tmp_path.iterdir()) == sorted(two)


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
    entries = json.loads(baseline.read_text())
    baseline.write_text(json.dumps({**entries, "findings": entries["findings"][:1]}))
    run = Run(tmp_path, two[0], f"--baseline={baseline}", "--fail-on=error", status=1)
    assert "1 known finding\n" in run.result.stdout
    run = Run(tmp_path, two[1], f"--baseline={baseline}", "--fail-on=error")
    assert "0 known findings, 1 entry was not seen\n" in run.result.stdout
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


def test_wrong_usage(tmp_path: Path) -> None:
    Run(tmp_path, status=2)
    missing = Run(tmp_path, tmp_path / "none.mitm", status=2)
    assert f"{tmp_path}/none.mitm: No such file or directory" in missing.result.stderr
    Run(tmp_path, tmp_path, status=2)
    Run(tmp_path, "-", "--format=xml", status=2)
    Run(tmp_path, "-", "--hosts=http://a", status=2)


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
