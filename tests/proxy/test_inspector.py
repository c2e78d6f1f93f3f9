"""The addon's hooks, driven without a network."""

import json
import logging
from pathlib import Path

import pytest
from mitmproxy import exceptions, http
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.inspection.session import Session
from cos_inspect.proxy.inspector import CosInspect

HOST = b"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def _flow(host: bytes = HOST, **answer: object) -> http.HTTPFlow:
    request = tutils.treq(
        method=b"GET", path=b"/a.txt", headers=http.Headers(((b"Host", host),)), content=b""
    )
    response = tutils.tresp(
        content=b"[Object Content]",
        headers=http.Headers(
            (
                (b"Server", b"tencent-cos"),
                (b"Content-Length", b"16"),
                (b"ETag", b'"ee8de918d05640145b18f70f4c3aa602"'),
                (b"x-cos-hash-crc64ecma", b"16749565679157681890"),
                (b"x-cos-request-id", b"NmIwMzU0ZGRfNjRiODJhMDlfZDkyY182MzlmNg=="),
            )
        ),
    )
    flow = tflow.tflow(req=request, resp=response)
    flow.live = False
    return flow


def _reports(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("flows/*.json"))]


def _run(folder: Path, *flows: http.HTTPFlow) -> list[dict[str, object]]:
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir=str(folder))
        for flow in flows:
            for hook in (addon.requestheaders, addon.request, addon.responseheaders):
                hook(flow)
            addon.response(flow)
            if flow.error:
                addon.error(flow)
        addon.done()
    return _reports(folder)


def test_a_kept_body_is_checked(tmp_path: Path) -> None:
    (report,) = _run(tmp_path, _flow())
    statuses = {check["check"]: check["status"] for check in report["checks"]}  # type: ignore[attr-defined]
    assert statuses["etag"] == statuses["crc64"] == statuses["content-length"] == "match"


def test_response_and_error_of_one_flow_make_one_report(tmp_path: Path) -> None:
    flow = _flow()
    assert flow.response is not None
    flow.response.data.content = None
    flow.error = tflow.terr()
    (report,) = _run(tmp_path, flow)
    assert [item["rule"] for item in report["findings"]].count("body-truncated") == 1  # type: ignore[attr-defined]


def test_other_traffic_is_counted_only(tmp_path: Path) -> None:
    flow = _flow(host=b"www.example.com")
    flow.response = tutils.tresp()
    assert _run(tmp_path, flow) == []
    assert json.loads((tmp_path / "summary.json").read_text())["others"] == 1
    assert flow.metadata == {}
    assert flow.marked == ""


def test_a_fault_of_ours_is_told_with_the_flow_and_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("our fault")

    monkeypatch.setattr(Session, "inspect", fail)
    flow = _flow()
    with caplog.at_level(logging.WARNING):
        assert _run(tmp_path, flow) == []
    told = [record for record in caplog.records if flow.id in record.getMessage()]
    assert len(told) == 1


def test_flows_under_way_are_reported_at_the_end(tmp_path: Path) -> None:
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir=str(tmp_path))
        flow = _flow()
        flow.live = True
        flow.response = None
        addon.requestheaders(flow)
        addon.request(flow)
        addon.done()
    (report,) = _reports(tmp_path)
    assert report["response"] is None


def test_options_may_change_while_it_runs(tmp_path: Path) -> None:
    addon = CosInspect()
    with taddons.context(addon) as context:
        for name in ("one", "two"):
            context.configure(addon, cos_report_dir=str(tmp_path / name))
            flow = _flow()
            addon.requestheaders(flow)
            addon.responseheaders(flow)
            addon.response(flow)
        with pytest.raises(exceptions.OptionsError):
            context.configure(addon, cos_report_dir=str(tmp_path), cos_stream="x")
        addon.done()
    assert len(_reports(tmp_path / "one")) == len(_reports(tmp_path / "two")) == 1


def test_no_directory_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="")
        flow = _flow()
        addon.requestheaders(flow)
        addon.responseheaders(flow)
        addon.response(flow)
        addon.done()
    assert list(tmp_path.iterdir()) == []
    assert f"{flow.metadata['cos']['verdict']}: " in flow.comment
