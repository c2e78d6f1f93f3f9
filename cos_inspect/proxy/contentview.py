"""The content view ``COS``: what was found out about a flow, above its body.

mitmproxy chooses it by itself where a warning or an error was found, because
there people look for the reason; elsewhere the view that fits the body best
stays, and this one is in the list. mitmproxy asks no view where a body is
missing, as after streaming: there the comment tells.
"""

import dataclasses
import logging
from typing import override

from mitmproxy import contentviews, http
from mitmproxy.contentviews import Contentview, Metadata, SyntaxHighlight

from cos_inspect.inspection.flow_text import flow_text
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.proxy import annotations
from cos_inspect.proxy.flow_secrets import redactor_of
from cos_inspect.proxy.recheck import Recheck
from cos_inspect.report.terminal_text import size_text

logger = logging.getLogger(__name__)

_ABOVE_ALL = 3.0
"""The views of mitmproxy have 2 at most."""
_BELOW_ALL = -1.0
_LONGEST_TEXT = 64 * 1024
"""Bytes of a body that are made readable; of a longer one the beginning is shown. mitmproxy asks
on the event loop, and of hostile markup its own views take some 7 us a byte."""
_LONGEST_SHOWN = 16 * _LONGEST_TEXT
"""Characters that a view makes of it."""
_BINARY = ("hex dump", "hex stream")
_NOT_ASKED = frozenset({"wbxml"})
"""Views whose time grows with the square of the body and beyond: of 64 KiB that one takes a
minute."""
_LONGEST_BINARY = 4096


class CosContentview(Contentview):
    """Never raises: what goes wrong is said in the view."""

    def __init__(self, recheck: Recheck) -> None:
        self._recheck = recheck

    @property
    @override
    def name(self) -> str:
        return "COS"

    @property
    @override
    def syntax_highlight(self) -> SyntaxHighlight:
        return "yaml"

    @override
    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow) or metadata.http_message is None:
            return _BELOW_ALL
        found = annotations.saved(flow).get("verdict") in ("warning", "error")
        return _ABOVE_ALL if found else _BELOW_ALL

    @override
    def prettify(self, data: bytes, metadata: Metadata) -> str:
        try:
            text = f"{self._summary(metadata)}\n\n{self._body(data, metadata)}"
            # mitmweb shows no empty lines.
            return text.replace("\n\n", "\n \n")
        except Exception as fault:
            logger.debug("the COS view failed", exc_info=True)
            return f"The COS view failed: {type(fault).__name__}"

    def _summary(self, metadata: Metadata) -> str:
        flow = metadata.flow
        report = self._recheck.report_of(flow)
        if report is None:
            under_way = isinstance(flow, http.HTTPFlow) and flow.live and not flow.error
            return "COS: still under way." if under_way else "This is no COS traffic."
        text = flow_text(report)
        page = self._recheck.page_of(report.flow_id)
        if page is not None:
            text = f"{text}\n\npage: {page}"
        if flow is not None and flow.modified():  # type: ignore[no-untyped-call]
            text = f"{text}\n\nThe flow was edited; this is about what it holds now."
        return text

    def _body(self, data: bytes, metadata: Metadata) -> str:
        side = "request" if isinstance(metadata.http_message, http.Request) else "response"
        title = f"body of the {side}"
        if not data:
            return f"{title}: empty"
        shown = data[:_LONGEST_TEXT]
        redactor = _redactor(metadata) if self._recheck.settings.redact else None
        if redactor is not None:
            # Before it is laid out, for a view may encode, cut or wrap what it shows.
            text = shown.decode("utf-8", "surrogateescape")
            shown = redactor.text(text).encode("utf-8", "surrogateescape")
        metadata = _with_content(metadata, shown)
        view = _best_view(shown, metadata)
        longest = _LONGEST_TEXT
        if view.name.lower() in _BINARY and len(shown) > _LONGEST_BINARY:
            longest = _LONGEST_BINARY
            shown = shown[:longest]
            metadata = _with_content(metadata, shown)
        try:
            text = view.prettify(shown, metadata)
        except Exception:
            view = contentviews.registry["raw"]
            text = view.prettify(shown, metadata)
        if redactor is not None:
            # And after it, for a view may decode.
            text = redactor.text(text)
        about = f"{size_text(len(data))}, shown as {view.name}"
        if len(data) > longest:
            about += f", the first {size_text(longest)}"
        return f"{title}: {about}\n\n{text}"


def _best_view(data: bytes, metadata: Metadata) -> Contentview:
    """The view that mitmproxy would choose, were this one not there, nor one that may hang."""
    best: Contentview = contentviews.registry["raw"]
    highest = 0.0
    for view in contentviews.registry.values():
        if isinstance(view, CosContentview) or view.name.lower() in _NOT_ASKED:
            continue
        try:
            priority = view.render_priority(data, metadata)
        except Exception:
            continue
        if priority > highest:
            best, highest = view, priority
    return best


def _with_content(metadata: Metadata, content: bytes) -> Metadata:
    """For views that look at the message and not at the bytes that they are given."""
    message = metadata.http_message
    if not isinstance(message, http.Message):
        return metadata
    message = message.copy()
    message.headers.pop("content-encoding", None)
    message.raw_content = content
    return dataclasses.replace(metadata, http_message=message)


def _redactor(metadata: Metadata) -> Redactor:
    flow = metadata.flow
    if isinstance(flow, http.HTTPFlow):
        return redactor_of(flow, longest=_LONGEST_SHOWN, most_read=_LONGEST_TEXT)
    return Redactor(longest=_LONGEST_SHOWN)
