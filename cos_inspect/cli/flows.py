"""``cos-inspect show`` and ``cos-inspect compare``: flows of a report directory."""

from pathlib import Path
from typing import NoReturn

import click

from cos_inspect.inspection.flow_text import flow_text
from cos_inspect.report.compare import compare as comparison_of
from cos_inspect.report.comparison_text import comparison_text
from cos_inspect.report.saved_flows import NotFoundError, find_flow, flow_to_compare

report_directory = click.option(
    "--report-dir",
    default="cos-reports",
    show_default=True,
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    help="Where the reports are.",
)


@click.command()
@click.argument("flow")
@report_directory
def show(flow: str, report_dir: Path) -> None:
    """Print one FLOW, named by its number or the beginning of its flow id: findings, checks,
    ids, and the line for a ticket."""
    try:
        click.echo(flow_text(find_flow(report_dir, flow)))
    except NotFoundError as error:
        _refuse("show", error)


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@report_directory
def compare(first: str, second: str | None, report_dir: Path) -> None:
    """Compare two flows, named by their numbers or the beginnings of their flow ids: what
    differs, and which difference matters. Without B, A is compared with the nearest flow of
    its operation that worked."""
    try:
        one = find_flow(report_dir, first)
        other = (
            flow_to_compare(report_dir, one) if second is None else find_flow(report_dir, second)
        )
    except NotFoundError as error:
        _refuse("compare", error)
    if other is None:
        _refuse("compare", f"no flow with {one.cos.operation} has worked, so name the other one")
    click.echo("\n".join(comparison_text(one, other, comparison_of(one, other))))


def _refuse(command: str, why: object) -> NoReturn:
    click.echo(f"cos-inspect {command}: {why}", err=True)
    raise click.exceptions.Exit(2)
