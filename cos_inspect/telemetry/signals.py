"""What is sent, as tables: metrics, and the attributes of log records and spans.

Names, units and kinds follow OpenTelemetry's semantic conventions
(https://opentelemetry.io/docs/specs/semconv/); what is COS's own begins with ``cos.``. Nothing
without a limit, such as a key or an id, is an attribute of a metric.
"""

from typing import Literal

import msgspec

Kind = Literal["up-down counter", "counter", "histogram"]
OTHER = "other"
"""What hosts and regions beyond the first ones are called in metrics."""
NONE = "none"
"""Of a metric's attribute that a flow has not."""


class Metric(msgspec.Struct, frozen=True):
    """A metric; ``attributes`` in the order in which values are given."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    attributes: tuple[str, ...]


FLOWS = Metric(
    "cos.flows",
    "up-down counter",
    "{flow}",
    "Flows of COS, by what is said of them.",
    ("cos.operation", "cos.verdict", "cos.status_class", "cos.region", "server.address"),
)
FINDINGS = Metric(
    "cos.findings",
    "up-down counter",
    "{finding}",
    "What rules found.",
    ("cos.rule", "cos.severity", "cos.operation"),
)
CHECKS = Metric(
    "cos.checks",
    "up-down counter",
    "{check}",
    "Comparisons, made or not made; the reason is that of a skipped one.",
    ("cos.check", "cos.check.status", "cos.check.reason"),
)
DURATION = Metric(
    "cos.flow.duration",
    "histogram",
    "s",
    "From a request's first byte to its answer's last one.",
    ("cos.operation", "cos.status_class", "cos.region"),
)
WAIT = Metric(
    "cos.flow.wait.duration",
    "histogram",
    "s",
    "From a request's last byte to its answer's first one.",
    ("cos.operation", "cos.status_class", "cos.region"),
)
BODY_IO = Metric(
    "cos.body.io",
    "counter",
    "By",
    "Bytes of bodies, without transfer framing: sent to COS (transmit), or by it (receive).",
    ("network.io.direction", "cos.operation", "cos.region", "server.address"),
)
CONNECTIONS = Metric(
    "cos.connections.failed",
    "up-down counter",
    "{connection}",
    "Connections that came to nothing before there was a flow; some turn out to be harmless.",
    ("cos.connection.failure", "server.address"),
)
DROPPED = Metric(
    "cos.telemetry.dropped",
    "counter",
    "{record}",
    "What could not be sent: spans, log records, and reports that were not counted.",
    ("cos.signal",),
)
METRICS = (FLOWS, FINDINGS, CHECKS, DURATION, WAIT, BODY_IO, CONNECTIONS, DROPPED)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds of the histograms: those of the conventions for HTTP, and three for large bodies."""

_BOTH: tuple[tuple[str, str], ...] = (
    ("cos.flow_id", "the report's `flow_id`"),
    ("cos.operation", "the operation"),
    ("cos.bucket", "the bucket, with its APPID"),
    ("cos.region", "the region"),
    ("cos.key", "the object's key"),
    ("cos.upload_id", "the UploadId of a multipart upload"),
    ("cos.part_number", "the number of a part"),
    ("cos.request_id", "x-cos-request-id"),
    ("cos.trace_id", "x-cos-trace-id"),
    ("cos.error.code", "the code of an error body"),
    ("cos.client.name", "the client, by its User-Agent"),
    ("cos.client.version", "its version"),
    ("http.request.method", "the method; `_OTHER` where HTTP knows none of that name"),
    ("http.response.status_code", "the status"),
    ("url.full", "the URL, masked"),
    ("server.address", "the host that was asked"),
    ("server.port", "its port"),
    ("client.address", "the client's address"),
)
LOG_ATTRIBUTES: tuple[tuple[str, str], ...] = (
    ("cos.rule", "the rule that found it"),
    ("cos.rule.group", "its group"),
    ("cos.severity", "`notice`, `warning` or `error`"),
    ("cos.fix", "what to do about it"),
    ("cos.ticket", "the line for support, of a flow that failed"),
    ("cos.connection.failure", "what failed, of a connection without a flow"),
    *_BOTH,
)
SPAN_ATTRIBUTES: tuple[tuple[str, str], ...] = (
    *_BOTH,
    ("cos.verdict", "`ok`, `notice`, `warning` or `error`"),
    ("cos.rules", "the rules that found something"),
    ("http.request.method_original", "a method that HTTP does not know"),
    ("http.request.body.size", "bytes of the request's body"),
    ("http.response.body.size", "bytes of the answer's body"),
    ("http.request.resend_count", "how often the same request was sent before"),
    ("error.type", "the status from 400 on, the code of an error in a success, or a rule"),
    ("user_agent.original", "the User-Agent"),
    ("network.protocol.name", "`http`"),
    ("network.protocol.version", "`1.1`, `2` or `3`"),
    ("network.peer.address", "the server's address"),
    ("network.peer.port", "its port"),
    ("tls.protocol.version", "`1.2`, `1.3`"),
)
