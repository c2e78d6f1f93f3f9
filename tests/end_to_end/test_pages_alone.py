"""The report pages where something that they need is missing, and on paper, in a real Chromium."""

import functools
import shutil
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from cos_inspect.model.summary import Summary, TransferSummary
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.pages import HTML, ROWS_PER_FILE, PagesWriter
from tests.end_to_end.browser import Browser, chromium, missing
from tests.report.build import finding, flow_report, put, transfer_summary
from tests.servers import served

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]

NO_SCRIPTS = "This page is made by scripts"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.size(1280, 900)
        yield opened


@pytest.fixture
def page(tmp_path: Path) -> Path:
    directory = ReportDirectory(tmp_path / "reports")
    transfer: TransferSummary = msgspec.structs.replace(
        transfer_summary("up", "broken"), flows=["f1"], verdict="error", key="a/" * 100
    )
    with directory.exclusively():
        pages = PagesWriter(directory)
        put(
            HTML,
            pages,
            flow_report(sequence=1, flow_id="f1", findings=[finding()]),
            flow_report(sequence=2, flow_id="f2"),
            flow_report(sequence=ROWS_PER_FILE + 1, flow_id="f3"),
        )
        pages.renew_summary(Summary(transfers=[transfer]))
    return directory.path / "index.html"


def _open(browser: Browser, page: Path, fragment: str = "") -> None:
    browser.open(page, fragment)
    browser.wait_for("document.querySelector('h1')")


class _Sandboxed(SimpleHTTPRequestHandler):
    """As Jenkins serves the artefacts of a job."""

    def end_headers(self) -> None:
        self.send_header(
            "Content-Security-Policy",
            "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self'",
        )
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def test_where_no_scripts_run_the_page_says_so(browser: Browser, page: Path) -> None:
    _open(browser, page)
    assert NO_SCRIPTS not in browser.text("body")
    handler = functools.partial(_Sandboxed, directory=str(page.parent))
    with served(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        try:
            browser.driver.get(f"http://127.0.0.1:{server.server_port}/index.html")
            assert NO_SCRIPTS in browser.text("body")
            # Nothing else stands there that does not work.
            assert "Loading" not in browser.text("body")
            shown = "return [...document.querySelectorAll('button, input, nav a')]"
            assert browser.run(f"{shown}.filter(one => one.offsetWidth).length") == 0
        finally:
            browser.driver.get("about:blank")


def test_a_page_that_was_sent_without_its_folders_says_so(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone" / "index.html"
    alone.parent.mkdir()
    shutil.copy(page, alone)
    browser.open(alone)
    assert NO_SCRIPTS in browser.text("body")
    shutil.copytree(page.with_name("assets"), alone.with_name("assets"))
    _open(browser, alone)
    # "No flows" would be another matter.
    assert browser.text("h1") == "The report cannot be read"
    assert "has to lie beside index.html" in browser.text(".heading")
    browser.console()


def test_what_could_not_be_read_is_not_taken_for_fine(browser: Browser, page: Path) -> None:
    page.with_name("data").joinpath("rows-0001.js").unlink()
    _open(browser, page)
    assert browser.text("h1") == (
        "The one flow is fine, but 1 transfer is broken and a part of the report cannot be read"
    )
    assert "rows-0001.js cannot be read" in browser.text(".problem")
    browser.console()


def test_paper_is_white_and_nothing_is_cut_from_it(browser: Browser, page: Path) -> None:
    # A dark page, by the system or by choice, whose grounds most browsers do not print.
    for theme in ("dark", "auto"):
        _open(browser, page)
        browser.run("localStorage.setItem('cos-inspect-theme', arguments[0])", theme)
        try:
            for fragment in ("", "#filter=", "#000001", "#transfer=up"):
                _open(browser, page, fragment)
                browser.paper(720, 1000)
                lightness = (
                    "return Math.max(...getComputedStyle(document.querySelector(arguments[0]))"
                    ".color.match(/[0-9]+/g).map(Number))"
                )
                assert browser.run(lightness, "h1") < 100, fragment
                cut = (
                    "return [...document.querySelectorAll('.scroll > table')].filter(one =>"
                    " one.getBoundingClientRect().right > document.documentElement.clientWidth)"
                    ".map(one => one.parentElement.getAttribute('aria-label'))"
                )
                assert browser.run(cut) == [], fragment
                buttons = "return document.querySelector('.save button')?.offsetWidth || 0"
                assert browser.run(buttons) == 0
        finally:
            browser.screen(1280, 900)
            browser.run("localStorage.removeItem('cos-inspect-theme')")
    assert browser.console() == []
