"""Reports for tests of what is sent."""

from typing import Any

import msgspec

from cos_inspect.model.flow_report import FlowReport, HeaderReport
from tests.report.build import flow_report

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def asking(url: str, headers: dict[str, str] | None = None, **settings: Any) -> FlowReport:
    """A report of a request to this URL."""
    report = flow_report(**settings)
    made = [HeaderReport(name, value, "http", "", ()) for name, value in (headers or {}).items()]
    return changed(report, request=msgspec.structs.replace(report.request, url=url, headers=made))


def changed(report: FlowReport, **members: Any) -> FlowReport:
    return msgspec.structs.replace(report, **members)
