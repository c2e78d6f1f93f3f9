"""Header by header: a good value, none, a malformed one and an unknown one, and what the report
says of each. ``tests/header_table.tsv`` is made of a message of ``tests/header_table`` with that
one header changed; its first lines explain the columns."""

from pathlib import Path
from typing import NamedTuple

import pytest

from cos_inspect.cos.header_syntax import CHECKERS
from cos_inspect.cos.headers import describe, syntax_of
from cos_inspect.cos.tables import rows
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.flow_report import FlowReport, Side
from tests.captures_reader import read_capture

TESTS = Path(__file__).parent
MESSAGES = TESTS / "header_table"
SIDES: tuple[Side, ...] = ("request", "response")
ASKED = frozenset(
    {"authorization", "content-length", "content-md5", "content-type", "date", "host"}
)
"""Common headers of requests (COS documents, page 436/7728), beside those of COS's own."""
EXTENDED = frozenset({"word", "sse-algorithm", "amz-sse-algorithm", "customer-algorithm"})
"""Grammars of words to which COS adds new ones."""


class Row(NamedTuple):
    header: str
    side: Side
    case: str
    on: str
    value: str
    findings: str
    checks: str
    says: str

    @property
    def pieces(self) -> list[str]:
        return self.says.split(" // ") if self.says else []


def _rows() -> list[Row]:
    lines = (TESTS / "header_table.tsv").read_text("utf-8").splitlines()
    table = [line.split("\t") for line in lines if not line.startswith("#")]
    assert tuple(table[0]) == Row._fields
    return [Row._make(line) for line in table[1:]]


ROWS = _rows()


def _edited(text: str, row: Row) -> str:
    """The message with one header of one side changed, added or taken away."""
    request, separator, response = text.partition("=== response ===\n")
    comments, _, request = request.partition("\n\n")
    sides = {"request": request, "response": response}
    head, blank, body = sides[row.side].partition("\n\n")
    first, *lines = head.split("\n")
    names = [line.partition(":")[0].lower() for line in lines]
    place = names.index(row.header.lower()) if row.header.lower() in names else len(lines)
    if row.value != "(as it is)":
        value = "" if row.value == "(empty)" else row.value
        lines[place : place + 1] = [] if value == "(none)" else [f"{row.header}: {value}"]
    sides[row.side] = "\n".join([first, *lines]) + blank + body
    return f"{comments}\n\n{sides['request']}{separator}{sides['response']}"


def _report(path: Path) -> FlowReport:
    look = first_look(read_capture(path).exchange)
    assert look is not None
    return look.report


def _found(report: FlowReport) -> list[str]:
    return sorted(f"{finding.rule} {finding.severity.value}" for finding in report.findings)


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.http")), ids=lambda path: path.stem)
def test_the_message_as_it_is(path: Path) -> None:
    capture, report = read_capture(path), _report(path)
    assert (report.verdict, _found(report)) == (capture.verdict, list(capture.findings))
    assert not [check for check in report.checks if check.status == "mismatch"]


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.header} {row.side} {row.case} {row.value[:30]}" for row in ROWS]
)
def test_what_is_said(row: Row, tmp_path: Path) -> None:
    message = MESSAGES / f"{row.on}.http"
    before = _found(_report(message))
    path = tmp_path / "capture.http"
    path.write_text(_edited(message.read_text("utf-8"), row), "utf-8")
    report = _report(path)
    assert _found(report) == sorted([*before, *filter(None, row.findings.split("; "))])
    wrong = [
        " ".join(filter(None, (check.check, check.body, check.status, check.reason)))
        for check in report.checks
        if check.status == "mismatch" or check.reason == "malformed"
    ]
    assert wrong == list(filter(None, row.checks.split("; ")))
    message_report = report.request if row.side == "request" else report.response
    assert message_report is not None
    shown = [each for each in message_report.headers if each.name == row.header]
    assert len(shown) == (row.case != "missing")
    if row.case == "good":
        assert [each.meaning for each in shown] == row.pieces
        assert not shown[0].issues
        return
    said = [finding.detail for finding in report.findings]
    said += [issue for each in shown for issue in each.issues]
    for piece in row.pieces:
        assert any(piece in text for text in said), (piece, said)
    malformed = "header-malformed" in row.findings
    if row.case == "malformed" and row.header != "Transfer-Encoding":
        # A signature has a rule of its own.
        assert malformed == ("signature-malformed" not in row.findings)
        assert bool(shown[0].issues) == malformed
    elif row.case in ("unknown", "missing"):
        assert not malformed


def _told(*cases: str) -> set[tuple[str, Side]]:
    """Rows of the table of headers, by side, that have such a case."""
    return {
        (describe(row.header.lower(), row.side).name, row.side) for row in ROWS if row.case in cases
    }


def _wanted() -> list[tuple[dict[str, str], Side]]:
    """The common headers, those of encryption and all that are COS's own, on each side."""
    return [
        (row, side)
        for row in rows("headers")
        for side in SIDES
        if row["direction"] in (side, "both")
        and (
            row["category"] in ("common", "sse")
            or row["name"].startswith("x-cos-")
            or (row["name"] in ASKED and side == "request")
        )
    ]


def test_no_header_is_left_out() -> None:
    wanted = {(row["name"], side) for row, side in _wanted()}
    left_out = wanted - _told("good")
    assert not left_out, "add a row with case good to tests/header_table.tsv"
    assert len(wanted) > 130


def test_every_common_header_is_missing_somewhere() -> None:
    wanted = {
        (row["name"], side)
        for row, side in _wanted()
        if row["category"] in ("common", "sse") or row["name"] in ASKED - {"host"}
    }
    left_out = wanted - _told("missing")
    assert not left_out, "add a row with case missing to tests/header_table.tsv"


def test_every_header_with_a_grammar_is_malformed_somewhere() -> None:
    wanted = {
        (row["name"], side)
        for row, side in _wanted()
        # Of metadata the name is judged, and the size.
        if syntax_of(row, side) not in ("text", "meta-value")
    }
    left_out = wanted - _told("malformed")
    assert not left_out, "add a row with case malformed to tests/header_table.tsv"
    assert all(syntax_of(row, side) in CHECKERS for row, side in _wanted())


def test_every_word_list_that_grows_meets_a_word_that_is_new() -> None:
    wanted = {(row["name"], side) for row, side in _wanted() if syntax_of(row, side) in EXTENDED}
    assert wanted - _told("unknown") == set()


def test_a_good_value_is_told_with_what_is_allowed() -> None:
    for row in ROWS:
        fact = describe(row.header.lower(), row.side)
        if row.case == "good" and fact.category in ("common", "sse"):
            assert ". Allowed: " in row.says
