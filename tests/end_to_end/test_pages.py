"""The report pages in a real Chromium, from disk."""

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import (
    Check,
    Finding,
    FlowReport,
    HeaderReport,
    Severity,
    TransferReport,
    Verdict,
)
from cos_inspect.model.summary import (
    Lost,
    PartSummary,
    RetryChain,
    Summary,
    TransferSummary,
)
from cos_inspect.report.curl import curl_script
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.pages import HTML, PagesWriter
from tests.end_to_end.browser import Browser, chromium, missing
from tests.end_to_end.harness import BUCKET, SECRET_KEY, Inspected, cos_client
from tests.origin.damage import Damage, key
from tests.origin.effects import drop_headers, wrong_etag
from tests.origin.server import Origin
from tests.report.build import error_report, finding, flow_report, put
from tests.servers import served

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]

MANY = 20_000
BROKEN_EVERY = 40
WIDE, NARROW = (1280, 900), (400, 800)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.size(*WIDE)
        opened.theme("light")
        yield opened


@pytest.fixture(autouse=True)
def nothing_is_logged(browser: Browser) -> Iterator[None]:
    browser.console()
    yield
    assert browser.console() == []


def write(path: Path, reports: list[FlowReport], summary: Summary | None = None) -> Path:
    directory = ReportDirectory(path)
    with directory.exclusively():
        pages = PagesWriter(directory)
        put(HTML, pages, *reports)
        pages.renew_summary(summary or Summary())
    return path / "index.html"


def open_page(browser: Browser, page: Path, fragment: str = "") -> None:
    browser.open(page, fragment)
    browser.wait_for("document.querySelector('h1')")


def go(browser: Browser, fragment: str, heading: str) -> None:
    browser.run("location.hash = arguments[0]", fragment)
    browser.wait_for("document.querySelector('h1')?.innerText.includes(arguments[0])", heading)


def type_filter(browser: Browser, text: str) -> None:
    browser.run(
        """const box = document.getElementById("filter");
        box.focus();
        box.value = arguments[0];
        box.dispatchEvent(new Event("input"));""",
        text,
    )
    browser.wait_for(
        "location.hash === cosInspect.filter.address(arguments[0])"
        " && document.getElementById('matches')",
        text,
    )


def listed(browser: Browser) -> list[int]:
    """The numbers of the rows that are drawn."""
    numbers: list[int] = browser.run(
        "return [...document.querySelectorAll('.flows tbody .flow-link')]"
        ".map(link => Number(link.innerText.slice(1)))"
    )
    return numbers


def one_of_many(number: int) -> FlowReport:
    broken = number % BROKEN_EVERY == 0
    report = flow_report(
        sequence=number,
        operation="GetObject" if number % 3 else "PutObject",
        key=f"folder-{number % 17}/object-{number}.bin",
        flow_id=f"{number:08d}-0000-4000-8000-000000000000",
        status=404 if broken else 200,
        findings=[finding("error-response", Severity.WARNING)] if broken else [],
        client="boto3" if number % 5 else "cos-python-sdk-v5",
    )
    seconds = number // 10
    started = f"2026-11-22T{10 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    headers = [
        HeaderReport(f"x-cos-meta-{name}", f"value {name} {number}", "object", "Metadata.", ())
        for name in range(12)
    ]
    return msgspec.structs.replace(
        report,
        verdict="warning" if broken else "ok",
        started=f"{started}.{number % 10}00Z",
        request=msgspec.structs.replace(report.request, headers=headers),
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many")
    return write(path, [one_of_many(number) for number in range(1, MANY + 1)])


def test_many_flows_are_counted_listed_and_found(browser: Browser, many: Path) -> None:
    open_page(browser, many)
    assert browser.text("h1") == f"{MANY // BROKEN_EVERY} of 20,000 flows need a look"
    assert browser.text("#wrong-title") == "What is wrong"
    assert "#40" in browser.text(".group")
    assert "500 flows" in browser.text(".group")
    assert browser.text(".tile.warning").split() == ["500", "warnings"]
    # However long the list is, only what is in sight is there; also when it is far below.
    elements = "return document.querySelectorAll('*').length"
    assert browser.run(elements) < 2500
    browser.size(WIDE[0], 300)
    open_page(browser, many)
    assert browser.run(elements) < 2500
    browser.size(*WIDE)
    open_page(browser, many)

    type_filter(browser, "verdict:warning op:Put object-12")
    wanted = [
        number
        for number in range(1, MANY + 1)
        if number % BROKEN_EVERY == 0 and number % 3 == 0 and "object-12" in f"object-{number}"
    ]
    assert browser.text("#matches") == f"{len(wanted)} of 20,000 flows"
    assert listed(browser) == wanted[: len(listed(browser))]
    assert browser.run(elements) < 2500


def test_the_list_is_drawn_where_it_is_looked_at(browser: Browser, many: Path) -> None:
    open_page(browser, many, "#filter=")
    assert listed(browser)[0] == 1
    browser.run("scrollTo(0, document.body.scrollHeight)")
    browser.wait_for("document.querySelector('.flows a[href=\"#020000\"]')")
    assert listed(browser)[-1] == MANY
    assert len(listed(browser)) < 100
    browser.run("scrollTo(0, document.body.scrollHeight / 2)")
    browser.wait_for("!document.querySelector('.flows a[href=\"#020000\"]')")
    middle = listed(browser)
    assert middle == list(range(middle[0], middle[-1] + 1))
    assert MANY * 0.4 < middle[0] < MANY * 0.6


def test_a_flow_opens_goes_back_and_has_its_own_address(browser: Browser, many: Path) -> None:
    open_page(browser, many)
    type_filter(browser, "status:404")
    browser.run("scrollTo(0, 4000)")
    browser.wait_for("!document.querySelector('.flows a[href=\"#000040\"]')")
    number = listed(browser)[20]
    browser.run(
        "document.querySelector(`.flows a[href='#${arguments[0]}']`).click()", f"{number:06d}"
    )
    browser.wait_for("document.querySelector('.flow-page')")
    assert browser.run("return location.hash") == f"#{number:06d}"
    assert f"object-{number}.bin" in browser.text(".object")
    assert "value 3 " + str(number) in browser.text("main")
    assert browser.run("return document.activeElement.tagName") == "H1"
    # Next and previous stay among the flows that were found.
    assert browser.run("return document.querySelector('.step:last-child').hash") == (
        f"#{number + BROKEN_EVERY:06d}"
    )
    browser.run("history.back()")
    browser.wait_for("document.getElementById('matches')")
    assert browser.run("return document.getElementById('filter').value") == "status:404"
    assert number in listed(browser)
    assert browser.run("return document.activeElement.hash") == f"#{number:06d}"

    open_page(browser, many, "#019999")
    assert "object-19999.bin" in browser.text(".object")
    assert browser.run("return document.title").startswith("#19999 GetObject ok")
    # A flow's file is let go: memory does not grow with what was looked at.
    loaded = browser.run(
        "return performance.getEntriesByType('resource')"
        ".filter(entry => entry.name.includes('flows-')).length"
    )
    assert loaded <= 1


def test_addresses_that_lead_nowhere_say_so(browser: Browser, many: Path) -> None:
    open_page(browser, many, "#099999")
    assert browser.text("h1") == "This flow cannot be shown"
    go(browser, "#transfer=%E0%A4%A", "no such transfer")
    go(browser, "#filter=%E0%A4%A", "of 20,000 flows")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n:1..3", [1, 2, 3]),
        ("n:<=80 -status:200", [40, 80]),
        ("n:<5 !op:put", [1, 2, 4]),
        ("key:=folder-1/object-1.bin", [1]),
        ('key:="folder-1/object-1.bin","folder-2/object-2.bin"', [1, 2]),
        ("key:*/object-7.bin", [7]),
        ("object-19999.bin", [19999]),
        ("n:<100 rule:error-response", [40, 80]),
        ("n:<100 group:integrity status:4xx", [40, 80]),
        ("after:2026-11-22T10:00:00.5 before:2026-11-22T10:00:01", [5, 6, 7, 8, 9]),
        ('"folder-1/object-1.bin"', [1]),
        ("n:2 verdict:ok,warning", [2]),
        ("n:2 client:=boto", []),
        ("n:<4 verified:CRC-64", []),
        ("header:x-cos-meta-3=19998", [19998]),
        ('any:"value 11 777" n:<1000', [777]),
    ],
)
def test_the_filter_understands(browser: Browser, many: Path, text: str, wanted: list[int]) -> None:
    if (
        browser.run("return location.protocol") != "file:"
        or browser.run("return globalThis.cosInspect?.app.rows()") != MANY
    ):
        open_page(browser, many)
    browser.run("location.hash = cosInspect.filter.address(arguments[0]).slice(1)", text)
    heading = f"{len(wanted)} of 20,000 flows"
    browser.wait_for(
        "document.getElementById('filter').value === arguments[0]"
        " && document.getElementById('matches')?.innerText === arguments[1]"
        " && !document.querySelector('.problem')",
        text,
        heading,
    )
    assert listed(browser) == wanted


def test_a_wrong_filter_is_explained(browser: Browser, many: Path) -> None:
    open_page(browser, many)
    type_filter(browser, "status:many")
    assert browser.text(".problem").startswith("status: takes a number such as")


MARKUP = (
    "<img src=x onerror=\"globalThis.broken='img'\"><script>globalThis.broken='script'</script>"
    "'\"><svg onload=globalThis.broken=1>${globalThis.broken=2}{{7*7}}javascript:alert(1)"
    "</script></title></textarea>\u2028\u202e\x00'); globalThis.broken=3; ('"
)


def hostile() -> tuple[list[FlowReport], Summary]:
    """Markup in all that the wire can fill."""
    report = flow_report(
        sequence=1, operation="GetObject", key=MARKUP, status=404, client=MARKUP, host=MARKUP
    )
    header = HeaderReport(MARKUP, MARKUP, "other", "", (MARKUP,), redacted=True)
    bad = Finding(
        rule="error-response",
        group="error",
        severity=Severity.ERROR,
        title=f"COS answered {MARKUP}",
        detail=MARKUP,
        fix=MARKUP,
        evidence={
            "line": "headers",
            "name": MARKUP,
            "cos_has": MARKUP,
            "wire_has": f"{MARKUP}!",
            MARKUP: [MARKUP, {MARKUP: MARKUP}],
            "__proto__": {"broken": MARKUP},
            "text": f"{MARKUP}\n{MARKUP}",
        },
    )
    check = Check(check="etag", body="request", status="mismatch", expected=MARKUP, actual="")
    assert report.response is not None
    report = msgspec.structs.replace(
        report,
        verdict="error",
        findings=[bad],
        checks=[check],
        error=error_report(MARKUP, MARKUP, MARKUP),
        ids=msgspec.structs.replace(report.ids, request_id=MARKUP, trace_id=MARKUP),
        request=msgspec.structs.replace(
            report.request, method=MARKUP, url=f"https://{MARKUP}", headers=[header]
        ),
        response=msgspec.structs.replace(report.response, reason=MARKUP, headers=[header]),
        ticket=MARKUP,
        transfer=TransferReport(kind="multipart-upload", id=MARKUP, position=1, attempt=2),
        cos=msgspec.structs.replace(report.cos, bucket=MARKUP, region=MARKUP),
    )
    transfer = TransferSummary(
        kind=MARKUP,
        id=MARKUP,
        bucket=MARKUP,
        key=MARKUP,
        state=MARKUP,
        size=1,
        parts=1,
        duration_ms=1.0,
        verdict="error",
        findings=[bad],
        flows=[report.flow_id],
        checks=[check],
        part_table=[
            PartSummary(
                number=1,
                size=1,
                md5=MARKUP,
                crc64ecma=MARKUP,
                etag=MARKUP,
                tries=2,
                duration_ms=1.0,
                host=MARKUP,
                flow=report.flow_id,
            )
        ],
        notice=MARKUP,
    )
    summary = Summary(
        transfers=[transfer],
        retries=[RetryChain(flows=[report.flow_id], causes=[MARKUP], hosts=[MARKUP, MARKUP])],
        connections=[
            ConnectionFailureSummary(
                host=MARKUP,
                client=MARKUP,
                failed=MARKUP,
                count=1,
                findings=[bad],
                detail=MARKUP,
                fix=MARKUP,
            )
        ],
    )
    return [report], summary


def test_what_comes_from_the_wire_is_never_markup(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path, *hostile())
    transfer = f"#transfer={_quoted(browser, MARKUP)}"
    wanted = {
        "": "broken",
        "#filter=": "1 flow",
        "#000001": "GetObject",
        "#transfers": "1 transfer",
    }
    for fragment, heading in {**wanted, transfer: "onerror"}.items():
        open_page(browser, page, fragment)
        assert heading in browser.text("h1")
        assert "onerror" in browser.text("main")
        assert browser.run("return globalThis.broken") is None
        elements = "main img, main script, main [onload], main [onerror], main style, iframe"
        assert browser.run("return document.querySelectorAll(arguments[0]).length", elements) == 0
        links = "return [...document.links].filter(link => link.protocol !== 'file:').length"
        assert browser.run(links) == 0
        # No sign that turns the text around, or that nobody sees.
        assert not set("\u2028\u202e\x00") & set(browser.text("body"))
        assert browser.violations() == []


def _quoted(browser: Browser, text: str) -> str:
    quoted: str = browser.run("return encodeURIComponent(arguments[0])", text)
    return quoted


def signed_report() -> FlowReport:
    report = flow_report(
        sequence=1, operation="PutObject", key="a b/it's.txt", status=403, findings=[finding()]
    )
    secret = Finding(
        rule="signature-mismatch",
        group="signature",
        severity=Severity.ERROR,
        title="The client signed something else",
        detail="The first difference is in the path.",
        fix="",
        evidence={"line": "path", "name": None, "cos_has": "/a b/c", "wire_has": "/a%20b/c"},
    )
    check = Check(
        check="etag", body="request", status="mismatch", expected='"aaxbb"', actual='"aaybb"'
    )
    headers = [
        HeaderReport("Host", "example.com", "http", "The host.", ()),
        HeaderReport("Authorization", "q-sign-algorithm=sha1&q-signature=5e5e5e", "auth", "", ()),
        HeaderReport("x-cos-security-token", "t0ken", "auth", "", ()),
        HeaderReport("x-cos-server-side-encryption-customer-key", "c0ffee", "sse", "", ()),
        HeaderReport("Cookie", "c00kie", "http", "", ()),
        HeaderReport("x-cos-copy-source", "b/k?sign=1&q-signature=5e5e5e", "object", "", ()),
        HeaderReport("x-cos-meta-a", "it's $(rm) `x`", "object", "Metadata.", ("Not ASCII",)),
        HeaderReport("@file", "x", "other", "", ()),
    ]
    url = "https://example.com/a%20b/it's.txt?x=1&q-signature=5e5e5e&x-cos-security-token=t0ken"
    request = msgspec.structs.replace(report.request, headers=headers, url=url)
    return msgspec.structs.replace(
        report, request=request, findings=[secret], checks=[check], ticket="request id: NmEx"
    )


def test_differences_are_marked_and_shown_side_by_side(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, write(tmp_path, [signed_report()]), "#000001")
    marks = browser.run("return [...document.querySelectorAll('mark')].map(m => m.innerText)")
    assert marks == [" ", "%20", "x", "y"]
    assert "First difference: path" in browser.text(".comparison")
    assert "The host." in browser.text(".headers")
    assert browser.text(".issue") == "Not ASCII"


def test_what_is_copied(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, write(tmp_path, [signed_report()]), "#000001")
    browser.run(
        """globalThis.copied = [];
        navigator.clipboard.writeText = async text => { globalThis.copied.push(text); };
        for (const button of document.querySelectorAll(".copy")) button.click();"""
    )
    browser.wait_for("globalThis.copied.length === 3")
    ticket, curl, whole = browser.run("return globalThis.copied")
    assert ticket == "request id: NmEx"
    assert json.loads(whole)["flow_id"] == signed_report().flow_id
    assert browser.wait_for("document.getElementById('said').innerText").endswith("copied")
    assert curl == curl_script(signed_report())
    assert curl.splitlines()[-6:] == [
        "  --request 'PUT' \\",
        '  --header "Authorization: $authorization" \\',
        '  ${COS_TOKEN:+--header "x-cos-security-token: $COS_TOKEN"} \\',
        "  --header 'x-cos-meta-a: it'\\''s $(rm) `x`' \\",
        "  --data-binary @BODY \\",
        "  'https://example.com/a%20b/it'\\''s.txt?x=1'",
    ]


def upload(parts: int) -> tuple[list[FlowReport], Summary]:
    """A multipart upload whose second part was sent twice."""
    reports = []
    tries = [(1, 1, 200), (2, 1, 503), *((n, 1, 200) for n in range(3, parts + 1)), (2, 2, 200)]
    for number, (part, attempt, status) in enumerate(tries, 1):
        broken = status != 200
        report = flow_report(
            sequence=number,
            operation="UploadPart",
            key="big.bin",
            flow_id=f"{number:08d}-part",
            status=status,
            findings=[finding("error-response")] if broken else [],
        )
        place = TransferReport(kind="multipart-upload", id="up/1", position=part, attempt=attempt)
        seconds = f"{number // 100:02d}.{number % 100:02d}0"
        reports.append(
            msgspec.structs.replace(
                report,
                transfer=place,
                started=f"2026-11-22T10:00:{seconds}Z",
                timing=msgspec.structs.replace(report.timing, total_ms=35.0),
            )
        )
    transfer = TransferSummary(
        kind="multipart-upload",
        id="up/1",
        bucket="examplebucket-1250000000",
        key="big.bin",
        state="completed",
        size=parts << 20,
        parts=parts,
        duration_ms=900.0,
        verdict="ok",
        findings=[],
        flows=[report.flow_id for report in reports],
        bytes_sent_twice=1 << 20,
        throughput=5_000_000.0,
        tries=parts + 1,
        part_table=[
            PartSummary(
                number=part,
                size=1 << 20,
                md5=None,
                crc64ecma=str(part),
                etag=f'"{part:032x}"',
                tries=2 if part == 2 else 1,
                duration_ms=35.0,
                host="h",
                flow=f"{(parts + 1 if part == 2 else part):08d}-part",
            )
            for part in range(1, parts + 1)
        ],
    )
    chain = RetryChain(
        flows=[reports[1].flow_id, reports[-1].flow_id],
        causes=["503 SlowDown"],
        time_lost_ms=80.0,
        succeeded=True,
    )
    return reports, Summary(transfers=[transfer], retries=[chain])


def test_a_transfer_is_drawn_with_its_retries(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path, *upload(8))
    open_page(browser, page)
    assert "1 transfer" in browser.text("#transfers-title")
    assert "503 → 200" in browser.text(".chain")
    browser.run("document.querySelector('.transfer a').click()")
    browser.wait_for("document.querySelector('.transfer-page')")
    assert browser.run("return location.hash") == "#transfer=up%2F1"
    bars: list[dict[str, Any]] = browser.run(
        """return [...document.querySelectorAll(".transfer-drawing svg.bars rect")].map(bar => ({
          y: bar.getBoundingClientRect().y, x: bar.getBoundingClientRect().x,
          kind: bar.getAttribute("class"), title: bar.textContent}))"""
    )
    assert len(bars) == 9
    failed, again = (
        next(bar for bar in bars if kind in bar["kind"]) for kind in ("error", "retried")
    )
    assert failed["y"] == again["y"], "a part's tries stand in one lane"
    assert failed["x"] < again["x"]
    assert "503" in failed["title"]
    assert "try 2" in again["title"]
    assert len({bar["y"] for bar in bars}) == 8
    assert browser.run("return document.querySelectorAll('.throughput path').length") == 1
    assert "4.8 MiB/s" in browser.text(".transfer-page .facts")
    assert browser.run("return document.querySelectorAll('.parts tbody tr').length") == 8
    assert browser.violations() == []


def test_a_transfer_of_many_parts_is_drawn_too(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path, *upload(1000))
    open_page(browser, page, "#transfer=up%2F1")
    drawn = "return document.querySelectorAll('.transfer-drawing svg.bars rect').length"
    assert browser.run(drawn) == 1001
    assert browser.run("return document.querySelector('svg.bars').clientHeight") < 400
    assert browser.run("return document.querySelectorAll('.parts tbody tr').length") == 201
    browser.run("document.querySelector('.parts .more').click()")
    assert browser.run("return document.querySelectorAll('.parts tbody tr').length") == 401


def test_keys_are_enough(browser: Browser, tmp_path: Path) -> None:
    reports = [
        flow_report(sequence=number, key=f"{number}.txt", flow_id=f"{number:08d}")
        for number in range(1, 300)
    ]
    open_page(browser, write(tmp_path, reports))

    def press(key: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            code = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "End": 35, "/": 191}[key]
            event: dict[str, Any] = {"type": kind, "key": key, "windowsVirtualKeyCode": code}
            if key == "Enter" and kind == "rawKeyDown":
                event |= {"type": "keyDown", "text": "\r"}
            browser.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)

    press("/")
    assert browser.run("return document.activeElement.id") == "filter"
    press("ArrowDown")
    press("ArrowDown")
    assert browser.run("return document.activeElement.hash") == "#000002"
    press("End")
    assert browser.run("return document.activeElement.hash") == "#000299"
    press("Enter")
    browser.wait_for("document.querySelector('.flow-page')")
    assert "299.txt" in browser.text(".object")
    press("Escape")
    browser.wait_for("document.querySelector('.flows')")
    assert browser.run("return document.activeElement.hash") == "#000299"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_stands_in_anybodys_way(
    browser: Browser, tmp_path: Path, theme: str, size: tuple[int, int]
) -> None:
    reports, summary = upload(6)
    reports.append(msgspec.structs.replace(signed_report(), sequence=99))
    page = write(tmp_path, reports, summary)
    browser.theme(theme)
    browser.size(*size)
    try:
        for fragment in ("", "#filter=", "#000099", "#000001", "#transfers", "#transfer=up%2F1"):
            open_page(browser, page, fragment)
            assert browser.violations() == [], fragment
            too_wide = "return document.documentElement.scrollWidth - innerWidth"
            assert browser.run(too_wide) <= 0, fragment
        browser.run("document.getElementById('help').click()")
        assert browser.violations() == []
    finally:
        browser.theme("light")
        browser.size(*WIDE)


class _Served(SimpleHTTPRequestHandler):
    """As mitmweb serves its own pages."""

    POLICY = (
        "default-src 'self'; connect-src 'self' ws:; img-src 'self' data:;"
        " style-src 'self' 'unsafe-inline'"
    )

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self.POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def test_the_policy_of_mitmweb_lets_the_pages_be(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path, *upload(3))
    handler = functools.partial(_Served, directory=str(tmp_path))
    with served(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        try:
            address = f"http://127.0.0.1:{server.server_port}/index.html"
            for fragment in ("", "#000002", "#transfer=up%2F1"):
                browser.driver.get("about:blank")
                browser.driver.get(address + fragment)
                browser.wait_for("document.querySelector('h1')")
                assert browser.text("h1")
            assert browser.console() == []
        finally:
            browser.driver.get("about:blank")


def test_real_traffic(
    browser: Browser, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Inspected(
        origin, tmp_path, "--set=cos_report_format=html", "--set=cos_report_format=json"
    ) as proxy:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_pem)
        client = cos_client(proxy)
        client.put_object(BUCKET, b"fine", "fine.txt")
        # With its CRC-64 there the bytes would be known to be whole.
        crc64 = drop_headers("x-cos-hash-crc64ecma")
        origin.damage(Damage(wrong_etag(), crc64, when=key("bad.txt")))
        client.put_object(BUCKET, b"bad", "bad.txt")
    open_page(browser, proxy.report_dir / "index.html")
    assert browser.text("h1") == "1 of 2 flows is broken"
    assert "bad.txt" in browser.text(".group")
    # Of a flow that is fine the list says what was verified.
    (fine,) = browser.run(
        "return [...document.querySelectorAll('.flows tr.row.ok')].map(row => row.innerText)"
    )
    assert "✓ CRC-64 ✓ ETag ✓ length" in fine
    browser.run("document.querySelector('.group .flow-link').click()")
    browser.wait_for("document.querySelector('.flow-page')")
    assert "etag-mismatch" in browser.text(".finding")
    assert browser.text(".check.mismatch .value:last-child").strip('"') in browser.text(".detail")
    written = proxy.reports[1]
    shown = browser.run("return cosInspect.store.report(2)")
    assert shown == written


def test_a_page_without_flows(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, write(tmp_path, []))
    assert browser.text("h1") == "No COS flows yet"
    assert browser.violations() == []


def test_the_last_report_of_a_flow_counts(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path, [flow_report(sequence=1)])
    page = write(tmp_path, [flow_report(sequence=1, findings=[finding("etag-mismatch")])])
    open_page(browser, page)
    assert browser.text("h1") == "1 of 1 flow is broken"
    go(browser, "#000001", "#1")
    assert "etag-mismatch" in browser.text(".finding")


def _trouble(host: str, severity: Severity) -> ConnectionFailureSummary:
    return ConnectionFailureSummary(
        host=host,
        client="10.0.0.5",
        failed="client-tls",
        count=1,
        findings=[finding("tls-untrusted", severity, group="connection")],
        flows=[],
    )


def _transfer(name: str, verdict: Verdict, flows: list[str]) -> TransferSummary:
    return TransferSummary(
        kind="multipart-upload",
        id=name,
        bucket=BUCKET,
        key=f"{name}.bin",
        state="completed",
        size=3,
        parts=1,
        duration_ms=1.0,
        verdict=verdict,
        findings=[finding("part-missing")] if verdict == "error" else [],
        flows=flows,
    )


def _some(many: int, rule: str | None = None) -> list[FlowReport]:
    found = [finding(rule)] if rule else []
    return [
        flow_report(sequence=number, key=f"{number}", flow_id=f"f{number}", findings=found)
        for number in range(1, many + 1)
    ]


@pytest.mark.parametrize(
    ("reports", "summary", "headline"),
    [
        (_some(3), Summary(), "All 3 flows are fine"),
        (
            _some(3),
            Summary(connections=[_trouble("a", Severity.ERROR)]),
            "All 3 flows are fine, but 1 connection failed",
        ),
        (
            [],
            Summary(connections=[_trouble("a", Severity.ERROR), _trouble("b", Severity.WARNING)]),
            "No COS flows yet, but 1 connection failed and 1 connection needs a look",
        ),
        (
            _some(1),
            Summary(transfers=[_transfer("t", "error", ["f1"])]),
            "The one flow is fine, but 1 transfer is broken",
        ),
        (
            _some(1, "etag-mismatch"),
            Summary(lost=Lost(count=2, reasons={"disk full": 2})),
            "1 of 1 flow is broken and 2 reports are lost",
        ),
    ],
    ids=["fine", "connection", "connections-alone", "transfer", "lost"],
)
def test_the_headline_counts_all_that_went_wrong(
    browser: Browser, tmp_path: Path, reports: list[FlowReport], summary: Summary, headline: str
) -> None:
    open_page(browser, write(tmp_path, reports, summary))
    assert browser.text("h1") == headline


def test_tiles_count_what_is_no_flow_beside_the_flows(browser: Browser, tmp_path: Path) -> None:
    summary = Summary(
        connections=[_trouble("a", Severity.ERROR)],
        transfers=[_transfer("t", "error", ["f1"]), _transfer("u", "ok", ["f2"])],
    )
    open_page(browser, write(tmp_path, _some(3), summary))
    shown = " ".join(browser.text(".tile.error").split())
    assert shown == "0 errors + 1 transfer + 1 connection"
    assert browser.violations() == []
    browser.run("document.querySelector('.tile.error [href=\"#connections\"]').click()")
    browser.wait_for("document.activeElement.textContent === 'Connections that failed'")


_COUNTS = """
    const links = ".group .number a, .also a, .facet a, .tile > a:first-child";
    const counted = (link) => (link.querySelector(".number, b") || link).innerText;
    return [...document.querySelectorAll(links)]
      .filter(link => link.hash.startsWith("#filter"))
      .map(link => [link.hash, counted(link)]);
"""


def test_a_connection_that_failed_often_counts_as_often_everywhere(
    browser: Browser, tmp_path: Path
) -> None:
    often = msgspec.structs.replace(_trouble("a", Severity.ERROR), count=3)
    summary = Summary(connections=[often, _trouble("b", Severity.ERROR)])
    open_page(browser, write(tmp_path, [flow_report(sequence=1)], summary))
    assert browser.text("h1") == "The one flow is fine, but 4 connections failed"
    assert "+ 4 connections" in browser.text(".tile.error")
    assert browser.text(".group .number").startswith("4 connections")
    assert "3 times" in browser.text(".group")


def test_every_count_leads_to_as_many_flows(browser: Browser, tmp_path: Path) -> None:
    rules = ("etag-mismatch", "crc64-mismatch", "error-response", "token-missing")
    reports = []
    for number in range(1, 120):
        found = [
            finding(rule, list(Severity)[(number + place) % 3])
            for place, rule in enumerate(rules)
            if number % (place + 2) == 0
        ]
        report = flow_report(
            sequence=number,
            key=f"{number}",
            flow_id=f"f{number}",
            operation=("GetObject", "GetObjectACL", "PutObject")[number % 3],
            client=("boto3", "Boto3", None)[number % 3],
            findings=found,
        )
        worst = max((one.severity for one in found), key=lambda one: one.rank, default=None)
        verdict: Verdict = worst.value if worst else "ok"
        place = TransferReport(kind="retry", id="r", position=1, attempt=1, healed=True)
        reports.append(
            msgspec.structs.replace(
                report, verdict=verdict, transfer=place if number % 7 == 0 else None
            )
        )
    summary = Summary(transfers=[_transfer("t", "error", ["f7", "f14", "f15"])])
    open_page(browser, write(tmp_path, reports, summary))
    links = browser.run(_COUNTS)
    assert len(links) > 12
    for address, counted in links:
        number = counted.split()[0]
        go(browser, address, " of 119 flows" if number != "119" else "119")
        assert browser.text("h1").split()[0] == number, address
    go(browser, "#transfer=t", "t.bin")
    links = browser.run(
        "return [...document.querySelectorAll('.facts a')].map(a => [a.hash, a.innerText])"
    )
    assert [text for _, text in links] == ["3"]
    go(browser, links[0][0], "3 of 119 flows")


def test_printing_has_every_row_and_no_empty_page(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, write(tmp_path, [one_of_many(number) for number in range(1, 365)]))
    browser.run(
        "addEventListener('afterprint', () => { window.after = true; });"
        "matchMedia('print').addEventListener('change', (event) => { if (event.matches)"
        " window.printed = document.querySelectorAll('.flows tr.row').length; });"
    )
    pages, blank = browser.printed(tmp_path / "page.pdf")
    assert browser.run("return window.printed") == 364
    assert blank == 0
    assert 5 < pages < 20
    browser.wait_for("document.querySelectorAll('.flows tr.row').length < 100")


def test_a_selection_is_exported_to_be_read_again(browser: Browser, tmp_path: Path) -> None:
    with Origin() as origin, Inspected(origin, tmp_path, "--set=cos_report_format=html") as proxy:
        origin.damage(Damage(wrong_etag(), when=key("broken.txt")))
        client = cos_client(proxy, VerifySSL=proxy.ca_pem)
        client.put_object(BUCKET, b"x" * 300, "fine.txt", Metadata={"x-cos-meta-a": "b"})
        client.put_object(BUCKET, b"y" * 300, "broken.txt")
        client.get_object(BUCKET, "fine.txt")
        proxy.stop()
        page = proxy.report_dir / "index.html"
        open_page(browser, page, "#filter=fine.txt")
        assert browser.text(".save").splitlines() == ["Save 2 flows as HAR", "as .mitm"]
        har = browser.run(
            "return cosInspect.exported.har("
            "cosInspect.store.all().filter(row => row.key === 'fine.txt'))"
        )
        browser.run("document.querySelector('.heading button').click()")
        browser.wait_for("document.getElementById('said').innerText.includes('saved')")
    assert SECRET_KEY not in json.dumps(har)
    saved = tmp_path / "sent.har"
    saved.write_text(json.dumps(har))
    command = ["analyze", str(saved), "--format=jsonl", f"--report-dir={tmp_path / 'again'}"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cos-inspect")), *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "again" / "flows.jsonl").read_text().splitlines()
    again = [json.loads(line) for line in lines]
    assert [report["cos"]["operation"] for report in again] == ["PutObject", "GetObject"]
    assert [finding["rule"] for report in again for finding in report["findings"]] == []


def test_a_newer_summary_leaves_what_was_read_of_the_rows(browser: Browser, many: Path) -> None:
    open_page(browser, many, "#filter=object-7")
    browser.wait_for("document.getElementById('matches')")
    kept = browser.run(
        """const row = cosInspect.store.row(7);
        const before = row.text;
        const summary = {...cosInspect.store.summary, transfers: [{id: "UP7", flows: [row.flow]}]};
        cosInspect.summary(JSON.stringify(summary));
        const found = text => cosInspect.store.all().filter(cosInspect.filter.parse(text).test);
        return [typeof before, row.text === before, found("up7").map(one => one.n),
          found("transfer:=UP7").map(one => one.n), found("-up7").length];"""
    )
    assert kept == ["string", True, [7], [7], MANY - 1]
