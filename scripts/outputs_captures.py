"""Captures for ``scripts/outputs``: recorded from real clients, and made of those of the tests."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mitmproxy import http
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.flow import Error
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

from cos_inspect.model.exchange import Body, BodyEnd, Exchange
from cos_inspect.model.headers import Headers
from scripts.demo_traffic import Story
from tests.captures_reader import Capture, captures, read_capture
from tests.end_to_end.harness import Inspected
from tests.origin.server import Origin
from tests.saved.flow_files import cos_flow
from tests.saved.old_flows import VERSIONS, old_file

_SAVED = Path(__file__).resolve().parents[1] / "tests" / "saved"


def make_captures(folder: Path, *, record: bool) -> list[str]:
    """Fills ``folder`` with captures; the patterns of hosts that they need. ``record`` adds
    what real clients send, which takes half a minute."""
    for path in (*(_SAVED / "captures").iterdir(), *_SAVED.glob("*.har")):
        shutil.copy(path, folder)
    corpus = [read_capture(path) for path in captures()]
    flows = [_flow(capture) for capture in corpus]
    _save(folder / "corpus.mitm", flows)
    (folder / "corpus.har").write_text(json.dumps(SaveHar().make_har(flows)))
    (folder / "versions.mitm").write_bytes(b"".join(_of_all_versions()))
    if record:
        _record(folder / "recorded.mitm", folder)
    return sorted({host for capture in corpus for host in capture.hosts})


def _of_all_versions() -> Iterator[bytes]:
    for number, version in enumerate(VERSIONS):
        flow = cos_flow()
        flow.id = f"version-{number}"
        yield old_file(flow, version)


def _save(path: Path, flows: Sequence[http.HTTPFlow]) -> None:
    with path.open("wb") as file:
        writer = FlowWriter(file)  # type: ignore[no-untyped-call]
        for flow in flows:
            writer.add(flow)


def _flow(capture: Capture) -> http.HTTPFlow:
    """The capture as mitmproxy would have saved it."""
    exchange = capture.exchange
    sent, answered = capture.contents
    flow = tflow.tflow(resp=exchange.response is not None)
    flow.id = exchange.flow_id
    flow.timestamp_created = exchange.timing.request_start or 0.0
    flow.client_conn.id, flow.server_conn.id = f"client-{flow.id}", f"server-{flow.id}"
    request, timing = exchange.request, exchange.timing
    flow.request = http.Request(
        host=request.host,
        port=request.port,
        method=request.method.encode(),
        scheme=request.scheme.encode(),
        authority=b"",
        path=request.target.encode("utf-8", "surrogateescape"),
        http_version=request.http_version.encode(),
        headers=_headers(request.headers),
        content=_content(request.body, sent),
        trailers=None,
        timestamp_start=timing.request_start or 0.0,
        timestamp_end=_end(request.body, timing.request_end),
    )
    response = exchange.response
    if response is not None:
        flow.response = http.Response(
            http_version=response.http_version.encode(),
            status_code=response.status,
            reason=response.reason.encode(),
            headers=_headers(response.headers),
            content=_content(response.body, answered or b""),
            trailers=None,
            timestamp_start=timing.response_start or 0.0,
            timestamp_end=_end(response.body, timing.response_end),
        )
    flow.error = _error(exchange)
    return flow


def _error(exchange: Exchange) -> Error | None:
    if exchange.error is None:
        return None
    return Error(exchange.error, exchange.timing.response_end or exchange.timing.request_end or 0.0)


def _headers(headers: Headers) -> http.Headers:
    return http.Headers(
        [
            (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in headers.fields
        ]
    )


def _content(body: Body, content: bytes) -> bytes | None:
    return None if body.end in (BodyEnd.NOT_CAPTURED, BodyEnd.NOT_INSPECTED) else content


def _end(body: Body, moment: float | None) -> float | None:
    return None if body.end in (BodyEnd.CUT, BodyEnd.STOPPED) else moment


def _record(path: Path, folder: Path) -> None:
    """The traffic of ``scripts/demo``, as mitmdump saves it, streamed bodies and all."""
    work = folder.with_name("work")
    work.mkdir()
    with Origin() as origin, Inspected(origin, work, f"--save-stream-file={path}") as proxy:
        story = Story(origin, proxy, work)
        story.clean()
        story.damaged()
