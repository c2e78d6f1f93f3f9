from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cos_inspect.cli.commands import main
from cos_inspect.report.directory import flow_file_stem
from tests.report.compared import LATER, sent


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    for report in (sent(status=403, code="AccessDenied"), sent(**LATER)):
        path = tmp_path / "flows" / f"{flow_file_stem(report)}.json"
        path.write_bytes(msgspec.json.encode(report))
    return tmp_path


def _run(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--report-dir", str(directory)])


def test_compare_two_and_one_with_the_proposed(directory: Path) -> None:
    two, one = _run(directory, "compare", "1", "2"), _run(directory, "compare", "1")
    assert two.exit_code == one.exit_code == 0
    assert two.output == one.output
    assert two.output.startswith("Nothing that matters differs")


def test_show_prints_one(directory: Path) -> None:
    shown = _run(directory, "show", "1")
    assert shown.exit_code == 0
    assert shown.output.startswith("COS error: PutObject 403\n")


@pytest.mark.parametrize(
    "arguments", [("show", "9"), ("compare", "9"), ("compare", "1", "9"), ("show", "nonsense")]
)
def test_what_is_not_there_ends_with_status_2(directory: Path, arguments: tuple[str, ...]) -> None:
    ended = _run(directory, *arguments)
    assert ended.exit_code == 2
    assert ended.output.startswith(f"cos-inspect {arguments[0]}: ")
    assert ended.output.count("\n") == 1


def test_nothing_that_worked(directory: Path) -> None:
    for path in (directory / "flows").glob("000002_*"):
        path.unlink()
    ended = _run(directory, "compare", "1")
    assert (ended.exit_code, "has worked" in ended.output) == (2, True)
