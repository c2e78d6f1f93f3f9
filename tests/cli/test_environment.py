"""What a client on this machine needs."""

import socket
from pathlib import Path

import pytest

from cos_inspect.cli.environment import EnvironmentCheck, look_around

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def confdir(tmp_path: Path) -> Path:
    (tmp_path / "mitmproxy-ca-cert.pem").write_text(CA)
    return tmp_path


def look(confdir: Path, host: str = "localhost", **environment: str) -> dict[str, EnvironmentCheck]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        values = {name: value.replace("PORT", str(port)) for name, value in environment.items()}
        found = look_around(port=port, host=host, confdir=confdir, environment=values)
        return {each.what: each for each in found}


def test_where_all_is_there_all_is_fine(confdir: Path) -> None:
    ca = str(confdir / "mitmproxy-ca-cert.pem")
    names = ("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "AWS_CA_BUNDLE")
    found = look(confdir, HTTPS_PROXY="http://127.0.0.1:PORT", **dict.fromkeys(names, ca))
    assert [each.what for each in found.values() if not each.is_fine] == []


def test_a_bundle_that_holds_the_ca_will_do(confdir: Path) -> None:
    bundle = confdir / "bundle.pem"
    bundle.write_text(f"others\n{CA}others\n")
    assert "another file" not in look(confdir, SSL_CERT_FILE=str(bundle))["trust"].said
    bundle.write_text("others\n")
    assert "another file" in look(confdir, SSL_CERT_FILE=str(bundle))["trust"].said


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    found = look(tmp_path / "none", host="no-such-name.invalid")
    wrong = {name for name, each in found.items() if not each.is_fine}
    assert wrong == {"CA", "HTTPS_PROXY", "trust", "name servers"}
    assert all(found[name].advice for name in wrong)


@pytest.mark.parametrize("excluded", ["*", ".myqcloud.com", "myqcloud.com", "a, *.myqcloud.com"])
def test_hosts_that_go_past_the_proxy_are_told(confdir: Path, excluded: str) -> None:
    assert not look(confdir, host=HOST, NO_PROXY=excluded)["NO_PROXY"].is_fine


@pytest.mark.parametrize("excluded", ["", "localhost,127.0.0.1", "cloud.com", "example.com"])
def test_other_exceptions_are_fine(confdir: Path, excluded: str) -> None:
    assert look(confdir, host=HOST, no_proxy=excluded)["NO_PROXY"].is_fine


def test_another_proxy_is_told(confdir: Path) -> None:
    assert "another proxy" in look(confdir, HTTPS_PROXY="http://10.0.0.1:3128")["HTTPS_PROXY"].said


def test_a_port_on_which_nobody_listens(confdir: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    found = look_around(port=port, host="localhost", confdir=confdir, environment={})
    (of_port,) = [each for each in found if each.what == "port"]
    assert not of_port.is_fine
