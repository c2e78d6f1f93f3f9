from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cos_inspect.cos.escapes import escaped_again

TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)


@given(text=TEXT, safe=st.sampled_from(["/", ""]))
def test_what_was_escaped_is_seen(text: str, safe: str) -> None:
    escaped = quote(text, safe=safe)
    assume(escaped != text)
    assume("://" not in text)
    assert escaped_again(escaped) == text


@given(text=TEXT)
def test_names_without_escapes_are_left_alone(text: str) -> None:
    assume("%" not in text)
    assert escaped_again(text) is None


@pytest.mark.parametrize(
    "key",
    [
        "100%.txt",
        "50%off.txt",
        "100%25 more.txt",  # a blank would have been escaped
        "照片%20a.png",  # so would the characters
        "50%abc.txt",  # no UTF-8
        "%41%42.txt",  # nobody escapes letters
        "a%0Ab.txt",  # no text
        "https%3A%2F%2Fwww.example.com%2Fa.png",  # the name of something in a cache
        "a%2",
        "%",
        "",
    ],
)
def test_near_misses(key: str) -> None:
    assert escaped_again(key) is None


def test_a_key_of_megabytes_is_not_looked_at() -> None:
    assert escaped_again("%E7" * 1_000_000) is None
