"""How mitmdump prints this addon's lines: aligned to the window, with colours by verdict.

The lines go through logging, so that mitmweb's and the console's event logs
have them as well; only mitmdump's own handler is given another formatter.
"""

import logging
import os
from collections.abc import Sequence
from typing import IO, Any, override

from mitmproxy import ctx, log

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.terminal import flow_line


class FlowMessage:
    """What is logged of flows: their lines as plain text, made when a handler asks for them.

    One record may tell of several, since mitmproxy wakes every addon for each record.
    """

    def __init__(self, reports: Sequence[FlowReport]) -> None:
        self._reports = reports
        self._text: str | None = None

    def __str__(self) -> str:
        if self._text is None:
            self._text = self.lines(None, colour=False)
        return self._text

    def lines(self, width: int | None, *, colour: bool) -> str:
        """The lines of all its flows, laid out for ``width`` columns; None: nothing is cut."""
        return "\n".join(
            [flow_line(report, width=width, colour=colour) for report in self._reports]
        )


class FlowFormatter(logging.Formatter):
    """Lays out flows for the window as it is now; all else is left to the formatter before."""

    def __init__(self, before: logging.Formatter, file: IO[str], *, colour: bool) -> None:
        super().__init__()
        self.before = before
        self._file = file
        self._colour = colour

    @override
    def format(self, record: logging.LogRecord) -> str:
        message = record.msg
        if not isinstance(message, FlowMessage):
            return self.before.format(record)
        width = columns(self._file)
        if width is None and not self._colour:
            return str(message)
        return message.lines(width, colour=self._colour)


class TerminalLog:
    """Changes mitmdump's log handler, and changes it back."""

    def __init__(self) -> None:
        self._replaced: tuple[logging.Handler, logging.Formatter] | None = None

    def load(self) -> None:
        """mitmproxy's hook, when the script is loaded: puts the formatter in place."""
        handler = _handler()
        if handler is None or handler.formatter is None:
            return
        plain = bool(os.environ.get("NO_COLOR"))
        before = log.MitmFormatter(colorize=False) if plain else handler.formatter
        colour = bool(getattr(handler, "has_vt_codes", False)) and not plain
        self._replaced = handler, handler.formatter
        handler.setFormatter(FlowFormatter(before, handler.file, colour=colour))

    def done(self) -> None:
        """mitmproxy's hook, when the script goes: puts the formatter of before back."""
        if self._replaced is not None:
            handler, formatter = self._replaced
            handler.setFormatter(formatter)
            self._replaced = None


def columns(file: IO[str]) -> int | None:
    """The width of the window that a file is shown in; None when it is no terminal."""
    try:
        return os.get_terminal_size(file.fileno()).columns if file.isatty() else None
    except (OSError, ValueError):
        return None


def _handler() -> Any:
    """mitmdump's log handler; None in mitmproxy's console, and where it is not as known."""
    handler = getattr(ctx.master.addons.lookup.get("termlog"), "logger", None)
    return handler if hasattr(handler, "file") and hasattr(handler, "setFormatter") else None
