"""Faults of ours, early answers, and broken connections. In each case the bytes that
arrive are the ones that were sent, and each flow has one report."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conditions import wait_until
from tests.end_to_end.harness import BUCKET, HOST, checks
from tests.end_to_end.lab import ADDON_ARGUMENT, Lab, found, mitmdump, put, saved_flows
from tests.origin.damage import abort_upload
from tests.origin.effects import (
    chunked,
    drop_headers,
    early,
    error,
    truncate,
    wrong_etag,
)
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 8000
"""2 MB: streamed by default."""

FAULTS = '''
"""Makes the addon fail where a test asks for it."""

from cos_inspect.inspection import session
from cos_inspect.digests import Digester
from cos_inspect.recording import stream_tap

feed, first_look = Digester.feed, session.first_look
crc64 = stream_tap.crc64


def failing_feed(self, data):
    if b"fault-in-tap" in bytes(data[:100]):
        raise RuntimeError("a fault in a tap")
    return feed(self, data)


def failing_crc64(content, *more):
    if b"fault-in-tap" in content[:100]:
        raise RuntimeError("a fault in a body that was kept")
    return crc64(content, *more)


def failing_look(exchange, **settings):
    if "fault-in-inspection" in exchange.request.target:
        raise RuntimeError("a fault in the inspection")
    return first_look(exchange, **settings)


Digester.feed = failing_feed
stream_tap.crc64 = failing_crc64
session.first_look = failing_look
'''


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("traps")
    script = folder / "faults.py"
    script.write_text(FAULTS)
    with Origin() as origin, Lab(origin, folder, scripts_after=[script]) as made:
        yield made
        assert not origin.faults
        # A refused upload is reported once its end is known, or a moment later: not both.
        made.stop()
        told = Counter(report["cos"]["key"] for report in made.reports)
        assert [key for key, count in told.items() if key.startswith("early-") and count > 1] == []


def received(lab: Lab, name: str) -> bytes:
    return lab.origin.get_object(BUCKET, name)


class TestFaultsOfOurs:
    """Named faults; they are told once and the traffic goes on."""

    def test_in_a_tap_on_an_upload(self, lab: Lab) -> None:
        name, body = "tap-up", b"fault-in-tap" + BIG
        assert lab.send("PUT", name, data=body).status_code == 200
        assert received(lab, name) == body
        report = lab.report_on(name)
        assert checks(report)["crc64", "request"] == "not-inspected"
        assert report["verdict"] == "ok"
        told = f"flow {report['flow_id']}: its body is passed on unchecked"
        lab.wait_for_output(told)
        assert lab.output.count(told) == 1

    def test_in_a_tap_on_a_download(self, lab: Lab) -> None:
        name, body = "tap-down", b"fault-in-tap" + BIG
        lab.origin.put_object(BUCKET, name, body)
        assert lab.send("GET", name).content == body
        report = lab.report_on(name)
        assert checks(report)["etag", "response"] == "not-inspected"
        assert report["verdict"] == "ok"

    @pytest.mark.parametrize("name", ["kept", "x/fault-in-inspection"])
    def test_in_the_inspection(self, lab: Lab, name: str) -> None:
        told = "not inspected, the inspection failed"
        before = lab.output.count(told)
        body = b"fault-in-tap" if name.startswith("kept") else b"[Object Content]"
        assert lab.send("PUT", name, data=body).status_code == 200
        assert lab.send("GET", name).content == body
        put()(lab, "after-" + name[:4])
        lab.report_on("after-" + name[:4])
        wait_until(lambda: lab.output.count(told) >= before + 2)
        lab.wait_for_output("RuntimeError: a fault in")
        assert lab.output.count(told) == before + 2
        with pytest.raises(AssertionError, match="0 reports"):
            lab.reports_on(name, wait=0)


class TestEarlyAnswers:
    """A refusal comes while the upload is going on."""

    @pytest.mark.parametrize("keep_reading", [True, False])
    @pytest.mark.parametrize("length", ["Content-Length: 3000000", "Transfer-Encoding: chunked"])
    def test_one_report_and_no_truncation(self, lab: Lab, keep_reading: bool, length: str) -> None:
        name = f"early-{keep_reading}-{length[:7]}"
        lab.damage(name, early(error("AccessDenied"), after=65536, keep_reading=keep_reading))
        piece = b"a" * 30_000
        if "chunked" in length:
            piece = b"%x\r\n%s\r\n" % (len(piece), piece)
        answer = b""
        with lab.raw(f"PUT /{name}\n{length}") as connection, contextlib.suppress(OSError):
            for number in range(100):
                if number == 50:
                    # The answer has come, and half of the upload is still to be sent.
                    answer = connection.recv(65536)
                connection.sendall(piece)
            if "chunked" in length:
                connection.sendall(b"0\r\n\r\n")
        assert answer[:12] in (b"HTTP/1.1 403", b"")
        if keep_reading:
            assert answer[:12] == b"HTTP/1.1 403"
        report = lab.report_on(name)
        assert found(report) == {"error-response warning"}
        assert report["error"]["code"] == "AccessDenied"

    def test_refusal_before_any_byte(self, lab: Lab) -> None:
        name = "early-at-once"
        lab.damage(name, early(error("AccessDenied")))
        with lab.raw(f"PUT /{name}\nContent-Length: 3000000") as connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 403")
        assert found(lab.report_on(name)) == {"error-response warning"}

    def test_next_upload_on_the_connection(self, lab: Lab) -> None:
        """The server reads on, so both sides can go on."""
        lab.damage("early-first", early(error("AccessDenied"), after=1, keep_reading=True))
        with requests.Session() as session:
            session.proxies = lab.proxies
            first = session.put(f"https://{HOST}/early-first", data=BIG, verify=lab.ca_pem)
            second = session.put(f"https://{HOST}/early-second", data=BIG, verify=lab.ca_pem)
        assert (first.status_code, second.status_code) == (403, 200)
        assert found(lab.report_on("early-first")) == {"error-response warning"}
        assert checks(lab.report_on("early-second"))["crc64", "request"] == "match"


class TestBreaks:
    def test_client_gone_inside_its_upload(self, lab: Lab) -> None:
        name = "client-gone-up"
        with lab.raw(f"PUT /{name}\nContent-Length: 3000000") as connection:
            connection.sendall(b"a" * 1_500_000)
        report = lab.report_on(name)
        assert found(report) == {"body-truncated warning"}
        assert not report["request"]["body"]["complete"]

    def test_client_gone_inside_its_download(self, lab: Lab) -> None:
        name = "client-gone-down"
        lab.origin.put_object(BUCKET, name, BIG * 10)
        with lab.raw(f"GET /{name}") as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        report = lab.report_on(name)
        assert found(report) == {"body-truncated warning"}
        assert 0 <= report["response"]["body"]["size"] < len(BIG) * 10

    @pytest.mark.parametrize("framing", ["length", "chunked"])
    def test_what_came_of_a_cut_download_reaches_the_client(self, lab: Lab, framing: str) -> None:
        name = f"cut-{framing}"
        effects = [truncate(1_200_000), *([chunked()] if framing == "chunked" else [])]
        lab.origin.put_object(BUCKET, name, BIG)
        lab.damage(name, *effects)
        came = b""
        with (
            lab.send("GET", name, stream=True) as answer,
            contextlib.suppress(requests.RequestException),
        ):
            for piece in answer.iter_content(65536):
                came += piece
        assert came == BIG[: len(came)]
        report = lab.report_on(name)
        assert found(report) == {"body-truncated error"}
        assert report["response"]["body"]["size"] == 1_200_000

    def test_server_gone_inside_an_upload(self, lab: Lab) -> None:
        name = "server-gone-up"
        lab.damage(name, abort_upload(after=500_000))
        # More than is sent: else a busy proxy may have all of it before it learns of the reset.
        with (
            lab.raw(f"PUT /{name}\nContent-Length: 19000000") as connection,
            contextlib.suppress(OSError),
        ):
            for _ in range(9):
                connection.sendall(b"a" * 1_000_000)
            while connection.recv(65_536):
                pass
        report = lab.report_on(name)
        assert found(report) == {"body-truncated error"}
        assert report["request"]["body"]["size"] < 19_000_000


def _take_away(folder: Path) -> None:
    """Under the writer's hands, who may be putting a file into it."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def _put_in_the_way(folder: Path) -> None:
    """A file in the place of a folder that the writer may be making anew."""
    while not folder.is_file():
        _take_away(folder)
        with contextlib.suppress(IsADirectoryError):
            folder.write_text("in the way")


def test_report_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with Origin() as origin, Lab(origin, tmp_path) as lab:
        put()(lab, "before")
        lab.report_on("before")
        _put_in_the_way(lab.report_dir)
        assert lab.send("PUT", "lost", data=BIG).status_code == 200
        lab.wait_for_output("COS reports cannot be written")
        assert received(lab, "lost") == BIG
        lab.report_dir.unlink()
        put()(lab, "after")
        lab.report_on("after")
        _take_away(lab.report_dir)
        put()(lab, "again")
        lab.report_on("again")
        assert "Traceback" not in lab.output


def test_replayed_flow_is_reported_anew(tmp_path: Path) -> None:
    capture, replayed = tmp_path / "first.mitm", tmp_path / "second.mitm"
    name = "replayed"
    with Origin() as origin:
        with Lab(origin, tmp_path, f"--save-stream-file={capture}") as lab:
            lab.damage(name, wrong_etag(), drop_headers("x-cos-hash-crc64ecma"))
            put()(lab, name)
            first = lab.report_on(name)
            lab.stop()
            origin.heal()
        assert "etag-mismatch error" in found(first)
        done = mitmdump(
            ADDON_ARGUMENT,
            f"--set=cos_report_dir={lab.report_dir}",
            "--no-server",
            f"--client-replay={capture}",
            f"--save-stream-file={replayed}",
            origin=origin,
        )
        assert done.returncode == 0, done.stdout
        _, second = lab.reports_on(name, 2)
    assert found(second) == frozenset()
    assert checks(second)["etag", "request"] == "match"
    (flow,) = saved_flows(replayed)
    assert flow.marked == ":green_circle:"
    assert flow.comment == "✓ CRC-64 ✓ ETag ✓ length (COS ok: PutObject)"
