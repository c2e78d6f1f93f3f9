"""Tables of what several flows are together: transfers, their parts, requests tried again.

The structs are part of the schema, as those of ``schemas.py`` are; a row is made of what is masked
already.
"""

from collections.abc import Iterable

import msgspec

from cos_inspect.dataset.columns import Moment
from cos_inspect.model.summary import RetryChain, TransferSummary


class TransferFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of a transfer."""

    rule: str
    severity: str
    title: str
    detail: str


class TransferCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check over all parts of a transfer."""

    check: str
    status: str
    reason: str | None
    expected: str | None
    actual: str | None


class TransferRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each multipart upload, ranged download and appended object, however many there are."""

    id: str
    """Of a multipart upload its UploadId."""
    kind: str
    """``multipart-upload``, ``ranged-download`` or ``append``."""
    started: Moment | None
    """When its first exchange began."""
    bucket: str | None
    """Of the object."""
    key: str | None
    """Of the object."""
    state: str
    """How it ended: ``completed``, ``complete``, ``aborted``, ``abandoned``, ``open``, …"""
    verdict: str
    """The worst of its state, its checks, its findings and those of its flows that count."""
    size: int | None
    """Bytes of the object; null where not all of them are known."""
    parts: int
    """Parts, ranges or pieces that count."""
    tries: int
    """Exchanges that carried bytes."""
    bytes_sent_twice: int
    """Bytes of tries that do not count."""
    duration_ms: float | None
    """From the first exchange's begin to the last one's end."""
    throughput: float | None
    """Bytes of the object per second in which an exchange was under way."""
    notice: str | None
    """What is worth a word and is no finding."""
    rules: list[str]
    """Of its findings, each once."""
    findings: list[TransferFinding]
    """Its own, and those of its flows that count for it."""
    checks: list[TransferCheck]
    """Over all of its parts together."""
    flows: list[str]
    """Ids of its flows, in the order in which they began."""


class TransferPartRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each part of an upload as it counts in the end."""

    transfer_id: str
    """``id`` in the table ``transfers``."""
    kind: str
    """Of the transfer."""
    started: Moment | None
    """When the transfer began."""
    bucket: str | None
    """Of the object."""
    key: str | None
    """Of the object."""
    number: int
    """From 1."""
    size: int | None
    """Bytes."""
    md5: str | None
    """Of the bytes, in hex."""
    crc64ecma: str | None
    """The same, in decimals."""
    etag: str | None
    """As COS answered."""
    tries: int
    """How often it was sent."""
    duration_ms: float
    """Of the try that counts."""
    host: str
    """Where that went."""
    flow_id: str
    """The flow of that."""


class RetryRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each request that was sent again after a failed try."""

    id: str
    """``transfer_id`` of its flows, where they belong to no other transfer."""
    started: Moment | None
    """When the first try began."""
    operation: str | None
    """What was tried."""
    bucket: str | None
    """Of the object."""
    key: str | None
    """Of the object."""
    tries: int
    """How many."""
    succeeded: bool
    """Whether the last one came through."""
    time_lost_ms: float
    """From the first try's begin to the last one's."""
    clock_corrected: bool
    """A try was refused for its signing time, and the SDK corrected its clock."""
    causes: list[str]
    """Why each of them failed."""
    hosts: list[str]
    """More than one when the SDK switched."""
    flows: list[str]
    """Ids of the tries, in order."""


def once(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of their first ones."""
    return list(dict.fromkeys(names))


def transfer_row(begun: int | None, transfer: TransferSummary) -> TransferRow:
    """Of a transfer that is masked; ``begun`` in microseconds since 1970."""
    return TransferRow(
        id=transfer.id,
        kind=transfer.kind,
        started=begun,
        bucket=transfer.bucket,
        key=transfer.key,
        state=transfer.state,
        verdict=transfer.verdict,
        size=transfer.size,
        parts=transfer.parts,
        tries=transfer.tries,
        bytes_sent_twice=transfer.bytes_sent_twice,
        duration_ms=transfer.duration_ms,
        throughput=transfer.throughput,
        notice=transfer.notice,
        rules=once(finding.rule for finding in transfer.findings),
        findings=[
            TransferFinding(
                rule=each.rule, severity=each.severity.value, title=each.title, detail=each.detail
            )
            for each in transfer.findings
        ],
        checks=[
            TransferCheck(
                check=each.check,
                status=each.status,
                reason=each.reason,
                expected=each.expected,
                actual=each.actual,
            )
            for each in transfer.checks
        ],
        flows=transfer.flows,
    )


def part_rows(begun: int | None, transfer: TransferSummary) -> list[TransferPartRow]:
    """Of a transfer that is masked."""
    return [
        TransferPartRow(
            transfer_id=transfer.id,
            kind=transfer.kind,
            started=begun,
            bucket=transfer.bucket,
            key=transfer.key,
            number=part.number,
            size=part.size,
            md5=part.md5,
            crc64ecma=part.crc64ecma,
            etag=part.etag,
            tries=part.tries,
            duration_ms=part.duration_ms,
            host=part.host,
            flow_id=part.flow,
        )
        for part in transfer.part_table
    ]


def retry_row(begun: int | None, chain: RetryChain) -> RetryRow:
    """Of a chain that is masked."""
    return RetryRow(
        id=chain.id,
        started=begun,
        operation=chain.operation,
        bucket=chain.bucket,
        key=chain.key,
        tries=len(chain.flows),
        succeeded=chain.succeeded,
        time_lost_ms=chain.time_lost_ms,
        clock_corrected=chain.clock_corrected,
        causes=chain.causes,
        hosts=chain.hosts,
        flows=chain.flows,
    )
