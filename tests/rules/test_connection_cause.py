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
        ("Fiddler - DNS Lookup Failed", "upstream-dns"),
        ("java.net.UnknownHostException: examplebucket", "upstream-dns"),
        ('Unable to resolve host "examplebucket"', "upstream-dns"),
        ("Could not resolve host: examplebucket", "upstream-dns"),
        ("A server with the specified hostname could not be found.", "upstream-dns"),
        ("NS_ERROR_CONNECTION_REFUSED", "upstream-refused"),
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


DNS = "[Errno -2] Name or service not known"


@pytest.mark.parametrize(
    ("host", "mistake", "says"),
    [
        ("name.cos.ap-guangzhou.myqcloud.com", "no-appid", "does not end in an APPID"),
        ("undefined.cos.ap-guangzhou.myqcloud.com", "no-appid", "never filled in"),
        ("null-1250000000.cos.ap-guangzhou.myqcloud.com", "no-appid", "never filled in"),
        ("name-1250000000.cos.ap-guangzhou.mycloud.com", "suffix", "ends in mycloud.com"),
        ("name-1250000000.cos.ap-guangzhou.myqcloud.com.cn", "suffix", "ends in myqcloud.com.cn"),
        ("name-1250000000.cos.ap-guangzhou", "suffix", "has no suffix"),
        ("name-1250000000.cos.ap-shenzhen.myqcloud.com", "region-unknown", "ap-shenzhen-fsi"),
    ],
)
def test_a_host_that_does_not_exist(host: str, mistake: str, says: str) -> None:
    signed = (("Authorization", "q-sign-algorithm=sha1&q-ak=AKID&q-signature=0"),)
    looked = first_look(exchange(host=host, headers=signed, status=None, error=DNS))
    assert looked is not None
    (found,) = [each for each in looked.report.findings if each.rule == "endpoint-mistake"]
    assert found.evidence["mistake"] == mistake
    assert says in found.detail


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("name-1250000000.cos.ap-guangzhou.myqcloud.com", "put together rightly"),
        ("name-1250000000.cos-internal.ap-guangzhou.tencentcos.cn", "inside Tencent Cloud"),
    ],
)
def test_a_right_host_that_cannot_be_resolved(host: str, says: str) -> None:
    looked = first_look(exchange(host=host, status=None, error=DNS))
    assert looked is not None
    (found,) = looked.report.findings
    assert found.rule == "connection-failed"
    assert says in found.detail


def test_a_private_store_that_works_is_none_of_them() -> None:
    looked = first_look(exchange(host="name-1250000000.cos.ap-guangzhou.cloud.example"))
    assert looked is None or "endpoint-mistake" not in [e.rule for e in looked.report.findings]
