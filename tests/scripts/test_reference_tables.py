"""What is written of rules, options, commands and switches is what the code has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from cos_inspect.cli.commands import main as cli
from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import CheckName, FlowReport, SkipReason
from cos_inspect.model.schema import schema
from cos_inspect.model.summary import Summary
from cos_inspect.proxy.options import OPTION_NAMES
from cos_inspect.rules.registry import RULES
from cos_inspect.settings.addon_options import OPTIONS
from scripts.reference_members import member_rows
from scripts.reference_tables import PATH, cell, command_rows, reference, switches

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def _first_cells(text: str, heading: str) -> list[str]:
    section = re.split(r"(?m)^#+ ", text.partition(f"# {heading}\n")[2])[0]
    return re.findall(r"(?m)^\| `([^`]+)`", section)


def test_the_reference_is_what_the_code_says() -> None:
    assert PATH.read_text("utf-8") == reference(), "run scripts/reference"


def test_the_reference_names_every_rule_check_and_reason() -> None:
    text = PATH.read_text("utf-8")
    assert _first_cells(text, "Rules") == [rule.id for rule in RULES]
    assert set(_first_cells(text, "Checks")) == set(get_args(CheckName))
    assert {row["reason"] for row in rows("skips")} == set(get_args(SkipReason))


def test_the_readme_has_the_options_with_their_defaults() -> None:
    assert set(_first_cells(README, "Options")) == OPTION_NAMES
    for name, _, default, _ in OPTIONS:
        values = [default] if isinstance(default, str) else default
        shown = re.search(rf"(?m)^\| `{name}` \| ([^|]*) \|", README)
        assert shown is not None
        assert re.findall("`([^`]+)`", shown[1]) == [value for value in values if value]


def test_the_readme_has_the_commands_of_mitmproxy() -> None:
    names = {row[0].strip("`").split()[0] for row in command_rows()}
    assert {word.split()[0] for word in re.findall(r"(?m)^\| `(cos\.[^`]+)`", README)} == names


def test_the_readme_has_the_commands_and_switches_of_the_shell() -> None:
    section = re.split(r"(?m)^#+ ", README.partition("# In the shell: `cos-inspect`\n")[2])[0]
    named = {word.split()[0] for word in re.findall(r"`([a-z][^`]*)`", section)}
    assert set(cli.commands) <= named
    spelt = set(re.findall(r"--[a-z][a-z-]*", section))
    assert {item.opts[0] for item in switches()} == spelt


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 300


def test_a_cell_ends_neither_the_table_nor_begins_a_tag() -> None:
    assert cell("a | b\n<c> `<d>` e*") == "a \\| b &lt;c> `<d>` e\\*"


def _schema_members(struct: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    for name, member in struct.get("properties", {}).items():
        yield name
        for name_of in re.findall(r"#/\$defs/(\w+)", json.dumps(member)):
            yield from _schema_members(components.pop(name_of, {}), components)


@pytest.mark.parametrize(
    ("root", "heading"),
    [("FlowReport", "Members of a flow's report"), ("Summary", "Members of `summary.json`")],
)
def test_the_reference_names_every_member_of_the_schema(root: str, heading: str) -> None:
    components = schema()["$defs"]
    expected = set(_schema_members(components[root], dict(components)))
    assert len(expected) > 60
    told = _first_cells(PATH.read_text("utf-8"), heading)
    assert {path.rpartition(".")[2] for path in told} == expected


def test_what_is_said_of_transfers_and_of_the_whole_has_a_meaning() -> None:
    plain = {"schema", "bucket", "key", "size", "md5", "crc64ecma", "group", "id"}
    of = (
        "transfer",
        "transfers",
        "counts",
        "retries",
        "read_back",
        "lost",
        "left_out",
        "forgotten",
    )
    silent = [
        path
        for root in (FlowReport, Summary)
        for path, _, meaning in member_rows(root)
        if re.split(r"[.\[]", path)[0] in (*of, "retries_left_out")
        and path.rpartition(".")[2] not in plain
        and not meaning
    ]
    assert silent == []
