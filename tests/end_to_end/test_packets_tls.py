"""What was encrypted is read from packets as the proxy read it: the proxy keeps the secrets of both
its sides, and the same traffic is captured before and behind it."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from qcloud_cos import CosConfig, CosS3Client

from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.pcap import PCAP
from cos_inspect.captures.source import Stream
from cos_inspect.cli.analyze import analyze
from tests.end_to_end.harness import (
    BUCKET,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Report,
    accused,
    checks,
    read_reports,
)
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import Http2, Sdk, exercise, judge
from tests.end_to_end.packet_capture import capturing, needs_packets, of_port, with_secrets
from tests.end_to_end.test_live_and_later import without
from tests.origin.gateway import Gateway
from tests.origin.server import Origin

pytestmark = [pytest.mark.end_to_end, needs_packets]

OTHERWISE = (
    "flow_id",
    "sequence",
    "run",
    "started",
    "timing",
    "connection",
    "ticket",
    "broke_off.after_ms",
    "broke_off.said",
    "findings",
)
"""Members that differ: times are those of the packets (also in the line for support), the
connection is that of the wire, and how a connection ended stands in other words, also in what is
found of it."""
BIG = os.urandom(3 << 20)


class Captured(NamedTuple):
    live: list[Report]
    pcap: Path
    keys: Path
    before: int
    """The proxy's port."""
    behind: int
    """The server's."""


def analyzed(capture: Path, folder: Path, *arguments: str, **variables: str) -> tuple[Path, str]:
    """The reports' directory, and all that was printed."""
    done = CliRunner().invoke(
        analyze,
        [str(capture), f"--report-dir={folder}", "--all", *arguments],
        env={"SSLKEYLOGFILE": None, **variables},
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return folder, done.output


def assert_no_secret(keys: Path, folder: Path, output: str) -> None:
    secrets = [line.split()[2] for line in keys.read_text().splitlines() if len(line.split()) == 3]
    assert secrets
    texts = [
        output,
        *(path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file()),
    ]
    for text in texts:
        for secret in secrets:
            assert secret not in text
            assert secret.upper() not in text


def sides(run: Captured, folder: Path) -> Iterator[tuple[list[Report], Path, str]]:
    """What is seen before the proxy, where it is inside of a CONNECT, and behind it."""
    for port in (run.before, run.behind):
        side = of_port(run.pcap, port, folder / f"{port}.pcap")
        reports, output = analyzed(side, folder / f"seen-{port}", "--keys", str(run.keys))
        yield read_reports(reports), reports, output


def assert_same(live: list[Report], seen: list[Report]) -> None:
    assert len(seen) == len(live)
    by_id = {report["ids"]["request_id"]: report for report in seen}
    for report in live:
        found = by_id[report["ids"]["request_id"]]
        assert without(found, *OTHERWISE) == without(report, *OTHERWISE)
        assert _timeless(found["ticket"]) == _timeless(report["ticket"])
        for finding, other in zip(found["findings"], report["findings"], strict=True):
            assert without(finding, "detail", "evidence") == without(other, "detail", "evidence")


def _timeless(ticket: str | None) -> str | None:
    return ticket and re.sub(r"; time: \S+", "", ticket)


@contextlib.contextmanager
def proxy_captured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, http2: bool = False
) -> Iterator[tuple[Lab, list[Captured]]]:
    keys, pcap = folder / "keys.log", folder / "packets.pcap"
    monkeypatch.setenv("MITMPROXY_SSLKEYLOGFILE", str(keys))
    found: list[Captured] = []
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(Origin())
        server = stack.enter_context(Gateway(origin)) if http2 else origin
        lab = stack.enter_context(Lab(origin, folder, *arguments, server=server if http2 else None))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", lab.ca_pem)
        with capturing(pcap, server.https_port, lab.port):
            yield lab, found
            lab.stop()
        found.append(Captured(lab.reports, pcap, keys, lab.port, server.https_port))
        assert not origin.faults


@pytest.mark.parametrize("version", ["TLS1_2", "TLS1_3"])
def test_packets_say_what_the_proxy_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    limits = tuple(
        f"--set=tls_version_{side}_{end}={version}"
        for side in ("client", "server")
        for end in ("min", "max")
    )
    with proxy_captured(tmp_path, monkeypatch, *limits) as (lab, found):
        exercise(lab.origin, Sdk(lab.ca_pem, Proxies=lab.proxies))
    (run,) = found
    for seen, folder, output in sides(run, tmp_path):
        assert_same(run.live, seen)
        judge(lab.origin, seen)
        assert_no_secret(run.keys, folder, output)
        for report in seen:
            assert report["connection"]["tls"] == version.replace("TLS1_", "TLSv1.")
            assert report["connection"]["sni"] == report["request"]["url"].split("/")[2]
        # Once for a connection.
        assert any(report["timing"]["tls_ms"] is not None for report in seen)


def test_packets_of_http2_say_what_the_proxy_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        proxy_captured(tmp_path, monkeypatch, http2=True) as (lab, found),
        contextlib.closing(Http2(lab.ca_pem, lab.url)) as store,
    ):
        exercise(lab.origin, store)
    (run,) = found
    for seen, _, _ in sides(run, tmp_path):
        assert_same(run.live, seen)
        assert {report["response"]["http_version"] for report in seen} == {"HTTP/2.0"}
        assert {report["connection"]["tls"] for report in seen} == {"TLSv1.3"}


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """The SDK without any proxy, over TLS 1.3."""
    folder = tmp_path_factory.mktemp("direct")
    keys, pcap = folder / "keys.log", folder / "packets.pcap"
    with pytest.MonkeyPatch.context() as patch, Origin() as origin:
        patch.setenv("SSLKEYLOGFILE", str(keys))
        origin.custom_domains["localhost"] = BUCKET
        client = CosS3Client(
            CosConfig(
                Region=REGION,
                Scheme="https",
                SecretId=SECRET_ID,
                SecretKey=SECRET_KEY,
                Domain=f"localhost:{origin.https_port}",
                VerifySSL=origin.ca_pem,
            )
        )
        with capturing(pcap, origin.https_port):
            for name, body in (("small", b"abc" * 100), ("big", BIG)):
                client.put_object(BUCKET, body, name)
                assert client.get_object(BUCKET, name)["Body"].get_raw_stream().read() == body
            client.get_object(BUCKET, "big", Range="bytes=5-99")["Body"].get_raw_stream().read()
            client._session.close()
        assert not origin.faults
        return Captured([], pcap, keys, 0, origin.https_port)


def judge_direct(folder: Path) -> None:
    reports = read_reports(folder)
    assert len(reports) == 5
    assert not accused(reports)
    for report in reports:
        assert report["connection"]["tls"] == "TLSv1.3"
        assert report["connection"]["sni"] == "localhost"
    uploads = [each for each in reports if each["request"]["method"] == "PUT"]
    for report in uploads:
        assert checks(report)["crc64", "request"] == "match"


def test_the_sdk_without_a_proxy_is_read(direct: Captured, tmp_path: Path) -> None:
    folder, output = analyzed(
        direct.pcap, tmp_path / "seen", "--keys", str(direct.keys), "--hosts=localhost"
    )
    judge_direct(folder)
    assert_no_secret(direct.keys, folder, output)


def test_keys_are_taken_from_the_environment(direct: Captured, tmp_path: Path) -> None:
    folder, output = analyzed(
        direct.pcap, tmp_path / "seen", "--hosts=localhost", SSLKEYLOGFILE=str(direct.keys)
    )
    judge_direct(folder)
    assert_no_secret(direct.keys, folder, output)


def test_keys_are_taken_from_the_capture_itself(direct: Captured, tmp_path: Path) -> None:
    made = with_secrets(direct.pcap, direct.keys.read_bytes(), tmp_path / "own.pcapng")
    folder, output = analyzed(made, tmp_path / "seen", "--hosts=localhost")
    judge_direct(folder)
    assert_no_secret(direct.keys, folder, output)


def reasons(capture: Path, *key_logs: str) -> dict[str, int]:
    """Why connections were not read."""
    part = CapturePart(path=str(capture), name="a", format=PCAP, key_logs=key_logs)
    remarks, stream = InputRemarks("a"), Stream(part.path)
    try:
        assert list(PCAP.read(stream, part, ("localhost",), remarks)) == []
    finally:
        stream.close()
    assert remarks.account is not None
    assert remarks.account.has_holes
    return remarks.account.unread


def test_without_its_keys_it_says_so(direct: Captured, tmp_path: Path) -> None:
    (count,) = {each.count(b"SERVER_TRAFFIC_SECRET_0") for each in [direct.keys.read_bytes()]}
    assert reasons(direct.pcap) == {"TLS: no key log was given": count}
    other = tmp_path / "other.log"
    other.write_text(f"CLIENT_RANDOM {'ab' * 32} {'cd' * 48}\nan odd line\n")
    assert reasons(direct.pcap, str(other)) == {"TLS: no key in the key log": count}
    _, output = analyzed(direct.pcap, tmp_path / "seen", "--keys", str(other))
    assert "1 lines of the key log are odd" in output
    assert "cd" * 48 not in output


def test_what_is_no_key_log_is_refused(direct: Captured, tmp_path: Path) -> None:
    secret = tmp_path / "cos.conf"
    secret.write_text("[a]\nsecret_key = a-secret-that-nobody-may-see\n")
    for path in (secret, tmp_path, tmp_path / "nowhere"):
        folder, output = analyzed(direct.pcap, tmp_path / "none", "--keys", str(path))
        assert not folder.exists()
        assert str(path) in output
        assert len(output.splitlines()) <= 4, output
        assert "a-secret-that-nobody-may-see" not in output
