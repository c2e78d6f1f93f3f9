"""The script is touched and options change while traffic flows: each flow has one report, none
is accused, and what belongs together is joined."""

import contextlib
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.conditions import wait_until
from tests.end_to_end.harness import ADDON, BUCKET, HOST, Report, checks
from tests.end_to_end.lab import CUSTOM_HOST, Lab, found, get, put
from tests.end_to_end.test_stopping import LONG, begin_flows, by_key, notes, nothing_is_said_of
from tests.origin.damage import Damage, key
from tests.origin.effects import flip_body, stall, wrong_crc
from tests.origin.server import Origin

__all__ = ["notes"]
pytestmark = pytest.mark.end_to_end

PART = bytes(range(256)) * 4096
"""1 MiB, and a byte more is streamed."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, whose script may be touched."""
    folder = tmp_path / "copy" / "cos_inspect"
    shutil.copytree(ADDON.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / ADDON.name


class Reloading(Lab):
    """Loads the script anew on demand."""

    def reload(self, script: Path) -> None:
        loading = f"Loading script {script}"
        before = self.output.count(loading)
        stamp = script.stat().st_mtime + 5
        os.utime(script, (stamp, stamp))
        # It is logged first; all else follows in the same turn of the proxy's loop.
        wait_until(lambda: self.output.count(loading) > before)


class Traffic:
    """Uploads and downloads by several clients, until told to end; all of them succeed."""

    def __init__(self, lab: Lab, clients: int = 6) -> None:
        self._lab = lab
        self._ended = threading.Event()
        self._clients = clients
        self.sent: Counter[str] = Counter()

    def __enter__(self) -> "Traffic":
        self._pool = ThreadPoolExecutor(self._clients)
        self._futures = [self._pool.submit(self._go_on, number) for number in range(self._clients)]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for future in self._futures:
            self.sent.update(future.result())
        self._pool.shutdown()

    def _go_on(self, number: int) -> Counter[str]:
        sent: Counter[str] = Counter()
        data = PART + b"more" if number % 2 else b"small"
        with requests.Session() as session:
            session.proxies = self._lab.proxies
            while not self._ended.is_set():
                name = f"traffic-{number}"
                for method, body in (("PUT", data), ("GET", None), ("HEAD", None)):
                    answer = session.request(
                        method,
                        f"https://{HOST}/{name}",
                        data=body,
                        verify=self._lab.ca_pem,
                        timeout=60,
                    )
                    assert answer.ok
                    if method == "GET":
                        assert answer.content == data
                    sent[name] += 1
        return sent


def begin_upload(lab: Lab, name: str) -> str:
    begun = lab.send("POST", name, query="?uploads").text
    return begun.partition("<UploadId>")[2].partition("<")[0]


def send_part(lab: Lab, name: str, upload: str, number: int) -> str:
    query = f"?partNumber={number}&uploadId={upload}"
    etag: str = lab.send("PUT", name, query=query, data=PART).headers["ETag"]
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"


def complete(lab: Lab, name: str, upload: str, listed: str) -> None:
    asked = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    assert lab.send("POST", name, query=f"?uploadId={upload}", data=asked.encode()).ok


def one_report_each(reports: list[Report]) -> None:
    ids = Counter(report["flow_id"] for report in reports)
    assert set(ids.values()) == {1}
    assert not [(report["cos"], report["findings"]) for report in reports if report["findings"]]


def test_reloads_in_the_middle_of_traffic(tmp_path: Path, copy: Path, origin: Origin) -> None:
    with Reloading(origin, tmp_path, "--set=cos_fail_on=notice", addon=copy) as lab:
        upload = begin_upload(lab, "parts")
        listed = ""
        with Traffic(lab) as traffic:
            for number in range(1, 5):
                listed += send_part(lab, "parts", upload, number)
                lab.reload(copy)
        complete(lab, "parts", upload, listed)
        lab.stop()
        reports, summary = lab.reports, lab.summary
        assert lab.status == 0, lab.output[-3000:]
        assert "Traceback" not in lab.output
        assert lab.output.count("COS summary") == 1
    one_report_each(reports)
    sent = sum(traffic.sent.values())
    assert sent > 20
    assert len(reports) == sent + 6
    assert summary["counts"]["flows"] == len(reports)
    assert summary["others"] == 0
    (transfer,) = [one for one in summary["transfers"] if one["kind"] == "multipart-upload"]
    assert (transfer["state"], transfer["verdict"], transfer["parts"]) == ("completed", "ok", 4)
    last = next(one for one in reports if one["cos"]["operation"] == "CompleteMultipartUpload")
    assert checks(last)["multipart-crc64", "request"] == "match"
    stopped = [
        report
        for report in reports
        if "proxy-stopped" in [check["reason"] for check in report["checks"]]
    ]
    assert len(stopped) <= 4 * 6, "only what was under way"


def test_flows_under_way_have_their_report(
    tmp_path: Path, copy: Path, notes: Path, origin: Origin
) -> None:
    """They end as they will, under the eyes of an instance that did not see them begin."""
    with (
        Reloading(
            origin, tmp_path, "--set=cos_fail_on=notice", scripts_before=[notes], addon=copy
        ) as lab,
    ):
        with contextlib.ExitStack() as connections:
            under_way = begin_flows(lab, connections)
            other = connections.enter_context(
                lab.raw("PUT /x\nContent-Length: 9", host="www.example.com")
            )
            other.sendall(b"begun")
            lab.wait_for_output("begun x END")
            lab.damage("long", stall(1.0, after=len(PART)))
            lab.origin.put_object(BUCKET, "long", PART * 3)
            with ThreadPoolExecutor() as pool:
                whole = pool.submit(lab.send, "GET", "long")
                lab.wait_for_output("answered long END")
                lab.reload(copy)
                assert whole.result().content == PART * 3
            for name in under_way | {"long"}:
                nothing_is_said_of(lab.report_on(name))
        for name in under_way:
            lab.wait_for_output(f"broken {name} END")
        lab.wait_for_output("broken x END")
        put()(lab, "after")
        lab.stop()
        assert lab.status == 0, lab.output[-3000:]
        reports = by_key(lab.reports)
        assert lab.summary["others"] == 1
    assert reports.keys() == under_way | {"long", "after"}


@pytest.mark.parametrize("size", [1000, 3 * len(PART)], ids=["kept", "streamed"])
def test_what_was_under_way_counts_for_its_upload(
    tmp_path: Path, copy: Path, notes: Path, origin: Origin, size: int
) -> None:
    """Of the part nothing more is said, but the whole can be judged: COS's CRC-64 is wrong."""
    last = b"x" * size
    with Reloading(origin, tmp_path, scripts_before=[notes], addon=copy) as lab:
        upload = begin_upload(lab, "parts")
        listed = send_part(lab, "parts", upload, 1)
        asked = f"PUT /parts?partNumber=2&uploadId={upload}\nContent-Length: {size}"
        begun = lab.output.count("begun parts")
        with lab.raw(asked) as connection:
            connection.sendall(last[: size // 2])
            wait_until(lambda: lab.output.count("begun parts") > begun)
            lab.reload(copy)
            connection.sendall(last[size // 2 :])
            answer = connection.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 200")
        etag = answer.partition("ETag: ")[2].partition("\r")[0]
        listed += f"<Part><PartNumber>2</PartNumber><ETag>{etag}</ETag></Part>"
        lab.damage("parts", wrong_crc())
        complete(lab, "parts", upload, listed)
        lab.stop()
        assert "Traceback" not in lab.output
        reports, summary = lab.reports, lab.summary
    parts = [one for one in reports if one["cos"]["operation"] == "UploadPart"]
    (stopped,) = [one for one in parts if "partNumber=2&" in one["request"]["url"]]
    nothing_is_said_of(stopped)
    assert found(reports[-1]) == {"multipart-crc64-mismatch error"}
    (transfer,) = summary["transfers"]
    assert (transfer["parts"], transfer["verdict"]) == (2, "error")
    assert [row["size"] for row in transfer["part_table"]] == [len(PART), size]
    assert len(reports) == 4


@pytest.mark.parametrize("sent", [1000, 500], ids=["unanswered", "cut"])
def test_a_try_that_broke_after_it_counts_for_the_next(
    tmp_path: Path, copy: Path, notes: Path, origin: Origin, sent: int
) -> None:
    """Of the broken one nothing is said, but the next one is told as a try anew."""
    with Reloading(origin, tmp_path, scripts_before=[notes], addon=copy) as lab:
        stalled = Damage(stall(LONG), when=key("again"))
        origin.damage(stalled)
        with lab.raw("PUT /again\nContent-Length: 1000") as connection:
            connection.sendall(b"x" * sent)
            lab.wait_for_output("begun again END")
            lab.reload(copy)
        lab.wait_for_output("broken again END")
        stalled.left = 0
        assert lab.send("PUT", "again", data=b"x" * 1000).ok
        lab.stop()
        assert "Traceback" not in lab.output
        first, second = lab.reports
    nothing_is_said_of(first)
    assert found(second) == {"retried notice"}


def test_what_was_found_before_fails_the_run(tmp_path: Path, copy: Path, origin: Origin) -> None:
    with Reloading(origin, tmp_path, "--set=cos_fail_on=error", addon=copy) as lab:
        lab.damage("damaged", flip_body())
        get(PART)(lab, "damaged")
        lab.report_on("damaged")
        lab.reload(copy)
        put()(lab, "after")
        lab.stop()
        assert len(lab.reports) == 2
        assert lab.status == 1
        assert "COS summary: 2 COS flows" in lab.output


def test_a_script_that_is_taken_away_leaves_whole_reports(
    tmp_path: Path, copy: Path, origin: Origin
) -> None:
    with Lab(origin, tmp_path, "--set=cos_report_format=junit", addon=copy) as lab:
        put()(lab, "before")
        copy.unlink()
        lab.wait_for_output("COS summary: 1 COS flows")
        assert lab.summary["counts"]["flows"] == 1
        assert (lab.report_dir / "junit.xml").exists()
        assert lab.send("GET", "before").ok
        lab.stop()
        assert lab.status == 0
        assert lab.output.count("COS summary") == 1


CHANGES = """
from mitmproxy import ctx, http

def request(flow):
    if flow.request.pretty_host != "options.example":
        return
    name, _, value = flow.request.query["set"].partition("=")
    is_list = isinstance(getattr(ctx.options, name), list)
    ctx.options.update(**{name: value.split(",") if is_list else value})
    flow.response = http.Response.make(200)
"""


@pytest.fixture
def changing(tmp_path: Path, origin: Origin) -> Iterator[Lab]:
    script = tmp_path / "changes.py"
    script.write_text(CHANGES)
    with Lab(origin, tmp_path, "--set=cos_fail_on=error", scripts_before=[script]) as lab:
        yield lab


def change(lab: Lab, name: str, value: object) -> None:
    answer = requests.get(
        "http://options.example/", params={"set": f"{name}={value}"}, proxies=lab.proxies
    )
    assert answer.ok


def test_options_that_change_in_the_middle_of_traffic(changing: Lab) -> None:
    lab = changing
    upload = begin_upload(lab, "parts")
    listed = ""
    options = [
        ("cos_redact", "false"),
        ("cos_ignore", "trace-id-missing"),
        ("cos_stream", "4k"),
        ("cos_hosts", CUSTOM_HOST),
        ("cos_annotate", "false"),
        ("cos_report_format", "json"),
        ("cos_redact", "true"),
        ("cos_fail_on", "notice"),
        ("cos_stream", "never"),
    ]
    with Traffic(lab, clients=3) as traffic:
        for number, (name, value) in enumerate(options, start=1):
            listed += send_part(lab, "parts", upload, number)
            change(lab, name, value)
    complete(lab, "parts", upload, listed)
    lab.stop()
    assert lab.status == 0, lab.output[-3000:]
    assert "Traceback" not in lab.output
    reports = lab.reports
    one_report_each(reports)
    assert len(reports) == sum(traffic.sent.values()) + len(options) + 2
    assert lab.summary["counts"]["flows"] == len(reports)
    (transfer,) = [one for one in lab.summary["transfers"] if one["kind"] == "multipart-upload"]
    assert (transfer["state"], transfer["parts"]) == ("completed", len(options))
    for report in reports:
        for check in report["checks"]:
            assert check["reason"] not in ("proxy-stopped", "unseen-parts")


def test_an_option_may_change_after_a_finding_that_fails_the_run(changing: Lab) -> None:
    lab = changing
    lab.damage("damaged", flip_body())
    get(PART)(lab, "damaged")
    assert found(lab.report_on("damaged"))
    change(lab, "cos_annotate", "false")
    put()(lab, "after")
    lab.report_on("after")
    lab.stop()
    assert lab.status == 1
