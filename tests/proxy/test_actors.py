"""Who answered, and who broke off, as far as it needs no network."""

import pytest
from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.flow import Error
from mitmproxy.test import tflow

from cos_inspect.proxy.actors import answered_by, broke_off

REFUSED = "stream reset by client (REFUSED_STREAM)"
CANCEL = "stream reset by client (CANCEL)"


def broken(said: str, *, client: bytes | None, server: bytes | None) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.error = Error(said)
    flow.client_conn.alpn, flow.server_conn.alpn = client, server
    flow.client_conn.state = ConnectionState.OPEN
    return flow


def by(flow: http.HTTPFlow) -> str | None:
    found = broke_off(flow, announced=None)
    return None if found is None else found.by


def test_nobody_broke_off() -> None:
    assert by(tflow.tflow(resp=True)) is None


def test_a_connection_that_is_closed_by_now_was_closed_by_the_client() -> None:
    flow = broken("peer closed connection", client=b"h2", server=b"h2")
    flow.client_conn.state = ConnectionState.CAN_WRITE
    assert by(flow) == "client"


def test_a_client_without_streams_is_open() -> None:
    assert by(broken("peer closed connection", client=None, server=b"h2")) == "server"


def test_a_stream_that_the_client_alone_has() -> None:
    assert by(broken(REFUSED, client=b"h2", server=b"http/1.1")) == "client"


def test_an_upload_that_has_not_met_the_server() -> None:
    flow = broken(REFUSED, client=b"h2", server=b"h2")
    flow.request.timestamp_end = None
    assert by(flow) == "client"


def test_where_layers_cannot_be_asked() -> None:
    assert by(broken(REFUSED, client=b"h2", server=b"h2")) is None
    assert by(broken(CANCEL, client=b"h2", server=b"h2")) == "client"


def test_a_stream_that_the_server_alone_has() -> None:
    assert by(broken(CANCEL, client=None, server=b"h2")) == "server"


def test_killed() -> None:
    flow = broken(Error.KILLED_MESSAGE, client=None, server=None)
    flow.metadata["blocklisted"] = True
    found = broke_off(flow, announced=None)
    assert found is not None
    assert (found.by, found.option) == ("proxy", "block_list")


@pytest.mark.parametrize(
    ("status", "headers", "option"),
    [
        (407, {"Proxy-Authenticate": 'Basic realm="mitmproxy"'}, "proxyauth"),
        (401, {"WWW-Authenticate": 'Basic realm="mitmproxy"'}, "proxyauth"),
        (401, {"WWW-Authenticate": 'Basic realm="somebody"'}, None),
        (407, {}, None),
        (200, {"Server": "mitmproxy 12.2.3"}, "map_local"),
        (502, {"Server": "mitmproxy 12.2.3"}, "another addon"),
        (200, {"Server": "tencent-cos"}, None),
    ],
)
def test_marks(status: int, headers: dict[str, str], option: str | None) -> None:
    flow = tflow.tflow()
    flow.live = False
    flow.response = http.Response.make(status, b"", headers)
    assert answered_by(flow) == option


def test_a_mark_does_not_outlive_a_replay() -> None:
    flow = tflow.tflow(resp=True)
    flow.live = False
    flow.metadata["blocklisted"] = True
    assert answered_by(flow) == "block_list"
    flow.is_replay = "request"
    assert answered_by(flow) is None
