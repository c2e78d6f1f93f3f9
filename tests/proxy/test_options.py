"""Every wrong value is refused in one line that names option, value and what is allowed."""

from pathlib import Path

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from cos_inspect.proxy.inspector import CosInspect
from cos_inspect.proxy.options import OPTION_NAMES, Settings, reaches, settings_of


def _settings(**values: object) -> Settings:
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.options.update(**values)
        return settings_of(context.options)


def test_the_defaults() -> None:
    assert _settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("cos_report_format", ["pdf"], "json, jsonl"),
        ("cos_stream", "abc", "never"),
        ("cos_stream", "-1", "never"),
        ("cos_stream", "", "never"),
        ("cos_redact", "True", "true, false"),
        ("cos_annotate", "", "true, false"),
        ("cos_ignore", ["etag"], "etag-mismatch"),
        ("cos_fail_on", "fatal", "never, notice, warning, error"),
        ("cos_hosts", ["https://x"], "patterns"),
        ("cos_hosts", [""], "patterns"),
        ("cos_otel", ["metrics", "spans"], "metrics, logs, traces"),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: object, allowed: str) -> None:
    with taddons.context(CosInspect()) as context:
        with pytest.raises(exceptions.OptionsError) as refused:
            context.options.update(**{name: value})
        text = str(refused.value)
        wrong = value[-1] if isinstance(value, list) else value
        assert name in text
        assert repr(wrong) in text
        assert allowed in text
        assert "\n" not in text
        assert settings_of(context.options) == Settings()


def test_a_file_is_no_report_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(exceptions.OptionsError, match="cos_report_dir"):
        _settings(cos_report_dir=str(tmp_path / "file" / "reports"))


@pytest.mark.parametrize("value", ["a" * 300, "/".join(["a" * 200] * 50), "a\ud800", "a\0b"])
@pytest.mark.parametrize("name", ["cos_report_dir", "cos_credentials", "cos_stream"])
def test_what_no_system_takes_is_refused(name: str, value: str) -> None:
    """Another exception would leave the value in its place, and no option would be heeded."""
    with taddons.context(CosInspect()) as context:
        with pytest.raises(exceptions.OptionsError, match=name):
            context.options.update(**{name: value})
        assert settings_of(context.options) == Settings()


def test_a_missing_file_of_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(exceptions.OptionsError, match=r"cos_credentials.*keys\.ini"):
        _settings(cos_credentials=str(tmp_path / "keys.ini"))


def test_keys_are_read_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys.ini"
    file.write_text("[one]\nsecret_id = AKIDone\nsecret_key = hush\n")
    file.chmod(0o600)
    settings = _settings(cos_credentials=str(file))
    assert settings.keys["AKIDone"] == "hush"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("value", "size"), [("0", 0), ("512k", 512 * 1024), ("2m", 2 << 20), ("never", None)]
)
def test_sizes(value: str, size: int | None) -> None:
    assert _settings(cos_stream=value).stream_above == size


def test_no_directory_means_no_reports() -> None:
    assert _settings(cos_report_dir="").report_dir is None


def test_every_option_is_text_or_a_sequence_of_texts() -> None:
    # mitmproxy drops a script addon without a word for a bad value of any other type.
    with taddons.context(CosInspect()) as context:
        for name in OPTION_NAMES:
            default = context.options.default(name)
            assert isinstance(default, str) or all(isinstance(item, str) for item in default)


@pytest.mark.parametrize(
    ("fail_on", "verdicts", "expected"),
    [
        ("never", ["error"], False),
        ("error", ["warning", "ok"], False),
        ("error", ["error"], True),
        ("warning", ["error"], True),
        ("warning", ["notice"], False),
        ("notice", ["notice"], True),
        ("notice", [], False),
    ],
)
def test_what_counts_as_failure(fail_on: str, verdicts: list[str], expected: bool) -> None:
    assert reaches(verdicts, fail_on) is expected


def test_signals_are_in_one_order_and_once() -> None:
    assert _settings(cos_otel=["traces", "metrics", "traces"]).otel == ("metrics", "traces")
    assert _settings().otel == ()


def test_what_telemetry_lacks_is_told_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert _settings().otel == ()
    with pytest.raises(exceptions.OptionsError) as refused:
        _settings(cos_otel=["logs"])
    assert str(refused.value) == (
        "cos_otel: OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; allowed: http/protobuf"
    )
