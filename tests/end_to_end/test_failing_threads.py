"""Threads of ours that do not start, end, or stand still, under many transfers at once:
every byte arrives, and each flow has its report, checked or said to be not inspected."""

import concurrent.futures
import hashlib
from pathlib import Path

import pytest

from cos_inspect.recording.hashing_threads import spare_cores
from tests.end_to_end.harness import BUCKET, checks
from tests.end_to_end.lab import Lab
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

FLOWS = 48
"""Of each direction."""

NONE_STARTS = """
import threading

start = threading.Thread.start


def failing_start(self):
    if self.name.startswith("cos-inspect-hashing"):
        raise RuntimeError("can't start new thread")
    start(self)


threading.Thread.start = failing_start
"""

ENDS = """
import queue
import types

from cos_inspect.recording import hashing_threads as hashing

met = 0


class Ending:
    def __init__(self):
        self.queue = queue.SimpleQueue()
        self.put = self.queue.put

    def get(self):
        global met
        lane = self.queue.get()
        met += 1
        if met % 10 == 0:
            raise SystemExit
        return lane


hashing.queue = types.SimpleNamespace(SimpleQueue=Ending)
"""

STANDS_STILL = """
import threading

from cos_inspect.digests import Digester

feed = Digester.feed


def failing_feed(self, data):
    if b"stand-still" in bytes(data[:100]) and threading.current_thread().name != "MainThread":
        threading.Event().wait()
    return feed(self, data)


Digester.feed = failing_feed
"""

RAISES = """
from cos_inspect.digests import Digester

feed = Digester.feed


def failing_feed(self, data):
    if b"fault" in bytes(data[:100]):
        raise RuntimeError("a fault in hashing")
    return feed(self, data)


Digester.feed = failing_feed
"""


def _body(number: int, words: dict[int, bytes]) -> bytes:
    return words.get(number, b"%d" % number) + bytes([number]) * (2_000_000 + 1000 * number)


@pytest.mark.parametrize(
    ("fault", "words", "logged"),
    [
        pytest.param(NONE_STARTS, {}, "no thread to hash COS bodies in", id="none starts"),
        pytest.param(ENDS, {}, None, id="ends"),
        pytest.param(
            STANDS_STILL, {3: b"stand-still"}, "does not get on", id="stands still in one body"
        ),
        pytest.param(
            RAISES, {3: b"fault", 17: b"fault"}, "is passed on unchecked", id="raises in two"
        ),
    ],
)
def test_bytes_and_reports(
    fault: str, words: dict[int, bytes], logged: str | None, origin: Origin, tmp_path: Path
) -> None:
    script = tmp_path / "fault.py"
    script.write_text(fault)
    with Lab(origin, tmp_path, scripts_after=[script]) as lab:

        def transfer(number: int) -> tuple[str, bytes]:
            body = _body(number, words)
            assert lab.send("PUT", f"up-{number}", data=body).status_code == 200
            origin.put_object(BUCKET, f"down-{number}", body)
            return f"down-{number}", lab.send("GET", f"down-{number}").content

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            came = list(pool.map(transfer, range(FLOWS)))
        for number, (name, content) in enumerate(came):
            whole = hashlib.md5(_body(number, words)).digest()
            assert hashlib.md5(content).digest() == whole, name
            stored = origin.get_object(BUCKET, f"up-{number}")
            assert hashlib.md5(stored).digest() == whole, name
        for number in range(FLOWS):
            for name, side in ((f"up-{number}", "request"), (f"down-{number}", "response")):
                report = lab.report_on(name)
                # A wait for the thread is a wait for the first byte.
                assert {found["rule"] for found in report["findings"]} <= {"slow-transfer"}
                assert report[side]["body"]["complete"]
                found = checks(report)
                assert found["content-length", side] == "match"
                allowed = {"not-inspected"} if number in words else {"match"}
                if "stand-still" in fault and number in words:
                    # Where one body holds the only thread up, the other one is hashed here.
                    allowed = {"match", "not-inspected"}
                assert found["crc64", side] in allowed, name
                assert found["etag", side] in allowed, name
        if logged is not None and spare_cores() > 0:
            lab.wait_for_output(logged)
