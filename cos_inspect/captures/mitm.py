"""mitmproxy's flow files to exchanges, by the same steps that a flow takes live."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import NoneType
from typing import Any

from mitmproxy import connection, http, version
from mitmproxy.flow import Error
from mitmproxy.io import compat

from cos_inspect.captures.blob import Blob
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.saved import Marks, Note, Saved
from cos_inspect.captures.source import Stream
from cos_inspect.captures.tnetstring import (
    BadFlowError,
    FlowBytes,
    State,
    read_connection,
    read_state,
)
from cos_inspect.digests import crc64
from cos_inspect.proxy import annotations
from cos_inspect.proxy.glance import Glance
from cos_inspect.proxy.watch import Watch

_REMEMBERED = 4096
"""Server connections that are remembered, to know the first flow on each."""


class FlowFile:
    """Reads one file, or a run of whole flows of it."""

    def __init__(self, stream: Stream, hosts: Sequence[str], end: int | None = None) -> None:
        self._stream = stream
        self._hosts = hosts
        self._end = end
        self.connections: dict[str, str] = {}
        """Server connections, and the first flow on each; the last ones."""

    def saved(self, note: Note) -> Iterator[Saved]:
        """:raises CaptureError: where the file is cut or broken, after what came before,
        and at the end when single flows in it could not be read."""
        broken: CaptureError | None = None
        name = self._stream.name
        for offset, data in FlowBytes(self._stream, self._end).flows():
            try:
                found = self._one(data)
            except _TooNewError as error:
                raise CaptureError(name, str(error), offset) from error
            except Exception as error:
                # Anything may stand in a broken file; the next flow may be whole again.
                what = str(error) if isinstance(error, BadFlowError) else "a flow is broken"
                damage = CaptureError(name, what, offset)
                broken = broken or damage
                if broken is not damage:
                    note(str(damage))
                continue
            if found is not None:
                yield found
        if broken is not None:
            raise broken

    def _one(self, data: bytes | State) -> Saved | None:
        flow = _flow_of(data)
        if flow is None:
            return None
        watch = Glance(flow, self._hosts).watch()
        if watch is None:
            return Saved(flow.id, None)
        answer = flow.response.raw_content if flow.response else None
        _feed_blobs(flow, watch)
        exchange = watch.exchange(opened_connection=self._opens(flow))
        marks: Marks | None = None
        if answer and flow.response and flow.response.status_code == 206:
            marks = _marks_of(answer)
        return Saved(flow.id, exchange, bool(annotations.saved(flow)), marks)

    def _opens(self, flow: http.HTTPFlow) -> bool:
        known = self.connections
        identity = flow.server_conn.id
        if known.setdefault(identity, flow.id) != flow.id:
            return False
        if len(known) > _REMEMBERED:
            del known[next(iter(known))]
        return True


class _TooNewError(Exception):
    """This mitmproxy is older than the one that wrote the file."""


def _flow_of(data: bytes | State) -> http.HTTPFlow | None:
    """None for flows that are not HTTP."""
    state = read_state(data) if isinstance(data, bytes) else data
    if state.get("version") != version.FLOW_FORMAT_VERSION:
        if isinstance(data, bytes):
            state = read_state(data, whole=True)
        made_by = state.get("version", state.get(b"version"))
        if made_by is None:
            raise BadFlowError("this is no flow")
        try:
            state = compat.migrate_flow(state)
        except ValueError as error:
            if "cannot read files" in str(error):
                raise _TooNewError(str(error).removesuffix(".")) from error
            raise
    if state["type"] != "http":
        return None
    return _http_flow(state)


def _http_flow(state: State) -> http.HTTPFlow:
    """What ``Flow.from_state`` makes, as far as an exchange needs it."""
    client, server = _client(state["client_conn"]), _server(state["server_conn"])
    flow = http.HTTPFlow(client, server)
    flow.id = str(state["id"])
    metadata = state.get("metadata")
    flow.metadata = metadata if isinstance(metadata, dict) else {}
    error = state.get("error")
    if error:
        flow.error = Error(str(error["msg"]), float(error["timestamp"]))
    flow.request = _message(http.Request, http.RequestData, state["request"])
    if state.get("response"):
        flow.response = _message(http.Response, http.ResponseData, state["response"])
    return flow


_KINDS: dict[str, tuple[type, ...]] = {
    "host": (str,),
    "port": (int,),
    "method": (bytes,),
    "scheme": (bytes,),
    "authority": (bytes,),
    "path": (bytes,),
    "http_version": (bytes,),
    "status_code": (int,),
    "reason": (bytes,),
    "content": (bytes, Blob, NoneType),
    "timestamp_start": (float, int),
    "timestamp_end": (float, int, NoneType),
}
_REQUEST = ("host", "port", "method", "scheme", "authority", "path")
_RESPONSE = ("status_code", "reason")
_BOTH = ("http_version", "content", "timestamp_start", "timestamp_end")


def _message[M: (http.Request, http.Response)](
    kind: type[M], data_kind: type[http.RequestData | http.ResponseData], state: State
) -> M:
    """A message without mitmproxy's own checks, which take longer than all else here."""
    data = data_kind.__new__(data_kind)
    for name in (*(_REQUEST if kind is http.Request else _RESPONSE), *_BOTH):
        value = state[name]
        if not isinstance(value, _KINDS[name]):
            raise BadFlowError(f"a flow whose {name} is of the wrong type")
        setattr(data, name, value)
    fields = [(name, value) for name, value in state["headers"]]
    if not all(isinstance(name, bytes) and isinstance(value, bytes) for name, value in fields):
        raise BadFlowError("a flow whose headers are of the wrong type")
    data.headers = http.Headers()
    data.headers.fields = tuple(fields)
    data.trailers = None
    message = kind.__new__(kind)
    message.data = data  # type: ignore[assignment]
    return message


@lru_cache(maxsize=256)
def _read_connection(data: bytes) -> State:
    return read_connection(data)


def _client(data: bytes | State | None) -> connection.Client:
    return connection.Client(peername=_peer(_connection(data)) or ("", 0), sockname=("", 0))


def _server(data: bytes | State | None) -> connection.Server:
    state = _connection(data)
    server = connection.Server(address=None)
    server.id = state.get("id") or server.id
    server.peername = _peer(state)
    server.timestamp_start = state.get("timestamp_start")
    server.timestamp_tcp_setup = state.get("timestamp_tcp_setup")
    server.timestamp_tls_setup = state.get("timestamp_tls_setup")
    return server


def _connection(data: bytes | State | None) -> State:
    if isinstance(data, bytes):
        return _read_connection(data)
    return data or {}


def _peer(state: State) -> Any:
    peer = state.get("peername")
    return tuple(peer) if peer else None


def _feed_blobs(flow: http.HTTPFlow, watch: Watch) -> None:
    """Bodies too large for memory take the way of a streamed one."""
    for message, tap in ((flow.request, watch.tap_request), (flow.response, watch.tap_response)):
        content: object = message.raw_content if message else None
        if message is None or not isinstance(content, Blob):
            continue
        message.raw_content = None
        message.stream = True
        tap()
        if callable(message.stream):
            for chunk in content.chunks():
                message.stream(chunk)
            message.stream(b"")


def _marks_of(answer: bytes | Blob) -> Marks:
    def marks(offsets: Sequence[int]) -> list[tuple[int, int]]:
        wanted = sorted(set(offsets))
        found: list[tuple[int, int]] = []
        at = running = 0
        for chunk in answer.chunks() if isinstance(answer, Blob) else (answer,):
            begin = 0
            while wanted and wanted[0] <= at + len(chunk):
                stop = wanted.pop(0) - at
                running = crc64(chunk[begin:stop], running)
                found.append((at + stop, running))
                begin = stop
            running = crc64(chunk[begin:], running)
            at += len(chunk)
        return found

    return marks
