"""Uploads that stretch over thousands of other flows: the bad ones are found, and no others."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.benchmark_plants import MissedError, Plants
from tests.end_to_end.harness import BUCKET, HOST, read_reports
from tests.end_to_end.lab import Lab
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BETWEEN = 600
"""Flows between two steps of the uploads, each of which stretches over three."""
STEPS = 6
CLIENTS = 4


class Gets:
    """Downloads by several clients at once, as fast as the proxy goes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._more = threading.Condition()
        self.count = 0
        self.faults: list[Exception] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            while not self._over.is_set():
                connection.request("GET", f"http://{HOST}/small")
                assert connection.getresponse().read() == b"abc"
                with self._more:
                    self.count += 1
                    self._more.notify_all()
        except Exception as error:
            self.faults.append(error)
            with self._more:
                self._more.notify_all()
        finally:
            connection.close()

    def wait_for(self, more: int) -> None:
        with self._more:
            wanted = self.count + more
            self._more.wait_for(lambda: self.count >= wanted or self.faults)
        assert not self.faults, self.faults

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


def test_bad_uploads_among_much_traffic(tmp_path: Path) -> None:
    with Origin() as origin, Lab(origin, tmp_path) as lab:
        origin.put_object(BUCKET, "small", b"abc")
        plants = Plants(origin, f"http://127.0.0.1:{lab.port}", lab.ca_pem)
        gets = Gets(lab.port)
        with gets.running():
            for _ in range(STEPS):
                plants.plant()
                gets.wait_for(BETWEEN)
            plants.finish()
        lab.stop()
        assert not origin.faults
    assert "Traceback" not in lab.output
    assert plants.found(lab.report_dir) == "4 of 4 among 6"
    reports = read_reports(lab.report_dir)
    assert len(reports) == gets.count + STEPS * 4
    assert {each["verdict"] for each in reports if each["cos"]["key"] == "small"} == {"ok"}
    assert lab.summary["forgotten"] == lab.summary["left_out"] == 0
    (missed,) = sorted(lab.report_dir.glob("flows/*_CompleteMultipartUpload_*.json"))[:1]
    missed.unlink()
    with pytest.raises(MissedError, match="no report"):
        plants.found(lab.report_dir)
