"""The report pages: data for ``index.html``, as scripts that a page opened from disk can load.

A browser lets no page of ``file://`` read other files, but it runs scripts
that lie beside it. So every line of data is one call with one string, which
holds JSON. Files only grow, and a flow's place follows from its number: a row
for the list in ``data/rows-…``, its whole report in ``data/flows-…``. The last
line of a number wins, so that a report can be revised by appending it again.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import override

import msgspec

from cos_inspect.model.flow_report import FlowReport, Severity, Verdict
from cos_inspect.model.plain_text import encoded as encode
from cos_inspect.model.summary import Summary
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.report_format import (
    NO_SETTINGS,
    FormatInput,
    FormatSettings,
    FormatWriter,
    Rendered,
    ReportFormat,
)
from cos_inspect.report.verified import verified

ROWS_PER_FILE = 2000
FLOWS_PER_FILE = 100
"""Opening a flow loads one such file: some 500 KB."""
_LONGEST_TEXT = 400
_ROWS = re.compile(r"^rows-\d+\.js$")


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
    """The lines of one flow."""

    report: bytes
    """Its whole report."""
    row: bytes
    """Its row in the list."""


class PagesWriter(FormatWriter[PageLines]):
    """Adds flows to the pages of a report directory. A line that is there twice does no harm: of
    a number the last one counts."""

    def __init__(self, directory: ReportDirectory, settings: FormatSettings = NO_SETTINGS) -> None:
        super().__init__(directory, settings)
        self._prepared = False

    @override
    def add(self, reports: Sequence[Rendered[PageLines]]) -> None:
        """Whole reports are written first: no row is seen without its report."""
        if not reports:
            return
        lines: dict[str, list[bytes]] = {}
        for each in reports:
            before = each.sequence - 1
            flows = f"data/flows-{before // FLOWS_PER_FILE + 1:04d}.js"
            rows = f"data/rows-{before // ROWS_PER_FILE + 1:04d}.js"
            lines.setdefault(flows, []).append(each.content.report)
            lines.setdefault(rows, []).append(each.content.row)
        self._prepare()
        new = False
        for name in sorted(lines):
            is_new = self.directory.append(name, lines[name])
            new = new or (is_new and name.startswith("data/rows-"))
        if new:
            self._write_index()

    @override
    def renew_summary(self, summary: Summary) -> None:
        """For what the pages show of transfers, retries and connections."""
        self._prepare()
        self.directory.write("data/summary.js", call("summary", encode(summary)))

    def _prepare(self) -> None:
        """Puts the static files in place: once, and again where the directory went missing."""
        if self._prepared and self.directory.exists("index.html"):
            return
        for name, content in _static_files():
            self.directory.write(name, content)
        self._write_index()
        if not self.directory.exists("data/summary.js"):
            self.directory.write("data/summary.js", call("summary", b"{}"))
        self._prepared = True

    def _write_index(self) -> None:
        names = sorted(name for name in self.directory.names("data") if _ROWS.match(name))
        self.directory.write("data/index.js", _index(names))


def empty(name: str) -> bytes | None:
    """What stands for a file of the pages before the first flow; None for other files."""
    if name == "data/index.js":
        return _index([])
    if name == "data/summary.js":
        return call("summary", b"{}")
    return dict(_static_files()).get(name)


def _index(names: list[str]) -> bytes:
    return call("index", msgspec.json.encode({"rows": names, "flows_per_file": FLOWS_PER_FILE}))


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


def call(name: str, json: bytes) -> bytes:
    """A line of a data file: one call with one string of JSON."""
    return b"cosInspect.%b(%b)\n" % (name.encode(), _text(json))


def _text(json: bytes) -> bytes:
    """JSON as a JavaScript string, without what could end a line, the string or a script."""
    escaped = json.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"<", b"\\x3c")
    if b"\xe2\x80" in escaped:
        escaped = escaped.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return b"'%b'" % escaped


@cache
def _static_files() -> tuple[tuple[str, bytes], ...]:
    """Names in the report directory, and contents; ``index.html`` last."""
    return tuple(sorted(_read_static_files()))


def _read_static_files() -> Iterator[tuple[str, bytes]]:
    for source in files("cos_inspect.report").joinpath("assets").iterdir():
        if source.name.endswith((".css", ".js", ".svg")):
            yield f"assets/{source.name}", source.read_bytes()
        elif source.name == "index.html":
            yield source.name, source.read_bytes()


def _render(given: FormatInput) -> PageLines:
    return PageLines(
        report=b"cosInspect.flow(%d,%b)" % (given.report.sequence, _text(given.json)),
        row=b"cosInspect.row(%b)" % _text(encode(row_of(given.report))),
    )


HTML = ReportFormat(name="html", render=_render, writer=PagesWriter, content=PageLines)
