"""What a run counts, also when an earlier verdict is revised."""

import msgspec
from mitmproxy import http

from cos_inspect.inspection.revisable_flows import RevisedReport
from cos_inspect.proxy.flow_reporter import FlowReporter
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.options import Settings
from tests.proxy.inspected import cos_flow, inspected
from tests.report.build import finding, flow_report


def test_a_revised_report_is_counted_once() -> None:
    reporting = FlowReporter()
    first = flow_report(findings=[finding()])
    reporting._live_session._count(first)
    assert reporting.summary_text().splitlines()[1] == "    rules      1 etag-mismatch"
    better = msgspec.structs.replace(first, verdict="ok", findings=[])
    reporting._live_session.revise([RevisedReport(better, "error", frozenset({"etag-mismatch"}))])
    assert reporting.summary_text().startswith("COS summary: 1 COS flows among 1: 1 ok\n")
    assert "rules" not in reporting.summary_text()


def test_memory_of_reports_is_bounded() -> None:
    reporting = FlowReporter()
    for number in range(1500):
        reporting.remember(flow_report(flow_id=str(number)))
    assert reporting.report_of("0") is None
    assert reporting.report_of("1499") is not None


def test_a_transfer_stands_in_the_summary_by_its_state() -> None:
    flow = _part_of_an_upload()
    with inspected(flow) as addon:
        assert "multipart-upload: 1 " in addon._reporting.summary_text()


def _part_of_an_upload() -> http.HTTPFlow:
    flow = cos_flow()
    flow.request.method = "PUT"
    flow.request.path = "/a.txt?partNumber=1&uploadId=1690000000abc"
    flow.request.content = b"[Object Content]"
    return flow


def test_a_flow_is_judged_and_another_counted() -> None:
    reporting = FlowReporter()
    reporting.use(Settings(report_dir=None))
    flow = cos_flow(content=b"damaged")
    snapshot = FlowSnapshot(flow, ())
    snapshot.seal()
    found = snapshot.read()
    assert found is not None
    reporting.count_other()
    reporting.report(flow, found)
    assert flow.metadata["cos"]["verdict"] == "error"
    assert flow.marked == ":red_circle:"
    assert reporting.summary_text().startswith("COS summary: 1 COS flows among 2: 1 error\n")
