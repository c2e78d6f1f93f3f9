"""Who did what to a flow besides client and server: who answered it, and who ended it early."""

import logging
import re
from typing import Any

from mitmproxy import ctx, http, version
from mitmproxy.connection import ConnectionState

from cos_inspect.model.exchange import Actor, BrokeOff
from cos_inspect.proxy.other_addons import named, replacements, scripts_with
from cos_inspect.recording.actors import UNKNOWN, marked_answer
from cos_inspect.recording.break_off import KILLED, broken_off_by, refusal_of
from cos_inspect.recording.message_heads import AnswerHead, first_value

logger = logging.getLogger(__name__)

_MULTIPLEXED = (b"h2", b"h3")
_OF_A_STREAM = "stream "
_MOST_LAYERS = 10_000


def answered_by(flow: http.HTTPFlow, *, is_late: bool = False) -> str | None:
    """Which option, or who else, answered in the server's place; None where the server did.
    To be asked as soon as there is an answer: of one that an addon made the end is known
    already, of a server's it is still to come. ``is_late``: that moment has passed."""
    response = flow.response
    if response is None:
        return None
    if is_late or not flow.live or flow.is_replay == "response":
        return _marked(flow, response)
    if response.timestamp_end is None:
        return None
    return _marked(flow, response) or _who_answered(flow, response)


@named
def _who_answered(flow: http.HTTPFlow, response: http.Response) -> str:
    if _maps_local(flow, response):
        return "map_local"
    return scripts_with("requestheaders", "request") or UNKNOWN


def _maps_local(flow: http.HTTPFlow, response: http.Response) -> bool:
    """A file, or the bare 404 where there is none."""
    if first_value(response.headers.fields, b"server") != version.MITMPROXY.encode() and (
        response.status_code != 404 or response.raw_content
    ):
        return False
    url = flow.request.pretty_url
    return any(re.search(spec.regex, url) for spec in replacements("maplocal"))


def _marked(flow: http.HTTPFlow, response: http.Response) -> str | None:
    """The same by the marks that mitmproxy leaves."""
    data = response.data
    answer = AnswerHead(data.headers.fields, data.status_code, data.reason, data.http_version)
    return marked_answer(
        answer,
        blocked=flow.metadata.get("blocklisted") is True,
        replay=flow.is_replay,
        saved=not flow.live,
    )


def broke_off(flow: http.HTTPFlow, *, announced: int | None) -> BrokeOff | None:
    """Who ended a flow that has an error; None where nobody can tell. To be asked in the hook
    that tells the error.

    :param announced: Content-Length of the request.
    """
    if flow.error is None:
        return None
    said = flow.error.msg or ""
    by = broken_off_by(
        said,
        request_whole=flow.request.timestamp_end is not None,
        announced=announced,
        answered=flow.response is not None,
    )
    if by == "proxy":
        return BrokeOff(by=by, option=_killer(flow) if said == KILLED else _option(said))
    if said.startswith(_OF_A_STREAM):
        # Servers cancel streams as well, in the same words.
        by = _by_connections(flow, None) or by
    elif by is None or by == "server":
        by = _by_connections(flow, by)
    return None if by is None else BrokeOff(by=by)


def was_killed(flow: http.HTTPFlow) -> bool:
    """Whether a flow was killed on its way; one that was read from a file has no open client."""
    killed = flow.error is not None and flow.error.msg == KILLED
    return killed and flow.client_conn.state is not ConnectionState.CLOSED


def _option(said: str) -> str | None:
    found = refusal_of(said)
    return found[0] if found else None


def _killer(flow: http.HTTPFlow) -> str | None:
    if flow.metadata.get("blocklisted") is True:
        return "block_list"
    options = ctx.options
    if getattr(options, "server_replay_kill_extra", False) or (
        getattr(options, "server_replay_extra", "") == "kill"
    ):
        return "server_replay_extra"
    return scripts_with("requestheaders", "request", "responseheaders")


def _by_connections(flow: http.HTTPFlow, by_words: Actor | None) -> Actor | None:
    """mitmproxy closes the client's connection after this hook, so that one which is closed by
    now was closed by the client."""
    if not flow.client_conn.state & ConnectionState.CAN_READ:
        return "client"
    if by_words is not None:
        return by_words
    if flow.client_conn.alpn not in _MULTIPLEXED:
        return "server"
    if not flow.server_conn or flow.server_conn.alpn not in _MULTIPLEXED:
        # The words are those of a stream, and only the client's connection has streams.
        return "client"
    if flow.request.timestamp_end is None and not flow.request.stream:
        # What is kept whole has not met the server before its end.
        return "client"
    return _by_stream(flow)


def _by_stream(flow: http.HTTPFlow) -> Actor | None:
    """As mitmproxy's layers have it, where both sides have streams: a client's failure has made
    its side of the stream one that is not read any more, before the hook."""
    try:
        proxyserver = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
        handlers = proxyserver.connections.values()
        handler = next(each for each in handlers if each.client is flow.client_conn)
        stream = _stream_of(flow, handler.layer)
        if stream is None:
            return None
        state = getattr(stream.client_state, "__name__", "")
    except Exception:
        # Nothing of this is promised by mitmproxy.
        logger.debug("who broke off a stream cannot be told", exc_info=True)
        return None
    return "client" if state == "state_errored" else "server"


def _stream_of(flow: http.HTTPFlow, root: Any) -> Any:
    """The layer of a flow, out of those that a connection is handled by."""
    layers, known = [root], {id(root)}
    while layers:
        layer = layers.pop()
        if getattr(layer, "flow", None) is flow:
            return layer
        streams = getattr(layer, "streams", None)
        inner = list(streams.values()) if isinstance(streams, dict) else []
        inner += [getattr(layer, name, None) for name in ("layer", "child_layer")]
        # Layers that have nothing more to say hand over to the next one.
        inner.append(getattr(getattr(layer, "_handle_event", None), "__self__", None))
        for each in inner:
            if each is not None and id(each) not in known and len(known) < _MOST_LAYERS:
                known.add(id(each))
                layers.append(each)
    return None
