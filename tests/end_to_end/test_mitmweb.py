"""What people see in mitmweb: marker, comment, content view, commands, live pages."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.end_to_end import browser
from tests.end_to_end.harness import BUCKET
from tests.end_to_end.web import Web
from tests.origin.effects import drop_headers, no_marks_of_cos, wrong_crc, wrong_etag
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

TOKEN = "dG9rZW4tdGhhdC1pcy1uZXZlci1zaG93bg"
CHINESE = "%E6%8A%A5%E5%91%8A.txt"
"""The key ``报告.txt`` on the wire."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A proxy through which the Python SDK has sent clean and damaged flows."""
    with Origin() as origin, Web(origin, tmp_path_factory.mktemp("web")) as lab:
        lab.damage("etag.txt", wrong_etag(), wrong_crc())
        lab.damage("crc.bin", drop_headers("x-cos-hash-crc64ecma"))
        lab.damage("elsewhere", no_marks_of_cos())
        client = lab.client(Token=TOKEN)
        for name in ("报告.txt", "crc.bin", "etag.txt"):
            client.put_object(BUCKET, b"[Object Content]", name)
        client.put_object(BUCKET, b"x" * 3_000_000, "large.bin")
        data = json.dumps({"a": {"b": 1}}).encode()
        client.put_object(BUCKET, data, "data.json", ContentType="application/json")
        lab.send("GET", "missing.txt")
        lab.send("GET", "elsewhere", host="www.example.org", scheme="http")
        for name in ("报告.txt", "crc.bin", "etag.txt", "large.bin", "data.json", "missing.txt"):
            lab.report_on(name)
        yield lab
    assert not origin.faults


def test_markers_and_comments_tell_the_verdict(web: Web) -> None:
    flows = web.flows()
    assert {name: flow["marked"] for name, flow in flows.items()} == {
        CHINESE: "🟢",
        "crc.bin": "🔵",
        "etag.txt": "🔴",
        "large.bin": "🟢",
        "data.json": "🟢",
        "missing.txt": "🟠",
        "elsewhere": "",
    }
    assert flows["etag.txt"]["comment"].startswith(
        "crc64-mismatch, etag-mismatch (COS error: PutObject)\n"
        f"{web.address}cos/#flow={flows['etag.txt']['id']}\n"
    )
    assert flows["elsewhere"]["comment"] == ""


def test_the_view_is_chosen_where_something_was_found(web: Web) -> None:
    flows = web.flows()
    shown = web.view(flows["etag.txt"], "request")
    assert shown["view_name"] == "COS"
    assert "MISMATCH  etag of the request:" in shown["text"]
    assert "body of the request: 16 B, shown as Raw\n \n[Object Content]" in shown["text"]
    shown = web.view(flows["missing.txt"], "response")
    assert shown["text"].startswith("COS warning: GetObject 404\n")
    assert "<Code>NoSuchKey</Code>" in shown["text"]


def test_elsewhere_the_body_is_shown_as_before(web: Web) -> None:
    flow = web.flows()["data.json"]
    assert web.view(flow, "request")["view_name"] == "JSON"
    shown = web.view(flow, "request", "cos")
    assert shown["text"].startswith("COS ok: PutObject 200\n")
    assert shown["text"].endswith('{\n    "a": {\n        "b": 1\n    }\n}')


def test_what_streamed_is_told_beside_the_other_body(web: Web) -> None:
    flow = web.flows()["large.bin"]
    assert "missing" in web.view(flow, "request", "cos")["text"]
    assert "sent:        2.9 MiB, MD5 " in web.view(flow, "response", "cos")["text"]


def test_the_view_of_other_traffic_says_so(web: Web) -> None:
    flow = web.flows()["elsewhere"]
    assert web.view(flow, "response", "cos")["text"].startswith("This is no COS traffic.")


def test_commands(web: Web) -> None:
    (first, *rules) = web.call("cos.summary")["value"]
    assert first == "COS summary: 6 COS flows among 7: 1 error, 1 warning, 1 notice, 3 ok"
    assert "1 etag-mismatch" in rules[0]
    assert "1 crc64-mismatch" in rules[0]
    lines = web.call("cos.summary", "@all")["value"]
    assert any(line.startswith("error") and line.endswith("etag-mismatch") for line in lines)
    report = json.loads(web.call("cos.report", "~u etag.txt")["value"])
    assert report["cos"]["key"] == "etag.txt"
    assert "code: NoSuchKey" in web.call("cos.ticket", "~u missing.txt")["value"]
    assert "did not fail" in web.call("cos.ticket", "~u crc.bin")["error"]
    assert web.call("cos.explain", "NoSuchKey")["value"][0].startswith("NoSuchKey")
    assert "did you mean NoSuchKey" in web.call("cos.explain", "NoSuchKeys")["error"]
    assert "no COS traffic" in web.call("cos.report", "~u elsewhere")["error"]


def test_an_edited_flow_is_judged_again_on_demand(web: Web) -> None:
    flow = web.flows()["crc.bin"]
    with web.session() as session:
        session.get(f"{web.address}updates", timeout=30)
        session.put(
            f"{web.address}flows/{flow['id']}",
            json={"request": {"content": "[Object Content)"}},
            headers={"X-XSRFToken": session.cookies.get("_mitmproxy_xsrf") or ""},
            timeout=30,
        ).raise_for_status()
    lines = web.call("cos.recheck", "~u crc.bin")["value"]
    assert lines[0] == "1 COS flows among 1 judged again"
    assert "etag-mismatch" in lines[1]
    flow = web.flows()["crc.bin"]
    assert flow["marked"] == "🔴"
    assert "(COS error: PutObject)" in flow["comment"].splitlines()[0]
    assert "holds now" in web.view(flow, "request", "cos")["text"]
    web.call("flow.revert", "~u crc.bin")
    web.call("cos.recheck", "~u crc.bin")
    assert web.flows()["crc.bin"]["marked"] == "🔵"


def test_no_secret_is_shown(web: Web) -> None:
    flows = web.flows()
    shown = [flow["comment"] for flow in flows.values()]
    shown += [web.view(flow, "response", "cos")["text"] for flow in flows.values()]
    shown += [json.dumps(web.call("cos.report", f"~u {name}")) for name in ("etag", "missing")]
    assert not any(TOKEN in text for text in shown)


def test_live_pages_need_authentication(web: Web) -> None:
    for path in ("cos/", "cos/index.html", "cos/data/index.js", "cos/summary.json"):
        answer = requests.get(web.address + path, timeout=30, allow_redirects=False)
        assert answer.status_code == 403
        assert "PutObject" not in answer.text


def test_live_pages_are_the_reports(web: Web) -> None:
    with web.session() as session:
        page = session.get(f"{web.address}cos/", timeout=30)
        assert page.url == f"{web.address}cos/index.html"
        assert "COS report" in page.text
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        rows = session.get(f"{web.address}cos/data/rows-0001.js", timeout=30)
        assert "etag.txt" in rows.text
        assert rows.headers["Content-Type"].startswith("text/javascript")
        assert rows.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        foreign = {"Sec-Fetch-Site": "same-site"}
        refused = session.get(f"{web.address}cos/data/rows-0001.js", headers=foreign, timeout=30)
        assert refused.status_code == 403
        for path in ("cos/nothing.js", "cos/.lock", "cos/data/../summary.json/", "cos/%2e%2e/x.js"):
            assert session.get(web.address + path, timeout=30).status_code == 404, path


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[browser.Browser]:
    reason = browser.missing()
    if reason:
        pytest.skip(reason)
    with browser.chromium(tmp_path / "profile") as opened:
        opened.size(1400, 900)
        yield opened


def test_in_a_browser(web: Web, chromium: browser.Browser) -> None:
    chromium.driver.get(f"{web.address}?token={web.token}")
    chromium.wait_for("document.querySelectorAll('.flow-table tbody tr .col-path').length >= 7")
    assert "Comment" in chromium.text(".flow-table thead")
    table = chromium.text(".flow-table tbody")
    assert "🔴" in table
    assert "crc64-mismatch, etag-mismatch" in table
    flow = web.flows()["missing.txt"]
    chromium.driver.get("about:blank")
    chromium.driver.get(f"{web.address}#/flows/{flow['id']}/response")
    shown = "document.querySelector('.contentview pre, .contentview .cm-content')"
    chromium.wait_for(f"{shown}?.innerText.includes('COS warning: GetObject 404')")
    chromium.driver.get("about:blank")
    chromium.driver.get(f"{web.address}#/flows/{web.flows()['data.json']['id']}/request")
    chromium.wait_for("document.querySelector('.contentview')?.innerText.includes('JSON')")
    chromium.run(
        "for (const a of document.querySelectorAll('a')) if (/View:/.test(a.innerText)) a.click()"
    )
    chromium.wait_for(
        "[...document.querySelectorAll('a')].find(a => a.innerText.trim() === 'cos')"
    ).click()
    chromium.wait_for(f"{shown}?.innerText.includes('COS ok: PutObject 200')")
    chromium.driver.get(f"{web.address}cos/")
    chromium.wait_for("document.querySelector('main')?.innerText.includes('etag.txt')")
    assert chromium.driver.current_url == f"{web.address}cos/index.html"
    assert chromium.console() == []


def _open_pages(web: Web, chromium: browser.Browser, fragment: str = "") -> None:
    chromium.driver.get(f"{web.address}?token={web.token}")
    chromium.driver.get(f"{web.address}cos/index.html{fragment}")
    chromium.wait_for("document.querySelector('main h1') && cosInspect.live.isLive")


_SHOWN = "document.getElementById('main').innerText.includes(arguments[0])"


def test_live_pages_follow_the_traffic(web: Web, chromium: browser.Browser) -> None:
    _open_pages(web, chromium)
    chromium.wait_for(_SHOWN, "etag.txt")
    web.send("PUT", "later.txt", data=b"later")
    chromium.wait_for(_SHOWN, "later.txt")
    chromium.wait_for("/^Live: [1-9]/.test(document.getElementById('live').textContent)")
    assert chromium.console() == []


def test_the_readers_place_stays_while_flows_arrive(web: Web, chromium: browser.Browser) -> None:
    for number in range(60):
        web.send("PUT", f"before-{number}.txt", data=b"x")
    web.report_on("before-59.txt")
    _open_pages(web, chromium, "#filter=op%3APutObject")
    chromium.wait_for("cosInspect.app.rows() >= 60")
    looked_at = """
        const link = [...document.querySelectorAll(".flows tbody a")].at(-8);
        link.focus();
        link.scrollIntoView({block: "center"});
        window.before = {link, y: scrollY, top: link.getBoundingClientRect().top};"""
    chromium.run(looked_at)
    for number in range(50):
        web.send("PUT", f"after-{number}.txt", data=b"x")
    chromium.wait_for(
        "cosInspect.store.all().some(row => row.key === 'after-49.txt')"
        " && document.getElementById('matches').textContent.includes('of')"
    )
    kept = chromium.run(
        "return {same: document.activeElement === before.link, y: scrollY - before.y,"
        " top: before.link.getBoundingClientRect().top - before.top,"
        " hash: location.hash, box: document.getElementById('filter').value}"
    )
    assert kept == {
        "same": True,
        "y": 0,
        "top": 0,
        "hash": "#filter=op%3APutObject",
        "box": "op:PutObject",
    }

    # Newest first: what comes pushes what is read down, and the window goes along.
    chromium.run("document.querySelector('[data-sort=n]').click()")
    chromium.wait_for("document.querySelector('th.n').getAttribute('aria-sort') === 'descending'")
    chromium.run(looked_at)
    for number in range(5):
        web.send("PUT", f"last-{number}.txt", data=b"x")
    chromium.wait_for("cosInspect.store.all().some(row => row.key === 'last-4.txt')")
    moved = chromium.wait_for(
        "document.activeElement.closest('tbody')"
        " && {number: document.activeElement.textContent === before.link.textContent,"
        " top: Math.abs(document.activeElement.getBoundingClientRect().top - before.top) < 2}"
    )
    assert moved == {"number": True, "top": True}

    # A report that is read stays as it is.
    chromium.run("document.activeElement.click()")
    chromium.wait_for("document.querySelector('.flow-page')")
    chromium.run("scrollTo(0, 200); window.page = document.querySelector('.flow-page')")
    web.send("PUT", "very-last.txt", data=b"x")
    chromium.wait_for("cosInspect.store.all().some(row => row.key === 'very-last.txt')")
    assert chromium.run("return page.isConnected && scrollY === 200")
    assert chromium.console() == []


def test_pages_and_mitmweb_lead_to_each_other(web: Web, chromium: browser.Browser) -> None:
    flow = web.flows()["etag.txt"]
    page = flow["comment"].splitlines()[1]
    assert f"page: {page}" in web.view(flow, "response", "cos")["text"]
    chromium.driver.get(f"{web.address}?token={web.token}")
    chromium.driver.get(page)
    chromium.wait_for("document.querySelector('.flow-page')?.innerText.includes('etag.txt')")
    chromium.run(
        "[...document.querySelectorAll('a')].find(a => a.innerText === 'Open in mitmweb').click()"
    )
    chromium.wait_for("location.hash === arguments[0]", f"#/flows/{flow['id']}/response")
    chromium.wait_for("document.body.innerText.includes('etag.txt')")


def test_the_list_of_mitmweb_has_the_comment(web: Web) -> None:
    with web.session() as session:
        columns = session.get(f"{web.address}options", timeout=30).json()["web_columns"]["value"]
    assert columns.count("comment") == 1


def test_pages_follow_nobody_elses_request(web: Web) -> None:
    with web.session() as session:
        address = f"{web.address}cos/changes.js"
        assert session.get(address, timeout=30).text.startswith("cosInspect.changes(")
        foreign = {"Sec-Fetch-Site": "same-site"}
        assert session.get(address, headers=foreign, timeout=30).status_code == 403
    assert requests.get(address, timeout=30).status_code in (401, 403)


def test_before_the_first_flow_the_pages_wait_for_it(
    tmp_path: Path, chromium: browser.Browser
) -> None:
    with Origin() as origin, Web(origin, tmp_path / "web") as web:
        _open_pages(web, chromium)
        assert chromium.text("h1") == "No COS flows yet"
        chromium.run("document.querySelector('main a[href=\"#setup\"]').click()")
        chromium.wait_for("document.querySelector('.setup')")
        chromium.run("location.hash = ''")
        web.send("PUT", "first.txt", data=b"x")
        chromium.wait_for("document.querySelector('h1')?.innerText === 'The one flow is fine'")
        assert chromium.console() == []


def test_a_directory_that_cannot_be_written_is_said_on_the_page(
    tmp_path: Path, chromium: browser.Browser
) -> None:
    with Origin() as origin, Web(origin, tmp_path / "web") as web:
        web.send("PUT", "first.txt", data=b"x")
        web.report_on("first.txt")
        _open_pages(web, chromium)
        aside = web.report_dir.with_name("aside")
        web.report_dir.rename(aside)
        web.report_dir.write_bytes(b"no directory")
        web.send("PUT", "second.txt", data=b"x")
        chromium.wait_for("!document.getElementById('trouble').hidden")
        assert "cannot be written" in chromium.text("#trouble")
        assert str(web.report_dir) in chromium.text("#trouble")
        assert chromium.text("#live") == "Stands still"
        assert "first.txt" in chromium.text("#main")
        web.report_dir.unlink()
        aside.rename(web.report_dir)
        chromium.wait_for(_SHOWN, "second.txt")
        chromium.wait_for("document.getElementById('trouble').hidden")
        chromium.wait_for("document.getElementById('live').textContent.startsWith('Live')")
        assert chromium.console() == []


def test_the_setup_page_says_how_a_client_comes_here(web: Web, chromium: browser.Browser) -> None:
    chromium.driver.get(f"{web.address}?token={web.token}")
    chromium.driver.get(f"{web.address}cos/setup")
    chromium.wait_for("document.querySelector('.setup .code svg')")
    assert chromium.text(".address b") == f"127.0.0.1:{web.port}"
    assert "--listen-host" in chromium.text(".remarks")
    assert "http://mitm.it" in chromium.text(".codes")
    assert f"http://127.0.0.1:{web.port}" in chromium.run(
        "return [...document.querySelectorAll('.platform')].map(one => one.textContent).join()"
    )
    assert chromium.violations() == []
    assert chromium.console() == []
    with web.session() as session:
        foreign = {"Sec-Fetch-Site": "cross-site"}
        refused = session.get(f"{web.address}cos/setup.js", headers=foreign, timeout=30)
        assert refused.status_code == 403
    assert requests.get(f"{web.address}cos/setup.js", timeout=30).status_code in (401, 403)
