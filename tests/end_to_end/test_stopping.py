"""The proxy ends while flows are under way: they are reported once, and nothing is said of them."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.end_to_end.harness import BUCKET, HOST, Report
from tests.end_to_end.lab import Lab, get, in_group, put, saved_flows
from tests.end_to_end.later import analyzed
from tests.origin.effects import early, error, stall, truncate
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 8000
"""2 MB: streamed by default."""
SMALL = bytes(range(256)) * 2000
LONG = 300.0

NOTES = """
import urllib.parse


def note(what, flow):
    print(what, urllib.parse.unquote(flow.request.path).strip("/"), "END", flush=True)


def requestheaders(flow):
    note("begun", flow)


def responseheaders(flow):
    note("answered", flow)


def error(flow):
    note("broken", flow)
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A script that prints how far each flow has come."""
    script = tmp_path / "notes.py"
    script.write_text(NOTES)
    return script


def begin_flows(lab: Lab, connections: contextlib.ExitStack) -> set[str]:
    """Has flows of all kinds under way; their keys."""
    lab.damage("waiting", stall(LONG))
    lab.damage("upload-waiting", stall(LONG))
    for name, data in (("inside-kept", SMALL), ("inside-streamed", BIG)):
        lab.origin.put_object(BUCKET, name, data)
        lab.damage(name, stall(LONG, after=len(data) // 2))
    sent = {
        "waiting": ("GET", b""),
        "inside-kept": ("GET", b""),
        "inside-streamed": ("GET", b""),
        "upload-waiting": (f"PUT\nContent-Length: {len(SMALL)}", SMALL),
        "upload-kept": ("PUT\nContent-Length: 100000", SMALL[:5000]),
        "upload-streamed": ("PUT\nContent-Length: 3000000", BIG[:1_500_000]),
        "upload-chunked": ("PUT\nTransfer-Encoding: chunked", b"4\r\nabcd\r\n"),
    }
    for name, (how, body) in sent.items():
        method, _, head = how.partition("\n")
        connection = connections.enter_context(lab.raw(f"{method} /{name}\n{head}"))
        connection.sendall(body)
        step = "answered" if name.startswith("inside") else "begun"
        lab.wait_for_output(f"{step} {name} END")
    return set(sent)


def by_key(reports: list[Report]) -> dict[str, Report]:
    found = {report["cos"]["key"]: report for report in reports}
    assert len(found) == len(reports)
    return found


def nothing_is_said_of(report: Report) -> None:
    assert report["verdict"] == "ok", report["findings"]
    assert report["findings"] == []
    assert report["ticket"] is None
    assert report["checks"]
    for check in report["checks"]:
        assert (check["status"], check["reason"]) == ("skipped", "proxy-stopped")


@pytest.fixture
def hangups() -> Iterator[None]:
    """A closed terminal ends what was started here, though these tests may outlive one."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_flows_under_way_are_no_failures(
    tmp_path: Path, notes: Path, origin: Origin, number: signal.Signals
) -> None:
    capture = tmp_path / "saved.mitm"
    with (
        contextlib.ExitStack() as connections,
        Lab(
            origin,
            tmp_path,
            "--set=cos_fail_on=notice",
            f"--save-stream-file={capture}",
            scripts_before=[notes],
        ) as lab,
    ):
        under_way = begin_flows(lab, connections)
        put()(lab, "whole")
        lab.stop(lambda pid: os.kill(pid, number))
        assert lab.status == 0, lab.output
        reports = by_key(lab.reports)
        summary = lab.summary
        assert "Traceback" not in lab.output
    assert reports.keys() == under_way | {"whole"}
    for name in under_way:
        nothing_is_said_of(reports[name])
    assert reports["inside-streamed"]["response"]["status"] == 200
    assert reports["inside-kept"]["response"]["status"] == 200
    assert not reports["inside-streamed"]["response"]["body"]["complete"]
    assert not reports["upload-streamed"]["request"]["body"]["complete"]
    assert reports["upload-waiting"]["request"]["body"]["complete"]
    assert reports["whole"]["checks"][0]["status"] == "match"
    assert summary["counts"]["flows"] == len(reports)
    assert summary["connections"] == []

    for flow in saved_flows(capture):
        assert flow.marked == ":green_circle:", flow.request.path
        assert "COS ok: " in flow.comment
    for name, again in by_key(read_later(capture, tmp_path)).items():
        if name != "whole":
            nothing_is_said_of(again)


def read_later(capture: Path, folder: Path, fail_on: str = "notice") -> list[Report]:
    return analyzed(capture, folder / "later", f"--fail-on={fail_on}")


CLIENT = f"""
import sys
from qcloud_cos import CosConfig, CosS3Client

client = CosS3Client(CosConfig(
    Region="ap-guangzhou", SecretId="AKIDexample", SecretKey="example", Scheme="https",
    Proxies={{"http": sys.argv[1], "https": sys.argv[1]}}, VerifySSL=sys.argv[2],
))
client.get_object(Bucket="{BUCKET}", Key="waiting")
"""


def test_an_interrupt_of_the_terminal_ends_clients_as_well(
    tmp_path: Path, notes: Path, origin: Origin
) -> None:
    """Ctrl-C reaches all that was started there: the SDK, curl, and mitmdump."""
    capture = tmp_path / "saved.mitm"
    with Lab(
        origin,
        tmp_path,
        "--set=cos_fail_on=notice",
        f"--save-stream-file={capture}",
        scripts_before=[notes],
        own_group=True,
    ) as lab:
        origin.put_object(BUCKET, "inside-streamed", BIG)
        lab.damage("inside-streamed", stall(LONG, after=len(BIG) // 2))
        lab.damage("waiting", stall(LONG))
        script = tmp_path / "client.py"
        script.write_text(CLIENT)
        commands = [
            [sys.executable, str(script), lab.url, lab.ca_pem],
            *(
                ["curl", "-s", "-x", lab.url, f"http://{HOST}/{name}", "-o", os.devnull]
                for name in ("inside-streamed", "waiting?number=2", "waiting?number=3")
            ),
            ["curl", "-s", "-x", lab.url, "-T", "-", f"http://{HOST}/upload"],
        ]
        clients = in_group(lab.pid, commands)
        for name in ("waiting END", r"waiting\?number=2", r"waiting\?number=3", "upload"):
            lab.wait_for_output(f"begun {name}")
        lab.wait_for_output("answered inside-streamed")
        lab.stop(lambda pid: os.killpg(pid, signal.SIGINT))
        assert lab.status == 0, lab.output
        for client in clients:
            client.communicate(timeout=30)
        reports = lab.reports
        assert lab.summary["connections"] == []
    assert len(reports) == len(clients)
    for report in reports:
        nothing_is_said_of(report)
    for flow in saved_flows(capture):
        assert flow.marked == ":green_circle:", flow.request.path
    for again in read_later(capture, tmp_path):
        nothing_is_said_of(again)


SLOW_END = """
import asyncio

from mitmproxy import ctx, http


def requestheaders(flow):
    if flow.request.path == "/end":
        flow.response = http.Response.make(200)
        ctx.master.shutdown()


async def done():
    print("the end has begun END", flush=True)
    await asyncio.sleep(2.5)
"""


@pytest.mark.parametrize("how", ["signal", "script"])
def test_another_addon_takes_its_time_over_the_end(
    tmp_path: Path, notes: Path, origin: Origin, how: str
) -> None:
    """Clients leave while it does; a script may end mitmproxy as well as a signal."""
    script = tmp_path / "slow_end.py"
    script.write_text(SLOW_END)
    with (
        contextlib.ExitStack() as connections,
        Lab(origin, tmp_path, "--set=cos_fail_on=notice", scripts_before=[notes, script]) as lab,
    ):
        under_way = begin_flows(lab, connections)

        def end(pid: int) -> None:
            if how == "signal":
                os.kill(pid, signal.SIGTERM)
            else:
                assert lab.send("GET", "end", host="ends.example", scheme="http").ok
            lab.wait_for_output("the end has begun END")
            connections.close()

        lab.stop(end)
        assert lab.output.count("broken ") >= len(under_way)
        assert lab.status == 0, lab.output
        reports = by_key(lab.reports)
        assert lab.summary["connections"] == []
    assert reports.keys() == under_way
    for report in reports.values():
        nothing_is_said_of(report)


MUTE = """
import os


def requestheaders(flow):
    if flow.request.path == "/mute":
        reads, writes = os.pipe()
        os.close(reads)
        os.dup2(writes, 1)
"""


def test_nobody_reads_the_output_any_more(tmp_path: Path, notes: Path, origin: Origin) -> None:
    """``mitmdump | head``: mitmproxy ends where its log cannot print, and tells no addon."""
    script = tmp_path / "mute.py"
    script.write_text(MUTE)
    with (
        contextlib.ExitStack() as connections,
        Lab(
            origin, tmp_path, "--set=cos_report_format=json", scripts_before=[notes, script]
        ) as lab,
    ):
        under_way = begin_flows(lab, connections)
        put()(lab, "whole")
        with contextlib.suppress(requests.RequestException):
            lab.send("GET", "mute", host="ends.example", scheme="http")
        lab.stop(lambda _pid: None)
        assert lab.status == 1
        reports = by_key(lab.reports)
        summary = lab.summary
    assert reports.keys() == under_way | {"whole"}
    for name in under_way:
        nothing_is_said_of(reports[name])
    assert summary["counts"]["flows"] == len(reports)
    assert summary["runs"][0]["ended"]


def test_what_broke_before_the_end_is_told(tmp_path: Path, notes: Path, origin: Origin) -> None:
    with Lab(origin, tmp_path, "--set=cos_fail_on=error", scripts_before=[notes]) as lab:
        lab.damage("cut", truncate(1000))
        get(BIG)(lab, "cut")
        lab.stop()
        (report,) = lab.reports
    assert [finding["rule"] for finding in report["findings"]] == ["body-truncated"]
    assert lab.status == 1


def test_a_refusal_is_told_though_the_upload_was_under_way(
    tmp_path: Path, notes: Path, origin: Origin
) -> None:
    with Lab(origin, tmp_path, scripts_before=[notes]) as lab:
        lab.damage("refused", early(error("AccessDenied"), after=65536, keep_reading=True))
        with lab.raw("PUT /refused\nContent-Length: 3000000") as connection:
            connection.sendall(BIG[:1_000_000])
            assert connection.recv(12) == b"HTTP/1.1 403"
            lab.stop()
        (report,) = lab.reports
    assert [finding["rule"] for finding in report["findings"]] == ["error-response"]


def test_a_refusal_is_saved_with_its_mark_before_the_upload_has_ended(
    tmp_path: Path, origin: Origin
) -> None:
    """mitmproxy saves a flow once it is answered, and never again; the client gives up, goes on
    to the end, or neither."""
    capture = tmp_path / "saved.mitm"
    names = ("gives-up", "goes-on", "waits")
    with Lab(origin, tmp_path, f"--save-stream-file={capture}") as lab:
        for name in names:
            lab.damage(name, early(error("AccessDenied"), after=65536, keep_reading=True))
            with lab.raw(f"PUT /{name}\nContent-Length: 2048000") as connection:
                connection.sendall(BIG[:1_000_000])
                assert connection.recv(12) == b"HTTP/1.1 403"
                if name == "goes-on":
                    connection.sendall(BIG[1_000_000:])
                if name == "waits":
                    lab.report_on(name)
        reports = {name: lab.report_on(name) for name in names}
        lab.stop()
    saved = {flow.request.path.strip("/"): flow for flow in saved_flows(capture)}
    assert saved.keys() == set(names)
    for name, flow in saved.items():
        assert [item["rule"] for item in reports[name]["findings"]] == ["error-response"]
        assert flow.marked == ":orange_circle:"
        assert "(COS warning: PutObject)" in flow.comment.splitlines()[0]
        assert flow.metadata["cos"]["verdict"] == "warning"
        assert flow.metadata["cos"]["findings"] == ["error-response"]
    for again in read_later(capture, tmp_path, "error"):
        assert [item["rule"] for item in again["findings"]] == ["error-response"]
