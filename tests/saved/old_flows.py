"""Flows as older versions of mitmproxy saved them: today's state, taken back step by step.

Each step undoes one of mitmproxy's migrations (``mitmproxy/io/compat.py``).
"""

import copy
from collections.abc import Callable
from typing import Any

from mitmproxy import http
from mitmproxy.io import tnetstring

State = dict[Any, Any]


def _connections(state: State) -> list[State]:
    return [state["client_conn"], state["server_conn"]]


def _from_21(state: State) -> None:
    pass


def _from_20(state: State) -> None:
    for conn in _connections(state):
        conn.setdefault("state", 0)


def _from_19(state: State) -> None:
    client, server = _connections(state)
    client["address"] = client.pop("peername")
    client["tls_extensions"] = None
    server["ip_address"] = server.pop("peername")
    server["source_address"] = server.pop("sockname")
    server["via2"] = server.pop("via", None)
    server["via"] = None
    for conn in (client, server):
        conn["cipher_name"] = conn.pop("cipher", None)
        conn["tls_established"] = conn["tls"]
        conn.pop("transport_protocol", None)


def _from_18(state: State) -> None:
    state["client_conn"].pop("proxy_mode", None)


def _from_17(state: State) -> None:
    state["mode"] = "regular"


def _from_16(state: State) -> None:
    state.pop("timestamp_created")


def _from_14(state: State) -> None:
    state.pop("comment")


def _from_13(state: State) -> None:
    state["marked"] = bool(state["marked"])


def _from_12(state: State) -> None:
    state.pop("websocket")


def _from_11(state: State) -> None:
    for conn in _connections(state):
        conn["alpn_proto_negotiated"] = conn.pop("alpn")
        conn["sni"] = None


def _from_10(state: State) -> None:
    client, server = _connections(state)
    client["clientcert"] = None
    server["cert"] = None
    server.pop("via2")
    for conn in (client, server):
        for name in ("state", "error", "tls", "alpn_offers", "cipher_list", "certificate_list"):
            conn.pop(name, None)


def _from_9(state: State) -> None:
    state.pop("is_replay")
    state["request"].pop("authority")
    state["request"]["first_line_format"] = "relative"
    state["request"]["host"] = state["request"]["host"].encode("idna")
    for side in ("request", "response"):
        state[side]["is_replay"] = False


def _from_8(state: State) -> None:
    for side in ("request", "response"):
        state[side].pop("trailers")


def _from_7(state: State) -> None:
    state["client_conn"].pop("tls_extensions")


def _from_6(state: State) -> None:
    for conn in _connections(state):
        conn["ssl_established"] = conn.pop("tls_established")
        conn["timestamp_ssl_setup"] = conn.pop("timestamp_tls_setup")


def _from_5(state: State) -> None:
    for conn in _connections(state):
        conn.pop("id")


def _from_3(state: State) -> None:
    state["client_conn"].pop("mitmcert", None)
    state["server_conn"].pop("tls_version", None)


def _from_2(state: State) -> None:
    for conn in _connections(state):
        for name in ("address", "source_address", "ip_address"):
            if conn.get(name):
                conn[name] = {"address": conn[name], "use_ipv6": False}


def _from_0_19(state: State) -> None:
    state.pop("mode")
    state.pop("metadata")
    client, server = _connections(state)
    server.pop("alpn_proto_negotiated")
    for name in ("sni", "alpn_proto_negotiated", "cipher_name", "tls_version"):
        client.pop(name, None)


def _from_0_18(state: State) -> None:
    state["server_conn"]["peer_address"] = state["server_conn"].pop("ip_address")
    state.pop("marked")


def _from_0_17(state: State) -> None:
    state["server_conn"].pop("peer_address")


def _from_0_16(state: State) -> None:
    for side in ("request", "response"):
        state[side]["body"] = state[side].pop("content")
    state["response"]["msg"] = state["response"].pop("reason")
    state["request"]["form_out"] = "relative"


def _from_0_14(state: State) -> None:
    state["request"]["form_in"] = state["request"].pop("first_line_format")
    state["request"]["content"] = state["request"].pop("body")
    state["response"]["content"] = state["response"].pop("body")
    state["response"]["code"] = state["response"].pop("status_code")
    for side in ("request", "response"):
        state[side].pop("http_version")
        state[side]["httpversion"] = [1, 1]
    state["server_conn"]["state"] = []
    state["server_conn"].pop("via")


_STEPS: list[tuple[Any, Callable[[State], None]]] = [
    (20, _from_21),
    (19, _from_20),
    (18, _from_19),
    (17, _from_18),
    (16, _from_17),
    (15, _from_16),
    (14, _from_21),
    (13, _from_14),
    (12, _from_13),
    (11, _from_12),
    (10, _from_11),
    (9, _from_10),
    (8, _from_9),
    (7, _from_8),
    (6, _from_7),
    (5, _from_6),
    (4, _from_5),
    ([3, 0, 0], _from_21),
    ([2, 0, 0], _from_3),
    ([1, 0, 0], _from_2),
    ([0, 19], _from_21),
    ([0, 18], _from_0_19),
    ([0, 17], _from_0_18),
    ([0, 16], _from_0_17),
    ([0, 15], _from_0_16),
    ([0, 14], _from_21),
    ([0, 13], _from_0_14),
    ([0, 12], _from_21),
    ([0, 11], _from_21),
]
VERSIONS = [version for version, _ in _STEPS]


def old_file(flow: http.HTTPFlow, version: Any) -> bytes:
    """The flow as that version of the format has it; before 0.18 all names are bytes."""
    state: State = copy.deepcopy(flow.get_state())
    for reached, step in _STEPS:
        step(state)
        state["version"] = reached
        if reached == version:
            break
    data = state if isinstance(version, int) or version >= [0, 18] else _as_bytes(state)
    return tnetstring.dumps(data)


def _as_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {_as_bytes(name): _as_bytes(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_as_bytes(held) for held in value]
    return value.encode() if isinstance(value, str) else value
