"""Of every capture in ``tests/reported`` is said what an expert would say, and nothing wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main

REPORTED = Path(__file__).parent / "reported"
CASES = sorted(path for path in REPORTED.iterdir() if path.suffix in (".mitm", ".har"))

Report = dict[str, Any]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_reported(path: Path, tmp_path: Path) -> None:
    expected = json.loads((REPORTED / f"{path.stem}.expected.json").read_text("utf-8"))
    flows, summary = _analyzed(path, expected.get("credentials"), tmp_path)
    said = json.dumps([flow["findings"] for flow in flows], ensure_ascii=False, indent=1)
    for item in expected["must"]:
        assert _holds(item, flows, summary), (item, said)
    for item in expected.get("must_not", ()):
        assert not _holds(item, flows, summary), (item, said)


def _analyzed(path: Path, keys: str | None, folder: Path) -> tuple[list[Report], Report]:
    command = ["analyze", "--quiet", "--format", "json", "--report-dir", str(folder / "reports")]
    if keys is not None:
        mine = folder / "keys.ini"
        mine.write_text((REPORTED / keys).read_text("utf-8"))
        # Keys that others could read are refused.
        mine.chmod(0o600)
        command += ["--credentials", str(mine)]
    done = CliRunner().invoke(main, [*command, str(path)])
    assert done.exit_code == 0, done.output
    written = folder.joinpath("reports", "flows").glob("*.json")
    flows: list[Report] = [json.loads(flow.read_text("utf-8")) for flow in written]
    summary: Report = json.loads((folder / "reports" / "summary.json").read_text("utf-8"))
    return sorted(flows, key=lambda flow: int(flow["sequence"])), summary


def _holds(item: str, flows: list[Report], summary: Report) -> bool:
    if item.startswith("summary:"):
        parts = {name: summary.get(name) for name in ("transfers", "retries", "connections")}
        return item.removeprefix("summary:") in json.dumps(parts, ensure_ascii=False)
    number = re.match(r"(\d+):", item)
    if number is not None:
        flows = [flow for flow in flows if flow["sequence"] == int(number[1])]
        item = item[number.end() :]
    asks_by_pattern = item.startswith(("says~", "rule~", "title~", "header~"))
    alternatives = [item] if asks_by_pattern else re.split(r"\|(?=rule=|says~)", item)
    return any(_fulfils(flow, one) for one in alternatives for flow in flows)


def _fulfils(flow: Report, item: str) -> bool:
    findings = flow["findings"]
    if item.startswith("check "):
        wanted, _, status = item.removeprefix("check ").partition("=")
        name, _, side = wanted.partition("/")
        return any(
            check["check"] == name and side in ("", check["body"]) and check["status"] == status
            for check in flow["checks"]
        )
    kind, sign, wanted = re.split(r"([~=])", item, maxsplit=1)
    if sign == "~":
        texts: dict[str, list[str]] = {
            "rule": [finding["rule"] for finding in findings],
            "title": [finding["title"] for finding in findings],
            "says": ["\n".join(_words(flow))],
            "header": [header["name"] for header in _headers(flow)],
        }
        return any(re.search(wanted, text, re.DOTALL) for text in texts[kind])
    if kind == "rule":
        return any(finding["rule"] == wanted for finding in findings)
    value: Any = flow["cos"] if kind == "operation" else flow
    for name in kind.split("."):
        value = (value or {}).get(name)
    return value is not None and str(value) == wanted


def _words(flow: Report) -> list[str]:
    """The inspector's own, not those of COS's message."""
    words = []
    for finding in flow["findings"]:
        words += [finding["title"], finding["detail"], finding.get("fix") or ""]
        words.append(json.dumps(finding.get("evidence") or {}, ensure_ascii=False))
    error = flow.get("error") or {}
    return words + [error.get(name) or "" for name in ("meaning", "cause", "fix")]


def _headers(flow: Report) -> list[Report]:
    response = flow["response"] or {}
    return [*response.get("headers", []), *flow["request"]["headers"]]
