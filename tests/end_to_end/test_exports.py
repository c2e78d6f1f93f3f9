"""What the pages save to be sent on: files that others read, which accuse nobody anew."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mitmproxy import http
from mitmproxy.io import FlowReader

from cos_inspect.captures.capture_format import CaptureFormat, CapturePart
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.har import HAR
from cos_inspect.captures.mitm import MITM
from cos_inspect.captures.source import Stream
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import RunSummary, Summary
from tests.captures_reader import captures, read_capture
from tests.end_to_end import browser
from tests.end_to_end.browser import Browser
from tests.end_to_end.test_pages import open_page, write
from tests.report.build import flow_report

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(browser.missing() is not None, reason=browser.missing() or "nothing"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser.chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def judged() -> list[tuple[FlowReport, tuple[str, ...]]]:
    """The report of every capture, by itself, and its hosts."""
    found: list[tuple[FlowReport, tuple[str, ...]]] = []
    for path in captures():
        capture = read_capture(path)
        look = first_look(capture.exchange, hosts=capture.hosts)
        if look is not None:
            report = msgspec.structs.replace(look.report, sequence=len(found) + 1)
            found.append((report, capture.hosts))
    return found


@pytest.fixture(scope="module")
def reports(judged: list[tuple[FlowReport, tuple[str, ...]]]) -> list[FlowReport]:
    return [report for report, _ in judged]


@pytest.fixture(scope="module")
def exported(
    page: Browser, reports: list[FlowReport], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[bytes], dict[str, Any]]:
    open_page(page, write(tmp_path_factory.mktemp("reports"), reports), "#filter=")
    flows, har = page.run(
        """const rows = cosInspect.store.all();
        const text = bytes => btoa([...bytes].map(byte => String.fromCharCode(byte)).join(""));
        return Promise.all([cosInspect.exported.mitm(rows).then(all => all.map(text)),
          cosInspect.exported.har(rows)]);"""
    )
    return [base64.b64decode(flow) for flow in flows], har


def _rules(report: FlowReport) -> set[str]:
    return {finding.rule for finding in report.findings}


def _read(path: Path, kind: CaptureFormat, hosts: tuple[str, ...]) -> FlowReport:
    stream = Stream(str(path))
    part = CapturePart(path=str(path), name=path.name, format=kind)
    try:
        (saved,) = kind.read(stream, part, hosts, InputRemarks(str(path)))
    finally:
        stream.close()
    assert saved.exchange is not None
    look = first_look(saved.exchange, hosts=hosts)
    assert look is not None
    return look.report


def test_mitmproxy_opens_the_file(
    exported: tuple[list[bytes], dict[str, Any]], reports: list[FlowReport], tmp_path: Path
) -> None:
    path = tmp_path / "cos-flows.mitm"
    path.write_bytes(b"".join(exported[0]))
    with path.open("rb") as file:
        flows = list(FlowReader(file).stream())
    assert len(flows) == len(reports)
    for flow, report in zip(flows, reports, strict=True):
        assert isinstance(flow, http.HTTPFlow)
        assert flow.id == report.flow_id
        assert flow.request.method == report.request.method
        assert (flow.response.status_code if flow.response else None) == (
            report.response.status if report.response else None
        )
        assert flow.marked
        # What mitmproxy does with each flow that it loads and saves again.
        assert flow.copy().get_state()["request"] == flow.get_state()["request"]


def test_what_is_read_again_accuses_nobody_anew(
    exported: tuple[list[bytes], dict[str, Any]],
    judged: list[tuple[FlowReport, tuple[str, ...]]],
    tmp_path: Path,
) -> None:
    flows, har = exported
    path = tmp_path / "one"
    accused = []
    as_bad = 0
    for flow, entry, (report, hosts) in zip(flows, har["log"]["entries"], judged, strict=True):
        for kind, content in (
            (MITM, flow),
            (HAR, json.dumps({"log": {**har["log"], "entries": [entry]}}).encode()),
        ):
            if kind is HAR and (report.request.changes or _is_of_proxy(report)):
                # A HAR has no place for what the proxy did.
                continue
            path.write_bytes(content)
            again = _read(path, kind, hosts)
            if more := _rules(again) - _rules(report):
                accused.append((kind.name, report.flow_id, sorted(more)))
            as_bad += kind is MITM and again.verdict == report.verdict
    assert accused == []
    # Some findings need what no report has: bodies, StringToSign, the secrets themselves.
    assert as_bad > 0.8 * len(judged)


def _is_of_proxy(report: FlowReport) -> bool:
    return (
        (report.response is not None and report.response.by == "proxy")
        or (report.broke_off is not None and report.broke_off.by == "proxy")
        or "signature-broken-by-proxy" in _rules(report)
    )


@pytest.mark.parametrize("masked", [True, False])
def test_whoever_saves_sees_whether_secrets_go_along(
    page: Browser, tmp_path: Path, masked: bool
) -> None:
    report = msgspec.structs.replace(flow_report(sequence=1), run=1)
    run = RunSummary(id=1, name="mitmweb", started=None, masked=masked)
    open_page(page, write(tmp_path, [report], Summary(runs=[run])), "#filter=")
    assert ("with secrets" in page.text(".save")) is not masked
    title = page.run("return document.querySelector('.save button').title")
    assert title.startswith("Masked" if masked else "Not masked")
