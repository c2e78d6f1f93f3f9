"""The addon's own formatter in mitmdump's log handler."""

import io
import logging
import os

import pytest
from mitmproxy import ctx
from mitmproxy.addons import termlog
from mitmproxy.log import MitmFormatter
from mitmproxy.test import taddons

from cos_inspect.proxy.terminal_log import FlowFormatter, FlowMessage, TerminalLog
from tests.report.build import finding, flow_report


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def _record(message: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.WARNING, "x", 1, message, (), None)


def _printed(file: io.StringIO, monkeypatch: pytest.MonkeyPatch, columns: int = 90) -> list[str]:
    """What mitmdump's handler prints of a flow and of another line."""
    size = os.terminal_size((columns, 24))
    monkeypatch.setattr("os.get_terminal_size", lambda _: size)
    log = termlog.TermLog(out=file)
    try:
        with taddons.context(log):
            addon = TerminalLog()
            addon.load()
            for message in (FlowMessage([flow_report(findings=[finding()])]), "another line"):
                log.logger.emit(_record(message))
            addon.done()
            assert isinstance(log.logger.formatter, MitmFormatter)
    finally:
        log.uninstall()
    return file.getvalue().splitlines()


def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    first, second, other = _printed(_Terminal(), monkeypatch)
    assert "\x1b[31;1merror  \x1b[0m" in first
    assert second.startswith("    \x1b[31;1merror\x1b[0m: etag-mismatch")
    assert "\x1b[33m" in other


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("\x1b" in line for line in _printed(_Terminal(), monkeypatch))


def test_no_colours_and_nothing_cut_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    first, second, other = _printed(io.StringIO(), monkeypatch, columns=20)
    assert first.startswith("10:00:00Z COS error   PutObject")
    assert first.endswith("/a.txt")
    assert second == "    error: etag-mismatch: d"
    assert other.endswith("] another line")


def test_other_handlers_get_plain_text() -> None:
    text = MitmFormatter(colorize=False).format(_record(FlowMessage([flow_report()])))
    assert text.endswith("examplebucket-1250000000/a.txt")
    assert "\x1b" not in text


def test_without_mitmdumps_handler_nothing_is_changed() -> None:
    with taddons.context():
        assert ctx.master.addons.lookup.get("termlog") is None
        addon = TerminalLog()
        addon.load()
        addon.done()


def test_the_formatter_of_before_formats_the_rest() -> None:
    before = logging.Formatter("before %(message)s")
    formatter = FlowFormatter(before, io.StringIO(), colour=True)
    assert formatter.format(_record("x")) == "before x"
    assert "\x1b" in formatter.format(_record(FlowMessage([flow_report()])))
