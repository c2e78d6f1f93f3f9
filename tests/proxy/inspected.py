"""Flows of COS and an addon that has seen them, without a network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mitmproxy import http
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.proxy.inspector import CosInspect

HOST = b"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
SENT = 1795380445.0
"""When the request was sent, in seconds since the epoch; the request id names the same."""
SIGNATURE = "8f2d9a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f"
AUTHORIZATION = (
    "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1795380400;1795384000"
    f"&q-key-time=1795380400;1795384000&q-header-list=host&q-url-param-list=&q-signature={SIGNATURE}"
)


def cos_flow(
    *,
    content: bytes | None = b"[Object Content]",
    status: int = 200,
    content_type: bytes = b"text/plain",
    host: bytes = HOST,
) -> http.HTTPFlow:
    """A download. ``content`` is what the flow holds, the headers are those of
    ``[Object Content]``."""
    request = tutils.treq(
        method=b"GET",
        scheme=b"https",
        port=443,
        path=b"/a.txt",
        headers=http.Headers(((b"Host", host), (b"Authorization", AUTHORIZATION.encode()))),
        content=b"",
    )
    headers = [
        (b"Server", b"tencent-cos"),
        (b"Content-Type", content_type),
        (b"x-cos-request-id", b"NmIwMzU0ZGRfNjRiODJhMDlfZDkyY182MzlmNg=="),
    ]
    if status == 200:
        headers += [
            (b"ETag", b'"ee8de918d05640145b18f70f4c3aa602"'),
            (b"x-cos-hash-crc64ecma", b"16749565679157681890"),
        ]
    response = tutils.tresp(content=content, status_code=status, headers=http.Headers(headers))
    flow = tflow.tflow(req=request, resp=response)
    flow.live = False
    for message in (request, response):
        message.timestamp_start = message.timestamp_end = SENT
    return flow


@contextmanager
def inspected(*flows: http.HTTPFlow, **options: object) -> Iterator[CosInspect]:
    """An addon without a report directory, fed with flows as from a capture."""
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="", **options)
        for flow in flows:
            addon.requestheaders(flow)
            addon.request(flow)
            addon.responseheaders(flow)
            addon.response(flow)
        try:
            yield addon
        finally:
            # Its log handler would outlive its event loop.
            context.master._legacy_log_events.uninstall()


def reports_in(folder: Path) -> list[dict[str, object]]:
    """The reports of flows that were written there."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("flows/*.json"))]


def reported(folder: Path, *flows: http.HTTPFlow) -> list[dict[str, object]]:
    """The reports of flows that came to their end, and so did the proxy."""
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir=str(folder))
        for flow in flows:
            for hook in (addon.requestheaders, addon.request, addon.responseheaders):
                hook(flow)
            addon.response(flow)
            if flow.error:
                addon.error(flow)
        addon.done()
    return reports_in(folder)
