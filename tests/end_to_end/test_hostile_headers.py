"""Messages made to stop an inspector, from either side: the next requests are answered as
soon as plain mitmdump answers them. With ``-s`` it prints how long they took."""

import re
import socket
import socketserver
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cos_inspect.cos.tables import rows
from tests.end_to_end.harness import HOST
from tests.end_to_end.lab import WAIT_SECONDS, Lab
from tests.origin.proxy import Proxy
from tests.origin.server import Origin
from tests.servers import RawServer, served

pytestmark = pytest.mark.end_to_end

ALLOWED = 0.1
"""Seconds that a request may take longer than with plain mitmdump, those not counted in which the
proxy could go on and other processes had the processor."""
TRIES = 5
"""A moment's load accuses nobody; what blocks the loop does so each time."""
NAME = re.compile(r"[a-z0-9-]+-no-[0-9]")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: ([0-9]+)")
FRAMING = frozenset({"content-length", "transfer-encoding", "host", "expect", "upgrade"})
NAMES = [row["name"].replace("*", "x") for row in rows("headers") if row["name"] not in FRAMING]
VALUES = {
    "commas": "a" + ", " * 200 + ";",
    "quotes": 'W/"' + 'a="b";' * 60 + '"',
    "ranges": "bytes=" + "1-" * 200 + "x",
    "slashes": "a/" + "b /" * 140,
    "dates": "Sun, 06 Nov 1994 08:49:37 GMT" * 14,
    "signatures": "q-sign-algorithm=sha1&" * 18,
    "tokens": "".join(f"token=abcdefgh{number}&" for number in range(22)),
    "escapes": "%2525" * 80,
}
"""All headers with one of them are just within what is read of a message."""
Fields = list[tuple[str, str]]
ATTACKS: dict[str, Fields] = {
    "the-first-one": [("Connection", "a" + ", " * 40 + ";")],
    **{f"every-header-{name}": [(each, value) for each in NAMES] for name, value in VALUES.items()},
    "one-name-60000-times": [("X-Cos-Meta-A", str(number)) for number in range(60_000)],
    "60000-names": [(f"x-cos-meta-{number}", str(number)) for number in range(60_000)],
    "a-mebibyte": [("x-cos-request-id", "a" * 2**20), ("Set-Cookie", "a=b; " * 200_000)],
    "a-mebibyte-of-signature": [("Authorization", "q-ak=a&q-header-list=" + "a;" * 2**19)],
    "a-mebibyte-of-escapes": [("x-cos-meta-a", "%2525" * 200_000)],
    "60000-tokens": [(f"x-token-{number}", f"abcdefgh{number}") for number in range(60_000)],
    "60000-cookies": [("Cookie", f"a{number}=abcdefgh{number}") for number in range(60_000)],
    "60000-etags": [("ETag", f'"{number}"') for number in range(60_000)],
    "50-of-64-kib": [(f"x-cos-meta-{number}", "token=abcdefgh&" * 4000) for number in range(50)],
    "1000-authorizations": [("Authorization", f"Bearer abcdefgh{n}") for n in range(1000)],
}


MEBIBYTE = 2**20
SIGNED = (
    "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1577957984;1577961584"
    "&q-key-time=1577957984;1577961584&q-header-list={}&q-url-param-list={}&q-signature="
    + "5e"
    * 20
)
FORM = (("Content-Type", "multipart/form-data; boundary=x"),)
AWS_CHUNKED = (
    ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    ("Content-Encoding", "aws-chunked"),
    ("x-amz-decoded-content-length", "2"),
)


class Sent(NamedTuple):
    """A request. ``path`` stands behind a segment that names it."""

    method: str = "GET"
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    body: str = ""
    at_bucket: bool = False
    """The request goes to the bucket, and the name stands in a parameter."""


class Answer(NamedTuple):
    status: str = "200 OK"
    fields: tuple[tuple[str, str], ...] = ()
    body: str = "ok"


def _form(*parts: str) -> Sent:
    body = "".join(f"--x\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    return Sent("POST", fields=FORM, body=f"{body}--x--\r\n", at_bucket=True)


def _error(code: str = "NoSuchKey", message: str = "m", more: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return Answer("404 Not Found", body=body)


LONG = {
    "letters": "abcdefgh",
    "escapes": "%41",
    "nested-escapes": "%25252541",
    "other-letters": "%E8%85%BE",
    "bytes": "腾",
    "backslashes": "\\",
    "slashes": "a/",
    "names": "token=abcdefgh&",
    "ampersands": "&",
    "entities": "&quot;",
}
_REFUSED = _error(
    "SignatureDoesNotMatch",
    more=f"<StringToSign>sha1\n1;2\n{'5e' * 20}\n</StringToSign>"
    "<FormatString>get\n/k\n\nhost=a\n</FormatString>",
)
EXCHANGES: dict[str, tuple[Sent, Answer]] = {
    **{
        f"path-of-{name}": (Sent(path="/" + piece * (MEBIBYTE // len(piece))), Answer())
        for name, piece in LONG.items()
        if piece.isascii()  # mitmproxy refuses other paths.
    },
    **{
        f"query-of-{name}": (Sent(path="?" + piece * (MEBIBYTE // len(piece))), Answer())
        for name, piece in LONG.items()
    },
    "path-and-query-refused": (
        Sent(
            path="/" + "%41" * 100_000 + "?" + "a=b&" * 100_000,
            fields=(("Authorization", SIGNED.format("host", "a")),),
        ),
        _REFUSED,
    ),
    "method": (Sent("A" * MEBIBYTE), Answer()),
    "host": (Sent(fields=(("Host", "腾" * (MEBIBYTE // 3)),)), Answer()),
    "signed-header": (
        Sent(
            fields=(
                ("x-cos-meta-a", "腾" * 20_000),
                ("Authorization", SIGNED.format("host;x-cos-meta-a", "")),
            )
        ),
        _REFUSED,
    ),
    "signed-again-and-again": (
        Sent(
            path="?a=" + "b" * 8000,
            fields=(
                ("x-cos-meta-a", "a" * 8000),
                ("Authorization", SIGNED.format("x-cos-meta-a;" * 3000, "a;" * 3000)),
            ),
        ),
        _REFUSED,
    ),
    "copy-source": (
        Sent("PUT", fields=(("x-cos-copy-source", f"{HOST}/" + "%2541" * 12_000),), body="x"),
        Answer(body="<CopyObjectResult/>"),
    ),
    "referer": (
        Sent(fields=(("Referer", "https://a.example/?u=" + "https%3A%2F%2Fb%3F" * 3500),)),
        Answer(),
    ),
    "cookies": (Sent(fields=(("Cookie", "a=token=abcdefgh; " * 60_000),)), Answer()),
    "xml-of-one-element": (
        Sent("POST", "?uploadId=a", body=f"<C><Part><ETag>{'&quot;' * 170_000}</ETag></Part></C>"),
        Answer(body=f"<R><ETag>{'a' * MEBIBYTE}</ETag></R>"),
    ),
    "xml-to-the-depth": (
        Sent("POST", "?uploadId=a", body="<a>" * 300_000),
        Answer(body="<a>" * 300_000),
    ),
    "form-name": (_form(f'name="{"a" * MEBIBYTE}"\r\n\r\nv'), Answer()),
    "form-key": (_form(f'name="key"\r\n\r\n{"%41" * 20_000}', 'name="file"\r\n\r\nok'), Answer()),
    "form-file-name": (
        _form(
            'name="key"\r\n\r\n${filename}', f'name="file"; filename="{"a/" * 500_000}"\r\n\r\nok'
        ),
        Answer(),
    ),
    "form-policy": (
        _form(f'name="policy"\r\n\r\n{"eyJhIjoi" * 120_000}', 'name="file"\r\n\r\nok'),
        Answer("403 Forbidden", body="<Error><Code>AccessDenied</Code></Error>"),
    ),
    "boundary": (
        Sent(
            "POST",
            fields=(("Content-Type", f"multipart/form-data; boundary={'-' * 60_000}"),),
            body="\r\n--" * 200_000,
            at_bucket=True,
        ),
        Answer(),
    ),
    "chunk-extension": (
        Sent("PUT", fields=AWS_CHUNKED, body=f"2;a={'b' * MEBIBYTE}\r\nok\r\n0\r\n\r\n"),
        Answer(),
    ),
    "trailers": (
        Sent("PUT", fields=AWS_CHUNKED, body="2\r\nok\r\n0\r\n" + "a:b\r\n" * 200_000 + "\r\n"),
        Answer(),
    ),
    "reason": (Sent(), Answer("404 " + "token=abcdefgh " * 70_000)),
    "location": (
        Sent(),
        Answer("302 Found", (("Location", "https://a.example/" + "%41" * 20_000),)),
    ),
    "error-code": (Sent(), _error("&amp;" * 13_000)),
    "error-message": (Sent(), _error(message='name="token" ' * 5000)),
    "error-echo": (Sent(), _error(message="token=abcdefgh%26" * 3800)),
    "json-error": (
        Sent(),
        Answer("400 Bad Request", body='{"code":"' + "\\u0041" * 160_000 + '"}'),
    ),
    "page": (Sent(), Answer("502 Bad Gateway", body="<html>" + "<li>Code: a</li>" * 60_000)),
}


class Answering(RawServer):
    """Answers every request as is set for its name."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.answers: dict[str, Answer] = {}


class _Handler(socketserver.StreamRequestHandler):
    server: Answering

    def handle(self) -> None:
        first, length = "", 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            first = first or line.decode("latin-1")
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        named = NAME.search(first)
        answer = self.server.answers.get(named[0] if named else "", Answer())
        lines = [
            f"HTTP/1.1 {answer.status}",
            "Server: tencent-cos",
            "x-cos-request-id: NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI=",
            'ETag: "444bcb3a3fcf8389296c49467f27e1d6"',
            f"Content-Length: {len(answer.body.encode())}",
            *(f"{name}: {value}" for name, value in answer.fields),
            "",
            answer.body,
        ]
        self.wfile.write("\r\n".join(lines).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with served(Answering()) as made:
        yield made


@pytest.fixture(scope="module")
def plain(server: Answering) -> Iterator[Proxy]:
    with Proxy(server) as made:
        yield made


@pytest.fixture(scope="module")
def lab(server: Answering, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("hostile")
    with Origin() as origin, Lab(origin, folder, server=server) as made:
        yield made
        assert "Traceback" not in made.output


def ask(port: int, key: str, sent: Sent) -> None:
    """Sends a request to the proxy and reads whatever comes, to its end."""
    target = f"/?name={key}" if sent.at_bucket else f"/{key}{sent.path}"
    body = sent.body.encode()
    names = {name for name, _ in sent.fields}
    lines = [
        f"{sent.method} http://{HOST}{target} HTTP/1.1",
        *([] if "Host" in names else [f"Host: {HOST}"]),
        "Proxy-Connection: close",
        *([f"Content-Length: {len(body)}"] if body else []),
        *(f"{name}: {value}" for name, value in sent.fields),
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        # The proxy keeps the connection open.
        received, left = b"", None
        while data := connection.recv(1 << 20):
            if left is None:
                received += data
                head, found, rest = received.partition(b"\r\n\r\n")
                if not found:
                    continue
                length = LENGTH.search(head)
                left = (int(length[1]) if length else 0) - len(rest)
            else:
                left -= len(data)
            if left <= 0:
                break


def waited_for_processor(pid: int) -> float:
    """Seconds in which a process's main thread, on which mitmproxy's event loop runs, could go
    on and had no processor; always 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def time_of_next(proxy: Proxy | Lab) -> float:
    begin, waited = time.monotonic(), waited_for_processor(proxy.pid)
    ask(proxy.port, "next", Sent())
    took = time.monotonic() - begin
    return took - min(took, waited_for_processor(proxy.pid) - waited)


def worst_with_addon(lab: Lab, key: str, sent: Sent) -> float:
    """The longest that a request took until the report on the hostile one was there."""
    ask(lab.port, key, sent)
    worst = 0.0
    seen: set[Path] = set()
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        worst = max(worst, *(time_of_next(lab) for _ in range(5)))
        new = set((lab.report_dir / "flows").glob("*.json")) - seen
        if any(key.encode() in path.read_bytes() for path in new):
            return worst
        seen |= new
    raise AssertionError(f"no report on {key}:\n{lab.output[-2000:]}")


def worst_without(plain: Proxy, key: str, sent: Sent) -> float:
    ask(plain.port, key, sent)
    return max(time_of_next(plain) for _ in range(20))


def attack(server: Answering, plain: Proxy, lab: Lab, name: str, sent: Sent, back: Answer) -> None:
    """Each side in turn, as often as it takes to be sure."""
    without, took = [], []
    for number in range(TRIES):
        key = f"{name}-no-{number}"
        server.answers[key] = back
        without.append(worst_without(plain, key, sent))
        took.append(worst_with_addon(lab, key, sent))
        if min(took) <= max(without) + ALLOWED:
            break
    print(f"\n{name:32} {max(without) * 1000:6.0f} ms plain {min(took) * 1000:6.0f} ms with it")
    assert min(took) <= max(without) + ALLOWED


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("name", ATTACKS)
def test_the_next_request_does_not_wait_for_headers(
    server: Answering, plain: Proxy, lab: Lab, name: str, side: str
) -> None:
    fields = tuple(ATTACKS[name])
    sent, back = Sent(), Answer()
    if side == "request":
        sent = Sent(fields=fields)
    else:
        back = Answer(fields=fields)
    attack(server, plain, lab, f"{name}-{side}", sent, back)


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_next_request_does_not_wait(
    server: Answering, plain: Proxy, lab: Lab, name: str
) -> None:
    attack(server, plain, lab, name, *EXCHANGES[name])
