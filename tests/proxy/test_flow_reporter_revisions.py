"""What later flows say of earlier ones reaches annotations, counts, and files."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import taddons, tflow

from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.model.exchange import Exchange
from cos_inspect.proxy.annotations import comment_of
from cos_inspect.proxy.flow_reporter import FlowReporter
from cos_inspect.proxy.options import Settings
from cos_inspect.recording.recorded_flow import FlowRead
from tests.transfers.build import exchange, failure, initiate, part, put

TRACED = {"answered": {"x-cos-trace-id": "OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc="}}
BUSY = failure(503, "SlowDown") | TRACED


class Heard:
    """An addon that is told which flows to show anew."""

    def __init__(self) -> None:
        self.updates: list[list[str]] = []

    def update(self, flows: list[http.HTTPFlow]) -> None:
        self.updates.append([flow.id for flow in flows])


@pytest.fixture
def heard() -> Iterator[Heard]:
    addon = Heard()
    with taddons.context(addon):
        yield addon


def reporting(folder: Path, **settings: Any) -> FlowReporter:
    made = FlowReporter()
    made.use(Settings(report_dir=folder, formats=("json", "jsonl"), **settings))
    return made


def tell(made: FlowReporter, one: Exchange) -> http.HTTPFlow:
    """Reports an exchange; whoever shows its flow has to keep it."""
    flow = tflow.tflow()
    flow.id = one.flow_id
    flow.live = False
    request = one.request
    found = recognise(request.host, request.method, request.target, request.headers)
    assert found is not None
    made.report(flow, FlowRead(one, found, []))
    made.log_reported()
    return flow


def three_tries(made: FlowReporter) -> list[http.HTTPFlow]:
    return [
        tell(made, put("try-0001", b"body", 0.0, **BUSY)),
        tell(made, put("try-0002", b"body", 1.0, **BUSY)),
        tell(made, put("try-0003", b"body", 2.0)),
    ]


def files(folder: Path) -> dict[str, dict[str, Any]]:
    reports = (json.loads(path.read_text()) for path in (folder / "flows").iterdir())
    return {report["flow_id"]: report for report in reports}


def test_retried_moves_to_the_last_try(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path)
    flows = three_tries(made)
    assert ["retried" in flow.comment for flow in flows] == [False, False, True]
    for flow in flows:
        report = made.report_of(flow.id)
        assert report is not None
        assert flow.comment == comment_of(report)
    assert [flow.marked for flow in flows] == [
        ":red_circle:",
        ":red_circle:",
        ":large_blue_circle:",
    ]
    assert [flow.metadata["cos"]["findings"] for flow in flows] == [
        ["error-response"],
        ["error-response"],
        ["retried"],
    ]
    # The first try learned of the second, and both of the third, which came through.
    assert heard.updates == [["try-0001"], ["try-0001", "try-0002"]]
    made.close()
    reports = files(tmp_path)
    assert [reports[flow.id]["sequence"] for flow in flows] == [1, 2, 3]
    assert [reports[flow.id]["transfer"]["attempt"] for flow in flows] == [1, 2, 3]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"]["rule"] == {"error-response": 2, "retried": 1}
    assert summary["counts"]["verdict"] == {"error": 2, "notice": 1}
    (chain,) = summary["retries"]
    assert chain["flows"] == [flow.id for flow in flows]
    assert (chain["operation"], chain["key"]) == ("PutObject", "a")
    assert chain["id"] == reports["try-0001"]["transfer"]["id"]


def test_the_last_line_of_a_flow_is_its_report(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path)
    three_tries(made)
    made.close()
    lines = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    assert {line["flow_id"]: line for line in lines} == files(tmp_path)


def clock_refused(made: FlowReporter) -> tuple[http.HTTPFlow, http.HTTPFlow]:
    def signed(start: int) -> dict[str, str]:
        time = f"{start};{start + 900}"
        return {
            "Authorization": f"q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time={time}"
            f"&q-key-time={time}&q-header-list=host&q-url-param-list=&q-signature={'5e' * 20}"
        }

    now = int(exchange("x", "GET", "/a", 0.0).timing.request_start or 0)
    refused = failure(403, "RequestTimeTooSkewed") | TRACED
    first = tell(made, put("skewed-1", b"body", 0.0, sent=signed(now + 7200), **refused))
    second = tell(made, put("skewed-2", b"body", 0.5, sent=signed(now)))
    return first, second


def test_a_verdict_that_falls_is_counted_anew(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path)
    first, second = clock_refused(made)
    assert first.marked == second.marked == ":large_blue_circle:"
    assert not made.reaches("warning")
    assert made.reaches("notice")
    made.close()
    assert files(tmp_path)["skewed-1"]["verdict"] == "notice"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"]["verdict"] == {"notice": 2}
    assert summary["retries"][0]["clock_corrected"] is True


def test_what_a_person_set_stays(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path)
    first = tell(made, put("try-0001", b"body", 0.0, **BUSY))
    second = tell(made, put("try-0002", b"body", 1.0, **BUSY))
    first.marked, second.comment = ":eyes:", "look here"
    third = tell(made, put("try-0003", b"body", 2.0))
    made.close()
    assert first.marked == ":eyes:"
    assert second.comment == "look here"
    assert second.marked == ":red_circle:"
    assert "retried" in third.comment


def test_without_annotations_nothing_is_shown(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path, annotate=False)
    flows = three_tries(made)
    made.close()
    assert {(flow.marked, flow.comment) for flow in flows} == {("", "")}
    assert heard.updates == []
    assert [flow.metadata["cos"]["findings"] for flow in flows][1:] == [
        ["error-response"],
        ["retried"],
    ]
    assert files(tmp_path)["try-0001"]["transfer"]["attempt"] == 1


def test_a_flow_that_is_gone_is_revised_on_disk(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path)
    tell(made, put("try-0001", b"body", 0.0, **BUSY))
    gc.collect()
    kept = tell(made, put("try-0002", b"body", 1.0))
    made.close()
    assert heard.updates == []
    assert "retried" in kept.comment
    assert files(tmp_path)["try-0001"]["transfer"]["attempt"] == 1


def test_other_settings_begin_another_session(tmp_path: Path, heard: Heard) -> None:
    made = reporting(tmp_path)
    tell(made, initiate("initiate", 0.0))
    tell(made, part("part-1", 1, b"body", 1.0))
    made.use(Settings(report_dir=tmp_path, formats=("json",), ignore=frozenset({"error-response"})))
    tell(made, put("try-0001", b"body", 2.0, **BUSY))
    made.close()
    summary = json.loads((tmp_path / "summary.json").read_text())
    (upload,) = summary["transfers"]
    assert upload["state"] == "abandoned"
    assert files(tmp_path)["try-0001"]["findings"] == []
    assert summary["counts"]["flows"] == 3


@pytest.mark.parametrize("report_dir", [True, False])
def test_a_lost_report_may_have_been_an_error(
    tmp_path: Path, heard: Heard, report_dir: bool
) -> None:
    made = reporting(tmp_path)
    if not report_dir:
        made.use(Settings(report_dir=None))
    made.lose("not inspected")
    assert made.reaches("error")
    assert not made.reaches("never")
    made.close()
    assert made.reaches("error")
    assert "    lost       1 report: 1 not inspected" in made.summary_text()
    if report_dir:
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert summary["lost"] == {"count": 1, "reasons": {"not inspected": 1}}
