"""What the standard variables (``OTEL_…``) say that is not left to OpenTelemetry's own packages.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ names them. A value may hold a token, so
none is repeated: of an endpoint scheme, host and port are shown.
"""

import importlib.util
import math
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from cos_inspect.model.plain_text import escaped

_ENDPOINT = "http://localhost:4318"
_PREFIX = "OTEL_EXPORTER_OTLP_"
_METRIC_SECONDS = 10.0
_PACKAGES = (
    ("opentelemetry.sdk", "opentelemetry-sdk"),
    ("opentelemetry.exporter.otlp.proto.http", "opentelemetry-exporter-otlp-proto-http"),
)


class TelemetryError(ValueError):
    """Why nothing could be sent, in one line without anything secret."""


def require(signals: Iterable[str], environment: Mapping[str, str]) -> None:
    """Looks for what ``cos_otel`` needs.

    :raises TelemetryError: a package is not installed, or a variable asks for what cannot be
        done; nothing is imported.
    """
    for module, package in _PACKAGES:
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            found = None
        if found is None:
            raise TelemetryError(
                f"needs the package {package}: pip install 'cos-inspect[otel]' brings it"
            )
    for signal in signals:
        name, protocol = _value("PROTOCOL", signal, environment)
        if protocol not in ("", "http/protobuf"):
            raise TelemetryError(f"{name} is {escaped(protocol)[:40]!r}; allowed: http/protobuf")
        name, endpoint = _value("ENDPOINT", signal, environment)
        if endpoint and not _place(endpoint):
            raise TelemetryError(f"{name} is no URL such as {_ENDPOINT}")


def collector_of(signals: Iterable[str], environment: Mapping[str, str]) -> str:
    """Where these are sent, for people: schemes, hosts and ports."""
    endpoints = (_value("ENDPOINT", signal, environment)[1] or _ENDPOINT for signal in signals)
    return ", ".join(dict.fromkeys(_place(endpoint) for endpoint in endpoints))


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry as a whole is switched off."""
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def metric_seconds(environment: Mapping[str, str]) -> float:
    """Seconds from one sending of metrics to the next; the variable has milliseconds."""
    try:
        seconds = float(environment.get("OTEL_METRIC_EXPORT_INTERVAL", "")) / 1000
    except ValueError:
        return _METRIC_SECONDS
    return seconds if 0 < seconds < math.inf else _METRIC_SECONDS


def _value(what: str, signal: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that counts for a signal, and its value."""
    for name in (f"{_PREFIX}{signal.upper()}_{what}", f"{_PREFIX}{what}"):
        if value := environment.get(name):
            return name, value
    return f"{_PREFIX}{what}", ""


def _place(endpoint: str) -> str:
    """Empty where it is no URL of HTTP."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    name = escaped(f"[{host}]" if ":" in host else host)
    return f"{parts.scheme}://{name}" + (f":{port}" if port is not None else "")
