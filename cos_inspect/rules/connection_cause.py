"""Why a connection came to nothing, by the text of its error."""

import re
from typing import Literal

from cos_inspect.cos.tables import rows
from cos_inspect.model.exchange import Exchange

Failure = Literal[
    "client-refused-certificate",
    "client-closed-in-handshake",
    "client-closed-after-handshake",
    "client-handshake",
    "upstream-dns",
    "upstream-refused",
    "upstream-timeout",
    "upstream-unreachable",
    "upstream-connect",
    "upstream-certificate",
    "upstream-by-address",
    "upstream-tls",
    "upstream-proxy",
    "passes-unread",
    "proxy-password",
    "proxy-refused",
]
"""The words of ``tables/connections.tsv``."""

# Texts of mitmproxy, of the operating systems, of browsers, of Node.js, Java, curl and iOS, and of
# other proxies; the first that is contained counts.
_TEXTS: tuple[tuple[Failure, tuple[str, ...]], ...] = (
    (
        "upstream-dns",
        (
            "name or service not known",
            "name resolution",
            "nodename nor servname",
            "getaddrinfo failed",
            "no address associated",
            "no such host",
            "err_name_not_resolved",
            "ns_error_unknown_host",
            "dns lookup failed",
            "unknownhostexception",
            "unknown host",
            "unable to resolve host",
            "could not resolve host",
            "name does not resolve",
            "specified hostname could not be found",
            "enotfound",
            "label empty or too long",
            "label too long",
            "idna",
        ),
    ),
    ("upstream-proxy", ("refused http connect request",)),
    (
        "upstream-certificate",
        (
            "certificate verify failed",
            "err_cert_",
            "self-signed certificate",
            "unable to get local issuer certificate",
            "unable to get issuer certificate",
            "certificate has expired",
            "hostname mismatch",
            "doesn't match",
        ),
    ),
    (
        "upstream-refused",
        (
            "err_connection_refused",
            "ns_error_connection_refused",
            "econnrefused",
            "connection refused",
        ),
    ),
    ("upstream-timeout", ("err_connection_timed_out", "etimedout")),
    (
        "upstream-unreachable",
        ("err_address_unreachable", "err_internet_disconnected", "enetunreach", "ehostunreach"),
    ),
)
_ERRNO = re.compile(r"\[(?:Errno|WinError) (\d{1,5})\]")
_BY_ERRNO: tuple[tuple[frozenset[str], Failure], ...] = (
    (frozenset({"111", "61", "10061", "1225"}), "upstream-refused"),
    (frozenset({"110", "60", "10060", "121"}), "upstream-timeout"),
    (frozenset({"101", "113", "51", "65", "10051", "10065"}), "upstream-unreachable"),
)


def failure_of(text: str) -> Failure | None:
    """What kept a connection to the server from being made; None where the text says nothing
    of that, as of one that broke later."""
    words = text.lower()
    for failed, parts in _TEXTS:
        if any(part in words for part in parts):
            return failed
    numbers = set(_ERRNO.findall(text))
    return next((failed for known, failed in _BY_ERRNO if numbers & known), None)


def failure_in(exchange: Exchange) -> Failure | None:
    """The same of an exchange that had no answer. Behind an upstream proxy this one connects
    to nothing else."""
    failed = failure_of(exchange.error or "")
    if exchange.upstream_proxy is not None and failed in _OF_CONNECTING:
        return "upstream-proxy"
    return failed


_OF_CONNECTING = frozenset(
    ("upstream-dns", "upstream-refused", "upstream-timeout", "upstream-unreachable")
)


def cause_of(failed: str) -> str:
    """What is usually behind it; empty for a word that the table does not have."""
    return next((row["cause"] for row in rows("connections") if row["failed"] == failed), "")


def advice_for(failed: str) -> str | None:
    """What to do about it."""
    return next((row["fix"] for row in rows("connections") if row["failed"] == failed), None)
