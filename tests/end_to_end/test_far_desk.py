"""Under load flows are judged in a process beside the proxy: the same is found, nothing is lost."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import BUCKET, Report, read_reports
from tests.end_to_end.lab import Lab
from tests.end_to_end.test_live_and_later import traffic
from tests.origin.effects import flip_body
from tests.origin.server import Origin

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

_BUSY = """
from cos_inspect.proxy import far_desk, gathering

gathering._MANY = gathering._A_WHILE = 1
far_desk.spare_cores = lambda: 1
"""


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A script that takes every flow for a high rate of them."""
    script = tmp_path / "busy.py"
    script.write_text(_BUSY)
    return script


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


def threads_children(pid: int) -> list[int]:
    """Children that any thread of a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def far_process(lab: Lab) -> int:
    """Waits for the process beside the proxy."""
    for _ in range(200):
        found = threads_children(lab.pid)
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no process was started")


def shown(report: Report) -> dict[str, Any]:
    """What does not change from run to run."""
    response = report["response"]
    return {
        "cos": report["cos"],
        "verdict": report["verdict"],
        "checks": report["checks"],
        "rules": [(item["rule"], item["severity"], item["title"]) for item in report["findings"]],
        "bodies": (report["request"]["body"], response and response["body"]),
        "status": response and response["status"],
        "names": [field["name"] for field in report["request"]["headers"]],
        "transfer": report["transfer"] and report["transfer"]["kind"],
        "encryption": report["encryption"],
    }


def without_upload_ids(reports: list[Report]) -> list[dict[str, Any]]:
    # The server numbers its uploads anew in each run; all else is the same.
    texts = []
    for report in reports:
        item = shown(report)
        if report["cos"]["operation"] in ("InitiateMultipartUpload", "CompleteMultipartUpload"):
            item.pop("bodies")
            item["checks"] = [
                {name: check[name] for name in ("check", "status", "reason")}
                for check in item["checks"]
            ]
        texts.append(item)
    return texts


def test_the_same_is_found_beside_the_proxy(tmp_path: Path, busy: Path) -> None:
    found = []
    for name, scripts in (("near", ()), ("far", (busy,))):
        with (
            Origin() as server,
            Lab(server, tmp_path / name, "--set=cos_fail_on=error", scripts_before=scripts) as lab,
        ):
            lab.send("GET", "first.txt")
            if scripts:
                far_process(lab)
            traffic(lab)
            lab.stop()
            found.append((without_upload_ids(lab.reports), lab.summary, lab.status, lab.output))
            assert not server.faults
    near, far = found
    assert len(far[0]) == 22
    assert far[0] == near[0]
    for what in ("flows", "verdict", "rule", "operation", "host", "client"):
        assert far[1]["counts"][what] == near[1]["counts"][what]
    kinds = [[(item["kind"], item["state"]) for item in one[1]["transfers"]] for one in found]
    assert kinds[0] == kinds[1]
    assert kinds[1]
    assert (near[2], far[2]) == (1, 1)
    lines = [[line[13:60] for line in one[3].splitlines() if " COS " in line] for one in found]
    assert len(lines[0]) > 22
    assert sorted(lines[0]) == sorted(lines[1])


def test_what_belongs_together_is_joined_across_the_move(
    tmp_path: Path, busy: Path, origin: Origin
) -> None:
    origin.put_object(BUCKET, "ranged.bin", b"0123456789")
    with Lab(origin, tmp_path, scripts_before=[busy]) as lab:
        lab.send("GET", "ranged.bin", headers={"Range": "bytes=0-4"})
        far_process(lab)
        lab.send("GET", "ranged.bin", headers={"Range": "bytes=3-9"})
        lab.send("HEAD", "ranged.bin")
        lab.stop()
        reports, summary = lab.reports, lab.summary
    checks = [
        check["status"]
        for report in reports
        for check in report["checks"]
        if check["check"] == "range-crc64"
    ]
    assert "match" in checks
    (transfer,) = summary["transfers"]
    assert transfer["kind"] == "ranged-download"
    assert len(transfer["flows"]) >= 2
    assert len(reports) == 3


def test_flows_go_on_to_be_judged_when_the_process_dies(
    tmp_path: Path, busy: Path, origin: Origin
) -> None:
    origin.put_object(BUCKET, "a.txt", b"some text")
    with Lab(origin, tmp_path, scripts_before=[busy]) as lab:
        lab.send("GET", "a.txt")
        os.kill(far_process(lab), signal.SIGKILL)
        for _ in range(200):
            if "the process that judged COS flows has ended" in lab.output:
                break
            time.sleep(0.05)
        lab.damage("a.txt", flip_body(1))
        assert lab.send("GET", "a.txt").status_code == 200
        lab.stop()
        reports = lab.reports
    assert lab.output.count("the process that judged COS flows has ended") == 1
    assert [report["verdict"] for report in reports] == ["ok", "error"]


def test_what_was_handed_over_is_written_when_the_proxy_is_killed(
    tmp_path: Path, busy: Path, origin: Origin
) -> None:
    origin.put_object(BUCKET, "b.txt", b"some text")
    with Lab(origin, tmp_path, scripts_before=[busy]) as lab:
        lab.send("GET", "b.txt")
        process = far_process(lab)
        for _ in range(20):
            lab.send("GET", "b.txt")
        time.sleep(0.5)
        os.kill(lab.pid, signal.SIGKILL)
        for _ in range(400):
            if not Path(f"/proc/{process}").exists():
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the process goes on without its proxy")
        assert len(read_reports(lab.report_dir)) == 21
        summary = json.loads((lab.report_dir / "summary.json").read_text())
        assert summary["counts"]["flows"] == 21
