"""The shape of what is reported: one flow, and the summary of all.

The structs are the schema: ``schema()`` is made from them, and every file is
encoded from them.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from cos_inspect.model.exchange import Actor, Answerer, ChangedPart

UNMASKED = {"masked": False}
Unmasked = Annotated[str, msgspec.Meta(extra=UNMASKED)]
"""Text in which no secret is looked for: words of ours out of a closed set, ids that we
give, digests and times that we take, and the names of a place. Any other text of a report
is masked where it holds a secret."""


class Severity(StrEnum):
    """How bad a finding is."""

    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """From 1; higher is worse."""
        return _RANK[self]


_RANK = {Severity.NOTICE: 1, Severity.WARNING: 2, Severity.ERROR: 3}

Verdict = Literal["ok", "notice", "warning", "error"]
VERDICT_RANKS: dict[str, int] = {"ok": 0, "notice": 1, "warning": 2, "error": 3}
Side = Literal["request", "response"]
CheckName = Literal[
    "content-length",
    "content-md5",
    "etag",
    "crc64",
    "multipart-crc64",
    "multipart-etags",
    "append-md5",
    "append-crc64",
    "range-crc64",
    "sse-customer-key-md5",
    "signature",
]
CheckStatus = Literal["match", "mismatch", "skipped"]
SkipReason = Literal[
    "no-header",
    "not-md5",
    "sse-kms",
    "sse-c",
    "range",
    "no-body",
    "head",
    "not-modified",
    "processed",
    "website",
    "append",
    "copy",
    "failed-request",
    "incomplete",
    "unseen-parts",
    "client-encoded",
    "re-encoded",
    "callback",
    "not-captured",
    "malformed",
    "not-inspected",
    "proxy-stopped",
    "no-credentials",
    "unsupported",
]
Category = Literal["common", "sse", "object", "auth", "http", "other"]
SseMode = Literal["none", "SSE-COS", "SSE-KMS", "SSE-C"]
Level = Literal["service", "bucket", "object", "none"]
EndpointKind = Literal[
    "default",
    "internal",
    "accelerate",
    "website",
    "ci",
    "cdn",
    "custom",
    "service",
    "control",
    "legacy",
]
Group = Literal[
    "integrity", "encryption", "tracing", "error", "signature", "access", "transfer", "connection"
]


class Check(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One comparison, made or not made."""

    check: CheckName
    """As under Checks."""
    body: Side
    """The body that was compared; for header-only checks the side of the header."""
    status: CheckStatus
    """``skipped`` always has a reason."""
    expected: str | None = None
    """What COS or the client says."""
    actual: str | None = None
    """What was computed from the bytes."""
    reason: SkipReason | None = None
    """Why it was skipped; always there then, never otherwise."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a rule found. Its texts are for people; ``evidence`` has the same as plain data."""

    rule: Unmasked
    """Its id, as under Rules."""
    group: Group
    severity: Severity
    """The rule's, or what is known more makes it less."""
    title: Unmasked
    """What is wrong, in a few words."""
    detail: str
    """What was seen, with the values."""
    fix: str
    """What to do about it."""
    evidence: dict[str, Any] = {}
    """The values by name; each rule has its own."""


class HeaderReport(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One header line, in the order sent, and what is to be said of it."""

    name: str
    value: str
    category: Category
    meaning: Unmasked
    issues: tuple[str, ...]
    redacted: bool = False


class PayloadReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The object's bytes inside a framed body; size in bytes, digests of what came."""

    kind: Literal["aws-chunked", "form-file"]
    size: int
    md5: Unmasked | None
    crc64ecma: Unmasked | None
    complete: bool
    problem: str | None


class BodyReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A body as it passed; size in bytes, digests as ETag and x-cos-hash-crc64ecma write them."""

    size: int | None
    md5: Unmasked | None
    crc64ecma: Unmasked | None
    complete: bool
    encoding: str | None
    payload: PayloadReport | msgspec.UnsetType | None = msgspec.UNSET


class ChangeReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the proxy, or whoever uses it, made of a part of the client's request."""

    part: ChangedPart
    name: str | None
    """Of a header."""
    client: str | None
    """As the client sent it; of a body its size and MD5."""
    sent: str | None
    """As it went to the server; null where it was taken away."""
    by: str
    """An option of mitmproxy, or who else."""


class ResignedReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How somebody had the request signed anew (``cos.resign``) before it was sent again."""

    secret_id: Unmasked
    token_removed: bool
    at: str | None


class RequestReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """As the client sent it; the body is the one that went to the server."""

    method: str
    url: str
    http_version: str
    headers: list[HeaderReport]
    body: BodyReport
    changes: list[ChangeReport] = []
    resigned: ResignedReport | None = None


class ResponseReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer."""

    status: int
    reason: str
    http_version: str
    headers: list[HeaderReport]
    body: BodyReport
    by: Answerer = "server"
    """``proxy``: mitmproxy or an addon answered in the server's place."""
    option: str | None = None
    """The option of mitmproxy that made it answer, or who else."""


class ConnectionReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the client came, and where the proxy went for it."""

    client: str | None
    """Address and port, as far as they are known."""
    server: str | None
    sni: str | None
    tls: str | None
    by_address: bool
    """The client went to an IP address, and the name stands in Host alone."""
    clock_seconds: int | None = None
    """By how much the device's clock is ahead of the recorder's; 0: no more than rounding; null
    where the request does not tell."""


class BrokeOffReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who ended an exchange before it was whole."""

    by: Actor
    option: str | None
    """The option of mitmproxy that made the proxy end it, or who else."""
    after_ms: float | None
    """From the begin of the request."""
    waited_ms: float | None
    """Of it, without an answer to a whole request."""
    said: str | None
    """The recorder's words."""


class TimingReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Milliseconds; null where it was not seen."""

    total_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    request_ms: float | None
    wait_ms: float | None
    response_ms: float | None


class ClientReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The program that sent the request, by its User-Agent."""

    name: str
    version: str | None
    platform: str | None
    wrapper: str | None = None
    """The plugin that drives a native SDK: ``FlutterPlugin``."""

    @property
    def title(self) -> str:
        """Name, version and wrapper in one line."""
        wrapper = f"({self.wrapper})" if self.wrapper else None
        return " ".join(word for word in (self.name, self.version, wrapper) if word)


class CosReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was asked of COS, and of what."""

    operation: Unmasked
    level: Level
    bucket: Unmasked | None
    appid: Unmasked | None
    region: Unmasked | None
    key: str | None
    endpoint: EndpointKind
    client: ClientReport | None


class IdsReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The ids by which support finds a request; ``request_id_time`` is ISO 8601 in UTC."""

    request_id: str | None
    request_id_time: Unmasked | None
    trace_id: str | None


class EncryptionReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the object is encrypted at rest, by the headers of both sides."""

    mode: SseMode
    algorithm: str | None = None
    kms_key_id: str | None = None
    customer_key_md5: str | None = None


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An error body of COS, and what its code means."""

    code: str | None
    message: str | None
    resource: str | None
    request_id: str | None
    trace_id: str | None
    meaning: Unmasked | None
    cause: Unmasked | None
    fix: Unmasked | None


class TransferReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The transfer that a flow is part of; what else belongs to it stands in the summary."""

    kind: Literal["multipart-upload", "ranged-download", "append", "retry"]
    """What the flow belongs to."""
    id: str
    """Of the transfer in ``summary.json``; of a multipart upload its UploadId."""
    position: int | None = None
    """Part number, first byte of a range, position of an append, or number of the try."""
    attempt: int | None = None
    """Which try of its request the flow is, from 1, where there was more than one."""
    healed: bool = False
    """It failed, and a later try of the same request came through with the same body."""
    earlier_tries: tuple[str, ...] = ()
    """On the last try: the flows of those before it, at most the last 20."""


class FlowReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that is told of one flow: what ``flows/*.json`` holds."""

    schema: Literal["cos-inspect/flow/1"] = "cos-inspect/flow/1"
    flow_id: Unmasked
    sequence: int = 0
    run: int | None = None
    """The run of the report directory that it belongs to; null where it is not written."""
    verdict: Verdict
    started: Unmasked | None
    """ISO 8601 in UTC; null where the time is unknown or cannot be printed."""
    timing: TimingReport
    cos: CosReport
    request: RequestReport
    response: ResponseReport | None
    connection: ConnectionReport | None = None
    ids: IdsReport
    encryption: EncryptionReport
    error: ErrorReport | None
    broke_off: BrokeOffReport | None = None
    """Null where it ended as it should, and where nobody knows."""
    checks: list[Check]
    findings: list[Finding]
    ticket: str | None = None
    transfer: TransferReport | None = None
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """What ``analyze --label`` says of its capture; absent where it says nothing."""

    @property
    def device(self) -> str | None:
        """The label by which clients of equal addresses are told apart."""
        return self.labels.get("device") if self.labels else None

    @property
    def is_healed(self) -> bool:
        """Whether it is a failed try after which another one came through."""
        return self.transfer is not None and self.transfer.healed
