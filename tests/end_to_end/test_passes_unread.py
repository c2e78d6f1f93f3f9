"""COS hosts that mitmproxy hands on without reading: said once, with the reason."""

from pathlib import Path

import pytest
import requests

from tests.end_to_end.harness import HOST, Inspected, rules
from tests.end_to_end.lab import Lab
from tests.end_to_end.test_connections import Run, over
from tests.origin.client_http3 import Call, send_http3
from tests.origin.gateway import Gateway
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

OTHER = HOST.replace("examplebucket", "another")


def lines(run: Run) -> list[str]:
    return [line for line in run.output.splitlines() if "pass unread" in line]


def get(proxy: Inspected, ca_pem: str, host: str = HOST, scheme: str = "https") -> int:
    with requests.Session() as session:
        session.proxies = proxy.proxies
        return session.get(f"{scheme}://{host}/a.txt", verify=ca_pem, timeout=30).status_code


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (r"--set=ignore_hosts=myqcloud\.com", "the option ignore_hosts names them"),
        (r"--set=allow_hosts=^only\.example", "the option allow_hosts names other hosts alone"),
    ],
)
def test_hosts_that_are_ignored(origin: Origin, tmp_path: Path, option: str, told: str) -> None:
    with Inspected(origin, tmp_path, option) as proxy:
        for host in (HOST, OTHER, HOST):
            # The client sees the server's own certificate.
            assert get(proxy, origin.ca_pem, host) == 404
        run = over(proxy)
    assert run.reports == []
    (line,) = lines(run)
    assert f"COS hosts pass unread, because {told}: {HOST}" in line
    (trouble,) = run.trouble(HOST)
    assert (trouble["failed"], trouble["count"]) == ("passes-unread", 2)
    assert (trouble["detail"], rules(trouble)) == (told, [])
    assert len(run.trouble(OTHER)) == 1
    assert run.status == 0


def test_a_script_that_has_a_connection_handed_on(origin: Origin, tmp_path: Path) -> None:
    script = tmp_path / "hand_on.py"
    script.write_text("def tls_clienthello(data):\n    data.ignore_connection = True\n")
    with Inspected(origin, tmp_path, f"--scripts={script}") as proxy:
        assert get(proxy, origin.ca_pem) == 404
        run = over(proxy)
    (line,) = lines(run)
    assert "another addon" in line


def test_raw_streams_by_tcp_hosts(origin: Origin, tmp_path: Path) -> None:
    """TLS is taken off, and what comes out of it is not read as HTTP."""
    with Inspected(origin, tmp_path, r"--set=tcp_hosts=myqcloud\.com") as proxy:
        for _ in range(3):
            assert get(proxy, proxy.ca_pem) == 404
        run = over(proxy)
    (line,) = lines(run)
    assert "the option tcp_hosts names them" in line
    assert [each["failed"] for each in run.summary["connections"]] == ["passes-unread"]


def test_reverse_quic_reads_nothing(origin: Origin, tmp_path: Path) -> None:
    with Gateway(origin) as gateway:
        mode = f"--mode=reverse:quic://{HOST}:443"
        with Lab(origin, tmp_path, mode, server=gateway) as lab:
            (came,) = send_http3(lab.port, HOST, lab.ca_pem, Call("GET", "/a.txt"))
            assert came.status == 404
            run = over(lab)
    (line,) = lines(run)
    assert "reverse:http3 reads them" in line
    assert run.reports == []
    assert {each["failed"] for each in run.summary["connections"]} == {"passes-unread"}


def test_hosts_that_are_read_are_not_said_to_pass(origin: Origin, tmp_path: Path) -> None:
    """Others may pass."""
    with Inspected(origin, tmp_path, r"--set=ignore_hosts=example\.com") as proxy:
        assert get(proxy, proxy.ca_pem) == 404
        assert get(proxy, origin.ca_pem, "www.example.com") == 400
        assert get(proxy, proxy.ca_pem, scheme="http") == 404
        run = over(proxy)
    assert len(run.reports) == 2
    assert lines(run) == []
    assert run.summary["connections"] == []
