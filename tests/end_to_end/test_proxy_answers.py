"""What mitmproxy answers itself is told as its own, by the option's name, and no rule about COS
speaks; over live, saved and read again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow, tutils

from cos_inspect.recording.actors import BARE
from tests.end_to_end.harness import HOST, Report, checks
from tests.end_to_end.lab import Lab, put, saved_flows
from tests.end_to_end.later import analyzed, assert_same_later
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BODY = b"abc-" * 64
BEYOND = b"abc-" * (1 << 16)

SCRIPT = """
from mitmproxy import http


def requestheaders(flow):
    if flow.request.path.startswith("/at-once"):
        flow.response = http.Response.make(503, b"from the script", {"x-cos-request-id": "none"})


def request(flow):
    if flow.request.path.startswith("/scripted"):
        flow.response = http.Response.make(200, b"from the script", {"ETag": '"0"'})
"""


def _recorded(path: Path) -> None:
    """Of a day long ago, with every mark of COS, and wrong."""
    request = tutils.treq(
        method=b"GET",
        scheme=b"https",
        host=HOST,
        port=443,
        path=b"/replayed",
        headers=http.Headers(host=HOST),
        content=b"",
    )
    answer = http.Response.make(
        404,
        b"<Error><Code>NoSuchKey</Code></Error>",
        {
            "Server": "tencent-cos",
            "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
            "x-cos-request-id": "NWU4MTVhMTRfMjViMjU4NjRfMWNhYw==",
            "ETag": '"not the one"',
            "x-cos-hash-crc64ecma": "1",
        },
    )
    with path.open("wb") as file:
        FlowWriter(file).add(tflow.tflow(req=request, resp=answer))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[tuple[dict[str, Report], list[Report], dict[str, Any]]]:
    recorded, local, script = folder / "recorded.mitm", folder / "local.txt", folder / "script.py"
    _recorded(recorded)
    local.write_text("from a file")
    script.write_text(SCRIPT)
    capture = folder / "saved.mitm"
    with (
        Origin() as origin,
        Lab(
            origin,
            folder,
            f"--save-stream-file={capture}",
            "--set=cos_fail_on=notice",
            "--set=block_list=/~u blocked/403",
            f"--set=map_local=|~u /local|.+/local|{local}",
            f"--set=map_local=|~u /nowhere|.+/nowhere|{folder}",
            f"--set=server_replay={recorded}",
            # mitmdump ends else a moment after all of these were replayed.
            "--set=keepserving=true",
            "--set=body_size_limit=100k",
            scripts_after=[script],
        ) as lab,
    ):
        put(BODY)(lab, "clean")
        for name in ("blocked", "local", "nowhere", "scripted", "at-once", "replayed"):
            lab.send("GET", name)
        put(BODY)(lab, "blocked-upload")
        lab.damage("too-long")
        origin.put_object("examplebucket-1250000000", "too-long", BEYOND)
        lab.send("GET", "too-long")
        with contextlib.suppress(requests.RequestException):
            # The refusal races the reset by which mitmproxy ends an upload it does not want.
            assert lab.send("PUT", "limited", data=BEYOND).status_code == 413
        lab.stop()
        assert lab.status == 0, lab.output
        reports = lab.reports
        assert not origin.faults
        yield {report["cos"]["key"]: report for report in reports}, reports, lab.summary


BY_OPTION = {
    "blocked": (403, "block_list"),
    "blocked-upload": (403, "block_list"),
    "local": (200, "map_local"),
    "nowhere": (404, "map_local"),
    "replayed": (404, "server_replay"),
    "scripted": (200, "the script script.py"),
    "at-once": (503, "the script script.py"),
    "limited": (413, "body_size_limit"),
    "too-long": (502, "body_size_limit"),
}


@pytest.mark.parametrize("name", BY_OPTION)
def test_who_answered(name: str, told: Any) -> None:
    report = told[0][name]
    answer = report["response"]
    assert (answer["status"], answer["option"]) == BY_OPTION[name]
    assert answer["by"] == "proxy"
    assert report["verdict"] == "ok"
    assert report["findings"] == []
    assert (report["ticket"], report["error"]) == (None, None)
    assert {check["status"] for check in report["checks"]} == {"skipped"}


def test_what_cos_answered_is_its_own(told: Any) -> None:
    report = told[0]["clean"]
    assert (report["response"]["by"], report["response"]["option"]) == ("server", None)
    assert checks(report)["crc64", "request"] == "match"


def test_nothing_of_it_belongs_to_a_transfer(told: Any) -> None:
    summary = told[2]
    assert (summary["transfers"], summary["retries"]) == ([], [])
    assert summary["counts"]["verdict"] == {"ok": len(told[1])}


def test_the_saved_flows_say_the_same(told: Any, folder: Path) -> None:
    assert_same_later(told[1], folder / "saved.mitm", folder)


def test_captures_that_the_addon_did_not_see(told: Any, folder: Path) -> None:
    """mitmproxy's own marks are enough, but for scripts'; that of map_local's bare 404 is that it
    has none."""
    bare = folder / "bare.mitm"
    with bare.open("wb") as file:
        writer = FlowWriter(file)
        for flow in saved_flows(folder / "saved.mitm"):
            flow.metadata.pop("cos")
            writer.add(flow)
    later = {report["cos"]["key"]: report for report in analyzed(bare, folder / "bare")}
    for name, (status, option) in BY_OPTION.items():
        if option.startswith("the script"):
            continue
        known = BARE if name == "nowhere" else option
        answer = later[name]["response"]
        assert (answer["status"], answer["by"], answer["option"]) == (status, "proxy", known)
        assert later[name]["findings"] == []
    assert later["clean"]["response"]["by"] == "server"
