"""What options, other addons and people do to messages is done as it would be without the
addon, though it streams large bodies where nobody can want them."""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow, tutils

from tests.end_to_end.harness import BUCKET, HOST, checks
from tests.end_to_end.lab import Lab, saved_flows
from tests.end_to_end.web import Web
from tests.origin.damage import Damage, key
from tests.origin.effects import chunked
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

LARGE = b"abc-" * (3 << 18)
"""3 MiB: streamed by default."""
TINY = b"abc-"
BEYOND = b"abc-" * (5 << 18)
"""5 MiB: beyond the limit below."""
LIMIT = "--set=body_size_limit=4m"
OTHER = "otherbucket-1250000000"
LOGGED = "are kept whole for now: "

SCRIPT = '''
"""A script of somebody else, with the hooks in which messages are whole."""

from mitmproxy import http


def request(flow):
    match flow.request.path.partition("-")[0]:
        case "/answered":
            flow.response = http.Response.make(200, b"from the script", {"Server": "script"})
        case "/moved":
            flow.request.host = flow.request.host.replace("examplebucket", "otherbucket")
            flow.request.host_header = flow.request.host
        case "/header":
            flow.request.headers["x-cos-meta-added"] = "by the script"
        case "/killed":
            flow.kill()
'''
RESPONSE_SCRIPT = '''
"""A script that changes answers, as a class."""


class Changes:
    async def response(self, flow):
        if flow.request.path.startswith("/rewritten"):
            flow.response.content = flow.response.content.replace(b"abc", b"xyz")
            flow.response.headers["x-cos-meta-added"] = "by the script"


addons = [Changes()]
'''
HEADERS_SCRIPT = '''
"""A script that answers, moves and streams as soon as it sees the headers."""

from mitmproxy import http


def requestheaders(flow):
    match flow.request.path.partition("-")[0]:
        case "/early":
            flow.response = http.Response.make(200, b"at once", {"Server": "script"})
        case "/led":
            flow.request.host = flow.request.host.replace("examplebucket", "otherbucket")
            flow.request.host_header = flow.request.host
        case "/theirs":
            flow.request.stream = lambda data: data.replace(b"a", b"b")


def responseheaders(flow):
    if flow.request.path.startswith("/theirs"):
        flow.response.stream = lambda data: data.replace(b"a", b"b")
'''

Outcome = tuple[Any, ...]


class Case(NamedTuple):
    """Something that acts on the paths that begin with its names."""

    paths: Sequence[str]
    logged: str
    arguments: Sequence[str] = ()
    before: Sequence[Path] = ()
    after: Sequence[Path] = ()


def _sends(method: str, path: str) -> list[tuple[str, Any]]:
    """Names and bodies of what is sent to a path; a list is sent in chunks."""
    if method == "GET":
        return [(f"{path}-known", None), (f"{path}-chunked", None)]
    if path == "limited":
        return [(f"{path}-large", BEYOND), (f"{path}-chunked", [BEYOND]), (f"{path}-ok", [TINY])]
    return [(f"{path}-large", LARGE), (f"{path}-tiny", [TINY])]


def _outcomes(
    origin: Origin, proxy: Proxy | Lab, method: str, paths: Sequence[str]
) -> list[Outcome]:
    """What the client was answered, and what reached the server."""
    found: list[Outcome] = []
    for path in paths:
        for name, body in _sends(method, path):
            before = len(origin.requests)
            got: Outcome
            try:
                answer = requests.request(
                    method,
                    f"https://{HOST}/{name}",
                    data=iter(body) if isinstance(body, list) else body,
                    proxies={"http": proxy.url, "https": proxy.url},
                    verify=proxy.ca_pem,
                    timeout=60,
                )
                fields = sorted(
                    (str(field), str(value))
                    for field, value in answer.headers.items()
                    # Each answer has another.
                    if field != "x-cos-request-id"
                )
                md5 = hashlib.md5(answer.content).hexdigest()
                got = (answer.status_code, answer.reason, fields, md5)
            except requests.RequestException as error:
                got = (type(error).__name__,)
            if got[0] in (413, "ConnectionError") and path == "limited":
                # The answer races the reset by which mitmproxy ends an upload it does not want.
                got = ("refused",)
            arrived = [
                (record.host, record.target, record.headers, record.body_md5, record.complete)
                for record in list(origin.requests)[before:]
            ]
            found.append((name, got, arrived))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("others")


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    now = time.time()
    with Origin(clock=lambda: now) as made:
        made.make_bucket(OTHER)
        yield made
        assert not made.faults


def _recorded(path: Path, name: str) -> None:
    """Flows whose answers are replayed; their requests are found by their bodies."""
    with path.open("wb") as file:
        for found, body in _sends("PUT", name):
            request = tutils.treq(
                method=b"PUT",
                scheme=b"https",
                host=HOST,
                port=443,
                path=f"/{found}".encode(),
                headers=http.Headers(host=HOST),
                content=body if isinstance(body, bytes) else b"".join(body),
            )
            answer = http.Response.make(203, b"recorded", {"Server": "replay"})
            FlowWriter(file).add(tflow.tflow(req=request, resp=answer))


@pytest.fixture(scope="module")
def uploads(folder: Path) -> dict[str, Case]:
    local, recorded = folder / "local.txt", folder / "recorded.mitm"
    local.write_text("from a file")
    _recorded(recorded, "replayed")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    scripted = ("answered", "moved", "header", "killed")
    by_option = {
        "block_list": ("blocked", "/~u blocked/403"),
        "map_local": ("local", f"|~u local-|.+|{local}"),
        "map_remote": ("mapped", "|~u mapped-|examplebucket-|otherbucket-"),
        "modify_body": ("modified", "|~u modified-|abc|xy"),
    }
    cases = {
        option: Case([path], f"{option} is set", [f"--set={option}={value}"])
        for option, (path, value) in by_option.items()
    }
    return cases | {
        "block_list, killed": Case(
            ["dropped"], "block_list is set", ["--set=block_list=/~u dropped/444"]
        ),
        "server_replay": Case(
            ["replayed"],
            "flows are replayed (server_replay)",
            [f"--set=server_replay={recorded}", "--set=server_replay_reuse=true"],
        ),
        "body_size_limit": Case(["limited"], "body_size_limit is set", [LIMIT]),
        "script before": Case(scripted, f"the script {script} has a request hook", before=[script]),
        "script behind": Case(scripted, f"the script {script} has a request hook", after=[script]),
    }


@pytest.fixture(scope="module")
def downloads(folder: Path) -> dict[str, Case]:
    script = folder / "changes.py"
    script.write_text(RESPONSE_SCRIPT)
    return {
        "modify_body": Case(
            ["modified"], "modify_body is set", ["--set=modify_body=|~u modified-|abc|xy"]
        ),
        "body_size_limit": Case(["limited"], "body_size_limit is set", [LIMIT]),
        "script before": Case(
            ["rewritten"], "the addon Changes has a response hook", before=[script]
        ),
        "script behind": Case(
            ["rewritten"], "the addon Changes has a response hook", after=[script]
        ),
    }


@pytest.fixture(scope="module")
def objects(origin: Origin, downloads: dict[str, Case]) -> None:
    for path in {path for case in downloads.values() for path in case.paths}:
        body = BEYOND if path == "limited" else LARGE
        for name, _ in _sends("GET", path):
            origin.put_object(BUCKET, name, body)
    for path in ("modified", "limited", "rewritten"):
        origin.damage(Damage(chunked(), when=key(f"{path}-chunked")))


def _plain(origin: Origin, method: str, cases: dict[str, Case]) -> dict[str, list[Outcome]]:
    """All of it at once, without the addon: each acts on its own paths alone."""
    options = {argument: None for case in cases.values() for argument in case.arguments}
    scripts = {script: None for case in cases.values() for script in (*case.before, *case.after)}
    with Proxy(origin, *options, *(f"--scripts={script}" for script in scripts)) as proxy:
        return {name: _outcomes(origin, proxy, method, case.paths) for name, case in cases.items()}


@pytest.fixture(scope="module")
def plain_uploads(origin: Origin, uploads: dict[str, Case]) -> dict[str, list[Outcome]]:
    return _plain(origin, "PUT", uploads)


@pytest.fixture(scope="module")
def plain_downloads(
    origin: Origin, downloads: dict[str, Case], objects: None
) -> dict[str, list[Outcome]]:
    return _plain(origin, "GET", downloads)


def _inspected(
    origin: Origin, folder: Path, method: str, case: Case
) -> tuple[list[Outcome], list[str]]:
    """The same with the addon, and the lines that say what was kept whole."""
    with Lab(
        origin,
        folder,
        *case.arguments,
        scripts_before=case.before,
        scripts_after=case.after,
    ) as lab:
        found = _outcomes(origin, lab, method, case.paths)
        lab.stop()
        assert "Traceback" not in lab.output
        return found, [line for line in lab.output.splitlines() if LOGGED in line]


UPLOADS = (
    "block_list",
    "block_list, killed",
    "map_local",
    "map_remote",
    "modify_body",
    "server_replay",
    "body_size_limit",
    "script before",
    "script behind",
)
DOWNLOADS = ("modify_body", "body_size_limit", "script before", "script behind")


@pytest.mark.parametrize("name", UPLOADS)
def test_uploads(
    name: str,
    origin: Origin,
    uploads: dict[str, Case],
    plain_uploads: dict[str, list[Outcome]],
    tmp_path: Path,
) -> None:
    assert set(uploads) == set(UPLOADS)
    found, logged = _inspected(origin, tmp_path, "PUT", uploads[name])
    assert found == plain_uploads[name]
    assert [line.partition(LOGGED)[2] for line in logged] == [uploads[name].logged]


def test_what_is_compared_was_done(plain_uploads: dict[str, list[Outcome]]) -> None:
    """Without the addon: who was answered in the server's place, and who went elsewhere."""
    for case in ("block_list", "block_list, killed", "map_local", "server_replay"):
        assert [arrived for _, _, arrived in plain_uploads[case]] == [[], []], case
    assert [arrived[0][0] for _, _, arrived in plain_uploads["map_remote"]] == [
        HOST.replace(BUCKET, OTHER)
    ] * 2
    limited = {name: arrived for name, _, arrived in plain_uploads["body_size_limit"]}
    assert [len(arrived) for arrived in limited.values()] == [0, 0, 1]
    md5 = hashlib.md5(LARGE.replace(b"abc", b"xy")).hexdigest()
    assert plain_uploads["modify_body"][0][2][0][3] == md5
    scripted = {name: (got, arrived) for name, got, arrived in plain_uploads["script before"]}
    assert scripted["answered-large"][1] == scripted["killed-tiny"][1] == []
    assert scripted["moved-large"][1][0][0] == HOST.replace(BUCKET, OTHER)
    assert ("x-cos-meta-added", "by the script") in scripted["header-large"][1][0][2]


@pytest.mark.parametrize("name", DOWNLOADS)
def test_downloads(
    name: str,
    origin: Origin,
    downloads: dict[str, Case],
    plain_downloads: dict[str, list[Outcome]],
    tmp_path: Path,
) -> None:
    assert set(downloads) == set(DOWNLOADS)
    found, logged = _inspected(origin, tmp_path, "GET", downloads[name])
    assert found == plain_downloads[name]
    assert [line.partition(LOGGED)[2] for line in logged] == [downloads[name].logged]


def test_what_is_compared_was_changed(plain_downloads: dict[str, list[Outcome]]) -> None:
    changed = hashlib.md5(LARGE.replace(b"abc", b"xyz")).hexdigest()
    assert [got[3] for _, got, _ in plain_downloads["script behind"]] == [changed] * 2
    shortened = hashlib.md5(LARGE.replace(b"abc", b"xy")).hexdigest()
    assert [got[3] for _, got, _ in plain_downloads["modify_body"]] == [shortened] * 2
    assert [got[0] for _, got, _ in plain_downloads["body_size_limit"]] == [502, 502]


@pytest.mark.parametrize("place", ["before", "behind"])
def test_who_acts_on_headers_alone(
    place: str, origin: Origin, folder: Path, tmp_path: Path
) -> None:
    """Nothing is kept for it: it had its say before anything was sent. What it streams by
    itself stays as it wants it, and is checked."""
    script, saved = tmp_path / "headers.py", tmp_path / "saved.mitm"
    script.write_text(HEADERS_SCRIPT)
    paths = ("early", "led", "theirs", "ordinary")
    with Proxy(origin, f"--scripts={script}") as proxy:
        expected = _outcomes(origin, proxy, "PUT", paths)
    case = Case(
        paths,
        "",
        [f"--save-stream-file={saved}"],
        [script] if place == "before" else [],
        [script] if place == "behind" else [],
    )
    found, logged = _inspected(origin, tmp_path, "PUT", case)
    assert found == expected
    assert logged == []
    contents = {flow.request.path[1:]: flow.request.raw_content for flow in saved_flows(saved)}
    assert contents == {
        "early-large": LARGE,
        "early-tiny": TINY,
        **{f"{path}-{size}": None for path in paths[1:] for size in ("large", "tiny")},
    }


def test_streams_of_an_addon_behind_are_checked(origin: Origin, tmp_path: Path) -> None:
    script = tmp_path / "headers.py"
    script.write_text(HEADERS_SCRIPT)
    origin.put_object(BUCKET, "theirs-small", TINY)
    with Lab(origin, tmp_path, scripts_after=[script]) as lab:
        answer = lab.send("GET", "theirs-small")
        assert answer.content == TINY.replace(b"a", b"b")
        assert checks(lab.report_on("theirs-small"))["crc64", "response"] == "match"


class Breakpoints:
    """Filters that a person sets in mitmweb, and what is held then."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._session = web.session()
        self._session.get(f"{web.address}updates", timeout=30)

    def _ask(self, method: str, path: str, data: Any = None) -> None:
        token = self._session.cookies.get("_mitmproxy_xsrf") or ""
        self._session.request(
            method,
            self._web.address + path,
            json=data,
            headers={"X-XSRFToken": token},
            timeout=30,
        ).raise_for_status()

    def set(self, intercept: str | None) -> None:
        self._ask("PUT", "options", {"intercept": intercept})

    def edit(self, flow: dict[str, Any], side: str, content: str) -> None:
        self._ask("PUT", f"flows/{flow['id']}", {side: {"content": content}})

    def resume(self, flow: dict[str, Any]) -> None:
        self._ask("POST", f"flows/{flow['id']}/resume")

    def held(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            flow = self._web.flows().get(name)
            if flow is not None and flow["intercepted"]:
                return flow
            time.sleep(0.05)
        raise AssertionError(f"{name} is not held")


class Sent(threading.Thread):
    """A request under way."""

    def __init__(self, web: Web, method: str, name: str, data: Any = None) -> None:
        super().__init__(daemon=True)
        self._call = lambda: web.send(method, name, data=data)
        self.answer: requests.Response | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._call()

    def result(self) -> requests.Response:
        self.join(30)
        assert self.answer is not None
        return self.answer


def test_breakpoints_in_mitmweb(origin: Origin, tmp_path: Path) -> None:
    with Web(origin, tmp_path) as web:
        points = Breakpoints(web)
        # Nothing is set yet, so this one is streamed.
        assert web.send("PUT", "free.bin", data=LARGE).status_code == 200
        assert web.flows()["free.bin"]["request"]["contentLength"] is None
        points.set("~q & ~m PUT")
        for name, body in (("held-large.bin", LARGE), ("held-tiny.bin", [TINY])):
            seen = len(origin.requests)
            sent = Sent(web, "PUT", name, iter(body) if isinstance(body, list) else body)
            flow = points.held(name)
            assert len(origin.requests) == seen
            points.edit(flow, "request", "edited by a person")
            points.resume(flow)
            assert sent.result().status_code == 200
            assert origin.get_object(BUCKET, name) == b"edited by a person"
        points.set("~s & ~m GET")
        origin.put_object(BUCKET, "held-down.bin", LARGE)
        origin.put_object(BUCKET, "held-chunked.bin", LARGE)
        web.damage("held-chunked.bin", chunked())
        for name in ("held-down.bin", "held-chunked.bin"):
            sent = Sent(web, "GET", name)
            flow = points.held(name)
            assert sent.is_alive()
            points.edit(flow, "response", "edited by a person")
            points.resume(flow)
            assert sent.result().content == b"edited by a person"
        # A person takes the breakpoint away: what comes now is streamed again.
        points.set(None)
        assert web.send("PUT", "free-again.bin", data=LARGE).status_code == 200
        assert web.flows()["free-again.bin"]["request"]["contentLength"] is None
        web.wait_for_output(f"{LOGGED}intercept is set")
        assert web.output.count(LOGGED) == 1
