"""Whatever stands in a member of a saved flow: nothing raises, the flow is judged or named,
and what else was given is reported whole."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.flow import Error
from mitmproxy.io import tnetstring

from cos_inspect.analyze.outcome import Outcome, closing_text
from cos_inspect.analyze.run import analyze
from cos_inspect.report.formats import FORMATS
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.saved.flow_files import BODY, cos_flow, saved_file
from tests.saved.hars import Entry, as_base64, download, har, upload

Path_ = tuple[str | int, ...]
GOOD = "good.mitm"
SURROGATES = "surrogates"
"""Takes as many bytes as the halves of pairs that are put in its place, whose bytes are no
UTF-8."""


def members(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """All places in a tree, without its root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, held in inner:
        yield (*path, name)
        if isinstance(held, dict | list | tuple):
            yield from members(held, (*path, name))


def changed(tree: Any, path: Path_, value: Any) -> Any:
    tree = copy.deepcopy(tree)
    place = tree
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return tree


def as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_lists(held) for name, held in value.items()}
    return [as_lists(held) for held in value] if isinstance(value, list | tuple) else value


class Run:
    """An analysis of a good capture and of odd ones, into a folder of its own."""

    def __init__(self, folder: Path, odd: dict[str, bytes]) -> None:
        good = saved_file(folder / GOOD, cos_flow(), cos_flow(method="PUT"))
        paths = [folder / name for name in odd]
        for path, content in zip(paths, odd.values(), strict=True):
            path.write_bytes(content)
        self.lines: list[str] = []
        settings = AnalysisSettings(report_dir=folder / "reports", formats=FORMATS)
        arguments = [*map(str, paths), str(good)]
        self.outcome: Outcome = analyze(arguments, settings, self.lines.append, self.lines.append)
        self.lines += [*self.outcome.errors, closing_text(self.outcome, settings)]
        self.reports = [
            json.loads(path.read_bytes())
            for path in sorted((folder / "reports" / "flows").glob("*.json"))
        ]
        self.summary = json.loads((folder / "reports" / "summary.json").read_bytes())
        for path in (folder / "reports").rglob("*"):
            if path.is_file():
                path.read_text(encoding="utf-8")


def check(folder: Path, odd: dict[str, bytes], most_reports: int = 1) -> None:
    alone = Run(folder, {})
    run = Run(folder / "odd", odd)
    "\n".join(run.lines).encode()
    whole = [without_number(report) for report in alone.reports]
    assert [without_number(report) for report in run.reports[-len(whole) :]] == whole
    named = [name for name in odd if any(f"/{name}: " in line for line in run.outcome.errors)]
    for name in named:
        assert any(f"/{name}: " in line and "at byte " in line for line in run.outcome.errors)
    reported = len(run.reports) - len(whole)
    assert reported + run.outcome.others + len(named) >= len(odd)
    assert reported <= len(odd) * most_reports
    lost = run.summary["lost"]
    assert lost["count"] == len(named)
    assert sum(lost["reasons"].values()) == lost["count"]


def without_number(report: dict[str, Any]) -> dict[str, Any]:
    return report | {"sequence": 0, "flow_id": "", "ticket": ""}


ODD_STATES: dict[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "endless": 10**400,
    "overflow": 1e308,
    "nan": float("nan"),
    "infinite": float("inf"),
    "text": "a",
    "surrogates": SURROGATES,
    "bytes": b"\xff\xfe\x00",
    "empty": b"",
    "list": [],
    "nested": [[], {}],
    "object": {"a": [1]},
}


def flow_state() -> dict[str, Any]:
    flow = cos_flow(BODY, "PUT")
    flow.error = Error("connection lost", 1605232801.0)
    flow.metadata["cos"] = {
        "version": 1,
        "request_body": {"end": "complete", "size": 3, "md5": "0" * 32, "crc64": "5"},
    }
    state: dict[str, Any] = as_lists(flow.get_state())
    return state


STATE = flow_state()
STATE_MEMBERS = [path for path in members(STATE) if path[0] not in ("backup", "websocket")]


@pytest.mark.parametrize("path", STATE_MEMBERS, ids=lambda path: ".".join(map(str, path)))
def test_a_member_of_a_flow(path: Path_, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    odd = {}
    for number, (name, value) in enumerate(ODD_STATES.items()):
        state = STATE | {"id": f"{number:08x}-0000-4000-8000-000000000000"}
        data = tnetstring.dumps(changed(state, path, value))
        odd[f"{name}.mitm"] = data.replace(b"10:surrogates;", b"10:" + b"\xed\xa0\x80" * 3 + b"!;")
    check(tmp_path, odd)


@pytest.mark.parametrize("path", [("request",), ("request", "headers"), ("id",), ("version",)])
def test_a_member_that_is_missing(path: Path_, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    state = copy.deepcopy(STATE)
    place: Any = state
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    check(tmp_path, {"missing.mitm": tnetstring.dumps(state)})


ODD_JSON: dict[str, str] = {
    "none": "null",
    "true": "true",
    "zero": "0",
    "negative": "-1",
    "endless": "9" * 400,
    "beyond": "9" * 5000,
    "overflow": "1e999",
    "small": "1e-999",
    "nan": "NaN",
    "infinite": "-Infinity",
    "text": '"a"',
    "blank": '""',
    "surrogates": '"\\ud800x\\udfff"',
    "latin": '"caf\xe9 \xff"',
    "marker": '"\\u0000blob:0"',
    "long": json.dumps("x" * 300_000),
    "list": "[]",
    "nested": "[[], {}, null]",
    "object": '{"a": [1]}',
    "deep": "[" * 5000 + "]" * 5000,
}
ENTRY: Entry = upload(BODY, as_base64(BODY, mimeType="text/plain", comment="c")) | {
    "time": 20,
    "serverIPAddress": "203.0.113.9",
    "_error": None,
    "timings": {"blocked": 1, "dns": 1, "connect": 2, "ssl": 1, "send": 1, "wait": 2, "receive": 3},
}
ENTRY["response"]["content"] = as_base64(b"abc", mimeType="text/plain", comment="")
ENTRY_MEMBERS = list(members(ENTRY))


@pytest.mark.parametrize("path", ENTRY_MEMBERS, ids=lambda path: ".".join(map(str, path)))
def test_a_member_of_an_entry(path: Path_, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    odd = {}
    for number, (name, value) in enumerate(ODD_JSON.items()):
        entry = ENTRY | {"comment": number}
        whole = json.dumps(changed(entry, path, "PLACE")).replace('"PLACE"', value)
        content = har([]).replace(b"[]", b"[" + whole.encode("latin-1") + b"]")
        odd[f"{name}.har"] = content
    check(tmp_path, odd)


@pytest.mark.parametrize("kind", [download, upload])
def test_names_of_headers(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    odd = {}
    for side in ("request", "response"):
        for name, value in ODD_JSON.items():
            entry = kind(BODY, as_base64(BODY))
            entry[side]["headers"] = {"Server": "tencent-cos", "PLACE": "x"}
            quoted = value if value.startswith('"') else json.dumps(value)
            whole = json.dumps(entry).replace('"PLACE"', quoted)
            content = har([]).replace(b"[]", b"[" + whole.encode("latin-1") + b"]")
            odd[f"{side}-{name}.har"] = content
    check(tmp_path, odd)
