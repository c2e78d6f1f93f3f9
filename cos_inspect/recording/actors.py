"""Who answered a flow besides the server, and by what way the client came; of flows that are
live and of those that were saved."""

import ipaddress

import msgspec

from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import MAX_FIELDS
from cos_inspect.recording.message_heads import AnswerHead, RequestHead, headers_of

UNKNOWN = "another addon"
BARE = "map_local or a script"
"""Where nothing tells which."""
_REALM = 'realm="mitmproxy"'
"""Of mitmproxy's own demand for a password (``addons/proxyauth.py``)."""
_DEMANDS = {401: "www-authenticate", 407: "proxy-authenticate"}
_OWN_SERVER = "mitmproxy "
_ASKED_BY_NAME = frozenset({"regular", "upstream"})
"""Modes in which a client names the host to the proxy, and does so by an address only where it
looked the name up by itself."""
_ASKED_BY_ADDRESS = frozenset({"socks5", "transparent", "wireguard", "local"})


class Peers(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a flow's two connections."""

    client: str | None = None
    """Address and port."""
    server: str | None = None
    sni: str | None = None
    """The server name that the client gave."""
    tls: str | None = None
    """The client's version of TLS; None where it came without."""
    mode: str = "regular"
    """In which the proxy took the client, as mitmproxy names it."""


def peer_name(peer: object) -> str | None:
    """Address and port of a peer as mitmproxy has it; None where that is none."""
    if not isinstance(peer, list | tuple) or not peer or not isinstance(peer[0], str):
        return None
    if not peer[0]:
        return None
    host = f"[{peer[0]}]" if ":" in peer[0] else peer[0]
    port = peer[1] if len(peer) > 1 else None
    return f"{host}:{port}" if isinstance(port, int) else host


def is_by_address(peers: Peers, head: RequestHead, request: Request) -> bool:
    """Whether the client went to an IP address and the name of the host stands in Host alone,
    so that a proxy cannot verify whom it has reached. Head and request are those that the
    client sent."""
    if not is_address(head.host) or is_address(request.host):
        return False
    if peers.tls is None:
        return request.scheme == "http" and peers.mode in _ASKED_BY_NAME
    named = peers.sni is not None and not is_address(peers.sni)
    return not named and (peers.mode in _ASKED_BY_NAME or peers.mode in _ASKED_BY_ADDRESS)


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    if not host or not (host[-1].isdigit() or ":" in host):
        return False
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def marked_answer(answer: AnswerHead, *, blocked: bool, replay: object, saved: bool) -> str | None:
    """The option of mitmproxy, or another addon, that made an answer, by the marks that it
    leaves; None where there are none.

    :param blocked: the flow is marked as ``blocklisted``.
    :param replay: its ``is_replay``.
    :param saved: the flow was saved, so that nothing but its marks can be looked at.
    """
    if replay == "response":
        return "server_replay"
    # The mark stays on a flow that was sent again.
    if blocked and (replay is None or not saved):
        return "block_list"
    demand = _DEMANDS.get(answer.status)
    if demand is not None and _REALM in (headers_of(answer.fields).get(demand) or ""):
        return "proxyauth"
    if saved and any(
        name.lower() == b"server" and value.startswith(_OWN_SERVER.encode())
        for name, value in answer.fields[:MAX_FIELDS]
    ):
        return "map_local" if answer.status in (200, 404) else UNKNOWN
    return BARE if saved and _is_bare(answer) else None


def _is_bare(answer: AnswerHead) -> bool:
    """As ``http.Response.make(404)`` is, which map_local and scripts answer with: servers send a
    Date, or say who they are."""
    return (
        answer.status == 404
        and answer.reason == b"Not Found"
        and answer.http_version == b"HTTP/1.1"
        and [(name.lower(), value) for name, value in answer.fields] == [(b"content-length", b"0")]
    )
