"""Calls that COS has had since 2025, as HAR files: what they are, and what is said of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main

HERE = Path(__file__).parent
CLEAR = "credentials-in-clear notice"

RAPID = [
    ("CreateSession", [CLEAR]),
    ("PutObject", []),
    ("PutObject", []),
    ("RenameObject", []),
    ("RenameObject", ["error-response warning"]),
    ("HeadBucket", []),
    ("PutBucket", []),
    ("GetService", []),
    ("GetObject", []),
]
RECENT: list[tuple[str, list[str]]] = [
    ("PutBucketResponseControl", []),
    ("GetBucketResponseControl", []),
    ("DeleteBucketResponseControl", []),
    ("CI:AuditStrategy", []),
    ("CI:AuditTextLib", []),
    ("CI:AuditTextLib", []),
    ("GetObject", []),
    ("AppendObject", []),
    ("AppendObject", ["append-md5-mismatch error"]),
]


def analyzed(capture: str, folder: Path) -> list[dict[str, Any]]:
    arguments = ["analyze", "--quiet", "--format", "json", "--report-dir", str(folder)]
    result = CliRunner().invoke(main, [*arguments, str(HERE / capture)])
    assert result.exit_code == 0, result.output
    return [json.loads(path.read_text()) for path in sorted(folder.glob("flows/*.json"))]


def said(reports: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    return [
        (
            report["cos"]["operation"],
            sorted(f"{found['rule']} {found['severity']}" for found in report["findings"]),
        )
        for report in reports
    ]


def test_a_rapid_bucket(tmp_path: Path) -> None:
    reports = analyzed("rapid-bucket.har", tmp_path)
    assert said(reports) == RAPID
    buckets = {report["cos"]["bucket"] for report in reports}
    assert buckets == {"examplebucket-x--1250000000", None}
    assert {report["cos"]["region"] for report in reports} == {"ap-guangzhou"}
    (refused,) = [report for report in reports if report["error"]]
    assert "as a file" in refused["error"]["meaning"]
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or "secret" not in path.read_text().lower().replace("secretid", "")


def test_settings_moderation_sm4_and_appends(tmp_path: Path) -> None:
    reports = analyzed("recent-calls.har", tmp_path)
    assert said(reports) == RECENT
    read = reports[6]
    assert (read["encryption"]["mode"], read["encryption"]["algorithm"]) == ("SSE-COS", "SM4")


@pytest.mark.parametrize("name", ["rapid-bucket.har", "recent-calls.har"])
def test_every_header_is_known(name: str, tmp_path: Path) -> None:
    for report in analyzed(name, tmp_path):
        for side in ("request", "response"):
            for header in report[side]["headers"]:
                assert header["meaning"], header["name"]
