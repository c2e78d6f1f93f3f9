"""Signs that are taken for something else, and halves of pairs that are no text."""

import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.plain_text import UNSEEN, encoded, escaped, whole
from tests.report.build import flow_report

SURROGATES = st.text(st.characters(categories=["Cs", "L", "P"]))


def test_every_control_format_and_separator_sign_is_unseen() -> None:
    """By the categories of Unicode, but for the signs that join emoji and letters."""
    for number in range(0x110000):
        sign = chr(number)
        kind = unicodedata.category(sign)
        if kind in ("Cc", "Zl", "Zp", "Cs") or unicodedata.bidirectional(sign) in (
            "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"
        ):  # fmt: skip
            assert UNSEEN.match(sign), f"{number:04x}"
        if kind == "Zs":
            assert bool(UNSEEN.match(sign)) == (sign != " "), f"{number:04x}"
        if kind[0] in "LMNPS":
            assert not UNSEEN.match(sign), f"{number:04x}"


@pytest.mark.parametrize("text", ["a b/c.txt", "日本語 😀", "Ελληνικά", "é", "\\u202e", "100 %"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert escaped(text) == whole(text) == text


def test_what_cannot_is_told() -> None:
    assert (
        escaped("gpj\u202eexe\u2028\n\x1b[2J\ud800")
        == "gpj\\u202eexe\\u2028\\u000a\\u001b[2J\\ud800"
    )


@given(st.text(st.characters()))
def test_escaped_text_is_one_line_that_prints(text: str) -> None:
    shown = escaped(text)
    assert not UNSEEN.search(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(SURROGATES)
def test_a_report_is_always_json(text: str) -> None:
    report = flow_report(key=text, flow_id=text)
    read = json.loads(encoded(report))
    assert read["cos"]["key"] == whole(text)
    if whole(text) == text:
        assert encoded(report) == msgspec.json.encode(report)
