"""Texts inside of texts are found wherever they begin, three deep, and nothing else is."""

import base64
import hashlib
import json
import quopri
from collections.abc import Callable, Sequence
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.escapes import encoded, plain
from cos_inspect.inspection.inner_texts import DEEPEST, inner_of, inner_texts, opened
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.secret_hints import secret_hint
from tests.growth import assert_linear

SECRET = "Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"
STEPS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX with blanks": lambda text: text.encode().hex(" ").upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "percent": lambda text: quote(text, safe=""),
    "JSON": lambda text: json.dumps(text).replace("/", "\\/"),
    "entities": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
}
MAIL = "quoted-printable"
CHAINS = st.one_of(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=DEEPEST),
    # Which cuts other escapes in two.
    st.sampled_from([[MAIL], [MAIL, "base64"], [MAIL, "percent"], [MAIL, "hex"], ["base64", MAIL]]),
)
NAMED = [
    f"x-cos-security-token: {SECRET}",
    f"a=b&q-signature={quote(SECRET, safe='')}&c=d",
    f'{{"token":"{SECRET}"}}',
    f"<Token>{SECRET}</Token>",
    f"https://user:{quote(SECRET, safe='')}@a.example/",
]


def through(chain: Sequence[str], text: str) -> str:
    for step in chain:
        if step == MAIL:
            text = quopri.encodestring(f"a={text}".encode()).decode()
        else:
            text = STEPS[step](text)
    return text


@given(CHAINS, st.sampled_from(["", "a", "ab ", "Größe "]), st.sampled_from(["/", "path/", "é"]))
def test_a_known_secret_is_masked_in_every_chain(chain: list[str], before: str, glue: str) -> None:
    text = through(chain, f"{before}{SECRET} and more that follows")
    redactor = Redactor([SECRET])
    # Of what stands around it nothing is to be left, either: it is of no use.
    shown = redactor.text(f"It says {glue}{text} to it.")
    assert "[masked:" in shown
    assert SECRET.lower() not in opened(plain(encoded(shown))).decode("latin-1").lower()


@given(CHAINS, st.sampled_from(NAMED), st.sampled_from(["", "/", "path/", "a.b:"]))
def test_a_named_secret_is_masked_in_every_chain(chain: list[str], named: str, glue: str) -> None:
    text = f"It says {glue}{through(chain, named)} to it."
    assert secret_hint(plain(encoded(text)))
    redactor = Redactor()
    assert "[masked:" in redactor.text(text)
    assert SECRET not in redactor.text(f"({SECRET})")


def test_what_stands_around_it_stays() -> None:
    inner = base64.b64encode(b"token=abcdefgh1").decode()
    assert Redactor().text(f"a={inner}&b=1") == f"a={_mask(inner)}&b=1"
    named = b"token: abcdefgh1".hex()
    assert Redactor().text(f"got {named}, no more") == f"got {_mask(named)}, no more"


def _mask(text: str) -> str:
    return f"[masked:{hashlib.sha256(text.encode()).hexdigest()[:8]}]"


@pytest.mark.parametrize(
    "text",
    [
        "444bcb3a3fcf8389296c49467f27e1d6",
        "yZRlqqkmy3C/1zCkrNpDCw==",
        "https://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/dir/file-000001.bin",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "2026-11-22T10:11:12Z 21:22:23:24:25:26",
        "application/octet-stream",
        hashlib.sha512(b"").hexdigest(),
    ],
)
def test_what_stands_for_no_text_is_none(text: str) -> None:
    assert not list(inner_texts(text.encode()))
    assert opened(text.encode()) == text.encode()


@given(st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()))
def test_one_that_names_nothing_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@given(CHAINS, st.sampled_from(NAMED))
def test_what_is_inside_is_told_at_once_as_step_by_step(chain: list[str], named: str) -> None:
    data = plain(encoded(through(chain, named)))
    level, inner = [data], []
    for _ in range(DEEPEST):
        level = [plain(each.held) for text in level for each in inner_texts(text)]
        inner += level
    at_once, in_turn = inner_of(data).split(b"\n"), b"\n".join(inner).split(b"\n")
    assert sorted(filter(None, at_once)) == sorted(filter(None, in_turn))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "YWJj",
        "YWJj\n",
        "YWJj/w",
        "61",
        "61 ",
        "6",
        "=3D",
        "a" * 60 + "=\n",
        base64.b64encode(b"token=abcdefgh1").decode(),
        base64.b64encode(base64.b64encode(b"token=abcdefgh1&a")).decode(),
        base64.b64encode(b"token=abcdefgh").decode() + "//8",
    ],
)
def test_time_grows_with_the_text(piece: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = piece * (size // len(piece))
        return lambda: Redactor([SECRET], longest=10**9).text(text)

    assert_linear(work, 1000, 64_000)
