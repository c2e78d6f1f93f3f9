"""What mitmproxy takes for a failure while it starts.

Until it runs it counts log records of the level ERROR, and ends when there was one. A capture
that it reads may be through by then, and so may be the first flows.
"""

import logging
from typing import Any

from mitmproxy import ctx

REFUSAL = {"cos_refusal": True}
"""``extra`` of a record that is meant to end the start."""


def spare_startup() -> None:
    """Has trouble of ours leave the proxy alone: it goes on without reports rather than end."""
    check: Any = ctx.master.addons.get("errorcheck")  # type: ignore[no-untyped-call]
    handler = getattr(check, "logger", None)
    if isinstance(handler, logging.Handler) and _is_counted not in handler.filters:
        handler.addFilter(_is_counted)


def show_comments() -> None:
    """Has mitmweb's list show the comment, whose first line says what was found, unless a
    person has chosen other columns."""
    given: Any = ctx.options
    if "web_columns" not in given or given.has_changed("web_columns"):
        return
    if "comment" not in given.web_columns:
        given.update(web_columns=[*given.web_columns, "comment"])


def _is_counted(record: logging.LogRecord) -> bool:
    ours = record.name.partition(".")[0] == "cos_inspect"
    return not ours or getattr(record, "cos_refusal", False)
