"""``cos-inspect`` as the shell sees it."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main
from cos_inspect.rules.registry import RULES


def _output(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_rules_prints_each_one() -> None:
    lines = _output("rules").splitlines()
    assert [line.split()[0] for line in lines] == [rule.id for rule in RULES]


def test_schema_is_a_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(_output("schema")))


def test_addon_path_is_the_script() -> None:
    path = Path(_output("addon-path").strip())
    assert path.name == "addon.py"
    assert "addons.append(CosInspect())" in path.read_text()


def test_wrong_usage_ends_with_status_2() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_an_interrupt_is_no_run_that_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which status 1 would tell."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cos_inspect.cli.commands.report_schema", interrupted)
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 130
    assert result.stderr.strip() == "cos-inspect: interrupted"
