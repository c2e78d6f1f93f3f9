"""``cos-inspect doctor``: why nothing appears. Looks at this machine, and at who was connected."""

from collections.abc import Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from cos_inspect.cli.environment import EnvironmentCheck, look_around
from cos_inspect.cli.flows import report_directory
from cos_inspect.model.devices import DeviceSummary, advice_of
from cos_inspect.model.summary import Summary
from cos_inspect.report.saved_flows import NotFoundError, read_summary
from cos_inspect.report.terminal_text import one_line, table

_COLUMNS = ("address", "client", "TLS", "flows", "others", "last seen (UTC)", "clock", "around")
_MOST_CONNECTIONS = 10


@click.command()
@report_directory
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="The port that the proxy listens on.",
)
@click.option(
    "--host", default="cos.ap-guangzhou.myqcloud.com", show_default=True, help="A host of COS."
)
@click.option(
    "--confdir",
    type=click.Path(path_type=Path),
    default=Path("~/.mitmproxy"),
    show_default=True,
    help="Where mitmproxy keeps its CA.",
)
@click.pass_context
def doctor(ctx: click.Context, report_dir: Path, port: int, host: str, confdir: Path) -> None:
    """Check what a client needs to come through the proxy: versions, port, CA, variables, name
    servers; and, by the reports, which devices came and what keeps them from being seen."""
    for found in look_around(port=port, host=host, confdir=confdir.expanduser()):
        click.echo(_line(found))
    is_asked = ctx.get_parameter_source("report_dir") is not ParameterSource.DEFAULT
    if not is_asked and not (report_dir / "summary.json").exists():
        return
    try:
        summary = read_summary(report_dir)
    except NotFoundError as error:
        click.echo(
            f"cos-inspect doctor: {one_line(str(error))}: nothing came through a proxy that writes"
            " there (cos_report_dir), or the path is another one",
            err=True,
        )
        raise click.exceptions.Exit(2) from None
    click.echo()
    for line in _connected(summary):
        click.echo(line)


def _line(found: EnvironmentCheck) -> str:
    text = f"{'ok' if found.is_fine else 'look':5} {found.what:13} {one_line(found.said)}"
    return f"{text}\n{'':20}{one_line(found.advice)}" if found.advice else text


def _connected(summary: Summary) -> Iterator[str]:
    if summary.runs:
        run = summary.runs[-1]
        until = f"to {run.ended}" if run.ended else "and goes on"
        yield (
            f"run {run.id} ({one_line(run.name)}), from {run.started or 'unknown'} {until}:"
            f" {run.flows} COS flows, {run.others} others"
        )
    if not summary.devices:
        yield "no device was connected: set the client's proxy, or use WireGuard mode for a phone"
    else:
        yield table([_COLUMNS, *(_row(device) for device in summary.devices)])
    for device in summary.devices:
        for advice in advice_of(device):
            yield f"{device.address}: {one_line(advice)}"
    failed = [each for each in summary.connections if each.failed.startswith("upstream-")]
    for trouble in failed[:_MOST_CONNECTIONS]:
        detail = f" ({trouble.detail})" if trouble.detail else ""
        yield one_line(f"{trouble.host}: {trouble.failed}, {trouble.count} times{detail}")
    if not summary.counts.flows and summary.other_hosts:
        first = sorted(summary.other_hosts.items(), key=lambda item: (-item[1], item[0]))[:5]
        named = ", ".join(f"{count} to {one_line(name)}" for name, count in first)
        yield f"no COS flow, but {named}: name a custom domain by --set cos_hosts='{first[0][0]}'"


def _row(device: DeviceSummary) -> tuple[str, ...]:
    client = " ".join(word for word in (device.client, device.version) if word) or "unknown"
    tls: str = device.tls or "none"
    if device.tls_refused:
        tls = f"{tls}: {device.tls_refused}"
    ahead = device.clock_seconds
    clock = "unknown" if ahead is None else "right" if abs(ahead) < 2 else f"{ahead:+} s"
    seen = device.last_seen.partition(".")[0].replace("T", " ") if device.last_seen else "unknown"
    around = ", ".join(each.what for each in device.suspected) or "-"
    return (
        device.address,
        client,
        tls,
        str(device.flows),
        str(device.others),
        seen,
        clock,
        around,
    )
