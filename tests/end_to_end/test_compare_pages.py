"""Two flows side by side in the pages, in a real Chromium, and from real clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.compare import compare
from tests.end_to_end.browser import Browser, chromium, missing
from tests.end_to_end.test_pages import go, open_page, write
from tests.report.compared import LATER, PAIRS, sent
from tests.report.test_compare import reports

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.size(1280, 900)
        opened.theme("light")
        yield opened


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Browser]:
    numbered = []
    for place, pair in enumerate(PAIRS):
        for offset, report in enumerate((pair.failed, pair.worked), start=1):
            number = 2 * place + offset
            numbered.append(
                msgspec.structs.replace(report, sequence=number, flow_id=f"{number:08x}-0000")
            )
    browser.console()
    open_page(browser, write(tmp_path, numbered))
    yield browser
    assert browser.console() == []


def in_page(browser: Browser, one: FlowReport, other: FlowReport) -> Any:
    return browser.run(
        "return cosInspect.compare.compare(JSON.parse(arguments[0]), JSON.parse(arguments[1]))",
        msgspec.json.encode(one).decode(),
        msgspec.json.encode(other).decode(),
    )


def test_the_pages_say_what_the_command_says(page: Browser) -> None:
    for pair in PAIRS:
        for one, other in ((pair.failed, pair.worked), (pair.worked, pair.failed)):
            assert in_page(page, one, other) == msgspec.to_builtins(compare(one, other)), pair.name

    @settings(
        max_examples=150,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(reports, reports)
    def same(one: FlowReport, other: FlowReport) -> None:
        assert in_page(page, one, other) == msgspec.to_builtins(compare(one, other))

    same()


def test_a_flow_proposes_one_to_compare_with_and_the_button_does_it(page: Browser) -> None:
    number = 2 * [pair.name for pair in PAIRS].index("key") + 1
    go(page, f"#{number:06d}", f"#{number}")
    proposed = int(page.run("return document.getElementById('compare-with').value"))
    assert page.run("return cosInspect.store.row(arguments[0]).verdict", proposed) == "ok"
    page.run("document.getElementById('compare-with').value = arguments[0]", str(number + 1))
    page.run("document.querySelector('.compare-with button').click()")
    page.wait_for("document.getElementById('headline')")
    assert page.text("#headline").startswith("The key (SecretId): AKIDother in the one that failed")
    assert page.run("return location.hash") == f"#compare={number:06d},{number + 1:06d}"
    assert page.text("tr.matters th").startswith("The key (SecretId)")
    assert not page.run("return document.querySelector('details[open]')")
    assert page.violations() == []


def test_flows_that_are_not_there_cannot_be_compared(page: Browser) -> None:
    go(page, "#compare=000001,000999", "cannot be compared")
    go(page, "#compare=nonsense", "cannot be compared")


def test_it_fits_a_narrow_window(page: Browser) -> None:
    page.size(400, 800)
    try:
        go(page, "#compare=000001,000002", "#1 beside #2")
        wide = page.run("return document.documentElement.scrollWidth")
        assert wide <= 400
    finally:
        page.size(1280, 900)


def test_names_from_the_wire_are_text(page: Browser, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e"
    one = sent(headers={"x-cos-meta-a": hostile}, status=403, code="AccessDenied")
    open_page(page, write(tmp_path / "hostile", [one, sent(**LATER)]))
    go(page, "#compare=000001,000002", "#1 beside #2")
    assert "<img src=x" in page.text("#main")
    assert "\\u202e" in page.text("#main")
    assert page.run("return document.querySelectorAll('#main img').length") == 0


def test_after_a_number_that_is_none_another_can_be_given(page: Browser) -> None:
    def give(text: str) -> None:
        page.run(
            """const box = document.getElementById("compare-with");
            box.focus();
            box.select();
            document.execCommand("insertText", false, arguments[0]);
            document.querySelector(".compare-with button").click();""",
            text,
        )

    go(page, "#000001", "#1")
    give("999")
    said = "return document.getElementById('compare-with').validationMessage"
    assert page.run(said) == "There is no flow 999."
    give("#2")
    page.wait_for("document.getElementById('headline')")
    assert page.run("return location.hash") == "#compare=000001,000002"
