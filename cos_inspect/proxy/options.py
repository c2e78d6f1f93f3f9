"""The addon's options, and the settings that their values mean.

Every option is a string or a sequence of strings: mitmproxy 12 drops a script
addon without a word when a typed option gets a value it cannot read.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from mitmproxy import exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.options import Options
from mitmproxy.utils import human

from cos_inspect.report.directory import refusal_of
from cos_inspect.report.formats import FORMATS
from cos_inspect.rules.registry import RULE_IDS
from cos_inspect.settings.addon_options import OPTIONS, SEVERITIES, SHOWN, SIGNALS
from cos_inspect.settings.credentials import CredentialsError, read_credentials
from cos_inspect.telemetry.environment import TelemetryError, require

_SHOWN = 200
"""Characters of a wrong value that are shown, where it may be long."""
OPTION_NAMES = frozenset(name for name, *_ in OPTIONS)


class SecretKeys(dict[str, str]):
    """SecretKeys by SecretId, which show themselves nowhere."""

    def __repr__(self) -> str:
        return f"{len(self)} keys"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the options mean. ``stream_above`` is a body size in bytes, None: never stream."""

    report_dir: Path | None = Path("cos-reports")
    formats: tuple[str, ...] = ("json", "html")
    hosts: tuple[str, ...] = ()
    stream_above: int | None = 1024 * 1024
    redact: bool = True
    annotate: bool = True
    ignore: frozenset[str] = frozenset()
    fail_on: str = "never"
    show: str = "all"
    keys: SecretKeys = SecretKeys()
    otel: tuple[str, ...] = ()

    @property
    def most_copied(self) -> int:
        """Bytes up to which a body is kept although it is streamed, where it is no object's."""
        return self.stream_above or 1024 * 1024


def declare(loader: Loader) -> None:
    """Declares the options with mitmproxy."""
    for name, kind, default, text in OPTIONS:
        loader.add_option(name, kind, default, text)


def repeated(options: Options) -> Iterator[str]:
    """A line per option that was given twice and takes one value. mitmproxy drops a script
    for that without a word, as soon as it has declared the option."""
    for name, kind, *_ in OPTIONS:
        values = getattr(options.deferred.get(name), "val", ())
        if kind is str and len(values) > 1:
            yield f"{name}: given {len(values)} times ({', '.join(values)}); allowed: once"


def settings_of(options: Options) -> Settings:
    """Reads all options. OptionsError names option, value and what is allowed."""
    directory = options.cos_report_dir
    return Settings(
        report_dir=_directory(directory) if directory else None,
        formats=_formats(options.cos_report_format),
        hosts=_hosts(options.cos_hosts),
        stream_above=_size(options.cos_stream),
        redact=_flag("cos_redact", options.cos_redact),
        annotate=_flag("cos_annotate", options.cos_annotate),
        ignore=_rules(options.cos_ignore),
        fail_on=_one_of("cos_fail_on", options.cos_fail_on, SEVERITIES),
        show=_one_of("cos_show", options.cos_show, SHOWN),
        keys=_keys(options.cos_credentials),
        otel=_signals(options.cos_otel),
    )


def reaches(verdicts: Iterable[str], fail_on: str) -> bool:
    """Whether one of the verdicts is as bad as ``fail_on`` or worse."""
    if fail_on == "never":
        return False
    bad = SEVERITIES[SEVERITIES.index(fail_on) :]
    return any(verdict in bad for verdict in verdicts)


def _error(text: str) -> exceptions.OptionsError:
    error: exceptions.OptionsError = exceptions.OptionsError(text)  # type: ignore[no-untyped-call]
    return error


def _refused(name: str, value: object, allowed: str) -> exceptions.OptionsError:
    return _error(f"{name}: {value!r} is not allowed; allowed: {allowed}")


def _directory(value: str) -> Path:
    if "\0" in value:
        raise _refused("cos_report_dir", value, "a path without a zero byte")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise _refused("cos_report_dir", value, "the home of a user that exists") from None
    nearest = path
    try:
        os.fsencode(path)
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
    except (OSError, ValueError):
        # Too long, or not to be written as bytes.
        raise _refused("cos_report_dir", value[:_SHOWN], "a path that can be there") from None
    if not nearest.is_dir():
        raise _refused("cos_report_dir", value, f"a directory ({nearest} is not one)")
    if why := refusal_of(path):
        raise _error(f"cos_report_dir: {why}")
    return path


def _keys(value: str) -> SecretKeys:
    if not value:
        return SecretKeys()
    try:
        return SecretKeys(read_credentials(value))
    except CredentialsError as error:
        raise _error(f"cos_credentials: {error}") from None


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise _refused(name, value, ", ".join(allowed))
    return value


def _flag(name: str, value: str) -> bool:
    return _one_of(name, value, ("true", "false")) == "true"


def _formats(values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        _one_of("cos_report_format", value, FORMATS)
    return tuple(values)


def _hosts(values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if not value or "/" in value or any(sign.isspace() for sign in value):
            raise _refused("cos_hosts", value, "host patterns such as *.example.com")
    return tuple(value.lower() for value in values)


def _size(value: str) -> int | None:
    if value == "never":
        return None
    try:
        size = human.parse_size(value)
    except ValueError:
        size = None
    if size is None or size < 0:
        raise _refused("cos_stream", value, "a size such as 0, 512k, 1m or 2g, or never")
    return size


def _signals(values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        _one_of("cos_otel", value, SIGNALS)
    if values:
        try:
            require(values, os.environ)
        except TelemetryError as error:
            raise _error(f"cos_otel: {error}") from None
    return tuple(each for each in SIGNALS if each in values)


def _rules(values: Sequence[str]) -> frozenset[str]:
    for value in values:
        if value not in RULE_IDS:
            raise _refused("cos_ignore", value, ", ".join(sorted(RULE_IDS)))
    return frozenset(values)
