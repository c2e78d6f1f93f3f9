"""What becomes of exchanges once they are over: a session that judges them, counts, files.

Knows nothing of mitmproxy.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.revisable_flows import RevisedReport
from cos_inspect.inspection.session import InspectionResult, Session
from cos_inspect.model.devices import ConnectionFailureSummary, DeviceTally
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport, Severity
from cos_inspect.model.summary import Lost, RetryChain, TransferSummary
from cos_inspect.model.summary_delta import SessionCounts, SummaryDelta, count_host
from cos_inspect.model.summary_merging import verdicts_of
from cos_inspect.report.closing_lines import closing_lines, why_failed
from cos_inspect.report.formats import places_of
from cos_inspect.report.listing import NEWEST
from cos_inspect.report.report_format import FormatSettings
from cos_inspect.report.writer import ReportWriter
from cos_inspect.report.writer_thread import LIVE
from cos_inspect.rules.registry import CHECKS_OF_RULES, SAID_ONCE
from cos_inspect.telemetry.telemetry import Telemetry

_MOST_SAID_ONCE = 10_000


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``report_dir`` None: no files. The other names are those of the options."""

    report_dir: Path | None = None
    formats: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ignore: frozenset[str] = frozenset()
    redact: bool = True
    keys: Mapping[str, str] = {}
    otel: tuple[str, ...] = ()


class LiveSession:
    """Owns the session, the writer, and the count of verdicts."""

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings
        self.session = _new_session(settings)
        self.verdicts: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        """Flows by the rules that they broke."""
        self.others = 0
        """Flows that were not COS traffic."""
        self.other_hosts: dict[str, int] = {}
        """Who was asked in these."""
        self.run_name = LIVE
        """What the summary calls the run."""
        self.transfers: list[TransferSummary] = []
        """What sessions that are over have seen."""
        self.retries: list[RetryChain] = []
        """The same of chains of retries."""
        self.wrong_transfers: Counter[str] = Counter()
        """Those of sessions that are over, by verdict."""
        self._connections = SummaryDelta()
        self._severities: dict[str, Severity] = {}
        """The highest that each rule had."""
        self._said_once: dict[tuple[str, str], int] = {}
        """By rule and flow, for how many flows it speaks."""
        self._left_out = 0
        """What their lists do not hold."""
        self._numbers: list[tuple[str, int]] = []
        """Of writers that are done."""
        self._lost = Lost()
        """Without what the writers below have lost."""
        self._writer: ReportWriter | None = None
        self._retired: list[ReportWriter] = []
        """Writers of other settings, which may not be done yet."""
        self._telemetry = _telemetry_of(settings)
        self._retired_telemetry: list[Telemetry] = []

    def use(self, settings: LiveSettings) -> list[RevisedReport]:
        """Goes on with other settings: what comes is judged by them, and what belongs together
        is joined across the change. Another directory has nothing of what was before; the
        reports that changed by that."""
        before, self._settings = self._settings, settings
        if before == settings:
            return []
        if settings.otel != before.otel:
            self._retire_telemetry()
            self._telemetry = _telemetry_of(settings)
        if settings.report_dir != before.report_dir:
            revised = self.end_session()
            self._retire_writer()
            self.session = _new_session(settings)
            return revised
        if settings.formats != before.formats and self._writer is not None:
            self._writer.submit_session(self.session.summary())
            self._retired.append(self._writer)
            self._writer = self._writer.followed(settings.formats)
        self._say_if_unmasked()
        self.session.use(
            hosts=settings.hosts,
            ignore=settings.ignore,
            redact=settings.redact,
            keys=settings.keys,
        )
        return []

    def inspect(
        self,
        exchange: Exchange,
        *,
        recognised: Recognised | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> InspectionResult | None:
        """Judges one finished exchange, counts it and has it written; None when it is not
        COS traffic."""
        inspected = self.session.inspect(exchange, recognised=recognised, marks=marks)
        if inspected is None:
            self.count_other()
            return None
        self._count(inspected.report)
        writer = self._open_writer()
        if writer is not None:
            writer.submit(inspected.report)
        if self._telemetry is not None:
            self._telemetry.put(inspected.report, is_new=True)
        self.revise(inspected.revised)
        return inspected

    def learn(
        self,
        exchange: Exchange,
        *,
        recognised: Recognised | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> list[RevisedReport]:
        """Takes in what became of a flow that has its report; the reports of others that
        changed by it."""
        revised = self.session.learn(exchange, recognised=recognised, marks=marks)
        self.revise(revised)
        return revised

    def revise(self, found: Iterable[RevisedReport]) -> None:
        """Puts later knowledge in the place of what was said of earlier flows."""
        for revised in found:
            _take_away(self.verdicts, (revised.verdict_before,))
            _take_away(self.rules, revised.rules_before)
            for rule in SAID_ONCE & revised.rules_before:
                self._said_once.pop((rule, revised.report.flow_id), None)
            self._count(revised.report)
            if self._writer is not None:
                self._writer.revise(revised.report)
            if self._telemetry is not None:
                self._telemetry.put(revised.report, is_new=False)

    def renew(self) -> list[RevisedReport]:
        """Says what could wait for a moment, and renews the transfers in the summary; takes
        time that grows with them. The reports that changed by it."""
        revised = self.session.renew()
        self.revise(revised)
        if self._writer is not None:
            self._writer.submit_session(self.session.summary())
        return revised

    def count_other(self, host: str | None = None) -> None:
        """Counts a flow that was not COS traffic, and who was asked in it."""
        self.others += 1
        if host:
            count_host(self.other_hosts, host)
        writer = self._open_writer()
        if writer is not None:
            writer.count_other(host)

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts flows of COS that have no report, and why, in a few plain words."""
        writer = self._open_writer()
        if writer is None:
            self._lost.add(reason, count)
        else:
            writer.lose(reason, count)

    @property
    def lost(self) -> Lost:
        """Flows of COS without a report."""
        lost = Lost()
        lost.merge(self._lost)
        for writer in (*self._retired, self._writer):
            if writer is not None:
                lost.merge(writer.lost)
        return lost

    @property
    def trouble(self) -> str | None:
        """Why no report can be written at present, in one line."""
        return None if self._writer is None else self._writer.trouble

    @property
    def connections(self) -> list[ConnectionFailureSummary]:
        """Those that failed and were not taken back."""
        return [each for each in self._connections.connections if each.count > 0]

    def new_numbers(self) -> list[tuple[str, int]]:
        """Numbers of reports since the last call, by ``name_of``; the latest ones."""
        found: list[tuple[str, int]] = []
        for writer in (*self._retired, self._writer):
            if writer is not None:
                found += writer.new_numbers()
        found, self._numbers = [*self._numbers, *found], []
        return found

    def report_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Counts a connection that failed, and hands it to the writer, where there is one."""
        self._connections.add_connection(trouble)
        writer = self._open_writer()
        if writer is not None:
            writer.submit_connection(trouble)
        if self._telemetry is not None:
            self._telemetry.put_connection(trouble)

    def note_devices(self, devices: DeviceTally) -> None:
        """What came to be known of who is connected."""
        writer = self._open_writer()
        if writer is not None:
            writer.submit_devices(devices)

    def end_session(self) -> list[RevisedReport]:
        """Tells what only the end can tell; the reports that changed by it."""
        revised = self.session.settle()
        self.revise(revised)
        told = self.session.close()
        self.transfers += told.transfers
        self._left_out += told.left_out
        self.retries += told.retries
        self.wrong_transfers.update(SessionCounts.of(told).went_wrong)
        if self._writer is not None:
            self._writer.submit_session(told, is_over=True)
        return revised

    def close(self) -> None:
        """Returns when all that was taken is on disk, or is lost."""
        self._retire_telemetry()
        self._retire_writer()
        while self._retired:
            # Each one waits for the one before.
            writer = self._retired.pop(0)
            writer.close()
            self._numbers += writer.new_numbers()
            self._lost.merge(writer.lost)
        while self._retired_telemetry:
            self._retired_telemetry.pop(0).close()

    def why_failed(self, fail_on: str) -> str | None:
        """What was as bad as ``fail_on``, in one line; None where nothing was."""
        if fail_on == "never":
            return None
        least = Severity(fail_on)
        bad = [each.value for each in Severity if each.rank >= least.rank]
        troubles = verdicts_of(self.connections)
        flows = sum(self.verdicts[verdict] for verdict in bad)
        transfers = sum(self.wrong_transfers[verdict] for verdict in bad)
        connections = sum(troubles.get(verdict, 0) for verdict in bad)
        lost = self.lost.count
        if not (flows or transfers or connections or lost):
            return None
        rules = [rule for rule in self.rules if self._severities[rule].rank >= least.rank]
        found = [each.findings for each in self.transfers]
        found += [each.findings for each in self.connections]
        rules += [
            each.rule for each in chain.from_iterable(found) if each.severity.rank >= least.rank
        ]
        return why_failed(
            f"cos_fail_on={fail_on}",
            flows=flows,
            rules=rules,
            transfers=transfers,
            connections=connections,
            lost=lost,
        )

    def summary_text(
        self, *, over: bool, nothing: Iterable[str] = (), failed: str | None = None
    ) -> str:
        """What was seen, in a few lines; ``over``: the session is told already; ``nothing``: what
        to say where nothing was seen; ``failed``: why the run fails."""
        transfers, left_out, wrong = self.transfers, self._left_out, self.wrong_transfers
        if not over:
            so_far = self.session.summary()
            transfers, left_out = [*transfers, *so_far.transfers], left_out + so_far.left_out
            wrong = wrong + Counter(SessionCounts.of(so_far).went_wrong)
        said_once: Counter[str] = Counter()
        for (rule, _), flows in self._said_once.items():
            said_once[rule] += flows
        directory = self._settings.report_dir
        if directory is not None and "html" in self._settings.formats:
            directory /= "index.html"
        return closing_lines(
            verdicts=self.verdicts,
            rules=self.rules,
            transfers=transfers,
            left_out=left_out,
            others=self.others,
            lost=self.lost,
            reports=None if directory is None else str(directory),
            wrong_transfers=wrong,
            connections=self.connections,
            said_once=said_once,
            nothing=nothing,
            failed=failed,
        )

    def _count(self, report: FlowReport) -> None:
        self.verdicts[report.verdict] += 1
        if report.findings:
            self.rules.update({finding.rule for finding in report.findings})
        for finding in report.findings:
            known = self._severities.get(finding.rule)
            if known is None or finding.severity.rank > known.rank:
                self._severities[finding.rule] = finding.severity
            if finding.rule in SAID_ONCE:
                name = finding.rule, report.flow_id
                if name in self._said_once or len(self._said_once) < _MOST_SAID_ONCE:
                    self._said_once[name] = int(finding.evidence.get("flows", 1))

    def _open_writer(self) -> ReportWriter | None:
        if self._writer is None and self._settings.report_dir is not None:
            self._writer = ReportWriter(
                self._settings.report_dir,
                self._settings.formats,
                FormatSettings(
                    rule_checks=CHECKS_OF_RULES,
                    newest=NEWEST,
                    elsewhere=places_of(self._settings.formats),
                ),
                run_name=self.run_name,
            )
            self._say_if_unmasked()
        return self._writer

    def _say_if_unmasked(self) -> None:
        if self._writer is not None and not self._settings.redact:
            self._writer.note_unmasked()

    def _retire_telemetry(self) -> None:
        if self._telemetry is not None:
            self._telemetry.end_soon()
            self._retired_telemetry.append(self._telemetry)
            self._telemetry = None

    def _retire_writer(self) -> None:
        """Has the writer end by itself: the event loop does not wait for a disk."""
        if self._writer is not None:
            self._writer.retire()
            self._retired.append(self._writer)
            self._writer = None


def _telemetry_of(settings: LiveSettings) -> Telemetry | None:
    if not settings.otel:
        return None
    mask = Redactor().text if settings.redact else str
    return Telemetry(settings.otel, mask)


def _new_session(settings: LiveSettings) -> Session:
    return Session(
        hosts=settings.hosts,
        ignore=settings.ignore,
        redact=settings.redact,
        keys=settings.keys,
    )


def _take_away(counter: Counter[str], names: Iterable[str]) -> None:
    for name in names:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]
