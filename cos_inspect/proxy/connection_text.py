"""What the texts mean in which mitmproxy tells of handshakes and connections that failed."""

import re

from mitmproxy import http

from cos_inspect.rules.connection_cause import Failure, failure_of

_CERTIFICATE_ALERT = re.compile(r"alert [a-z ]{0,40}certificate|unknown ca")
_CERTIFICATE_IN_QUIC = re.compile(
    r"certificate|unknown.?ca\b|issuer|doesn't match|error \(0x1(?:2[a-e]|30)\)"
)
"""QUIC has no alerts: who closes gives a reason in words of its own, or only a number, 0x100 and
that of the alert (RFC 9001, section 4.8): 42 to 46 and 48 are about the certificate."""


def client_failure(text: str, *, hello: bool) -> Failure | None:
    """What mitmproxy's words mean; None where they say nothing of the certificate.
    ``hello``: the client's ClientHello was whole."""
    words = text.lower()
    if "disconnected during the handshake" in words:
        # Before its hello was whole the client has seen no certificate.
        return "client-closed-in-handshake" if hello else None
    if "closed early" in words:
        return None
    if "does not trust the proxy's certificate" in words or _CERTIFICATE_ALERT.search(words):
        return "client-refused-certificate"
    return "client-handshake"


def quic_failure(text: str, *, hello: bool) -> Failure | None:
    """The same of a client over QUIC."""
    words = text.lower()
    if _CERTIFICATE_IN_QUIC.search(words):
        return "client-refused-certificate"
    if words in ("", "connection closed", "idle timeout", "no_error"):
        return "client-closed-in-handshake" if hello else None
    return "client-handshake"


def connect_failure(text: str) -> Failure:
    """Why the proxy has no connection to the server."""
    failed = failure_of(text)
    if failed is not None:
        return failed
    return "upstream-timeout" if "timed out" in text.lower() else "upstream-connect"


def server_failure(text: str, *, is_quic: bool) -> Failure:
    """Why the handshake with the server failed."""
    unverified = failure_of(text) == "upstream-certificate" or (
        is_quic and _CERTIFICATE_IN_QUIC.search(text.lower()) is not None
    )
    return "upstream-certificate" if unverified else "upstream-tls"


def is_own_gateway_error(response: http.Response) -> bool:
    """Whether mitmproxy could not reach the server, and says so."""
    return response.status_code == 502 and (response.raw_content or b"").startswith(
        b"Cannot connect to "
    )
