"""With the addon and without it, in every mode of streaming: the same bytes for both ends."""

import gzip
import hashlib
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    Inspected,
    Report,
    by_operation,
    checks,
    rules,
)
from tests.origin.damage import Damage, key
from tests.origin.effects import chunked, error, gzip_body
from tests.origin.message import Record
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

SMALL = random.Random(31).randbytes(40_000)
LARGE = random.Random(32).randbytes(5 << 19)
PACKED = gzip.compress(b"plain text, packed by the one who uploaded it\n" * 500, mtime=0)
MODES: dict[str, Sequence[str]] = {
    "default": (),
    "cos_stream=0": ("--set=cos_stream=0",),
    "cos_stream=never": ("--set=cos_stream=never",),
}

Headers = list[tuple[str, str]]


class Run:
    """One session: what both ends saw, and the reports on it."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        """Each request as the server met it."""
        self.got: list[tuple[Any, ...]] = []
        """Each answer as the client met it."""
        self.reports: list[Report] = []


def _arrived(record: Record) -> tuple[Any, ...]:
    return (
        record.method,
        record.scheme,
        record.host,
        record.target,
        record.headers,
        record.body_size,
        record.body_md5,
        record.complete,
        record.status,
    )


def _session(url: str) -> list[tuple[Any, ...]]:
    """Fixed requests, with no signature that would differ from run to run."""
    got: list[tuple[Any, ...]] = []
    session = requests.Session()
    session.trust_env = True
    proxies = {"http": url, "https": url}

    def call(method: str, path: str, scheme: str = "https", **arguments: Any) -> None:
        answer = session.request(
            method,
            f"{scheme}://{HOST}{path}",
            proxies=proxies,
            timeout=30,
            stream=True,
            allow_redirects=False,
            **arguments,
        )
        body = answer.raw.read(decode_content=False)
        fields = [(str(name), str(value)) for name, value in answer.raw.headers.items()]
        md5 = hashlib.md5(body).hexdigest()
        got.append((method, path, answer.status_code, answer.reason, fields, md5))

    content_md5 = {"Content-MD5": "oBj9mG6gWYkFPGyhWYWxcw=="}
    call("PUT", "/small", data=SMALL)
    call("PUT", "/large", data=LARGE, headers={"X-Cos-Meta-Odd": "a  b", "x-cos-meta-odd2": ""})
    call("PUT", "/empty", data=b"")
    call("PUT", "/wrong-md5", data=SMALL, headers=content_md5)
    call("PUT", "/chunked", data=iter([SMALL, LARGE, b"end"]))
    call("PUT", "/%E7%85%A7%20a+b%2Fc//d?x-none", data=SMALL)
    call("PUT", "/packed", data=PACKED, headers={"Content-Encoding": "gzip"})
    call("PUT", "/plain-http", "http", data=LARGE)
    call("POST", "/append?append&position=0", data=SMALL)
    call(
        "POST",
        "/",
        data=b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nform\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        + LARGE
        + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    call("GET", "/small")
    call("GET", "/large")
    call("GET", "/large", headers={"Range": "bytes=100-2000099"})
    call("GET", "/large", headers={"Range": "bytes=0-9"})
    call("GET", "/packed", headers={"Accept-Encoding": "gzip"})
    call("GET", "/packed-on-the-way")
    call("GET", "/chunked-answer")
    call("GET", "/slow-down")
    call("GET", "/missing")
    call("HEAD", "/large")
    call("HEAD", "/missing")
    call("GET", "/small", headers={"If-None-Match": f'"{hashlib.md5(SMALL).hexdigest()}"'})
    call("GET", "/plain-http", "http")
    call("GET", "/?prefix=small")
    call("DELETE", "/small")
    session.close()
    return got


def _prepare(origin: Origin) -> None:
    for name in ("packed-on-the-way", "chunked-answer"):
        origin.put_object(BUCKET, name, LARGE)
    origin.damage(
        Damage(gzip_body(), when=key("packed-on-the-way")),
        Damage(chunked(), when=key("chunked-answer")),
        Damage(error("SlowDown"), when=key("slow-down")),
    )


def _run(now: float, folder: Path, arguments: Sequence[str] | None) -> Run:
    """A session; None for ``arguments``: without the addon. The server's clock stands
    still at ``now``, so that dates and ids are the same in every run."""
    run = Run()
    with (
        Origin(clock=lambda: now) as origin,
        pytest.MonkeyPatch.context() as patch,
        Proxy(origin) if arguments is None else Inspected(origin, folder, *arguments) as proxy,
    ):
        patch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_pem)
        _prepare(origin)
        run.got = _session(proxy.url)
        proxy.stop()
        run.sent = [_arrived(record) for record in origin.requests]
        if isinstance(proxy, Inspected):
            run.reports = proxy.reports
            assert "Traceback" not in proxy.output
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    now = time.time()
    folders = tmp_path_factory.mktemp("same")
    made = {"without": _run(now, folders, None)}
    for mode, arguments in MODES.items():
        made[mode] = _run(now, folders / mode, arguments)
    return made


@pytest.mark.parametrize("mode", MODES)
def test_the_server_gets_the_same_requests(runs: dict[str, Run], mode: str) -> None:
    assert len(runs[mode].sent) == len(runs["without"].sent) == 25
    for with_addon, without in zip(runs[mode].sent, runs["without"].sent, strict=True):
        assert with_addon == without


@pytest.mark.parametrize("mode", MODES)
def test_the_client_gets_the_same_answers(runs: dict[str, Run], mode: str) -> None:
    for with_addon, without in zip(runs[mode].got, runs["without"].got, strict=True):
        assert with_addon == without


def _judged(run: Run) -> list[tuple[Any, ...]]:
    return [
        (
            report["cos"]["operation"],
            report["cos"]["key"],
            report["verdict"],
            rules(report),
            checks(report),
            report["request"]["body"],
            report["response"]["status"],
            report["response"]["body"],
            report["ids"]["request_id"],
        )
        for report in run.reports
    ]


@pytest.mark.parametrize("mode", ["cos_stream=0", "cos_stream=never"])
def test_streaming_changes_no_verdict(runs: dict[str, Run], mode: str) -> None:
    for other, default in zip(_judged(runs[mode]), _judged(runs["default"]), strict=True):
        assert other == default


@pytest.mark.parametrize("mode", MODES)
def test_a_packed_object_stays_packed_and_is_checked_as_it_is(
    runs: dict[str, Run], mode: str
) -> None:
    (report,) = [
        report
        for report in by_operation(runs[mode].reports, "GetObject")
        if report["cos"]["key"] == "packed"
    ]
    assert report["response"]["body"]["encoding"] == "gzip"
    assert report["response"]["body"]["size"] == len(PACKED)
    assert report["response"]["body"]["md5"] == hashlib.md5(PACKED).hexdigest()
    assert checks(report)["etag", "response"] == checks(report)["crc64", "response"] == "match"


def test_only_what_was_damaged_is_accused(runs: dict[str, Run]) -> None:
    accused = {
        report["cos"]["key"]
        for report in runs["default"].reports
        if report["verdict"] in ("warning", "error")
    }
    assert accused == {"wrong-md5", "packed-on-the-way", "slow-down", "missing"}
