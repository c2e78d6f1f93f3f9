"""Which COS host an IP address belongs to, by the answers of DNS that passed the proxy.

In modes by address (transparent, WireGuard, local) a connection that fails before its
ClientHello has no name; the question that the client asked before has.
"""

import collections
import ipaddress

from mitmproxy import dns
from mitmproxy.net.dns import types

_REMEMBERED = 4096
_ADDRESSES = frozenset({types.A, types.AAAA})


class ResolvedNames:
    """Of an address the name that was asked last."""

    def __init__(self) -> None:
        self._names: collections.OrderedDict[str, str] = collections.OrderedDict()

    def add(self, flow: dns.DNSFlow) -> None:
        """Takes an answer in."""
        response = flow.response
        question = flow.request.questions[0] if flow.request.questions else None
        if response is None or question is None:
            return
        name = question.name.lower().removesuffix(".")
        for record in response.answers:
            if record.type in _ADDRESSES:
                address = str(ipaddress.ip_address(record.data))
                self._names[address] = name
                self._names.move_to_end(address)
        while len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)

    def of(self, address: str | None) -> str:
        """Empty where it is not known."""
        return self._names.get(address or "", "")
