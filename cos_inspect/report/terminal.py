"""What is said in the terminal: a line per flow, what was found below it, a summary at the end.

Plain text for logs and files; with a width and colours for a terminal. Columns
are counted as a terminal does, where a Chinese character takes two.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size

from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import FlowReport, Verdict
from cos_inspect.model.summary import Lost, RetryChain, TransferSummary
from cos_inspect.report.by_proxy import by_proxy
from cos_inspect.report.verified import verified

_LAST_PARENTHESIS = re.compile(r"\(([^()]{1,200})\)\.?$")
_COLOURS = {"ok": "32", "notice": "36", "warning": "33;1", "error": "31;1"}
_DIM = "2"
_OPERATION = 23
"""Columns of the longest names of operations that are seen often."""
_NARROWEST_PLACE = 16
_NARROWEST = 32
"""Columns; a smaller window is taken to be this wide."""
_MOST_RULES = 8
_MOST_CAPTURES = 5
_PLAIN = ("mitm", "har")
"""Formats of captures of which nothing is said where they lack nothing."""
_NONE: Mapping[str, int] = {}
_SEVERITIES = ("error", "warning", "notice", "ok")


def level_of(report: FlowReport) -> int:
    """The log level of a flow's line. Never ERROR: while a capture is read, that ends
    mitmdump."""
    return logging.WARNING if report.verdict in ("warning", "error") else logging.INFO


def size_text(size: int | None) -> str:
    """Bytes in words: ``16 B``, ``3.0 MiB``; ``?`` where they are not known."""
    if size is None:
        return "?"
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"


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
            short = _within(f"{operation} {status} {size}", max(width - len(start), 8))
            rest, place = f"{short}\n    ", _within(place, width - 4)
    if colour:
        start = f"{_paint(_DIM, f'{clock} COS')} {_paint(_COLOURS[verdict], f'{verdict:7}')} "
    lines = [f"{start}{rest}{place}"]
    if about:
        plain = f"{clock} COS {verdict:7} {rest}{place}".rpartition("\n")[2]
        if width is None or cell_len(f"{plain}  {about}") <= width:
            lines[0] += f"  {about}"
        else:
            lines += _wrapped(about, width, 4, 6)
    for line in _by_proxy(report):
        lines += _wrapped(one_line(line), width, 4, 6)
    for finding in report.findings:
        severity = finding.severity.value
        text = one_line(f"{severity}: {finding.rule}: {finding.detail}")
        first, *later = _wrapped(text, width, 4, 6)
        if colour and first.startswith(f"    {severity}:"):
            first = f"    {_paint(_COLOURS[severity], severity)}{first[4 + len(severity) :]}"
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
    return "\n".join(_wrapped(text, max(width, _NARROWEST) if width else None, 4, 6))


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
        lines += _wrapped(one_line(text), None, 4, 6)
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


def closing_lines(
    *,
    verdicts: Mapping[str, int],
    rules: Mapping[str, int],
    transfers: Iterable[TransferSummary] = (),
    left_out: int = 0,
    others: int = 0,
    lost: Lost | None = None,
    reports: str | None = None,
    wrong_transfers: Mapping[str, int] = _NONE,
    connections: Iterable[ConnectionFailureSummary] = (),
    said_once: Mapping[str, int] = _NONE,
    nothing: Iterable[str] = (),
    captures: Sequence[CaptureSummary] = (),
    failed: str | None = None,
) -> str:
    """What a run has seen: ``verdicts`` of flows, flows by rule, transfers (and how many more
    there were), ``others`` that were not COS, flows without a report, and where the reports
    lie. ``wrong_transfers``: those that went wrong, by verdict; ``said_once``: how many flows
    a rule speaks of that is said once for many; ``nothing``: what to say where nothing was
    seen; ``captures``: those that were read; ``failed``: why the exit status is 1."""
    total = sum(verdicts.values())
    counted = [f"{verdicts[name]} {name}" for name in _SEVERITIES if verdicts.get(name)]
    line = f"COS summary: {total} COS flows among {total + others}"
    line = f"{line}: {', '.join(counted)}" if counted else line
    troubles = [each for each in connections if each.count > 0 and each.findings]
    also = ", ".join(_also(wrong_transfers, troubles, lost))
    lines = [f"{line}; also wrong: {also}" if also else line]
    lines += nothing
    if rules:
        lines.append(f"rules      {_counts(rules, said_once)}")
    states: dict[str, dict[str, int]] = {}
    for transfer in transfers:
        of_kind = states.setdefault(transfer.kind, {})
        of_kind[transfer.state] = of_kind.get(transfer.state, 0) + 1
    for number, (kind, of_kind) in enumerate(sorted(states.items())):
        lines.append(f"{'' if number else 'transfers':9}  {kind}: {_counts(of_kind)}")
    if left_out:
        lines.append(f"left out   {left_out} more transfers; those above are the worst")
    if troubles:
        by_rule: dict[str, int] = {}
        for each in troubles:
            for finding in each.findings[:1]:
                by_rule[finding.rule] = by_rule.get(finding.rule, 0) + each.count
        hosts = sorted({one_line(each.host) for each in troubles if each.host})
        more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
        lines.append(f"connected  not: {_counts(by_rule)}: {', '.join(hosts[:3])}{more}")
    lines += _captures(captures)
    if lost is not None and lost.count:
        what = "report" if lost.count == 1 else "reports"
        lines.append(f"lost       {lost.count} {what}: {one_line(_counts(lost.reasons))}")
    if reports is not None:
        lines.append(f"reports    {one_line(reports)}")
    if failed is not None:
        lines.append(f"exit 1     {failed}")
    return "\n    ".join(lines)


def _captures(captures: Sequence[CaptureSummary]) -> Iterator[str]:
    """A line for each that does not hold all there was, or whose bytes are not simply those
    that passed; of a flow file or a HAR that lacks nothing there is nothing to say."""
    told = [
        each
        for each in captures
        if each.left_out or each.packets_lost or each.bytes_lost or each.format not in _PLAIN
    ]
    for number, each in enumerate(told[:_MOST_CAPTURES]):
        lost = [
            f"{each.packets_lost} packets" if each.packets_lost else "",
            f"{each.bytes_lost} bytes" if each.bytes_lost else "",
        ]
        parts = [
            f"{each.format} of {each.program}" if each.program else each.format,
            f"{each.exchanges} exchanges" if each.exchanges != 1 else "1 exchange",
        ]
        if any(lost):
            parts.append(f"lost {' and '.join(filter(None, lost))}")
        if each.left_out:
            parts.append(f"left out {_counts(each.left_out)}")
        yield one_line(f"{'' if number else 'captures':9}  {each.file}: {', '.join(parts)}")
    if len(told) > _MOST_CAPTURES:
        yield f"{'':9}  and {len(told) - _MOST_CAPTURES} more captures: summary.json has them all"


def _also(
    transfers: Mapping[str, int], troubles: Sequence[ConnectionFailureSummary], lost: Lost | None
) -> Iterator[str]:
    """What went wrong and is no flow."""
    number = sum(transfers.get(verdict, 0) for verdict in ("error", "warning"))
    if number:
        yield _counted(number, "transfer")
    number = sum(each.count for each in troubles)
    if number:
        yield _counted(number, "connection")
    if lost is not None and lost.count:
        yield _counted(lost.count, "lost report")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def why_failed(
    option: str,
    *,
    flows: int = 0,
    rules: Iterable[str] = (),
    transfers: int = 0,
    connections: int = 0,
    lost: int = 0,
) -> str:
    """Why a run fails, in one line: what was as bad as ``option`` says, and the rules."""
    parts = [
        _counted(number, name)
        for number, name in (
            (flows, "flow"),
            (transfers, "transfer"),
            (connections, "connection"),
            (lost, "lost report"),
        )
        if number
    ]
    named = list(dict.fromkeys(rules))
    shown = ", ".join(named[:_MOST_RULES]) + (", …" if len(named) > _MOST_RULES else "")
    return f"{option}: {', '.join(parts)}" + (f" ({shown})" if shown else "")


def _counts(numbers: Mapping[str, int], of_flows: Mapping[str, int] = _NONE) -> str:
    """Names with their numbers, the greatest first."""
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{number} {name}"
        + (f" (said once for {of_flows[name]} flows)" if of_flows.get(name, 0) > number else "")
        for name, number in ordered
    )


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


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as aligned columns; the last one is left as long as it is."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    if not shown:
        return ""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(
            [set_cell_size(cell, width) for cell, width in zip(row[:-1], widths, strict=False)]
            + [row[-1]]
        ).rstrip()
        for row in shown
    )


def _paint(colour: str, text: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def _place_within(report: FlowReport, place: str, room: int) -> str:
    """Of a place that is too long the bucket goes first, then the middle of the key."""
    if cell_len(place) > room and report.cos.bucket and report.cos.key:
        place = f"…/{one_line(report.cos.key)}"
    return _within(place, room)


def _within(text: str, room: int) -> str:
    """No more than ``room`` columns; what is too long loses its middle."""
    length = len(text) if text.isascii() else cell_len(text)
    if length <= room:
        return text
    left = (room - 1) // 2
    head = chop_cells(text, max(left, 1))[0]
    tail = chop_cells(text[::-1], max(room - 1 - left, 1))[0][::-1]
    return f"{head}…{tail}"


def _wrapped(text: str, width: int | None, first: int, later: int) -> Iterator[str]:
    """Lines of at most ``width`` columns, indented by ``first`` and ``later`` blanks."""
    if width is None:
        yield " " * first + text
        return
    line, used, empty = " " * first, first, True
    for word in text.split(" "):
        # A word without a gap may be a whole URL, or Chinese text.
        pieces = [word] if cell_len(word) <= width - later else chop_cells(word, width - later)
        for number, piece in enumerate(pieces):
            gap = "" if empty or number else " "
            length = len(gap) + cell_len(piece)
            if not empty and used + length > width:
                yield line
                line, used, gap, length = " " * later, later, "", cell_len(piece)
            line, used, empty = line + gap + piece, used + length, False
    yield line


def one_line(text: str) -> str:
    """Control characters of keys and messages do not reach the terminal."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
