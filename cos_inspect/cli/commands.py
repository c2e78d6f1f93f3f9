"""The door for the shell: ``cos-inspect``."""

import json
from pathlib import Path
from typing import Any

import click

from cos_inspect import __version__
from cos_inspect.cli.analyze import analyze
from cos_inspect.cli.doctor import doctor
from cos_inspect.cli.explain import explain
from cos_inspect.cli.flows import compare, show
from cos_inspect.model.schema import schema as report_schema
from cos_inspect.rules.registry import RULES

_INTERRUPTED = 130
"""The exit status that shells give a program which Ctrl-C has ended; click would say 1, which
stands for a run that was done."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("cos-inspect: interrupted", err=True)
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cos-inspect")
def main() -> None:
    """Inspects Tencent COS traffic that passes through mitmproxy."""


main.add_command(analyze)
main.add_command(show)
main.add_command(compare)
main.add_command(explain)
main.add_command(doctor)


@main.command()
def rules() -> None:
    """Print every rule: id, group, severity, and when it is found."""
    width = max(len(rule.id) for rule in RULES)
    for rule in RULES:
        click.echo(f"{rule.id:{width}}  {rule.group:10}  {rule.severity.value:7}  {rule.when}")


@main.command()
def schema() -> None:
    """Print the JSON Schema of the reports."""
    click.echo(json.dumps(report_schema(), indent=2))


@main.command("addon-path")
def addon_path() -> None:
    """Print the path to give to mitmdump -s."""
    click.echo(Path(__file__).parent.with_name("addon.py"))


class _PassingOn(click.Command):
    """Leaves every argument, also ``--help`` and ``--``, to the tool that it starts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return []


def _start(ctx: click.Context) -> None:
    # It takes a while to load, which the other commands need not wait for.
    from cos_inspect.proxy.run import run  # noqa: PLC0415

    ctx.exit(run(ctx.info_name or "", ctx.args))


for _tool in ("mitmdump", "mitmweb", "mitmproxy"):
    main.command(
        _tool, cls=_PassingOn, help=f"Start {_tool} with the addon in it; takes its arguments."
    )(click.pass_context(_start))
