"""Rules about ids and who answered: what a support ticket will need."""

from collections.abc import Iterator, Sequence

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.headers import describe, issues
from cos_inspect.cos.misspelt_host import read_misspelt
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.actors import sent_elsewhere
from cos_inspect.rules.foreign_answers import read_foreign_answer
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.rule import Rule

_WITHOUT_TRACE_IDS = frozenset(("json-legacy", "fetch", "vectors"))
"""Families of operations whose errors are JSON and carry no trace id."""

TRACE_ID_MISSING = Rule(
    id="trace-id-missing",
    group="tracing",
    severity=Severity.WARNING,
    title="An error without a trace id",
    when="COS answers 4xx or 5xx with a trace id neither in x-cos-trace-id nor in the error's"
    " body; a notice where only the body has it, and for HEAD, which has no body",
    cause="Some front ends of COS leave the header out, or something on the way removed it.",
    fix="Quote the request id and the time in a support ticket instead.",
    example="GetObject 404 without x-cos-trace-id and without <TraceId> in its body",
    precondition=Precondition.TROUBLE,
)


def trace_id_missing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    if response is None or not cos.failed or cos.endpoint.family in _WITHOUT_TRACE_IDS:
        return
    if "trace-id" in cos.endpoint.lacks:
        return
    if response.headers.tells("x-cos-trace-id") or response.headers.tells("x-amz-trace-id"):
        return
    if cos.error is not None and cos.error.trace_id:
        yield TRACE_ID_MISSING.finding(
            "The trace id stands only in the error's body, not in x-cos-trace-id.",
            severity=Severity.NOTICE,
            fix="Quote the trace id of the body in a support ticket.",
            where="body",
        )
        return
    if cos.request.method == "HEAD":
        yield TRACE_ID_MISSING.finding(
            f"The answer {response.status} to HEAD has no x-cos-trace-id, and no body in which a"
            " trace id could stand.",
            severity=Severity.NOTICE,
            fix="Quote the request id and the time in a support ticket; the same request as GET is"
            " answered with the error's name and its trace id.",
            where=None,
        )
        return
    yield TRACE_ID_MISSING.finding(
        f"The answer {response.status} has no trace id, neither in x-cos-trace-id nor in its body.",
        where=None,
    )


TRACE_ID_ON_SUCCESS = Rule(
    id="trace-id-on-success",
    group="tracing",
    severity=Severity.NOTICE,
    title="A trace id on a success",
    when="x-cos-trace-id stands on a 2xx answer",
    cause="The documents promise the trace id for failures only; some bucket settings send it"
    " all the same.",
    fix="Nothing needs to be done.",
    example="DeleteBucketCORS 204 with x-cos-trace-id",
    reads_values=False,
)


def trace_id_on_success(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    if (
        response is not None
        and 200 <= response.status < 300
        and cos.error is None
        and "x-cos-trace-id" in response.headers
    ):
        yield TRACE_ID_ON_SUCCESS.finding(
            f"{cos.operation.name} succeeded with {response.status} and has a trace id."
        )


REQUEST_ID_MISSING = Rule(
    id="request-id-missing",
    group="tracing",
    severity=Severity.WARNING,
    title="An answer of COS without a request id",
    when="the answer bears marks of COS but has no x-cos-request-id (x-ci-request-id on CI"
    " hosts, x-amz-request-id for S3 clients)",
    cause="Something between COS and the client removed the header.",
    fix="Find what removes it; SDKs take its absence as a sign that the answer is not from COS"
    " and may switch to another host.",
    example="GetObject 200, Server: tencent-cos, no x-cos-request-id",
    reads_values=False,
)


def request_id_missing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    if response is None or not cos.from_cos or response.status < 200:
        return
    headers = response.headers
    if not any(
        headers.tells(name) for name in ("x-cos-request-id", "x-ci-request-id", "x-amz-request-id")
    ):
        if cos.endpoint.family == "json-legacy":
            return
        where = " (the error's body has one)" if cos.request_id else ""
        yield REQUEST_ID_MISSING.finding(
            f"The answer {response.status} has no request id in its headers{where}."
        )


REQUEST_ID_MISMATCH = Rule(
    id="request-id-mismatch",
    group="tracing",
    severity=Severity.WARNING,
    title="Header and error body name different ids",
    when="the request or trace id in the headers differs from the one in the error's body",
    cause="Headers and body belong to two answers: a cache or proxy mixed them.",
    fix="Quote both in a support ticket, and look at what is between the client and COS.",
    example="x-cos-request-id: NjBl… and <RequestId>NjQz…</RequestId> in one answer",
    precondition=Precondition.TROUBLE,
)


def request_id_mismatch(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if cos.response is None or cos.error is None:
        return
    headers = cos.response.headers
    pairs = (
        ("request id", ("x-cos-request-id", "x-amz-request-id"), cos.error.request_id),
        ("trace id", ("x-cos-trace-id", "x-amz-trace-id"), cos.error.trace_id),
    )
    for what, names, in_body in pairs:
        if not headers.unread.isdisjoint(names):
            continue
        in_header = next((headers.get(name) for name in names if headers.get(name)), None)
        if in_header and issues(describe(names[0], "response"), in_header):
            # What is no id at all is told as a malformed header, and is no other id.
            continue
        if in_header and in_body and in_header != in_body:
            yield REQUEST_ID_MISMATCH.finding(
                f"The header's {what} is {in_header}, the body's is {in_body}.",
                what=what,
                header=in_header,
                body=in_body,
            )


NOT_FROM_COS = Rule(
    id="not-from-cos",
    group="tracing",
    severity=Severity.WARNING,
    title="The answer bears no mark of COS",
    when="the answer for a host of COS has neither Server: tencent-cos nor any x-cos-… or x-ci-…"
    " header",
    cause="A captive portal, a filtering proxy, a carrier's page or a CDN's own error page"
    " answered in place of COS.",
    fix="Use https, leave the network that answers in COS's name, and look at the body and the"
    " Server header to see who it was.",
    example="GET http://…cos.ap-guangzhou.myqcloud.com/a.png, 302 to a log-in page",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    of_failure=True,
)

_OWN_HOSTS = frozenset(("default", "internal", "accelerate", "service", "website", "ci", "control"))
"""Kinds of endpoints that only COS itself answers for."""


def not_from_cos(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    if response is None or cos.from_cos or response.status < 200 or sent_elsewhere(cos):
        return
    if cos.endpoint.host_form == "custom":
        # Only the request looks like COS: another service may sign in the same way.
        return
    own = cos.endpoint.kind in _OWN_HOSTS and cos.endpoint.family in ("xml", "ci", "pic", "batch")
    if not own and response.status < 400:
        # A CDN or a custom domain may hide COS's headers from what it delivers.
        return
    if cos.endpoint.family in _WITHOUT_TRACE_IDS:
        return
    misspelt = read_misspelt(cos.request.host) if cos.endpoint.is_misspelt else None
    if misspelt is not None and response.status < 400:
        # It works for whoever uses it, so it may be a host that is not known here.
        return
    server = response.headers.get("server")
    found = read_foreign_answer(cos)
    detail = (
        f"{response.status} from {cos.request.host} has no header of COS"
        f" (Server: {server or 'absent'})."
    )
    yield NOT_FROM_COS.finding(
        detail if misspelt is not None else f"{detail} {found.words}".rstrip(),
        fix=f"Use {misspelt.right}." if misspelt is not None else found.fix,
        server=server,
        status=response.status,
        location=response.headers.get("location"),
        looks_like=found.kind,
        page_title=found.title,
    )
