"""An exchange as plain data, and that the proxy's hands over nothing that cannot be written."""

import msgspec
import pytest
from mitmproxy.test import tflow

from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import EMPTY_BODY, Body, BodyEnd, Request
from cos_inspect.model.headers import Headers
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from tests.rules.exchanges import HOST


@pytest.mark.parametrize(
    ("scheme", "port", "url"),
    [
        ("https", 443, "https://a/b?c"),
        ("http", 80, "http://a/b?c"),
        ("https", 80, "https://a:80/b?c"),
        ("http", 8080, "http://a:8080/b?c"),
    ],
)
def test_a_url_names_a_port_that_is_not_the_usual_one(scheme: str, port: int, url: str) -> None:
    request = Request(
        method="GET",
        scheme=scheme,
        host="a",
        port=port,
        target="/b?c",
        http_version="HTTP/1.1",
        headers=Headers(),
    )
    assert request.url == url


def test_a_body_gives_its_text_only_when_it_is_whole() -> None:
    assert EMPTY_BODY.text == b""
    assert EMPTY_BODY.complete
    assert Body(size=9, sample=b"abc").text is None
    assert Body(size=3, sample=b"abc", sample_is_whole=True).text == b"abc"
    assert not Body(end=BodyEnd.CUT).complete


def test_bytes_that_are_no_utf8_do_not_stop_a_report() -> None:
    flow = tflow.tflow(resp=True)
    flow.request.data.path = b"/\xff\xfe\xe4\xb8\xad?acl"
    flow.request.data.method = b"G\xffT"
    flow.request.headers["host"] = HOST
    flow.request.headers.set_all("x-\udcff", ["\udcff"])
    assert flow.response is not None
    flow.response.data.reason = b"O\xff"
    found = FlowSnapshot(flow, ()).read()
    assert found is not None
    inspection = first_look(found.exchange)
    assert inspection is not None
    written = msgspec.json.decode(msgspec.json.encode(inspection.report))
    assert written["cos"]["key"] == "\ufffd\ufffd中"
    assert written["request"]["method"] == "G\ufffdT"
