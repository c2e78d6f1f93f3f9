"""A collector of OpenTelemetry: takes OTLP over HTTP, and keeps it as it came and decoded."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, Any]
Point = tuple[Attributes, Any]

_KINDS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class Collector:
    """``with Collector() as collector:`` listens on ``collector.endpoint``. ``status``: what it
    answers; with ``hangs`` set it answers when ``let_go`` is set, or never."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.hangs = False
        self.pause = 0.0
        """Seconds before it answers."""
        self.keeps = True
        """Whether what comes is decoded and kept."""
        self.let_go = threading.Event()
        self.tried = 0
        """Requests, whatever became of them."""
        self.payloads: list[bytes] = []
        """Of those that were taken, without content coding."""
        self.received_headers: list[dict[str, str]] = []
        self._messages: list[tuple[str, Any]] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Of a request handler."""
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        message = _KINDS[path]()
        message.ParseFromString(body)
        with self._changed:
            self.payloads.append(body)
            self.received_headers.append(headers)
            self._messages.append((path, message))
            self._changed.notify_all()

    def try_noted(self) -> None:
        with self._changed:
            self.tried += 1
            self._changed.notify_all()

    def wait_until(self, holds: Callable[["Collector"], bool], seconds: float = 60.0) -> None:
        """Returns when something is so of what came."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), seconds), "it did not come"

    def _of(self, path: str) -> list[Any]:
        with self._changed:
            return [message for of, message in self._messages if of == path]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for message in self._of("/v1/traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[LogRecord]:
        return [
            record
            for message in self._of("/v1/logs")
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def resources(self) -> list[Attributes]:
        """Of all messages, in the order in which they came."""
        with self._changed:
            messages = [message for _, message in self._messages]
        found = []
        for message in messages:
            for field in ("resource_spans", "resource_metrics", "resource_logs"):
                found += [plain(each.resource.attributes) for each in getattr(message, field, ())]
        return found

    @property
    def metrics(self) -> dict[str, Metric]:
        """As they were in the last message of one that sent metrics."""
        messages = self._of("/v1/metrics")
        if not messages:
            return {}
        return {
            metric.name: metric
            for resource in messages[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[Point]:
        """Attributes and value of each point of a metric; of a histogram count and sum."""
        metric = self.metrics.get(name)
        if metric is None:
            return []
        if metric.WhichOneof("data") == "histogram":
            return [
                (plain(point.attributes), (point.count, point.sum))
                for point in metric.histogram.data_points
            ]
        return [
            (plain(point.attributes), point.as_int or point.as_double)
            for point in metric.sum.data_points
        ]

    def totals(self, name: str, *attributes: str) -> Counter[tuple[Any, ...]]:
        """Sums of a metric by some of its attributes, those of 0 left out."""
        found: Counter[tuple[Any, ...]] = Counter()
        for given, value in self.points(name):
            found[tuple(given[each] for each in attributes)] += value
        return Counter({key: value for key, value in found.items() if value})


def plain(attributes: Iterable[KeyValue]) -> Attributes:
    found = {}
    for each in attributes:
        assert each.key not in found
        found[each.key] = value_of(each.value)
    return found


def value_of(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.try_noted()
            if collector.hangs:
                collector.let_go.wait()
                self.close_connection = True
                return
            time.sleep(collector.pause)
            if collector.status == 200 and collector.keeps:
                collector.take(self.path, dict(self.headers), body)
            self.send_response(collector.status)
            for name, value in collector.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler
