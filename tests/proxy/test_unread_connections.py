"""Why a connection passes unread, and whose it is."""

import ssl
from typing import Any

import pytest
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow

from cos_inspect.proxy.unread_connections import is_passed_on, name_in, reason, refused_host

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def decision(data: bytes) -> NextLayer:
    with taddons.context() as context:
        made = NextLayer(Context(tflow.tclient_conn(), context.options))
    made.data_client = lambda: data  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (hello(), HOST),
        (hello()[:40], None),
        (f"GET /a HTTP/1.1\r\nHost: {HOST}:80\r\n\r\n".encode(), HOST),
        (f"GET /a HTTP/1.1\r\nhost:{HOST}\r\n\r\n".encode(), HOST),
        (b"\x16\x03\x01\x00\x05hello", None),
        (b"SSH-2.0", None),
        (b"", None),
    ],
    ids=["hello", "cut hello", "host and port", "host", "no hello", "another", "nothing"],
)
def test_the_name_in_the_first_bytes(data: bytes, name: str | None) -> None:
    assert name_in(decision(data)) == name


def test_which_layers_pass_bytes_on() -> None:
    with taddons.context() as context:
        made = Context(tflow.tclient_conn(), context.options)
    assert is_passed_on(TCPLayer(made, ignore=True))
    assert not is_passed_on(TCPLayer(made))
    assert not is_passed_on(None)


@pytest.mark.parametrize(
    ("options", "mode", "told"),
    [
        ({"ignore_hosts": ["myqcloud"]}, "regular", "the option ignore_hosts names them"),
        ({"allow_hosts": ["nobody"]}, "regular", "allow_hosts names other hosts alone"),
        ({"tcp_hosts": ["myqcloud"]}, "regular", "the option tcp_hosts names them"),
        ({}, f"reverse:quic://{HOST}", "reverse:http3 reads them"),
        ({}, f"reverse:tls://{HOST}:443", "reverse:https reads them"),
        ({"ignore_hosts": ["other"], "allow_hosts": ["myqcloud"]}, "regular", "another addon"),
    ],
)
def test_why(options: dict[str, Any], mode: str, told: str) -> None:
    client, server = tflow.tclient_conn(), tflow.tserver_conn()
    client.proxy_mode = ProxyMode.parse(mode)
    server.address, server.peername = (HOST, 443), None
    with taddons.context() as context:
        context.options.update(**options)
        assert told in reason(client, server, HOST)


@pytest.mark.parametrize(
    ("data", "host"),
    [
        (b"CONNECT a-12500.cos..myqcloud.com:443 HTTP/1.1\r\n\r\n", "a-12500.cos..myqcloud.com"),
        (b"PUT http://A-12500.cos..myqcloud.com/a HTTP/1.1\r\n", "a-12500.cos..myqcloud.com"),
        (b"GET http://a.example/x/../y HTTP/1.1\r\n", None),
        (b"CONNECT a.example:443 HTTP/1.1\r\nX: ..\r\n\r\n", None),
        (b"\x16\x03\x01..", None),
    ],
    ids=["tunnel", "plain", "dots in the path", "dots behind", "no request"],
)  # fmt: skip
def test_a_host_that_mitmproxy_refuses(data: bytes, host: str | None) -> None:
    assert refused_host(decision(data)) == host
