"""What the setup page is told: addresses that a client can use, and codes that say them."""

from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.net import local_ip
from mitmproxy.test import taddons

from cos_inspect.proxy import setup as module
from cos_inspect.proxy.setup import Setup, setup

CONF = "[Interface]\nPrivateKey = abc=\n[Peer]\nEndpoint = 192.168.7.5:51820"


def _server(mode: str, *addresses: tuple[str, int], conf: str | None = None) -> Any:
    return SimpleNamespace(
        mode=SimpleNamespace(type_name=mode),
        listen_addrs=addresses,
        is_running=True,
        client_conf=lambda: conf,
    )


def _setup(monkeypatch: pytest.MonkeyPatch, *servers: Any, **options: Any) -> Setup:
    monkeypatch.setattr(local_ip, "get_local_ip", lambda: "192.168.7.5")
    with taddons.context() as context:
        context.master.addons.add(SimpleNamespace(name="proxyserver", servers=servers))
        if options:
            context.options.update(**options)
        found = setup()
        context.master._legacy_log_events.uninstall()
    return found


def test_a_proxy_for_all_is_named_by_the_address_in_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _setup(monkeypatch, _server("regular", ("0.0.0.0", 8080), ("::", 8080)))
    (proxy,) = found.proxies
    assert (proxy.host, proxy.port, proxy.is_reachable) == ("192.168.7.5", 8080, True)
    steps = {each.client: " ".join(each.steps) for each in found.clients}
    assert steps.keys() == {"Android", "iOS", "JVM", "Node.js", "Python", "Go"}
    assert "http://192.168.7.5:8080" in steps["Python"]
    assert "port 8080" in steps["iOS"]
    assert not any("{" in text.replace("{…", "").replace('{"', "") for text in steps.values())


def test_a_proxy_on_this_machine_alone_is_said_to_be_out_of_a_phones_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _setup(monkeypatch, _server("regular", ("127.0.0.1", 8080)))
    (proxy,) = found.proxies
    assert (proxy.host, proxy.is_reachable) == ("127.0.0.1", False)
    assert any("--listen-host" in text for text in found.remarks)


def test_no_proxy_and_no_network_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("No proxy is listening" in text for text in _setup(monkeypatch).remarks)
    monkeypatch.setattr(local_ip, "get_local_ip6", lambda: None)
    monkeypatch.setattr(module, "_network_address", lambda: None)
    found = _setup(monkeypatch, _server("regular", ("0.0.0.0", 1)))
    assert found.proxies[0].host == "this machine's address"


def test_wireguard_has_a_code_that_says_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    tunnel = _server("wireguard", ("0.0.0.0", 51820), conf=CONF)
    found = _setup(monkeypatch, tunnel, _server("regular", ("::", 8081)))
    assert found.wireguard == CONF
    assert [code.text for code in found.codes] == [CONF, "http://mitm.it"]
    assert "8081" in " ".join(found.clients[0].steps)
    assert not any("does not run" in text for text in found.remarks)
    for code in found.codes:
        size = len(code.modules)
        assert size % 4 == 1
        assert all(len(row) == size and set(row) <= {"0", "1"} for row in code.modules)
        finder = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]
        assert [row[:7] for row in code.modules[:7]] == finder


def test_an_address_of_ipv6_is_bracketed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _setup(monkeypatch, _server("regular", ("2001:db8::7", 8080)))
    steps = {each.client: " ".join(each.steps) for each in found.clients}
    assert "http://[2001:db8::7]:8080" in steps["Go"]
