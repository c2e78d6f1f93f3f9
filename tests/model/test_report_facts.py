"""What more than one reader takes out of a report."""

import msgspec
import pytest

from cos_inspect.model.flow_report import FlowReport, TransferReport
from cos_inspect.model.report_facts import address_and_port, host_of, request_header, upload_of
from tests.report.build import flow_report


def asking(url: str) -> FlowReport:
    report = flow_report()
    return msgspec.structs.replace(report, request=msgspec.structs.replace(report.request, url=url))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.5:41234", ("10.0.0.5", 41234)),
        ("10.0.0.5:1", ("10.0.0.5", 1)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("[::1]:443", ("::1", 443)),
        ("[::1]", ("::1", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("10.0.0.5", ("10.0.0.5", None)),
        ("x", ("x", None)),
        (None, (None, None)),
        ("", (None, None)),
    ],
)
def test_addresses(text: str | None, found: tuple[str | None, int | None]) -> None:
    assert address_and_port(text) == found


@pytest.mark.parametrize(
    ("query", "upload_id", "number"),
    [
        ("partNumber=3&uploadId=u%2F1", "u/1", 3),
        ("partNumber=3&uploadId=u+1", "u+1", 3),
        ("p%61rtNumber=3&%75ploadId=u", "u", 3),
        ("uploadId=a&uploadId=b&partNumber=1&partNumber=2", "a", 1),
        ("partNumber=99999999999999999999&uploadId=", None, None),
        ("partNumber=-1&uploadid=a", "a", None),
        ("uploads", None, None),
    ],
)
def test_an_upload_is_read_as_cos_reads_it(
    query: str, upload_id: str | None, number: int | None
) -> None:
    assert upload_of(asking(f"https://host/a.txt?{query}")) == (upload_id, number)


def test_the_transfer_names_the_upload_where_the_url_does_not() -> None:
    transfer = TransferReport(kind="multipart-upload", id="u1")
    begun = msgspec.structs.replace(flow_report(), transfer=transfer)
    assert upload_of(begun) == ("u1", None)


def test_hosts_and_headers() -> None:
    assert host_of(asking("https://example.com:8080/a?b")) == "example.com:8080"
    assert host_of(asking("https://example.com?b/c")) == "example.com"
    report = flow_report(host="example.com")
    assert request_header(report, "host") == "example.com"
    assert request_header(report, "user-agent") is None
