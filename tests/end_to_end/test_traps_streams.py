"""Streams of every kind, ours and others'. The bytes that arrive are the ones that were
sent, and each flow has one report."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import BUCKET, HOST, checks
from tests.end_to_end.lab import Lab, found, get, put
from tests.origin.effects import chunked, empty_chunked_body, truncate
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 8000
"""2 MB: streamed by default."""

CHANGES = '''
"""An addon of somebody else that changes what passes, or answers by itself."""

from mitmproxy import http


def requestheaders(flow):
    if flow.request.path.startswith("/answered"):
        flow.response = http.Response.make(200, b"m" * 2_000_000, {"Server": "mock"})
    if flow.request.path.startswith("/changed"):
        flow.request.stream = lambda data: data.replace(b"a", b"b")


def responseheaders(flow):
    if flow.request.path.startswith("/changed"):
        flow.response.stream = lambda data: [data.replace(b"a", b"b")] if data else data
    elif flow.request.path.startswith("/plainly-streamed"):
        flow.response.stream = True
'''


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("changes")
    script = folder / "changes.py"
    script.write_text(CHANGES)
    with Origin() as origin, Lab(origin, folder, scripts_before=[script]) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Every body is streamed by the addon, and kept by mitmproxy all the same."""
    arguments = ("--set=cos_stream=0", "--set=store_streamed_bodies=true")
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("all"), *arguments) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The user streams, not the addon."""
    arguments = ("--set=cos_stream=never", "--set=stream_large_bodies=64k")
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("user"), *arguments) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


@pytest.fixture(scope="module")
def lazy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Clients may speak HTTP/2 although the server does not."""
    arguments = ("--set=connection_strategy=lazy",)
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("lazy"), *arguments) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def read_answer(connection: socket.socket) -> bytes:
    """All that comes until the proxy closes; what a reset leaves is lost."""
    answer = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            answer += piece
    return answer


def received(lab: Lab, name: str) -> bytes:
    return lab.origin.get_object(BUCKET, name)


class TestBodiesThatAreNone:
    """The callable of a stream is never called for them."""

    @pytest.mark.parametrize("which", ["lab", "streaming", "streamed"])
    def test_head_204_304(self, which: str, request: pytest.FixtureRequest) -> None:
        lab: Lab = request.getfixturevalue(which)
        etag = lab.origin.put_object(BUCKET, "none", BIG).etag
        assert lab.send("HEAD", "none").headers["Content-Length"] == str(len(BIG))
        headers = {"If-None-Match": f'"{etag}"'}
        assert lab.send("GET", "none", headers=headers).status_code == 304
        assert lab.send("DELETE", "none").status_code == 204
        reports = lab.reports_on("none", 3)
        assert [report["response"]["status"] for report in reports] == [200, 304, 204]
        for report in reports:
            assert report["verdict"] == "ok"
            assert report["response"]["body"] == {
                "size": 0,
                "md5": None,
                "crc64ecma": None,
                "complete": True,
                "encoding": None,
            }

    @pytest.mark.parametrize("which", ["lab", "streaming", "streamed"])
    def test_empty_chunked_answer(self, which: str, request: pytest.FixtureRequest) -> None:
        lab: Lab = request.getfixturevalue(which)
        lab.origin.put_object(BUCKET, "empty-chunked", b"")
        lab.damage("empty-chunked", empty_chunked_body())
        assert lab.send("GET", "empty-chunked").content == b""
        report = lab.report_on("empty-chunked")
        assert report["verdict"] == "ok"
        assert checks(report)["etag", "response"] == checks(report)["crc64", "response"] == "match"

    @pytest.mark.parametrize("which", ["lab", "streaming", "streamed"])
    def test_empty_uploads(self, which: str, request: pytest.FixtureRequest) -> None:
        lab: Lab = request.getfixturevalue(which)
        put(b"")(lab, "empty-up")
        with lab.raw("PUT /empty-up-chunked\nTransfer-Encoding: chunked") as connection:
            connection.sendall(b"0\r\n\r\n")
            connection.recv(65536)
        for name in ("empty-up", "empty-up-chunked"):
            report = lab.report_on(name)
            assert report["verdict"] == "ok"
            assert checks(report)["etag", "request"] == "match"
            assert checks(report)["crc64", "request"] == "match"


class TestOthersOptions:
    @pytest.mark.parametrize("size", [10_000, 200_000, 2_000_000])
    @pytest.mark.parametrize("which", ["streaming", "streamed"])
    def test_both_ways(self, which: str, size: int, request: pytest.FixtureRequest) -> None:
        lab: Lab = request.getfixturevalue(which)
        name, body = f"both-{size}", b"ab" * (size // 2)
        put(body)(lab, name)
        assert received(lab, name) == body
        assert lab.send("GET", name).content == body
        sent, came = lab.reports_on(name, 2)
        assert sent["verdict"] == came["verdict"] == "ok"
        assert checks(sent)["etag", "request"] == checks(sent)["crc64", "request"] == "match"
        assert checks(came)["etag", "response"] == checks(came)["crc64", "response"] == "match"

    @pytest.mark.parametrize("which", ["streaming", "streamed"])
    def test_cut_body_kept_or_not(self, which: str, request: pytest.FixtureRequest) -> None:
        lab: Lab = request.getfixturevalue(which)
        lab.damage("cut-kept", truncate(150_000))
        get(b"a" * 200_000)(lab, "cut-kept")
        assert found(lab.report_on("cut-kept")) == {"body-truncated error"}

    def test_unknown_length_is_streamed_behind_our_back(self, streamed: Lab) -> None:
        """mitmproxy decides after the hook; there is nothing to check, and nothing to blame."""
        name, body = "unknown-length", b"c" * 500_000
        streamed.damage(name, chunked())
        streamed.origin.put_object(BUCKET, name, body)
        assert streamed.send("GET", name).content == body
        report = streamed.report_on(name)
        assert report["verdict"] == "ok"
        assert checks(report)["crc64", "response"] == "not-captured"

    def test_unknown_length_upload(self, streamed: Lab) -> None:
        name, body = "unknown-length-up", b"c" * 500_000
        assert streamed.send("PUT", name, data=iter([body])).status_code == 200
        assert received(streamed, name) == body
        report = streamed.report_on(name)
        assert report["verdict"] == "ok"
        assert checks(report)["crc64", "request"] == "not-captured"


class TestOthersCallables:
    @pytest.mark.parametrize("size", [1000, 2_000_000])
    def test_change_is_still_made(self, lab: Lab, size: int) -> None:
        """COS and the client get what the other addon made of the bytes; the digests are of
        the bytes on the wire where a check needs them, so that the change may be found."""
        name = f"changed-{size}"
        body = b"xa" * (size // 2)
        assert lab.send("PUT", name, data=body).status_code == 200
        assert received(lab, name) == body.replace(b"a", b"b")
        lab.origin.put_object(BUCKET, name, body)
        assert lab.send("GET", name).content == body.replace(b"a", b"b")
        sent, came = lab.reports_on(name, 2)
        assert sent["request"]["body"]["size"] == came["response"]["body"]["size"] == size
        assert checks(came)["crc64", "response"] == "match"

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_answer_of_another_addon(self, lab: Lab, method: str) -> None:
        """mitmproxy can answer an upload by itself only when it is not streamed."""
        name = f"answered-{method}"
        body = BIG if method == "PUT" else None
        assert lab.send(method, name, data=body).content == b"m" * 2_000_000
        report = lab.report_on(name)
        assert found(report) == frozenset()
        assert report["response"]["by"] == "proxy"
        assert report["request"]["body"]["size"] == len(body or b"")
        assert report["response"]["body"]["size"] == 2_000_000

    @pytest.mark.parametrize("size", [1000, 2_000_000])
    def test_plainly_streamed(self, lab: Lab, size: int) -> None:
        name = f"plainly-streamed-{size}"
        lab.origin.put_object(BUCKET, name, b"d" * size)
        assert lab.send("GET", name).content == b"d" * size
        assert checks(lab.report_on(name))["crc64", "response"] == "match"


class TestUploadForms:
    @pytest.mark.parametrize("size", [1000, 2_000_000])
    def test_expect_100_continue(self, lab: Lab, size: int) -> None:
        name, body = f"expect-{size}", b"e" * size
        fields = f"Content-Length: {size}\nExpect: 100-continue\nConnection: close"
        with lab.raw(f"PUT /{name}\n{fields}") as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
            connection.sendall(body)
            assert b"HTTP/1.1 200 OK" in read_answer(connection)
        assert received(lab, name) == body
        report = lab.report_on(name)
        assert report["verdict"] == "ok"
        assert checks(report)["crc64", "request"] == "match"
        names = [header["name"] for header in report["request"]["headers"]]
        assert "Expect" in names

    @pytest.mark.parametrize("size", [1000, 2_000_000])
    @pytest.mark.parametrize("known", [True, False], ids=["known-length", "unknown-length"])
    def test_http2(self, lazy: Lab, size: int, known: bool, tmp_path: Path) -> None:
        curl = shutil.which("curl")
        if curl is None:
            pytest.skip("curl is not installed")
        features = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True)
        if "HTTP2" not in features.stdout:
            pytest.skip("this curl speaks no HTTP/2")
        name, body = f"http2-{size}-{known}", b"f" * size
        source = tmp_path / "body"
        source.write_bytes(body)
        command = [curl, "--silent", "--http2", "--max-time=30", f"--proxy={lazy.url}"]
        command += [f"--cacert={lazy.ca_pem}", "--write-out=%{http_code} %{http_version}"]
        command += [f"--upload-file={source if known else '-'}", f"https://{HOST}/{name}"]
        done = subprocess.run(
            [part for item in command for part in _as_curl_likes(item)],
            input=body,
            capture_output=True,
            check=True,
        )
        report = lazy.report_on(name)
        assert report["request"]["http_version"] == "HTTP/2.0"
        if not known:
            # mitmproxy hands it on to a server of HTTP/1 without any framing.
            assert report["request"]["body"]["size"] == size
            assert done.stdout.endswith(b"411 2")
            assert found(report) == {"error-response warning"}
            return
        assert done.stdout.endswith(b"200 2")
        assert report["request"]["body"]["size"] == size
        assert received(lazy, name) == body
        assert report["verdict"] == "ok"
        assert checks(report)["etag", "request"] == checks(report)["crc64", "request"] == "match"

    def test_chunked_upload(self, lab: Lab) -> None:
        name = "chunked-up"
        assert lab.send("PUT", name, data=iter([BIG, BIG])).status_code == 200
        assert received(lab, name) == BIG + BIG
        assert checks(lab.report_on(name))["crc64", "request"] == "match"

    def test_flow_that_is_not_cos(self, lab: Lab) -> None:
        other = "www.example.org"
        answer = lab.send("PUT", "not-cos", host=other, data=BIG, scheme="http")
        assert answer.status_code >= 400
        put()(lab, "cos-after-not-cos")
        lab.report_on("cos-after-not-cos")
        texts = [path.read_text() for path in (lab.report_dir / "flows").iterdir()]
        # The test server answers as COS does, so the flow is known by its answer.
        assert sum(f"http://{other}/" in text for text in texts) == 1


def _as_curl_likes(argument: str) -> list[str]:
    """curl wants option and value apart."""
    if not argument.startswith("--") or "=" not in argument:
        return [argument]
    return argument.split("=", 1)
