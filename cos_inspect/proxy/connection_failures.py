"""What connections without a flow say together: which of them are worth a finding.

An alert is one. A connection that is closed without a word may be a client
that pins, or one that changed its mind, so these count only where the client
never got a request through to that host, and are taken back when it does.
"""

import collections
import logging
from collections.abc import Callable

import msgspec

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.misspelt_host import MisspeltHost, read_misspelt
from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Finding
from cos_inspect.report.terminal import advice_lines, trouble_line
from cos_inspect.rules.addressing import ENDPOINT_MISTAKE, misspelt_host
from cos_inspect.rules.connection import (
    TLS_UNTRUSTED,
    connection_failed,
    platform_advice,
    sentence_of,
    tls_untrusted,
)
from cos_inspect.rules.connection_cause import Failure, advice_for
from cos_inspect.rules.error import CONNECTION_FAILED

logger = logging.getLogger(__name__)

UNUSED_CONNECTIONS = 2
"""Connections closed right after the handshake from which on the client is taken to pin."""
_REMEMBERED = 2048
_MOST_LINES = 20
"""Lines about repeated trouble at the end."""


class ConnectionFailure(msgspec.Struct, frozen=True, kw_only=True):
    """One connection that came to nothing."""

    host: str
    client: str | None
    failed: Failure
    said: str | None = None
    user_agent: str | None = None
    flow: str | None = None
    """Id of a flow whose report tells it already."""
    refused_tunnel: bool = False
    """The client was told 502 for its CONNECT."""


class _Pair(msgspec.Struct):
    """A client and a host."""

    trusts: bool = False
    unused: int = 0
    """Connections closed after the handshake that were not told yet."""
    quick: int = 0
    """Those among them that were closed at once."""


class _Total(msgspec.Struct):
    trouble: ConnectionFailureSummary
    sentence: str
    count: int = 0
    told: bool = False


_DOUBTFUL: tuple[Failure, ...] = ("client-closed-in-handshake", "client-closed-after-handshake")
_UNTRUSTED: tuple[Failure, ...] = ("client-refused-certificate", *_DOUBTFUL)
_Key = tuple[str, str | None, Failure]


def _key(sighting: ConnectionFailure) -> _Key:
    return sighting.host, sighting.client, sighting.failed


class ConnectionFailures:
    """Counts by host, client and failure; ``report`` gets what the summary has to add."""

    def __init__(self, report: Callable[[ConnectionFailureSummary], None]) -> None:
        self._report = report
        self._pairs: collections.OrderedDict[tuple[str, str | None], _Pair] = (
            collections.OrderedDict()
        )
        self._totals: collections.OrderedDict[_Key, _Total] = collections.OrderedDict()
        self._reasons: set[str] = set()
        """Why hosts pass unread, as far as it was told."""
        self._advised = False
        self._forgotten_errors = 0
        self._closed = False
        self.ignored: frozenset[str] = frozenset()
        """Ids of rules to leave out."""

    @property
    def has_errors(self) -> bool:
        """Whether a finding stands that was not taken back; all of them are errors."""
        return self._forgotten_errors > 0 or any(
            total.trouble.findings for total in self._totals.values()
        )

    def saw(self, sighting: ConnectionFailure) -> None:
        """Any trouble but a connection closed after its handshake."""
        doubtful = sighting.failed in _DOUBTFUL
        trusted = doubtful and self._pair(sighting.host, sighting.client).trusts
        # Many clients give their password when they are asked for it.
        asked = sighting.failed == "proxy-password" and _key(sighting) not in self._totals
        findings = self._findings(sighting, certain=not trusted)
        self._add(sighting, 1, findings, quiet=trusted or asked)

    def relates(self, sighting: ConnectionFailure) -> None:
        """One more flow that failed by trouble that was counted already."""
        self._add(sighting, 0, [], quiet=True)

    def passes_unread(self, sighting: ConnectionFailure) -> None:
        """A connection that nobody reads; ``said`` is why, which is told once."""
        self._add(sighting, 1, [], quiet=True)
        why = sighting.said or ""
        if why not in self._reasons and not self._closed:
            self._reasons.add(why)
            logger.warning("COS hosts pass unread, because %s: %s", why, sighting.host)

    def closed_unused(self, sighting: ConnectionFailure, *, quickly: bool) -> None:
        """A connection whose handshake was finished and that carried no request."""
        pair = self._pair(sighting.host, sighting.client)
        if pair.trusts:
            return
        pair.unused += 1
        pair.quick += quickly
        if pair.quick < UNUSED_CONNECTIONS:
            return
        self._add(sighting, pair.unused, self._findings(sighting, certain=True))
        pair.unused = 0

    def requested(self, host: str, client: str | None) -> None:
        """A request came through TLS: this client trusts the proxy for this host."""
        pair = self._pair(host, client)
        pair.trusts = True
        pair.unused = pair.quick = 0
        if self._closed:
            return
        for failed in (*_DOUBTFUL, "proxy-password"):
            total = self._totals.pop((host, client, failed), None)
            if total is None:
                continue
            self._report(
                msgspec.structs.replace(total.trouble, count=-total.count, findings=[], flows=[])
            )
            if total.told:
                logger.info("COS connection: %s works for %s now", host, client)

    def finish(self) -> None:
        """Tells what was held back in doubt, and how often the rest happened; nothing is
        told after it."""
        for (host, client), pair in self._pairs.items():
            if pair.unused:
                held = ConnectionFailure(
                    host=host, client=client, failed="client-closed-after-handshake"
                )
                self._add(held, pair.unused, [], quiet=True)
                pair.unused = 0
        for total in self._totals.values():
            if total.trouble.failed == "proxy-password" and not total.told:
                total.told = True
                self._tell(total.trouble, total.sentence)
        repeated = [total for total in self._totals.values() if total.told and total.count > 1]
        for total in repeated[:_MOST_LINES]:
            line = trouble_line(total.trouble, total.sentence)
            logger.warning("%s (%d times in all)", line, total.count)
        if len(repeated) > _MOST_LINES:
            logger.warning("COS connections: %d more kinds", len(repeated) - _MOST_LINES)
        self._closed = True

    @staticmethod
    def _misspelt(host: str) -> MisspeltHost | None:
        endpoint = read_endpoint(host, "/")
        return read_misspelt(host) if endpoint is not None and endpoint.is_misspelt else None

    def _advice(self, sighting: ConnectionFailure) -> str | None:
        misspelt = self._misspelt(sighting.host)
        if misspelt is not None and sighting.failed.startswith("upstream-"):
            return f"The host is misspelt: use {misspelt.right}."
        return advice_for(sighting.failed)

    def _pair(self, host: str, client: str | None) -> _Pair:
        key = (host, client)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = _Pair()
            if len(self._pairs) > _REMEMBERED:
                self._pairs.popitem(last=False)
        return pair

    def _findings(self, sighting: ConnectionFailure, *, certain: bool) -> list[Finding]:
        failed, host, client = sighting.failed, sighting.host, sighting.client
        if sighting.refused_tunnel and CONNECTION_FAILED.id not in self.ignored:
            findings = [connection_failed(failed, host, client, said=sighting.said)]
            misspelt = self._misspelt(host) if failed.startswith("upstream-") else None
            if misspelt is not None and ENDPOINT_MISTAKE.id not in self.ignored:
                findings.append(misspelt_host(host, misspelt))
            return findings
        if failed in _UNTRUSTED and certain and TLS_UNTRUSTED.id not in self.ignored:
            return [
                tls_untrusted(
                    failed, host, client, said=sighting.said, user_agent=sighting.user_agent
                )
            ]
        return []

    def _add(
        self,
        sighting: ConnectionFailure,
        count: int,
        findings: list[Finding],
        *,
        quiet: bool = False,
    ) -> None:
        """``quiet``: no line of its own."""
        if self._closed:
            return
        trouble = ConnectionFailureSummary(
            host=sighting.host,
            client=sighting.client,
            failed=sighting.failed,
            count=count,
            findings=findings,
            detail=sighting.said,
            fix=self._advice(sighting),
            flows=[] if sighting.flow is None else [sighting.flow],
        )
        self._report(trouble)
        key = _key(sighting)
        total = self._totals.get(key)
        if total is None:
            sentence = sentence_of(sighting.failed, sighting.host, sighting.client)
            total = self._totals[key] = _Total(trouble, sentence)
            if len(self._totals) > _REMEMBERED:
                _, oldest = self._totals.popitem(last=False)
                self._forgotten_errors += bool(oldest.trouble.findings)
        elif findings:
            total.trouble = trouble
        total.count += count
        silenced = sighting.failed in _UNTRUSTED and not findings
        if not total.told and not quiet and not silenced and sighting.flow is None:
            total.told = True
            self._tell(trouble, total.sentence)

    def _tell(self, trouble: ConnectionFailureSummary, sentence: str) -> None:
        advice: dict[str, str] = {}
        if not self._advised and any(item.rule == TLS_UNTRUSTED.id for item in trouble.findings):
            self._advised = True
            advice = platform_advice()
        # Never at level ERROR: while mitmdump starts, that ends it.
        logger.warning("%s%s", trouble_line(trouble, sentence), advice_lines(trouble.fix, advice))
