"""The quick look at a text is never wrong when it says no, and says so of what is innocent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.escapes import decode, encoded, plain
from cos_inspect.inspection.secret_finder import find
from cos_inspect.inspection.secret_hints import SecretHint, hint_of_names, secret_hint
from tests.inspection.test_secret_finder import SENTENCES

MARKUP = st.lists(
    st.sampled_from(
        ["<", "</", ">", "/>", "Token", "a:Token", "x-token", "Key", "Value", "Name", "a", " ",
         "\n", " kind='x'", "?", "!", "[CDATA[", "]]>", "abcdefgh", "-" * 300, "&lt;", "%3C",
         '","', "é"]
    ),
    max_size=16,
).map("".join)  # fmt: skip


@given(st.one_of(SENTENCES, MARKUP))
def test_it_is_never_wrong_when_it_says_no(text: str) -> None:
    if find(decode(text)).secrets:
        assert secret_hint(plain(encoded(text)))


@pytest.mark.parametrize(
    "text",
    [
        "<Error><Code>NoSuchBucket</Code><Message>There is none.</Message></Error>",
        "<a>" * 20,
        "a < b, c > d",
        '["a","b"]',
        "<html><body class='x'>It is over.</body></html>",
    ],
)
def test_what_is_innocent_is_not_looked_into(text: str) -> None:
    assert hint_of_names(text.encode()) is SecretHint.NONE


@pytest.mark.parametrize(
    "text",
    [
        "<Token>a</Token>",
        "<sts:Token kind='x'>a",
        "< Token>a",
        "<Key>x-token</Key><Value>a</Value>",
    ],
)
def test_elements_that_name_a_secret(text: str) -> None:
    assert hint_of_names(text.encode())
