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
    """Connections closed after the handshake that were not counted yet."""
    quick: int = 0
    """Those among them that were closed at once."""


class _Total(msgspec.Struct):
    trouble: ConnectionFailureSummary
    sentence: str
    count: int = 0
    logged: bool = False


_DOUBTFUL: tuple[Failure, ...] = ("client-closed-in-handshake", "client-closed-after-handshake")
_UNTRUSTED: tuple[Failure, ...] = ("client-refused-certificate", *_DOUBTFUL)
_Key = tuple[str, str | None, Failure]


def _key(failure: ConnectionFailure) -> _Key:
    return failure.host, failure.client, failure.failed


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

    def add(self, failure: ConnectionFailure) -> None:
        """Takes in any failure but a connection that was closed after its handshake."""
        doubtful = failure.failed in _DOUBTFUL
        trusted = doubtful and self._pair(failure.host, failure.client).trusts
        # Many clients give their password when they are asked for it.
        asked = failure.failed == "proxy-password" and _key(failure) not in self._totals
        findings = self._findings(failure, certain=not trusted)
        self._add(failure, 1, findings, quiet=trusted or asked)

    def add_flow(self, failure: ConnectionFailure) -> None:
        """Takes in one more flow that failed by what was counted already."""
        self._add(failure, 0, [], quiet=True)

    def passes_unread(self, failure: ConnectionFailure) -> None:
        """A connection that nobody reads; ``said`` is why, which is told once."""
        self._add(failure, 1, [], quiet=True)
        why = failure.said or ""
        if why not in self._reasons and not self._closed:
            self._reasons.add(why)
            logger.warning("COS hosts pass unread, because %s: %s", why, failure.host)

    def closed_unused(self, failure: ConnectionFailure, *, quickly: bool) -> None:
        """A connection whose handshake was finished and that carried no request."""
        pair = self._pair(failure.host, failure.client)
        if pair.trusts:
            return
        pair.unused += 1
        pair.quick += quickly
        if pair.quick < UNUSED_CONNECTIONS:
            return
        self._add(failure, pair.unused, self._findings(failure, certain=True))
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
            if total.logged:
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
            if total.trouble.failed == "proxy-password" and not total.logged:
                total.logged = True
                self._log(total.trouble, total.sentence)
        repeated = [total for total in self._totals.values() if total.logged and total.count > 1]
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

    def _advice(self, failure: ConnectionFailure) -> str | None:
        misspelt = self._misspelt(failure.host)
        if misspelt is not None and failure.failed.startswith("upstream-"):
            return f"The host is misspelt: use {misspelt.right}."
        return advice_for(failure.failed)

    def _pair(self, host: str, client: str | None) -> _Pair:
        key = (host, client)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = _Pair()
            if len(self._pairs) > _REMEMBERED:
                self._pairs.popitem(last=False)
        return pair

    def _findings(self, failure: ConnectionFailure, *, certain: bool) -> list[Finding]:
        failed, host, client = failure.failed, failure.host, failure.client
        if failure.refused_tunnel and CONNECTION_FAILED.id not in self.ignored:
            findings = [connection_failed(failed, host, client, said=failure.said)]
            misspelt = self._misspelt(host) if failed.startswith("upstream-") else None
            if misspelt is not None and ENDPOINT_MISTAKE.id not in self.ignored:
                findings.append(misspelt_host(host, misspelt))
            return findings
        if failed in _UNTRUSTED and certain and TLS_UNTRUSTED.id not in self.ignored:
            return [
                tls_untrusted(
                    failed, host, client, said=failure.said, user_agent=failure.user_agent
                )
            ]
        return []

    def _add(
        self,
        failure: ConnectionFailure,
        count: int,
        findings: list[Finding],
        *,
        quiet: bool = False,
    ) -> None:
        """``quiet``: no line of its own."""
        if self._closed:
            return
        trouble = ConnectionFailureSummary(
            host=failure.host,
            client=failure.client,
            failed=failure.failed,
            count=count,
            findings=findings,
            detail=failure.said,
            fix=self._advice(failure),
            flows=[] if failure.flow is None else [failure.flow],
        )
        self._report(trouble)
        key = _key(failure)
        total = self._totals.get(key)
        if total is None:
            sentence = sentence_of(failure.failed, failure.host, failure.client)
            total = self._totals[key] = _Total(trouble, sentence)
            if len(self._totals) > _REMEMBERED:
                _, oldest = self._totals.popitem(last=False)
                self._forgotten_errors += bool(oldest.trouble.findings)
        elif findings:
            total.trouble = trouble
        total.count += count
        silenced = failure.failed in _UNTRUSTED and not findings
        if not total.logged and not quiet and not silenced and failure.flow is None:
            total.logged = True
            self._log(trouble, total.sentence)

    def _log(self, trouble: ConnectionFailureSummary, sentence: str) -> None:
        advice: dict[str, str] = {}
        if not self._advised and any(item.rule == TLS_UNTRUSTED.id for item in trouble.findings):
            self._advised = True
            advice = platform_advice()
        # Never at level ERROR: while mitmdump starts, that ends it.
        logger.warning("%s%s", trouble_line(trouble, sentence), advice_lines(trouble.fix, advice))
