"""What a rule is: a record of text beside a function that finds it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.model.flow_report import Check, CheckName, Finding, Group, Severity
from cos_inspect.rules.precondition import Precondition

JoinKey = Literal["transfer", "request", "object", "secret-id", "client-and-key", "connection"]
"""What exchanges have in common of which a rule says something together."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one rule. ``when`` says what provokes it, ``cause`` what is
    usually behind it, ``fix`` what to do, ``example`` how it looks."""

    id: str
    group: Group
    severity: Severity
    title: str
    when: str
    cause: str
    fix: str
    example: str
    precondition: Precondition = Precondition.ANY
    """Only then it is asked at all; of rules that one exchange alone decides."""
    checks: tuple[CheckName, ...] = ()
    """Checks whose mismatch it tells."""
    joins: tuple[JoinKey, ...] = ()
    """By what it joins exchanges; none where one exchange alone decides."""
    of_transfer: bool = False
    """Whether a finding on a flow counts for the transfer that the flow is part of, where no
    later try replaced the flow."""
    of_failure: bool = False
    """Whether it tells that a request failed, so that what others show of that goes with it."""
    of_clock: bool = False
    """Whether it is no more than a notice once the SDK has corrected its clock."""
    reads_values: bool = True
    """Whether it looks at times, ids, lengths, digests, the key or the signature. Of exchanges
    that differ in these alone (``inspection/clean_shapes.py``) one that does not is asked once:
    it says the same of all, or reads what none of them can have."""

    @property
    def said_once(self) -> bool:
        """Whether it stands on the earliest of the flows that one client sent with one key."""
        return "client-and-key" in self.joins

    def finding(
        self,
        detail: str,
        *,
        severity: Severity | None = None,
        title: str | None = None,
        fix: str | None = None,
        **evidence: Any,
    ) -> Finding:
        """A finding of this rule; ``evidence`` is plain data, ``title`` and ``fix`` are for
        where more is known than the rule's own words say."""
        return Finding(
            rule=self.id,
            group=self.group,
            severity=severity or self.severity,
            title=title or self.title,
            detail=detail,
            fix=fix or self.fix,
            evidence=evidence,
        )


class PendingFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that holds as soon as another flow shows something of the same SecretId."""

    shown: Literal["with-token", "accepted"]
    """That it came with a token, or that COS accepted a signature of it."""
    finding: Finding
    mutes: tuple[str, ...] = ()
    """Rules whose findings do not hold then."""


PendingFinder = Callable[[CosExchange, Sequence[Check]], Iterator[PendingFinding]]
Finder = Callable[[CosExchange, Sequence[Check]], Iterator[Finding]]
"""Looks at one exchange and the checks made of it. Pure: no clock, no files, no options."""
