"""``cos-inspect explain``: what stands in reports and options, and the shell's own commands."""

from collections.abc import Iterator, Mapping

import click

from cos_inspect.inspection.explain import explain as explanation_of
from cos_inspect.inspection.explain import suggestions
from cos_inspect.inspection.explain_block import block
from cos_inspect.model.plain_text import shortened
from cos_inspect.settings.addon_options import OPTIONS

_OPTION_OF = {"format": "cos_report_format"}
"""Options of the addon that do what a switch does, where they are named otherwise."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("what", nargs=-1, required=True)
@click.pass_context
def explain(context: click.Context, what: tuple[str, ...]) -> None:
    """Explain WHAT: a rule, an error code, a header, an operation or a word of COS, a request id
    or trace id, a check, the reason why one was skipped, an option, a command or one of its
    switches, a client, a region, a host."""
    group = context.find_root().command
    commands = group.commands if isinstance(group, click.Group) else {}
    name = " ".join(what)
    text = explanation_of(name, (lambda word: _shell(word, commands),))
    if text is None:
        close = suggestions(name, [*commands, *_spellings(commands)])
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        click.echo(
            f"cos-inspect explain: nothing is known of {shortened(name, 80)!r}{hint}", err=True
        )
        raise click.exceptions.Exit(2)
    click.echo(text)


def _shell(word: str, commands: Mapping[str, click.Command]) -> Iterator[str]:
    """Of a command's name, and of a switch with or without its dashes and value."""
    lower = word.lower().removeprefix("cos-inspect ")
    if lower.startswith("cos."):
        # What is in mitmproxy takes a while to load.
        from cos_inspect.proxy.commands import explain_command  # noqa: PLC0415

        yield from explain_command(lower)
    if lower in commands:
        yield _command(lower, commands[lower])
        return
    *first, last = lower.split(" ")
    switch = last.partition("=")[0]
    if first and first[0] not in commands:
        return
    told: dict[str, list[str]] = {}
    for name, command in commands.items():
        for item in command.params:
            if (
                isinstance(item, click.Option)
                and switch in (*_names(item), *(each.lstrip("-") for each in _names(item)))
                and first in ([], [name])
            ):
                told.setdefault(_switch(item, command), []).append(name)
    for text, names in told.items():
        title = ", ".join(f"cos-inspect {name}" for name in names)
        first_line, _, rest = text.partition("\n")
        yield f"{first_line} of {title}\n{rest}"


def _names(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def _spellings(commands: Mapping[str, click.Command]) -> Iterator[str]:
    for command in commands.values():
        for item in command.params:
            if isinstance(item, click.Option):
                yield from _names(item)


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command)
    arguments = [
        item.make_metavar(context) for item in command.params if isinstance(item, click.Argument)
    ]
    switches = [
        item.opts[0]
        for item in command.params
        if isinstance(item, click.Option) and not item.hidden
    ]
    return block(
        f"{name}: a command of cos-inspect",
        ("given as", " ".join(["cos-inspect", name, *arguments])),
        ("does", " ".join((command.help or "").split())),
        ("switches", ", ".join(switches)),
    )


def _switch(item: click.Option, command: click.Command) -> str:
    name = item.opts[0].lstrip("-")
    option = _OPTION_OF.get(name, f"cos_{name.replace('-', '_')}")
    in_proxy = any(option == known for known, *_ in OPTIONS)
    return block(
        f"{' / '.join(_names(item))}: a switch",
        ("meaning", item.help or ""),
        ("takes", _taken(item, command)),
        ("default", item.default if isinstance(item.default, str) and item.default else ""),
        ("in the proxy", f"--set {option}=…" if in_proxy else ""),
    )


def _taken(item: click.Option, command: click.Command) -> str:
    if item.is_flag:
        return ""
    if isinstance(item.type, click.Choice) and item.metavar is None:
        return ", ".join(item.type.choices)
    return item.make_metavar(click.Context(command))
