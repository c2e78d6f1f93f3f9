"""Rules about failures: what COS answered, and when there was no answer."""

from collections.abc import Iterator, Sequence
from typing import Any

from cos_inspect.cos.cos_exchange import REDIRECTS, CosExchange
from cos_inspect.cos.error_table import ErrorExplanation
from cos_inspect.cos.misspelt_host import read_misspelt
from cos_inspect.cos.region import documented_regions
from cos_inspect.model.exchange import BodyEnd, Response
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.actors import (
    broke_off_evidence,
    changes_evidence,
    changes_words,
    left_words,
    sent_host,
)
from cos_inspect.rules.connection_cause import advice_for, cause_of, failure_in
from cos_inspect.rules.error_hints import Hint, hints
from cos_inspect.rules.integrity import ended_early
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.refusal import broken_by_proxy
from cos_inspect.rules.rule import Rule

ERROR_RESPONSE = Rule(
    id="error-response",
    group="error",
    severity=Severity.ERROR,
    title="COS answered with an error",
    when="COS answers with a status of 400 or more, or with an error and a redirect that leads"
    " nowhere; a warning for all but 5xx",
    cause="The error code and its message say what; see the flow's error for the meaning.",
    fix="Follow the advice for the error code.",
    example="GetObject 404 NoSuchKey",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    of_clock=True,
    of_failure=True,
)


def error_response(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    if response is None or not (cos.failed or _leads_nowhere(cos, response)):
        return
    status = response.status
    error = cos.error
    code = error.code if error else None
    message = error.message if error else None
    explanation = cos.explanation
    said = " ".join(part for part in (code, f"({message})" if message else None) if part)
    told = hints(cos)
    detail = f"{cos.operation.name} was answered {status} {said}".rstrip(" .") + "."
    if broken_by_proxy(cos):
        # The rule signature-broken-by-proxy knows the cause; the usual ones are none.
        told = (*told, Hint("This proxy broke the signature.", _OF_PROXY))
    yield ERROR_RESPONSE.finding(
        " ".join((detail, *_words(told, explanation))) + changes_words(cos),
        severity=Severity.ERROR if status >= 500 else Severity.WARNING,
        fix=_advice(told, explanation),
        status=status,
        code=code,
        message=message,
        **_evidence(told),
        **changes_evidence(cos),
    )


def _leads_nowhere(cos: CosExchange, response: Response) -> bool:
    """An error with the status of a redirect, and without the Location that clients follow."""
    return (
        response.status in REDIRECTS
        and cos.error is not None
        and cos.from_cos
        and not response.headers.get("location")
    )


def _words(told: Sequence[Hint], explanation: ErrorExplanation | None) -> Iterator[str]:
    """What the code means, what the request shows, and the usual causes where that is not
    the cause already."""
    if explanation:
        yield explanation.meaning
    for hint in told:
        yield hint.detail
    if explanation and explanation.cause and not any(hint.fix for hint in told):
        yield f"Likely: {explanation.cause}"


def _advice(told: Sequence[Hint], explanation: ErrorExplanation | None) -> str | None:
    """What helps against what the request shows, else against the code."""
    own = " ".join(hint.fix for hint in told if hint.fix)
    return own or (explanation.fix if explanation else None) or None


def _evidence(told: Sequence[Hint]) -> dict[str, Any]:
    return {name: value for hint in told for name, value in hint.evidence.items()}


_OF_PROXY = "Have the proxy leave alone what is signed: its options and scripts, or sign behind it."

ERROR_IN_SUCCESS = Rule(
    id="error-in-success",
    group="error",
    severity=Severity.ERROR,
    title="Status 200, but the body is an error",
    when="CompleteMultipartUpload or a copy is answered 200 with an <Error> body",
    cause="COS sends the status before the work is done; what fails later can only be told in"
    " the body.",
    fix="Treat it as a failure and repeat the request; clients must read the body of these"
    " operations.",
    example="CompleteMultipartUpload 200 with <Code>InternalError</Code>",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    of_failure=True,
)


def error_in_success(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if cos.status == 200 and cos.error is not None:
        explanation = cos.explanation
        told = hints(cos)
        shown = [explanation.meaning] if explanation else []
        shown += [hint.detail for hint in told]
        yield ERROR_IN_SUCCESS.finding(
            " ".join(
                (
                    f"{cos.operation.name} was answered 200 with {cos.error.code}"
                    f" ({cos.error.message or 'no message'}).",
                    *shown,
                )
            ),
            fix=_advice(told, explanation) if told else None,
            code=cos.error.code,
            message=cos.error.message,
            **_evidence(told),
        )


ERROR_BODY_MALFORMED = Rule(
    id="error-body-malformed",
    group="error",
    severity=Severity.WARNING,
    title="The error's body cannot be read",
    when="COS answers with an error whose body should be XML and is not",
    cause="The body was cut or rewritten on the way, or another layer answered with its own page.",
    fix="Look at the raw body and at who sent it; SDKs report such an answer as a server or"
    " client error without a code.",
    example="403 with <Error><Code>AccessDen",
    precondition=Precondition.TROUBLE,
)


def error_body_malformed(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    error = cos.error
    if (
        response is None
        or error is None
        or error.problem is None
        or not cos.failed
        or cos.request.method == "HEAD"
        or cos.endpoint.kind == "website"
        or cos.endpoint.family not in ("xml", "ci", "pic", "batch")
        or response.body.end is not BodyEnd.COMPLETE
        or not response.body.size
    ):
        return
    yield ERROR_BODY_MALFORMED.finding(
        f"The body of the answer {response.status} is not a readable error: {error.problem}.",
        problem=error.problem,
        content_type=response.headers.get("content-type"),
    )


CONNECTION_FAILED = Rule(
    id="connection-failed",
    group="error",
    severity=Severity.ERROR,
    title="There was no answer",
    when="the connection was refused, reset or timed out before the answer's headers were whole; a"
    " warning where the client itself gave up",
    cause="A network fault, a time-out of the client, a host name that does not resolve, or a"
    " server that closed.",
    fix="Look at the error's text and at how long it took; try the same host without the proxy.",
    example="PutObject, no response: server closed the connection",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    of_failure=True,
)


def connection_failed(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    if cos.response is not None or ended_early("request", cos.request.body, checks):
        return
    exchange = cos.exchange
    said = (exchange.error or "the flow ended").rstrip(". ")
    detail = f"{cos.operation.name} had no response: {said}."
    by_address = exchange.connection is not None and exchange.connection.by_address
    failed = None if exchange.broken_by_client else failure_in(exchange)
    if by_address and failed == "upstream-certificate":
        failed = "upstream-by-address"
    misspelt = read_misspelt(cos.request.host) if failed == "upstream-dns" else None
    fix: str | None = None
    if exchange.broken_by_client:
        detail, fix = f"{detail} {left_words(cos)}", _GAVE_UP
    elif misspelt is not None and cos.endpoint.kind != "legacy" and sent_host(cos) is None:
        detail += f" There is no host {cos.request.host}."
        fix = f"Use {misspelt.right}."
    elif failed == "upstream-dns" and (words := _of_known_host(cos)) is not None:
        detail, fix = f"{detail} {words}", advice_for(failed)
    elif failed is not None:
        detail, fix = f"{detail} {cause_of(failed)}{changes_words(cos)}", advice_for(failed)
    else:
        detail += changes_words(cos)
    yield CONNECTION_FAILED.finding(
        detail,
        severity=Severity.WARNING if exchange.broken_by_client else None,
        fix=fix,
        error=exchange.error,
        **_failure(failed, by_address=by_address),
        **broke_off_evidence(cos),
        **changes_evidence(cos),
    )


def _of_known_host(cos: CosExchange) -> str | None:
    """Of a host whose name cannot be resolved, though nothing is wrong with it."""
    endpoint = cos.endpoint
    if sent_host(cos) is not None or endpoint.region not in documented_regions():
        return None
    if endpoint.kind == "internal":
        return "The DNS of this machine does not know it: such hosts resolve inside Tencent Cloud."
    if endpoint.kind == "default" and endpoint.appid is not None:
        return (
            "The host is put together rightly, in a region that exists: look at the DNS, or the"
            " network, of the machine that looked it up."
        )
    return None


def _failure(failed: str | None, *, by_address: bool) -> dict[str, Any]:
    known: dict[str, Any] = {"failed": failed} if failed else {}
    return known | {"by_address": True} if by_address else known


_GAVE_UP = (
    "Nothing, where the client meant to cancel. Else see what took so long (the proxy, the network,"
    " COS), and what the client's time-outs are."
)
