"""The report pages: data for ``index.html``, as scripts that a page opened from disk can load.

A browser lets no page of ``file://`` read other files, but it runs scripts
that lie beside it. So every line of data is one call with one string, which
holds JSON. Files grow, and a flow's place follows from its number: a row
for the list in ``data/rows-…``, its whole report in ``data/flows-…``. The last
line of a number wins, so that a report can be revised by appending it again.

Of very many flows not all are listed (``listing.py``): then lines are taken out
now and then, and the page says so.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import override

import msgspec

from cos_inspect.model.flow_report import FlowReport, Severity, Verdict
from cos_inspect.model.plain_text import encoded as encode
from cos_inspect.model.summary import Summary
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.listing import MOST_LISTED, SHORTENED_AT, Entry, Floor
from cos_inspect.report.page_lines import call, json_of, script_text
from cos_inspect.report.page_shortening import lines_listed, row_files, shorten
from cos_inspect.report.report_format import (
    NO_SETTINGS,
    FormatInput,
    FormatSettings,
    FormatWriter,
    Rendered,
    ReportFormat,
    RunEnd,
)
from cos_inspect.report.verified import verified

ROWS_PER_FILE = 2000
FLOWS_PER_FILE = 100
"""Opening a flow loads one such file: some 500 KB."""
_LONGEST_TEXT = 400
_INDEX = "data/index.js"


class Row(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the list, its filter, the time line and the drawing of a transfer need."""

    n: int
    run: int | None = None
    verdict: Verdict
    started: str | None = None
    ms: float | None = None
    wait: float | None = None
    """Milliseconds until the answer began."""
    op: str
    method: str
    status: int | None = None
    bucket: str | None = None
    region: str | None = None
    key: str | None = None
    host: str
    query: str = ""
    endpoint: str
    client: str | None = None
    version: str | None = None
    sent: int | None = None
    received: int | None = None
    sse: str = "none"
    code: str | None = None
    id: str | None = None
    trace: str | None = None
    flow: str
    rules: list[str] = []
    groups: list[str] = []
    failed: list[str] = []
    """Checks with a mismatch."""
    worst: str | None = None
    title: str | None = None
    why: str | None = None
    """Rule, title and detail of the worst finding."""
    kind: str | None = None
    transfer: str | None = None
    position: int | None = None
    attempt: int | None = None
    healed: bool = False
    """A later try of the same request came through."""
    verified: str = ""
    """What was checked of it, and what was not, in short."""


class PageLines(msgspec.Struct, frozen=True, gc=False):
    """The lines of one flow; none of one that will not be listed."""

    report: bytes
    """Its whole report."""
    row: bytes
    """Its row in the list."""


class PageIndex(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the pages read first."""

    rows: list[str]
    flows_per_file: int
    listed: int | None = None
    """About how many flows are listed; None: all of them."""
    elsewhere: list[str] = []
    """Where the others are."""


_NO_INDEX = PageIndex(rows=[], flows_per_file=FLOWS_PER_FILE)


class PagesWriter(FormatWriter[PageLines]):
    """Adds flows to the pages of a report directory. A line that is there twice does no harm: of
    a number the last one counts."""

    def __init__(self, directory: ReportDirectory, settings: FormatSettings = NO_SETTINGS) -> None:
        super().__init__(directory, settings)
        self._prepared = False
        self._lines: int | None = None
        """Rows on the disk, of revised flows each; None: not counted yet."""
        self._shortened_at = SHORTENED_AT
        self._floor: Floor | None = None

    @property
    @override
    def floor(self) -> Floor | None:
        return None if self.settings.newest else self._floor

    @override
    def add(self, reports: Sequence[Rendered[PageLines]]) -> None:
        """Whole reports are written first: no row is seen without its report."""
        listed = [each for each in reports if each.content.row]
        if not listed:
            return
        lines: dict[str, list[bytes]] = {}
        for each in listed:
            rows = f"data/rows-{(each.sequence - 1) // ROWS_PER_FILE + 1:04d}.js"
            flows = f"data/{flows_file_of(each.sequence)}"
            lines.setdefault(flows, []).append(each.content.report)
            lines.setdefault(rows, []).append(each.content.row)
        self._prepare()
        if self._lines is None:
            self._lines = lines_listed(self.directory)
        new = False
        for name in sorted(lines):
            is_new = self.directory.append(name, lines[name])
            new = new or (is_new and name.startswith("data/rows-"))
        if new:
            self._write_index()
        self._lines += len(listed)
        if self._lines > self._shortened_at:
            # All is written: where the list cannot be shortened now, it is a little later.
            self._shortened_at = self._lines + ROWS_PER_FILE
            with suppress(OSError):
                self._shorten()

    def _shorten(self, sign: Callable[[], None] = lambda: None) -> None:
        newest = self.settings.newest
        choice = shorten(self.directory, flows_file_of, MOST_LISTED, newest, sign)
        self._lines = len(choice.numbers)
        self._shortened_at = SHORTENED_AT
        if choice.floor is not None:
            self._floor = choice.floor
            self._write_index(self._lines)

    @override
    def finish(self, end: RunEnd) -> None:
        if self._lines is not None and self._lines > MOST_LISTED + self.settings.newest:
            self._shorten(end.sign)

    @override
    def renew_summary(self, summary: Summary) -> None:
        """For what the pages show of transfers, retries and connections."""
        self._prepare()
        self.directory.write("data/summary.js", call("summary", encode(summary)))

    def _prepare(self) -> None:
        """Puts the static files in place: once, and again where they went missing."""
        if self._prepared and all(self.directory.exists(each) for each in _some_static_files()):
            return
        for name, content in _static_files():
            self.directory.write(name, content)
        self._write_index()
        if not self.directory.exists("data/summary.js"):
            self.directory.write("data/summary.js", call("summary", b"{}"))
        self._prepared = True

    def _write_index(self, listed: int | None = None) -> None:
        before = _read_index(self.directory.read(_INDEX))
        index = PageIndex(
            rows=row_files(self.directory),
            flows_per_file=FLOWS_PER_FILE,
            listed=listed or before.listed,
        )
        if index.listed is not None:
            index.elsewhere = sorted({*before.elsewhere, *self.settings.elsewhere})
        self.directory.write(_INDEX, call("index", encode(index)))


def empty(name: str) -> bytes | None:
    """What stands for a file of the pages before the first flow; None for other files."""
    if name == _INDEX:
        return call("index", encode(_NO_INDEX))
    if name == "data/summary.js":
        return call("summary", b"{}")
    return dict(_static_files()).get(name)


def flows_file_of(number: int) -> str:
    """The file in the folder ``data`` that has the report of a number."""
    return f"flows-{(number - 1) // FLOWS_PER_FILE + 1:04d}.js"


def _read_index(content: bytes | None) -> PageIndex:
    json = json_of((content or b"").removesuffix(b"\n"))
    try:
        return _NO_INDEX if json is None else msgspec.json.decode(json, type=PageIndex)
    except msgspec.DecodeError:
        return _NO_INDEX


def row_of(report: FlowReport) -> Row:
    """A flow's line in the list of the pages."""
    cos, request, response = report.cos, report.request, report.response
    rest = request.url.partition("://")[2]
    address, _, query = rest.partition("?")
    worst = max(report.findings, key=lambda finding: _RANK[finding.severity], default=None)
    transfer = report.transfer
    return Row(
        n=report.sequence,
        run=report.run,
        verdict=report.verdict,
        started=report.started,
        ms=report.timing.total_ms,
        wait=report.timing.wait_ms,
        op=cos.operation,
        method=request.method,
        status=response.status if response else None,
        bucket=cos.bucket,
        region=cos.region,
        key=cos.key and cos.key[:_LONGEST_TEXT],
        host=address.partition("/")[0],
        query=query[:_LONGEST_TEXT],
        endpoint=cos.endpoint,
        client=cos.client.name if cos.client else None,
        version=cos.client.version if cos.client else None,
        sent=request.body.size,
        received=response.body.size if response else None,
        sse=report.encryption.mode,
        code=report.error.code if report.error else None,
        id=report.ids.request_id,
        trace=report.ids.trace_id,
        flow=report.flow_id,
        rules=[finding.rule for finding in report.findings],
        groups=list(dict.fromkeys(finding.group for finding in report.findings)),
        failed=[check.check for check in report.checks if check.status == "mismatch"],
        worst=worst.rule if worst else None,
        title=worst.title if worst else None,
        why=worst.detail[:_LONGEST_TEXT] if worst else None,
        kind=transfer.kind if transfer else None,
        transfer=transfer.id if transfer else None,
        position=transfer.position if transfer else None,
        attempt=transfer.attempt if transfer else None,
        healed=report.is_healed,
        verified=verified(report.checks),
    )


_RANK = {severity: severity.rank for severity in Severity}


@cache
def _static_files() -> tuple[tuple[str, bytes], ...]:
    """Names in the report directory, and contents; ``index.html`` last."""
    return tuple(sorted(_read_static_files()))


def _some_static_files() -> tuple[str, str]:
    """One from each folder: what is removed is mostly removed as a whole."""
    names = [name for name, _ in _static_files()]
    return names[0], names[-1]


def _read_static_files() -> Iterator[tuple[str, bytes]]:
    for source in files("cos_inspect.report").joinpath("assets").iterdir():
        if source.name.endswith((".css", ".js", ".svg")):
            yield f"assets/{source.name}", source.read_bytes()
        elif source.name == "index.html":
            yield source.name, source.read_bytes()


_UNLISTED = PageLines(b"", b"")


def _render(given: FormatInput) -> PageLines:
    floor = given.settings.floor
    if floor is not None and floor.rules_out(Entry.of(given.report)):
        return _UNLISTED
    return PageLines(
        report=b"cosInspect.flow(%d,%b)" % (given.report.sequence, script_text(given.json)),
        row=b"cosInspect.row(%b)" % script_text(encode(row_of(given.report))),
    )


HTML = ReportFormat(name="html", render=_render, writer=PagesWriter, content=PageLines)
