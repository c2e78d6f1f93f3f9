"""What a stranger wrote is shown as what it is, wherever a report is told: nothing in it ends
a line, turns the text around, steers a terminal, or cannot be seen."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import cos_inspect
from cos_inspect.inspection.flow_text import flow_text
from cos_inspect.inspection.ticket import ticket_line
from cos_inspect.model.flow_report import Check, FlowReport, HeaderReport
from cos_inspect.model.plain_text import UNSEEN, encoded
from cos_inspect.model.summary import TransferSummary
from cos_inspect.proxy.annotations import comment_of
from cos_inspect.report.junit import flow_suite, transfer_suite
from cos_inspect.report.markdown import to_markdown
from cos_inspect.report.terminal import flow_line
from cos_inspect.report.writer import ReportWriter
from tests.report.build import error_report, finding, flow_report

SIGNS = (
    "\x00\x07\t\n\r\x1b\x7f\x85\xad\u061c\u180e\u200b\u200f\u2028\u2029\u202e\u2066\u2069"
    "\ufeff\ud800\udfff\U000e0041"
)
HOSTILE = st.text(st.sampled_from(SIGNS + "aZ<&\"'`|中🙂\ufffe\uffff]>"), min_size=1, max_size=30)
ALL_OF_THEM = f"x{SIGNS}y"


def hostile(text: str) -> FlowReport:
    """It stands wherever a stranger's text may stand."""
    report = flow_report(key=text, status=403, operation="PutObject")
    found = msgspec.structs.replace(finding(), detail=text, evidence={"header": text, "n": [text]})
    error = error_report(text, text)
    check = Check(check="etag", body="request", status="mismatch", expected=text, actual=text)
    client = msgspec.structs.replace(report.cos.client, version=text) if report.cos.client else None
    report = msgspec.structs.replace(
        report,
        findings=[found, msgspec.structs.replace(found, rule="error-response", group="error")],
        error=error,
        checks=[check, msgspec.structs.replace(check, status="match")],
        cos=msgspec.structs.replace(report.cos, bucket=text, client=client, region=text),
        request=msgspec.structs.replace(
            report.request,
            method=text,
            url=f"https://{text}/{text}",
            headers=[HeaderReport(text, text, "other", "", (text,))],
        ),
        response=report.response and msgspec.structs.replace(report.response, reason=text),
        ids=msgspec.structs.replace(report.ids, request_id=text, trace_id=text),
    )
    return msgspec.structs.replace(report, ticket=ticket_line(report))


def is_plain(text: str, *, lines: bool = False) -> bool:
    """``lines``: it may have some, which are ours."""
    return not UNSEEN.search(text.replace("\n", "") if lines else text)


@given(HOSTILE)
@example(ALL_OF_THEM)
def test_text_for_people(text: str) -> None:
    report = hostile(text)
    assert report.ticket is not None
    assert is_plain(report.ticket)
    assert is_plain(to_markdown(report), lines=True)
    comment = comment_of(report)
    assert is_plain(comment, lines=True)
    assert len(comment.splitlines()) == 3
    line = flow_line(report)
    assert is_plain(line, lines=True)
    assert len(line.splitlines()) == 3
    assert is_plain(flow_line(report, width=80), lines=True)
    assert is_plain(flow_text(report), lines=True)


@given(HOSTILE)
@example(ALL_OF_THEM)
def test_junit(text: str) -> None:
    transfer = TransferSummary(
        kind="multipart-upload",
        id=text,
        bucket=text,
        key=text,
        state=text,
        size=None,
        parts=1,
        duration_ms=None,
        verdict="error",
        findings=hostile(text).findings,
        flows=[],
        checks=hostile(text).checks,
    )
    for suite in (flow_suite(hostile(text)), transfer_suite(transfer)):
        assert is_plain(suite.decode(), lines=True)
        for element in ElementTree.fromstring(suite).iter():
            assert all(is_plain(value) for value in element.attrib.values())
            assert is_plain(element.text or "", lines=True)


@given(HOSTILE)
@example(ALL_OF_THEM)
def test_json_is_one_line_for_every_reader(text: str) -> None:
    report = hostile(text)
    line = encoded(report).decode()
    assert len(line.splitlines()) == 1
    # Nothing but halves of pairs is changed.
    whole = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
    assert json.loads(line)["cos"]["key"] == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(HOSTILE)
@example(ALL_OF_THEM)
def test_files(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("reports")
    writer = ReportWriter(folder, ["json", "jsonl", "html", "markdown", "junit"])
    writer.submit(hostile(text))
    writer.close()
    assert not writer.lost.count
    assert len((folder / "flows.jsonl").read_text().splitlines()) == 1
    for name in ("data/rows-0001.js", "data/flows-0001.js", "data/summary.js"):
        assert len((folder / name).read_text().splitlines()) == 1, name
    for path in folder.rglob("*.md"):
        assert is_plain(path.read_text(), lines=True)
    assert is_plain((folder / "junit.xml").read_text(), lines=True)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    assert summary["counts"]["flows"] == 1


def test_pages_spell_out_the_same_signs() -> None:
    """Their script has its own expression, in JavaScript."""
    assets = Path(cos_inspect.__file__).parent / "report/assets"
    (script,) = re.findall(r"const HIDDEN = /\[(.+)\]/gu;", (assets / "dom.js").read_text())
    expression = re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: f"\\U{found[1]:0>8}", script)
    hidden = re.compile(f"[{expression}]")
    for number in range(0x110000):
        sign = chr(number)
        assert bool(hidden.match(sign)) == bool(UNSEEN.match(sign)), f"{number:04x}"
