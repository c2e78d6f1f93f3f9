"""Who broke an exchange off: the client itself, the server or the network, the proxy. Over
HTTP/1 and HTTP/2, uploads and downloads, streamed and kept, live, saved and read again."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h2.connection
import h2.errors
import h2.events
import pytest
import requests

from tests.conditions import wait_until
from tests.end_to_end.harness import BUCKET, HOST, Report, checks
from tests.end_to_end.lab import Lab, found, saved_flows
from tests.end_to_end.later import assert_same_later
from tests.origin.damage import abort_upload
from tests.origin.effects import chunked, stall, truncate
from tests.origin.gateway import Gateway
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 8000
"""2 MB: streamed by default."""
SMALL = bytes(range(256)) * 2000
LONG = 300.0
SCRIPT = """
import urllib.parse


def note(what, flow):
    print(what, urllib.parse.unquote(flow.request.path).strip("/"), "END", flush=True)


def requestheaders(flow):
    note("begun", flow)
    if flow.request.path.startswith("/killed"):
        flow.kill()


def responseheaders(flow):
    note("answered", flow)
"""
"""With a ``request`` hook nothing would be streamed."""


class Told(NamedTuple):
    reports: dict[str, Report]
    capture: Path
    status: int | None


def http1(lab: Lab) -> None:
    """The client leaves inside its upload, inside a download, and before any answer."""
    uploads = {
        "up-kept": (f"Content-Length: {len(SMALL)}", SMALL[:5000]),
        "up-streamed": (f"Content-Length: {len(BIG)}", BIG[:1_200_000]),
        "up-chunked": ("Transfer-Encoding: chunked", b"4\r\nabcd\r\n"),
    }
    for name, (framing, sent) in uploads.items():
        with lab.raw(f"PUT /{name}\n{framing}") as connection:
            connection.sendall(sent)
            lab.wait_for_output(f"begun {name} END")
    for name, data in (("down-kept", SMALL), ("down-streamed", BIG)):
        lab.origin.put_object(BUCKET, name, data)
        lab.damage(name, stall(LONG, after=len(data) // 2))
        with lab.raw(f"GET /{name}"):
            lab.wait_for_output(f"answered {name} END")
    for name, head, sent in (
        ("wait", "GET", b""),
        ("wait-upload", f"PUT\nContent-Length: {len(SMALL)}", SMALL),
        ("wait-streamed", f"PUT\nContent-Length: {len(BIG)}", BIG),
    ):
        lab.damage(name, stall(LONG))
        method, _, fields = head.partition("\n")
        with lab.raw(f"{method} /{name}\n{fields}") as connection:
            connection.sendall(sent)
            lab.wait_for_output(f"begun {name} END")
            wait_until(lambda: _has_come(lab, name))  # noqa: B023
    for name, data in (("cut-kept", SMALL), ("cut-streamed", BIG)):
        lab.origin.put_object(BUCKET, name, data)
        lab.damage(name, truncate(100_000))
        with contextlib.suppress(Exception):
            lab.send("GET", name)
    lab.origin.put_object(BUCKET, "cut-chunked", SMALL)
    lab.damage("cut-chunked", truncate(100_000), chunked())
    with contextlib.suppress(Exception):
        lab.send("GET", "cut-chunked")
    lab.damage("reset-up", abort_upload(after=500_000))
    with (
        lab.raw("PUT /reset-up\nContent-Length: 19000000") as connection,
        contextlib.suppress(OSError),
    ):
        for _ in range(9):
            connection.sendall(b"a" * 1_000_000)
        while connection.recv(65_536):
            pass
    kill(lab, "killed")


def kill(lab: Lab, name: str) -> None:
    with pytest.raises(requests.ConnectionError):
        lab.send("GET", name)


def _has_come(lab: Lab, name: str) -> bool:
    """The whole request has come to the server."""
    found = [record for record in list(lab.origin.requests) if record.target == f"/{name}"]
    return bool(found) and found[0].complete


@pytest.fixture(scope="module")
def over_http1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("http1")
    with Origin() as origin:
        yield run(origin, folder, http1, names=ALL)
        assert not origin.faults


def run(
    origin: Origin,
    folder: Path,
    traffic: Any,
    *arguments: str,
    names: Iterable[str],
    server: Any = None,
) -> Told:
    """``names`` are the keys that must have been reported before the proxy ends."""
    script, capture = folder / "notes.py", folder / "saved.mitm"
    script.write_text(SCRIPT)
    with Lab(
        origin,
        folder,
        f"--save-stream-file={capture}",
        "--set=cos_fail_on=error",
        *arguments,
        scripts_before=[script],
        server=server,
    ) as lab:
        traffic(lab)
        for name in names:
            lab.report_on(name)
        lab.stop()
        assert "Traceback" not in lab.output
        reports = {report["cos"]["key"]: report for report in lab.reports}
        assert len(reports) == len(lab.reports)
    return Told(reports, capture, lab.status)


UPLOADS = ("up-kept", "up-streamed", "up-chunked")
DOWNLOADS = ("down-kept", "down-streamed")
WAITS = ("wait", "wait-upload", "wait-streamed")
CUTS = ("cut-kept", "cut-streamed", "cut-chunked", "reset-up")
ALL = (*UPLOADS, *DOWNLOADS, *WAITS, *CUTS, "killed")


def said(report: Report) -> str:
    (finding,) = report["findings"]
    detail: str = finding["detail"]
    return detail


def judge_client(report: Report) -> None:
    assert report["broke_off"]["by"] == "client"
    assert report["verdict"] == "warning", report["findings"]
    assert "The client itself" in said(report)
    assert ".." not in said(report)
    assert "unknown" not in said(report)
    assert "mismatch" not in checks(report).values()


@pytest.mark.parametrize("name", UPLOADS)
def test_client_left_inside_its_upload(over_http1: Told, name: str) -> None:
    report = over_http1.reports[name]
    assert found(report) == {"body-truncated warning"}
    judge_client(report)
    sizes = {"up-kept": 5000, "up-streamed": 1_200_000, "up-chunked": None}
    assert report["request"]["body"]["size"] == sizes[name] or name == "up-chunked"


@pytest.mark.parametrize("name", DOWNLOADS)
def test_client_left_inside_its_download(over_http1: Told, name: str) -> None:
    report = over_http1.reports[name]
    assert found(report) == {"body-truncated warning"}
    judge_client(report)


@pytest.mark.parametrize("name", WAITS)
def test_client_gave_up_waiting(over_http1: Told, name: str) -> None:
    report = over_http1.reports[name]
    assert found(report) == {"connection-failed warning"}
    judge_client(report)
    assert report["broke_off"]["waited_ms"] >= 0
    assert "had waited" in said(report)


@pytest.mark.parametrize("name", CUTS)
def test_server_or_network(over_http1: Told, name: str) -> None:
    report = over_http1.reports[name]
    assert found(report) == {"body-truncated error"}
    assert report["broke_off"]["by"] == "server"
    assert "client" not in said(report)


def judge_killed(report: Report, option: str) -> None:
    assert report["findings"] == []
    assert (report["response"], report["ticket"]) == (None, None)
    assert (report["broke_off"]["by"], report["broke_off"]["option"]) == ("proxy", option)


def test_killed_by_a_script(over_http1: Told) -> None:
    judge_killed(over_http1.reports["killed"], "the script notes.py")


def test_killed_by_an_option(tmp_path: Path, origin: Origin) -> None:
    """For it, every request is kept whole."""
    told = run(
        origin,
        tmp_path,
        lambda lab: kill(lab, "blocked"),
        "--set=block_list=/~u blocked/444",
        names=("blocked",),
    )
    judge_killed(told.reports["blocked"], "block_list")
    assert_same_later(list(told.reports.values()), told.capture, tmp_path)


def test_what_is_called_streamed_was(over_http1: Told) -> None:
    saved = {flow.request.path.strip("/"): flow for flow in saved_flows(over_http1.capture)}
    for name in ("up-streamed", "up-chunked", "wait-streamed", "reset-up"):
        assert saved[name].request.raw_content is None
    assert saved["wait-upload"].request.raw_content == SMALL


def test_nothing_else_was_reported(over_http1: Told) -> None:
    assert over_http1.reports.keys() == set(ALL)


def test_the_saved_flows_say_the_same(over_http1: Told, tmp_path: Path) -> None:
    assert_same_later(list(over_http1.reports.values()), over_http1.capture, tmp_path)


def test_a_suite_that_cancels_does_not_fail(tmp_path: Path, origin: Origin) -> None:
    def cancels(lab: Lab) -> None:
        for name in ("one", "two"):
            with lab.raw(f"PUT /{name}\nContent-Length: {len(BIG)}") as connection:
                connection.sendall(BIG[:1_100_000])
                lab.wait_for_output(f"begun {name} END")

    assert run(origin, tmp_path, cancels, names=("one", "two")).status == 0


def test_a_client_that_resets_its_connection(tmp_path: Path, origin: Origin) -> None:
    def resets(lab: Lab) -> None:
        lab.damage("reset", stall(LONG))
        with lab.raw("GET /reset") as connection:
            lab.wait_for_output("begun reset END")
            wait_until(lambda: _has_come(lab, "reset"))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    report = run(origin, tmp_path, resets, names=("reset",)).reports["reset"]
    assert found(report) == {"connection-failed warning"}
    judge_client(report)


class Http2Client:
    """One stream over a tunnel, and what may end it."""

    def __init__(self, lab: Lab) -> None:
        plain = socket.create_connection(("127.0.0.1", lab.port), timeout=30)
        plain.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(cafile=lab.ca_pem)
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(plain, server_hostname=HOST)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.connection = h2.connection.H2Connection()
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.connection.data_to_send())

    def ask(self, method: str, name: str, length: int | None = None, body: bytes = b"") -> None:
        fields = [
            (":method", method),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", f"/{name}"),
            ("user-agent", "broke-off/1"),
        ]
        if length is not None:
            fields.append(("content-length", str(length)))
        whole = length in (None, len(body))
        self.connection.send_headers(1, fields, end_stream=whole and not body)
        self.flush()
        while body:
            room = min(
                self.connection.local_flow_control_window(1),
                self.connection.max_outbound_frame_size,
            )
            if room == 0:
                self.read()
                continue
            piece, body = body[:room], body[room:]
            self.connection.send_data(1, piece, end_stream=whole and not body)
            self.flush()

    def read(self) -> list[h2.events.Event]:
        events = self.connection.receive_data(self.socket.recv(65536))
        self.flush()
        return events

    def cancel(self) -> None:
        self.connection.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    def close(self) -> None:
        self.socket.close()


def http2(lab: Lab, how: str) -> None:
    for name, data in (("down-kept", SMALL), ("down-streamed", BIG)):
        lab.origin.put_object(BUCKET, name, data)
        lab.damage(name, stall(LONG, after=len(data) // 2))
    lab.damage("wait", stall(LONG))
    lab.damage("wait-upload", stall(LONG))
    asked: dict[str, tuple[Any, ...]] = {
        "up-kept": ("PUT", len(SMALL), SMALL[:5000]),
        "up-streamed": ("PUT", len(BIG), BIG[:1_200_000]),
        "down-kept": ("GET",),
        "down-streamed": ("GET",),
        "wait": ("GET",),
        "wait-upload": ("PUT", len(SMALL), SMALL),
    }
    for name, (method, *rest) in asked.items():
        client = Http2Client(lab)
        client.ask(method, name, *rest)
        lab.wait_for_output(f"{'answered' if name.startswith('down') else 'begun'} {name} END")
        if name.startswith("wait"):
            wait_until(lambda: _has_come(lab, name))  # noqa: B023
        getattr(client, how)()
        lab.report_on(name)
        client.close()
    cut_over_http2(lab)


def cut_over_http2(lab: Lab) -> None:
    for name, data in (("cut-kept", SMALL), ("cut-streamed", BIG)):
        lab.origin.put_object(BUCKET, name, data)
        lab.damage(name, truncate(100_000))
        client = Http2Client(lab)
        client.ask("GET", name)
        lab.report_on(name)
        client.close()


def test_a_server_that_cancels(tmp_path: Path, origin: Origin) -> None:
    """mitmproxy says of it what it says of a client."""
    with Gateway(origin) as gateway:
        gateway.streams.cancels = True
        names = ("cut-kept", "cut-streamed")
        told = run(origin, tmp_path, cut_over_http2, names=names, server=gateway)
    for name in names:
        report = told.reports[name]
        assert report["broke_off"]["said"] == "stream reset by client (CANCEL)"
        assert report["broke_off"]["by"] == "server"
        assert found(report) == {"body-truncated error"}
    assert_same_later(list(told.reports.values()), told.capture, tmp_path)


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest.mark.parametrize("upstream", ["HTTP/1.1", "HTTP/2"])
def test_over_http2(how: str, upstream: str, tmp_path: Path, origin: Origin) -> None:
    def traffic(lab: Lab) -> None:
        http2(lab, how)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Gateway(origin)) if upstream == "HTTP/2" else None
        # The client's protocol follows the server's, where the server was asked first.
        arguments = () if server else ("--set=connection_strategy=lazy",)
        told = run(origin, tmp_path, traffic, *arguments, names=(), server=server)
    for name, report in told.reports.items():
        assert report["request"]["http_version"] == "HTTP/2.0"
        if name.startswith("cut"):
            assert found(report) == {"body-truncated error"}
            assert report["broke_off"]["by"] == "server", name
        else:
            expected = "connection-failed" if name.startswith("wait") else "body-truncated"
            assert found(report) == {f"{expected} warning"}, (name, report["findings"])
            judge_client(report)
    assert len(told.reports) == 8
    assert_same_later(list(told.reports.values()), told.capture, tmp_path)
