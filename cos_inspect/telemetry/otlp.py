"""Speaks OTLP over HTTP with OpenTelemetry's own packages; nothing else imports these.

Its exporters make the messages, and read the standard variables: endpoints, headers, certificates,
compression, timeouts. They would try again by themselves, for ten seconds, and log what went
wrong; here each try is one request, and what went wrong is raised.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import requests
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from cos_inspect import __version__
from cos_inspect.report.slices import InSlices
from cos_inspect.telemetry.counts import Values
from cos_inspect.telemetry.facts import SpanId
from cos_inspect.telemetry.records import SEVERITY_NUMBERS, LogFacts, SpanFacts
from cos_inspect.telemetry.sending import NotSentError
from cos_inspect.telemetry.signals import METRICS, SECONDS, Metric

_NAME = "cos-inspect"
THREADS = "cos-inspect-telemetry"
"""How the names of the threads begin that come here."""
_SLICE_SECONDS = 0.002
_DEEPEST = 10
_LONGEST_WAIT = 4
"""Digits of a number of seconds."""
_TALKATIVE = ("opentelemetry", "requests", "urllib3", "charset_normalizer")
_TRY_AGAIN = frozenset({429, 502, 503, 504})
"""Statuses after which OTLP has a client send the same again; after others it must not."""


class Otlp:
    """Sends to the collector. One thread sends, another one may record meanwhile."""

    def __init__(self, signals: Sequence[str], mask: Callable[[str], str]) -> None:
        """``mask`` is asked about texts of the environment that are sent."""
        _keep_quiet()
        self._resource = _resource(mask)
        self._scope = InstrumentationScope(_NAME, __version__)
        self._session = _OneTry()
        quiet: dict[str, Any] = {"session": self._session, "meter_provider": NoOpMeterProvider()}
        self._spans = OTLPSpanExporter(**quiet) if "traces" in signals else None
        self._logs = OTLPLogExporter(**quiet) if "logs" in signals else None
        self._metrics: OTLPMetricExporter | None = None
        if "metrics" in signals:
            self._metrics = OTLPMetricExporter(**quiet)
            # Without an interval it has no thread, and reads when it is told to.
            self._reader = PeriodicExportingMetricReader(self._metrics, math.inf)
            provider = MeterProvider([self._reader], self._resource, shutdown_on_exit=False)
            self._meter = provider.get_meter(_NAME, __version__)
            self._instruments = {each.name: self._instrument(each) for each in METRICS}
            self._attributes = {each.name: each.attributes for each in METRICS}

    def _instrument(self, metric: Metric) -> Callable[[float, Mapping[str, str]], None]:
        named = metric.name, metric.unit, metric.meaning
        match metric.kind:
            case "counter":
                return self._meter.create_counter(*named).add
            case "up-down counter":
                return self._meter.create_up_down_counter(*named).add
            case "histogram":
                return self._meter.create_histogram(
                    *named, explicit_bucket_boundaries_advisory=SECONDS
                ).record

    def record(self, metric: str, value: float, values: Values) -> None:
        """Adds to a metric, or has a histogram take one more value."""
        if self._metrics is not None:
            attributes = dict(zip(self._attributes[metric], values, strict=True))
            self._instruments[metric](value, attributes)

    def send_metrics(self) -> None:
        """:raises NotSentError: they were not taken."""
        if self._metrics is None:
            return
        with self._one_try(may_be_empty=True):
            self._reader.force_flush()

    def send_spans(self, spans: Sequence[SpanFacts]) -> None:
        """:raises NotSentError: they were not taken."""
        if self._spans is not None:
            # What takes long is what an exporter makes of each entry.
            made = InSlices((self._span(each) for each in spans), _SLICE_SECONDS)
            with self._one_try():
                self._spans.export(made)

    def send_logs(self, records: Sequence[LogFacts]) -> None:
        """:raises NotSentError: they were not taken."""
        if self._logs is not None:
            made = InSlices((self._log(each) for each in records), _SLICE_SECONDS)
            with self._one_try():
                self._logs.export(made)

    @contextmanager
    def _one_try(self, *, may_be_empty: bool = False) -> Iterator[None]:
        session = self._session
        session.failure, session.is_done = None, False
        try:
            yield
        except Exception as error:
            if session.failure is None:
                raise NotSentError(
                    f"no message can be made ({type(error).__name__})", again=False
                ) from None
        if session.failure is not None:
            raise session.failure
        if not session.is_done and not may_be_empty:
            raise NotSentError("no message can be made", again=False)

    @property
    def most_seconds(self) -> float | None:
        """That a try may last, beside what the environment says."""
        return self._session.most_seconds

    @most_seconds.setter
    def most_seconds(self, seconds: float | None) -> None:
        self._session.most_seconds = seconds

    def _span(self, facts: SpanFacts) -> ReadableSpan:
        now = time.time_ns()
        return ReadableSpan(
            name=facts.name,
            context=_context(facts.span, remote=False),
            parent=None if facts.parent is None else _context(facts.parent, remote=True),
            resource=self._resource,
            attributes=facts.attributes,
            links=[Link(_context(each, remote=True)) for each in facts.links],
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR if facts.is_error else StatusCode.UNSET),
            start_time=now if facts.begins is None else facts.begins,
            end_time=now if facts.ends is None else facts.ends,
            instrumentation_scope=self._scope,
        )

    def _log(self, facts: LogFacts) -> ReadableLogRecord:
        now = time.time_ns()
        record = LogRecord(
            timestamp=now if facts.at is None else facts.at,
            observed_timestamp=now,
            trace_id=0 if facts.span is None else facts.span.trace_id,
            span_id=0 if facts.span is None else facts.span.span_id,
            trace_flags=TraceFlags(0 if facts.span is None else TraceFlags.SAMPLED),
            severity_text=facts.severity.value,
            severity_number=SeverityNumber(SEVERITY_NUMBERS[facts.severity]),
            body=facts.body,
            attributes=facts.attributes,
        )
        record.event_name = "cos.finding"
        return ReadableLogRecord(record, self._resource, self._scope)


class _OneTry(requests.Session):
    """Notes what became of a request. What it raises the exporters take for a fault after
    which nothing is tried again."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: NotSentError | None = None
        self.is_done = False
        self.most_seconds: float | None = None

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """:raises NotSentError: it was not taken."""
        most = self.most_seconds
        if most is not None:
            settings["timeout"] = min(settings.get("timeout") or most, most)
        try:
            answer = super().send(request, **settings)
        except requests.RequestException as error:
            self.failure = NotSentError(_why(error), again=True)
            raise self.failure from None
        if not answer.ok or answer.status_code >= 300:
            status = answer.status_code
            again = status in _TRY_AGAIN
            self.failure = NotSentError(
                f"it answers {status}",
                again=again,
                after=_seconds(answer.headers.get("Retry-After")),
            )
            raise self.failure
        self.is_done = True
        return answer


class _Silence(logging.Filter):
    """Drops what our threads have other packages log: what matters of it is told in a line of
    ours, and their texts may hold headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for the records of these threads."""
        return not (record.threadName or "").startswith(THREADS)


def _keep_quiet() -> None:
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if (
            isinstance(logger, logging.Logger)
            and name.split(".", 1)[0] in _TALKATIVE
            and not any(type(each).__name__ == _Silence.__name__ for each in logger.filters)
        ):
            logger.addFilter(_Silence())


def _resource(mask: Callable[[str], str]) -> Resource:
    """Who sends: what the environment says of it counts, and what it does not say is ours."""
    ours = {
        "service.name": _NAME,
        "service.version": __version__,
        "service.instance.id": str(uuid4()),
    }
    said = OTELResourceDetector().detect().attributes
    found = Resource.create({name: ours[name] for name in ours if name not in said})
    return Resource(
        {
            name: mask(value) if isinstance(value, str) and name not in ours else value
            for name, value in found.attributes.items()
        },
        found.schema_url,
    )


def _context(span: SpanId, *, remote: bool) -> SpanContext:
    return SpanContext(
        span.trace_id, span.span_id, is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _why(error: requests.RequestException) -> str:
    """In a few words; the texts of these errors hold the URL, and that may hold a token."""
    match error:
        case requests.exceptions.SSLError():
            return "no TLS with it, or its certificate is not trusted"
        case requests.exceptions.ProxyError():
            return "the proxy before it cannot be reached"
        case requests.exceptions.Timeout():
            return "it does not answer in time"
    cause: BaseException | None = error
    seen = 0
    while cause is not None and seen < _DEEPEST:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        inner = cause.args[0] if cause.args else None
        reason = getattr(cause, "reason", inner)
        cause = (
            reason if isinstance(reason, BaseException) else cause.__cause__ or cause.__context__
        )
        seen += 1
    return f"no connection ({type(error).__name__})"


def _seconds(text: str | None) -> float | None:
    """Of ``Retry-After``, where it has seconds."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _LONGEST_WAIT:
        return None
    return float(text)
