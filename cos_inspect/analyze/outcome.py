"""What an analysis found: for the exit status, and its last lines."""

from collections import Counter

import msgspec

from cos_inspect.captures.places import join, name_of
from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.summary import Lost, SessionSummary
from cos_inspect.model.summary_delta import SessionCounts
from cos_inspect.report.baseline import BaselineEntry
from cos_inspect.report.closing_lines import closing_lines
from cos_inspect.report.github import Groups
from cos_inspect.report.nothing_seen import nothing_seen
from cos_inspect.settings.analysis_settings import AnalysisSettings


class Outcome(msgspec.Struct, kw_only=True):
    """What an analysis found, for the exit status and the last lines."""

    verdicts: Counter[str]
    rules: Counter[str]
    """Flows by rule."""
    others: int
    session: SessionSummary
    found: Counter[BaselineEntry]
    failing: int
    """Findings as bad as ``fail_on``, and not in the baseline."""
    known: int
    errors: list[str]
    """Inputs that could not be read, or not to their end; reports that were not written."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows without a report."""
    hosts: dict[str, int] = {}
    """Who was asked in flows that are no COS traffic."""
    captures: list[CaptureSummary] = []
    """Those that were read."""
    groups: Groups = msgspec.field(default_factory=Groups)
    """For GitHub: what was found and is not known before."""
    failing_rules: Counter[str] = msgspec.field(default_factory=Counter)
    """Of the findings that fail."""
    said_once: Counter[str] = msgspec.field(default_factory=Counter)
    """For how many flows a rule speaks that is said once for many."""
    dataset: str | None = None
    """Where it is, and as what run, where it is whole."""

    @property
    def flows(self) -> int:
        """Flows with a report."""
        return sum(self.verdicts.values())


def reports_of(settings: AnalysisSettings) -> str | None:
    """What to open: the page where there is one, else the directory or URL of the reports; None
    where none are written."""
    directory = settings.report_dir
    if settings.report_url is not None:
        page = ("index.html",) if "html" in settings.formats else ()
        return name_of(join(settings.report_url, *page))
    if directory is not None and "html" in settings.formats:
        directory /= "index.html"
    return None if directory is None else str(directory)


def why_not(outcome: Outcome, settings: AnalysisSettings, *, require_cos: bool) -> str | None:
    """Why the exit status is to be 1, in one line; None where it is not."""
    if outcome.failing or (settings.fail_on is not None and outcome.lost.count):
        option = f"--fail-on {settings.fail_on}"
        findings = f"{outcome.failing} {'finding' if outcome.failing == 1 else 'findings'}"
        rules = ", ".join(name for name, _ in outcome.failing_rules.most_common(8))
        said = f"{findings} ({rules})" if outcome.failing else ""
        lost = f"{outcome.lost.count} lost reports" if outcome.lost.count else ""
        return f"{option}: {', '.join(part for part in (said, lost) if part)}"
    if require_cos and not outcome.flows:
        return f"--require-cos: none of {outcome.others} flows is COS traffic"
    return None


def closing_text(outcome: Outcome, settings: AnalysisSettings, *, require_cos: bool = False) -> str:
    """What was found, in a few lines: the same as at the end of live traffic."""
    nothing = (
        ()
        if outcome.flows
        else nothing_seen(
            outcome.hosts, option="--hosts '{}'", came=bool(outcome.others or outcome.lost.count)
        )
    )
    text = closing_lines(
        verdicts=outcome.verdicts,
        rules=outcome.rules,
        transfers=outcome.session.transfers,
        left_out=outcome.session.left_out,
        others=outcome.others,
        lost=outcome.lost,
        reports=reports_of(settings),
        wrong_transfers=SessionCounts.of(outcome.session).went_wrong,
        said_once=outcome.said_once,
        nothing=nothing,
        captures=outcome.captures,
    )
    if settings.baseline:
        findings = "finding" if outcome.known == 1 else "findings"
        text += f"\n    baseline   {outcome.known} known {findings}"
        gone = settings.baseline.not_seen(outcome.found)
        if gone:
            entries = "entry was" if len(gone) == 1 else "entries were"
            text += f", {len(gone)} {entries} not seen"
    if outcome.dataset is not None:
        text += f"\n    dataset    {outcome.dataset}"
    why = why_not(outcome, settings, require_cos=require_cos)
    if why is not None:
        text += f"\n    exit 1     {why}"
    return text
