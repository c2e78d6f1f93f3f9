"""Captures with good and bad flows, and the command that analyzes them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
from click.testing import CliRunner, Result

from cos_inspect.cli.commands import main
from cos_inspect.model.schema import schema
from tests.saved.flow_files import cos_flow, saved_file
from tests.saved.hars import Entry, as_base64, download, har

BODY = b"[Object Content]"


VALIDATOR = jsonschema.Draft202012Validator(schema())


def good(number: int = 0) -> Entry:
    return download(BODY, as_base64(BODY), time=number)


def bad(number: int = 0) -> Entry:
    return download(BODY, as_base64(b"[Object Damaged]"), time=number)


def other() -> Entry:
    entry = good()
    entry["request"] |= {"url": "https://www.example.com/", "headers": []}
    entry["response"]["headers"] = []
    return entry


class Run:
    """One call of the command in a folder of its own."""

    def __init__(self, folder: Path, *arguments: object, status: int = 0) -> None:
        self.folder = folder / "reports"
        self.result: Result = CliRunner().invoke(
            main, ["analyze", *map(str, arguments), f"--report-dir={self.folder}"]
        )
        assert self.result.exception is None or isinstance(self.result.exception, SystemExit)
        assert self.result.exit_code == status, self.result.output

    @property
    def reports(self) -> list[dict[str, Any]]:
        found = [json.loads(path.read_text()) for path in sorted(self.folder.glob("flows/*.json"))]
        for report in found:
            VALIDATOR.validate(report)
        return found

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        VALIDATOR.validate(found)
        return found


def two_captures(folder: Path) -> tuple[Path, Path]:
    """A HAR with a good, a bad and another flow, and a flow file with two good ones."""
    first, second = folder / "one.har", folder / "two.mitm"
    first.write_bytes(har([good(), bad(), other()]))
    saved_file(second, cos_flow(), cos_flow())
    return first, second
