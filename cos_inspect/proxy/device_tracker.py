"""What the proxy sees of client devices besides flows of COS: connections, DNS, ways around it."""

import time
from collections.abc import Callable

from mitmproxy import connection, http

from cos_inspect.cos.http_dns import http_dns_service
from cos_inspect.model.devices import DeviceTally
from cos_inspect.model.moments import utc_text


class DeviceTracker:
    """``report`` gets what came to be known. A device is named by its IP address."""

    def __init__(self, report: Callable[[DeviceTally], None]) -> None:
        self._report = report
        self._doubted: set[str] = set()

    def seen(self, client: connection.Client) -> None:
        """It sent something."""
        address = _address(client)
        if address is not None:
            tally = DeviceTally()
            tally.note(address, _now())
            self._report(tally)

    def other_flow(self, flow: http.HTTPFlow, host: str) -> None:
        """A flow that is not COS traffic."""
        address = _address(flow.client_conn)
        if address is None:
            return
        tally = DeviceTally()
        tally.add_other(address, utc_text(flow.request.timestamp_start) or "")
        service = http_dns_service(host)
        if service is not None:
            tally.suspect(address, "httpdns", f"it asked {service} ({host}) for addresses")
        self._report(tally)

    def resolved(self, client: connection.Client) -> None:
        """It asked for the address of a COS host."""
        address = _address(client)
        if address is not None:
            tally = DeviceTally()
            tally.add_resolved(address, _now())
            self._report(tally)

    def went_by_address(self, client: connection.Client) -> None:
        """Suspects HTTPDNS of the device."""
        address = _address(client)
        if address is not None:
            self._suspect(
                address, "httpdns", "a request went to an IP address, and named the host in Host"
            )

    def quic(self, address: str | None, host: str) -> None:
        """A QUIC connection to a COS host that came to nothing, or passed unread."""
        if address is not None:
            self._suspect(address, "quic", f"QUIC to {host} could not be read")

    def refused_other(self, client: connection.Client, host: str) -> None:
        """It refused the proxy's certificate for a host that is not known as one of COS."""
        address = _address(client)
        if address is not None:
            tally = DeviceTally()
            tally.add_refused_other(address, host)
            self._report(tally)

    def doubted(self, address: str | None, host: str) -> None:
        """It closed a connection right after its handshake."""
        if address is not None:
            self._doubted.add(address)
            self._tell_doubt(address, host)

    def trusted(self, address: str | None) -> None:
        """A request came through TLS."""
        if address is not None and address in self._doubted:
            self._doubted.discard(address)
            self._tell_doubt(address, None)

    def _tell_doubt(self, address: str, host: str | None) -> None:
        tally = DeviceTally()
        tally.doubt(address, host)
        self._report(tally)

    def _suspect(self, address: str, what: str, why: str) -> None:
        tally = DeviceTally()
        tally.suspect(address, what, why)
        self._report(tally)


def _address(client: connection.Client) -> str | None:
    return client.peername[0] if client.peername else None


def _now() -> str:
    return utc_text(time.time()) or ""
