"""The report pages with text that is longer, wider or stranger than any they were drawn for, in a
real Chromium: nothing is pushed out of sight, and all of it can be read."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Check, Finding, FlowReport, HeaderReport, Severity
from cos_inspect.model.plain_text import UNSEEN
from cos_inspect.model.summary import PartSummary, RetryChain, Summary, TransferSummary
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.pages import HTML, PagesWriter
from tests.end_to_end.browser import Browser, chromium, missing
from tests.report.build import error_report, finding, flow_report, put

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]

PHONE = 360
WIDTHS = [PHONE, 640, 900, 1280]
HEIGHT = 900
TEXTS = {
    "no place to break": "K" * 10_000,
    "short folders": "x/" * 4000,
    "right to left": "\u202e\u0645\u0631\u062d\u0628\u0627/\u05e9\u05dc\u05d5\u05dd/" * 500,
    "emoji": "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}" * 1000,
    "stacked": "Z" + "\u0300\u0301\u0302" * 1000,
    "chinese": "\u817e\u8baf\u4e91\u5bf9\u8c61\u5b58\u50a8" * 500,
    "markup": "</script><b>&amp;'\"" * 500,
    "blanks": " " * 3000 + "a",
}
OVER = "return document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.theme("light")
        yield opened


@pytest.fixture(autouse=True)
def nothing_is_logged(browser: Browser) -> Iterator[None]:
    browser.size(1280, HEIGHT)
    browser.console()
    yield
    assert browser.console() == []


def _write(path: Path, reports: list[FlowReport], summary: Summary) -> Path:
    directory = ReportDirectory(path)
    with directory.exclusively():
        pages = PagesWriter(directory)
        put(HTML, pages, *reports)
        pages.renew_summary(summary)
    return path / "index.html"


def _open(browser: Browser, page: Path, fragment: str = "") -> None:
    browser.open(page, fragment)
    browser.wait_for("document.querySelector('h1')")


def _finding(text: str) -> Finding:
    return Finding(
        rule="signature-mismatch",
        group="signature",
        severity=Severity.ERROR,
        title=f"What was signed is not what was sent: {text}",
        detail=f"The first difference is in {text}",
        fix=f"Look at {text}",
        evidence={
            "line": "path",
            "cos_has": f"/{text}!/{text}",
            "wire_has": f"/{text}?/{text}",
            "key": text,
            "nested": {"list": [text, {"of": text}]},
        },
    )


def _flow(number: int, text: str) -> FlowReport:
    report = flow_report(
        sequence=number,
        operation="GetObject",
        key=text,
        flow_id=f"{number:08d}",
        status=403,
        findings=[_finding(text)],
    )
    headers = [
        HeaderReport("x-cos-meta-a", text, "object", "Metadata.", (text,)),
        HeaderReport(f"x-cos-meta-{text}", "a", "object", "Metadata.", ()),
    ]
    check = Check(
        check="etag", body="response", status="mismatch", expected=text, actual=f"{text}1"
    )
    assert report.response is not None
    return msgspec.structs.replace(
        report,
        error=error_report("SignatureDoesNotMatch", text, text),
        ticket=f"request id: NjQy; key: {text}",
        checks=[check],
        ids=msgspec.structs.replace(report.ids, request_id=text, trace_id=text),
        request=msgspec.structs.replace(
            report.request, url=f"https://example.com/{text}", headers=headers
        ),
        response=msgspec.structs.replace(report.response, headers=headers),
    )


def _transfer(report: FlowReport, text: str) -> TransferSummary:
    part = PartSummary(
        number=1,
        size=1,
        md5=None,
        crc64ecma=None,
        etag=text,
        tries=2,
        duration_ms=1.0,
        host=text,
        flow=report.flow_id,
    )
    return TransferSummary(
        kind="multipart-upload",
        id=f"up{report.sequence}",
        bucket=text,
        key=text,
        state="broken",
        size=1,
        parts=1,
        duration_ms=1.0,
        verdict="error",
        findings=[_finding(text)],
        flows=[report.flow_id],
        part_table=[part],
        notice=text,
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reports = [_flow(number, text) for number, text in enumerate(TEXTS.values(), 1)]
    trouble = ConnectionFailureSummary(
        host="h" * 5000,
        client="10.0.0.5",
        failed="client-tls",
        count=1,
        findings=[finding("tls-untrusted", group="connection")],
        detail=TEXTS["no place to break"],
    )
    summary = Summary(
        transfers=[_transfer(each, each.cos.key or "") for each in reports],
        retries=[
            RetryChain(
                flows=[each.flow_id for each in reports[:2]],
                causes=[TEXTS["no place to break"]],
                hosts=["h" * 250, "i" * 250],
            )
        ],
        connections=[trouble],
    )
    return _write(tmp_path_factory.mktemp("long"), reports, summary)


_NOT_IN_SIGHT = """
    const wide = document.documentElement.clientWidth + 1;
    const cut = (element) => element.closest(".flows, .facet, .scroll, .unseen, svg");
    return [...document.querySelectorAll("main *")]
      .filter(element => !cut(element) && element.getBoundingClientRect().right > wide)
      .map(element => element.outerHTML.slice(0, 120));
"""


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_is_wider_than_its_page_or_pushes_all_else_away(
    browser: Browser, page: Path, width: int
) -> None:
    browser.size(width, HEIGHT)
    flows = [f"#{number:06d}" for number in range(1, len(TEXTS) + 1)]
    transfers = [f"#transfer=up{number}" for number in range(1, len(TEXTS) + 1)]
    for fragment in ("", "#filter=", "#transfers", *flows, *transfers, "#compare=000001,000002"):
        _open(browser, page, fragment)
        assert browser.run(OVER) <= 0, fragment
        assert browser.run(_NOT_IN_SIGHT) == [], fragment
        # One that can be scrolled sideways is no remedy for a text that could be broken.
        scrolled = browser.run(
            "return Math.max(0, ...[...document.querySelectorAll('.scroll')]"
            ".map(one => one.scrollWidth - Math.max(one.clientWidth, 1001)))"
        )
        assert scrolled == 0, fragment
        whole = browser.run(
            "return [...document.querySelectorAll('.headers, .checks, .compare')]"
            ".map(one => one.parentElement).filter(one => one.scrollWidth > one.clientWidth)"
            ".map(one => one.getAttribute('aria-label'))"
        )
        assert whole == [], fragment
        height = browser.run("return document.documentElement.scrollHeight")
        assert height < (25 if width == PHONE else 15) * HEIGHT, (fragment, height)
        assert browser.violations() == [], fragment


def test_a_flow_begins_with_its_findings_however_long_its_key_is(
    browser: Browser, page: Path
) -> None:
    for width, height in ((PHONE, 760), (1280, HEIGHT)):
        browser.size(width, height)
        for number, name in enumerate(TEXTS, 1):
            _open(browser, page, f"#{number:06d}")
            top = browser.run(
                "return document.querySelector('.finding').getBoundingClientRect().top"
            )
            assert top < height, name


def test_the_rest_of_a_long_text_is_a_button_away_and_stays(browser: Browser, page: Path) -> None:
    _open(browser, page, "#000001")
    text = TEXTS["no place to break"]
    shown = browser.text(".object")
    assert shown.startswith("KKKK")
    assert shown.endswith(f"… {len(text) - shown.count('K'):,} more characters")
    browser.run("document.querySelector('.object .unfold').click()")
    assert browser.text(".object") == text
    # What differs stands beside what is the same on both sides of it.
    before, different, after = browser.run(
        """const dd = document.querySelector(".comparison dd bdi");
        const mark = dd.querySelector("mark");
        const text = (node) => node.nodeType === 3 ? node.data : node.innerText;
        const nodes = [...dd.childNodes];
        const at = nodes.indexOf(mark);
        return [nodes.slice(0, at), [mark], nodes.slice(at + 1)].map(
          part => part.map(text).join(""));"""
    )
    assert different == "!"
    assert before.split(" …")[0].endswith("more characters")
    assert set(before.split(" …")[1]) == {"K"}
    assert after.startswith("/KKKK")
    assert after.endswith("more characters")
    for button in range(20):
        if not browser.run("return !!document.querySelector('.comparison .unfold')"):
            break
        browser.run("document.querySelector('.comparison .unfold').click()")
        assert button < 19
    assert browser.text(".comparison dd") == f"/{text}!/{text}"
    # Also when the page is renewed, as it is while traffic goes on.
    _open(browser, page)
    detail = "#connections .trouble > p:not(.meta)"
    browser.run(f"document.querySelector('{detail} .unfold').click()")
    assert browser.text(detail) == text
    browser.run(
        """cosInspect.summary(JSON.stringify({...cosInspect.store.summary, others: 7}));
        cosInspect.app.renew(new Set());"""
    )
    browser.wait_for("document.querySelector('.heading .meta').innerText.includes('7 other')")
    assert browser.text(detail) == text


def test_no_pair_is_torn_where_a_text_is_cut(browser: Browser, page: Path) -> None:
    _open(browser, page)
    wrong = browser.run(
        r"""const {folded, label} = cosInspect.dom;
        const lone = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
        const wrong = [];
        for (let most = 4; most < 40; most += 1) {
          for (const atEnd of [false, true]) {
            // A text that was unfolded once is not folded any more, so each one is another.
            const text = `${"a".repeat(most % 3)}${"\u{1f600}".repeat(60)}${most}${atEnd}`;
            const place = document.createElement("p");
            place.append(...folded(text, most, atEnd));
            const kept = [...place.childNodes].find(one => one.nodeType === 3).data;
            const said = Number(/\d+/.exec(place.querySelector("button").textContent)[0]);
            if (lone.test(kept)) wrong.push([most, atEnd, "torn"]);
            if (kept.length + said !== text.length) wrong.push([most, atEnd, "miscounted"]);
            place.querySelector("button").click();
            if (place.textContent !== text) wrong.push([most, atEnd, "not whole"]);
            const cut = label(text, null, most).textContent;
            if (lone.test(cut) || cut.length > most + 1) wrong.push([most, "label", cut]);
          }
        }
        return wrong;"""
    )
    assert wrong == []


@pytest.mark.parametrize("width", [721, 800, 861, 1001, 1010, 1121, 1180, 1241, 1280])
def test_the_key_has_room_in_the_list(browser: Browser, page: Path, width: int) -> None:
    browser.size(width, HEIGHT)
    _open(browser, page, "#filter=")
    key, rest = browser.run(
        """const shown = [...document.querySelectorAll(".flows th")].filter(th => th.offsetWidth);
        const right = document.querySelector(".flows").getBoundingClientRect().right;
        return [document.querySelector(".flows td.key").offsetWidth,
          right - shown.at(-1).getBoundingClientRect().right];"""
    )
    assert key > 180
    # No column is there that has no head.
    assert abs(rest) < 2


def test_blanks_of_a_key_are_seen(browser: Browser, tmp_path: Path) -> None:
    key = "  two  blanks \u00a0and\u3000others.txt "
    shown = "  two  blanks \\u00a0and\\u3000others.txt "
    page = _write(tmp_path, [flow_report(sequence=1, key=key)], Summary())
    _open(browser, page, "#000001")
    assert browser.run("return document.querySelector('.object bdi').innerText") == shown
    _open(browser, page, "#filter=")
    assert browser.run("return document.querySelector('.flows .name').innerText") == shown


def test_pages_spell_out_what_all_other_outputs_do(browser: Browser, page: Path) -> None:
    _open(browser, page)
    spelt = browser.run(
        """const found = [];
        for (let n = 0; n < 0x110000; n += 1) {
          if (cosInspect.dom.visible(String.fromCodePoint(n)).startsWith("\\\\u")) found.push(n);
        }
        return found;"""
    )
    assert spelt == [number for number in range(0x110000) if UNSEEN.match(chr(number))]


def test_a_tile_keeps_quoted_words_as_they_are(browser: Browser, tmp_path: Path) -> None:
    keys = ["a  b.txt", "a b.txt", "verdict:ok b.txt"]
    reports = [
        flow_report(sequence=number, key=key, flow_id=f"f{number}")
        for number, key in enumerate(keys, 1)
    ]
    page = _write(tmp_path, reports, Summary())
    for text in ('"a  b"', '"verdict:ok b"', 'key:="a  b.txt" "a \\" b"'):
        _open(browser, page)
        browser.run("location.hash = cosInspect.filter.address(arguments[0]).slice(1)", text)
        browser.wait_for("document.getElementById('filter').value === arguments[0]", text)
        address = browser.run("return document.querySelector('.tile.ok a').hash")
        wanted = browser.run("return cosInspect.filter.address(arguments[0])", f"{text} verdict:ok")
        assert address == wanted
