"""What is left on a flow: its marker, its comment, and metadata that survives saving.

The metadata holds plain data with a version (``recording/flow_metadata.py`` reads it again): the
facts of bodies that were streamed and are gone, and what was set, to tell it from a person's.
"""

from functools import lru_cache
from typing import Any

from mitmproxy import http

from cos_inspect.model.exchange import Body
from cos_inspect.model.flow_report import BodyReport, Finding, FlowReport, Severity, Verdict
from cos_inspect.model.plain_text import escaped
from cos_inspect.recording.flow_metadata import METADATA_KEY, METADATA_VERSION, saved_data
from cos_inspect.report.verified import verified
from cos_inspect.rules.error import ERROR_RESPONSE

MARKERS: dict[Verdict, str] = {
    "ok": ":green_circle:",
    "notice": ":large_blue_circle:",
    "warning": ":orange_circle:",
    "error": ":red_circle:",
}


def saved(flow: http.HTTPFlow) -> dict[str, Any]:
    """What an earlier run left on the flow; empty when nothing readable is there, or when
    the request was sent again since."""
    return saved_data(flow.metadata, flow.request.timestamp_start)


def forget(flow: http.HTTPFlow) -> None:
    """A replayed flow is the same object, with the metadata of its first run."""
    before = flow.metadata.get(METADATA_KEY)
    if isinstance(before, dict):
        if flow.marked == before.get("marker"):
            flow.marked = ""
        if flow.comment == before.get("comment"):
            flow.comment = ""
        del flow.metadata[METADATA_KEY]


def comment_of(report: FlowReport, page: str | None = None) -> str:
    """The first line says it all, and begins with the cause, or with what was verified, for
    mitmweb's column shows some 18 signs of it; then the address of the flow's page, where it has
    one; each finding follows on a line of its own, the worst first."""
    if not (report.findings or report.error or report.is_healed):
        first = _first_of_fine(report.verdict, report.cos.operation, verified(report.checks))
        return first if page is None else f"{first}\n{page}"
    about = f"COS {report.verdict}: {report.cos.operation}"
    begin = ", ".join(_causes(report)) or verified(report.checks)
    first = f"{begin} ({about})" if begin else about
    if report.is_healed:
        first = f"{first}, healed by a later try"
    lines = [escaped(first)] if page is None else [escaped(first), page]
    return "\n".join([*lines, *(f"{one.rule}: {escaped(one.detail)}" for one in _ranked(report))])


@lru_cache(maxsize=512)
def _first_of_fine(verdict: Verdict, operation: str, checked: str) -> str:
    """The same of a flow without findings."""
    about = f"COS {verdict}: {operation}"
    return escaped(f"{checked} ({about})" if checked else about)


def _causes(report: FlowReport) -> list[str]:
    """The code of COS and the rules, the most telling first: damage before what COS said of
    the request, that before what follows from it."""
    ranked = _ranked(report)
    rules = [finding.rule for finding in ranked]
    code = report.error.code if report.error else None
    if code and rules:
        rules = [rule for rule in rules if rule != ERROR_RESPONSE.id]
        damaged = ranked[0].group == "integrity"
        rules.insert(1 if damaged else 0, code)
    return list(dict.fromkeys(rules))


def _ranked(report: FlowReport) -> list[Finding]:
    return sorted(report.findings, key=lambda finding: -Severity(finding.severity).rank)


def write(
    flow: http.HTTPFlow,
    report: FlowReport,
    *,
    visibly: bool,
    request_body: Body | None,
    response_body: Body | None,
    received: dict[str, Any] | None = None,
    stopped: bool = False,
    page: str | None = None,
) -> None:
    """Stores what was learned; ``visibly``: sets marker and comment as well, unless a
    person did; ``page`` is the address of the flow's page. A body is None where there is
    none, or where it is still to come. ``received``: what came and the flow does not hold;
    ``stopped``: the proxy ended before the flow did."""
    before = saved(flow)
    data: dict[str, Any] = {
        "version": METADATA_VERSION,
        "started": flow.request.timestamp_start,
        "verdict": report.verdict,
        "operation": report.cos.operation,
        "findings": [finding.rule for finding in report.findings],
    }
    if request_body is not None:
        data["request_body"] = _plain(request_body, report.request.body)
    if response_body is not None and report.response is not None:
        data["response_body"] = _plain(response_body, report.response.body)
    if received is not None:
        data["received"] = received
    if stopped:
        data["proxy_stopped"] = True
    if visibly:
        data |= {name: before[name] for name in ("marker", "comment") if name in before}
        _show(flow, report, data, page)
    flow.metadata[METADATA_KEY] = data


def revise(
    flow: http.HTTPFlow, report: FlowReport, *, visibly: bool, page: str | None = None
) -> None:
    """Puts a later verdict in the place of an earlier one; the bodies' facts stay."""
    data = dict(saved(flow))
    if not data:
        return
    data["verdict"] = report.verdict
    data["findings"] = [finding.rule for finding in report.findings]
    if visibly:
        _show(flow, report, data, page)
    flow.metadata[METADATA_KEY] = data


def _show(flow: http.HTTPFlow, report: FlowReport, data: dict[str, Any], page: str | None) -> None:
    """Sets marker and comment, unless a person did; ``data`` remembers what was set."""
    marker, comment = MARKERS[report.verdict], comment_of(report, page)
    if flow.marked in ("", data.pop("marker", None)):
        flow.marked = data["marker"] = marker
    if flow.comment in ("", data.pop("comment", None)):
        flow.comment = data["comment"] = comment


def _plain(body: Body, shown: BodyReport) -> dict[str, Any]:
    """Facts without bytes: a form's fields and an error's text may hold secrets. ``shown``: the
    same body in the report, whose texts are masked."""
    facts: dict[str, Any] = {
        "end": body.end.value,
        "size": body.size,
        "md5": body.md5,
        # As text: saved flows hold no integers beyond 64 bits signed in every version.
        "crc64": None if body.crc64 is None else str(body.crc64),
    }
    payload = body.payload
    if payload is not None:
        facts["payload"] = {
            "kind": payload.kind.value,
            "size": payload.size,
            "md5": payload.md5,
            "crc64": None if payload.crc64 is None else str(payload.crc64),
            "complete": payload.complete,
            "problem": shown.payload.problem if shown.payload else None,
        }
    return facts
