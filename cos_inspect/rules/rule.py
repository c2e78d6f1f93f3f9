"""What a rule is: a record of text beside a function that finds it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.report.model import Check, Finding, Group, Severity


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

    def finding(
        self,
        detail: str,
        *,
        severity: Severity | None = None,
        fix: str | None = None,
        **evidence: Any,
    ) -> Finding:
        """A finding of this rule; ``evidence`` is plain data."""
        return Finding(
            rule=self.id,
            group=self.group,
            severity=severity or self.severity,
            title=self.title,
            detail=detail,
            fix=fix or self.fix,
            evidence=evidence,
        )


Finder = Callable[[CosExchange, Sequence[Check]], Iterator[Finding]]
"""Looks at one exchange and the checks made of it. Pure: no clock, no files, no options."""
