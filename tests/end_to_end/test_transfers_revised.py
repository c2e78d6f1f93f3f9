"""A later flow changes what was said of an earlier one: on disk and on screen, while it runs."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conditions import wait_until
from tests.end_to_end.harness import BUCKET, Report, read_reports
from tests.end_to_end.lab import WAIT_SECONDS, Lab, found
from tests.end_to_end.stories import FIRST, LAST, Uploading
from tests.origin.damage import Damage, key
from tests.origin.effects import error
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

SHOW = '''
"""Keeps flows, as a list of flows on a screen does."""

import logging

kept = []


def response(flow):
    kept.append(flow)


def update(flows):
    for flow in flows:
        if flow.comment:
            line = flow.comment.splitlines()[0]
            logging.info("shown anew: %s %s %s", flow.id, flow.marked, line)
'''
BODY = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("revised")


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    script = folder / "show.py"
    script.write_text(SHOW)
    formats = ("--set=cos_report_format=json", "--set=cos_report_format=jsonl")
    with Origin() as origin, Lab(origin, folder, *formats, scripts_after=[script]) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def waited[T](look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline
        time.sleep(0.02)


def on_disk(lab: Lab, name: str, wanted: list[set[str]]) -> dict[str, Report]:
    """The reports on a key by file name, once their rules are as wanted, in order."""

    def look() -> dict[str, Report] | None:
        told: dict[str, Report] = {}
        for path in sorted((lab.report_dir / "flows").glob("*.json")):
            report: Report = json.loads(path.read_text())
            if report["cos"]["key"] == name:
                told[path.name] = report
        rules = [{item["rule"] for item in report["findings"]} for report in told.values()]
        return told if rules == wanted else None

    return waited(look)


def transfers(lab: Lab, name: str) -> list[dict[str, Any]]:
    path = lab.report_dir / "summary.json"
    summary = json.loads(path.read_text()) if path.exists() else {"transfers": []}
    return [item for item in summary["transfers"] if item["key"] == name]


def test_files_are_replaced_in_place_while_it_runs(lab: Lab) -> None:
    name = "tried-thrice"
    lab.origin.damage(Damage(error("SlowDown", 503), when=key(name), times=2))
    failed = {"error-response"}
    lab.send("PUT", name, data=BODY)
    first = on_disk(lab, name, [failed])
    assert [report["transfer"] for report in first.values()] == [None]
    lab.send("PUT", name, data=BODY)
    second = on_disk(lab, name, [failed, failed | {"retried"}])
    assert [report["transfer"]["attempt"] for report in second.values()] == [1, 2]
    lab.send("PUT", name, data=BODY)
    third = on_disk(lab, name, [failed, failed, {"retried"}])
    assert [*third][:2] == [*second]
    assert [*second][:1] == [*first]
    for file, report in first.items():
        assert (third[file]["sequence"], third[file]["flow_id"]) == (
            report["sequence"],
            report["flow_id"],
        )


def test_the_interfaces_are_told(lab: Lab) -> None:
    name = "told-anew"
    lab.origin.damage(Damage(error("SlowDown", 503), when=key(name), times=2))
    for _ in range(3):
        lab.send("PUT", name, data=BODY)
    last = lab.reports_on(name, 3)[2]
    lab.wait_for_output(f"shown anew: {last['flow_id']} .*retried")
    second = list(on_disk(lab, name, [{"error-response"}] * 2 + [{"retried"}]).values())[1]

    def lines() -> list[str]:
        return [line for line in lab.output.splitlines() if f"anew: {second['flow_id']}" in line]

    wait_until(lambda: len(lines()) > 1 and "retried" not in lines()[-1])
    shown = lines()
    # mitmproxy itself tells of every hook of a flow; the last time is our revision.
    assert ["retried" in line for line in shown] == [True] * (len(shown) - 1) + [False]
    assert len(shown) > 1
    assert ":red_circle:" in shown[-1]


def test_an_upload_under_way_is_in_the_summary(lab: Lab) -> None:
    name = "under-way"
    upload = Uploading(lab, name)
    upload.part(1, FIRST)
    (before,) = waited(lambda: transfers(lab, name))
    assert (before["state"], before["parts"]) == ("open", 1)
    upload.part(2, LAST)
    upload.complete()
    (after,) = waited(
        lambda: [item for item in transfers(lab, name) if item["state"] == "completed"]
    )
    assert (after["id"], after["parts"]) == (before["id"], 2)
    assert len(transfers(lab, name)) == 1


def test_at_the_end_files_lines_and_counts_agree(lab: Lab, folder: Path) -> None:
    name = "read-in-two-runs"
    lab.origin.put_object(BUCKET, name, BODY)
    lab.send("GET", name, headers={"Range": "bytes=0-4999"})
    lab.stop()
    reports = lab.reports
    lines = (lab.report_dir / "flows.jsonl").read_text().splitlines()
    last = {line["flow_id"]: line for line in map(json.loads, lines)}
    assert last == {report["flow_id"]: report for report in reports}
    assert len(lines) > len(last)
    assert [report["sequence"] for report in reports] == list(range(1, len(reports) + 1))
    counts = lab.summary["counts"]
    assert counts["flows"] == len(reports)
    assert counts["verdict"] == Counter(report["verdict"] for report in reports)
    assert counts["rule"] == Counter(
        pair.partition(" ")[0] for report in reports for pair in found(report)
    )
    _read_again_in_another_run(lab, folder, name)


def _read_again_in_another_run(lab: Lab, folder: Path, name: str) -> None:
    """The client is the same, and the object, but the download is another one."""
    before = lab.summary
    with Lab(lab.origin, folder) as again:
        again.send("GET", name, headers={"Range": "bytes=5000-10239"})
        again.stop()
        assert len(transfers(again, name)) == 2
        assert {transfer["state"] for transfer in transfers(again, name)} == {"partial"}
        assert again.summary["retries"] == before["retries"]
        assert len(again.summary["transfers"]) == len(before["transfers"]) + 1
        reports = read_reports(again.report_dir)
        assert reports[-1]["sequence"] == before["counts"]["flows"] + 1
