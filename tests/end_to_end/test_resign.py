"""``cos.resign``: what was edited in mitmweb is accepted by a server that verifies signatures."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import requests

from tests.conditions import wait_until
from tests.end_to_end import browser
from tests.end_to_end.harness import BUCKET, HOST, SECRET_ID, SECRET_KEY
from tests.end_to_end.web import Web
from tests.origin.server import Origin
from tests.origin.signing import TemporaryKey, Verifier

pytestmark = pytest.mark.end_to_end

OWN_ID, OWN_KEY = "AKIDpermanentpermanentpermanentperma", "permanentpermanentpermanentperma"
TOKEN = "token-of-a-temporary-key-that-is-made-up"
ODD = "neu +%E4%BD%A0%E5%A5%BD%2Fa%20b.txt"
"""Typed by a person: a blank and a plus as they are, Chinese and a slash escaped."""
ODD_KEY = "neu +你好/a b.txt"


class Editor:
    """mitmweb as a person uses it: edits, commands, replays."""

    def __init__(self, origin: Origin, web: Web) -> None:
        self.origin, self.web = origin, web

    def flow(self, name: str) -> dict[str, Any]:
        return self.web.flows()[name]

    def edit(self, flow_id: str, **request: Any) -> None:
        with self.web.session() as session:
            session.get(f"{self.web.address}updates", timeout=30)
            session.put(
                f"{self.web.address}flows/{flow_id}",
                json={"request": request},
                headers={"X-XSRFToken": session.cookies.get("_mitmproxy_xsrf") or ""},
                timeout=30,
            ).raise_for_status()

    def replay(self, flow_id: str) -> int:
        """The status that the server answers now."""
        before: float = self.by_id(flow_id)["response"]["timestamp_start"]
        self.web.call("replay.client", f"@{flow_id}")
        found: dict[str, Any] = {}

        def answered() -> bool:
            found.update(self.by_id(flow_id))
            response: dict[str, Any] | None = found.get("response")
            return (
                response is not None
                and response["timestamp_start"] > before
                and response["timestamp_end"] is not None
            )

        wait_until(answered)
        status: int = found["response"]["status_code"]
        return status

    def by_id(self, flow_id: str) -> dict[str, Any]:
        (flow,) = (each for each in self.web.flows().values() if each["id"] == flow_id)
        return flow

    def resign(self, flow_id: str) -> str:
        said: list[str] = self.web.call("cos.resign", f"@{flow_id}")["value"]
        (line,) = said
        return line

    def report(self, flow_id: str) -> dict[str, Any]:
        """The report of the flow as it was signed anew, once its answer is whole."""
        found: dict[str, Any] = {}

        def told() -> bool:
            said = self.web.call("cos.report", f"@{flow_id}")
            found.update(json.loads(said.get("value", "{}")))
            return bool(found and found["request"].get("resigned"))

        wait_until(told)
        return found

    def refused_and_then_accepted(self, flow_id: str) -> str:
        """Sends the flow as it is, then signed anew; what was said of that."""
        # A blank that a person typed is not even HTTP.
        assert self.replay(flow_id) in (400, 403)
        said = self.resign(flow_id)
        assert self.replay(flow_id) in (200, 204)
        report = self.report(flow_id)
        assert report["request"]["resigned"]["secret_id"] in said
        assert [item["rule"] for item in report["findings"]] == []
        return said


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("resign")
    keys = folder / "keys.ini"
    keys.write_text(f"[own]\nsecret_id = {OWN_ID}\nsecret_key = {OWN_KEY}\n")
    keys.chmod(0o600)
    verifier = Verifier(
        {SECRET_ID: SECRET_KEY, OWN_ID: OWN_KEY},
        strict=("host", "content-md5", "x-cos-meta-new"),
    )
    with Origin() as origin, Web(origin, folder, f"--set=cos_credentials={keys}") as web:
        origin.authorise, origin.service.judge_form = verifier, verifier.judge_form
        yield Editor(origin, web)
    assert not origin.faults


def _own(web: Web, **settings: Any) -> Any:
    """The SDK with the key that the file holds."""
    return web.client(**settings | {"SecretId": OWN_ID, "SecretKey": OWN_KEY})


def test_a_key_edited_to_hold_odd_signs(editor: Editor) -> None:
    _own(editor.web).put_object(BUCKET, b"[Object Content]", "header.txt")
    flow = editor.flow("header.txt")
    editor.edit(flow["id"], path=f"/{ODD}")
    said = editor.refused_and_then_accepted(flow["id"])
    assert "the request's own SecretId" in said
    assert editor.origin.get_object(BUCKET, ODD_KEY) == b"[Object Content]"


def test_a_body_edited(editor: Editor) -> None:
    _own(editor.web).put_object(BUCKET, b"[Object Content]", "body.txt", EnableMD5=True)
    flow = editor.flow("body.txt")
    editor.edit(flow["id"], content="another body")
    assert editor.replay(flow["id"]) in (400, 403)
    editor.resign(flow["id"])
    assert editor.replay(flow["id"]) == 200
    assert editor.origin.get_object(BUCKET, "body.txt") == b"another body"
    report = editor.report(flow["id"])
    assert {check["check"]: check["status"] for check in report["checks"]}["content-md5"] == "match"


def test_a_header_added_is_signed(editor: Editor) -> None:
    _own(editor.web).put_object(BUCKET, b"x", "meta.txt")
    flow = editor.flow("meta.txt")
    headers = [*flow["request"]["headers"], ["x-cos-meta-new", "a b+c"]]
    editor.edit(flow["id"], headers=headers)
    editor.refused_and_then_accepted(flow["id"])


@pytest.mark.parametrize("merged", [False, True], ids=["parameters", "sign"])
def test_a_presigned_url(editor: Editor, merged: bool) -> None:
    name = f"presigned-{merged}.txt"
    editor.origin.put_object(BUCKET, ODD_KEY, b"odd")
    editor.origin.put_object(BUCKET, name, b"plain")
    url = _own(editor.web).get_presigned_url(BUCKET, name, "GET", Expired=600)
    if merged:
        # As the PHP SDK makes them: all in one parameter.
        path, _, query = url.partition("?")
        url = f"{path}?sign={quote(unquote(query), safe='')}"
    requests.get(
        url, proxies=editor.web.proxies, verify=editor.web.ca_pem, timeout=30
    ).raise_for_status()
    (flow,) = (
        each
        for each in editor.web.flows().values()
        if each["request"]["path"].startswith(f"/{name}?")
    )
    query = flow["request"]["path"].partition("?")[2]
    editor.edit(flow["id"], path=f"/{ODD}?{query}&response-content-type=text/plain; charset=utf-8")
    said = editor.refused_and_then_accepted(flow["id"])
    assert OWN_ID in said
    path = editor.by_id(flow["id"])["request"]["path"]
    assert path.count("q-signature") == 1
    assert ("sign=" in path.replace("q-sign", "")) == merged


def test_of_another_key_the_only_one_of_the_file_is_taken_and_the_token_goes(
    editor: Editor,
) -> None:
    temporary = "AKIDtemporarytemporarytemporarytempo"
    verifier = editor.origin.authorise
    assert isinstance(verifier, Verifier)
    verifier.temporary = {temporary: TemporaryKey(SECRET_KEY, TOKEN, time.time() + 600)}
    client = editor.web.client(SecretId=temporary, SecretKey=SECRET_KEY, Token=TOKEN)
    client.put_object(BUCKET, b"x", "token.txt")
    flow = editor.flow("token.txt")
    verifier.temporary = {}
    said = editor.refused_and_then_accepted(flow["id"])
    assert "x-cos-security-token was taken off" in said
    assert editor.report(flow["id"])["request"]["resigned"]["token_removed"] is True


def _form(key_time: str, key: str) -> dict[str, str]:
    end = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(int(key_time.partition(";")[2])))
    policy = json.dumps(
        {
            "expiration": end,
            "conditions": [
                {"bucket": BUCKET},
                {"key": key},
                {"q-sign-algorithm": "sha1"},
                {"q-ak": OWN_ID},
                {"q-sign-time": key_time},
            ],
        }
    ).encode()
    sign_key = hmac.new(OWN_KEY.encode(), key_time.encode(), "sha1").hexdigest()
    text = hashlib.sha1(policy).hexdigest()
    return {
        "key": key,
        "policy": base64.b64encode(policy).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": OWN_ID,
        "q-key-time": key_time,
        "q-sign-time": key_time,
        "q-signature": hmac.new(sign_key.encode(), text.encode(), "sha1").hexdigest(),
        "success_action_status": "200",
    }


def test_a_form(editor: Editor) -> None:
    now = int(time.time())
    fields = _form(f"{now - 10};{now + 600}", "form-before.txt")
    answer = requests.post(
        f"https://{HOST}/",
        files=[*((n, (None, v)) for n, v in fields.items()), ("file", ("a", b"file content"))],
        proxies=editor.web.proxies,
        verify=editor.web.ca_pem,
        timeout=30,
    )
    answer.raise_for_status()
    flow = editor.flow("")
    with editor.web.session() as session:
        content = session.get(
            f"{editor.web.address}flows/{flow['id']}/request/content.data", timeout=30
        ).content
    edited = content.replace(b"form-before.txt", "form 你.txt".encode())
    editor.edit(flow["id"], content=edited.decode())
    editor.refused_and_then_accepted(flow["id"])
    assert editor.origin.get_object(BUCKET, "form 你.txt") == b"file content"


def test_a_streamed_body_is_refused_in_one_line(editor: Editor) -> None:
    _own(editor.web).put_object(BUCKET, b"x" * 2_000_000, "streamed.bin")
    flow = editor.flow("streamed.bin")
    answer = editor.web.call("cos.resign", f"@{flow['id']}")
    assert "cos_stream" in answer["error"]
    assert "\n" not in answer["error"]


def test_live_traffic_is_not_touched(editor: Editor) -> None:
    _own(editor.web).put_object(BUCKET, b"x", "live.txt")
    report = editor.web.report_on("live.txt")
    assert report["request"]["resigned"] is None


@pytest.mark.skipif(browser.missing() is not None, reason=browser.missing() or "nothing")
def test_a_button_of_the_page_signs(editor: Editor, tmp_path: Path) -> None:
    _own(editor.web).put_object(BUCKET, b"x", "button.txt")
    flow = editor.flow("button.txt")
    editor.edit(flow["id"], path="/pressed.txt")
    with browser.chromium(tmp_path / "profile") as page:
        page.driver.get(f"{editor.web.address}?token={editor.web.token}")
        page.driver.get(f"{editor.web.address}cos/index.html#flow={flow['id']}")
        page.wait_for(
            "[...document.querySelectorAll('button')].find(b => b.innerText === 'Sign anew')"
        ).click()
        page.wait_for("document.getElementById('said').innerText.includes('signed anew')")
        assert page.console() == []
    assert editor.replay(flow["id"]) == 200
