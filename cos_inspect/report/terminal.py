"""What is said in the terminal of single flows, transfers, tries and connections.

Plain text for logs and files; with a width and colours for a terminal.
"""

import logging
import re
from collections.abc import Iterator, Mapping

from rich.cells import cell_len

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import FlowReport, Verdict
from cos_inspect.model.summary import RetryChain, TransferSummary
from cos_inspect.report.by_proxy import by_proxy
from cos_inspect.report.terminal_text import one_line, paint, size_text, within, wrapped
from cos_inspect.report.verified import verified

_LAST_PARENTHESIS = re.compile(r"\(([^()]{1,200})\)\.?$")
_COLOURS = {"ok": "32", "notice": "36", "warning": "33;1", "error": "31;1"}
_DIM = "2"
_OPERATION = 23
"""Columns of the longest names of operations that are seen often."""
_NARROWEST_PLACE = 16
_NARROWEST = 32
"""Columns; a smaller window is taken to be this wide."""


def level_of(report: FlowReport) -> int:
    """The log level of a flow's line. Never ERROR: while a capture is read, that ends
    mitmdump."""
    return logging.WARNING if report.verdict in ("warning", "error") else logging.INFO


def moved_bytes(report: FlowReport) -> int | None:
    """The size of the body that the flow was about."""
    request = report.request.body
    inner = request.payload.size if request.payload else None
    sent = inner if inner is not None else request.size
    got = report.response.body.size if report.response else 0
    if sent is None or got is None:
        return sent or got
    return max(sent, got)


def place_of(report: FlowReport) -> str:
    """Bucket and key, or the host and path where no bucket is known."""
    cos = report.cos
    if cos.bucket is None:
        return report.request.url.partition("://")[2].partition("?")[0]
    return f"{cos.bucket}/{cos.key}" if cos.key is not None else cos.bucket


def flow_line(report: FlowReport, *, width: int | None = None, colour: bool = False) -> str:
    """Time (UTC), verdict, operation, status, size, bucket and key; then a line per finding.

    ``width``: columns of the terminal, None: nothing is cut or wrapped.
    """
    status = str(report.response.status) if report.response else "---"
    clock, verdict = f"{report.started[11:19]}Z" if report.started else "--:--:--Z", report.verdict
    operation = one_line(report.cos.operation)
    size = size_text(moved_bytes(report))
    place = one_line(place_of(report))
    start = f"{clock} COS {verdict:7} "
    rest = f"{operation:{_OPERATION}} {status:>3} {size:>10} "
    about = one_line(_about(report))
    if width is not None:
        width = max(width, _NARROWEST)
        room = width - cell_len(start + rest)
        if room >= _NARROWEST_PLACE:
            place = _place_within(report, place, room)
        else:
            short = within(f"{operation} {status} {size}", max(width - len(start), 8))
            rest, place = f"{short}\n    ", within(place, width - 4)
    if colour:
        start = f"{paint(_DIM, f'{clock} COS')} {paint(_COLOURS[verdict], f'{verdict:7}')} "
    lines = [f"{start}{rest}{place}"]
    if about:
        plain = f"{clock} COS {verdict:7} {rest}{place}".rpartition("\n")[2]
        if width is None or cell_len(f"{plain}  {about}") <= width:
            lines[0] += f"  {about}"
        else:
            lines += wrapped(about, width, 4, 6)
    for line in _by_proxy(report):
        lines += wrapped(one_line(line), width, 4, 6)
    for finding in report.findings:
        severity = finding.severity.value
        text = one_line(f"{severity}: {finding.rule}: {finding.detail}")
        first, *later = wrapped(text, width, 4, 6)
        if colour and first.startswith(f"    {severity}:"):
            first = f"    {paint(_COLOURS[severity], severity)}{first[4 + len(severity) :]}"
        lines += [first, *later]
    return "\n".join(lines)


def _about(report: FlowReport) -> str:
    """What was verified of a flow that is fine; the number, code and request id of one that is
    not."""
    if report.verdict == "ok":
        return verified(report.checks)
    if report.verdict == "notice":
        return f"#{report.sequence}" if report.sequence else ""
    code = report.error.code if report.error else None
    parts = (
        f"#{report.sequence}" if report.sequence else None,
        code,
        f"request id {report.ids.request_id}" if report.ids.request_id else None,
    )
    return " ".join(part for part in parts if part)


class StoryLines:
    """Lines of flows in order, but for failed tries after which another one came through: these
    stand below that one, a line each."""

    def __init__(self, *, width: int | None = None) -> None:
        self._width = width
        self._lines: list[tuple[Verdict, str]] = []
        self._healed: dict[str, str] = {}

    def add(self, report: FlowReport, line: str) -> None:
        """``line`` is what ``flow_line`` says."""
        if report.is_healed:
            self._healed[report.flow_id] = _try_line(report, self._width)
            return
        earlier = report.transfer.earlier_tries if report.transfer else ()
        below = [self._healed.pop(flow) for flow in earlier if flow in self._healed]
        self._lines.append((report.verdict, "\n".join((line, *below))))

    def all(self) -> list[str]:
        """Those whose last try is not among them come at the end."""
        return [line for _, line in self.by_verdict()]

    def by_verdict(self) -> list[tuple[Verdict, str]]:
        """The same, each with the verdict of its flow; a healed try is a notice."""
        healed: list[tuple[Verdict, str]] = [("notice", line) for line in self._healed.values()]
        return [*self._lines, *healed]


def _try_line(report: FlowReport, width: int | None) -> str:
    """A failed try in one sentence, to stand below the one that came through."""
    clock = f"{report.started[11:19]}Z" if report.started else "unknown time"
    attempt = report.transfer.attempt if report.transfer else None
    said = "; ".join(f"{finding.rule}: {finding.detail}" for finding in report.findings)
    status = str(report.response.status) if report.response else "no answer"
    text = one_line(
        f"before it, try {attempt} at {clock}, flow {report.sequence}: {status}. {said}".rstrip()
    )
    return "\n".join(wrapped(text, max(width, _NARROWEST) if width else None, 4, 6))


def transfer_line(transfer: TransferSummary) -> str:
    """A transfer that is over: verdict, kind, state, parts, size, time, place; then a line per
    finding."""
    facts = [f"{transfer.parts} parts" if transfer.parts else "", size_text(transfer.size)]
    if transfer.duration_ms is not None:
        facts.append(f"{transfer.duration_ms / 1000:.1f} s")
    if transfer.bytes_sent_twice:
        facts.append(f"{size_text(transfer.bytes_sent_twice)} sent twice")
    place = f"{transfer.bucket}/{transfer.key}" if transfer.key is not None else transfer.bucket
    told = one_line(verified(transfer.checks))
    line = (
        f"COS {transfer.verdict:7} {transfer.kind} {transfer.state}:"
        f" {one_line(place or transfer.id)}, {', '.join(fact for fact in facts if fact)}"
    )
    lines = [f"{line}  {told}" if told else line]
    for finding in transfer.findings:
        text = f"{finding.severity.value}: {finding.rule}: {finding.detail}"
        lines += wrapped(one_line(text), None, 4, 6)
    return "\n".join(lines)


def retry_line(chain: RetryChain) -> str:
    """A request that came through, or did not, after more than one try."""
    place = f"{chain.bucket}/{chain.key}" if chain.key is not None else chain.bucket
    how = "came through" if chain.succeeded else "failed each time"
    return one_line(
        f"COS {'notice' if chain.succeeded else 'error':7} {chain.operation} {how} after"
        f" {len(chain.flows)} tries: {place or ''}, {chain.time_lost_ms / 1000:.1f} s lost"
        f" ({', '.join(chain.causes)})"
    )


def _by_proxy(report: FlowReport) -> Iterator[str]:
    """That the proxy answered or ended a flow: of COS there is nothing to be said then."""
    told = by_proxy(report)
    if told is not None:
        yield f"{told.did} by this proxy: {told.by}" + (f": {told.why}" if told.why else "")


def trouble_line(trouble: ConnectionFailureSummary, sentence: str) -> str:
    """What failed on a connection, and what mitmproxy says to it."""
    what = trouble.failed
    if trouble.findings:
        finding = trouble.findings[0]
        what = f"{finding.severity.value}: {finding.rule}"
    line = f"COS connection {what}: {sentence}"
    if trouble.detail and trouble.failed.startswith("upstream"):
        line += f" ({trouble.detail})"
    elif said := _LAST_PARENTHESIS.search(trouble.detail or ""):
        line += f" ({said[1]})"
    return one_line(line)


def advice_lines(fix: str | None, by_platform: Mapping[str, str]) -> str:
    """What to do about it, a line each, to stand below."""
    lines = [fix] if fix else []
    lines += [f"{platform}: {advice}" for platform, advice in by_platform.items()]
    return "".join(f"\n    {one_line(line)}" for line in lines)


def _place_within(report: FlowReport, place: str, room: int) -> str:
    """Of a place that is too long the bucket goes first, then the middle of the key."""
    if cell_len(place) > room and report.cos.bucket and report.cos.key:
        place = f"…/{one_line(report.cos.key)}"
    return within(place, room)
