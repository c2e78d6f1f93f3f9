"""Flows with a secret in them: where it is named, where it is repeated, and how it is written.

And the search for it: in every decoding of an output, whole and by its pieces.
"""

import base64
import html
import json
import quopri
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import msgspec
from mitmproxy import http
from mitmproxy.flow import Error
from mitmproxy.test import tflow, tutils

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
SECRET_ID = "AKIDexampleexampleexampleexample"
SENT = 1795380445.0
WINDOW = "1795380400;1795384000"
REQUEST_ID = "NmIwMzU0ZGRfNjRiODJhMDlfZDkyY182MzlmNg=="
PIECE = 12
"""Characters of a secret that are one already."""
_BOUNDARY = "0123456789abcdef"


class Draft(msgspec.Struct):
    """A request and its answer, before they are a flow."""

    started: float = SENT
    method: str = "GET"
    path: str = "/dir/a.txt"
    query: list[str] = []
    headers: list[tuple[str, str]] = []
    form: dict[str, str] = {}
    status: int = 403
    reason: str = "Forbidden"
    answer: list[tuple[str, str]] = []
    error: dict[str, str] = {}
    changed: dict[str, str] = {}
    """What a script makes of headers before they are sent; nothing: it takes them away."""
    moved: str = ""
    """Where a script has the request go."""
    broken: str = ""
    """What mitmproxy says in the place of an answer."""

    def change(self, flow: http.HTTPFlow) -> None:
        """As a script does, between the hooks ``requestheaders`` and ``request``."""
        headers = flow.request.headers
        for name, value in self.changed.items():
            headers.pop(name, None)
            if value:
                headers[name] = value
        if self.moved:
            flow.request.path = self.moved

    def document(self) -> bytes:
        """The error's."""
        error = {"Code": "AccessDenied", "Message": "Access Denied.", "RequestId": REQUEST_ID}
        fields = {**error, **self.error}
        inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
        return f"<?xml version='1.0'?><Error>{inner}</Error>".encode()

    def flow(self) -> http.HTTPFlow:
        content = self.document() if self.status >= 300 else b"[Object Content]"
        query = f"?{'&'.join(self.query)}" if self.query else ""
        body, kind = self._body()
        names = {name.lower() for name, _ in self.answer}
        known = [
            ("Server", "tencent-cos"),
            ("x-cos-request-id", REQUEST_ID),
            ("Content-Type", "application/xml"),
        ]
        request = tutils.treq(
            method=b"POST" if self.form else self.method.encode(),
            scheme=b"https",
            port=443,
            path=(("/" if self.form else self.path) + query).encode(),
            headers=_fields([("Host", HOST), *kind, *self.headers]),
            content=body,
        )
        response = tutils.tresp(
            content=content,
            status_code=self.status,
            reason=self.reason.encode(),
            headers=_fields([*((n, v) for n, v in known if n.lower() not in names), *self.answer]),
        )
        flow = tflow.tflow(req=request, resp=response)
        if self.broken:
            flow.response = None
            flow.error = Error(self.broken, self.started)
        flow.live = False
        for message in (request, response):
            message.timestamp_start = message.timestamp_end = self.started
        return flow

    def _body(self) -> tuple[bytes, list[tuple[str, str]]]:
        if not self.form:
            return b"", []
        parts = "".join(
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {"key": "dir/a.txt", **self.form}.items()
        )
        file = (
            f"--{_BOUNDARY}\r\nContent-Disposition: form-data;"
            f' name="file"; filename="a"\r\n\r\nabc\r\n--{_BOUNDARY}--\r\n'
        )
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        return (parts + file).encode(), [("Content-Type", kind)]


def _fields(pairs: list[tuple[str, str]]) -> http.Headers:
    return http.Headers([(name.encode(), value.encode()) for name, value in pairs])


Plant = Callable[[Draft, str], object]


def cos_signature(value: str) -> str:
    return (
        f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={WINDOW}&q-key-time={WINDOW}"
        f"&q-header-list=host&q-url-param-list=&q-signature={value}"
    )


def _header(name: str, pattern: str = "{}") -> Plant:
    return lambda draft, secret: draft.headers.append((name, pattern.format(secret)))


def _answer(name: str, pattern: str = "{}") -> Plant:
    return lambda draft, text: draft.answer.append((name, pattern.format(text)))


def _parameter(name: str) -> Plant:
    return lambda draft, secret: draft.query.append(f"{name}={quote(secret, safe='')}")


def _field(name: str) -> Plant:
    return lambda draft, secret: draft.form.update({name: secret})


def _error(name: str, pattern: str = "{}") -> Plant:
    return lambda draft, text: draft.error.update({name: pattern.format(text)})


def _referer(pattern: str, times: int) -> Plant:
    def plant(draft: Draft, secret: str) -> None:
        inner = pattern.format(quote(secret, safe=""))
        for _ in range(times):
            inner = quote(inner, safe="")
        draft.headers.append(("Referer", f"https://a.example/?u={inner}" if times else inner))

    return plant


def _basic(name: str) -> Plant:
    def plant(draft: Draft, secret: str) -> None:
        held = base64.b64encode(f"user:{secret}".encode()).decode()
        draft.headers.append((name, f"Basic {held}"))

    return plant


def _taken_away(draft: Draft, secret: str) -> None:
    draft.headers.append(("x-cos-security-token", secret))
    draft.changed["x-cos-security-token"] = ""


def _moved(draft: Draft, secret: str) -> None:
    draft.moved = f"{draft.path}?a=b&x-cos-security-token={quote(secret, safe='')}"


HOMES: dict[str, Plant] = {
    **{
        name: _header(name)
        for name in (
            "x-cos-security-token", "X-CI-SECURITY-TOKEN", "x-amz-security-token", "X-Token",
            "X-Api-Key", "X-Auth-Token", "x-cos-meta-secretkey", "x-cos-mfa", "authorization",
            "x-cos-server-side-encryption-customer-key", "session-token", "X-Tmp-Secret-Key",
        )
    },
    "signature": lambda draft, secret: draft.headers.append(
        ("Authorization", cos_signature(secret))
    ),
    "Bearer": _header("Authorization", "Bearer {}"),
    "AWS 2": _header("Authorization", f"AWS {SECRET_ID}:{{}}"),
    "AWS 4": _header(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={SECRET_ID}/20261122/ap/s3/aws4_request,"
        " SignedHeaders=host, Signature={}",
    ),
    "Basic": _basic("Authorization"),
    "Proxy-Authorization": _basic("Proxy-Authorization"),
    "Cookie": _header("Cookie", "theme=dark; id={}"),
    "Set-Cookie": _answer("Set-Cookie", "id={}; Path=/"),
    "a token answered": _answer("x-cos-security-token"),
    **{
        f"?{name}": _parameter(name)
        for name in (
            "x-cos-security-token", "x%2Dcos%2Dsecurity%2Dtoken", "%73ign", "q-signature",
            "SecretKey", "TmpSecretKey", "secret_key", "access_token", "password", "sessionToken",
            "X-Amz-Signature", "X-Amz-Security-Token", "token", "%2574oken", "sig",
        )
    },
    **{
        f"Referer, {times} times encoded": _referer("https://h/a?b=1&token={}&c=2", times)
        for times in range(4)
    },
    "a fragment": _referer("https://h/a#access_token={}&c=2", 0),
    "a password in a URL": _referer("https://user:{}@h/a", 0),
    "a password in an inner URL": _referer("https://user:{}@h/a", 1),
    "JSON": _error("Message", '{{"token":"{}","a":1}}'),
    "quotes": _error("Message", "token='{}' is unknown"),
    "a colon": _error("Message", "the token: {}, is unknown"),
    "secret_key": _error("Message", "secret_key={} is unknown"),
    "an element": _error("Message", "<Token>{}</Token>"),
    "a token that a script adds": lambda draft, secret: draft.changed.update(
        {"x-cos-security-token": secret}
    ),
    "a token that a script takes away": _taken_away,
    "a URL that a script makes": _moved,
    **{
        f"form {name}": _field(name)
        for name in ("x-cos-security-token", "q-signature", "Signature", "x-token", "password")
    },
}  # fmt: skip
"""Where a name tells that it is a secret."""
BY_A_SCRIPT = frozenset(name for name in HOMES if "that a script" in name)
IN_ERRORS = frozenset({"JSON", "quotes", "a colon", "secret_key", "an element"})


def _key(draft: Draft, text: str) -> None:
    draft.path = f"/dir/{quote(text, safe='/')}"


def _reason(draft: Draft, text: str) -> None:
    draft.reason = text


ECHOES: dict[str, Plant] = {
    **{name: _error(name) for name in ("Code", "Resource", "RequestId", "TraceId")},
    "Message": _error("Message", "The value ({}) is unknown"),
    **{
        name: _answer(name)
        for name in (
            "x-cos-request-id", "x-cos-trace-id", "ETag", "x-cos-meta-note", "Content-Type",
            "x-cos-version-id", "Location", "x-cos-hash-crc64ecma", "x-cos-storage-class",
            "x-cos-server-side-encryption-cos-kms-key-id", "Content-Encoding", "Via",
        )
    },
    "User-Agent": _header("User-Agent", "app/1.0 ({})"),
    "a client's name": _header("User-Agent", "{}/1.0"),
    "Referer": _header("Referer", "https://a.example/{}"),
    "x-cos-meta-of-mine": _header("x-cos-meta-of-mine"),
    "Range": _header("Range"),
    "Content-MD5": _header("Content-MD5"),
    "the key": _key,
    "the reason": _reason,
    "what a script adds": lambda draft, text: draft.changed.update({"x-cos-meta-added": text}),
    "?prefix": lambda draft, text: draft.query.append(f"prefix={quote(text, safe='')}"),
    "?a": lambda draft, text: draft.query.append(f"a={text}"),
}  # fmt: skip
"""Where it stands without any name."""

ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent": lambda text: quote(text, safe=""),
    "all of it percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in \\u": lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "lower case": str.lower,
    "upper case": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of more": lambda text: base64.urlsafe_b64encode(f'"{text}"'.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "base64 of percent": lambda text: _base64(f"a={quote(text, safe='')}&b"),
    "base64 twice": lambda text: _base64(_base64(f"a: {text}")),
    "hex of base64": lambda text: _base64(f" {text}").encode().hex(),
    "hex of JSON in base64": lambda text: _base64(json.dumps(f"é{text}").encode().hex()),
    "quoted-printable": lambda text: quopri.encodestring(f"a={text}".encode()).decode(),
}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_UNIT = re.compile(r"\\u([0-9a-fA-F]{4})")
_SIGN = re.compile(r'\\([\\/"\'])')
_RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_TEXT = re.compile(r"[\t\r\n\x20-\x7e]{12,}")


def decodings(text: str, rounds: int = 4) -> Iterator[str]:
    """A text with its escapes, and without them, as often as there are any."""
    yield text
    for _ in range(rounds):
        before = text
        text = html.unescape(unquote(text.replace("=3D", "=")))
        text = _UNIT.sub(lambda found: chr(int(found[1], 16)), text)
        text = _SIGN.sub(r"\1", text)
        if text == before:
            return
        yield text


def _inside(text: str) -> Iterator[str]:
    """What runs of base64 and hex in a text stand for."""
    for found in _RUN.finditer(text):
        run = found[0].replace("-", "+").replace("_", "/")
        for cut in range(4):
            piece = run[cut:]
            piece = piece[: len(piece) - (len(piece) % 4 == 1)]
            held = base64.b64decode(piece + "=" * (-len(piece) % 4))
            yield held.decode("latin-1")
        if len(found[0]) % 2 == 0 and re.fullmatch("[0-9a-fA-F]+", found[0]):
            yield bytes.fromhex(found[0]).decode("latin-1")


def opened(text: str) -> str:
    """All that a text may stand for, in lower case: without its escapes, and with what stands
    in base64 and in hex."""
    shown = list(decodings(text))
    level = shown
    for _ in range(3):
        inner = [held for each in level for held in _inside(each)]
        shown += inner
        # Of what is no text nothing can stand inside.
        texts = [found[0] for each in inner for found in _TEXT.finditer(each)]
        level = list(dict.fromkeys(each for held in texts for each in decodings(held)))
        shown += level
    return "\n".join(shown).lower()


class Search:
    """Looks for one secret, by its pieces."""

    def __init__(self, secret: str) -> None:
        lower = secret.lower()
        ends = range(PIECE, max(len(lower), PIECE) + 1)
        self._pieces = {lower[end - PIECE : end] for end in ends}

    def is_in(self, opened_text: str) -> bool:
        return any(piece in opened_text for piece in self._pieces)

    def places(self, outputs: dict[str, str]) -> list[str]:
        return [name for name, text in outputs.items() if self.is_in(opened(text))]
