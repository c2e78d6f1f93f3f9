"""``cos-inspect doctor``."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from cos_inspect.cli.commands import main
from cos_inspect.model.devices import DeviceSummary
from cos_inspect.model.summary import RunSummary, Summary

HEAD = "run 1 (mitmweb), from 2026-11-22T09:00:00.000Z and goes on: 6 COS"


def doctor(folder: Path, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(
        main, ["doctor", f"--confdir={folder}", "--host=localhost", *arguments]
    )
    assert result.exit_code == status, result.output
    return result


def told(folder: Path, **members: Any) -> list[str]:
    (folder / "summary.json").write_bytes(msgspec.json.encode(Summary(**members)))
    return doctor(folder, f"--report-dir={folder}").stdout.split("\n\n")[1].splitlines()


def test_it_looks_at_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = doctor(tmp_path).stdout.splitlines()
    assert lines[0].startswith("ok    versions")
    assert any(line.startswith("look  CA") for line in lines)


def test_without_reports_it_says_what_that_means(tmp_path: Path) -> None:
    result = doctor(tmp_path, f"--report-dir={tmp_path / 'none'}", status=2)
    assert "nothing came through" in result.stderr


def test_a_row_for_each_device_and_what_to_do(tmp_path: Path) -> None:
    refusing = DeviceSummary(
        address="10.0.0.6", tls="refused", tls_refused="pinned", tls_refused_hosts=["h"]
    )
    clean = DeviceSummary(
        address="10.0.0.5",
        client="cos-python-sdk-v5",
        version="1.9.44",
        flows=3,
        flows_over_tls=3,
        tls="trusted",
        last_seen="2026-11-22T10:00:00.000Z",
        clock_seconds=0,
    )
    skewed = msgspec.structs.replace(clean, address="10.0.0.7", clock_seconds=1200)
    run = RunSummary(id=1, name="mitmweb", started="2026-11-22T09:00:00.000Z", flows=6)
    head, titles, *rows = told(tmp_path, devices=[clean, refusing, skewed], runs=[run])
    assert head.startswith(HEAD)
    assert titles.split()[:3] == ["address", "client", "TLS"]
    assert rows[0].split() == [
        *("10.0.0.5", "cos-python-sdk-v5", "1.9.44", "trusted", "3", "0"),
        *("2026-11-22", "10:00:00", "right", "-"),
    ]
    assert "refused: pinned" in rows[1]
    assert "+1200 s" in rows[2]
    advice = rows[3:]
    assert [line.partition(":")[0] for line in advice] == ["10.0.0.6", "10.0.0.7"]
    assert "without pinning" in advice[0]
    assert "clock" in advice[1]


def test_nobody_came(tmp_path: Path) -> None:
    assert "no device" in told(tmp_path)[0]


def test_other_hosts_are_named_where_no_flow_was_of_cos(tmp_path: Path) -> None:
    lines = told(tmp_path, other_hosts={"cdn.example.com": 4})
    assert "cos_hosts='cdn.example.com'" in lines[-1]
