"""What is no object's bytes is kept although it is streamed: listings, results and errors of
unknown length are shown, saved, and read again with the same findings."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.end_to_end import browser
from tests.end_to_end.harness import BUCKET, Report, checks, read_reports
from tests.end_to_end.lab import Lab, found, mitmdump, saved_flows
from tests.end_to_end.test_live_and_later import analyzed, without
from tests.end_to_end.web import Web
from tests.origin.damage import Damage, Effect, both, method
from tests.origin.effects import chunked, error, error_in_success, replace_element, truncate
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

PART = b"a part" * 200_000
OBJECT = bytes(range(256)) * 6000
"""1.5 MB, streamed by default."""
ARCHIVED = "?prefix=many"


class Run(NamedTuple):
    live: dict[str, Report]
    """By object key; those of the bucket by their query."""
    got: dict[str, bytes]
    """What the client received."""
    mitm: Path
    kept: int | None
    """Bytes up to which control answers are kept; None: mitmproxy keeps everything."""


def _multipart(lab: Lab, name: str, *effects: Effect, listed: str | None = None) -> bytes:
    """The body of the answer to its Complete, which comes with an unknown length."""
    begun = lab.send("POST", name, query="?uploads").text
    upload = begun.partition("<UploadId>")[2].partition("<")[0]
    etag = lab.send("PUT", name, query=f"?partNumber=1&uploadId={upload}", data=PART)
    part = f"<Part><PartNumber>1</PartNumber><ETag>{listed or etag.headers['ETag']}</ETag></Part>"
    asked = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    lab.damage(name, *effects, chunked())
    answer = lab.send(
        "POST", name, query=f"?uploadId={upload}", data=iter([asked[:30], asked[30:]])
    )
    return answer.content


def _traffic(lab: Lab) -> dict[str, bytes]:
    got: dict[str, bytes] = {}
    origin = lab.origin
    for number in range(300):
        origin.put_object(BUCKET, f"many/{number:04}", b"")
    origin.put_object(BUCKET, "source.bin", OBJECT)
    origin.damage(Damage(chunked(), when=both(method("GET"), lambda r: "prefix=many" in r.target)))
    for query in ("?prefix=many", "?prefix=many&max-keys=5"):
        got[query] = lab.send("GET", "", query=query).content
    got["completed"] = _multipart(lab, "completed")
    got["failed"] = _multipart(lab, "failed", error_in_success())
    got["other-number"] = _multipart(
        lab, "other-number", replace_element("ETag", f'"{"0" * 32}-7"')
    )
    source = {"x-cos-copy-source": f"{BUCKET}.cos.ap-guangzhou.myqcloud.com/source.bin"}
    for name, effects in {
        "copied": (),
        "copy-failed": (error_in_success(),),
        "copy-wrong": (replace_element("CRC64", "7"),),
    }.items():
        lab.damage(name, *effects, chunked())
        got[name] = lab.send("PUT", name, headers=source).content
    lab.damage("denied", error("AccessDenied"), chunked())
    got["denied"] = lab.send("GET", "denied").content
    lab.damage("long", error("AccessDenied", message="x" * 2_000_000), chunked())
    got["long"] = lab.send("GET", "long").content
    lab.damage("cut", error("AccessDenied", message="y" * 20_000), truncate(10_000), chunked())
    with contextlib.suppress(requests.RequestException):
        for piece in lab.send("GET", "cut", stream=True).iter_content(1):
            got["cut"] = got.get("cut", b"") + piece
    lab.damage("source.bin", chunked())
    got["source.bin"] = lab.send("GET", "source.bin").content
    return got


def _name(report: Report) -> str:
    return str(report["cos"]["key"] or "?" + report["request"]["url"].partition("?")[2])


KEPT = {"1m": 1 << 20, "0": 1 << 20, "70k": 70 << 10, "never": None}


@pytest.fixture(scope="module", params=KEPT)
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("control")
    mitm = folder / "saved.mitm"
    arguments = (f"--set=cos_stream={request.param}", f"--save-stream-file={mitm}")
    with Origin() as origin, Lab(origin, folder, *arguments) as lab:
        got = _traffic(lab)
        lab.stop()
        assert not origin.faults
        assert "Traceback" not in lab.output
        live = {_name(report): report for report in lab.reports}
        yield Run(live, got, mitm, KEPT[request.param])


def test_what_is_found(run: Run) -> None:
    live = run.live
    assert found(live["failed"]) == {"error-in-success error"}
    assert found(live["copy-failed"]) == {"error-in-success error"}
    assert found(live["other-number"]) == {"multipart-etag-mismatch error"}
    assert found(live["denied"]) == {"error-response warning"}
    for name in ("?prefix=many", "completed", "copied", "source.bin"):
        assert live[name]["verdict"] == "ok", name
    assert checks(live["completed"])["multipart-etags", "request"] == "match"


def test_bodies_are_saved_whole(run: Run) -> None:
    flows = {
        flow.request.path.partition("?")[0][1:] or flow.request.path[1:]: flow
        for flow in saved_flows(run.mitm)
    }
    kept = {
        name
        for name, body in run.got.items()
        if run.kept is None or (name != "source.bin" and len(body) <= run.kept)
    }
    if run.kept is None:
        # mitmproxy itself keeps nothing of what broke off.
        kept -= {"cut"}
    assert kept >= {"?prefix=many&max-keys=5", "completed", "failed", "copied", "denied"}
    assert len(run.got["?prefix=many"]) > 70 << 10
    for name, body in run.got.items():
        response = flows[name].response
        assert response is not None
        assert response.raw_content == (body if name in kept else None), name
    asked = flows["completed"].request.raw_content
    assert asked is not None
    assert asked.startswith(b"<CompleteMultipartUpload>")
    assert asked.endswith(b"</CompleteMultipartUpload>")


def test_later_the_same_is_found(run: Run) -> None:
    later = {_name(report): report for report in analyzed(run.mitm)}
    again = run.mitm.with_name("again")
    done = mitmdump(
        "-nr", str(run.mitm), "-s", "cos_inspect/addon.py", f"--set=cos_report_dir={again}"
    )
    assert done.returncode == 0, done.stdout
    replayed = {_name(report): report for report in read_reports(again)}
    assert set(later) == set(replayed) == set(run.live)
    for name, report in run.live.items():
        if name == "long":
            continue
        for other in (later[name], replayed[name]):
            assert without(other, "sequence") == without(report, "sequence"), name


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[browser.Browser]:
    reason = browser.missing()
    if reason:
        pytest.skip(reason)
    with browser.chromium(tmp_path / "profile") as opened:
        opened.size(1400, 900)
        yield opened


def test_in_mitmweb(origin: Origin, tmp_path: Path, chromium: browser.Browser) -> None:
    with Web(origin, tmp_path) as web:
        for number in range(3):
            origin.put_object(BUCKET, f"many/{number:04}", b"")
        origin.damage(Damage(chunked(), when=lambda request: "prefix=many" in request.target))
        web.send("GET", "", query="?prefix=many")
        _multipart(web, "failed", error_in_success())
        chromium.driver.get(f"{web.address}?token={web.token}")
        shown = "document.querySelector('.contentview')?.innerText"
        for name, text in (("?prefix=many", "many/0001"), ("failed?uploadId", "InternalError")):
            (flow,) = [flow for path, flow in web.flows().items() if path.startswith(name)]
            assert flow["response"]["contentLength"] > 100
            chromium.driver.get("about:blank")
            chromium.driver.get(f"{web.address}#/flows/{flow['id']}/response")
            chromium.wait_for(f"{shown}?.includes({text!r})")
            assert "Content is missing" not in chromium.text("body")
