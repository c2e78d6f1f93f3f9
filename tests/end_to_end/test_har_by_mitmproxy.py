"""A HAR that mitmproxy itself reads has lost what stood on the wire: bodies that were left out
are empty, text has other bytes, lengths are counted anew. Nothing is accused because of it."""

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cos_inspect.digests import crc64
from tests.end_to_end.harness import HOST, Report, checks, read_reports
from tests.end_to_end.lab import ADDON_ARGUMENT, found, mitmdump
from tests.end_to_end.later import analyzed, replayed

pytestmark = pytest.mark.end_to_end

ID = "NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI="
DATA = bytes(range(256)) * 4
TEXT = b"Some lines of text.\n" * 4
PACKED = gzip.compress(TEXT)
TRACE = base64.b64encode(b"8efc6b2d3b069ca89454d10b9ef001874" * 2).decode()
ERROR = (
    f"<Error><Code>NoSuchKey</Code><Message>m</Message><RequestId>{ID}</RequestId>"
    f"<TraceId>{TRACE}</TraceId></Error>"
).encode()


def entry(
    name: str,
    *,
    method: str = "GET",
    status: int = 200,
    stored: bytes = b"",
    content: dict[str, Any] | None = None,
    posted: str | None = None,
    more: dict[str, str] | None = None,
) -> dict[str, Any]:
    """``stored``: what the answer's digests are of; ``content``, ``posted``: what is left of
    the bodies."""
    answer = {
        "Server": "tencent-cos",
        "Date": "Sun, 22 Nov 2026 10:00:00 GMT",
        "x-cos-request-id": ID,
        "Content-Length": str(len(stored) if method == "GET" else 0),
        **(more or {}),
    }
    if status == 200:
        answer["ETag"] = f'"{hashlib.md5(stored).hexdigest()}"'
        answer["x-cos-hash-crc64ecma"] = str(crc64(stored))
    asked: dict[str, Any] = {
        "method": method,
        "url": f"https://{HOST}/{name}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "queryString": [],
        "headersSize": -1,
        "bodySize": -1,
        "headers": [{"name": "Host", "value": HOST}],
    }
    if method == "PUT":
        asked["headers"].append({"name": "Content-Length", "value": str(len(stored))})
    if posted is not None:
        asked["postData"] = {"mimeType": "text/plain", "text": posted}
    return {
        "startedDateTime": "2026-11-22T10:00:00.000Z",
        "time": 20,
        "cache": {},
        "timings": {"send": 1, "wait": 10, "receive": 9},
        "request": asked,
        "response": {
            "status": status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": each, "value": value} for each, value in answer.items()]
            if status
            else [],
            "content": {"size": len(stored), "mimeType": "", **(content or {})},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
    }


def b64(data: bytes) -> dict[str, Any]:
    return {"text": base64.b64encode(data).decode(), "encoding": "base64"}


ENTRIES = {
    "whole": entry("whole", stored=DATA, content=b64(DATA)),
    "text": entry("text", stored=TEXT, content={"text": TEXT.decode()}),
    "left-out": entry("left-out", stored=DATA),
    "lossy": entry("lossy", stored=b"\xff\xfe" * 9, content={"text": "\ufffd" * 18}),
    "other-charset": entry("other-charset", stored="é".encode("latin-1"), content={"text": "é"}),
    "packed": entry(
        "packed", stored=PACKED, content={"text": TEXT.decode()}, more={"Content-Encoding": "gzip"}
    ),
    "put-left-out": entry("put-left-out", method="PUT", stored=DATA),
    "put-lossy": entry("put-lossy", method="PUT", stored=DATA, posted="\ufffd" * 9),
    "put-text": entry("put-text", method="PUT", stored=TEXT, posted=TEXT.decode()),
    "head": entry("head", method="HEAD", stored=b""),
    "no-answer": entry("no-answer", status=0),
    "empty": entry("empty", stored=b""),
    "missing": entry("missing", status=404, content={"text": ERROR.decode()}, stored=ERROR),
    "not-modified": entry("not-modified", status=304),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Report], dict[str, Report]]:
    """By object: what mitmdump and ``analyze`` say of the file."""
    folder = tmp_path_factory.mktemp("har")
    capture = folder / "capture.har"
    log = {
        "version": "1.2",
        "creator": {"name": "a", "version": "1"},
        "entries": [*ENTRIES.values()],
    }
    capture.write_text(json.dumps({"log": log}))
    both = []
    for name, reading in (("replayed", replayed), ("analyzed", analyzed)):
        both.append({each["cos"]["key"]: each for each in reading(capture, folder / name)})
    return both[0], both[1]


def test_each_entry_has_its_report(read: Any) -> None:
    assert read[0].keys() == read[1].keys() == ENTRIES.keys()


@pytest.mark.parametrize("name", ENTRIES)
def test_nothing_is_accused_that_analyze_does_not_accuse(name: str, read: Any) -> None:
    later, whole = read[0][name], read[1][name]
    assert found(later) <= found(whole), later["findings"]
    for check in later["checks"]:
        assert check["status"] != "mismatch"
        assert check["reason"] != "not-inspected"


@pytest.mark.parametrize("name", ["whole", "text", "put-text", "empty"])
def test_what_is_surely_whole_is_checked(name: str, read: Any) -> None:
    side = "request" if name.startswith("put") else "response"
    assert checks(read[0][name])["crc64", side] == "match"


def test_an_error_is_told(read: Any) -> None:
    assert found(read[0]["missing"]) == found(read[1]["missing"]) != set()
    assert read[0]["missing"]["error"]["code"] == "NoSuchKey"


def test_what_got_no_answer_has_none(read: Any) -> None:
    assert read[0]["no-answer"]["response"] is None
    assert found(read[0]["no-answer"]) == set()


def test_what_mitmproxy_cannot_read_ends_as_without_the_addon(tmp_path: Path) -> None:
    odd = dict(ENTRIES["text"])
    del odd["startedDateTime"]
    capture = tmp_path / "odd.har"
    capture.write_text(json.dumps({"log": {"entries": [ENTRIES["whole"], odd]}}))
    plain = mitmdump("-nr", str(capture))
    done = mitmdump("-nr", str(capture), ADDON_ARGUMENT, f"--set=cos_report_dir={tmp_path / 'r'}")
    assert done.returncode == plain.returncode
    assert "cos_inspect" not in done.stdout.partition("Traceback")[2]
    assert [each["cos"]["key"] for each in read_reports(tmp_path / "r")] == ["whole"]
