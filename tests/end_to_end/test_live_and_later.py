"""What is found live, and later in the captures of the same run, is the same."""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.end_to_end.harness import BUCKET, Report, read_reports
from tests.end_to_end.lab import Lab, put
from tests.origin.damage import flip_upload
from tests.origin.effects import drop_headers, flip_body, gzip_body, truncate, wrong_crc
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 6000
"""1.5 MB: streamed, so that neither capture has its bytes."""
SMALL = b"a few bytes\n"
BINARY = bytes(range(256)) * 4


class Run(NamedTuple):
    live: list[Report]
    summary: dict[str, Any]
    mitm: Path
    har: Path


def traffic(lab: Lab) -> None:
    put(SMALL)(lab, "small.txt")
    put(BIG)(lab, "big.bin")
    put(BINARY)(lab, "binary.bin")
    for name in ("small.txt", "big.bin", "binary.bin", "missing.txt"):
        lab.send("GET", name)
    lab.send("HEAD", "small.txt")
    lab.send("GET", "small.txt", headers={"Range": "bytes=2-5"})
    lab.send("DELETE", "small.txt")
    lab.damage("flipped.bin", flip_upload(1))
    put(BIG)(lab, "flipped.bin")
    multipart(lab, "parts.bin")
    damaged = {
        "wrong.bin": wrong_crc(),
        "flip.txt": flip_body(1),
        "no-id.txt": drop_headers("x-cos-request-id"),
        "packed.txt": gzip_body(),
        "cut.bin": truncate(1000),
    }
    for name, effect in damaged.items():
        lab.origin.put_object(BUCKET, name, BIG if name.endswith(".bin") else SMALL)
        lab.damage(name, effect)
        with contextlib.suppress(requests.RequestException):
            lab.send("GET", name)


def multipart(lab: Lab, name: str) -> None:
    begun = lab.send("POST", name, query="?uploads").text
    upload = begun.partition("<UploadId>")[2].partition("<")[0]
    listed = ""
    for number, part in enumerate((BIG, BIG, SMALL), start=1):
        query = f"?partNumber={number}&uploadId={upload}"
        etag = lab.send("PUT", name, query=query, data=part).headers["ETag"]
        listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    asked = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    assert lab.send("POST", name, query=f"?uploadId={upload}", data=asked.encode()).ok


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("later")
    mitm, har = folder / "saved.mitm", folder / "saved.har"
    with (
        Origin() as origin,
        Lab(origin, folder, f"--save-stream-file={mitm}", f"--set=hardump={har}") as lab,
    ):
        traffic(lab)
        lab.stop()
        live, summary = lab.reports, lab.summary
        assert not origin.faults
    assert len(live) == 21
    return Run(live, summary, mitm, har)


def analyzed(capture: Path, *arguments: str) -> list[Report]:
    return read_reports(analyze(capture, *arguments))


def analyze(capture: Path, *arguments: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=capture.parent))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cos-inspect")),
            "analyze",
            str(capture),
            f"--report-dir={folder}",
            *arguments,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    return folder


def without(report: Any, *paths: str) -> dict[str, Any]:
    """The report as ``path: value`` without what may differ."""
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if any(path == left or path.startswith(left + ".") for left in paths):
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{path}.{name}".lstrip("."))
        else:
            flat[path] = value

    walk(report, "")
    return flat


def test_the_flow_file_says_what_live_said(run: Run) -> None:
    later = {report["flow_id"]: report for report in analyzed(run.mitm)}
    assert len(later) == len(run.live)
    for report in run.live:
        assert without(later[report["flow_id"]], "sequence") == without(report, "sequence")


def test_the_flow_file_gives_the_same_summary(run: Run) -> None:
    """But for the run, which is another one, and for the file that was read."""
    later = json.loads((analyze(run.mitm) / "summary.json").read_text())
    assert [one["name"] for one in (*later["runs"], *run.summary["runs"])] == [
        "analyze",
        "mitmdump",
    ]
    (read,) = later["captures"]
    assert (read["format"], read["exchanges"]) == ("mitm", len(run.live))
    of_this_run: dict[str, Any] = {"runs": [], "captures": []}
    assert later | of_this_run == run.summary | of_this_run
    assert [item["kind"] for item in later["transfers"]] == ["ranged-download", "multipart-upload"]


def test_the_same_from_several_processes(run: Run) -> None:
    assert analyzed(run.mitm, "--jobs=2", "--quiet") == analyzed(run.mitm)


STREAMED = ("big.bin", "parts.bin", "flipped.bin", "wrong.bin", "cut.bin")
"""mitmproxy keeps no bytes of these, and a HAR has no place for digests."""
PACKED = "packed.txt"
"""mitmproxy unpacks what it writes into a HAR."""
IN_EVERY_HAR = (
    "sequence",
    "flow_id",
    "connection",
    "transfer.id",  # holds the client's address, which HAR does not have
)


def test_the_har_says_what_live_said_of_what_it_holds(run: Run) -> None:
    later = analyzed(run.har)
    assert len(later) == len(run.live)
    compared = 0
    for live, har in zip(run.live, later, strict=True):
        if live["cos"]["key"] in STREAMED:
            assert har["verdict"] == "ok", "bytes that are not there accuse nobody"
            continue
        if live["cos"]["key"] == PACKED:
            assert {check["reason"] for check in har["checks"] if check["check"] == "crc64"} == {
                "re-encoded"
            }
            continue
        compared += 1
        assert without(har, *IN_EVERY_HAR) == without(live, *IN_EVERY_HAR)
    assert compared > 8
