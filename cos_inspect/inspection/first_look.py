"""From an exchange to its report: the one function that live traffic and captures share."""

from collections.abc import Mapping, Sequence

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange, Recognised, read_exchange
from cos_inspect.cos.secret_names import is_secret
from cos_inspect.inspection.clean_shapes import SHAPES
from cos_inspect.inspection.echo_traces import traces_of
from cos_inspect.inspection.flow_report_of import flow_report_of, verdict_of
from cos_inspect.inspection.plain_success import masked_at_once
from cos_inspect.inspection.redacted_report import mask_report
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.second_look import Revision, revised
from cos_inspect.inspection.shape_names import shaped
from cos_inspect.inspection.ticket import ticket_line
from cos_inspect.model.exchange import EchoTrace, Exchange
from cos_inspect.model.flow_report import (
    Finding,
    FlowReport,
)
from cos_inspect.rules.checks import run_checks
from cos_inspect.rules.multipart import multipart_part_invalid
from cos_inspect.rules.pace import slow_alone
from cos_inspect.rules.precondition import preconditions_of
from cos_inspect.rules.registry import PENDING_RULES, finders
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.observe import observe

_NO_KEYS: Mapping[str, str] = {}


class FirstLook(msgspec.Struct, frozen=True):
    """What one exchange of COS traffic shows alone, and what it tells of everything that
    several exchanges say together."""

    cos: CosExchange
    report: FlowReport
    """Free of secrets when ``redact`` was asked for."""
    seen: Observation
    pending: tuple[PendingFinding, ...] = ()
    repeated: Mapping[str, str] = {}
    """What its report has of secrets that are named elsewhere, as it stands there, and the mask
    of each."""

    @property
    def traces(self) -> tuple[EchoTrace, ...]:
        """What is left on a flow of the secrets that it repeats, so that they are found again
        when it names them no more."""
        return traces_of(self.repeated, self.cos.exchange.flow_id)


def first_look(
    exchange: Exchange,
    *,
    recognised: Recognised | None = None,
    hosts: Sequence[str] = (),
    ignore: frozenset[str] = frozenset(),
    redact: bool = True,
    keys: Mapping[str, str] = _NO_KEYS,
) -> FirstLook | None:
    """Reads, checks and judges one finished exchange; None when it is not COS traffic.

    ``recognised`` is what the request's head said, where it was read before; ``hosts`` are
    shell-style patterns of further COS hosts, ``ignore`` rule ids to leave out, ``keys``
    SecretKeys by SecretId to recompute signatures with (they are not kept).
    """
    like = None
    if recognised is not None and redact and not keys:
        like = shaped(exchange, recognised, hosts, ignore)
        judged = None if like is None else SHAPES.judge(like, exchange, recognised)
        if judged is not None:
            return FirstLook(*judged)
    cos = read_exchange(exchange, hosts, recognised=recognised, keys=keys)
    if cos is None:
        return None
    checks = run_checks(cos)
    seen = observe(cos)
    findings: list[Finding] = []
    pending: tuple[PendingFinding, ...] = ()
    # What the proxy answered or ended itself says nothing of COS.
    if not seen.stopped and not exchange.ended_by_proxy:
        preconditions = preconditions_of(cos, checks)
        for find in finders(preconditions, ignore):
            findings += find(cos, checks)
        of_transfer = (*multipart_part_invalid(seen), *slow_alone(seen))
        findings += [finding for finding in of_transfer if finding.rule not in ignore]
        if preconditions.trouble and preconditions.signature:
            pending = tuple(
                each
                for rule, find in PENDING_RULES
                if rule.id not in ignore
                for each in find(cos, checks)
            )
    report = flow_report_of(cos, checks, findings)
    ticket = None if exchange.stopped or exchange.ended_by_proxy else ticket_line(report)
    if ticket is not None:
        report = msgspec.structs.replace(report, ticket=ticket)
    if not redact:
        return FirstLook(cos, report, seen, pending)
    secrets = _secrets_beside(cos, keys)
    redactor = Redactor(secrets)
    _learn_unread(redactor, exchange)
    redactor.learn_echoes_in(exchange.echoes, report)
    masked = None if pending or redactor.knows else masked_at_once(report)
    report = mask_report(redactor, report) if masked is None else masked
    repeated = dict(redactor.repeated)
    if pending:
        pending = tuple([redactor.struct(each) for each in pending])
    echoes = redactor.echoes
    if echoes:
        seen = msgspec.structs.replace(seen, echoes=echoes)
    elif like is not None and recognised is not None and not pending:
        SHAPES.learn(like, (cos, report, seen), recognised, ignore)
    return FirstLook(cos, report, seen, pending, repeated)


def redactor_of(cos: CosExchange, keys: Mapping[str, str]) -> Redactor:
    """Knows the secrets of an exchange, to mask them in other texts about it."""
    redactor = Redactor(_secrets_beside(cos, keys))
    request, response = cos.request, cos.response
    redactor.learn_head(request.url, request.headers)
    for change in request.changes:
        for value in filter(None, (change.client, change.sent)):
            if change.name is None:
                redactor.learn_head(value, ())
            else:
                redactor.learn_head("", [(change.name, value)])
    if response is not None:
        redactor.learn_head("", response.headers)
    _learn_unread(redactor, cos.exchange)
    return redactor


def _learn_unread(redactor: Redactor, exchange: Exchange) -> None:
    redactor.learn_unread(exchange.request.headers)
    redactor.learn_unread_target(exchange.request.unread_target)
    if exchange.response is not None:
        redactor.learn_unread(exchange.response.headers)


def _secrets_beside(cos: CosExchange, keys: Mapping[str, str]) -> tuple[str, ...]:
    """Secrets of an exchange that do not stand in its report: those of a form, and the
    SecretKeys that are at hand."""
    values = tuple(keys.values())
    if cos.form is not None:
        values += tuple([value for name, value in cos.form if value and is_secret(name)])
    return values


def revise(alone: FlowReport, revision: Revision) -> FlowReport:
    """The report that an exchange alone gives, with what a second look says of it."""
    checks, findings = revised(alone.checks, alone.findings, revision)
    report = msgspec.structs.replace(
        alone,
        checks=checks,
        findings=findings,
        transfer=revision.transfer,
        verdict=verdict_of(findings),
    )
    if findings == alone.findings:
        return report
    # One that has none, since the proxy ended it, is none the wiser.
    told = ticket_line(report) if alone.ticket is not None or revision.findings else None
    return msgspec.structs.replace(report, ticket=told)
