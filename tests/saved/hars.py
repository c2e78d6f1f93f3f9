"""HAR files in the dialects of their exporters, written by hand."""

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.source import Stream
from cos_inspect.digests import crc64
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
URL = f"https://{HOST}/a%20b/c.bin"
DATE = "Fri, 13 Nov 2020 02:00:01 GMT"
STARTED = "2020-11-13T02:00:00.000Z"
REQUEST_ID = "NWZhZGU4ODFfZDMxNGNjMGFfNDFlXzE4NDg="
"""Its time is that of ``DATE``."""

Entry = dict[str, Any]

TEXT = "a few words, äöü\n".encode()
BINARY = bytes(range(256)) * 5
MEBIBYTES = bytes(range(256)) * 4096 * 3


def fields(**values: str) -> list[dict[str, str]]:
    return [
        {"name": name.replace("_", "-"), "value": value} for name, value in values.items() if value
    ]


def answer_headers(body: bytes, **more: str) -> list[dict[str, str]]:
    """As COS answers for an object with this content."""
    known = {
        "Content-Length": str(len(body)),
        "ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
        "x-cos-hash-crc64ecma": str(crc64(body)),
        "x-cos-request-id": REQUEST_ID,
        "Server": "tencent-cos",
        "Date": DATE,
    }
    known |= {name.replace("_", "-"): value for name, value in more.items()}
    return [{"name": name, "value": value} for name, value in known.items() if value]


def download(body: bytes, content: object, **more: Any) -> Entry:
    """A GET of an object; ``content`` as an exporter shows it."""
    headers = more.pop("headers", None)
    entry: Entry = {
        "startedDateTime": STARTED,
        "time": 20,
        "request": {
            "method": "GET",
            "url": URL,
            "httpVersion": "HTTP/1.1",
            "headers": fields(Host=HOST),
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": answer_headers(body) if headers is None else headers,
            "content": content,
            "bodySize": -1,
        },
        "timings": {"send": 1, "wait": 2, "receive": 3},
    }
    return entry | more


def upload(body: bytes, posted: object, **more: Any) -> Entry:
    """A PUT of an object; ``posted`` as an exporter shows it, None: not at all."""
    entry = download(body, {"size": 0, "text": ""}, **more)
    entry["request"] |= {
        "method": "PUT",
        "headers": fields(
            Host=HOST,
            Content_Length=str(len(body)),
            Content_MD5=base64.b64encode(
                hashlib.md5(body, usedforsecurity=False).digest()
            ).decode(),
        ),
    }
    if posted is not None:
        entry["request"]["postData"] = posted
    headers = [each for each in answer_headers(body) if each["name"] != "Content-Length"]
    entry["response"]["headers"] = [*headers, {"name": "Content-Length", "value": "0"}]
    return entry


def text(body: bytes, **more: object) -> dict[str, object]:
    return {"size": len(body), "mimeType": "text/plain", "text": body.decode()} | more


def as_latin1(body: bytes, **more: object) -> dict[str, object]:
    return {"mimeType": "application/octet-stream", "text": body.decode("latin-1")} | more


def as_base64(body: bytes, **more: object) -> dict[str, object]:
    return {"size": len(body), "encoding": "base64", "text": base64.b64encode(body).decode()} | more


def har(entries: Iterable[object], creator: str = "WebInspector") -> bytes:
    log = {"version": "1.2", "creator": {"name": creator, "version": "1"}, "entries": [*entries]}
    return json.dumps({"log": log}).encode()


class Reading:
    """What a HAR gave: exchanges, notes, and what ended it."""

    def __init__(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self.remarks = InputRemarks(str(path))
        self.error: CaptureError | None = None
        self.exchanges: list[Exchange] = []
        self.others = 0
        stream = Stream(str(path))
        try:
            for saved in HarFile(stream, ()).saved(self.remarks):
                if saved.exchange is None:
                    self.others += 1
                else:
                    self.exchanges.append(saved.exchange)
        except CaptureError as error:
            self.error = error
        finally:
            stream.close()

    @property
    def notes(self) -> list[str]:
        """All that was said besides, losses too."""
        return self.remarks.faults + self.remarks.notes

    @property
    def reports(self) -> list[FlowReport]:
        found = [first_look(exchange) for exchange in self.exchanges]
        return [each.report for each in found if each is not None]


def outcomes(report: FlowReport, side: str) -> dict[str, str]:
    return {
        check.check: check.reason or check.status for check in report.checks if check.body == side
    }


def rules(report: FlowReport) -> list[str]:
    return [finding.rule for finding in report.findings]
