"""Rules about leave to do things: keys on devices, policies, browsers, hosts, framing."""

from collections.abc import Iterator, Sequence

from cos_inspect.cos.clock import http_date, iso_date
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.post_policy import evaluate_policy
from cos_inspect.cos.token import looks_permanent
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.rule import Rule

PERMANENT_KEY_ON_DEVICE = Rule(
    id="permanent-key-on-device",
    group="access",
    severity=Severity.WARNING,
    title="A permanent key in the user's hands",
    when="a mobile or browser client signs by itself without a security token; not for desktop"
    " tools of the account's owner",
    cause="SecretId and SecretKey of an account were built into an app or a page, where anybody"
    " can read them.",
    fix="Give the device temporary keys of STS, or presigned URLs; disable the key that went out.",
    example="cos-android-sdk, q-ak=AKID… and no x-cos-security-token",
    joins=("client-and-key",),
    precondition=Precondition.SIGNATURE,
    reads_values=False,
)


def permanent_key_on_device(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    client = cos.client
    if (
        client is not None
        and client.mobile_or_browser
        # Whoever opens a URL or posts a form was given its signature.
        and cos.signed.place == "header"
        and cos.signed.scheme == "cos"
        and looks_permanent(cos.signed.secret_id)
        and not cos.token_names
    ):
        yield PERMANENT_KEY_ON_DEVICE.finding(
            f"{client.name} signs with SecretId {cos.signed.secret_id} and sends no token, so the"
            " key is a permanent one.",
            client=client.name,
            secret_id=cos.signed.secret_id,
        )


CREDENTIALS_IN_CLEAR = Rule(
    id="credentials-in-clear",
    group="access",
    severity=Severity.WARNING,
    title="A signature over plain HTTP",
    when="a request with a signature or a security token uses http://; a notice for hosts whose"
    " documented access is plain HTTP (Rapid Buckets)",
    cause="The client's scheme is http; some SDKs have it for a default (C++, PHP).",
    fix="Use https; whoever listens can repeat the request until the signature ends.",
    example="PUT http://… with Authorization",
    joins=("client-and-key",),
    reads_values=False,
)


def credentials_in_clear(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if cos.request.scheme != "http":
        return
    what = [] if cos.signed.scheme == "none" else ["signature"]
    if cos.token_names:
        what.append("token")
    if not what:
        return
    detail = f"The request's {' and '.join(what)} went over plain HTTP."
    if "tls" in cos.endpoint.lacks:
        yield CREDENTIALS_IN_CLEAR.finding(
            f"{detail} {cos.request.host} is documented for plain HTTP inside a VPC.",
            severity=Severity.NOTICE,
            fix="Nothing inside the VPC; see that the request does not leave it.",
            exposed=what,
        )
    else:
        yield CREDENTIALS_IN_CLEAR.finding(detail, exposed=what)


POST_POLICY_FAILED = Rule(
    id="post-policy-failed",
    group="access",
    severity=Severity.ERROR,
    title="The form does not satisfy its policy",
    when="a form upload is refused, and its policy is malformed, expired, or one of its conditions"
    " does not hold for the form",
    cause="The form was changed after the policy was made, the policy was kept too long, or local"
    " time was taken for UTC.",
    fix="Make the policy for exactly the fields that are sent, with an expiration in UTC ahead of"
    " the upload.",
    example='["starts-with", "$key", "user/"], but the form\'s key is other/a.txt',
    precondition=Precondition.TROUBLE,
)


def post_policy_failed(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    form, response = cos.form, cos.response
    if form is None or response is None or response.status not in (400, 401, 403):
        return
    body = cos.request.body
    payload = body.payload
    moment = cos.exchange.timing.request_start
    said = iso_date(cos.error.server_time) if cos.error else None
    server = said or http_date(response.headers.get("date"))
    if server is not None:
        answered = cos.exchange.timing.response_start
        taken = 0.0 if moment is None or answered is None else max(0.0, answered - moment)
        moment = server - taken
    policy = evaluate_policy(
        form,
        bucket=cos.endpoint.bucket,
        size=payload.size if payload is not None and payload.complete else None,
        file_name=payload.file_name if payload else None,
        moment=moment,
    )
    if policy is None or not policy.failed:
        return
    first, *others = policy.failed
    more = f" {len(others)} more of its conditions fail as well." if others else ""
    yield POST_POLICY_FAILED.finding(
        f"{first.words[:1].upper()}{first.words[1:]}.{more}",
        kind=first.kind,
        field=first.field,
        wanted=first.wanted,
        found=first.found,
        failed=[failed.words for failed in policy.failed[:10]],
        conditions=policy.conditions,
    )


CORS_REFUSED = Rule(
    id="cors-refused",
    group="access",
    severity=Severity.ERROR,
    title="The browser was not given leave",
    when="a CORS preflight is refused, or its answer does not allow what was asked for",
    cause="No CORS rule of the bucket fits the page's origin, the method and all of the headers.",
    fix="Add a CORS rule with this origin, method and headers (or *); of a CDN domain set it in"
    " the CDN. Blanks in a rule's values count.",
    example="OPTIONS from https://a.example for PUT, 403 AccessForbidden",
    reads_values=False,
)

_ALWAYS_ALLOWED = frozenset(("GET", "HEAD", "POST"))
"""Methods that need no mention in Access-Control-Allow-Methods (Fetch standard)."""
_SAFE_HEADERS = frozenset(("accept", "accept-language", "content-language"))


def cors_refused(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    request, response = cos.request, cos.response
    if request.method != "OPTIONS" or response is None or response.status >= 500:
        return
    origin = request.headers.get("origin")
    method = request.headers.get("access-control-request-method")
    if not origin or not method or not (cos.from_cos or cos.endpoint.kind in ("cdn", "custom")):
        return
    wanted = _words(request.headers.all("access-control-request-headers"))
    answer = response.headers
    if any(name.startswith("access-control-") for name in answer.unread | request.headers.unread):
        return
    allowed = {
        "origin": answer.get("access-control-allow-origin"),
        "methods": ", ".join(answer.all("access-control-allow-methods")) or None,
        "headers": ", ".join(answer.all("access-control-allow-headers")) or None,
    }
    lacking = []
    if allowed["origin"] not in ("*", origin):
        lacking.append("the origin")
    methods = _words(answer.all("access-control-allow-methods"))
    if method.upper() not in _ALWAYS_ALLOWED and not {"*", method.lower()} & methods:
        lacking.append(f"the method {method}")
    headers = _words(answer.all("access-control-allow-headers"))
    if "*" not in headers:
        missing = sorted(wanted - headers - _SAFE_HEADERS)
        lacking += [f"the header {name}" for name in missing]
    if response.status < 300 and not lacking:
        return
    refused = response.status >= 300
    how = f"was answered {response.status}" if refused else "was answered, but without leave"
    what = f" for {', '.join(lacking[:10])}" if lacking and not refused else ""
    yield CORS_REFUSED.finding(
        f"The preflight from {origin} for {method} {how}{what}.",
        asked={"origin": origin, "method": method, "headers": sorted(wanted)},
        allowed=allowed,
        lacking=lacking,
        status=response.status,
    )


def _words(values: Sequence[str]) -> set[str]:
    return {word.strip().lower() for value in values for word in value.split(",") if word.strip()}


CORS_ETAG_HIDDEN = Rule(
    id="cors-etag-hidden",
    group="access",
    severity=Severity.WARNING,
    title="The page cannot read the ETag",
    when="a browser's upload succeeds and Access-Control-Expose-Headers does not name ETag",
    cause="The CORS rule that fits first has no ETag among its expose headers.",
    fix="Add ETag (and x-cos-request-id) to ExposeHeader of the CORS rule; without it a multipart"
    " upload fails at its completion.",
    example="UploadPart 200 with Origin, no Access-Control-Expose-Headers",
    reads_values=False,
)


def cors_etag_hidden(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    origin = cos.request.headers.get("origin")
    if (
        not origin
        or response is None
        or not cos.operation.uploads_object
        or not cos.succeeded
        or not response.headers.get("etag")
        or "access-control-expose-headers" in response.headers.unread
    ):
        return
    if origin.partition("://")[2].partition(":")[0].lower() == cos.request.host:
        return
    exposed = _words(response.headers.all("access-control-expose-headers"))
    if not {"etag", "*"} & exposed:
        yield CORS_ETAG_HIDDEN.finding(
            f"The answer to {cos.operation.name} from {origin} does not let the page read ETag.",
            exposed=sorted(exposed),
            origin=origin,
        )
