"""The tables of what is sent."""

from cos_inspect.settings.addon_options import SIGNALS
from cos_inspect.telemetry.signals import LOG_ATTRIBUTES, METRICS, SPAN_ATTRIBUTES


def test_names_are_unique() -> None:
    for names in (
        [metric.name for metric in METRICS],
        [name for name, _ in LOG_ATTRIBUTES],
        [name for name, _ in SPAN_ATTRIBUTES],
    ):
        assert len(set(names)) == len(names)


def test_no_metric_has_an_attribute_without_limit() -> None:
    unbounded = ("key", "_id", "url.", "client.address", "user_agent")
    for metric in METRICS:
        for name in metric.attributes:
            assert not any(part in name for part in unbounded), name


def test_the_signals_of_the_option() -> None:
    assert SIGNALS == ("metrics", "logs", "traces")
