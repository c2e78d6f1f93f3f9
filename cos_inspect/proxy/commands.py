"""Commands for mitmweb's and the console's command bars, and mitmweb's ``POST /commands/…``.

Their names hold lower-case letters and dots only: mitmweb accepts no others.
Flows are named as everywhere in mitmproxy (``@focus``, ``@shown``, a filter);
mitmdump has no view to look them up in, so there ``cos.summary`` without flows
and ``cos.explain`` work, and the others only when called with flow objects.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence

import msgspec
from mitmproxy import command, ctx, exceptions, flow, http
from mitmproxy.hooks import UpdateHook

from cos_inspect.inspection.explain import explain, suggestions
from cos_inspect.inspection.explain_block import block
from cos_inspect.inspection.ticket import ticket_line
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.plain_text import encoded
from cos_inspect.proxy.recheck import Recheck
from cos_inspect.proxy.resign import ResignError, resign
from cos_inspect.report.compare import compare, proposed
from cos_inspect.report.comparison_text import comparison_text
from cos_inspect.report.curl import curl_script
from cos_inspect.report.terminal import moved_bytes, place_of
from cos_inspect.report.terminal_text import size_text, table

_TITLES: tuple[str, ...] = ("verdict", "operation", "status", "size", "object", "findings")


class Commands:
    """Texts of several lines are given as lines, which both interfaces show better."""

    name = "cos-inspect-commands"

    def __init__(self, recheck: Recheck) -> None:
        self._recheck = recheck

    @command.command("cos.summary")  # type: ignore[untyped-decorator]
    def summary(self, flows: Sequence[flow.Flow] = ()) -> Sequence[str]:
        """Sum up the COS flows among these in a table; without flows, the whole run."""
        if not flows:
            return self._recheck.summary_text().splitlines()
        reports = [report for item in flows if (report := self._recheck.report_of(item))]
        rows: list[tuple[str, ...]] = [
            ("verdict", "operation", "status", "size", "object", "findings")
        ]
        rows += [_row(report) for report in reports]
        counted = f"{len(reports)} COS flows among {len(flows)}"
        return [counted, *(table(rows).splitlines() if reports else ())]

    @command.command("cos.report")  # type: ignore[untyped-decorator]
    def report(self, flow: flow.Flow) -> str:
        """The report of a flow, as JSON."""
        return msgspec.json.format(encoded(self._report_of(flow)), indent=2).decode()

    @command.command("cos.explain")  # type: ignore[untyped-decorator]
    def explain(self, *what: str) -> Sequence[str]:
        """Explain a rule, a code, a header, an operation, a check, an id, an option, one of
        these commands, or a word."""
        name = " ".join(what)
        text = explain(name, (explain_command,))
        if text is None:
            close = suggestions(name, [known for known, _ in _commands()])
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise exceptions.CommandError(f"nothing is known of {name[:80]!r}{hint}")
        return text.splitlines()

    @command.command("cos.ticket")  # type: ignore[untyped-decorator]
    def ticket(self, flow: flow.Flow) -> str:
        """The line that COS support asks for, when a flow failed."""
        report = self._report_of(flow)
        line = report.ticket or ticket_line(report)
        if line is None:
            raise exceptions.CommandError("the flow did not fail, so there is no ticket")
        return line

    @command.command("cos.compare")  # type: ignore[untyped-decorator]
    def compare(self, flows: Sequence[flow.Flow]) -> Sequence[str]:
        """Compare two flows (@ID,ID): what differs, and which difference matters. One flow is
        compared with the nearest of its operation that worked."""
        if len(flows) not in (1, 2):
            raise exceptions.CommandError(f"two flows are compared, not {len(flows)}: @ID,ID")
        one = self._report_of(flows[0])
        if len(flows) == 2:
            other = self._report_of(flows[1])
        else:
            nearest = proposed(one, self._recheck.others(flows[0].id))
            if nearest is None:
                raise exceptions.CommandError(f"no flow with {one.cos.operation} has worked")
            other = nearest
        return comparison_text(one, other, compare(one, other))

    @command.command("cos.resign")  # type: ignore[untyped-decorator]
    def resign(self, flows: Sequence[flow.Flow]) -> Sequence[str]:
        """Sign flows anew (@ID) by the keys of cos_credentials, as after an edit, so that they
        can be replayed."""
        said, renewed = [], []
        settings = self._recheck.settings
        for item in flows:
            if not isinstance(item, http.HTTPFlow):
                raise exceptions.CommandError("only flows of HTTP are signed")
            try:
                said.append(resign(item, settings.keys, settings.hosts))
                renewed.append(item)
            except ResignError as error:
                if len(flows) == 1:
                    raise exceptions.CommandError(str(error)) from None
                said.append(f"{item.request.path[:80]}: {error}")
        if renewed:
            ctx.master.addons.trigger(UpdateHook(renewed))
        return said

    @command.command("cos.curl")  # type: ignore[untyped-decorator]
    def curl(self, flow: flow.Flow) -> str:
        """The request as a shell script for curl that signs when it runs, without secrets."""
        script = curl_script(self._report_of(flow))
        if script is None:
            raise exceptions.CommandError(
                "curl cannot repeat this so: a form is signed in its fields, and a name that is no"
                " UTF-8 fits into no script"
            )
        return script

    @command.command("cos.recheck")  # type: ignore[untyped-decorator]
    def recheck(self, flows: Sequence[flow.Flow]) -> Sequence[str]:
        """Judge flows by what they hold now, as after an edit; renews marker and comment."""
        reports, renewed = [], []
        for item in flows:
            report = self._recheck.recheck(item)
            if report is not None:
                reports.append(report)
                renewed.append(item)
        if renewed:
            ctx.master.addons.trigger(UpdateHook(renewed))
        counted = f"{len(reports)} COS flows among {len(flows)} judged again"
        return [counted, *(table([_row(report) for report in reports]).splitlines())]

    def _report_of(self, asked: flow.Flow) -> FlowReport:
        report = self._recheck.report_of(asked)
        if report is None:
            raise exceptions.CommandError("the flow is no COS traffic, or is still under way")
        return report


def explain_command(name: str) -> Iterator[str]:
    """Of a command that is given inside mitmproxy and mitmweb."""
    for known, member in _commands():
        if known == name.lower():
            taken = list(inspect.signature(member).parameters)[1:]
            yield block(
                f"{known}: a command inside mitmproxy and mitmweb",
                ("given as", " ".join([known, *taken])),
                ("does", " ".join((inspect.getdoc(member) or "").split())),
            )


def _commands() -> Iterator[tuple[str, Callable[..., object]]]:
    for member in vars(Commands).values():
        if name := getattr(member, "command_name", None):
            yield name, member


def _row(report: FlowReport) -> tuple[str, ...]:
    status = str(report.response.status) if report.response else "---"
    rules = dict.fromkeys(finding.rule for finding in report.findings)
    return (
        report.verdict,
        report.cos.operation,
        status,
        size_text(moved_bytes(report)),
        place_of(report),
        ", ".join(rules) or "-",
    )
