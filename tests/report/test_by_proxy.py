"""mitmproxy's words for what it refuses are told with side and option."""

import msgspec
import pytest
from mitmproxy import http
from mitmproxy.proxy.layers.http import HTTPMode, validate_request
from mitmproxy.test import tutils

from cos_inspect.model.flow_report import BrokeOffReport, FlowReport
from cos_inspect.recording.break_off import broke_off_by_words
from cos_inspect.report.by_proxy import by_proxy
from cos_inspect.report.markdown import to_markdown
from cos_inspect.report.terminal import flow_line
from tests.report.build import flow_report

OPTION = "validate_inbound_headers"


def refused(said: str, status: int | None = 400) -> FlowReport:
    """A report on what mitmproxy ended with such words."""
    who = broke_off_by_words(
        said, request_whole=False, announced=None, answered=False, blocked=False
    )
    assert who is not None
    ended = BrokeOffReport(by=who.by, option=who.option, after_ms=1.0, waited_ms=None, said=said)
    report = msgspec.structs.replace(flow_report(status=status), broke_off=ended)
    if report.response is None:
        return report
    answer = msgspec.structs.replace(report.response, by="proxy", option=who.option)
    return msgspec.structs.replace(report, response=answer)


def said_of(headers: list[tuple[bytes, bytes]]) -> str:
    """mitmproxy's own words."""
    request = tutils.treq(scheme=b"http", headers=http.Headers(headers))
    said = validate_request(HTTPMode.regular, request, True)
    assert said is not None
    return said


BOTH = [(b"Content-Length", b"2"), (b"Transfer-Encoding", b"chunked")]
REFUSED = {
    "two-lengths": (BOTH, "both Content-Length and Transfer-Encoding"),
    "lengths": ([(b"Content-Length", b"2")] * 2, "multiple content-length headers"),
    "no-number": ([(b"Content-Length", b"2,2")], "invalid content-length header"),
    "coding": ([(b"Transfer-Encoding", b"a\x1b[31m`|\nb")], "unknown transfer-encoding header"),
    "name": ([(b"a b", b"c")], "invalid header name"),
}


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("status", [400, None])
def test_side_and_option_of_what_is_refused(kind: str, side: str, status: int | None) -> None:
    headers, what = REFUSED[kind]
    report = refused(said_of(headers).replace(" from client, ", f" from {side}, "), status)
    told = by_proxy(report)
    assert told is not None
    assert told.why is not None
    assert (told.did, told.by) == ("ended" if status is None else "answered", OPTION)
    assert told.why.startswith(f"the {side} sent {what}")
    assert told.why.endswith(f"; --set {OPTION}=false lets it pass")
    (line,) = flow_line(report).splitlines()[1:]
    assert line.startswith(f"    {told.did} by this proxy: {OPTION}: the {side} sent {what}")
    assert line.isprintable()
    assert f"the {side} sent {what}" in to_markdown(report)


@pytest.mark.parametrize("side", ["Request", "Response"])
def test_a_body_beyond_the_limit(side: str) -> None:
    told = by_proxy(refused(f"{side} body exceeds mitmproxy's body_size_limit."))
    assert told is not None
    assert told.by == "body_size_limit"
    assert told.why == f"the {side.lower()} body is longer; a larger body_size_limit lets it pass"


def test_who_ended_it_stands_alone_where_nothing_was_refused() -> None:
    assert by_proxy(flow_report()) is None
    assert by_proxy(refused("Connection killed.", None)) == (
        "ended",
        "Connection killed.",
        None,
    )
