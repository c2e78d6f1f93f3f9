"""The addon's hooks of flows, driven without a network."""

import json
import logging
from pathlib import Path

import pytest
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.inspection.session import Session
from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.inspected import cos_flow, reported, reports_in


def test_a_kept_body_is_checked(tmp_path: Path) -> None:
    flow = cos_flow()
    assert flow.response is not None
    flow.response.headers["content-length"] = "16"
    (report,) = reported(tmp_path, flow)
    statuses = {check["check"]: check["status"] for check in report["checks"]}  # type: ignore[attr-defined]
    assert statuses["etag"] == statuses["crc64"] == statuses["content-length"] == "match"


def test_response_and_error_of_one_flow_make_one_report(tmp_path: Path) -> None:
    flow = cos_flow(content=None)
    assert flow.response is not None
    flow.response.headers["content-length"] = "16"
    flow.error = tflow.terr()
    (report,) = reported(tmp_path, flow)
    assert [item["rule"] for item in report["findings"]].count("body-truncated") == 1  # type: ignore[attr-defined]


def test_other_traffic_is_counted_only(tmp_path: Path) -> None:
    flow = cos_flow(host=b"www.example.com")
    del flow.request.headers["Authorization"]
    flow.response = tutils.tresp()
    assert reported(tmp_path, flow) == []
    assert json.loads((tmp_path / "summary.json").read_text())["others"] == 1
    assert flow.metadata == {}
    assert flow.marked == ""


def test_a_fault_of_ours_is_told_with_the_flow_and_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("our fault")

    monkeypatch.setattr(Session, "inspect", fail)
    flow = cos_flow()
    with caplog.at_level(logging.WARNING):
        assert reported(tmp_path, flow) == []
    told = [record for record in caplog.records if flow.id in record.getMessage()]
    assert len(told) == 1


def test_flows_under_way_are_reported_at_the_end(tmp_path: Path) -> None:
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir=str(tmp_path))
        flow = cos_flow()
        flow.live = True
        flow.response = None
        addon.requestheaders(flow)
        addon.request(flow)
        addon.done()
    (report,) = reports_in(tmp_path)
    assert report["response"] is None
