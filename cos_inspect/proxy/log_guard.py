"""Keeps secrets out of what the package logs.

An exception's text may repeat anything that was read when it was raised. Of a record that
was given a ``Redactor`` (``extra=about_secrets(redactor)``) the texts are shown masked, of others
only the exceptions' types and where they were raised.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from cos_inspect.inspection.redaction import Redactor

_PACKAGE = "cos_inspect"
_REDACTOR = "cos_redactor"
_AS_IS = "cos_as_is"
_LEFT_OUT = "(its text is left out, for it may hold a secret)"

AS_IS: Mapping[str, Any] = {_AS_IS: True}
"""``extra`` of a record that holds nothing of the traffic, but something to be copied whole."""


class LogGuard(logging.Filter):
    """Masks a record before any handler sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_on = True
        """As ``cos_redact`` says."""

    def install(self) -> None:
        """Puts the guard before every logger of the package, in place of an earlier one."""
        for logger in _loggers():
            for earlier in logger.filters[:]:
                if type(earlier).__name__ == type(self).__name__:
                    logger.removeFilter(earlier)
            logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Masks the record as it passes; always True."""
        if not self.is_on or getattr(record, _AS_IS, False):
            return True
        redactor = getattr(record, _REDACTOR, None)
        if isinstance(record.msg, str):
            try:
                record.msg = (redactor or Redactor()).text(record.getMessage())
            except Exception as fault:
                record.msg = f"a line of the log cannot be shown: {type(fault).__name__}"
            record.args = ()
        exception = record.exc_info[1] if record.exc_info else None
        if exception is not None:
            try:
                masked = _masked(exception, redactor, {})
                record.exc_info = (type(masked), masked, masked.__traceback__)
            except Exception:
                record.exc_info = None
                record.exc_text = type(exception).__name__
        return True


def about_secrets(redactor: Redactor | None) -> dict[str, Any]:
    """``extra`` of a record whose texts may hold the secrets that are known here."""
    return {_REDACTOR: redactor}


def _loggers() -> Iterator[logging.Logger]:
    """A filter of a logger is not asked about the records of its children."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.split(".", 1)[0] == _PACKAGE:
            yield logger


def _masked(
    exception: BaseException, redactor: Redactor | None, seen: dict[int, BaseException]
) -> BaseException:
    """Stands for an exception in a traceback: with its name and place, and without what its
    text may hold; so do those that it came from."""
    known = seen.get(id(exception))
    if known is not None:
        return known
    kind = type(exception)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    made: BaseException = type(kind.__name__, (Exception,), names)(_text(exception, redactor))
    seen[id(exception)] = made
    made.__traceback__ = exception.__traceback__
    if exception.__cause__ is not None:
        made.__cause__ = _masked(exception.__cause__, redactor, seen)
    elif exception.__context__ is not None:
        made.__context__ = _masked(exception.__context__, redactor, seen)
    made.__suppress_context__ = exception.__suppress_context__
    return made


def _text(exception: BaseException, redactor: Redactor | None) -> str:
    if redactor is None:
        return _LEFT_OUT
    try:
        return redactor.text(str(exception))
    except Exception:
        return _LEFT_OUT
