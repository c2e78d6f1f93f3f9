"""The HAR that Chromium's own developer tools save of a page that speaks to COS."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.end_to_end.browser import chromium, missing
from tests.end_to_end.devtools import ARGUMENTS, devtools
from tests.end_to_end.harness import BUCKET, HOST, REGION, Report, checks, read_reports
from tests.end_to_end.lab import Lab, found
from tests.origin.damage import flip_upload
from tests.origin.effects import flip_body, gzip_body, truncate
from tests.origin.server import Origin

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]

PAGES = "examplepages-1250000000"
BINARY = bytes(range(256)) * 4
TEXT = b"Some lines of text.\n" * 4
CHINESE = "中文，汉字。\n".encode()
PLAIN, UTF8 = "text/plain", "text/plain; charset=utf-8"
FORBIDDING = "exampleforbid-1250000000"
STORED = {
    "text.txt": (TEXT, PLAIN),
    "chinese.txt": (CHINESE, UTF8),
    "nameless.txt": (CHINESE, PLAIN),
    "binary.bin": (BINARY, "application/octet-stream"),
    "gone.txt": (TEXT, PLAIN),
    "bad.txt": (TEXT, PLAIN),
    "bad-chinese.txt": (CHINESE, UTF8),
    "bad-nameless.txt": (CHINESE, PLAIN),
    "bad.bin": (BINARY, "application/octet-stream"),
    "packed.txt": (TEXT, PLAIN),
    "cut.bin": (BINARY, "application/octet-stream"),
}
_SCRIPT = """
    const [bucket, forbidding] = arguments;
    const send = async (method, name, more = {}) => {
      const url = (name.startsWith("https:") ? "" : bucket) + name;
      try {
        await (await fetch(url, {method, cache: "no-store", ...more})).arrayBuffer();
      } catch { /* a refusal, or an answer that was cut */ }
    };
    const bytes = Uint8Array.from({length: 1024}, (_, n) => n % 256);
    return (async () => {
      for (const name of ["new.txt", "lost.txt"])
        await send("PUT", name, {body: "Some lines of text.\\n"});
      for (const name of ["new.bin", "lost.bin"]) await send("PUT", name, {body: bytes});
      await send("PUT", "chinese-new.txt", {body: "中文"});
      await send("PUT", "empty.txt", {body: ""});
      for (const name of ["text.txt", "chinese.txt", "nameless.txt", "binary.bin", "missing.txt",
          "bad.txt", "bad-chinese.txt", "bad-nameless.txt", "bad.bin", "packed.txt", "cut.bin"])
        await send("GET", name);
      await send("GET", "text.txt", {headers: {Range: "bytes=5-9"}});
      await send("HEAD", "text.txt");
      await send("HEAD", "missing.txt");
      await send("DELETE", "gone.txt");
      await send("GET", "?prefix=text");
      await send("POST", "large.bin?uploads");
      await send("PUT", forbidding + "refused.txt", {body: "x"});
    })();"""


def _analyzed(capture: Path) -> list[Report]:
    program = Path(sys.executable).with_name("cos-inspect")
    folder = capture.with_suffix("")
    done = subprocess.run(
        [program, "analyze", "--quiet", f"--report-dir={folder}", capture],
        check=True,
        capture_output=True,
        text=True,
    )
    (note,) = done.stderr.splitlines()
    assert note.endswith("skipped, it was never sent (net::ERR_FAILED)")
    return read_reports(folder)


class Run(NamedTuple):
    live: dict[tuple[str, str], Report]
    complete: dict[tuple[str, str], Report]
    sanitized: dict[tuple[str, str], Report]
    har: dict[str, Any]


def by_request(reports: list[Report]) -> dict[tuple[str, str], Report]:
    """By operation and key. What the browser asks for by itself, such as the page's icon,
    is left out."""
    named: dict[tuple[str, str], Report] = {}
    for report in reports:
        if report["cos"]["bucket"] not in (BUCKET, FORBIDDING):
            continue
        ranged = report["response"] is not None and report["response"]["status"] == 206
        name = (report["cos"]["operation"] + ("#range" if ranged else ""), report["cos"]["key"])
        assert name not in named
        named[name] = report
    return named


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("chromium")
    with Origin() as origin, Lab(origin, folder) as lab:
        page = [("Content-Type", "text/html; charset=utf-8")]
        origin.put_object(PAGES, "page.html", b"<!doctype html><title>A page</title>", headers=page)
        for name, (data, kind) in STORED.items():
            origin.put_object(BUCKET, name, data, headers=[("Content-Type", kind)])
        origin.make_bucket(FORBIDDING)
        origin.service.store.buckets[FORBIDDING].settings["cors"] = (
            b"<CORSConfiguration><CORSRule><AllowedOrigin>https://www.example.com</AllowedOrigin>"
            b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
        )
        for name in ("bad.txt", "bad-chinese.txt", "bad-nameless.txt", "bad.bin"):
            lab.damage(name, flip_body(1))
        lab.damage("lost.txt", flip_upload(1))
        lab.damage("lost.bin", flip_upload(1))
        lab.damage("packed.txt", gzip_body())
        lab.damage("cut.bin", truncate(100))
        with (
            chromium(
                folder / "profile",
                *ARGUMENTS,
                f"--proxy-server={lab.url}",
                "--ignore-certificate-errors",
            ) as browser,
            devtools(browser) as tools,
        ):
            browser.driver.get(f"https://{PAGES}.cos.{REGION}.myqcloud.com/page.html")
            forbidding = f"https://{FORBIDDING}.cos.{REGION}.myqcloud.com/"
            browser.run(_SCRIPT, f"https://{HOST}/", forbidding)
            saved = {name: tools.har(sanitize=name == "sanitized") for name in Run._fields[1:3]}
        lab.stop()
        live = by_request(lab.reports)
        assert not origin.faults
    later = {}
    for name, text in saved.items():
        path = folder / f"{name}.har"
        path.write_text(text, "utf-8")
        later[name] = by_request(_analyzed(path))
    return Run(live, later["complete"], later["sanitized"], json.loads(saved["complete"]))


def test_the_tools_of_chromium_wrote_it(run: Run) -> None:
    assert run.har["log"]["creator"]["name"] == "WebInspector"


NEVER_SENT = ("PutObject", "refused.txt")
"""Its preflight was refused; the browser lists it all the same."""
BROKEN_OFF = ("GetObject", "cut.bin")
"""The proxy answers 502 for what broke off before it had begun to answer."""
MISSING = ("GetObject", "missing.txt")
UNPROVABLE = (
    ("GetObject", "bad-chinese.txt"),  # no UTF-8 any more, so the browser replaced bytes
    ("GetObject", "packed.txt"),
)
DAMAGED = (
    ("GetObject", "bad.txt"),
    ("GetObject", "bad-nameless.txt"),
    ("GetObject", "bad.bin"),
    ("PutObject", "lost.txt"),
    ("PutObject", "lost.bin"),
)


def test_operations_and_preflights_are_those_of_the_wire(run: Run) -> None:
    assert run.complete.keys() == run.sanitized.keys() == run.live.keys()
    assert NEVER_SENT not in run.complete
    assert {operation for operation, _ in run.complete} == {
        "DeleteObject",
        "GetBucket",
        "GetObject",
        "GetObject#range",
        "HeadObject",
        "InitiateMultipartUpload",
        "OptionsObject",
        "PutObject",
    }
    assert len(run.complete) == 31


@pytest.mark.parametrize("kind", ["complete", "sanitized"])
def test_verdicts_are_those_of_the_wire_where_the_bytes_are_known(run: Run, kind: str) -> None:
    saved: dict[tuple[str, str], Report] = getattr(run, kind)
    for name, live in run.live.items():
        if name not in (BROKEN_OFF, *UNPROVABLE):
            assert found(saved[name]) == found(live), name
    for name in DAMAGED:
        assert found(saved[name]) == {"crc64-mismatch error", "etag-mismatch error"}
    assert found(saved[BROKEN_OFF]) == {"not-from-cos warning"}


def test_what_is_no_longer_the_wires_accuses_nobody(run: Run) -> None:
    for name in UNPROVABLE:
        assert run.complete[name]["verdict"] == "ok"
        assert set(checks(run.complete[name]).values()) == {"re-encoded"}


def test_a_body_withheld_from_the_page_is_not_broken_off(run: Run) -> None:
    assert checks(run.complete[MISSING])["content-length", "response"] == "not-captured"


@pytest.mark.parametrize(
    "name",
    [
        ("GetObject", "text.txt"),
        ("GetObject", "chinese.txt"),
        ("GetObject", "nameless.txt"),
        ("GetObject", "binary.bin"),
        ("PutObject", "new.txt"),
        ("PutObject", "new.bin"),
        ("PutObject", "chinese-new.txt"),
    ],
)
def test_whole_bodies_are_held_to_what_cos_says(run: Run, name: tuple[str, str]) -> None:
    given = checks(run.complete[name])
    side = "request" if name[0] == "PutObject" else "response"
    assert given["etag", side] == given["crc64", side] == "match"
