"""mitmproxy's flow files to exchanges, by the same steps that a flow takes live."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from mitmproxy import connection, http, version
from mitmproxy.flow import Error
from mitmproxy.io import compat

from cos_inspect.captures.blob import Blob
from cos_inspect.captures.captured_flow import CapturedFlow, Marks, Remarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream
from cos_inspect.captures.tnetstring import (
    BadFlowError,
    FlowBytes,
    State,
    read_connection,
    read_state,
)
from cos_inspect.digests import crc64
from cos_inspect.model.exchange import known_moment
from cos_inspect.proxy import annotations
from cos_inspect.proxy.flow_recorder import FlowRecorder
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.flows import place_of


class FlowFile:
    """Reads one file, or a run of whole flows of it."""

    def __init__(self, stream: Stream, hosts: Sequence[str], end: int | None = None) -> None:
        self._stream = stream
        self._hosts = hosts
        self._end = end

    def saved(self, remarks: Remarks) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        first = True
        found_all = FlowBytes(self._stream, self._end).flows()
        for number, (offset, data) in enumerate(found_all, start=1):
            self._stream.admit(number)
            try:
                if isinstance(data, BadFlowError):
                    raise data
                found = self._one(data, offset)
            except _TooNewError as error:
                if first:
                    raise CaptureError(self._stream.name, str(error), offset, loses=True) from None
                remarks.lose(str(error), offset)
            except Exception as error:
                # Anything may stand in a broken file; the next flow may be whole again.
                known = isinstance(error, BadFlowError)
                what = str(error) if known else f"a flow that cannot be read ({error!r:.200})"
                remarks.lose(what, offset)
            else:
                if found is not None:
                    yield found
            first = False

    def _one(self, data: bytes | State, offset: int) -> CapturedFlow | None:
        flow = _flow_of(data)
        if flow is None:
            return None
        if not flow.id:
            place = f"{self._stream.name}:{offset}".encode("utf-8", "surrogateescape")
            flow.id = str(UUID(bytes=blake2b(place, digest_size=16).digest()))
        watch = FlowSnapshot(flow, self._hosts).watch()
        if watch is None:
            host = place_of(flow.request).host
            return CapturedFlow(flow_id=flow.id, exchange=None, offset=offset, host=host)
        answer = flow.response.raw_content if flow.response else None
        _feed_blobs(flow, watch)
        # Which flow opened the connection is known when all were read.
        exchange = watch.exchange(opened_connection=True)
        marks: Marks | None = None
        if answer and flow.response and flow.response.status_code == 206:
            marks = _marks_of(answer)
        elif watch.received.marks:
            marks = _left_marks(watch.marks)
        return CapturedFlow(
            flow_id=flow.id,
            exchange=exchange,
            offset=offset,
            judged=bool(annotations.saved(flow)),
            connection=flow.server_conn.id,
            marks=marks,
        )


_OTHER_TYPES = ("tcp", "udp", "dns", "websocket")
_WEBSOCKET = ("websocket", b"websocket")


class _TooNewError(Exception):
    """This mitmproxy is older than the one that wrote the flow."""


def _flow_of(data: bytes | State) -> http.HTTPFlow | None:
    """None for flows that are not HTTP."""
    state = read_state(data) if isinstance(data, bytes) else data
    if state.get("version") != version.FLOW_FORMAT_VERSION:
        if isinstance(data, bytes):
            state = read_state(data, whole=True)
        state = _migrated(state)
    kind = state.get("type")
    if kind in _OTHER_TYPES:
        return None
    if kind != "http":
        raise BadFlowError("a flow of an unknown type")
    return _http_flow(state)


def _migrated(state: State) -> State:
    """A flow of another version of mitmproxy in the form of this one."""
    made_by = state.get("version", state.get(b"version"))
    if made_by is None:
        raise BadFlowError("this is no flow")
    if isinstance(made_by, int) and made_by > version.FLOW_FORMAT_VERSION:
        raise _TooNewError(
            f"{version.MITMPROXY} cannot read the flow format version {made_by},"
            " please update mitmproxy"
        )
    if state.get("type", state.get(b"type")) in _WEBSOCKET:
        # Its handshake is a flow of its own, which mitmproxy gives out again in its place.
        return {"type": "websocket"}
    try:
        return compat.migrate_flow(state)
    except Exception as error:
        what = f"a flow of an older mitmproxy that cannot be read ({error!r:.200})"
        raise BadFlowError(what) from error


def _http_flow(state: State) -> http.HTTPFlow:
    """What ``Flow.from_state`` makes, as far as an exchange needs it. What is of the wrong
    type is unknown where a report can do without it."""
    client, server = _client(state.get("client_conn")), _server(state.get("server_conn"))
    flow = http.HTTPFlow(client, server)
    identity = state.get("id")
    flow.id = identity if isinstance(identity, str) else ""
    metadata = state.get("metadata")
    flow.metadata = metadata if isinstance(metadata, dict) else {}
    flow.is_replay = "request" if state.get("is_replay") == "request" else None
    error = state.get("error")
    if error:
        flow.error = _error(error)
    request = state.get("request")
    flow.request = _message(http.Request, http.RequestData, request, _REQUEST)
    data = flow.request.data
    if not data.port:
        data.port = 80 if data.scheme == b"http" else 443
    if not data.host and not data.authority and "host" not in data.headers:
        raise BadFlowError("a flow that does not say who was asked")
    answer = state.get("response")
    if answer is not None:
        flow.response = _message(http.Response, http.ResponseData, answer, _RESPONSE)
    return flow


def _error(state: object) -> Error:
    held = state if isinstance(state, dict) else {}
    message, moment = held.get("msg"), known_moment(held.get("timestamp"))
    return Error(message if isinstance(message, str) else "unknown", moment or 0.0)


def _host(value: object) -> str | None:
    """mitmproxy 6 and older saved the name's bytes."""
    if isinstance(value, bytes):
        try:
            return value.decode("idna")
        except UnicodeError:
            return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _port(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535
    return value if fits and isinstance(value, int) else 0


def _needed(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _optional(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else b""


def _status(value: object) -> int | None:
    return value if isinstance(value, int) and 100 <= value <= 999 else None


def _content(value: object) -> bytes | Blob | None:
    return value if isinstance(value, bytes | Blob) else None


def _headers(value: object) -> http.Headers | None:
    if not isinstance(value, list | tuple):
        return None
    for field in value:
        if not isinstance(field, list | tuple) or list(map(type, field)) != [bytes, bytes]:
            return None
    headers = http.Headers()
    headers.fields = tuple(map(tuple, value))
    return headers


_BOTH: dict[str, Callable[[object], object]] = {
    "http_version": _optional,
    "headers": _headers,
    "timestamp_start": known_moment,
    "timestamp_end": known_moment,
}
_REQUEST = _BOTH | {
    "host": _host,
    "port": _port,
    "method": _needed,
    "scheme": _needed,
    "authority": _optional,
    "path": _needed,
}
_RESPONSE = _BOTH | {"status_code": _status, "reason": _optional}
_MAY_BE_NONE = frozenset({"timestamp_start", "timestamp_end"})


def _message[M: (http.Request, http.Response)](
    kind: type[M],
    data_kind: type[http.RequestData | http.ResponseData],
    state: object,
    members: dict[str, Callable[[object], object]],
) -> M:
    """A message without mitmproxy's own checks, which take longer than all else here."""
    side = kind.__name__.lower()
    if not isinstance(state, dict):
        raise BadFlowError(f"a flow whose {side} is {'missing' if state is None else 'none'}")
    data = data_kind.__new__(data_kind)
    for name, read in members.items():
        value = read(state.get(name))
        if value is None and name not in _MAY_BE_NONE:
            raise BadFlowError(f"a flow whose {side} has no {name} that can be read")
        setattr(data, name, value)
    data.content = _content(state.get("content"))  # type: ignore[assignment]
    data.trailers = None
    message = kind.__new__(kind)
    message.data = data  # type: ignore[assignment]
    return message


@lru_cache(maxsize=256)
def _read_connection(data: bytes) -> State:
    return read_connection(data)


def _client(data: object) -> connection.Client:
    return connection.Client(peername=_peer(_connection(data)) or ("", 0), sockname=("", 0))


def _server(data: object) -> connection.Server:
    state = _connection(data)
    server = connection.Server(address=None)
    identity = state.get("id")
    server.id = identity if isinstance(identity, str) else server.id
    server.peername = _peer(state)
    server.timestamp_start = known_moment(state.get("timestamp_start"))
    server.timestamp_tcp_setup = known_moment(state.get("timestamp_tcp_setup"))
    server.timestamp_tls_setup = known_moment(state.get("timestamp_tls_setup"))
    return server


def _connection(data: object) -> State:
    if isinstance(data, bytes):
        return _read_connection(data)
    return data if isinstance(data, dict) else {}


def _peer(state: State) -> Any:
    """Address and port, where they are there."""
    peer = state.get("peername")
    known = isinstance(peer, list | tuple) and bool(peer) and isinstance(peer[0], str)
    return tuple(peer) if known and isinstance(peer, list | tuple) else None


def _feed_blobs(flow: http.HTTPFlow, watch: FlowRecorder) -> None:
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


def _left_marks(left: Sequence[tuple[int, int]]) -> Marks:
    """Of a streamed body, those that were asked for when it passed."""
    return lambda offsets: [mark for mark in left if mark[0] in offsets]


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
