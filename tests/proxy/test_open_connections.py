from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import tls
from mitmproxy.test import tflow

from cos_inspect.proxy.open_connections import OpenConnections, plain_host

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
OTHER = "www.example.com"


def _hello(name: str | None, address: str | None) -> tls.ClientHelloData:
    server = tflow.tserver_conn()
    server.address = None if address is None else (address, 443)
    context: Any = SimpleNamespace(client=tflow.tclient_conn(), server=server)
    hello: Any = SimpleNamespace(sni=name)
    return tls.ClientHelloData(context, hello)


@pytest.mark.parametrize(
    ("name", "address", "host"),
    [
        (HOST, OTHER, HOST),
        (HOST.upper() + ".", None, HOST),
        (None, HOST, HOST),
        (OTHER, HOST, HOST),
        (OTHER, OTHER, None),
        (None, None, None),
    ],
)
def test_a_hello_tells_the_host_by_name_or_address(
    name: str | None, address: str | None, host: str | None
) -> None:
    found = OpenConnections().of_hello(_hello(name, address))
    assert (found.host if found else None) == host


def test_what_is_known_of_a_connection_stands_until_it_ends() -> None:
    connections, client = OpenConnections(), tflow.tclient_conn()
    begun = connections.begin(client, HOST)
    begun.user_agent = "curl"
    again = connections.begin(client, f"b.{HOST}")
    assert again is begun is connections.get(client)
    assert list(connections) == [begun]
    assert connections.end(client) is begun
    assert connections.get(client) is connections.end(client) is None
    connections.leave(client, begun)
    assert connections.left(client) is begun
    assert connections.left(client) is None


def test_hosts_are_compared_in_small_letters() -> None:
    assert plain_host("A.Example.") == "a.example"
    assert plain_host(None) == plain_host("") == plain_host("a\nb") == ""
