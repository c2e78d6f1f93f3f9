"""The tables of hooks in the modules that rest on them, held against a real mitmproxy."""

import contextlib
import json
import re
import socketserver
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from mitmproxy import http
from mitmproxy.io import FlowReader

from cos_inspect.proxy import annotations, connection_tracker, flow_hooks
from tests.conditions import wait_until
from tests.end_to_end.harness import BUCKET, HOST
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import Http2
from tests.origin.effects import early, error, stall, truncate
from tests.origin.gateway import Gateway
from tests.origin.server import Origin
from tests.servers import RawServer, served

pytestmark = pytest.mark.end_to_end

SMALL, BIG = b"s" * 20_000, b"b" * 3_000_000
RECORDER = Path(__file__).with_name("hook_recorder.py")
OF_FLOWS = ("requestheaders", "request", "responseheaders", "response", "error")
WHOLE = ["requestheaders", "request", "responseheaders", "response"]


class Event(NamedTuple):
    hook: str
    flow: str
    client: str
    path: str


class Table(NamedTuple):
    """A hook, and what has been before it: of the same flow, or else of the same client."""

    after: dict[str, str]

    @classmethod
    def of(cls, docstring: str | None) -> "Table":
        rows = re.findall(r"(?m)^([a-z_]+) +([a-z_]+|any of them)  ", docstring or "")
        return cls({hook: after for hook, after in rows if hook != "hook"})


FLOWS, CONNECTIONS = Table.of(flow_hooks.__doc__), Table.of(connection_tracker.__doc__)


def record(folder: Path) -> list[Event]:
    with (folder / "hooks.jsonl").open() as file:
        return [Event(**json.loads(line)) for line in file]


def of_path(events: list[Event], path: str) -> list[str]:
    return [event.hook for event in events if event.path == path and event.hook in OF_FLOWS]


def traffic(lab: Lab) -> None:
    lab.origin.put_object(BUCKET, "got", SMALL)
    lab.origin.put_object(BUCKET, "left", BIG)
    lab.origin.put_object(BUCKET, "cut", SMALL)
    lab.damage("left", stall(600.0, after=len(BIG) // 2))
    lab.damage("cut", truncate(100))
    lab.damage("refused", early(error("AccessDenied"), after=65536, keep_reading=True))
    lab.send("GET", "got")
    lab.send("PUT", "streamed", data=BIG)
    with contextlib.suppress(Exception):
        lab.send("GET", "cut")
    with lab.raw("GET /left") as connection:
        assert connection.recv(10)
    lab.report_on("left")
    with lab.raw(f"PUT /refused\nContent-Length: {len(BIG)}") as connection:
        connection.sendall(BIG[:1_000_000])
        assert connection.recv(12) == b"HTTP/1.1 403"
    with lab.raw("PUT /broken\nContent-Length: 20000") as connection:
        connection.sendall(SMALL[:5000])
        wait_until(lambda: '"/broken"' in (lab.report_dir.parent / "hooks.jsonl").read_text())
    for name in ("got", "streamed", "cut", "refused", "broken"):
        lab.report_on(name)


class Recorded(NamedTuple):
    events: list[Event]
    capture: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("hooks")
    capture = folder / "saved.mitm"
    with (
        Origin() as origin,
        Lab(
            origin,
            folder,
            f"--save-stream-file={capture}",
            f"--set=hooks_file={folder / 'hooks.jsonl'}",
            scripts_before=[RECORDER],
        ) as lab,
    ):
        traffic(lab)
        lab.stop()
        assert "Traceback" not in lab.output
    return Recorded(record(folder), capture)


def test_the_tables_are_read() -> None:
    assert {*OF_FLOWS, "client_disconnected", "done"} == FLOWS.after.keys()
    assert {"http_connect", "tls_clienthello", "tls_established_client"} <= CONNECTIONS.after.keys()


def in_order(events: list[Event]) -> None:
    """Each hook comes after the one that the tables name."""
    seen: set[tuple[str, str]] = set()
    for event in events:
        for after in (FLOWS.after.get(event.hook), CONNECTIONS.after.get(event.hook)):
            if after is not None and after != "any of them":
                assert {(after, event.flow), (after, event.client)} & seen, (event, after)
        seen |= {(event.hook, event.flow), (event.hook, event.client)}


def test_no_hook_comes_before_what_the_tables_name(recorded: Recorded) -> None:
    in_order(recorded.events)
    assert {event.hook for event in recorded.events} >= {
        *OF_FLOWS,
        "http_connect",
        "tls_clienthello",
    }
    assert recorded.events[-1].hook == "done"


def test_hooks_of_a_download(recorded: Recorded) -> None:
    assert of_path(recorded.events, "/got") == WHOLE


def test_the_request_hook_of_a_streamed_upload_comes_when_it_has_passed(recorded: Recorded) -> None:
    assert of_path(recorded.events, "/streamed") == WHOLE


def test_the_request_hook_of_an_upload_that_is_refused_early_comes_last_or_never(
    recorded: Recorded,
) -> None:
    hooks = of_path(recorded.events, "/refused")
    assert hooks[:3] == ["requestheaders", "responseheaders", "response"]
    assert hooks[3:] in ([], ["request"], ["error"])


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("/cut", ["requestheaders", "request", "responseheaders"]),
        ("/left", ["requestheaders", "request", "responseheaders"]),
        ("/broken", ["requestheaders"]),
    ],
)
def test_error_comes_in_place_of_response(recorded: Recorded, path: str, before: list[str]) -> None:
    assert of_path(recorded.events, path) == [*before, "error"]


def test_save_writes_what_stands_on_the_flow_after_the_response_hook(recorded: Recorded) -> None:
    with recorded.capture.open("rb") as file:
        flows = [flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]
    (got,) = [flow for flow in flows if flow.request.path == "/got"]
    assert annotations.saved(got)["verdict"] == "ok"


def test_a_cut_flow_that_is_read_from_a_file_has_both(recorded: Recorded, tmp_path: Path) -> None:
    subprocess.run(
        [
            str(Path(sys.executable).with_name("mitmdump")),
            "--no-server",
            f"--rfile={recorded.capture}",
            f"--set=confdir={tmp_path}",
            f"--set=hooks_file={tmp_path / 'hooks.jsonl'}",
            f"--scripts={RECORDER}",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert of_path(record(tmp_path), "/cut") == [*WHOLE, "error"]


def test_hooks_over_http2(tmp_path: Path, origin: Origin) -> None:
    """A connection's streams come mixed, each in its order."""
    with (
        Gateway(origin) as gateway,
        Lab(
            origin,
            tmp_path,
            f"--set=hooks_file={tmp_path / 'hooks.jsonl'}",
            scripts_before=[RECORDER],
            server=gateway,
        ) as lab,
        contextlib.closing(Http2(lab.ca_pem, lab.url)) as store,
    ):
        store.put("first", BIG)
        assert store.get("first") == BIG
        lab.stop()
    events = record(tmp_path)
    in_order(events)
    assert of_path(events, "/first") == [*WHOLE, *WHOLE]


class _Upgrading(socketserver.StreamRequestHandler):
    """Takes every request for the beginning of a WebSocket, and says no more."""

    def handle(self) -> None:
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        self.rfile.read(1)


def test_a_websocket_begins_behind_its_answer(tmp_path: Path, origin: Origin) -> None:
    with (
        served(RawServer(_Upgrading)) as server,
        Lab(
            origin,
            tmp_path,
            f"--set=hooks_file={tmp_path / 'hooks.jsonl'}",
            scripts_before=[RECORDER],
            server=server,
        ) as lab,
    ):
        head = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        with lab.raw(f"GET /socket\n{head}\n{key}", host=HOST) as connection:
            assert connection.recv(12) == b"HTTP/1.1 101"
        lab.report_on("socket")
        lab.stop()
    events = record(tmp_path)
    in_order(events)
    assert of_path(events, "/socket")[:4] == WHOLE
    hooks = [event.hook for event in events if event.path == "/socket"]
    assert hooks.index("websocket_start") > hooks.index("response")
