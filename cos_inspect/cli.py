"""The door for the shell: ``cos-inspect``."""

import json
from pathlib import Path

import click

from cos_inspect import __version__
from cos_inspect.report.schema import schema as report_schema
from cos_inspect.rules.registry import RULES


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cos-inspect")
def main() -> None:
    """Inspects Tencent COS traffic that passes through mitmproxy."""


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
    click.echo(Path(__file__).with_name("addon.py"))
