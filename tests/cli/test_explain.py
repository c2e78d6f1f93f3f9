"""``cos-inspect explain`` in the shell, and what it says of the shell's own commands."""

import click
import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(main, ["explain", "NoSuchKey"])
    assert result.exit_code == 0
    assert result.stdout.startswith("NoSuchKey: an error code of COS\n")


@pytest.mark.parametrize("words", [["-103"], ["Request", "has", "expired"]])
def test_codes_that_look_like_options_or_have_blanks_are_taken(words: list[str]) -> None:
    result = CliRunner().invoke(main, ["explain", *words])
    assert result.exit_code == 0
    assert result.stdout.startswith(" ".join(words))


@pytest.mark.parametrize("what", ["NoSuchKy", "nonsense", "a\nb", "x" * 9000])
def test_an_unknown_name_ends_with_status_2_and_one_line(what: str) -> None:
    result = CliRunner().invoke(main, ["explain", what])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert ("did you mean NoSuchKey" in result.stderr) == (what == "NoSuchKy")


def test_nothing_to_explain_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["explain"]).exit_code == 2


def told(*what: str) -> str:
    result = CliRunner().invoke(main, ["explain", *what])
    assert result.exit_code == 0, result.output
    return result.stdout


COMMANDS = sorted(main.commands.items())
SWITCHES = [
    (name, item)
    for name, command in COMMANDS
    for item in command.params
    if isinstance(item, click.Option)
]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_is_told(name: str, command: click.Command) -> None:
    text = told(name)
    assert f"{name}: a command of cos-inspect\n" in text
    assert " ".join((command.help or "").split()) in text
    for owner, item in SWITCHES:
        assert (item.opts[0] in text) or owner != name


@pytest.mark.parametrize(
    ("name", "item"), SWITCHES, ids=[f"{name} {item.opts[0]}" for name, item in SWITCHES]
)
def test_every_switch_is_told_with_and_without_its_dashes(name: str, item: click.Option) -> None:
    for spelt in (*item.opts, *item.secondary_opts):
        for what in ([spelt], [spelt.lstrip("-").upper()], [name, spelt], [f"{spelt}=7"]):
            text = told(*what)
            assert f"{item.opts[0]}" in text
            assert "a switch of cos-inspect" in text
            assert name in text.partition("a switch of")[2]
            assert item.help is not None
            assert item.help in text


def test_one_switch_of_several_commands_is_told_once_where_it_is_the_same() -> None:
    text = told("--report-dir")
    assert text.count("a switch of") == 2
    assert "cos-inspect show, cos-inspect compare" in text
    assert "--set cos_report_dir=…" in text
    assert told("show", "--report-dir").count("a switch of") == 1


def test_allowed_values_stand_beside_a_switch() -> None:
    assert "never, notice, warning, error" in told("--fail-on")


@pytest.mark.parametrize(
    "what", [["show", "--jobs"], ["nonsense", "--jobs"], ["--"], ["-"], ["--jobs", "4"], ["cos."]]
)
def test_what_is_no_switch_of_a_command_is_unknown(what: list[str]) -> None:
    assert CliRunner().invoke(main, ["explain", *what]).exit_code == 2


@pytest.mark.parametrize(
    ("misspelt", "name"),
    [("--jbos", "--jobs"), ("analize", "analyze"), ("--write-b", "--write")],
)
def test_a_close_command_or_switch_is_suggested(misspelt: str, name: str) -> None:
    result = CliRunner().invoke(main, ["explain", misspelt])
    assert result.exit_code == 2
    assert f"did you mean {name}" in result.stderr


def test_a_command_of_mitmproxy_is_told() -> None:
    assert "inside mitmproxy" in told("cos.compare")
