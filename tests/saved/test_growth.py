"""Saved files of every shape are read in a time that grows as they do."""

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow

from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.report.baseline import Baseline, BaselineEntry, BaselineError, read_baseline
from cos_inspect.settings.credentials import read_credentials
from tests.growth import assert_linear
from tests.saved.hars import HOST, as_base64, download, har, upload

Work = Callable[[], object]
BODY = b"[Object Content]"


def read(path: Path, reader: Any) -> None:
    """All of a file, whatever is wrong with it."""
    stream = Stream(str(path))
    try:
        for _ in reader(stream, ()).saved(InputRemarks(str(path))):
            pass
    except CaptureError:
        pass
    finally:
        stream.close()


def _nested(depth: int, inner: object) -> str:
    return '{"a":' * depth + json.dumps(inner) + "}" * depth


def _har(kind: str, count: int) -> bytes:
    entry = download(BODY, as_base64(BODY))
    match kind:
        case "entries":
            return har([entry] * count)
        case "other-entries":
            return har([{"request": {"url": "https://other.example/"}}] * count)
        case "broken-entries":
            return har([{"request": number} for number in range(count)])
        case "empty-entries":
            return har([{}] * count)
        case "members":
            return har([entry | {f"_m{number}": number for number in range(count)}])
        case "headers":
            entry["response"]["headers"] += [
                {"name": f"x-cos-meta-{number}", "value": "v"} for number in range(count)
            ]
            return har([entry])
        case "equal-headers":
            entry["response"]["headers"] += [{"name": "x-a", "value": "v"}] * count
            return har([entry])
        case "depth":
            return har([entry]).replace(b'"startedDateTime"', b'"_a":' + _nested(count, 1).encode()
                                        + b',"startedDateTime"')  # fmt: skip
        case "depth-outside":
            return b'{"log":{"_a":' + _nested(count, 1).encode() + b',"entries":[]}}'
        case "open-brackets":
            return b'{"log":{"entries":[' + b'{"a":[' * count
        case "text":
            return har([download(BODY, {"size": 1, "text": "a" * count})])
        case "escapes":
            return har([download(BODY, {"size": 1, "text": "\u4e2d\n" * count})])
        case "backslashes":
            return har([download(BODY, {"size": 1, "text": "\\" * count})])
        case "quotes":
            return har([download(BODY, {"size": 1, "text": '"' * count})])
        case "base64":
            return har([download(BODY, as_base64(b"a" * count))])
        case "upload":
            return har([upload(b"a" * count, {"text": "a" * count})])
        case "url":
            entry["request"]["url"] = f"https://{HOST}/?" + "a=b&" * count
            return har([entry])
        case "creator":
            return b'{"log":{"creator":{"name":"' + b'a","name":"' * count + b'"},"entries":[]}}'
        case "blanks":
            return har([entry, entry]).replace(b"}, {", b"}" + b" \n," * count + b"{")
        case "number":
            return har([entry]).replace(b'"time": 20', b'"time": ' + b"9" * count)
        case _:
            raise AssertionError(kind)


HARS = {
    "entries": 100, "other-entries": 500, "broken-entries": 200, "empty-entries": 500,
    "members": 1000, "headers": 1000, "equal-headers": 1000, "depth": 1000,
    "depth-outside": 1000, "open-brackets": 1000, "text": 100_000, "escapes": 150_000,
    "backslashes": 1_200_000, "quotes": 1_200_000, "base64": 100_000, "upload": 100_000,
    "url": 5000, "creator": 5000, "blanks": 10_000, "number": 10_000,
}  # fmt: skip
"""The size to begin with. Texts over 1 MiB are read another way, which costs more at once: what
is compared has to lie on one side of that."""


@pytest.mark.parametrize("kind", HARS)
def test_har(kind: str, tmp_path: Path) -> None:
    def work_of(count: int) -> Work:
        path = tmp_path / f"{count}.har"
        path.write_bytes(_har(kind, count))
        return lambda: read(path, HarFile)

    assert_linear(work_of, HARS[kind], 64 * HARS[kind], runs=2)


def test_har_that_is_packed(tmp_path: Path) -> None:
    def work_of(count: int) -> Work:
        path = tmp_path / f"{count}.har.gz"
        path.write_bytes(gzip.compress(_har("empty-entries", count)))
        return lambda: read(path, HarFile)

    assert_linear(work_of, 1000, 32_000, runs=2)


def _state() -> dict[str, Any]:
    flow = tflow.tflow(resp=True)
    flow.request.host = HOST
    flow.request.headers["host"] = HOST
    state: dict[str, Any] = flow.get_state()
    return state


def _mitm(kind: str, count: int) -> bytes:
    state = _state()
    match kind:
        case "flows":
            return tnetstring.dumps(state) * count
        case "broken-flows":
            return b"3:abc}" * count
        case "headers":
            state["response"]["headers"] = tuple(
                (b"x-cos-meta-%d" % number, b"v") for number in range(count)
            )
        case "equal-headers":
            state["response"]["headers"] = ((b"x-a", b"v"),) * count
        case "members":
            state |= {f"m{number}": b"" for number in range(count)}
        case "metadata":
            state["metadata"] = {f"m{number}": "v" for number in range(count)}
        case "depth":
            return _wrapped(count)
        case "body":
            state["response"]["content"] = b"a" * count
        case "digits":
            return b"0" * count + b":}"
        case "lists":
            state["metadata"] = {"a": [[]] * count}
        case _:
            raise AssertionError(kind)
    return tnetstring.dumps(state)


def _wrapped(depth: int) -> bytes:
    """Lists in lists: a length each."""
    parts: list[bytes] = []
    length = 0
    for _ in range(depth):
        head = b"%d:" % length
        parts.append(head)
        length += len(head) + 1
    inner = b"".join(reversed(parts)) + b"]" * depth
    return b"%d:1:a,%s}" % (len(inner) + 4, inner)


MITMS = {
    "flows": 50, "broken-flows": 500, "headers": 1000, "equal-headers": 1000, "members": 2000,
    "metadata": 2000, "depth": 1000, "body": 1_000_000, "digits": 10_000, "lists": 5000,
}  # fmt: skip


@pytest.mark.parametrize("kind", MITMS)
def test_mitm(kind: str, tmp_path: Path) -> None:
    def work_of(count: int) -> Work:
        path = tmp_path / f"{count}.mitm"
        path.write_bytes(_mitm(kind, count))
        return lambda: read(path, FlowFile)

    assert_linear(work_of, MITMS[kind], 64 * MITMS[kind], runs=2)


@pytest.mark.parametrize("wide", [False, True], ids=["exact", "without-keys"])
def test_baseline(wide: bool, tmp_path: Path) -> None:
    def known(number: int) -> BaselineEntry:
        key = None if wide else f"k{number}"
        return BaselineEntry(
            rule="etag-mismatch", operation="GetObject", bucket=f"b{number}", key=key
        )

    def work_of(count: int) -> Work:
        baseline = Baseline(known(number) for number in range(count))
        found = [
            BaselineEntry(rule="etag-mismatch", operation="GetObject", bucket=f"b{number}", key="k")
            for number in range(count, 2 * count)
        ]

        def work() -> None:
            assert not any(baseline.knows(each) for each in found)
            baseline.not_seen(found)

        return work

    assert_linear(work_of, 500, 64_000, runs=2)


def test_a_baseline_file(tmp_path: Path) -> None:
    def work_of(count: int) -> Work:
        path = tmp_path / f"{count}.json"
        entry = {"rule": "etag-mismatch", "operation": "GetObject", "bucket": "b", "key": "k"}
        path.write_text(json.dumps({"findings": [entry] * count}))

        def work() -> None:
            with contextlib.suppress(BaselineError):
                read_baseline(path)

        return work

    assert_linear(work_of, 1000, 64_000, runs=2)


def test_credentials(tmp_path: Path) -> None:
    def work_of(count: int) -> Work:
        path = tmp_path / f"{count}.ini"
        path.write_text(
            "".join(
                f"[s{number}]\nsecret_id = i{number}\nsecret_key = k\n" for number in range(count)
            )
        )
        path.chmod(0o600)
        return lambda: read_credentials(path)

    assert_linear(work_of, 500, 16_000, runs=2)
