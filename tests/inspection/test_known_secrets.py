"""A secret that is known by its value is found in any encoding, and little else is."""

import base64
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cos_inspect.inspection.escapes import decode, encoded, plain
from cos_inspect.inspection.known_secrets import (
    MOST,
    SHORTEST,
    KnownSecrets,
    fold,
    mask_of,
)
from cos_inspect.inspection.redaction import mask
from tests.growth import assert_linear
from tests.inspection.test_escapes import ENCODINGS

TOKEN = b"Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"
ALPHABET = string.ascii_letters + string.digits + "-_.~+/=!,;:@$ é"
SECRETS = st.text(ALPHABET, min_size=SHORTEST, max_size=80).map(str.strip)
AROUND = st.text(string.ascii_letters + string.digits + "é密=&/", max_size=12)


def known(*values: str) -> KnownSecrets:
    secrets = KnownSecrets()
    for value in values:
        secrets.learn(plain(encoded(value)))
    return secrets


def shown(secrets: KnownSecrets, text: str, *, pieces: bool = False) -> str:
    """With every span replaced by a star."""
    made, done = "", 0
    for start, end, _ in sorted(
        secrets.spans(decode(text), pieces=pieces), key=lambda span: (span[0], -span[1])
    ):
        if start >= done:
            made += text[done:start] + "*"
        done = max(done, end)
    return made + text[done:]


@pytest.mark.parametrize(
    "name",
    [*ENCODINGS, "as it is", "lower", "upper", "percent twice", "hex", "hex dump", "hex by colons"],
)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_it_is_found_in_every_encoding(name: str, secret: str, before: str, after: str) -> None:
    encodings: dict[str, Callable[[str], str]] = {
        **ENCODINGS,
        "as it is": str,
        "lower": lambda text: "".join(s.lower() if s.isascii() else s for s in text),
        "upper": lambda text: "".join(s.upper() if s.isascii() else s for s in text),
        "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
        "hex": lambda text: text.encode().hex(),
        "hex dump": lambda text: text.encode().hex(" ").upper(),
        "hex by colons": lambda text: text.encode().hex(":"),
    }
    secrets = known(secret)
    assume(secrets)
    text = f"{before} {encodings[name](secret)} {after}"
    assert secrets.stands_in(encoded(text))
    found = secrets.spans(decode(text))
    start = len(before) + 1
    assert any(first <= start and last >= len(text) - len(after) - 1 for first, last, _ in found)


@given(secret=SECRETS, before=st.binary(max_size=9), after=st.binary(max_size=9), url=st.booleans())
def test_it_is_found_inside_of_base64(secret: str, before: bytes, after: bytes, url: bool) -> None:
    secrets = known(secret)
    assume(secrets and len(encoded(secret)) > SHORTEST)
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    text = f"x {encode(before + encoded(secret) + after).decode()} y"
    assert secrets.stands_in(encoded(text))
    assert shown(secrets, text) == "x * y"


@given(secret=st.text(ALPHABET + "%\\&", max_size=30), text=st.text(ALPHABET + "%2&", max_size=60))
def test_the_quick_look_is_never_wrong_when_it_says_no(secret: str, text: str) -> None:
    secrets = known(secret)
    for pieces in (False, True):
        if secrets.spans(decode(text), pieces=pieces):
            assert secrets.stands_in(encoded(text), pieces=pieces)


@given(
    data=st.data(),
    secret=st.text("abcdefghijkmnpqrstuvwxyz0123456789ABCDEF", min_size=24, max_size=60),
)
def test_a_piece_of_a_random_one_is_found(data: st.DataObject, secret: str) -> None:
    start = data.draw(st.integers(0, len(secret) - 12))
    end = data.draw(st.integers(start + 12, len(secret)))
    secrets = known(secret)
    text = f"it begins with {secret[start:end]}… and so on"
    assert secrets.stands_in(encoded(text), pieces=True)
    # A piece may begin or end with what a repetition in the secret hides.
    left = shown(secrets, text, pieces=True)
    assert "*" in left
    assert all(secret[at : at + 12] not in left for at in range(start, end - 11))


def test_a_sentence_is_no_piece() -> None:
    secrets = known("a-token-of-a-session-of-mine")
    assert shown(secrets, "the token of a session is over", pieces=True) == (
        "the token of a session is over"
    )


@pytest.mark.parametrize(
    "value",
    [
        "short",
        "1234567",
        "AccessDenied",
        "accessdenied",
        "content-length",
        "x-cos-security-token",
        "PutObject",
        "application/octet-stream",
    ],
)
def test_short_ones_and_names_of_the_protocol_are_not_looked_for(value: str) -> None:
    assert not known(value)


def test_what_is_no_secret_is_left_where_it_holds_one() -> None:
    secrets = known("examplebucket")
    public = {fold(b"examplebucket-1250000000")}
    text = "examplebucket of examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
    spans = secrets.spans(decode(text), public=public)
    assert [span[:2] for span in spans] == [(0, 13)]


def test_equal_values_get_equal_masks() -> None:
    assert mask("value-of-one") == mask("value-of-one") != mask("value-of-two")
    assert mask("a%2Fvalue") == mask("a/value")
    assert "value-of-one" not in mask("value-of-one")


def test_the_mask_of_a_short_value_does_not_tell_it() -> None:
    """Eight digits of a hash would: there are only a million codes of six digits."""
    assert mask("123456") == mask("654321") == "[masked:short]"


def test_many_are_found_as_whole_words() -> None:
    secrets = known(*(f"secret-number-{number}" for number in range(3 * MOST)))
    assert shown(secrets, "it is secret-number-3, they say") == "it is *, they say"
    last = f"secret-number-{3 * MOST - 1}"
    assert secrets.stands_in(encoded(f"it is {last}, they say"))
    assert shown(secrets, f"it is {last}, they say") == "it is *, they say"


def test_masks_are_those_of_the_value_without_escapes() -> None:
    assert mask_of(TOKEN) == mask(quote(TOKEN.decode(), safe="")) == mask(TOKEN.decode())


@pytest.mark.parametrize(
    "piece", ["a", "Kx4PL", TOKEN.decode(), "%4B", base64.b64encode(TOKEN).decode(), "examplebuck"]
)
@pytest.mark.parametrize("secret", [TOKEN.decode(), "a" * 40, "abababababababababababab"])
def test_time_grows_with_the_text(piece: str, secret: str) -> None:
    secrets = known(secret)
    public = {fold(b"examplebuck"), fold(b"aaaa")}

    def work(size: int) -> Callable[[], object]:
        text = piece * (size // len(piece))

        def run() -> None:
            secrets.stands_in(encoded(text), pieces=True)
            secrets.spans(decode(text), pieces=True, public=public)

        return run

    assert_linear(work, 1000, 64_000)


def test_time_grows_with_the_number_of_secrets() -> None:
    def work(size: int) -> Callable[[], object]:
        values = [f"secret-number-{number:06d}" for number in range(size)]
        text = " ".join(values)

        def run() -> None:
            secrets = known(*values)
            secrets.stands_in(encoded(text), pieces=True)
            secrets.spans(decode(text), pieces=True)

        return run

    assert_linear(work, 250, 8_000)
