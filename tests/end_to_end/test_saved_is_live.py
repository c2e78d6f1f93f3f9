"""What the proxy, its options and other addons do to a message does not change what is found
in the capture later: the flow carries what had come."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.harness import (
    ADDON,
    BUCKET,
    HOST,
    SECRET_ID,
    SECRET_KEY,
    Report,
    checks,
    read_reports,
    s3_client,
)
from tests.end_to_end.lab import Lab, found, mitmdump, saved_flows
from tests.end_to_end.test_live_and_later import analyzed, without
from tests.end_to_end.test_signatures import expect_signed, free_port, key_file, sdk, upload
from tests.end_to_end.web import Web
from tests.origin.damage import Damage, both, key, method
from tests.origin.effects import aws_framing_kept, chunked, error, wrong_crc
from tests.origin.server import Origin
from tests.origin.signing import Verifier

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 6000
SMALL = b"abc-" * 1000
OTHER = "otherbucket-1250000000"
TOKEN = "a-token-that-is-made-up-0123456789"

SCRIPT = '''
"""Changes messages when they are whole."""


def request(flow):
    if flow.request.path.startswith("/script-up"):
        flow.request.content = b"by the script"
        flow.request.headers["x-cos-meta-a"] = "by the script"
    elif flow.request.path.startswith("/script-path"):
        flow.request.path = flow.request.path.replace("/script-path", "/elsewhere")


def response(flow):
    if flow.request.path.startswith("/script-down"):
        flow.response.content = b"by the script"
'''


class Run(NamedTuple):
    live: list[Report]
    mitm: Path
    arguments: Sequence[str]
    """For the options of ``analyze``."""


def later(run: Run) -> None:
    """``analyze`` and ``mitmdump -nr`` say what was said live, field by field."""
    again, resaved = run.mitm.with_name("again"), run.mitm.with_name("resaved.mitm")
    done = mitmdump(
        "-nr",
        str(run.mitm),
        f"--scripts={ADDON}",
        f"--set=cos_report_dir={again}",
        f"--save-stream-file={resaved}",
        *(f"--set=cos_{argument[2:]}" for argument in run.arguments),
    )
    assert done.returncode == 0, done.stdout
    ways = (
        analyzed(run.mitm, *run.arguments),
        read_reports(again),
        analyzed(resaved, *run.arguments),
    )
    for way in ways:
        reports = {(report["flow_id"], report["started"]): report for report in way}
        assert len(reports) == len(way) == len(run.live)
        for report in run.live:
            other = reports[report["flow_id"], report["started"]]
            assert _said(other) == _said(report)


def _said(report: Report) -> dict[str, object]:
    """Of a secret that the proxy took away the mask alone is left, which needs no masking."""
    for side in ("request", "response"):
        for field in report[side]["headers"]:
            if field["value"].startswith("[masked:"):
                field["redacted"] = True
    return without(report, "sequence")


@contextlib.contextmanager
def recorded(
    folder: Path, *arguments: str, scripts_before: Sequence[Path] = (), keys: bool = False
) -> Iterator[tuple[Lab, list[Run]]]:
    """A proxy that saves; the run is there behind it."""
    mitm, runs = folder / "saved.mitm", list[Run]()
    credentials = [f"--set=cos_credentials={key_file(folder)}"] if keys else []
    with (
        Origin() as origin,
        Lab(
            origin,
            folder,
            f"--save-stream-file={mitm}",
            *credentials,
            *arguments,
            scripts_before=scripts_before,
        ) as lab,
    ):
        origin.make_bucket(OTHER)
        yield lab, runs
        lab.stop()
        assert "Traceback" not in lab.output
        assert not origin.faults
        options = [f"--credentials={folder / 'cos.conf'}"] if keys else []
        runs.append(Run(lab.reports, mitm, options))


def by_key(run: Run) -> dict[str, Report]:
    return {report["cos"]["key"]: report for report in run.live}


@pytest.mark.parametrize("keys", [False, True])
def test_headers_that_the_proxy_takes_away_or_writes(tmp_path: Path, keys: bool) -> None:
    port = free_port()
    modes = ("--mode=regular", f"--mode=reverse:https://{HOST}@{port}")
    with recorded(tmp_path, *modes, keys=keys) as (lab, runs):
        lab.wait_for_output("reverse proxy to")
        lab.origin.authorise = Verifier({SECRET_ID: SECRET_KEY})
        expect_signed(lab, "expect")
        upload(lab, "reversed", sdk(lab, Domain=f"localhost:{port}", Scheme="http", Proxies=None))
    (run,) = runs
    for name in ("expect", "reversed"):
        assert "signature-broken-by-proxy warning" in found(by_key(run)[name])
    later(run)
    (saved,) = [flow for flow in saved_flows(run.mitm) if flow.request.path == "/expect"]
    assert "expect" not in saved.request.headers
    shown = [field["name"] for field in by_key(run)["expect"]["request"]["headers"]]
    assert "Expect" in shown


def test_urls_and_headers_that_options_rewrite(tmp_path: Path) -> None:
    options = (
        "--set=map_remote=|~u mapped|examplebucket-|otherbucket-",
        "--set=map_remote=|~u query|marker=a|marker=b",
        "--set=modify_headers=/~q/x-cos-meta-a/other",
        "--set=modify_headers=/~q/x-cos-security-token/",
        "--set=modify_headers=/~s/x-cos-request-id/",
        "--set=modify_headers=/~s/x-added/1",
        "--set=modify_body=|~s & ~u changed|abc|xy",
    )
    token = {"x-cos-security-token": TOKEN, "x-cos-meta-a": "own"}
    with recorded(tmp_path, *options) as (lab, runs):
        for name, body in (("mapped-small", SMALL), ("mapped-big", BIG)):
            assert lab.send("PUT", name, data=body, headers=token).status_code == 200
            assert lab.origin.get_object(OTHER, name) == body
        lab.send("GET", "query", query="?marker=a&x-cos-security-token=" + TOKEN)
        lab.origin.put_object(BUCKET, "changed", SMALL)
        lab.send("GET", "changed")
        lab.damage("changed-damaged", wrong_crc())
        lab.origin.put_object(BUCKET, "changed-damaged", SMALL)
        lab.send("GET", "changed-damaged")
    (run,) = runs
    live = by_key(run)
    assert {report["cos"]["bucket"] for report in run.live} == {BUCKET}
    assert live["mapped-big"]["verdict"] == live["changed"]["verdict"] == "ok"
    assert live["mapped-big"]["ids"]["request_id"] is not None
    assert found(live["changed-damaged"]) == {"crc64-mismatch error"}
    later(run)
    for flow in saved_flows(run.mitm):
        assert TOKEN not in repr(flow.metadata)
        assert flow.response is not None
        assert flow.response.headers["x-added"] == "1"


@pytest.mark.parametrize("first", ["script", "addon"])
def test_messages_that_a_script_rewrites(tmp_path: Path, first: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    before, behind = ([script], ()) if first == "script" else ((), (f"--scripts={script}",))
    with recorded(tmp_path, *behind, scripts_before=before) as (lab, runs):
        for name, body in (("script-up", SMALL), ("script-up-big", BIG), ("script-path", SMALL)):
            assert lab.send("PUT", name, data=body).status_code == 200
        for name in ("script-down", "script-down-big"):
            lab.origin.put_object(BUCKET, name, BIG if "big" in name else SMALL)
            assert lab.send("GET", name).content == b"by the script"
    (run,) = runs
    for name, report in by_key(run).items():
        assert report["verdict"] == "ok", (name, report["findings"])
    later(run)


def test_what_was_read_of_bodies_that_are_gone(tmp_path: Path) -> None:
    with recorded(tmp_path, "--set=cos_stream=0") as (lab, runs):
        lab.damage("framed", aws_framing_kept())
        s3_client(lab).put_object(Bucket=BUCKET, Key="framed", Body=b"abc" * 100_000)
        lab.send("GET", "framed")
        lab.damage("long", error("AccessDenied", message="x" * 2_000_000), chunked())
        lab.send("GET", "long")
        lab.origin.put_object(BUCKET, "ranges", BIG)
        # They overlap, so that what is joined has to be cut.
        for first, last in ((0, 599_999), (500_000, 999_999), (900_000, len(BIG) - 1)):
            lab.send("GET", "ranges", headers={"Range": f"bytes={first}-{last}"})
    (run,) = runs
    assert "s3-framing warning" in found(run.live[1])
    assert by_key(run)["long"]["error"]["code"] == "AccessDenied"
    assert checks(run.live[-1])["range-crc64", "response"] == "match"
    later(run)


def test_a_replayed_flow_stays_damaged(tmp_path: Path) -> None:
    """Flow files say for ever that a flow was replayed once."""
    first = tmp_path / "first.mitm"
    with Origin() as origin, Lab(origin, tmp_path, f"--save-stream-file={first}") as lab:
        origin.put_object(BUCKET, "again", BIG)
        assert lab.send("GET", "again").content == BIG
    with Origin() as origin:
        origin.put_object(BUCKET, "again", BIG)
        origin.damage(Damage(wrong_crc(), when=both(key("again"), method("GET"))))
        mitm, reports = tmp_path / "saved.mitm", tmp_path / "replayed"
        done = mitmdump(
            f"--scripts={ADDON}",
            f"--client-replay={first}",
            f"--save-stream-file={mitm}",
            "--listen-host=127.0.0.1",
            "--listen-port=0",
            f"--set=cos_report_dir={reports}",
            f"--set=confdir={tmp_path / 'confdir'}",
            origin=origin,
        )
        assert done.returncode == 0, done.stdout
    (saved,) = saved_flows(mitm)
    assert saved.is_replay == "request"
    assert saved.response is not None
    assert saved.response.raw_content is None
    live = read_reports(reports)
    assert found(live[0]) == {"crc64-mismatch error"}
    later(Run(live, mitm, ()))


def test_in_mitmweb(tmp_path: Path) -> None:
    """A capture that is loaded there is marked as it was live."""
    with recorded(tmp_path, "--set=map_remote=|~u mapped|examplebucket-|otherbucket-") as made:
        lab, runs = made
        lab.origin.authorise = Verifier({SECRET_ID: SECRET_KEY})
        expect_signed(lab, "expect")
        lab.origin.authorise = None
        lab.send("PUT", "mapped", data=BIG)
    (run,) = runs
    with Origin() as origin, Web(origin, tmp_path / "web", f"--rfile={run.mitm}") as web:
        for name in ("expect", "mapped"):
            (report,) = web.reports_on(name)
            assert without(report, "sequence") == without(by_key(run)[name], "sequence")
            said = json.loads(web.call("cos.report", f"~u {name}")["value"])
            assert said["cos"]["bucket"] == BUCKET
        first = web.flows()["expect"]["comment"].splitlines()[0]
        assert "signature-broken-by-proxy" in first
