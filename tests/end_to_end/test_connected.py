"""Who was connected, live: one row for each client address, and what is no flow counts as well."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import urllib3
from click.testing import CliRunner
from qcloud_cos import CosConfig, CosS3Client, CosServiceError
from requests.adapters import HTTPAdapter

from cos_inspect.cli.commands import main
from tests.end_to_end.harness import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY, Inspected
from tests.end_to_end.test_connections import trusting
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

CLEAN, DISTRUSTS, PINS, SKEWED = (f"127.0.0.{number}" for number in range(2, 6))
WAIT_SECONDS = 60
AHEAD = 20 * 60


class From(HTTPAdapter):
    """Connections from one address of this machine."""

    def __init__(self, address: str) -> None:
        self._source = (address, 0)
        super().__init__()

    def proxy_manager_for(self, proxy: Any, **settings: Any) -> urllib3.ProxyManager:
        made: urllib3.ProxyManager = super().proxy_manager_for(
            proxy, source_address=self._source, **settings
        )
        return made


def session_from(address: str) -> requests.Session:
    session = requests.Session()
    session.mount("https://", From(address))
    return session


def sdk_from(address: str, proxy: Inspected) -> CosS3Client:
    config = CosConfig(
        Region=REGION,
        SecretId=SECRET_ID,
        SecretKey=SECRET_KEY,
        Proxies=proxy.proxies,
        VerifySSL=proxy.ca_pem,
        AutoSwitchDomainOnRetry=False,
    )
    return CosS3Client(config, retry=0, session=session_from(address))


@contextlib.contextmanager
def tunnel_from(address: str, proxy: Inspected) -> Iterator[socket.socket]:
    with socket.create_connection(
        ("127.0.0.1", proxy.port), timeout=30, source_address=(address, 0)
    ) as connection:
        connection.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        yield connection


def pin_from(address: str, proxy: Inspected) -> None:
    with (
        tunnel_from(address, proxy) as plain,
        trusting().wrap_socket(plain, server_hostname=HOST) as connection,
    ):
        assert connection.getpeercert(binary_form=True)


def rows_when_known(proxy: Inspected) -> dict[str, dict[str, Any]]:
    """As soon as each device says what it is here for, while the proxy runs."""
    deadline = time.monotonic() + WAIT_SECONDS
    rows: dict[str, dict[str, Any]] = {}
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            rows = {row["address"]: row for row in proxy.summary["devices"]}
            if (
                {CLEAN, DISTRUSTS, PINS, SKEWED} <= rows.keys()
                and rows[PINS]["tls"] == "refused"
                and rows[SKEWED]["flows"]
            ):
                return rows
        time.sleep(0.05)
    raise AssertionError(f"{rows}\n{proxy.output[-3000:]}")


def test_four_clients_give_four_rows(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Inspected(
        origin, tmp_path, "--set=cos_fail_on=error", "--set=cos_report_format=junit"
    ) as proxy:
        sdk_from(CLEAN, proxy).put_object(Bucket=BUCKET, Key="a.txt", Body=b"abc")
        with pytest.raises(requests.exceptions.SSLError):
            session_from(DISTRUSTS).get(f"https://{HOST}/a.txt", proxies=proxy.proxies, timeout=30)
        for _ in range(2):
            pin_from(PINS, proxy)
        with monkeypatch.context() as patch:
            ahead = time.time() + AHEAD
            patch.setattr("qcloud_cos.cos_auth.time.time", lambda: ahead)
            with contextlib.suppress(CosServiceError):
                sdk_from(SKEWED, proxy).head_object(Bucket=BUCKET, Key="a.txt")
        rows = rows_when_known(proxy)
        proxy.stop()
    clean, skewed = rows[CLEAN], rows[SKEWED]
    assert (clean["client"], clean["tls"], clean["flows"]) == ("cos-python-sdk-v5", "trusted", 1)
    assert (clean["clock_seconds"], clean["suspected"]) == (0, [])
    assert (rows[DISTRUSTS]["tls"], rows[DISTRUSTS]["tls_refused"]) == ("refused", "ca-not-trusted")
    assert (rows[PINS]["tls"], rows[PINS]["tls_refused"]) == ("refused", "pinned")
    assert rows[PINS]["tls_refused_hosts"] == [HOST]
    assert abs(skewed["clock_seconds"] - AHEAD) <= 120
    assert skewed["tls"] == "trusted"
    assert proxy.summary["devices"] == list(
        {row["address"]: row for row in proxy.summary["devices"]}.values()
    )

    # What is no flow is in the last words as well.
    assert proxy.status == 1
    summary_line = next(line for line in proxy.output.splitlines() if "COS summary:" in line)
    assert "also wrong: 3 connections" in summary_line
    reason = next(line for line in proxy.output.splitlines() if "exit 1" in line)
    assert "cos_fail_on=error" in reason
    assert "3 connections" in reason
    assert "tls-untrusted" in reason
    suites = ElementTree.parse(proxy.report_dir / "junit.xml").getroot()
    names = {suite.get("name") for suite in suites if suite.get("failures") != "0"}
    assert {f"connection {address} to {HOST}" for address in (DISTRUSTS, PINS)} <= names

    told = CliRunner().invoke(
        main, ["doctor", f"--report-dir={proxy.report_dir}", "--host=localhost"]
    )
    assert told.exit_code == 0
    for address in (CLEAN, DISTRUSTS, PINS, SKEWED):
        assert address in told.stdout
    assert "without pinning" in told.stdout
    assert "mitm.it" in told.stdout


def test_a_proxy_that_nobody_used_says_what_to_do(origin: Origin, tmp_path: Path) -> None:
    with Inspected(origin, tmp_path) as proxy:
        proxy.stop()
    assert "no client sent anything through this proxy" in proxy.output
    assert "cos-inspect doctor" in proxy.output


def test_a_clean_run_says_nothing_more(origin: Origin, tmp_path: Path) -> None:
    with Inspected(origin, tmp_path, "--set=cos_show=problems") as proxy:
        client = sdk_from(CLEAN, proxy)
        client.put_object(Bucket=BUCKET, Key="a.txt", Body=b"abc")
        client.upload_file(
            Bucket=BUCKET, Key="b.bin", LocalFilePath=str(_large(tmp_path)), PartSize=1, MAXThread=1
        )
        proxy.stop()
    assert proxy.status == 0
    lines = [line for line in proxy.output.splitlines() if "COS " in line]
    assert not any("PutObject" in line for line in lines)
    assert any("multipart-upload completed: " in line for line in lines)
    assert "also wrong" not in proxy.output
    assert "exit 1" not in proxy.output
    (run,) = proxy.summary["runs"]
    assert (run["id"], run["name"], run["verdict"]) == (1, "mitmdump", {"ok": run["flows"]})
    assert run["started"] < run["ended"]
    statistics = {row["operation"]: row for row in proxy.summary["statistics"]}
    assert statistics["PutObject"]["count"] == 1
    assert statistics["UploadPart"]["errors"] == 0
    assert statistics["UploadPart"]["throughput"]["p50"] > 0


def _large(folder: Path) -> Path:
    path = folder / "large.bin"
    path.write_bytes(bytes(range(256)) * 4096 * 3)
    return path


def test_lines_of_failures_say_how_to_find_them(origin: Origin, tmp_path: Path) -> None:
    with Inspected(origin, tmp_path) as proxy:
        client = sdk_from(CLEAN, proxy)
        client.put_object(Bucket=BUCKET, Key="a.txt", Body=b"abc")
        with pytest.raises(CosServiceError):
            client.get_object(Bucket=BUCKET, Key="none.txt")
        proxy.stop()
    (line,) = [line for line in proxy.output.splitlines() if "COS warning" in line]
    (report,) = [each for each in proxy.reports if each["verdict"] == "warning"]
    number, request_id = report["sequence"], report["ids"]["request_id"]
    assert line.rstrip().endswith(f"#{number} NoSuchKey request id {request_id}")
    (fine,) = [line for line in proxy.output.splitlines() if "COS ok " in line]
    assert "✓ CRC-64 ✓ ETag" in fine
    shown = CliRunner().invoke(main, ["show", str(number), f"--report-dir={proxy.report_dir}"])
    assert "for a support ticket" in shown.stdout
