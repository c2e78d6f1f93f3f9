"""Escapes are taken off to the same bytes in both ways, and each byte knows its place."""

import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.escapes import DEEPEST, decode, encoded, plain
from tests.growth import assert_linear

PIECES = st.sampled_from(
    ["%", "%2", "%41", "%25", "%2541", "\\", '\\"', "\\u0041", "\\u00", "\\ud83d\\ude00", "\\x41",
     "\\n", "%u0041", "\\u{41}", "\\U00000041", "\\101", "\\u{", "%u00", "&#0065;",
     "&amp;", "&#65;", "&#x41;", "&", ";", "a", "B", "é", "密", "\udc80", "\ud800", "=", " ",
     "=3D", "=3", "D", "=\n", "=\r\n", "a" * 60]
)  # fmt: skip
TEXTS = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60))


def percent(text: str) -> str:
    return quote(text, safe="")


def lower_percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


ENCODINGS: dict[str, Callable[[str], str]] = {
    "percent": percent,
    "percent in lower case": lower_percent,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in \\u": lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text),
    "entities": html.escape,
    "numbered entities": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "entities in hex": lambda text: "".join(f"&#x{ord(sign):X};" for sign in text),
    "entities with zeros": lambda text: "".join(f"&#{ord(sign):020};" for sign in text),
    "entities in hex with zeros": lambda text: "".join(f"&#X{ord(sign):012x};" for sign in text),
    "percent of JavaScript": lambda text: "".join(f"%u{ord(sign):04X}" for sign in text),
    "braces": lambda text: "".join(f"\\u{{{ord(sign):x}}}" for sign in text),
    "eight digits": lambda text: "".join(f"\\U{ord(sign):08x}" for sign in text),
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
}
SIGNS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]))


@given(TEXTS)
def test_both_ways_give_the_same_bytes(text: str) -> None:
    assert decode(text).data == plain(encoded(text))


@given(TEXTS)
def test_only_escapes_beyond_ascii_may_stay(text: str) -> None:
    assert plain(plain(encoded(text), ascii_only=True)) in (
        plain(encoded(text)),
        # What was left may make a further round possible.
        plain(plain(encoded(text))),
    )


@pytest.mark.parametrize("name", ENCODINGS)
@given(text=SIGNS.filter(lambda text: "%" not in text and "\\" not in text and "&" not in text))
def test_every_encoding_is_taken_off(name: str, text: str) -> None:
    assert plain(encoded(ENCODINGS[name](text))) == encoded(text)


@given(
    text=st.text("aZ0/+= é", max_size=20),
    names=st.lists(st.sampled_from(sorted(ENCODINGS)), max_size=DEEPEST - 1),
)
def test_escapes_inside_of_escapes_are_taken_off(text: str, names: list[str]) -> None:
    shown = text
    for name in names:
        shown = ENCODINGS[name](shown)
    assert plain(encoded(shown)) == encoded(text)


@given(before=TEXTS, inside=st.text("az/+=é密", min_size=1, max_size=8), after=TEXTS)
def test_what_is_found_is_found_in_its_place(before: str, inside: str, after: str) -> None:
    text = f"{before}\x00{percent(inside)}\x00{after}"
    decoded = decode(text)
    at = decoded.data.find(b"\x00" + encoded(inside) + b"\x00")
    if at < 0:
        return
    start, end = decoded.span(at + 1, at + 1 + len(encoded(inside)))
    if decoded.data.count(b"\x00") == 2:
        assert text[start:end] == percent(inside)


@given(TEXTS)
def test_places_are_in_order_and_inside_of_the_text(text: str) -> None:
    decoded = decode(text)
    spans = [decoded.span(at, at + 1) for at in range(len(decoded.data))]
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)


def test_levels_count_what_a_sign_stood_in() -> None:
    decoded = decode("&%26%2526\\u0026&amp;")
    assert decoded.data == b"&&&&&"
    assert [decoded.level(at) for at in range(5)] == [0, 1, 2, 0, 0]
    assert [decoded.depth(at) for at in range(5)] == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("piece", ["%41", "%25", "25", "\\u0041", "\\\\", "&#65;", "&amp;", "é"])
def test_time_grows_with_the_text(piece: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = "%" + piece * size

        def run() -> None:
            decoded = decode(text)
            plain(encoded(text))
            decoded.span(0, len(decoded.data))

        return run

    assert_linear(work, 1000, 200_000)


@given(st.text("%41&amp;\\ua腾", min_size=1, max_size=30))
def test_a_long_text_is_decoded_as_short_ones_are(piece: str) -> None:
    short, long = decode(f"{piece} "), decode(f"{piece} " * 5000)
    size = len(short.data)
    assert long.data == short.data * 5000
    assert decode(f"{piece} " * 5000).data == long.data
    start, end = short.span(0, size)
    assert long.span(4999 * size, 5000 * size) == (
        start + 4999 * (len(piece) + 1),
        end + 4999 * (len(piece) + 1),
    )
