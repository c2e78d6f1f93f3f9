"""The last lines of a run count everything."""

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.summary import Lost
from cos_inspect.report.closing_lines import closing_lines, why_failed
from tests.report.build import finding, transfer_summary


def failed_connection(count: int) -> ConnectionFailureSummary:
    return ConnectionFailureSummary(
        host="h",
        client="10.0.0.5",
        failed="client-refused-certificate",
        count=count,
        findings=[finding("tls-untrusted")],
    )


def test_closing_lines_count_everything() -> None:
    transfers = [
        transfer_summary("a", "completed"),
        transfer_summary("b", "completed"),
        transfer_summary("c", "open"),
    ]
    text = closing_lines(
        verdicts={"ok": 3, "error": 1},
        rules={"etag-mismatch": 1, "crc64-missing": 2},
        transfers=transfers,
        others=2,
        lost=Lost(count=3, reasons={"disk full": 2, "not inspected": 1}),
        reports="cos-reports",
        wrong_transfers={"error": 1, "notice": 5},
        connections=[failed_connection(2), failed_connection(0)],
        said_once={"crc64-missing": 40, "etag-mismatch": 1},
        failed=why_failed("cos_fail_on=error", flows=1, rules=["a", "b", "a"], connections=2),
    )
    assert text.splitlines() == [
        "COS summary: 4 COS flows among 6: 1 error, 3 ok;"
        " also wrong: 1 transfer, 2 connections, 3 lost reports",
        "    rules      2 crc64-missing (said once for 40 flows), 1 etag-mismatch",
        "    transfers  multipart-upload: 2 completed, 1 open",
        "    connected  not: 2 tls-untrusted: h",
        "    lost       3 reports: 2 disk full, 1 not inspected",
        "    reports    cos-reports",
        "    exit 1     cos_fail_on=error: 1 flow, 2 connections (a, b)",
    ]
