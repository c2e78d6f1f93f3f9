"""The tables of a dataset: a struct for each, and a member of it for each column. Those of what
several flows are together stand in ``transfer_rows.py``.

The structs are the schema. Whoever changes one gives the dataset another version: a test holds
the list of columns. What is new may be added at the end without one.
"""

from typing import get_args

import msgspec

from cos_inspect.dataset.columns import Moment
from cos_inspect.dataset.transfer_rows import RetryRow, TransferPartRow, TransferRow

VERSION = "cos-inspect/dataset/1"


class FlowRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each COS flow once, as its report is in the end."""

    capture: str
    """The capture that it was read from: ``file`` in the table ``captures``."""
    flow_id: str
    """Its id, also where it is in a report directory."""
    sequence: int
    """Its number in the run, which no other flow of the run has: what tables are joined by."""
    verdict: str
    """``ok``, ``notice``, ``warning`` or ``error``."""
    started: Moment | None
    """When the request began; null where nobody knows."""
    operation: str
    """As in the reference: ``PutObject``."""
    level: str
    """``service``, ``bucket``, ``object`` or ``none``."""
    bucket: str | None
    """With the APPID."""
    appid: str | None
    """Of the bucket."""
    region: str | None
    """As the host says: ``ap-guangzhou``."""
    key: str | None
    """Of the object."""
    endpoint: str
    """The kind of host: ``default``, ``accelerate``, ``cdn``, …"""
    client_name: str | None
    """The program, by its User-Agent: ``cos-python-sdk-v5``."""
    client_version: str | None
    """Of that program."""
    client_platform: str | None
    """What it ran on, as it says."""
    client_wrapper: str | None
    """The plugin that drives a native SDK."""
    user_agent: str | None
    """The header, whole."""
    device: str | None
    """The label ``device``."""
    labels: dict[str, str]
    """All that ``--label`` says of the capture."""
    method: str
    """Of the request."""
    url: str
    """Of the request, whole."""
    host: str
    """In the URL, with the port where it has one."""
    http_version: str
    """Of the request."""
    status: int | None
    """Of the answer; null where there was none."""
    answered_by: str | None
    """``server``, or ``proxy`` where that answered in its place."""
    error_code: str | None
    """COS's."""
    error_message: str | None
    """COS's."""
    request_id: str | None
    """What support finds the request by."""
    trace_id: str | None
    """The same."""
    upload_id: str | None
    """Of the multipart upload that it belongs to."""
    part_number: int | None
    """Of the part that it sent."""
    transfer_kind: str | None
    """``multipart-upload``, ``ranged-download``, ``append`` or ``retry``."""
    transfer_id: str | None
    """``id`` in the table ``transfers``, or ``retries``."""
    position: int | None
    """Part number, first byte of a range, position of an append, or number of the try."""
    attempt: int | None
    """Which try of its request it is, where there was more than one."""
    healed: bool
    """It failed, and a later try of the same request came through."""
    request_size: int | None
    """Bytes of the body."""
    request_md5: str | None
    """Of the body, in hex; null where nothing needed it."""
    request_crc64ecma: str | None
    """The same, in decimals."""
    request_complete: bool
    """Whether the body came to its end."""
    request_encoding: str | None
    """Content-Encoding."""
    response_size: int | None
    """As of the request; null without an answer, as the next four are."""
    response_md5: str | None
    """As of the request."""
    response_crc64ecma: str | None
    """As of the request."""
    response_complete: bool | None
    """As of the request."""
    response_encoding: str | None
    """As of the request."""
    total_ms: float | None
    """From the begin of the request to the end of the answer."""
    connect_ms: float | None
    """To connect, on the first flow of a connection."""
    tls_ms: float | None
    """For the handshake, on the first flow of a connection."""
    request_ms: float | None
    """In which the request was sent."""
    wait_ms: float | None
    """From the end of the request to the answer's headers."""
    response_ms: float | None
    """In which the answer's body came."""
    client: str | None
    """Address and port."""
    client_address: str | None
    """The address alone."""
    server: str | None
    """Address and port of where the recorder went."""
    sni: str | None
    """Server name in the handshake."""
    tls: str | None
    """``TLSv1.3``."""
    by_address: bool | None
    """The client went to an IP address."""
    clock_seconds: int | None
    """By how much the device's clock is ahead of the recorder's."""
    encryption: str
    """At rest: ``none``, ``SSE-COS``, ``SSE-KMS`` or ``SSE-C``."""
    broke_off_by: str | None
    """``client``, ``server`` or ``proxy``: who ended it before it was whole."""
    rules: list[str]
    """Of its findings, each once."""
    checks_matched: int
    """How many checks were made and agreed."""
    checks_mismatched: int
    """How many did not agree."""
    checks_skipped: int
    """How many could not be made."""
    ticket: str | None
    """For failures: one line with what COS support asks for."""


class FindingRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each finding on a flow. Those of a whole transfer stand in ``transfers``."""

    capture: str
    """Of the flow."""
    flow_id: str
    """Of the flow."""
    sequence: int
    """Of the flow."""
    started: Moment | None
    """Of the flow."""
    number: int
    """From 1, in the order of the report."""
    rule: str
    """Its id."""
    group: str
    """``integrity``, ``encryption``, ``tracing``, ``error``, …"""
    severity: str
    """``notice``, ``warning`` or ``error``."""
    title: str
    """What is wrong, in a few words."""
    detail: str
    """What was seen, with the values."""
    fix: str
    """What to do about it."""
    evidence: str
    """The values by name, as JSON; each rule has its own."""
    healed: bool
    """The flow failed, and a later try of the same request came through."""
    ticket: str | None
    """Of the flow: what COS support asks for."""


class CheckRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each comparison that was made, or could not be made, on a flow."""

    capture: str
    """Of the flow."""
    flow_id: str
    """Of the flow."""
    sequence: int
    """Of the flow."""
    started: Moment | None
    """Of the flow."""
    check: str
    """``crc64``, ``etag``, …: as under Checks."""
    body: str
    """``request`` or ``response``: what was compared."""
    status: str
    """``match``, ``mismatch`` or ``skipped``."""
    reason: str | None
    """Why it was skipped."""
    expected: str | None
    """What COS or the client says."""
    actual: str | None
    """What was computed from the bytes."""


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each flow whose connection failed, or that somebody ended before it was whole."""

    capture: str
    """Of the flow."""
    flow_id: str
    """Of the flow."""
    sequence: int
    """Of the flow."""
    started: Moment | None
    """Of the flow."""
    host: str
    """That was asked for."""
    client: str | None
    """Its address and port."""
    device: str | None
    """The label ``device``."""
    server: str | None
    """Its address and port."""
    sni: str | None
    """Server name in the handshake."""
    tls: str | None
    """``TLSv1.3``."""
    failed: str | None
    """Who ended it: ``client``, ``server`` or ``proxy``; null where nobody knows."""
    option: str | None
    """The option of the proxy that made it, or who else."""
    after_ms: float | None
    """From the begin of the request."""
    waited_ms: float | None
    """Of it, without an answer to a whole request."""
    said: str | None
    """The recorder's words."""
    rule: str | None
    """Of the finding about it; null where it may be harmless."""
    severity: str | None
    """Of that finding."""
    detail: str | None
    """Of that finding."""
    fix: str | None
    """Of that finding."""


class CaptureRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Each capture that was read."""

    file: str
    """As it was given; of a folder the path of the file in it."""
    format: str
    """``mitm``, ``har``, ``saz``, ``whistle``, ``charles`` or ``pcap``."""
    program: str | None
    """What wrote it, as it says itself."""
    device: str | None
    """The label ``device``."""
    labels: dict[str, str]
    """All that ``--label`` says of it."""
    exchanges: int
    """That were read, of COS and of others, also those that another capture holds as well."""
    flows: int
    """Of them in the table ``flows``."""
    started: Moment | None
    """When the first of these began."""
    ended: Moment | None
    """When the last of these ended."""
    left_out: dict[str, int]
    """Exchanges without a report, by reason."""
    bytes_lost: int | None
    """Bytes of the wire that the capture lost; null where its format cannot tell."""
    packets_lost: int | None
    """The same of packets."""


type Row = (
    FlowRow
    | FindingRow
    | CheckRow
    | TransferRow
    | TransferPartRow
    | RetryRow
    | ConnectionRow
    | CaptureRow
)
TABLES: dict[str, type[Row]] = {
    "flows": FlowRow,
    "findings": FindingRow,
    "checks": CheckRow,
    "transfers": TransferRow,
    "transfer_parts": TransferPartRow,
    "retries": RetryRow,
    "connections": ConnectionRow,
    "captures": CaptureRow,
}
"""By the names of their folders."""
NAMES = {row: name for name, row in TABLES.items()}


assert set(TABLES.values()) == set(get_args(Row.__value__))
