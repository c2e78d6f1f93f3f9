"""Where the IP packet begins in a frame, by the link type of its interface.

The numbers are those of https://www.tcpdump.org/linktypes.html.
"""

_ETHERNET, _NULL, _LOOP, _COOKED, _COOKED_2 = 1, 0, 108, 113, 276
_RAW = frozenset({12, 14, 101, 228, 229})
_PPP = frozenset({9, 50})
_PKTAP = frozenset({149, 258})
"""Apple's, of ``rvictl`` and of ``tcpdump -i pktap``: it names the link type of what follows."""
_IPV4, _IPV6, _PPPOE = 0x0800, 0x86DD, 0x8864
_VLAN = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_PPP_IP = frozenset({0x0021, 0x0057})
_NULL_FAMILIES = frozenset({2, 10, 24, 28, 30})
"""AF_INET, and AF_INET6 of Linux, BSD and macOS."""
_DEEPEST = 8

NOT_IP = -1
UNKNOWN_LINK = -2


def ip_offset(link: int, data: bytes) -> int:
    """Where the IP packet begins; ``NOT_IP`` where there is none, ``UNKNOWN_LINK`` for a link
    type that is not read."""
    if link == _ETHERNET:
        return _behind_type(data, 12)
    if link in _RAW:
        return 0 if data else NOT_IP
    if link == _COOKED:
        return _behind_type(data, 14)
    if link == _COOKED_2:
        return _cooked_2(data)
    if link in (_NULL, _LOOP):
        if len(data) < 4:
            return NOT_IP
        family = data[:4]
        either = {int.from_bytes(family, "little"), int.from_bytes(family, "big")}
        return 4 if either & _NULL_FAMILIES else NOT_IP
    if link in _PPP:
        return _ppp(data, 0)
    if link in _PKTAP:
        return _pktap(data)
    return UNKNOWN_LINK


def _behind_type(data: bytes, at: int) -> int:
    """Behind an Ethernet type at ``at``, and the VLAN tags that it may name."""
    for _ in range(_DEEPEST):
        if len(data) < at + 2:
            return NOT_IP
        kind = data[at] << 8 | data[at + 1]
        if kind in (_IPV4, _IPV6):
            return at + 2
        if kind == _PPPOE:
            return _ppp(data, at + 8)
        if kind not in _VLAN:
            return NOT_IP
        at += 4
    return NOT_IP


def _cooked_2(data: bytes) -> int:
    if len(data) < 20:
        return NOT_IP
    kind = data[0] << 8 | data[1]
    if kind in (_IPV4, _IPV6):
        return 20
    return _behind_type(data, 22) if kind in _VLAN else NOT_IP


def _ppp(data: bytes, at: int) -> int:
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    return at + 2 if int.from_bytes(data[at : at + 2], "big") in _PPP_IP else NOT_IP


def _pktap(data: bytes) -> int:
    length = int.from_bytes(data[:4], "little")
    link = int.from_bytes(data[8:12], "little")
    if length < 12 or length > len(data):
        return NOT_IP
    if link in _PKTAP:
        return UNKNOWN_LINK
    found = ip_offset(link, data[length:])
    return found if found < 0 else length + found
