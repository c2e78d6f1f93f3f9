"""A flow as mitmproxy has saved it, as the flow that it was.

Of mitmproxy itself only the migrations of older versions are used.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from cos_inspect.captures.blob import Blob
from cos_inspect.captures.tnetstring import BadFlowError, State, read_connection, read_state
from cos_inspect.inspection.redaction import fault_text
from cos_inspect.model.exchange import Timing
from cos_inspect.model.moments import known_moment
from cos_inspect.recording.actors import Peers, marked_answer, peer_name
from cos_inspect.recording.break_off import broke_off_by_words
from cos_inspect.recording.flow_metadata import read_flow_metadata, saved_data
from cos_inspect.recording.message_heads import AnswerHead, Fields, RequestHead, announced_length
from cos_inspect.recording.recorded_flow import RecordedFlow, connection_times

_OTHER_TYPES = ("tcp", "udp", "dns", "websocket")
_WEBSOCKET = ("websocket", b"websocket")
_LONGEST_TEXT = 1000
"""Characters of what is said of a connection."""


class TooNewError(Exception):
    """This mitmproxy is older than the one that wrote the flow."""


def state_of(data: bytes | State) -> State | None:
    """A flow's state in the form of this version; None for flows that are not HTTP.

    :raises BadFlowError: it is no flow, or cannot be read.
    :raises TooNewError: a newer mitmproxy has written it.
    """
    state = read_state(data) if isinstance(data, bytes) else data
    if state.get("version") != _format_version():
        if isinstance(data, bytes):
            state = read_state(data, whole=True)
        state = _migrated(state)
    kind = state.get("type")
    if kind in _OTHER_TYPES:
        return None
    if kind != "http":
        raise BadFlowError("a flow of an unknown type")
    return state


@cache
def _format_version() -> int:
    """Of the flows that this mitmproxy writes. It is imported where a flow file is read, for
    what reads other formats must start without it."""
    from mitmproxy import version  # noqa: PLC0415

    return version.FLOW_FORMAT_VERSION


def _migrated(state: State) -> State:
    """A flow of another version of mitmproxy in the form of this one."""
    # The migrations take a second to import, and most files are of this version.
    from mitmproxy import version  # noqa: PLC0415
    from mitmproxy.io import compat  # noqa: PLC0415

    made_by = state.get("version", state.get(b"version"))
    if made_by is None or (b"version" in state and not _is_of_python_2(state[b"version"])):
        raise BadFlowError("this is no flow")
    if isinstance(made_by, int) and made_by > version.FLOW_FORMAT_VERSION:
        raise TooNewError(
            f"{version.MITMPROXY} cannot read the flow format version {made_by},"
            " please update mitmproxy"
        )
    if state.get("type", state.get(b"type")) in _WEBSOCKET:
        # Its handshake is a flow of its own, which mitmproxy gives out again in its place.
        return {"type": "websocket"}
    try:
        return compat.migrate_flow(state)
    except Exception as error:
        what = f"a flow of an older mitmproxy that cannot be read ({fault_text(error)})"
        raise BadFlowError(what) from error


def _is_of_python_2(version: object) -> bool:
    """Versions 0.11 to 0.19 alone had names in bytes. The migrations of later ones set a version
    under another name, and would find the one in bytes again and again."""
    return isinstance(version, list | tuple) and len(version) > 1 and version[0] == 0


def id_of(state: State) -> str | None:
    """A flow's id; None where it has none that is a text."""
    found = state.get("id")
    return found if isinstance(found, str) and found else None


def connection_id(state: State) -> str | None:
    """The id of the connection to the server, which flows may share."""
    return id_of(_connection(state.get("server_conn")))


def recorded_flow(state: State, flow_id: str) -> RecordedFlow:
    """The flow that a state is; what is of the wrong type is unknown where a report can do without
    it.

    :raises BadFlowError: where it cannot.
    """
    asked = _member(state.get("request"), "request", _REQUEST)
    head = _request_head(asked)
    answered = state.get("response")
    answer = None if answered is None else _member(answered, "response", _RESPONSE)
    fields = None if answer is None else answer["headers"]
    metadata = state.get("metadata")
    left = None
    if isinstance(metadata, dict):
        data = saved_data(metadata, asked["timestamp_start"])
        if data:
            left = read_flow_metadata(data, head, fields)
            head = left.received.request_head(head)
            fields = None if fields is None else left.received.answer_fields(fields)
    failure = state.get("error")
    error, failed = _error(failure) if failure else (None, None)
    client, server = _connection(state.get("client_conn")), _connection(state.get("server_conn"))
    # Which flow opened the connection is known when all were read.
    connect_ms, tls_ms = connection_times(
        server.get("timestamp_start"),
        server.get("timestamp_tcp_setup"),
        server.get("timestamp_tls_setup"),
    )
    replay = state.get("is_replay")
    blocked = isinstance(metadata, dict) and metadata.get("blocklisted") is True
    answer_head = None
    answered_by = None
    if answer is not None and fields is not None:
        made = answer["status_code"], answer["reason"], answer["http_version"]
        answer_head = AnswerHead(fields, *made)
        answered_by = marked_answer(answer_head, blocked=blocked, replay=replay, saved=True)
    return RecordedFlow(
        flow_id=flow_id,
        head=head,
        answer=answer_head,
        sent=asked["content"],
        received=None if answer is None else answer["content"],
        timing=Timing(
            request_start=asked["timestamp_start"],
            request_end=asked["timestamp_end"],
            response_start=None if answer is None else answer["timestamp_start"],
            response_end=None if answer is None else answer["timestamp_end"],
            failed=failed,
            connect_ms=connect_ms,
            tls_ms=tls_ms,
        ),
        error=error,
        client_address=_peer(client),
        server_address=_peer(server),
        upstream_proxy=_via(server),
        is_replay=replay == "request",
        answered_by=answered_by,
        broke_off=broke_off_by_words(
            error,
            request_whole=asked["timestamp_end"] is not None,
            announced=announced_length(head.fields) if error is not None else None,
            answered=answer is not None,
            blocked=blocked,
        ),
        peers=Peers(
            client=peer_name(client.get("peername")),
            server=peer_name(server.get("peername")),
            sni=_short_text(client.get("sni")),
            tls=_short_text(client.get("tls_version")),
            mode=_mode(client.get("proxy_mode")),
        ),
        metadata=metadata if isinstance(metadata, dict) else None,
        left=left,
    )


def _request_head(asked: dict[str, Any]) -> RequestHead:
    fields, authority, host = asked["headers"], asked["authority"], asked["host"]
    if not host and not authority and not any(name.lower() == b"host" for name, _ in fields):
        raise BadFlowError("a flow that does not say who was asked")
    return RequestHead(
        fields,
        asked["method"],
        asked["scheme"],
        authority,
        host,
        asked["port"] or (80 if asked["scheme"] == b"http" else 443),
        asked["path"],
        asked["http_version"],
    )


def _error(state: object) -> tuple[str, float | None]:
    """What mitmproxy said of a failure, and when it was."""
    held = state if isinstance(state, dict) else {}
    message = held.get("msg")
    return message if isinstance(message, str) else "unknown", known_moment(held.get("timestamp"))


def _short_text(value: object) -> str | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else None


def _mode(spec: object) -> str:
    """The kind of a proxy mode, as in ``reverse:https://example.com@8080``."""
    return re.split("[:@]", spec, maxsplit=1)[0] if isinstance(spec, str) else "regular"


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
    """Any number, as mitmproxy takes any."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _content(value: object) -> bytes | Blob | None:
    return value if isinstance(value, bytes | Blob) else None


def _headers(value: object) -> Fields | None:
    if not isinstance(value, list | tuple):
        return None
    for field in value:
        if not isinstance(field, list | tuple) or list(map(type, field)) != [bytes, bytes]:
            return None
    return tuple(map(tuple, value))


_BOTH: dict[str, Callable[[object], object]] = {
    "http_version": _optional,
    "headers": _headers,
    "timestamp_start": known_moment,
    "timestamp_end": known_moment,
    "content": _content,
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
_MAY_BE_NONE = frozenset({"timestamp_start", "timestamp_end", "content"})


def _member(
    state: object, side: str, members: dict[str, Callable[[object], object]]
) -> dict[str, Any]:
    """The members of a message, each of its type."""
    if not isinstance(state, dict):
        raise BadFlowError(f"a flow whose {side} is {'missing' if state is None else 'none'}")
    found: dict[str, Any] = {}
    for name, read in members.items():
        value = found[name] = read(state.get(name))
        if value is None and name not in _MAY_BE_NONE:
            raise BadFlowError(f"a flow whose {side} has no {name} that can be read")
    return found


@lru_cache(maxsize=256)
def _read_connection(data: bytes) -> State:
    return read_connection(data)


def _connection(data: object) -> State:
    if isinstance(data, bytes):
        return _read_connection(data)
    return data if isinstance(data, dict) else {}


def _peer(state: State) -> str | None:
    """The address, where it is there."""
    peer = state.get("peername")
    known = isinstance(peer, list | tuple) and bool(peer) and isinstance(peer[0], str)
    return peer[0] or None if known and isinstance(peer, list | tuple) else None


def _via(state: State) -> str | None:
    """Host and port of the upstream proxy; it is kept as scheme, and host and port."""
    via = state.get("via")
    place = via[1] if isinstance(via, list | tuple) and len(via) == 2 else None
    if not isinstance(place, list | tuple) or len(place) < 2 or not isinstance(place[0], str):
        return None
    return f"{place[0]}:{place[1]}"
