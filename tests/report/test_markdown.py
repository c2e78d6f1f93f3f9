"""Markdown for a ticket: what matters first, and nothing from the wire is markup."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cos_inspect.model.flow_report import (
    Check,
    Finding,
    FlowReport,
    HeaderReport,
    Severity,
)
from cos_inspect.report.markdown import code, text, to_markdown
from tests.report.build import error_report, finding, flow_report, healed_try

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/p.png)",
    "a | b \\| c \\\\| d",
    "``` ` ```",
    "</details><b>",
    "line\nend\r\n# heading",
    "@someone #1 **bold** _thin_ ~~gone~~",
    "&lt;b&gt; &#60;",
    "\u202egnp.exe",
)


def hostile_report(value: str) -> FlowReport:
    report = flow_report(key=value, findings=[finding()], status=404)
    bad = Finding(
        rule="error-response",
        group="error",
        severity=Severity.WARNING,
        title="COS answered with an error",
        detail=f"It said {value}.",
        fix=f"Look at {value}.",
        evidence={value: [value, {value: value}]},
    )
    check = Check(check="etag", body="request", status="mismatch", expected=value, actual=value)
    error = error_report(value, value)
    header = HeaderReport(value, value, "other", "", (value,))
    request = msgspec.structs.replace(report.request, headers=[header], url=f"https://h/{value}")
    return msgspec.structs.replace(
        report, findings=[bad], checks=[check], error=error, request=request, ticket=value
    )


def parsed(markdown: str) -> list[str]:
    """The types of all tokens, as a reader with tables and raw HTML sees them."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds = []
    for token in reader.parse(markdown):
        kinds.append(token.type)
        kinds += [child.type for child in token.children or ()]
        for child in token.children or ():
            if child.type == "html_inline":
                kinds.append(child.content)
        if token.type == "html_block":
            kinds.append(token.content)
    return kinds


@pytest.mark.parametrize("value", HOSTILE)
def test_nothing_from_the_wire_is_markup(value: str) -> None:
    innocent = parsed(to_markdown(hostile_report("innocent")))
    hostile = parsed(to_markdown(hostile_report(value)))
    assert not {"link_open", "image", "html_inline", "s_open", "em_open"} & set(hostile)
    for kind in ("html_block", "heading_open", "tr_open", "td_open", "th_open", "list_item_open"):
        assert hostile.count(kind) == innocent.count(kind), kind
    assert [kind for kind in hostile if kind.startswith("<")] == [
        kind for kind in innocent if kind.startswith("<")
    ]


@given(st.text(max_size=40))
def test_a_cell_stays_one_cell(value: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {code(value)} | {text(value)} |\n"
    kinds = parsed(table)
    assert kinds.count("td_open") == 2
    assert kinds.count("tr_open") == 2
    assert "html_inline" not in kinds
    assert "link_open" not in kinds


def test_the_worst_finding_comes_first() -> None:
    report = flow_report(
        findings=[
            finding("trace-id-missing", Severity.NOTICE),
            finding("crc64-mismatch", Severity.ERROR),
            finding("clock-skew", Severity.WARNING),
        ]
    )
    written = to_markdown(report)
    assert written.startswith("## ❌ PutObject 200: error\n")
    places = [
        written.index(f"`{rule}`") for rule in ("crc64-mismatch", "clock-skew", "trace-id-missing")
    ]
    assert places == sorted(places)
    assert places[-1] < written.index("### Ids")


def test_checks_stand_side_by_side() -> None:
    check = Check(check="etag", body="request", status="mismatch", expected="aa", actual="bb")
    skipped = Check(check="crc64", body="response", status="skipped", reason="no-header")
    written = to_markdown(msgspec.structs.replace(flow_report(), checks=[check, skipped]))
    assert "| `etag` | request | **mismatch** | `aa` | `bb` |" in written
    assert "| `crc64` | response | skipped (no-header) |  |  |" in written


def test_the_ticket_line_can_be_copied_whole() -> None:
    report = msgspec.structs.replace(flow_report(), ticket="request id: NmEx; status: 404")
    assert "```\nrequest id: NmEx; status: 404\n```" in to_markdown(report)


def test_a_flow_without_an_answer() -> None:
    written = to_markdown(flow_report(status=None))
    assert "no answer" in written
    assert "Response headers" not in written


def test_a_long_value_is_cut_and_says_so() -> None:
    written = to_markdown(flow_report(key="k" * 5000))
    assert "k" * 2001 not in written
    assert "(5000 characters)" in written


def test_a_healed_try_says_so_first() -> None:
    title, _, _, _, story, *_ = to_markdown(healed_try()).splitlines()
    assert title.endswith("503: error, healed by a later try")
    assert story.startswith("A later try of this request came through")
