"""Inspection across exchanges: the same as one by one, and what they say together.

Pure, like the inspection of one exchange: no clock, no files. A later exchange
may change what is to be said of an earlier one; then that one's report comes
out again, whole and revised. Of retries with a corrected clock the first
failure is told as a notice, and the last try says what happened.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange, Recognised, read_exchange
from cos_inspect.exchange import Exchange
from cos_inspect.inspection import inspect, verdict_of
from cos_inspect.report.model import Finding, FlowReport
from cos_inspect.report.redaction import Redactor
from cos_inspect.report.summary import SessionSummary
from cos_inspect.rules.across import amended, say
from cos_inspect.transfer_summary import Ledger
from cos_inspect.transfers.observation import Observation, observe
from cos_inspect.transfers.tracker import Tracker

_NO_KEYS: Mapping[str, str] = {}
_REMEMBERED = 1024
"""Newest reports that can still be revised; some 20 KB each."""


class Inspected(msgspec.Struct, frozen=True):
    """What one more exchange brought."""

    cos: CosExchange
    report: FlowReport
    revised: list[FlowReport]
    """Reports of earlier flows that must be replaced."""


class _Recent(msgspec.Struct):
    alone: FlowReport
    """As the exchange alone gives it."""
    seen: Observation
    shown: FlowReport


class Session:
    """All traffic of one run, or of one capture.

    Sessions of several captures may be worked on side by side and joined with
    ``merge``. ``ignore`` are rule ids to leave out, ``keys`` SecretKeys by SecretId to
    recompute signatures with.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str] = (),
        ignore: frozenset[str] = frozenset(),
        redact: bool = True,
        keys: Mapping[str, str] = _NO_KEYS,
        tracker: Tracker | None = None,
        remembered: int = _REMEMBERED,
    ) -> None:
        self._hosts = hosts
        self._ignore = ignore
        self._redact = redact
        self._keys = keys
        self._token_ids: OrderedDict[str, None] = OrderedDict()
        """SecretIds that came with a token."""
        self._tracker = tracker or Tracker()
        self._remembered = remembered
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._ledger = Ledger()

    def inspect(
        self,
        exchange: Exchange,
        *,
        recognised: Recognised | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> Inspected | None:
        """Reads one finished exchange; None when it is not COS traffic.

        ``recognised`` is what the request's head said, where it was read before.
        ``marks`` are offsets in the answer's body, as ``boundaries`` asked for them, and
        the CRC-64 of the body up to each.
        """
        alone = inspect(
            exchange,
            recognised=recognised,
            hosts=self._hosts,
            ignore=self._ignore,
            redact=self._redact,
            keys=self._keys,
            token_ids=self._token_ids,
        )
        if alone is None:
            return None
        self._note_token(alone.cos)
        seen = observe(alone.cos)
        # What has no time has no place among others.
        touched = self._tracker.add(seen, marks) if seen.is_dated else set()
        recent = _Recent(alone.report, seen, alone.report)
        self._recent[seen.flow_id] = recent
        self._recent.move_to_end(seen.flow_id)
        if len(self._recent) > self._remembered:
            self._recent.popitem(last=False)
        self._revise(recent)
        touched.discard(seen.flow_id)
        revised = self._revise_all(touched) if touched else []
        self._close_old()
        return Inspected(alone.cos, recent.shown, revised)

    def _note_token(self, cos: CosExchange) -> None:
        secret_id = cos.signed.secret_id
        if secret_id and secret_id not in self._token_ids and cos.token_names:
            self._token_ids[secret_id] = None
            if len(self._token_ids) > _REMEMBERED:
                self._token_ids.popitem(last=False)

    def boundaries(self, exchange: Exchange) -> list[int]:
        """Offsets in the body of an answer at which a running CRC-64 is worth noting, so
        that it can be joined with earlier ranges which it overlaps. To be asked when the
        answer's headers have come; its body does not matter."""
        response = exchange.response
        if response is None or "content-range" not in response.headers:
            return []
        cos = read_exchange(exchange, self._hosts)
        return [] if cos is None else self._tracker.boundaries(observe(cos))

    def settle(self) -> list[FlowReport]:
        """At the end, before ``close``: reports that must be replaced."""
        self._tracker.settle()
        return self._revise_all(set(self._recent))

    def summary(self) -> SessionSummary:
        """What is known so far; takes time that grows with the open transfers."""
        return self._ledger.summary(self._tracker, self._clean, self._ignore, over=False)

    def close(self) -> SessionSummary:
        """The same when nothing more will come."""
        self._tracker.settle()
        return self._ledger.summary(self._tracker, self._clean, self._ignore, over=True)

    def merge(self, other: "Session") -> list[FlowReport]:
        """Joins what another session saw, which is to be used no more; the reports of
        either that must be replaced."""
        touched = self._tracker.merge(other._tracker)  # noqa: SLF001
        self._ledger.merge(other._ledger)  # noqa: SLF001
        for flow_id, recent in other._recent.items():  # noqa: SLF001
            self._recent.setdefault(flow_id, recent)
        revised = self._revise_all(touched | self._recent.keys())
        while len(self._recent) > self._remembered:
            self._recent.popitem(last=False)
        self._close_old()
        return revised

    def _revise_all(self, flow_ids: set[str]) -> list[FlowReport]:
        revised = []
        for flow_id in sorted(flow_ids & self._recent.keys()):
            recent = self._recent[flow_id]
            if self._revise(recent):
                revised.append(recent.shown)
        return revised

    def _revise(self, recent: _Recent) -> bool:
        """Whether the report says something else than it did."""
        alone = recent.alone
        said = say(self._tracker, recent.seen)
        if said.is_nothing and recent.shown is alone:
            return False
        said.findings = [self._clean(finding) for finding in said.findings]
        checks, findings = amended(alone.checks, alone.findings, said, self._ignore)
        shown = recent.shown
        if (checks, findings, said.transfer) == (shown.checks, shown.findings, shown.transfer):
            return False
        recent.shown = msgspec.structs.replace(
            alone,
            checks=checks,
            findings=findings,
            transfer=said.transfer,
            verdict=verdict_of(findings),
        )
        self._ledger.note(alone.flow_id, findings)
        return True

    def _clean(self, finding: Finding) -> Finding:
        if not self._redact:
            return finding
        redactor = Redactor()
        return msgspec.structs.replace(
            finding,
            detail=redactor.text(finding.detail),
            evidence=redactor.plain(finding.evidence),
        )

    def _close_old(self) -> None:
        self._ledger.close_early(self._tracker.take_closed(), self._clean, self._ignore)
