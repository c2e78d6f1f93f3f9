"""Flow files of mitmproxy, made for tests and read."""

import io
from pathlib import Path
from typing import Any

from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.model.exchange import Exchange
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from tests.saved.hars import answer_headers

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


BODY = b"[Object Content]"


def cos_flow(body: bytes | None = BODY, method: str = "GET", **more: str) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    given = body or b""
    flow.request = http.Request.make(
        method,
        f"https://{HOST}/a/b.bin",
        given if method == "PUT" else b"",
        http.Headers(host=HOST, content_length=str(len(given) if method == "PUT" else 0)),
    )
    known = {each["name"]: each["value"] for each in answer_headers(given)} | more
    if method == "PUT":
        known["Content-Length"] = "0"
    flow.response = http.Response.make(200, b"" if method == "PUT" else given, known)
    flow.response.headers.clear()
    flow.response.headers.update(known)
    for message in (flow.request, flow.response):
        message.timestamp_start = 1605232800.0
        message.timestamp_end = 1605232800.5
    return flow


def saved_file(path: Path, *flows: Any) -> Path:
    with path.open("wb") as file:
        writer = FlowWriter(file)
        for flow in flows:
            writer.add(flow)
    return path


class Reading:
    def __init__(self, path: Path, begin: int = 0, end: int | None = None) -> None:
        self.remarks = InputRemarks(str(path))
        self.saved: list[CapturedFlow] = []
        self.error: CaptureError | None = None
        self.exchanges: list[Exchange] = []
        stream = Stream(str(path), begin=begin)
        try:
            for saved in FlowFile(stream, (), end).saved(self.remarks):
                self.saved.append(saved)
                if saved.exchange is not None:
                    self.exchanges.append(saved.exchange)
        except CaptureError as error:
            self.error = error
        finally:
            stream.close()


def expected(flow: http.HTTPFlow) -> Exchange:
    """By mitmproxy's reader and the hooks' way."""
    found = FlowSnapshot(flow, ()).read(opened_connection=True)
    assert found is not None
    return found.exchange


def whole_file() -> bytes:
    file = io.BytesIO()
    writer = FlowWriter(file)
    for _ in range(2):
        writer.add(cos_flow())
    return file.getvalue()


WHOLE = whole_file()
