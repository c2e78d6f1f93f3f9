"""Live, out of a flow file and out of a HAR: who was asked is read by one parser."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import http

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.flows import read_request
from tests.proxy.inspected import AUTHORIZATION, cos_flow
from tests.saved.flow_files import saved_file
from tests.saved.hars import Entry, as_base64, download, fields, har

NAME = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
ODD_HOSTS = [
    NAME,
    f"{NAME}.",
    f"{NAME.upper()}:443",
    f"{NAME}:80",
    f"{NAME}:0",
    f"{NAME}:65536",
    f"{NAME}:",
    f"{NAME}:443:443",
    f"{NAME}/a",
    f"user@{NAME}",
    f"{NAME}, {NAME}",
    f" {NAME}",
    "[::1]",
    "[::1]:8443",
    "::1",
    "127.0.0.1:81",
    "bücher.example",
    "xn--bcher-kva.example",
    "a..b",
    "a" * 300,
    "под.example:81",
    "",
]
HOSTS = st.sampled_from(ODD_HOSTS) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("[]:@/.0a"), max_size=20
)


def one_flow(host: str, authority: str, scheme: str) -> http.HTTPFlow:
    flow = cos_flow(host=host.encode())
    # mitmproxy's own setters would change the Host header too.
    data = flow.request.data
    data.scheme, data.host, data.port = scheme.encode(), "upstream.example", 9000
    data.authority = authority.encode()
    if authority:
        flow.request.http_version = "HTTP/2.0"
    if not host:
        del flow.request.headers["host"]
    return flow


def one_entry(host: str, authority: str, scheme: str) -> Entry:
    entry = download(b"", as_base64(b""))
    entry["request"] |= {
        "url": f"{scheme}://upstream.example:9000/a.txt",
        "httpVersion": "HTTP/2.0" if authority else "HTTP/1.1",
        "headers": fields(Host=host, Authorization=AUTHORIZATION)
        + ([{"name": ":authority", "value": authority}] if authority else []),
    }
    return entry


def asked(found: CapturedFlow) -> tuple[str, int, str] | str | None:
    """Host, port and target; of what is no COS traffic the host alone."""
    if found.exchange is None:
        return found.host
    request = found.exchange.request
    return request.host, request.port, request.target


def live(flow: http.HTTPFlow) -> tuple[str, int, str] | str | None:
    found = FlowSnapshot(flow, ()).read()
    if found is None:
        return read_request(flow.request).host
    request = found.exchange.request
    return request.host, request.port, request.target


def check(tmp_path: Path, host: str, authority: str, scheme: str) -> None:
    flow = one_flow(host, authority, scheme)
    paths = saved_file(tmp_path / "a.mitm", flow), tmp_path / "a.har"
    paths[1].write_bytes(har([one_entry(host, authority, scheme)]))
    streams = [Stream(str(path)) for path in paths]
    (saved,) = FlowFile(streams[0], ()).saved(InputRemarks(""))
    (exported,) = HarFile(streams[1], ()).saved(InputRemarks(""))
    for stream in streams:
        stream.close()
    assert live(flow) == asked(saved) == asked(exported)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTS, HOSTS | st.just(""), st.sampled_from(["http", "https"]))
def test_who_was_asked(tmp_path: Path, host: str, authority: str, scheme: str) -> None:
    check(tmp_path, host, authority, scheme)


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_odd_hosts_have_one_reading_each(tmp_path: Path, host: str) -> None:
    check(tmp_path, host, "", "https")
    check(tmp_path, "other.example", host, "http")
