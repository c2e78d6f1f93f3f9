"""Who ended an exchange early, by the words of whoever recorded it.

mitmproxy (12.2 and 12.3, ``proxy/layers/http``) and browsers have words of their own; some of
mitmproxy's are the same for either side (``stream reset by client`` is said of servers as well),
so that a live proxy has to look at the connections besides.
"""

import re

from cos_inspect.model.exchange import Actor, BrokeOff

KILLED = "Connection killed."
"""mitmproxy's words where an addon, an option or a person killed a flow."""
_BY_PROXY: tuple[tuple[str, str, int], ...] = (
    ("Request body exceeds mitmproxy's body_size_limit", "body_size_limit", 413),
    ("Response body exceeds mitmproxy's body_size_limit", "body_size_limit", 502),
    (
        "from client, refusing to prevent request smuggling attacks",
        "validate_inbound_headers",
        400,
    ),
    (
        "from server, refusing to prevent request smuggling attacks",
        "validate_inbound_headers",
        502,
    ),
)
"""What its words hold, the option that makes it refuse, and the status that the client gets."""
_BY_CLIENT = (
    "client disconnected",
    "client closed connection",
    "net::err_aborted",
    "ns_binding_aborted",
    "aborted",
)
"""How its words, and those of browsers, begin, in lower case: recorders differ in that."""
_BODY = re.compile(
    r"peer closed connection without sending complete message body"
    r" \((?:received (\d{1,20}) bytes, expected (\d{1,20})|incomplete chunked read)\)"
)
_EITHER = ("peer closed connection", "HTTP/2 connection closed", "HTTP/2 protocol error", "stream ")
_CANCELLED = re.compile(r"stream (?:reset|closed) by client \((?:H3_REQUEST_)?CANCEL(?:LED)?\)")


def refusal_of(said: str | None) -> tuple[str, int] | None:
    """The option by which mitmproxy itself refused to pass a message on, and the status that
    the client was answered."""
    if said is None:
        return None
    return next(((option, status) for words, option, status in _BY_PROXY if words in said), None)


def broken_off_by(
    said: str, *, request_whole: bool, announced: int | None, answered: bool
) -> Actor | None:
    """None where the words fit client and server alike.

    :param request_whole: the end of the request had come.
    :param announced: Content-Length of the request.
    :param answered: the answer's headers had come.
    """
    if said == KILLED or refusal_of(said) is not None:
        return "proxy"
    if said.lower().startswith(_BY_CLIENT):
        return "client"
    found = _BODY.search(said)
    if found is not None:
        if request_whole:
            return "server"
        # The answer's body may be meant; then another length is expected.
        if not answered or (found[2] is not None and int(found[2]) == announced):
            return "client"
        return None if found[2] is None else "server"
    if said.startswith(_EITHER):
        return "client" if request_whole and _CANCELLED.search(said) else None
    return "server"


def broke_off_by_words(
    said: str | None, *, request_whole: bool, announced: int | None, answered: bool, blocked: bool
) -> BrokeOff | None:
    """The same of a flow that was saved. ``blocked``: it is marked as ``blocklisted``."""
    if said is None:
        return None
    by = broken_off_by(said, request_whole=request_whole, announced=announced, answered=answered)
    if by != "proxy":
        return None if by is None else BrokeOff(by=by)
    refusal = refusal_of(said)
    option = refusal[0] if refusal else "block_list" if blocked else None
    return BrokeOff(by=by, option=option)


def received_of(said: str | None) -> int | None:
    """How many bytes of a body had come, as mitmproxy says where it had not kept them."""
    found = _BODY.search(said or "")
    return int(found[1]) if found is not None and found[1] is not None else None
