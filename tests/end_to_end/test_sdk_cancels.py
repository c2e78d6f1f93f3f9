"""Real SDKs whose user cancels: the report says that the client itself broke off, nothing is an
error, and the run does not fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qcloud_cos import CosClientError, CosServiceError

from tests.end_to_end.harness import BUCKET, Report, checks
from tests.end_to_end.lab import Lab, found
from tests.end_to_end.later import assert_same_later
from tests.end_to_end.node_steps import needs_node, run_node
from tests.origin.effects import stall
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 8000
"""2 MB: streamed by default."""
LONG = 300.0


class CancelledError(Exception):
    """The user wants no more of it."""


class Cancelling:
    """A stream whose user cancels in the middle."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.len = len(BIG)
        self._left = 2

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            raise CancelledError
        self._left -= 1
        return BIG[:65536]


def judge(report: Report, rule: str) -> None:
    assert found(report) == {f"{rule} warning"}
    assert report["broke_off"]["by"] == "client"
    assert "The client itself" in report["findings"][0]["detail"]
    assert "mismatch" not in checks(report).values()


def run(tmp_path: Path, origin: Origin, traffic: Callable[[Lab], Any], name: str) -> Report:
    capture = tmp_path / "saved.mitm"
    arguments = ("--set=cos_fail_on=error", f"--save-stream-file={capture}")
    with Lab(origin, tmp_path, *arguments) as lab:
        traffic(lab)
        report = lab.report_on(name)
        lab.stop()
        assert lab.status == 0, lab.output
        reports = lab.reports
    assert_same_later(reports, capture, tmp_path)
    return report


def test_python_upload(tmp_path: Path, origin: Origin) -> None:
    def cancel(lab: Lab) -> None:
        with pytest.raises((CancelledError, CosClientError)):
            lab.client().put_object(BUCKET, Cancelling(lab), "python-upload")

    judge(run(tmp_path, origin, cancel, "python-upload"), "body-truncated")


def test_python_download(tmp_path: Path, origin: Origin) -> None:
    origin.put_object(BUCKET, "python-download", BIG)

    def cancel(lab: Lab) -> None:
        lab.damage("python-download", stall(LONG, after=len(BIG) // 2))
        answer = lab.client().get_object(BUCKET, "python-download")
        answer["Body"].get_raw_stream().close()

    judge(run(tmp_path, origin, cancel, "python-download"), "body-truncated")


def test_python_time_out(tmp_path: Path, origin: Origin) -> None:
    def wait(lab: Lab) -> None:
        lab.damage("python-time-out", stall(LONG))
        with pytest.raises((CosClientError, CosServiceError)):
            lab.client(Timeout=1).put_object(BUCKET, b"abc", "python-time-out")

    report = run(tmp_path, origin, wait, "python-time-out")
    judge(report, "connection-failed")
    assert report["broke_off"]["waited_ms"] >= 900
    assert "after it had waited" in report["findings"][0]["detail"]


@needs_node
def test_node_upload(tmp_path: Path, origin: Origin) -> None:
    """By the SDK's own ``cancelTask``."""

    def cancel(lab: Lab) -> None:
        lab.damage("node-upload", stall(LONG))
        assert run_node(lab, tmp_path, cancel="node-upload") == {"node-upload": "cancelled"}

    report = run(tmp_path, origin, cancel, "node-upload")
    assert report["broke_off"]["by"] == "client"
    assert report["verdict"] == "warning"
    assert "mismatch" not in checks(report).values()
