"""What the standard variables say, and what is said of those that cannot be followed."""

import sys

import pytest

from cos_inspect.telemetry.environment import (
    TelemetryError,
    collector_of,
    is_disabled,
    metric_seconds,
    require,
)

ALL = ("metrics", "logs", "traces")
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_what_is_installed_is_enough() -> None:
    require(ALL, {})
    require(ALL, {ENDPOINT: "https://user:hush@collector:4318/key"})


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("opentelemetry.sdk", "opentelemetry-sdk"),
        ("opentelemetry.exporter.otlp.proto.http", "opentelemetry-exporter-otlp-proto-http"),
    ],
)
def test_a_missing_package_is_named(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TelemetryError) as refused:
        require(["logs"], {})
    assert str(refused.value) == (
        f"needs the package {package}: pip install 'cos-inspect[otel]' brings it"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        (ENDPOINT, "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://hush@collector"),
        (ENDPOINT, "http://"),
        (ENDPOINT, "http://[hush"),
        (ENDPOINT, "http://collector:hush"),
    ],
)
def test_what_cannot_be_followed_is_refused(name: str, value: str) -> None:
    with pytest.raises(TelemetryError, match=name) as refused:
        require(ALL, {name: value})
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)


def test_variables_of_other_signals_are_not_asked() -> None:
    require(["logs"], {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"})


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, "http://localhost:4318"),
        ({ENDPOINT: "https://user:hush@collector/hush?key=hush"}, "https://collector"),
        ({ENDPOINT: "http://[::1]:4318"}, "http://[::1]:4318"),
        (
            {ENDPOINT: "http://a:1", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://b:2/v1/logs"},
            "http://a:1, http://b:2",
        ),
    ],
)
def test_the_collector_is_named_without_its_secrets(values: dict[str, str], shown: str) -> None:
    assert collector_of(ALL, values) == shown


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("", 10), ("2500", 2.5), ("x", 10), ("0", 10), ("-1", 10), ("inf", 10), ("nan", 10)],
)
def test_how_often_metrics_are_sent(value: str, seconds: float) -> None:
    assert metric_seconds({"OTEL_METRIC_EXPORT_INTERVAL": value}) == seconds
    assert metric_seconds({}) == 10


def test_open_telemetry_can_be_switched_off() -> None:
    assert is_disabled({"OTEL_SDK_DISABLED": " True "})
    assert not is_disabled({"OTEL_SDK_DISABLED": "1"})
    assert not is_disabled({})
