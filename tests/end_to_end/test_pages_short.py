"""Pages of more flows than are listed, in a real Chromium: every number is of all flows, and what
is not listed is said."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cos_inspect.model.flow_report import FlowReport, Severity, TransferReport
from cos_inspect.model.summary import TransferSummary
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.model.summary_merging import merged
from cos_inspect.report import pages
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.pages import HTML, PagesWriter
from cos_inspect.report.report_format import FormatSettings, RunEnd
from tests.end_to_end.browser import Browser, chromium, missing
from tests.report.build import finding, flow_report, put

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]

FLOWS = 60
SIZES = [(1280, 900), (400, 800)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def _flow(number: int) -> FlowReport:
    moment = f"2026-11-22T10:{number - 1:02d}:00.000Z"
    report = flow_report(sequence=number, flow_id=f"{number:08x}", started=moment)
    kinds = {
        0: ("error", finding("etag-mismatch")),
        1: ("error", finding("error-response")),
        2: ("warning", finding("clock-skew", Severity.WARNING)),
        3: ("notice", finding("crc64-missing", Severity.NOTICE)),
    }
    if number % 6 not in kinds:
        return report
    verdict, found = kinds[number % 6]
    report = msgspec.structs.replace(report, verdict=verdict, findings=[found])
    if number == 7:
        retry = TransferReport(kind="retry", id="r", position=1, attempt=1, healed=True)
        report = msgspec.structs.replace(report, transfer=retry)
    return report


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pages, "MOST_LISTED", 24)
    monkeypatch.setattr(pages, "SHORTENED_AT", 30)
    monkeypatch.setattr("cos_inspect.report.listing.FIRST_OF_EACH", 3)
    reports = [_flow(number) for number in range(1, FLOWS + 1)]
    tally = SummaryDelta()
    for report in reports:
        tally.add(report)
    summary = merged(None, tally)
    summary.left_out = 2
    summary.counts.transfers = {"error": 3}
    summary.transfers = [
        TransferSummary(
            kind="multipart-upload",
            id="upload",
            bucket="b",
            key="k",
            state="completed",
            size=1,
            parts=1,
            duration_ms=1.0,
            verdict="error",
            findings=[],
            flows=[f"{6:08x}", f"{59:08x}"],
        )
    ]
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        writer = PagesWriter(directory, FormatSettings(elsewhere=("flows.jsonl",)))
        put(HTML, writer, *reports)
        writer.finish(RunEnd())
        writer.renew_summary(summary)
    directory.close()
    return tmp_path / "index.html"


def test_numbers_are_of_all_flows_and_what_is_not_listed_is_said(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    browser.console()
    browser.open(page)
    browser.wait_for("document.querySelector('h1')")
    headline = browser.text("h1")
    assert "19 of 60 flows are broken" in headline
    assert "3 transfers are broken" in headline
    assert "10 of 60 flows need a look" in headline
    said = browser.text("#short")
    assert "24 of 60 flows are listed" in said
    assert "All of them: flows.jsonl." in said
    listed = browser.run("return cosInspect.store.all().map(row => row.verdict)")
    assert len(listed) == 24
    for verdict, one, many in (
        ("error", "error", "errors"),
        ("warning", "warning", "warnings"),
        ("notice", "notice", "notices"),
    ):
        left = {"error": 20, "warning": 10, "notice": 10}[verdict] - listed.count(verdict)
        assert (f"{left} {one if left == 1 else many}" in said) is (left > 0), said
        assert f"{listed.count(verdict)} listed)" in browser.text(f".tile.{verdict}") or not left
    assert browser.text(".tile.ok b") == "20"
    assert "1 healed" in browser.text(".tile.error")
    groups = browser.run(
        "return [...document.querySelectorAll('.group')].map(one => one.innerText)"
    )
    assert any("etag-mismatch" in one and "10 flows" in one for one in groups)
    assert any("error-response" in one and "9 flows" in one for one in groups)
    counts = browser.text("section[aria-labelledby=counts-title]")
    assert "Statuses" in counts
    assert "ap-guangzhou" in counts
    bars = browser.run("return document.querySelectorAll('.timeline .bin').length")
    assert bars == FLOWS
    for number, (width, height) in enumerate(SIZES):
        browser.size(width, height)
        for theme in ("light", "dark"):
            browser.theme(theme)
            assert browser.violations() == []
            wide = browser.run("return document.documentElement.scrollWidth <= innerWidth")
            assert wide, (width, theme)
            browser.picture(tmp_path / f"short-{number}-{theme}.png")
    browser.size(*SIZES[0])
    assert browser.console() == []


def test_what_is_listed_opens_and_what_is_not_says_where_it_is(
    browser: Browser, page: Path
) -> None:
    browser.open(page, "#000006")
    browser.wait_for("document.querySelector('.flow-page')")
    assert "#6" in browser.text("h1")
    browser.run("location.hash = '000059'")
    browser.wait_for("document.querySelector('h1').innerText.includes('cannot')")
    said = browser.text("main")
    assert "Flow 59 is not listed" in said
    assert "flows.jsonl" in said
    browser.run("location.hash = 'flow=0000003b'")
    browser.wait_for("document.querySelector('h1').innerText.includes('not there')")
    assert "do not list" in browser.text("main")
    browser.run("location.hash = 'transfer=upload'")
    browser.wait_for("document.querySelector('.transfer-page')")
    assert "1 of its flows is not listed" in browser.text("main")
    browser.run("location.hash = 'filter=verdict%3Anotice'")
    browser.wait_for("document.getElementById('matches')")
    assert "3 of 24 flows that are listed" in browser.text("#matches")
    assert "Numbers are of those that are listed" in browser.text("#short")


def test_rows_that_were_taken_out_go_from_an_open_page(
    browser: Browser, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open(page)
    browser.wait_for("document.querySelector('h1')")
    monkeypatch.setattr(pages, "MOST_LISTED", 20)
    directory = ReportDirectory(page.parent)
    with directory.exclusively():
        writer = PagesWriter(directory)
        put(HTML, writer, _flow(60))
        writer.finish(RunEnd())
    directory.close()
    browser.run("return cosInspect.store.again().then(() => cosInspect.app.renew(new Set([1])))")
    assert "20 of 60 flows are listed" in browser.text("#short")
    assert browser.run("return cosInspect.store.all().length") == 20
