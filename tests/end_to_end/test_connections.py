"""Connections that come to nothing: certificates refused, hosts that cannot be reached."""

import contextlib
import dataclasses
import hashlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosClientError, CosServiceError

from tests.end_to_end.harness import BUCKET, SECRET_ID, SECRET_KEY, Inspected
from tests.end_to_end.lab import WAIT_SECONDS
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

ALERT, SILENT, PINNING, ONCE, SPARE, LATER = (
    f"{name}-1250000000.cos.ap-guangzhou.myqcloud.com"
    for name in ("alert", "silent", "pinning", "once", "spare", "later")
)
SERVER_FINGERPRINT = "00" * 32


@dataclasses.dataclass
class Run:
    """A run of mitmdump that is over."""

    summary: dict[str, Any]
    reports: list[dict[str, Any]]
    output: str
    status: int | None

    def trouble(self, host: str) -> list[dict[str, Any]]:
        return [item for item in self.summary["connections"] if item["host"] == host]

    def lines(self, host: str) -> list[str]:
        return [
            line for line in self.output.splitlines() if "COS connection" in line and host in line
        ]


def over(proxy: Inspected) -> Run:
    proxy.stop()
    return Run(proxy.summary, proxy.reports, proxy.output, proxy.status)


def rules(trouble: dict[str, Any]) -> list[str]:
    return [finding["rule"] for finding in trouble["findings"]]


def trusting() -> ssl.SSLContext:
    """Takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def tunnel(proxy: Inspected, host: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
        connection.sendall(
            f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: raw/1\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        assert b" 200 " in answer
        yield connection


def drop(proxy: Inspected, host: str) -> None:
    """Sends its hello, sees the certificate, and hangs up without an alert."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting().wrap_bio(incoming, outgoing, server_hostname=host)
    with tunnel(proxy, host) as connection:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        connection.sendall(outgoing.read())
        assert connection.recv(4096)


def pin(proxy: Inspected, host: str) -> None:
    """Compares the certificate's fingerprint after the handshake, and goes."""
    with tunnel(proxy, host) as plain, trusting().wrap_socket(plain, server_hostname=host) as tls:
        shown = tls.getpeercert(binary_form=True)
        assert shown is not None
        assert hashlib.sha256(shown).hexdigest() != SERVER_FINGERPRINT


def get(proxy: Inspected, host: str, scheme: str = "https") -> requests.Response:
    return requests.get(
        f"{scheme}://{host}/a.txt", proxies=proxy.proxies, verify=proxy.ca_pem, timeout=30
    )


def wait_until_known(proxy: Inspected, host: str) -> None:
    """Until the trouble stands in the summary that is renewed as traffic passes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if any(item["host"] == host for item in proxy.summary["connections"]):
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing on {host}:\n{proxy.output[-3000:]}")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What clients do that do not trust the proxy, and some that look like it."""
    with (
        Origin() as origin,
        Inspected(origin, tmp_path_factory.mktemp("clients"), "--set=cos_fail_on=error") as proxy,
    ):
        for _ in range(3):
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(f"https://{ALERT}/a.txt", proxies=proxy.proxies, timeout=30)
        drop(proxy, SILENT)
        for _ in range(3):
            pin(proxy, PINNING)
        pin(proxy, ONCE)
        pin(proxy, LATER)
        pin(proxy, LATER)
        wait_until_known(proxy, LATER)
        assert get(proxy, LATER).status_code == 404
        return over(proxy)


def test_an_alert_is_a_finding_at_once(clients: Run) -> None:
    (trouble,) = clients.trouble(ALERT)
    assert trouble["failed"] == "client-refused-certificate"
    assert trouble["client"] == "127.0.0.1"
    assert trouble["count"] == 3
    (finding,) = trouble["findings"]
    assert (finding["rule"], finding["severity"]) == ("tls-untrusted", "error")
    assert {"Android", "iOS", "Windows", "Java", "Node.js", "Python"} <= finding["evidence"][
        "platforms"
    ].keys()


def test_it_is_told_once_with_advice_and_counted_at_the_end(clients: Run) -> None:
    first, last = clients.lines(ALERT)
    assert "tls-untrusted" in first
    assert "unknown ca" in first
    assert "3 times" in last
    assert clients.output.count("    Android: ") == 1


def test_a_silent_drop_is_a_finding(clients: Run) -> None:
    (trouble,) = clients.trouble(SILENT)
    assert (trouble["failed"], trouble["count"]) == ("client-closed-in-handshake", 1)
    assert rules(trouble) == ["tls-untrusted"]
    assert trouble["findings"][0]["evidence"]["user_agent"] == "raw/1"


def test_pinning_is_a_finding_when_it_happens_again_and_again(clients: Run) -> None:
    (trouble,) = clients.trouble(PINNING)
    assert (trouble["failed"], trouble["count"]) == ("client-closed-after-handshake", 3)
    assert rules(trouble) == ["tls-untrusted"]


def test_one_unused_connection_is_listed_without_a_finding(clients: Run) -> None:
    (trouble,) = clients.trouble(ONCE)
    assert (trouble["failed"], trouble["count"]) == ("client-closed-after-handshake", 1)
    assert trouble["findings"] == []
    assert clients.lines(ONCE) == []


def test_a_request_that_comes_later_takes_it_back(clients: Run) -> None:
    assert clients.trouble(LATER) == []
    told, taken_back = clients.lines(LATER)
    assert "tls-untrusted" in told
    assert "works for 127.0.0.1 now" in taken_back


def test_the_exit_status_counts_it(clients: Run) -> None:
    assert clients.status == 1


def test_spare_connections_beside_a_working_one_are_no_trouble(
    origin: Origin, tmp_path: Path
) -> None:
    with Inspected(origin, tmp_path, "--set=cos_fail_on=notice") as proxy:
        with requests.Session() as session:
            answer = session.put(
                f"https://{SPARE}/a.txt",
                data=b"[Object Content]",
                proxies=proxy.proxies,
                verify=proxy.ca_pem,
                timeout=30,
            )
            assert answer.status_code == 200
            for _ in range(4):
                pin(proxy, SPARE)
        run = over(proxy)
    assert run.trouble(SPARE) == []
    assert run.lines(SPARE) == []
    assert run.status == 0


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_server_that_refuses_is_told_once_each(tmp_path: Path) -> None:
    host = ALERT
    with Origin() as origin:
        origin.http_port = origin.https_port = closed_port()
        with Inspected(origin, tmp_path, "--set=cos_fail_on=error") as proxy:
            assert get(proxy, host, "http").status_code == 502
            with pytest.raises(requests.exceptions.ProxyError, match="502"):
                get(proxy, host)
            with pytest.raises(requests.exceptions.ProxyError, match="502"):
                get(proxy, host)
            run = over(proxy)
    (report,) = run.reports
    assert [finding["rule"] for finding in report["findings"]] == ["connection-failed"]
    (trouble,) = run.trouble(host)
    assert (trouble["failed"], trouble["count"]) == ("upstream-refused", 3)
    assert trouble["flows"] == [report["flow_id"]]
    assert rules(trouble) == ["connection-failed"]
    told, counted = run.lines(host)
    assert "Connect call failed" in told
    assert "3 times" in counted
    assert run.status == 1


def test_an_upstream_certificate_that_is_not_trusted(origin: Origin, tmp_path: Path) -> None:
    with Origin() as other:
        # The CA that the proxy is told to trust is not the one of the server it gets to.
        other.https_port = origin.https_port
        with Inspected(other, tmp_path) as proxy:
            assert get(proxy, ALERT).status_code == 502
            pin(proxy, ONCE)
            run = over(proxy)
    (report,) = run.reports
    assert [finding["rule"] for finding in report["findings"]] == ["connection-failed"]
    (related,) = run.trouble(ALERT)
    assert (related["failed"], related["count"]) == ("upstream-certificate", 1)
    assert related["flows"] == [report["flow_id"]]
    assert related["findings"] == []
    assert run.lines(ALERT) == []
    # A client that goes at that moment may be told as well.
    (alone,) = (each for each in run.trouble(ONCE) if each["failed"] == "upstream-certificate")
    assert alone["flows"] == []
    assert "ssl_verify_upstream_trusted_ca" in alone["fix"]
    assert len([line for line in run.lines(ONCE) if "upstream-certificate" in line]) == 1


def test_a_name_that_does_not_resolve(origin: Origin, tmp_path: Path) -> None:
    host = "files.example.invalid"
    script = tmp_path / "to_nowhere.py"
    script.write_text(
        f"def server_connect(data):\n    data.server.address = ({host!r}, data.server.address[1])\n"
    )
    arguments = (f"--scripts={script}", "--set=cos_hosts=*.example.invalid")
    with Inspected(origin, tmp_path, *arguments) as proxy:
        with pytest.raises(requests.exceptions.ProxyError, match="502"):
            get(proxy, host)
        run = over(proxy)
    (trouble,) = run.trouble(host)
    assert (trouble["failed"], trouble["count"], trouble["flows"]) == ("upstream-dns", 1, [])
    assert rules(trouble) == ["connection-failed"]


@pytest.mark.parametrize(
    ("region", "mistake", "right"),
    [
        ("undefined", "region-missing", "<region>"),
        ("hk", "region-old", "ap-hongkong"),
        ("cos.cos.ap-guangzhou", "cos-twice", "ap-guangzhou"),
        ("ap-guangzhou.myqcloud.com", "suffix-twice", "ap-guangzhou"),
    ],
)
def test_a_misspelt_region_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, region: str, mistake: str, right: str
) -> None:
    """Of the Python SDK, over a tunnel that cannot be opened and as a plain request."""
    script = tmp_path / "to_nowhere.py"
    script.write_text(
        "def server_connect(data):\n    data.server.address = ('files.example.invalid', 443)\n"
    )
    with Origin() as server, Inspected(server, tmp_path, f"--scripts={script}") as proxy:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_pem)
        for scheme in ("https", "http"):
            configuration = CosConfig(
                Region=region,
                SecretId=SECRET_ID,
                SecretKey=SECRET_KEY,
                Scheme=scheme,
                Proxies=proxy.proxies,
            )
            client = CosS3Client(configuration, retry=0)
            with pytest.raises((CosClientError, CosServiceError)):
                client.put_object(Bucket=BUCKET, Key="a.txt", Body=b"abc")
        run = over(proxy)
    (report,) = run.reports
    host = report["request"]["url"].split("/")[2]
    found = {finding["rule"]: finding for finding in report["findings"]}
    assert set(found) - {"credentials-in-clear"} == {"connection-failed", "endpoint-mistake"}
    meant = f"{BUCKET}.cos.{right}.myqcloud.com"
    told = found["endpoint-mistake"]["evidence"]
    assert (told["mistake"], told["right"]) == (mistake, meant)
    (trouble,) = run.trouble(host)
    assert (trouble["failed"], trouble["count"]) == ("upstream-dns", 2)
    assert rules(trouble) == ["connection-failed", "endpoint-mistake"]
    assert meant in trouble["fix"]
    assert len(run.lines(host)) == 2
    assert meant in run.output


def test_hosts_of_others_are_left_alone(origin: Origin, tmp_path: Path) -> None:
    with Inspected(origin, tmp_path) as proxy:
        drop(proxy, "www.example.com")
        drop(proxy, SILENT)
        wait_until_known(proxy, SILENT)
        run = over(proxy)
    assert [item["host"] for item in run.summary["connections"]] == [SILENT]
    assert "COS connection www.example.com" not in run.output


def test_an_empty_region_is_told_though_mitmproxy_refuses_the_host(
    origin: Origin, tmp_path: Path
) -> None:
    host = f"{BUCKET}.cos..myqcloud.com"
    with Inspected(origin, tmp_path) as proxy:
        for line in (f"CONNECT {host}:443 HTTP/1.1", f"PUT http://{host}/a.txt HTTP/1.1"):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
                connection.sendall(f"{line}\r\nContent-Length: 0\r\n\r\n".encode())
                assert b" 400 " in connection.recv(4096)
        run = over(proxy)
    (trouble,) = run.trouble(host)
    assert (trouble["count"], rules(trouble)) == (2, ["connection-failed", "endpoint-mistake"])
    assert f"{BUCKET}.cos.<region>.myqcloud.com" in trouble["fix"]
    assert run.lines(host)


def test_a_dead_upstream_proxy_is_not_blamed_on_cos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = closed_port()
    # The script that routes to the server for tests leaves it alone.
    monkeypatch.setenv("COS_TEST_UPSTREAM_PROXY", str(dead))
    mode = f"--mode=upstream:http://127.0.0.1:{dead}"
    with Origin() as server, Inspected(server, tmp_path, mode) as proxy:
        for scheme in ("http", "https"):
            assert get(proxy, PINNING, scheme).status_code == 502
        run = over(proxy)
    for report in run.reports:
        found = {finding["rule"]: finding for finding in report["findings"]}
        told = found["connection-failed"]
        assert told["evidence"]["failed"] == "upstream-proxy"
        assert "upstream proxy" in told["fix"]
    assert len(run.reports) == 2
    assert {trouble["failed"] for trouble in run.trouble(PINNING)} == {"upstream-proxy"}
