"""Why a connection came to nothing, by the texts of those who tell it."""

import pytest

from cos_inspect.cos.tables import rows
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.rules.connection_cause import Failure, advice_for, cause_of, failure_of
from tests.rules.exchanges import exchange


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("[Errno -2] Name or service not known", "upstream-dns"),
        ("[Errno -3] Temporary failure in name resolution", "upstream-dns"),
        ("[Errno 8] nodename nor servname provided, or not known", "upstream-dns"),
        ("net::ERR_NAME_NOT_RESOLVED", "upstream-dns"),
        ("getaddrinfo ENOTFOUND examplebucket", "upstream-dns"),
        ("encoding with 'idna' codec failed (label empty or too long)", "upstream-dns"),
        ("[Errno 111] Connect call failed ('192.0.2.1', 443)", "upstream-refused"),
        ("connect ECONNREFUSED 192.0.2.1:443", "upstream-refused"),
        ("[Errno 110] Connect call failed ('192.0.2.1', 443)", "upstream-timeout"),
        ("[Errno 101] Network is unreachable", "upstream-unreachable"),
        ("Certificate verify failed: hostname mismatch", "upstream-certificate"),
        ("server closed connection", None),
        ("Client disconnected.", None),
        ("", None),
    ],
)  # fmt: skip
def test_failure_of(text: str, failed: Failure | None) -> None:
    assert failure_of(text) == failed


@pytest.mark.parametrize("row", rows("connections"), ids=lambda row: str(row["failed"]))
def test_every_failure_has_a_cause(row: dict[str, str]) -> None:
    assert cause_of(row["failed"]) == row["cause"] != ""
    assert advice_for(row["failed"]) == row["fix"]


def report_of(host: str, error: str) -> FlowReport:
    found = first_look(exchange(host=host, status=None, error=error))
    assert found is not None
    return found.report


def test_a_flow_says_as_much_as_a_connection() -> None:
    host = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
    (finding,) = report_of(host, "[Errno 111] Connect call failed ('192.0.2.1', 443)").findings
    assert finding.rule == "connection-failed"
    assert cause_of("upstream-refused") in finding.detail
    assert finding.fix == advice_for("upstream-refused")
    assert finding.evidence["failed"] == "upstream-refused"
    (finding,) = report_of(host, "server closed connection").findings
    assert "failed" not in finding.evidence


def test_a_misspelt_host_is_the_cause_of_its_failure() -> None:
    host = "examplebucket-1250000000.cos.gz.myqcloud.com"
    report = report_of(host, "[Errno -2] Name or service not known")
    found = {finding.rule: finding for finding in report.findings}
    assert set(found) == {"connection-failed", "endpoint-mistake"}
    for finding in found.values():
        assert "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com" in (finding.fix or "")
