"""Looks again at a flow that is over: after it was edited, or when its report is forgotten."""

from collections.abc import Callable

from mitmproxy import flow, http

from cos_inspect.cos.cos_exchange import find_endpoint
from cos_inspect.exchange import Body, Exchange
from cos_inspect.proxy import annotations
from cos_inspect.proxy.flows import exchange_of, headers_of, request_place
from cos_inspect.proxy.options import Settings
from cos_inspect.proxy.reporting import Reporting
from cos_inspect.proxy.watch import Watch
from cos_inspect.report.model import FlowReport


class Again:
    """What content view and commands ask for. ``settings`` are those of now."""

    def __init__(self, reporting: Reporting, catch_up: Callable[[], None] = lambda: None) -> None:
        self._reporting = reporting
        self._catch_up = catch_up
        """Has flows reported that are over."""
        self.settings = Settings()

    def summary_text(self) -> str:
        """What the run has seen so far, in a few lines."""
        self._catch_up()
        return self._reporting.summary_text()

    def report_of(self, asked: flow.Flow | None) -> FlowReport | None:
        """The report of a flow, from memory, or made again from what the flow holds, as
        where a person edited it; None for a flow that is under way, or is no COS traffic."""
        if not isinstance(asked, http.HTTPFlow):
            return None
        self._catch_up()
        known = self._reporting.report_of(asked.id)
        if known is not None and not asked.modified():  # type: ignore[no-untyped-call]
            return known
        if not _is_over(asked):
            return None
        found = _exchange(asked, self.settings)
        return None if found is None else self._reporting.judge_again(found[0])

    def recheck(self, asked: flow.Flow) -> FlowReport | None:
        """Judges a flow by what it holds now, alone, without the flows around it, and renews
        its marker and comment, unless a person set them. Nothing is written to the reports."""
        if not isinstance(asked, http.HTTPFlow) or not _is_over(asked):
            return None
        self._catch_up()
        found = _exchange(asked, self.settings)
        if found is None:
            return None
        exchange, request_body, response_body = found
        report = self._reporting.judge_again(exchange)
        if report is not None:
            annotations.leave(
                asked,
                report,
                visibly=self.settings.annotate,
                request_body=request_body,
                response_body=response_body,
            )
            self._reporting.remember(report)
        return report


def _is_over(asked: http.HTTPFlow) -> bool:
    return not asked.live and (asked.response is not None or asked.error is not None)


def _exchange(
    asked: http.HTTPFlow, settings: Settings
) -> tuple[Exchange, Body, Body | None] | None:
    """The flow as plain data, with the facts of its bodies; None when it is not COS traffic."""
    request_headers = headers_of(asked.request)
    response_headers = headers_of(asked.response) if asked.response else None
    host = request_place(asked.request)[0]
    endpoint = find_endpoint(
        host, asked.request.path, request_headers, response_headers, settings.hosts
    )
    if endpoint is None:
        return None
    watch = Watch(asked, request_headers, endpoint)
    watch.response_headers = response_headers
    request_body, response_body = watch.request_body(), watch.response_body()
    exchange = exchange_of(
        asked,
        request_headers=request_headers,
        response_headers=response_headers,
        request_body=request_body,
        response_body=response_body,
    )
    return exchange, request_body, response_body
