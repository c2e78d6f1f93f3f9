"""Clients that pin under TLS 1.3 and close their side alone: mitmproxy keeps the other open."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Inspected
from tests.end_to_end.test_connections import over, rules, trusting, tunnel, wait_until_known
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

HOST, OTHER = (f"{name}-1250000000.cos.ap-guangzhou.myqcloud.com" for name in ("app", "spare"))
SOURCE = Path(__file__).parent / "java" / "Pinning.java"
JARS = [Path("/usr/share/java") / name for name in ("okhttp.jar", "okio.jar")]


@contextlib.contextmanager
def half_closed(proxy: Inspected, host: str) -> Iterator[None]:
    """Finishes the handshake, and closes its sending side without a word."""
    with (
        tunnel(proxy, host) as plain,
        trusting().wrap_socket(
            plain, server_hostname=host, do_handshake_on_connect=True
        ) as connection,
    ):
        connection.shutdown(socket.SHUT_WR)
        yield


def test_a_side_that_is_closed_alone_is_told_while_the_proxy_runs(
    origin: Origin, tmp_path: Path
) -> None:
    with Inspected(origin, tmp_path) as proxy, contextlib.ExitStack() as stack:
        for host in (OTHER, HOST, HOST):
            stack.enter_context(half_closed(proxy, host))
        wait_until_known(proxy, HOST)
        run = over(proxy)
    (trouble,) = run.trouble(HOST)
    assert (trouble["failed"], trouble["count"]) == ("client-closed-after-handshake", 2)
    assert rules(trouble) == ["tls-untrusted"]
    assert run.lines(HOST)
    # One connection alone may have been opened in advance.
    assert [rules(each) for each in run.trouble(OTHER)] == [[]]


@pytest.mark.parametrize(("how", "answers"), [("pin", "SSLPeerUnverifiedException"), ("trust", "")])
def test_okhttp_on_a_jvm(origin: Origin, tmp_path: Path, how: str, answers: str) -> None:
    if shutil.which("javac") is None or not all(jar.exists() for jar in JARS):
        pytest.skip("a JDK and OkHttp are not installed")
    path = ":".join(map(str, (tmp_path, *JARS)))
    subprocess.run(["javac", "-cp", path, "-d", str(tmp_path), str(SOURCE)], check=True)
    with Inspected(origin, tmp_path) as proxy:
        command = ["java", "-cp", path, "Pinning", str(proxy.port), proxy.ca_pem, HOST, "2", how]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as app:
            assert app.stdout is not None
            said = []
            for line in app.stdout:
                if line.strip() == "done":
                    break
                said.append(line.strip())
            assert said == [answers or "404"] * 2
            if how == "pin":
                wait_until_known(proxy, HOST)
            run = over(proxy)
            app.communicate()
    found = [(each["failed"], rules(each)) for each in run.trouble(HOST)]
    pinned = [("client-closed-after-handshake", ["tls-untrusted"])]
    assert found == (pinned if how == "pin" else [])
